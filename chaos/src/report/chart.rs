//! Every request as a dot: when it was due, how long it took, what became of it. Inline SVG, one
//! band per cell, on one time axis with the fault shaded.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::time::Duration;

use topology::CellId;

use super::html::escape;
use crate::course::Course;
use crate::history::{Kind, Operation, Outcome};

const WIDTH: f64 = 960.0;
const LEFT: f64 = 64.0;
const RIGHT: f64 = 12.0;
const BAND: f64 = 150.0;
const GAP: f64 = 26.0;
/// The latency axis: from a millisecond to the longest anybody waits, logarithmic.
const FROM_MS: f64 = 1.0;
const TO_MS: f64 = 20_000.0;

pub(super) fn chart(course: &Course) -> String {
    let affected = course.affected();
    let cells: BTreeSet<&CellId> = course.users.iter().map(|user| &user.cell).collect();
    // Those the fault was aimed at come first: that is what one looks for.
    let mut cells: Vec<&CellId> = cells.into_iter().collect();
    cells.sort_by_key(|cell| (!affected.contains(*cell), *cell));
    let end = course.operations.iter().map(|op| op.ended).max().unwrap_or(Duration::from_secs(1));
    let axis = Axis { end: end.as_secs_f64().max(1.0) };
    let height = f64::from(u32::try_from(cells.len()).unwrap_or(0)) * (BAND + GAP) + 24.0;

    let mut svg = format!(
        "<svg viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" \
         aria-label=\"latency of every request over time\">\n"
    );
    let mut top = GAP - 4.0;
    for cell in cells {
        let hit = if affected.contains(cell) { " — the fault was aimed at it" } else { "" };
        let label = escape(&format!("{cell}{hit}"));
        line(
            &mut svg,
            &format!("<text x=\"{LEFT}\" y=\"{}\" class=\"cell\">{label}</text>", top - 8.0),
        );
        band(&mut svg, &axis, course, cell, top);
        top += BAND + GAP;
    }
    time_axis(&mut svg, &axis, top - GAP);
    svg.push_str("</svg>\n");
    svg
}

struct Axis {
    /// The last answer, in seconds.
    end: f64,
}

impl Axis {
    fn x(&self, at: Duration) -> f64 {
        LEFT + at.as_secs_f64() / self.end * (WIDTH - LEFT - RIGHT)
    }
}

fn y(top: f64, latency: Duration) -> f64 {
    let millis = (latency.as_secs_f64() * 1000.0).clamp(FROM_MS, TO_MS);
    top + BAND - (millis / FROM_MS).ln() / (TO_MS / FROM_MS).ln() * BAND
}

fn band(svg: &mut String, axis: &Axis, course: &Course, cell: &CellId, top: f64) {
    let (left, width) = (LEFT, WIDTH - LEFT - RIGHT);
    line(
        svg,
        &format!(
            "<rect x=\"{left}\" y=\"{top}\" width=\"{width}\" height=\"{BAND}\" class=\"frame\"/>"
        ),
    );
    if let Some(begun) = course.begun() {
        let from = axis.x(begun);
        let until = course.healed.map_or(WIDTH - RIGHT, |healed| axis.x(healed));
        line(
            svg,
            &format!(
                "<rect x=\"{from:.1}\" y=\"{top}\" width=\"{:.1}\" height=\"{BAND}\" class=\"fault\"/>",
                (until - from).max(1.0)
            ),
        );
    }
    for (millis, label) in [(10, "10 ms"), (100, "100 ms"), (1000, "1 s"), (10_000, "10 s")] {
        let y = y(top, Duration::from_millis(millis));
        let right = WIDTH - RIGHT;
        line(
            svg,
            &format!(
                "<line x1=\"{left}\" x2=\"{right}\" y1=\"{y:.1}\" y2=\"{y:.1}\" class=\"grid\"/>\
             <text x=\"{}\" y=\"{:.1}\" class=\"tick\" text-anchor=\"end\">{label}</text>",
                left - 6.0,
                y + 3.0
            ),
        );
    }
    for event in course.events.iter().filter(|event| event.cell == *cell) {
        let x = axis.x(event.at);
        let told = escape(&format!(
            "{:.2} s: {} {} epoch {} {}",
            event.at.as_secs_f64(),
            event.name,
            event.region.as_ref().map_or_else(String::new, ToString::to_string),
            event.epoch,
            event.evidence
        ));
        line(
            svg,
            &format!(
                "<line x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{top}\" y2=\"{:.1}\" class=\"event {}\">\
             <title>{told}</title></line>",
                top + BAND,
                escape(&event.name)
            ),
        );
    }
    for operation in course.operations.iter().filter(|op| course.cell_of(op) == cell) {
        dot(svg, axis, top, operation);
    }
}

fn dot(svg: &mut String, axis: &Axis, top: f64, operation: &Operation) {
    let (class, told) = match &operation.outcome {
        Outcome::Ok(_) => (operation.kind.name(), None),
        Outcome::Fail(failure) => ("fail", Some(failure)),
        Outcome::Unknown(failure) => ("unknown", Some(failure)),
    };
    let (x, y) = (axis.x(operation.intended), y(top, operation.latency()));
    match told {
        None => {
            line(
                svg,
                &format!("<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"1.6\" class=\"{class}\"/>"),
            );
        }
        Some(failure) => {
            let kind = match operation.kind {
                Kind::Ticket => "ticket",
                Kind::Message => "message",
            };
            let told = escape(&format!("{kind} {}: {failure}", operation.number));
            line(
                svg,
                &format!(
                    "<path d=\"M{:.1} {:.1}l5 5m0 -5l-5 5\" class=\"{class}\"><title>{told}</title></path>",
                    x - 2.5,
                    y - 2.5
                ),
            );
        }
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "seconds of a run that lasted minutes"
)]
fn time_axis(svg: &mut String, axis: &Axis, bottom: f64) {
    let step = if axis.end > 90.0 { 10 } else { 5 };
    for second in (0..=axis.end as u64).step_by(step) {
        let x = axis.x(Duration::from_secs(second));
        line(
            svg,
            &format!(
                "<text x=\"{x:.1}\" y=\"{:.1}\" class=\"tick\" text-anchor=\"middle\">{second} s</text>",
                bottom + 16.0
            ),
        );
    }
}

fn line(svg: &mut String, element: &str) {
    writeln!(svg, "{element}").expect("a string takes any text");
}
