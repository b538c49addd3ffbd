//! What a signal to another process may come to.

pub(crate) use runtime::process::Process;
use rustix::process::Signal;

/// Sends a signal, unless the process is gone already.
pub(crate) fn signal(process: Process, signal: Signal) {
    if let Err(err) = process.signal(signal) {
        tracing::debug!(pid = process.pid, error = %err, "process not signalled");
    }
}

pub(crate) fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}
