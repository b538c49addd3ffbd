//! `platform wan`: the emulated WAN. One process takes the packets of every region, and lets each
//! out where it goes, when its time has come.
//!
//! ```text
//! region east ─ wan ┐                    ┌ wan ─ edge: routers
//! region north─ wan ┼─ switch (decide) ──┤
//! region south─ wan ┘                    └ bulkhead0 ─ the machine itself, at no distance
//! ```
//!
//! The devices end with this process, and nothing else holds what it made. What is done to packets
//! besides the distance is asked for over `wan.sock` (`topology::wire::wan`).

mod control;
mod device;
pub(crate) mod init;
pub(crate) mod inits;
mod ip;
pub(crate) mod namespaces;
mod switch;

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context as _;
use runtime::{Tasks, stop_asked, telemetry};
use tokio::sync::mpsc;
use topology::spec::{End, Wan};
use tracing::info;

use crate::app::Outcome;
use crate::cli::WanArgs;
use crate::decide::wan::Ways;
use crate::disk;
use crate::run_dir::RunDir;
use control::Control;
use device::Device;
use switch::{Port, Switch};

/// Of requests that wait for the switch, which answers between two packets.
const ASKED_MAX: usize = 16;
const GRACE: Duration = Duration::from_secs(1);

pub(crate) async fn wan(args: WanArgs) -> anyhow::Result<Outcome> {
    let _telemetry = telemetry::start("bulkhead-platform", "wan", None)?;
    let run_dir = RunDir::find(args.place.run_dir)?;
    let spec = disk::applied_spec(&run_dir)?.context("find a platform: nothing was started yet")?;
    let wan = spec.wan.as_ref().context("find distances: regions.yaml has no section wan")?;
    let ways = Ways::new(wan);
    let network = |end: &End| match end {
        End::Edge => wan.edge,
        End::Region(id) => spec.region(id).expect("a parsed spec has the region").network,
    };
    let networks: Vec<_> = ways.ends().iter().map(network).collect();
    let mut ports = Vec::new();
    for (number, end) in ways.ends().iter().enumerate() {
        let namespace = args.namespaces.iter().find(|(named, _)| named == end);
        let (_, namespace) = namespace.with_context(|| format!("find a namespace for {end}"))?;
        let others = networks.iter().copied().filter(|network| *network != networks[number]);
        let others: Vec<_> = others.chain([Wan::MACHINE]).collect();
        let device = Device::make(Some(namespace), networks[number], &others)
            .with_context(|| format!("connect {end}"))?;
        ports.push(Port { network: networks[number].prefix(), end: Some(number), device });
    }
    let device = Device::make(None, Wan::MACHINE, &networks).context("connect this machine")?;
    ports.push(Port { network: Wan::MACHINE.prefix(), end: None, device });
    let control = Control::listen(&run_dir)?;
    info!(ends = ways.ends().len(), "wan emulated");

    let (ask, asked) = mpsc::channel(ASKED_MAX);
    let mut tasks = Tasks::default();
    tasks.start("switch packets", |stop| Switch::new(ports, ways).run(asked, stop));
    tasks.start("listen for policies", |stop| control.run(ask, stop));
    tasks.run(stop_asked(), GRACE).await?;
    Ok(Outcome::Done)
}

/// Reads `east=/proc/1/fd/7`.
pub(crate) fn namespace(text: &str) -> Result<(End, PathBuf), String> {
    let (end, path) = text.split_once('=').ok_or("expected END=PATH")?;
    Ok((end.parse().map_err(|err| format!("{err}"))?, PathBuf::from(path)))
}
