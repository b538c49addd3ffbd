//! What people can do, apart from how they ask: the API and the console call the same functions.
//!
//! Each lever is checked against [`safety`](crate::decide::safety), written into the audit log before
//! and after, and refused if what it rests on has changed.

pub mod at_once;
mod begin;
pub mod failover;
pub mod freeze;
pub mod history;
pub mod operation;
pub mod preview;
pub mod region;
pub mod request;
pub mod switchover;

use std::time::Duration;

use client::etcd::{EtcdError, Heard};
use runtime::json_body::invalid;
use runtime::{Problem, clock};
use tokio::time::{Instant, timeout};
use topology::Spec;
use topology::spec::Closed;
use tracing::debug;

use crate::api::{Api, error};
use crate::decide::operation::Goal;
use crate::decide::plan::{Plan, plan};
use crate::decide::safety::{Broken, Rule};
use crate::decide::{Fact, State};
use crate::store::etcd::patiently;

/// How long etcd may take for what can be told without it, or in part, while it is known not to answer: who
/// looks then shall not wait for each page.
const GLANCE: Duration = Duration::from_millis(500);

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

/// Returns what a goal comes to, and whether that may begin at this moment.
pub(crate) fn planned(goal: &Goal, state: &State, spec: &Spec) -> Plan {
    let mut plan = plan(goal, state, spec, Instant::now());
    plan.broken.extend(outside_window(spec, clock::unix_millis()));
    plan
}

/// Returns whether planned moves may not begin now. What has begun goes on, and what a loss makes
/// necessary is never held.
fn outside_window(spec: &Spec, unix_ms: u64) -> Option<Broken> {
    let Closed { opens_unix_ms } = spec.change_windows.closed_at(unix_ms)?;
    let opens = clock::utc(opens_unix_ms);
    let detail = format!("the next change window opens at {opens} of {}", spec.change_windows);
    Some(Broken { rule: Rule::OutsideWindow, detail })
}

/// Asks etcd for a while, and then says that it does not answer.
pub(crate) async fn asked<T, F>(ask: impl FnMut() -> F) -> Result<T, Problem>
where
    F: Future<Output = Result<T, EtcdError>>,
{
    patiently(ask).await.map_err(|err| error::etcd_unreachable(&err))
}

/// Asks etcd for what can be told without it, too: for a while where it was read a moment ago, and otherwise
/// only once and briefly.
pub(crate) async fn glanced<T, F>(state: &State, mut ask: impl FnMut() -> F) -> Result<T, Problem>
where
    F: Future<Output = Result<T, EtcdError>>,
{
    let answer = if state.is_fresh(Instant::now()) {
        asked(ask).await
    } else {
        match timeout(GLANCE, ask()).await {
            Ok(answer) => answer.map_err(|err| error::etcd_unreachable(&err)),
            Err(_) => Err(error::etcd_silent(GLANCE)),
        }
    };
    // Whoever asks goes on without it, and the answer does not say why.
    if let Err(problem) = &answer {
        debug!(error = problem.detail, "what etcd has is not told, or only as it is remembered");
    }
    answer
}

/// Refuses a plan that breaks a rule that was not overridden, naming all of them.
pub(crate) fn permitted(broken: &[Broken], overridden: &[String]) -> Result<(), Problem> {
    let broken: Vec<&Broken> =
        broken.iter().filter(|broken| !broken.is_overridden(overridden)).collect();
    broken.first().map_or(Ok(()), |first| Err(error::broken(first, &broken)))
}

/// A rule is overridden by somebody who names it and says why.
pub(crate) fn may_override(names: &[String], reason: Option<&str>) -> Result<(), Problem> {
    let may = Rule::ALL.into_iter().filter(|rule| rule.may_be_overridden());
    let may: Vec<&str> = may.map(Rule::code).collect();
    if let Some(name) = names.iter().find(|name| !may.contains(&name.as_str())) {
        let why = format!("{name:?} is none of {}", may.join(", "));
        return Err(invalid("/override", &why));
    }
    if !names.is_empty() && reason.is_none() {
        return Err(invalid("/reason", "overriding a rule takes a reason"));
    }
    Ok(())
}
