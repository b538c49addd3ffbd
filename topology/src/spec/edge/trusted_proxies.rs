//! The networks of proxies in front of the routers: whoever comes from there is believed when it
//! says for whom it asks.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use marked_yaml::Node;

use crate::spec::Problem;
use crate::spec::reader::{Reader, Section, line_of};

/// A network of any size, written `10.0.0.0/8` or `2001:db8::/32`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cidr {
    address: IpAddr,
    bits: u8,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a network such as 10.0.0.0/8")]
pub struct NotANetwork;

impl Cidr {
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        let (ours, theirs, width) = match (self.address, address.to_canonical()) {
            (IpAddr::V4(ours), IpAddr::V4(theirs)) => {
                (u128::from(u32::from(ours)), u128::from(u32::from(theirs)), 32)
            }
            (IpAddr::V6(ours), IpAddr::V6(theirs)) => (u128::from(ours), u128::from(theirs), 128),
            (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => return false,
        };
        let outside = width - u32::from(self.bits);
        ours.checked_shr(outside) == theirs.checked_shr(outside)
    }
}

impl FromStr for Cidr {
    type Err = NotANetwork;

    fn from_str(text: &str) -> Result<Self, NotANetwork> {
        let (address, bits) = text.split_once('/').ok_or(NotANetwork)?;
        let address: IpAddr = address.parse().ok().ok_or(NotANetwork)?;
        let bits: u8 = bits.parse().ok().ok_or(NotANetwork)?;
        let width = if address.is_ipv4() { 32 } else { 128 };
        if bits > width { Err(NotANetwork) } else { Ok(Self { address, bits }) }
    }
}

impl fmt::Display for Cidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.bits)
    }
}

impl Reader {
    /// May be left out: then nobody is believed.
    pub(super) fn trusted_proxies(&mut self, edge: &Section<'_>) -> Vec<Cidr> {
        let Some(node) = edge.map.get_node("trusted-proxies") else { return Vec::new() };
        let place = edge.place_of("trusted-proxies");
        let Node::Sequence(list) = node else {
            self.mistyped(node, place, "a list of networks");
            return Vec::new();
        };
        let mut networks = Vec::new();
        for (index, node) in list.iter().enumerate() {
            let place = format!("{place}[{index}]");
            let expected = "a network such as 10.0.0.0/8";
            let Node::Scalar(scalar) = node else {
                self.mistyped(node, place, expected);
                continue;
            };
            if let Ok(network) = scalar.as_str().parse() {
                networks.push(network);
            } else {
                let found = format!("{:?}", scalar.as_str());
                let problem = Problem::WrongType { expected, found };
                self.push(line_of(node.span()), place, problem);
            }
        }
        networks
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_contains_its_addresses_and_no_others() {
        let cases = [
            ("10.0.0.0/8", "10.255.0.1", true),
            ("10.0.0.0/8", "11.0.0.1", false),
            ("10.0.0.0/8", "::ffff:10.1.2.3", true),
            ("192.0.2.7/32", "192.0.2.7", true),
            ("192.0.2.7/32", "192.0.2.6", false),
            ("0.0.0.0/0", "192.0.2.6", true),
            ("0.0.0.0/0", "2001:db8::1", false),
            ("2001:db8::/32", "2001:db8:1::1", true),
            ("2001:db8::/32", "2001:db9::1", false),
        ];
        for (network, address, expected) in cases {
            let network: Cidr = network.parse().unwrap();
            assert_eq!(network.contains(address.parse().unwrap()), expected, "{network} {address}");
        }
    }
}
