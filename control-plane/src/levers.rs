//! What people can do, apart from how they ask: the API and the console call the same functions.
//!
//! Each lever is checked against [`safety`](crate::decide::safety), written into the audit log before
//! and after, and refused if what it rests on has changed.

pub mod freeze;
pub mod history;
pub mod operation;
pub mod preview;
pub mod region;

use client::etcd::{EtcdError, Heard};
use runtime::Problem;
use tokio::time::Instant;

use crate::api::{Api, error};
use crate::decide::safety::Broken;
use crate::decide::{Fact, State};
use crate::store::etcd::patiently;

/// Returns what is known, with etcd read just now: what one control plane has written a moment ago,
/// another must not overlook.
pub(crate) async fn fresh(api: &Api) -> Result<State, Problem> {
    // From a majority: a change that was heard of is not what counts here.
    let nothing_heard = Heard::default();
    let reading = asked(|| api.store.read(&nothing_heard)).await?;
    let mut state = State::clone(&api.state.borrow());
    // What it shows to be broken is told where it is read all the time.
    drop(state.saw(Fact::Read(reading), Instant::now()));
    Ok(state)
}

/// Asks etcd for a while, and then says that it does not answer.
pub(crate) async fn asked<T, F>(ask: impl FnMut() -> F) -> Result<T, Problem>
where
    F: Future<Output = Result<T, EtcdError>>,
{
    patiently(ask).await.map_err(|err| error::etcd_unreachable(&err))
}

/// Refuses a plan that breaks a rule that was not overridden, naming all of them.
pub(crate) fn permitted(broken: &[Broken], overridden: &[String]) -> Result<(), Problem> {
    let broken: Vec<&Broken> =
        broken.iter().filter(|broken| !broken.is_overridden(overridden)).collect();
    broken.first().map_or(Ok(()), |first| Err(error::broken(first, &broken)))
}
