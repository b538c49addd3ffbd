//! `net.cut-established`: every connection between a region and the others breaks at once; new ones
//! can be opened.

use std::process::Command;

use anyhow::{Context as _, ensure};
use runtime::program;
use topology::spec::{End, Network};

use super::partition::answered;
use super::{Injection, Net};
use crate::wan::inside;

/// `ss` of iproute2 names each connection by its two addresses.
const ESTABLISHED: [&str; 5] = ["--no-header", "--tcp", "--numeric", "state", "established"];

pub(super) async fn inject(net: &Net<'_>, injection: &mut Injection) -> anyhow::Result<()> {
    let bench = net.bench;
    let (others, _) = net.others();
    let spec = &bench.platform.spec;
    let network = |end: &End| match end {
        End::Edge => spec.wan.as_ref().map(|wan| wan.edge),
        End::Region(region) => spec.region(region).map(|region| region.network),
    };
    let networks: Vec<Network> = others.iter().filter_map(network).collect();
    let before = list(net, &[], &networks).await?;
    ensure!(!before.is_empty(), "find connections to break: there is none");
    injection.begin(&bench.clock);
    list(net, &["--kill"], &networks).await?;
    injection.step(&bench.clock, format!("broke {} connections over {}", before.len(), net.told()));
    let after = list(net, &[], &networks).await?;
    let left = before.iter().filter(|connection| after.contains(connection)).count();
    ensure!(left == 0, "see every connection broken: {left} of {} are not", before.len());
    let back: Vec<_> = others.iter().map(|end| (end.clone(), net.here())).collect();
    answered(&net.probe(&back).await?)?;
    injection.proof.push(format!("none of {} connections is there any more", before.len()));
    injection.proof.push("new ones can be opened".to_owned());
    Ok(())
}

/// Returns the connections with any of these networks, each as its two addresses.
async fn list(
    net: &Net<'_>,
    more: &'static [&'static str],
    networks: &[Network],
) -> anyhow::Result<Vec<String>> {
    let mut filter: Vec<String> = Vec::new();
    for network in networks {
        filter.extend((!filter.is_empty()).then(|| "or".to_owned()));
        filter.extend(["dst".to_owned(), network.to_string()]);
    }
    let ss = move || {
        let mut command = Command::new("ss");
        command.args(more).args(ESTABLISHED).arg("(").args(&filter).arg(")");
        program::run(command, "").context("list or break connections; ss is of iproute2")
    };
    let text = inside(&net.bench.platform.fleet()?, &net.here(), ss).await?;
    Ok(text.lines().filter_map(addresses).collect())
}

/// Two numbers for what waits come first.
fn addresses(line: &str) -> Option<String> {
    let mut words = line.split_whitespace().skip(2);
    Some(format!("{} {}", words.next()?, words.next()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_is_its_two_addresses() {
        let line = "0      0       127.1.1.1:5432   127.2.0.1:33144                ";
        assert_eq!(addresses(line).as_deref(), Some("127.1.1.1:5432 127.2.0.1:33144"));
    }
}
