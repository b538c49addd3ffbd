//! What is written into etcd for the router to follow.

use std::net::SocketAddr;

use client::Etcd;
use topology::snapshot::RoutedCell;
use topology::wire::cell::CellRecord;
use topology::wire::key;
use topology::wire::placement::PlacementRecord;
use topology::{Activation, Epoch, Phase, Placement, RegionId, Slot, Version};

use super::World;

/// What is published of a cell.
pub(crate) enum Is {
    ActiveIn(&'static str),
    Electing,
}

impl World {
    /// Returns users of this cell, as many as are wanted.
    pub(crate) fn users_of(&self, cell: &'static str) -> impl Iterator<Item = String> + use<> {
        let placement = self.placement();
        let users = (0..).map(|number| format!("user-{number}"));
        users.filter(move |user| placement.cell_of(Slot::of(user)).as_str() == cell)
    }

    /// Publishes where `c1` is, with this gateway in every region, and waits until the router has
    /// it.
    pub(crate) async fn publish(&mut self, epoch: u64, is: &Is, gateway: SocketAddr) {
        self.publish_sites(epoch, is, [gateway; 3]).await;
    }

    /// The same with a gateway for each of east, north and south.
    pub(crate) async fn publish_sites(&mut self, epoch: u64, is: &Is, sites: [SocketAddr; 3]) {
        self.changes += 1;
        let reason = format!("change {}", self.changes);
        let etcd = self.etcd();
        if self.changes == 1 {
            let record = serde_json::to_vec(&PlacementRecord::from(&self.placement())).unwrap();
            self.put(&etcd, key::PLACEMENT, record).await;
        }
        let record = Self::record(epoch, is, sites, &reason);
        self.put(&etcd, &key::cell(&self.cells[0]), record).await;
        let user = self.users_of("c1").next().unwrap();
        self.eventually("the router applies the snapshot", async || {
            let published = self.reason(&user).await?;
            published.contains(&reason).then_some(())
        })
        .await;
    }

    /// Publishes where the second cell is.
    pub(super) async fn publish_beside(&self, gateway: SocketAddr) {
        let record = Self::record(7, &Is::ActiveIn("east"), [gateway; 3], "beside c1");
        self.put(&self.etcd(), &key::cell(&self.cells[1]), record).await;
    }

    /// Publishes that a user lives in this cell, and waits until the router has it.
    pub(crate) async fn publish_apart(&mut self, user: &str, cell: &str) {
        let placement = self.placement().with_override(user, &cell.parse().unwrap()).unwrap();
        let record = serde_json::to_vec(&PlacementRecord::from(&placement)).unwrap();
        self.put(&self.etcd(), key::PLACEMENT, record).await;
        self.eventually("the router applies the placement", async || {
            (self.explain_for(user).await?["cell"] == cell).then_some(())
        })
        .await;
    }

    /// Writes into etcd what may be as wrong as one likes, and waits for nothing.
    pub(crate) async fn write(&self, key: &str, value: &str) {
        self.put(&self.etcd(), key, value.into()).await;
    }

    /// Returns what is written of a cell.
    pub(crate) fn cell_record(epoch: u64, is: &Is, gateway: SocketAddr) -> String {
        String::from_utf8(Self::record(epoch, is, [gateway; 3], "a record")).unwrap()
    }

    fn etcd(&self) -> Etcd {
        Etcd::connect(vec![format!("http://127.{}.0.1:2379", self.network)])
    }

    fn placement(&self) -> Placement {
        let weights = self.cells.iter().map(|cell| (cell.clone(), 1)).collect();
        Placement::plan(&weights, Version(1))
    }

    fn record(epoch: u64, is: &Is, sites: [SocketAddr; 3], reason: &str) -> Vec<u8> {
        let phase = match is {
            Is::ActiveIn(region) => Phase::Steady { active: region.parse().unwrap() },
            Is::Electing => Phase::Electing { predecessor: None },
        };
        let activation = Activation {
            epoch: Epoch(epoch),
            phase,
            voters: ["north", "south"].map(|region| region.parse().unwrap()).into(),
            retired: [].into(),
            acks: 1,
            system: None,
            elected_at: None,
            cause: None,
            reason: reason.to_owned(),
        };
        let regions = ["east", "north", "south"].map(|region| region.parse::<RegionId>().unwrap());
        let gateways = regions.into_iter().zip(sites).collect();
        serde_json::to_vec(&CellRecord::from(&RoutedCell { activation, gateways })).unwrap()
    }

    async fn put(&self, etcd: &Etcd, key: &str, value: Vec<u8>) {
        self.eventually("etcd takes a write", async || etcd.put(key, value.clone()).await.ok())
            .await;
    }
}
