//! Operations: how far each is, wave by wave, and taking one back.

use askama::Template;
use axum::extract::{Extension, Form, Path, State};
use axum::response::{IntoResponse as _, Redirect, Response};
use runtime::Problem;
use serde::Deserialize;
use serde_json::{Value, json};

use super::Console;
use super::call::call;
use super::held::Held;
use super::overview::unread_since;
use super::page::{Page, Reader, Scene, failed, form_expired};
use super::texts::{Texts, fill};
use super::words::{Mark, Moment, Tone, duration};

/// Operations shown in full; of the others the API tells.
const SHOWN: usize = 20;

#[derive(Template)]
#[template(path = "console/operations.html")]
pub(super) struct OperationsPage<'a> {
    t: &'a Texts,
    unread_since: Option<Moment>,
    held: Option<Held>,
    operations: Vec<Shown>,
    /// Whether those that have ended are among them.
    with_ended: bool,
    may_operate: bool,
    may_freeze: bool,
    form_token: String,
}

struct Shown {
    id: String,
    title: String,
    status: Mark,
    /// Why it failed, or what it waits for.
    detail: String,
    who: String,
    reason: String,
    /// Who took it back.
    cancelled_by: String,
    asked: Moment,
    ended: Option<Moment>,
    eta: String,
    steps_ended: usize,
    steps: usize,
    waves: Vec<Vec<StepShown>>,
    /// Whether it may still be cancelled.
    goes_on: bool,
}

struct StepShown {
    what: String,
    state: Mark,
    /// How long it took, or what is tried.
    detail: String,
    /// Why it came to that, in the words of its executor.
    why: String,
}

/// What the API says of an operation, as far as it is shown.
#[derive(Debug, Deserialize)]
struct Operation {
    id: String,
    kind: String,
    #[serde(default)]
    cell: Option<String>,
    #[serde(default)]
    region: Option<String>,
    status: String,
    #[serde(default)]
    why: Option<String>,
    who: String,
    asked_unix_ms: u64,
    #[serde(default)]
    reason: Option<String>,
    #[serde(default)]
    cancelled_by: Option<String>,
    #[serde(default)]
    waits_for: Option<String>,
    steps_ended: usize,
    steps: usize,
    #[serde(default)]
    eta_ms: Option<u64>,
    #[serde(default)]
    ended_unix_ms: Option<u64>,
    waves: Vec<Vec<Step>>,
}

#[derive(Debug, Deserialize)]
struct Step {
    #[serde(rename = "do")]
    what: String,
    #[serde(default)]
    cell: Option<String>,
    #[serde(default)]
    from: Option<String>,
    #[serde(default)]
    to: Option<String>,
    state: String,
    #[serde(default)]
    attempt: Option<u32>,
    #[serde(default)]
    took_ms: Option<u64>,
    #[serde(default)]
    hold_ms: Option<u64>,
    #[serde(default)]
    why: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Listed {
    data: Vec<Operation>,
    with_ended: bool,
}

impl<'a> OperationsPage<'a> {
    /// Asks the API.
    pub(super) async fn read(scene: &Scene<'a>, reader: &Reader) -> Result<Self, Problem> {
        let path = "/v1/operations";
        let answer = call(scene.console, reader, "GET", path, &[], &Value::Null).await?;
        let Listed { mut data, with_ended } = understood(answer)?;
        data.sort_by_key(|operation| std::cmp::Reverse(operation.asked_unix_ms));
        Ok(Self {
            t: scene.t,
            unread_since: unread_since(scene),
            held: Held::of(scene.known, scene.now),
            operations: data
                .into_iter()
                .take(SHOWN)
                .map(|operation| shown(scene, operation))
                .collect(),
            with_ended,
            may_operate: scene.may_operate,
            may_freeze: reader.may_freeze(),
            form_token: scene.console.key.form_token(&reader.session),
        })
    }
}

fn understood(answer: Value) -> Result<Listed, Problem> {
    serde_json::from_value(answer).map_err(|err| {
        Problem::new(500, "internal", "The API was not understood").detail(err.to_string())
    })
}

fn shown(scene: &Scene<'_>, operation: Operation) -> Shown {
    let t = scene.t;
    let about = operation.region.as_deref().unwrap_or_default();
    let region = scene.region_name(about);
    let cell = operation.cell.as_deref().unwrap_or_default();
    let site = format!("{cell}@{about}");
    let title = match operation.kind.as_str() {
        "evacuate" => fill(t.evacuate_title, &[("region", &region)]),
        "restore" => fill(t.restore_title, &[("region", &region)]),
        "drain" => fill(t.drain_title, &[("region", &region)]),
        "undrain" => fill(t.undrain_title, &[("region", &region)]),
        "retire-site" => fill(t.retire_title, &[("site", &site)]),
        "add-site" => fill(t.add_title, &[("site", &site)]),
        "switchover" => fill(t.move_title, &[("cell", cell), ("to", &region)]),
        "failover" => fill(t.failover_title, &[("cell", cell)]),
        other => format!("{other}: {region}"),
    };
    let status = status(t, &operation);
    let eta = operation.eta_ms.map(std::time::Duration::from_millis).map(duration);
    Shown {
        title,
        status,
        goes_on: operation.status == "running" && operation.cancelled_by.is_none(),
        detail: operation.why.or(operation.waits_for).unwrap_or_default(),
        who: operation.who,
        reason: operation.reason.unwrap_or_default(),
        cancelled_by: operation.cancelled_by.unwrap_or_default(),
        asked: Moment::at(operation.asked_unix_ms),
        ended: operation.ended_unix_ms.map(Moment::at),
        eta: eta.map_or_else(String::new, |eta| fill(t.eta_of, &[("time", &eta)])),
        steps_ended: operation.steps_ended,
        steps: operation.steps,
        waves: operation
            .waves
            .into_iter()
            .map(|wave| wave.into_iter().map(|one| step(scene, one)).collect())
            .collect(),
        id: operation.id,
    }
}

/// What goes on and is cancelled, or waits, is told apart from what makes progress.
fn status(t: &Texts, operation: &Operation) -> Mark {
    match operation.status.as_str() {
        "running" if operation.cancelled_by.is_some() => Mark::new(Tone::Busy, t.cancelling),
        "running" if operation.waits_for.is_some() => Mark::new(Tone::Calm, t.waiting),
        "running" => Mark::new(Tone::Busy, t.running),
        "undoing" => Mark::new(Tone::Busy, t.undoing),
        "done" => Mark::new(Tone::Good, t.done),
        "cancelled" => Mark::new(Tone::Calm, t.cancelled),
        _ => Mark::new(Tone::Bad, t.failed),
    }
}

fn step(scene: &Scene<'_>, step: Step) -> StepShown {
    let t = scene.t;
    let named = step.to.as_deref().unwrap_or_default();
    let to = scene.region_name(named);
    let what = match (step.what.as_str(), &step.cell, &step.from) {
        ("move", Some(cell), Some(from)) => {
            fill(t.step_move, &[("cell", cell), ("from", &scene.region_name(from)), ("to", &to)])
        }
        ("drain", ..) => fill(t.step_drain, &[("region", &to)]),
        ("undrain", ..) => fill(t.step_undrain, &[("region", &to)]),
        ("retire", Some(cell), _) => fill(t.retire_title, &[("site", &format!("{cell}@{named}"))]),
        ("add", Some(cell), _) => fill(t.add_title, &[("site", &format!("{cell}@{named}"))]),
        ("elect", Some(cell), _) if named.is_empty() => fill(t.failover_title, &[("cell", cell)]),
        ("elect", Some(cell), _) => fill(t.failover_to, &[("cell", cell), ("to", &to)]),
        (other, ..) => other.to_owned(),
    };
    let state = match step.state.as_str() {
        "waiting" => Mark::new(Tone::Calm, t.waiting),
        "going" => Mark::new(Tone::Busy, t.running),
        "done" => Mark::new(Tone::Good, t.done),
        "skipped" => Mark::new(Tone::Calm, t.skipped),
        _ => Mark::new(Tone::Bad, t.failed),
    };
    let again = step.attempt.filter(|attempt| *attempt > 1);
    let detail = match (step.hold_ms, step.took_ms) {
        (Some(hold), _) => fill(t.held_for, &[("millis", &hold.to_string())]),
        (None, Some(took)) => format!("{took} ms"),
        (None, None) => again
            .map_or_else(String::new, |count| fill(t.attempt_of, &[("count", &count.to_string())])),
    };
    StepShown { what, state, detail, why: step.why.unwrap_or_default() }
}

#[derive(Deserialize)]
pub(super) struct Cancelling {
    form_token: String,
}

/// Takes an operation back. What has been moved stays where it is.
pub(super) async fn cancel(
    State(console): State<Console>,
    Extension(reader): Extension<Reader>,
    Path(id): Path<String>,
    Form(form): Form<Cancelling>,
) -> Response {
    if !console.key.is_form_token(&reader.session, &form.form_token) {
        return failed(&console, &reader, &Page::Operations, &form_expired(&reader));
    }
    let is_id = |char: char| char.is_ascii_alphanumeric() || "-_".contains(char);
    if !id.chars().all(is_id) {
        return super::page::missing(&console, &reader);
    }
    let path = format!("/v1/operations/{id}/cancel");
    match call(&console, &reader, "POST", &path, &[], &json!({})).await {
        Ok(_) => Redirect::to("/console/operations").into_response(),
        Err(problem) => failed(&console, &reader, &Page::Operations, &problem),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::console::language::Language;

    #[test]
    fn what_is_missing_without_etcd_is_not_taken_for_what_never_was() {
        let t = Language::English.texts();
        for (with_ended, expected) in [(true, t.no_operations), (false, t.none_went_on)] {
            let told = json!({ "data": [], "with_ended": with_ended });
            let Listed { data, with_ended } = understood(told).unwrap();
            assert!(data.is_empty());
            let page = OperationsPage {
                t,
                unread_since: None,
                held: None,
                operations: Vec::new(),
                with_ended,
                may_operate: false,
                may_freeze: false,
                form_token: String::new(),
            };
            let page = page.render().unwrap();
            let told = [t.no_operations, t.none_went_on, t.only_those_that_went_on];
            let told: Vec<_> = told.into_iter().filter(|text| page.contains(*text)).collect();
            assert_eq!(told, [expected]);
        }
    }

    #[test]
    fn every_state_of_an_operation_has_a_word_of_its_own() {
        let t = Language::English.texts();
        let mut words = Vec::new();
        for (more, expected) in [
            (json!({ "status": "running" }), t.running),
            (json!({ "status": "running", "waits_for": "c1 is not ready" }), t.waiting),
            (json!({ "status": "running", "cancelled_by": "otto" }), t.cancelling),
            (json!({ "status": "undoing", "cancelled_by": "otto" }), t.undoing),
            (json!({ "status": "cancelled", "cancelled_by": "otto" }), t.cancelled),
            (json!({ "status": "failed", "why": "c1 can go nowhere" }), t.failed),
            (json!({ "status": "done" }), t.done),
        ] {
            let mut told = json!({
                "id": "op-000001", "kind": "evacuate", "region": "east", "who": "otto",
                "asked_unix_ms": 1, "steps_ended": 0, "steps": 1, "waves": [],
            });
            told.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            assert_eq!(status(t, &serde_json::from_value(told).unwrap()).word, expected, "{more}");
            words.push(expected);
        }
        words.sort_unstable();
        words.dedup();
        assert_eq!(words.len(), 7);
    }
}
