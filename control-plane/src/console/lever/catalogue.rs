//! The levers there are: where each is found, what it is called, and what it asks of the API.

use serde_json::{Value, json};
use topology::{CellId, RegionId, SiteId};

use super::Confirmed;
use crate::callers::Role;
use crate::console::Console;
use crate::console::page::Page;
use crate::console::texts::{Texts, fill};

/// What may be asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Lever {
    Switchover { cell: CellId, to: RegionId },
    Failover(CellId),
    Evacuate(RegionId),
    Restore(RegionId),
    Drain(RegionId),
    Undrain(RegionId),
    RetireSite(SiteId),
    AddSite(SiteId),
    Freeze,
    Unfreeze,
}

impl Lever {
    /// Reads the path of the page about it.
    pub(super) fn from_path(path: &str, to: Option<&str>) -> Option<Self> {
        let parts: Vec<&str> = path.strip_prefix("/console/")?.split('/').collect();
        match parts[..] {
            ["cells", cell, "switchover"] => {
                Some(Self::Switchover { cell: cell.parse().ok()?, to: to?.parse().ok()? })
            }
            ["cells", cell, "failover"] => Some(Self::Failover(cell.parse().ok()?)),
            ["regions", region, "evacuate"] => Some(Self::Evacuate(region.parse().ok()?)),
            ["regions", region, "restore"] => Some(Self::Restore(region.parse().ok()?)),
            ["regions", region, "drain"] => Some(Self::Drain(region.parse().ok()?)),
            ["regions", region, "undrain"] => Some(Self::Undrain(region.parse().ok()?)),
            ["cells", cell, "sites", region, "retire"] => {
                Some(Self::RetireSite(site(cell, region)?))
            }
            ["cells", cell, "sites", region, "add"] => Some(Self::AddSite(site(cell, region)?)),
            ["freeze"] => Some(Self::Freeze),
            ["unfreeze"] => Some(Self::Unfreeze),
            _ => None,
        }
    }

    /// Returns how it is asked for: the method and the path of the API.
    pub(super) fn call(&self) -> (&'static str, String) {
        match self {
            Self::Freeze | Self::Unfreeze => ("PUT", "/v1/freeze".to_owned()),
            Self::Switchover { .. }
            | Self::Failover(_)
            | Self::Evacuate(_)
            | Self::Restore(_)
            | Self::Drain(_)
            | Self::Undrain(_)
            | Self::RetireSite(_)
            | Self::AddSite(_) => ("POST", format!("/v1{}", self.path())),
        }
    }

    /// Returns who may ask for it, as the API has it.
    pub(super) fn role(&self) -> Role {
        if self.is_of_the_platform() { Role::Admin } else { Role::Operator }
    }

    /// Whether it is about everything at once, and takes a reason.
    pub(super) fn is_of_the_platform(&self) -> bool {
        matches!(self, Self::Freeze | Self::Unfreeze)
    }

    /// Whether it may be asked for only for a while.
    pub(super) fn may_end_by_itself(&self) -> bool {
        *self == Self::Freeze
    }

    /// Returns where the console has its page.
    pub(super) fn path(&self) -> String {
        match self {
            Self::Switchover { cell, .. } => format!("/cells/{cell}/switchover"),
            Self::Failover(cell) => format!("/cells/{cell}/failover"),
            Self::Evacuate(region) => format!("/regions/{region}/evacuate"),
            Self::Restore(region) => format!("/regions/{region}/restore"),
            Self::Drain(region) => format!("/regions/{region}/drain"),
            Self::Undrain(region) => format!("/regions/{region}/undrain"),
            Self::RetireSite(SiteId { cell, region }) => {
                format!("/cells/{cell}/sites/{region}/retire")
            }
            Self::AddSite(SiteId { cell, region }) => format!("/cells/{cell}/sites/{region}/add"),
            Self::Freeze => "/freeze".to_owned(),
            Self::Unfreeze => "/unfreeze".to_owned(),
        }
    }

    /// Returns the page it is found on.
    pub(super) fn page(&self) -> Page {
        match self {
            Self::Switchover { cell, .. }
            | Self::Failover(cell)
            | Self::RetireSite(SiteId { cell, .. })
            | Self::AddSite(SiteId { cell, .. }) => Page::Cell(cell.clone()),
            Self::Evacuate(region)
            | Self::Restore(region)
            | Self::Drain(region)
            | Self::Undrain(region) => Page::Region(region.clone()),
            Self::Freeze | Self::Unfreeze => Page::Operations,
        }
    }

    /// Whether it goes on after it has been answered.
    pub(super) fn goes_on(&self) -> bool {
        match self {
            Self::Switchover { .. } | Self::Failover(_) | Self::Freeze | Self::Unfreeze => false,
            Self::Evacuate(_)
            | Self::Restore(_)
            | Self::Drain(_)
            | Self::Undrain(_)
            | Self::RetireSite(_)
            | Self::AddSite(_) => true,
        }
    }

    /// Whether cells are moved in waves, with a pause between them.
    pub(super) fn has_waves(&self) -> bool {
        match self {
            Self::Evacuate(_) | Self::Restore(_) => true,
            Self::Switchover { .. }
            | Self::Failover(_)
            | Self::Drain(_)
            | Self::Undrain(_)
            | Self::RetireSite(_)
            | Self::AddSite(_)
            | Self::Freeze
            | Self::Unfreeze => false,
        }
    }

    pub(super) fn title(&self, console: &Console, t: &Texts) -> String {
        let name = |region: &RegionId| console.region_name(region.as_str());
        match self {
            Self::Switchover { cell, to } => {
                fill(t.move_title, &[("cell", cell.as_str()), ("to", &name(to))])
            }
            Self::Failover(cell) => fill(t.failover_title, &[("cell", cell.as_str())]),
            Self::Evacuate(region) => fill(t.evacuate_title, &[("region", &name(region))]),
            Self::Restore(region) => fill(t.restore_title, &[("region", &name(region))]),
            Self::Drain(region) => fill(t.drain_title, &[("region", &name(region))]),
            Self::Undrain(region) => fill(t.undrain_title, &[("region", &name(region))]),
            Self::RetireSite(site) => fill(t.retire_title, &[("site", &site.to_string())]),
            Self::AddSite(site) => fill(t.add_title, &[("site", &site.to_string())]),
            Self::Freeze => t.freeze_title.to_owned(),
            Self::Unfreeze => t.unfreeze_title.to_owned(),
        }
    }

    pub(super) fn confirm(&self, console: &Console, t: &Texts) -> String {
        let name = |region: &RegionId| console.region_name(region.as_str());
        match self {
            Self::Switchover { cell, to } => {
                fill(t.confirm_move, &[("cell", cell.as_str()), ("to", &name(to))])
            }
            Self::Failover(cell) => fill(t.confirm_failover, &[("cell", cell.as_str())]),
            Self::Evacuate(region) => fill(t.confirm_evacuate, &[("region", &name(region))]),
            Self::Restore(region) => fill(t.confirm_restore, &[("region", &name(region))]),
            Self::Drain(region) => fill(t.confirm_drain, &[("region", &name(region))]),
            Self::Undrain(region) => fill(t.confirm_undrain, &[("region", &name(region))]),
            Self::RetireSite(site) => fill(t.confirm_retire, &[("site", &site.to_string())]),
            Self::AddSite(site) => fill(t.confirm_add, &[("site", &site.to_string())]),
            Self::Freeze => t.confirm_freeze.to_owned(),
            Self::Unfreeze => t.confirm_unfreeze.to_owned(),
        }
    }

    pub(super) fn effect(&self, t: &Texts) -> &'static str {
        match self {
            Self::Switchover { .. } => t.effect_move,
            Self::Failover(_) => t.effect_failover,
            Self::Evacuate(_) => t.effect_evacuate,
            Self::Restore(_) => t.effect_restore,
            Self::Drain(_) => t.effect_drain,
            Self::Undrain(_) => t.effect_undrain,
            Self::RetireSite(_) => t.effect_retire,
            Self::AddSite(_) => t.effect_add,
            Self::Freeze => t.effect_freeze,
            Self::Unfreeze => t.effect_unfreeze,
        }
    }

    pub(super) fn asked(&self, confirmed: Option<&Confirmed>) -> Value {
        let mut body = match self {
            Self::Switchover { to, .. } => json!({ "to": to.as_str() }),
            Self::Failover(_)
            | Self::Evacuate(_)
            | Self::Restore(_)
            | Self::Drain(_)
            | Self::Undrain(_)
            | Self::RetireSite(_)
            | Self::AddSite(_) => json!({}),
            Self::Freeze => json!({ "frozen": true }),
            Self::Unfreeze => json!({ "frozen": false }),
        };
        if let Some(confirmed) = confirmed {
            let reason = confirmed.reason.trim();
            if !reason.is_empty() {
                body["reason"] = reason.into();
            }
            if let (Self::Failover(_), Some(_)) = (self, &confirmed.accept_data_loss) {
                body["accept_data_loss"] = true.into();
            }
            if self.has_waves() {
                body["wave_pause_s"] = confirmed.wave_pause_s.unwrap_or(0).into();
            }
            let for_s = confirmed.for_s.trim();
            if self.may_end_by_itself() && !for_s.is_empty() {
                // The API says what is wrong with what is no number.
                body["for_s"] = for_s.parse::<u64>().map_or_else(|_| for_s.into(), Value::from);
            }
        }
        body
    }
}

fn site(cell: &str, region: &str) -> Option<SiteId> {
    Some(SiteId { cell: cell.parse().ok()?, region: region.parse().ok()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_lever_passes_the_reason_on() {
        let confirmed = Confirmed {
            to: None,
            etag: String::new(),
            key: String::new(),
            form_token: String::new(),
            reason: " a switch there is flaky ".to_owned(),
            wave_pause_s: None,
            for_s: String::new(),
            accept_data_loss: None,
        };
        let (cell, to) = ("c1".parse().unwrap(), "south".parse::<RegionId>().unwrap());
        let asked = Lever::Switchover { cell, to: to.clone() }.asked(Some(&confirmed));
        assert_eq!(asked, json!({ "to": "south", "reason": "a switch there is flaky" }));
        let asked = Lever::Drain(to).asked(Some(&confirmed));
        assert_eq!(asked, json!({ "reason": "a switch there is flaky" }));
        let asked = Lever::Failover("c1".parse().unwrap()).asked(Some(&confirmed));
        assert_eq!(asked, json!({ "reason": "a switch there is flaky" }));
    }

    #[test]
    fn a_freeze_is_asked_for_with_its_end_and_lifted_without() {
        let confirmed = |for_s: &str| Confirmed {
            to: None,
            etag: String::new(),
            key: String::new(),
            form_token: String::new(),
            reason: "we are looking".to_owned(),
            wave_pause_s: None,
            for_s: for_s.to_owned(),
            accept_data_loss: None,
        };
        let reason = "we are looking";
        for (lever, for_s, expected) in [
            (Lever::Freeze, "", json!({ "frozen": true, "reason": reason })),
            (Lever::Freeze, " 600 ", json!({ "frozen": true, "reason": reason, "for_s": 600 })),
            (Lever::Freeze, "ten", json!({ "frozen": true, "reason": reason, "for_s": "ten" })),
            (Lever::Unfreeze, "600", json!({ "frozen": false, "reason": reason })),
        ] {
            assert_eq!(lever.asked(Some(&confirmed(for_s))), expected);
            assert_eq!(lever.call(), ("PUT", "/v1/freeze".to_owned()));
        }
    }

    #[test]
    fn a_lever_is_found_by_its_path() {
        for path in [
            "/cells/c1/switchover",
            "/cells/c1/failover",
            "/regions/east/evacuate",
            "/regions/east/restore",
            "/regions/east/drain",
            "/regions/east/undrain",
            "/cells/c1/sites/south/retire",
            "/cells/c1/sites/south/add",
            "/freeze",
            "/unfreeze",
        ] {
            let lever = Lever::from_path(&format!("/console{path}"), Some("south"));
            assert_eq!(lever.unwrap().path(), path);
        }
        for other in ["/console/cells/c1/sites/south", "/console/cells/C 1/sites/south/add"] {
            assert_eq!(Lever::from_path(other, None), None, "{other}");
        }
        assert_eq!(Lever::from_path("/console/cells/c1/switchover", None), None);
    }
}
