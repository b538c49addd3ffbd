//! The emulated WAN of a platform: what is done to its packets, and how it looks from one of its
//! ends.

use std::fs::File;
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, bail};
use nix::sched::{CloneFlags, setns};
use tokio::sync::oneshot;
use topology::spec::End;
use topology::wire::fleet::Fleet;
use topology::wire::wan::{Answer, InForce, Policy, Request, SOCKET};

/// It answers between two packets.
const PATIENCE: Duration = Duration::from_secs(2);
/// What it says of all its policies is a tenth of it.
const ANSWER_MAX: u64 = 1 << 20;

/// What a platform needs for any of this.
pub(crate) const WITHOUT: &str =
    "this platform is on no emulated WAN; start it with `platform up --wan`";

/// Returns where a platform's WAN is talked to.
pub(crate) fn socket(run_dir: &Path) -> PathBuf {
    run_dir.join(SOCKET)
}

/// Returns whether anybody answers there. That one may not ask is no sign that nobody does.
pub(crate) fn is_there(socket: &Path) -> anyhow::Result<bool> {
    match UnixStream::connect(socket) {
        Ok(_) => Ok(true),
        Err(err) if matches!(err.kind(), ErrorKind::NotFound | ErrorKind::ConnectionRefused) => {
            Ok(false)
        }
        Err(err) => Err(err).with_context(|| format!("connect to {}", socket.display())),
    }
}

/// Puts a policy in force, until its time is over or it is lifted.
pub(crate) fn set(socket: &Path, policy: Policy) -> anyhow::Result<()> {
    ask(socket, &Request::Set(policy)).map(|_| ())
}

/// Takes a policy away; that it is there no more is no mistake.
pub(crate) fn lift(socket: &Path, id: &str) -> anyhow::Result<()> {
    ask(socket, &Request::Lift { id: id.to_owned() }).map(|_| ())
}

/// Returns what is in force.
pub(crate) fn policies(socket: &Path) -> anyhow::Result<Vec<InForce>> {
    ask(socket, &Request::List {}).map(|answer| answer.policies)
}

fn ask(socket: &Path, request: &Request) -> anyhow::Result<Answer> {
    let mut stream = UnixStream::connect(socket)
        .with_context(|| format!("connect to {}: {WITHOUT}", socket.display()))?;
    let text = serde_json::to_vec(request).context("write a request")?;
    let asked = stream
        .set_read_timeout(Some(PATIENCE))
        .and_then(|()| stream.set_write_timeout(Some(PATIENCE)))
        .and_then(|()| stream.write_all(&text))
        .and_then(|()| stream.shutdown(Shutdown::Write));
    asked.context("ask the emulated WAN")?;
    let mut text = Vec::new();
    stream.take(ANSWER_MAX).read_to_end(&mut text).context("hear the emulated WAN")?;
    let answer: Answer = serde_json::from_slice(&text).context("understand the emulated WAN")?;
    if answer.problems.is_empty() {
        return Ok(answer);
    }
    bail!("have the emulated WAN do it: {}", answer.problems.join("; "))
}

/// Does something in the network of an end, in a thread of its own that ends there.
pub(crate) async fn inside<T: Send + 'static>(
    fleet: &Fleet,
    end: &End,
    what: impl FnOnce() -> anyhow::Result<T> + Send + 'static,
) -> anyhow::Result<T> {
    let path = fleet.namespaces.get(&end.to_string());
    let path = path.with_context(|| format!("find the network of {end}: {WITHOUT}"))?;
    let file = File::open(path).with_context(|| format!("open {path}"))?;
    let (tell, told) = oneshot::channel();
    thread::spawn(move || {
        let done = setns(file, CloneFlags::CLONE_NEWNET).context("enter it").and_then(|()| what());
        if tell.send(done).is_err() {
            tracing::debug!("nobody waits for it any more");
        }
    });
    told.await
        .context("wait for a thread: it panicked")?
        .with_context(|| format!("look from {end}"))
}
