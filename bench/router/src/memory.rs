//! What connections cost that do nothing.

use anyhow::Context as _;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::load::{Connection, Requests};
use crate::proxy::Proxy;

pub(crate) const IDLE: usize = 10_000;

/// A proxy's memory, in bytes.
pub(crate) struct Memory {
    pub(crate) before: u64,
    pub(crate) idle: u64,
}

/// Opens many connections, each for one request, and looks at the memory while all are idle.
pub(crate) fn measure(proxy: &Proxy, requests: &Requests) -> anyhow::Result<Memory> {
    let before = proxy.process.memory()?;
    let mut open = Vec::with_capacity(IDLE);
    for turn in 0..IDLE {
        let mut connection = Connection::open(proxy.address)
            .with_context(|| format!("open connection {turn} of {IDLE}"))?;
        connection.ask(requests.of(turn))?;
        open.push(connection.idle());
    }
    Ok(Memory { before, idle: proxy.process.memory()? })
}

/// Each connection is a file of this process.
pub(crate) fn raise_file_limit() -> anyhow::Result<()> {
    let maximum = getrlimit(Resource::Nofile).maximum;
    setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum })
        .map_err(anyhow::Error::from)
        .context("raise the limit of open files")
}
