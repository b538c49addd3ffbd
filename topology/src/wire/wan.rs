//! How one talks to the emulated WAN: one JSON document a connection to `wan.sock` in the run
//! directory, one in answer.

use serde::{Deserialize, Serialize};

/// The socket's name in the run directory.
pub const SOCKET: &str = "wan.sock";

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Request {
    /// Puts a policy in force, in the place of one with the same id.
    Set(Policy),
    /// Takes one away; one that is not there is no mistake.
    Lift { id: String },
    /// Asks what is in force.
    List {},
}

/// What is done to packets, on top of the distances, until its time is over.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Policy {
    pub id: String,
    /// To which packets: those of any of these ways …
    pub ways: Vec<Way>,
    /// … and, unless it is empty, with any of these TCP ports on either side.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ports: Vec<u16>,
    /// How long it is in force, from when it was set.
    pub ttl_ms: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cut: Option<Cut>,
    /// Added to the distance, more or less the jitter.
    #[serde(default, skip_serializing_if = "is_default")]
    pub delay_ms: u64,
    #[serde(default, skip_serializing_if = "is_default")]
    pub jitter_ms: u64,
    /// Shares of the packets, from 0 to 1: those that are lost …
    #[serde(default, skip_serializing_if = "is_default")]
    pub loss: f64,
    /// … those that arrive twice …
    #[serde(default, skip_serializing_if = "is_default")]
    pub duplicate: f64,
    /// … and those that overtake all that are on their way.
    #[serde(default, skip_serializing_if = "is_default")]
    pub reorder: f64,
    /// What goes through a way in a second, 1000 bits each.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate_kbit: Option<u64>,
}

/// From one end to another: a region's id, or `edge`. Nothing is every end.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Way {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Cut {
    /// Nothing arrives.
    All,
    /// No connection can be opened; those that are open go on.
    Connects,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Answer {
    /// Everything that is wrong with the request; nothing was done then.
    #[serde(default)]
    pub problems: Vec<String>,
    #[serde(default)]
    pub policies: Vec<InForce>,
    #[serde(default)]
    pub ways: Vec<Traffic>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct InForce {
    pub policy: Policy,
    pub left_ms: u64,
    /// The packets it has been applied to.
    pub packets: u64,
    /// Those of them that it kept from arriving.
    pub dropped: u64,
}

/// What has gone one way since the WAN was started.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Traffic {
    pub from: String,
    pub to: String,
    pub packets: u64,
    pub bytes: u64,
    /// By a policy.
    pub dropped: u64,
    /// Because too much was on its way already.
    pub overflowed: u64,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_policy_is_written_in_few_words() {
        let text = r#"{"set":{"id":"drill-1","ways":[{"from":"east"},{"to":"east"}],"ttl-ms":60000,"cut":"all"}}"#;
        let request: Request = serde_json::from_str(text).unwrap();
        assert_eq!(serde_json::to_string(&request).unwrap(), text);
        let unknown = text.replace("cut", "cuts");
        assert!(serde_json::from_str::<Request>(&unknown).is_err());
    }
}
