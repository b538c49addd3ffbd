//! The lever of a planned move: first what it would do, then, if that is still so, the move.

use askama::Template;
use axum::extract::{Extension, Form, Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Redirect, Response};
use runtime::Problem;
use serde::Deserialize;
use serde_json::json;
use topology::{CellId, RegionId};

use super::Console;
use super::call::call;
use super::frame::Frame;
use super::page::{Page, Reader, failed, form_expired, missing, told};
use super::texts::{Texts, fill};
use super::words::{bytes, grouped, percent};
use crate::decide::switchover::check;

#[derive(Template)]
#[template(path = "console/switchover.html")]
struct Preview<'a> {
    t: &'a Texts,
    title: String,
    cell: String,
    to: String,
    /// The epoch that is looked at: the plan is for no other.
    epoch: u64,
    affected: String,
    pause: String,
    target: String,
    after: String,
    confirm: String,
    /// Why it would be refused, in the words of the API.
    refusal: Option<String>,
    /// What came of it, if it was tried.
    problem: Option<String>,
    form_token: String,
}

#[derive(Deserialize)]
pub(super) struct Target {
    to: String,
}

#[derive(Deserialize)]
pub(super) struct Confirmed {
    to: String,
    epoch: u64,
    form_token: String,
}

/// Shows what a planned move would do.
pub(super) async fn preview(
    State(console): State<Console>,
    Extension(reader): Extension<Reader>,
    Path(cell): Path<String>,
    Query(target): Query<Target>,
) -> Response {
    let Some((cell, to)) = place(&cell, &target.to) else { return missing(&console, &reader) };
    if !reader.may_operate() {
        return failed(&console, &reader, &Page::Cell(cell), &viewer(&reader));
    }
    page(&console, &reader, &cell, &to, None, StatusCode::OK).await
}

/// Moves the cell, if it is still as it was when the plan was shown.
pub(super) async fn confirm(
    State(console): State<Console>,
    Extension(reader): Extension<Reader>,
    Path(cell): Path<String>,
    Form(confirmed): Form<Confirmed>,
) -> Response {
    let t = reader.t();
    let Some((cell, to)) = place(&cell, &confirmed.to) else { return missing(&console, &reader) };
    if !console.key.is_form_token(&reader.session, &confirmed.form_token) {
        return failed(&console, &reader, &Page::Cell(cell), &form_expired(&reader));
    }
    let epoch =
        console.state.borrow().cells().get(&cell).map(|seen| seen.routed.activation.epoch.0);
    if reader.may_operate() && epoch != Some(confirmed.epoch) {
        let problem = Some(t.changed_since.to_owned());
        return page(&console, &reader, &cell, &to, problem, StatusCode::CONFLICT).await;
    }
    let path = format!("/v1/cells/{cell}/switchover");
    let headers = [("if-match", format!("\"{}\"", confirmed.epoch))];
    let asked = json!({ "to": to.as_str() });
    match call(&console, &reader, "POST", &path, &headers, &asked).await {
        Ok(_) => Redirect::to(&format!("/console/cells/{cell}")).into_response(),
        Err(problem) if problem.status == 403 => {
            failed(&console, &reader, &Page::Cell(cell), &problem)
        }
        Err(problem) => {
            let status = StatusCode::from_u16(problem.status).unwrap_or(StatusCode::CONFLICT);
            page(&console, &reader, &cell, &to, Some(told(&problem)), status).await
        }
    }
}

async fn page(
    console: &Console,
    reader: &Reader,
    cell: &CellId,
    to: &RegionId,
    problem: Option<String>,
    status: StatusCode,
) -> Response {
    let t = reader.t();
    let pause = pause(console, t).await;
    let state = std::sync::Arc::clone(&console.state.borrow());
    let Some(seen) = state.cells().get(cell) else { return missing(console, reader) };
    let activation = &seen.routed.activation;
    let checked = check(&state, cell, to);
    let (name, epoch) = (console.region_name(to.as_str()), activation.epoch.0);
    let from = activation.holder().map(|region| console.region_name(region.as_str()));
    let slots = state.placement().and_then(|placement| placement.shares().get(cell).copied());
    let slots = slots.unwrap_or(0);
    let lag = activation.holder().and_then(|active| {
        let report = state.site(cell, active);
        report.report()?.lag_bytes.get(to.as_str()).copied()
    });
    let cell = cell.to_string();
    let title = match &from {
        Some(from) => fill(t.move_title, &[("cell", &cell), ("from", from), ("to", &name)]),
        None => fill(t.move_title_unknown, &[("cell", &cell), ("to", &name)]),
    };
    let preview = Preview {
        t,
        title: title.clone(),
        epoch,
        affected: fill(
            t.affected_of,
            &[("percent", &percent(slots)), ("slots", &grouped(slots as u64))],
        ),
        pause,
        target: match lag {
            Some(0) => t.in_step.to_owned(),
            Some(lag) => fill(t.behind, &[("bytes", &bytes(lag))]),
            None => t.not_following.to_owned(),
        },
        after: fill(
            t.after_of,
            &[
                ("to", &name),
                ("epoch", &(epoch + 1).to_string()),
                ("from", from.as_deref().unwrap_or(t.unknown)),
            ],
        ),
        confirm: fill(t.confirm_move, &[("cell", &cell), ("to", &name)]),
        refusal: checked.err().map(|refusal| refusal.to_string()),
        problem,
        form_token: console.key.form_token(&reader.session),
        to: to.to_string(),
        cell,
    };
    let page = Page::Cell(preview.cell.parse().expect("it was one before"));
    Frame::still(console, reader, &title, &page).answer(status, preview.render())
}

/// Returns how long planned moves have taken here, from the audit log.
async fn pause(console: &Console, t: &Texts) -> String {
    let Ok(entries) = console.store.audit(200).await else { return t.unknown.to_owned() };
    let mut took: Vec<u64> = entries
        .iter()
        .filter(|(_, record)| record.what == "switchover")
        .filter_map(|(_, record)| record.outcome.as_ref()?.body["took_ms"].as_u64())
        .take(20)
        .collect();
    took.sort_unstable();
    let (Some(worst), Some(median)) = (took.last(), took.get(took.len() / 2)) else {
        return t.pause_unknown.to_owned();
    };
    let (median, worst, count) = (median.to_string(), worst.to_string(), took.len().to_string());
    fill(t.pause_of, &[("median", &median), ("worst", &worst), ("count", &count)])
}

fn place(cell: &str, to: &str) -> Option<(CellId, RegionId)> {
    Some((cell.parse().ok()?, to.parse().ok()?))
}

fn viewer(reader: &Reader) -> Problem {
    Problem::new(403, "role-insufficient", reader.t().viewer)
}
