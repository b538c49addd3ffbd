//! The control socket: one request a connection, one answer.

use std::fs::{self, Permissions};
use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use anyhow::Context as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use topology::wire::wan::{Answer, Request, SOCKET};
use tracing::{debug, warn};

use super::switch::Asked;
use crate::run_dir::RunDir;

/// Whoever needs longer holds up the others: they are answered one by one.
const PATIENCE: Duration = Duration::from_secs(2);
/// A policy with all it may have is a tenth of it.
const REQUEST_MAX: u64 = 64 * 1024;
/// Only who runs the platform may break it.
const MODE: u32 = 0o600;

pub(super) struct Control(UnixListener);

impl Control {
    pub(super) fn listen(run_dir: &RunDir) -> anyhow::Result<Self> {
        let path = run_dir.path().join(SOCKET);
        // The supervisor has one WAN at a time: a socket that is there is of one that has ended.
        match fs::remove_file(&path) {
            Err(err) if err.kind() != ErrorKind::NotFound => {
                return Err(err).with_context(|| format!("remove {}", path.display()));
            }
            Ok(()) | Err(_) => {}
        }
        let listener =
            UnixListener::bind(&path).with_context(|| format!("listen on {}", path.display()))?;
        fs::set_permissions(&path, Permissions::from_mode(MODE))
            .with_context(|| format!("close {} to others", path.display()))?;
        Ok(Self(listener))
    }

    pub(super) async fn run(
        self,
        ask: mpsc::Sender<Asked>,
        stop: CancellationToken,
    ) -> anyhow::Result<()> {
        loop {
            let accepted = tokio::select! {
                () = stop.cancelled() => return Ok(()),
                accepted = self.0.accept() => accepted,
            };
            let (stream, _) = accepted.context("accept a request")?;
            match timeout(PATIENCE, serve(stream, &ask)).await {
                Ok(Ok(())) => {}
                Ok(Err(err)) => debug!(error = format!("{err:#}"), "request not answered"),
                Err(_) => warn!("request given up: its sender is too slow"),
            }
        }
    }
}

async fn serve(mut stream: UnixStream, ask: &mpsc::Sender<Asked>) -> anyhow::Result<()> {
    let mut text = Vec::new();
    (&mut stream).take(REQUEST_MAX).read_to_end(&mut text).await.context("read a request")?;
    let answer = match serde_json::from_slice::<Request>(&text) {
        Ok(request) => {
            let (answer, told) = oneshot::channel();
            ask.send(Asked { request, answer }).await.context("ask the switch: it has ended")?;
            told.await.context("hear the switch: it has ended")?
        }
        Err(err) => Answer { problems: vec![format!("not a request: {err}")], ..Answer::default() },
    };
    let text = serde_json::to_vec(&answer).context("write an answer as JSON")?;
    stream.write_all(&text).await.context("answer")?;
    stream.shutdown().await.context("end the answer")
}
