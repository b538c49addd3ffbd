//! Levers: first what one would do, then, if that is still so, the deed.
//!
//! Both are asked of the API. The plan that was looked at is named by its tag and confirmed once, by a
//! key, so that neither a change meanwhile nor a second click does something that nobody saw.

mod catalogue;
mod freeze;
mod loss;

use askama::Template;
use axum::extract::{Extension, Form, Query, State};
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse as _, Redirect, Response};
use runtime::Problem;
use serde::Deserialize;
use serde_json::json;
use tokio::time::Instant;

use self::catalogue::Lever;
use self::loss::AtStake;
use super::Console;
use super::call::call;
use super::frame::Frame;
use super::held::Held;
use super::page::{Reader, failed, form_expired, missing, told};
use super::session::nonce;
use super::texts::{Texts, fill};
use super::words::{Mark, Tone, grouped, percent};
use crate::api::problem;
use crate::levers::freeze::FOR_MAX_S;
use crate::levers::preview::Preview as Plan;
use crate::levers::request::REASON_MAX;

#[derive(Template)]
#[template(path = "console/lever.html")]
struct Preview<'a> {
    t: &'a Texts,
    lever: &'a Lever,
    /// The freeze that holds, where the lever is about it.
    held: Option<Held>,
    title: String,
    action: String,
    back: String,
    back_text: String,
    /// Where a cell goes.
    to: String,
    effect: &'static str,
    confirm: String,
    reason_max: usize,
    freeze_max_s: u64,
    /// What the API says it would do; missing where it refuses to say.
    plan: Option<Shown>,
    /// What came of it, or why it cannot be looked at.
    problem: Option<String>,
    /// Whoever is signed in may not accept what it takes.
    takes_more: bool,
    form_token: String,
    key: String,
}

/// A plan in words.
struct Shown {
    allowed: bool,
    broken: Vec<Stands>,
    affected: String,
    pause: String,
    /// The operations that wait, or go on; only of a freeze.
    operations: Option<freeze::Operations>,
    moves: Vec<MoveRow>,
    headroom: Vec<HeadroomRow>,
    /// What a failover could lose.
    stake: Option<AtStake>,
    etag: String,
}

impl Shown {
    fn must_accept(&self) -> bool {
        self.stake.as_ref().is_some_and(|stake| stake.must_accept)
    }
}

struct Stands {
    rule: String,
    detail: String,
}

struct MoveRow {
    wave: usize,
    cell: String,
    from: String,
    to: String,
    epoch: u64,
}

struct HeadroomRow {
    region: String,
    now: String,
    after: Mark,
}

#[derive(Deserialize)]
pub(super) struct Target {
    to: Option<String>,
}

#[derive(Deserialize)]
pub(super) struct Confirmed {
    #[serde(default)]
    to: Option<String>,
    etag: String,
    key: String,
    form_token: String,
    #[serde(default)]
    reason: String,
    #[serde(default)]
    wave_pause_s: Option<u64>,
    /// Empty if it shall last.
    #[serde(default)]
    for_s: String,
    /// There if it was ticked.
    #[serde(default)]
    accept_data_loss: Option<String>,
}

/// Shows what a lever would do.
pub(super) async fn preview(
    State(console): State<Console>,
    Extension(reader): Extension<Reader>,
    uri: Uri,
    Query(target): Query<Target>,
) -> Response {
    let Some(lever) = Lever::from_path(uri.path(), target.to.as_deref()) else {
        return missing(&console, &reader);
    };
    if reader.caller.role < lever.role() {
        let t = reader.t();
        let why = if reader.may_operate() { t.freeze_takes_an_admin } else { t.viewer };
        let problem = Problem::new(403, "role-insufficient", why);
        return failed(&console, &reader, &lever.page(), &problem);
    }
    page(&console, &reader, &lever, None, StatusCode::OK).await
}

/// Does it, if it is still what was shown.
pub(super) async fn confirm(
    State(console): State<Console>,
    Extension(reader): Extension<Reader>,
    uri: Uri,
    Form(confirmed): Form<Confirmed>,
) -> Response {
    let Some(lever) = Lever::from_path(uri.path(), confirmed.to.as_deref()) else {
        return missing(&console, &reader);
    };
    if !console.key.is_form_token(&reader.session, &confirmed.form_token) {
        return failed(&console, &reader, &lever.page(), &form_expired(&reader));
    }
    let (method, path) = lever.call();
    let headers =
        [("if-match", confirmed.etag.clone()), ("idempotency-key", confirmed.key.clone())];
    let asked = lever.asked(Some(&confirmed));
    match call(&console, &reader, method, &path, &headers, &asked).await {
        Ok(_) if lever.goes_on() => Redirect::to("/console/operations").into_response(),
        Ok(_) => Redirect::to(&lever.page().path()).into_response(),
        Err(problem) if problem.status == 403 => failed(&console, &reader, &lever.page(), &problem),
        Err(problem) => {
            let t = reader.t();
            let said =
                if problem.status == 412 { t.changed_since.to_owned() } else { told(&problem) };
            let status = StatusCode::from_u16(problem.status).unwrap_or(StatusCode::CONFLICT);
            page(&console, &reader, &lever, Some(said), status).await
        }
    }
}

async fn page(
    console: &Console,
    reader: &Reader,
    lever: &Lever,
    problem: Option<String>,
    status: StatusCode,
) -> Response {
    let t = reader.t();
    let (plan, refusal) = match looked_at(console, reader, lever).await {
        Ok(plan) => (Some(plan), None),
        Err(problem) => (None, Some(told(&problem))),
    };
    let title = lever.title(console, t);
    let parent = lever.page();
    let to = match lever {
        Lever::Switchover { to, .. } => to.to_string(),
        Lever::Failover(_)
        | Lever::Evacuate(_)
        | Lever::Restore(_)
        | Lever::Drain(_)
        | Lever::Undrain(_)
        | Lever::RetireSite(_)
        | Lever::AddSite(_)
        | Lever::Freeze
        | Lever::Unfreeze => String::new(),
    };
    let takes_more = plan.as_ref().is_some_and(Shown::must_accept) && !reader.may_lose_data();
    let known = console.state.borrow().clone();
    let preview = Preview {
        t,
        lever,
        held: Held::of(&known, Instant::now()).filter(|_| lever.is_of_the_platform()),
        title: title.clone(),
        action: format!("/console{}", lever.path()),
        back: parent.path(),
        back_text: parent.title(t, &console.spec),
        to,
        effect: lever.effect(t),
        confirm: lever.confirm(console, t),
        reason_max: REASON_MAX,
        freeze_max_s: FOR_MAX_S,
        plan,
        problem: problem.or(refusal),
        takes_more,
        form_token: console.key.form_token(&reader.session),
        key: nonce(),
    };
    Frame::still(console, reader, &title, &parent).answer(status, preview.render())
}

/// Returns what a lever would do, as the API says. An election that is held again and again is ended only
/// by accepting data loss: that is then what is looked at, and told.
async fn looked_at(console: &Console, reader: &Reader, lever: &Lever) -> Result<Shown, Problem> {
    let (method, path) = lever.call();
    let path = format!("{path}?dry_run=true");
    let ask = async |body| call(console, reader, method, &path, &[], &body).await;
    let mut answer = ask(lever.asked(None)).await;
    let mut is_forced = false;
    if let (Lever::Failover(_), Err(refusal)) = (lever, &answer)
        && problem::is_ended_by_force(refusal)
        && reader.may_lose_data()
    {
        is_forced = true;
        answer = ask(json!({ "accept_data_loss": true })).await;
    }
    let plan: Plan = serde_json::from_value(answer?).map_err(|err| {
        Problem::new(500, "internal", "The plan was not understood").detail(err.to_string())
    })?;
    match freeze::in_vain(reader.t(), lever, plan.freeze.as_ref()) {
        Some(problem) => Err(problem),
        None => Ok(shown(console, reader.t(), lever, plan, is_forced)),
    }
}

fn shown(console: &Console, t: &Texts, lever: &Lever, plan: Plan, is_forced: bool) -> Shown {
    let moves = plan.moves.iter().map(|planned| MoveRow {
        wave: planned.wave + 1,
        cell: planned.cell.clone(),
        from: console.region_name(&planned.from),
        to: console.region_name(&planned.to),
        epoch: planned.epoch,
    });
    let headroom = plan.headroom.iter().filter_map(|(region, headroom)| {
        let (now, after) = (headroom.free_percent?, headroom.free_percent_after?);
        let tone = match after {
            20.. => Tone::Good,
            0..20 => Tone::Warn,
            _ => Tone::Bad,
        };
        Some(HeadroomRow {
            region: console.region_name(region),
            now: format!("{now} %"),
            after: Mark::new(tone, format!("{after} %")),
        })
    });
    Shown {
        allowed: plan.allowed,
        affected: affected(t, &plan),
        pause: pause(t, &plan),
        operations: plan.freeze.as_ref().map(|freeze| freeze::operations(t, lever, freeze)),
        moves: moves.collect(),
        headroom: headroom.collect(),
        stake: plan.loss.as_ref().map(|loss| AtStake::of(console, t, loss, is_forced)),
        broken: plan
            .broken
            .into_iter()
            .map(|broken| Stands { rule: broken.rule, detail: broken.detail })
            .collect(),
        etag: plan.etag,
    }
}

fn affected(t: &Texts, plan: &Plan) -> String {
    if let Some(freeze) = &plan.freeze {
        return freeze::affected(t, freeze);
    }
    let slots = plan.blast_radius.slots;
    let values = [
        ("cells", plan.blast_radius.cells.join(", ")),
        ("percent", percent(slots)),
        ("slots", grouped(slots as u64)),
    ];
    let values: Vec<(&str, &str)> =
        values.iter().map(|(name, text)| (*name, text.as_str())).collect();
    fill(t.affected_of, &values)
}

/// How long the requests of those who are concerned wait.
fn pause(t: &Texts, plan: &Plan) -> String {
    if let Some(freeze) = &plan.freeze {
        return freeze::pause(t, freeze);
    }
    match &plan.expected {
        expected if plan.loss.is_some() => loss::pause(t, expected.as_ref()),
        _ if plan.moves.is_empty() => t.pause_none.to_owned(),
        None => t.pause_unknown.to_owned(),
        Some(expected) => {
            let median = expected.hold_ms.unwrap_or(expected.took_ms);
            let worst = expected.longest_hold_ms.unwrap_or(median);
            fill(
                t.pause_of,
                &[
                    ("median", &median.to_string()),
                    ("worst", &worst.to_string()),
                    ("count", &expected.moves.to_string()),
                ],
            )
        }
    }
}
