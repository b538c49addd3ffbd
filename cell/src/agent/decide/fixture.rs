//! A cell's activation, for tests: of epoch 7, with voters in north and south.

use topology::{Activation, Epoch, Phase, RegionId};

pub(crate) fn activation(phase: Phase) -> Activation {
    Activation {
        epoch: Epoch(7),
        phase,
        voters: ["north", "south"].map(region).into(),
        retired: [].into(),
        acks: 1,
        system: Some(1),
        elected_at: None,
        cause: None,
        reason: String::new(),
    }
}

pub(crate) fn region(name: &str) -> RegionId {
    name.parse().unwrap()
}
