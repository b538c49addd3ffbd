//! What this router is: flags and environment, checked against `regions.yaml`.

use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::{Context as _, bail};
use clap::{Parser, Subcommand};
use topology::Spec;

use crate::rollback;
use crate::sockets::Meeting;

#[derive(Parser)]
#[command(
    version,
    about = "The global router: one of several processes behind one address",
    after_help = "Example:\n  router --id 1 --spec regions.yaml --run-dir /var/lib/bulkhead",
    subcommand_negates_reqs = true,
    args_conflicts_with_subcommands = true
)]
struct Flags {
    #[command(subcommand)]
    command: Option<Command>,
    /// Which of the routers this is, counted from 1.
    #[arg(long, required = true)]
    id: Option<u16>,
    /// The world: regions, cells, addresses, times.
    #[arg(long, env = "BULKHEAD_SPEC", default_value = "regions.yaml")]
    spec: PathBuf,
    /// Where state, secrets and logs are kept.
    #[arg(long, env = "BULKHEAD_RUN_DIR", required = true)]
    run_dir: Option<PathBuf>,
    /// Take the sockets of the router with this id that runs already; it ends once this one serves.
    #[arg(long)]
    replace: bool,
    /// Key of the development issuer [default: secrets/identity.key in the run directory].
    #[arg(long)]
    identity_key: Option<PathBuf>,
}

#[derive(Subcommand)]
enum Command {
    /// List the generations kept here, and go back to one.
    Rollback(rollback::Flags),
}

/// What the command line asks for.
pub(crate) enum Asked {
    Serve(Box<Config>),
    Rollback(rollback::Flags),
}

/// A router and what it needs to know; everything in it exists.
pub(crate) struct Config {
    /// `router-1`.
    pub(crate) name: String,
    pub(crate) spec: Spec,
    pub(crate) listen: SocketAddr,
    pub(crate) admin: SocketAddr,
    /// Where this router keeps what is its own.
    pub(crate) folder: PathBuf,
    /// Where the machine's routers find each other.
    pub(crate) meeting: Meeting,
    pub(crate) replace: bool,
    /// Relative paths of `regions.yaml` are in it.
    pub(crate) run_dir: PathBuf,
    /// Where keys are kept that were fetched, for the next start.
    pub(crate) fetched_keys: PathBuf,
    /// The development issuer's key; there only where that issuer is trusted.
    pub(crate) development: PathBuf,
}

impl Config {
    /// Reads the command line and the spec.
    pub(crate) fn read() -> anyhow::Result<Asked> {
        let flags = Flags::parse();
        if let Some(Command::Rollback(rollback)) = flags.command {
            return Ok(Asked::Rollback(rollback));
        }
        let (Some(id), Some(run_dir)) = (flags.id, flags.run_dir) else {
            bail!("serve without --id and --run-dir");
        };
        let text = std::fs::read_to_string(&flags.spec)
            .with_context(|| format!("read {}", flags.spec.display()))?;
        let spec = Spec::parse(&text).map_err(|findings| {
            let lines: Vec<String> = findings.iter().map(ToString::to_string).collect();
            anyhow::anyhow!("accept {}:\n{}", flags.spec.display(), lines.join("\n"))
        })?;
        if !(1..=spec.edge.routers).contains(&id) {
            bail!("be router {id}: {} lists {}", flags.spec.display(), spec.edge.routers);
        }
        let development =
            flags.identity_key.unwrap_or_else(|| run_dir.join("secrets").join("identity.key"));
        let folder = |number: u16| run_dir.join("routers").join(number.to_string());
        std::fs::create_dir_all(folder(id))
            .with_context(|| format!("make {}", folder(id).display()))?;
        let place = |number: u16| folder(number).join("sockets");
        let siblings = (1..=spec.edge.routers).filter(|number| *number != id);
        Ok(Asked::Serve(Box::new(Self {
            name: format!("router-{id}"),
            listen: spec.edge.listen,
            admin: spec.router_admin_address(id),
            folder: folder(id),
            meeting: Meeting { own: place(id), siblings: siblings.map(place).collect() },
            replace: flags.replace,
            run_dir: run_dir.clone(),
            fetched_keys: folder(id).join("keys"),
            development,
            spec,
        })))
    }
}
