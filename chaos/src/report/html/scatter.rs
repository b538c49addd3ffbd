//! Every request as a dot: when it was due, how long it took, what became of it; a band per cell.

use std::collections::BTreeSet;

use super::super::document::{Document, EventTold};
use super::super::points::{Look, Point};
use super::axis::{Axis, LEFT};
use super::latency;
use super::marks::{self, marks, room};
use super::{both, both_svg, escape, push};

const BAND: f64 = 150.0;
const GAP: f64 = 26.0;

pub(super) fn chart(document: &Document, points: &[Point], axis: &Axis) -> String {
    let cells: BTreeSet<&str> = points.iter().map(|point| point.cell.as_str()).collect();
    // Those the fault was aimed at come first: that is what one looks for.
    let mut cells: Vec<&str> = cells.into_iter().collect();
    cells.sort_by_key(|cell| (!document.was_hit(cell), *cell));
    let marked: Vec<_> = cells.into_iter().map(|cell| (cell, marks(document, &[cell]))).collect();
    let height: f64 = marked.iter().map(|(_, marks)| GAP + room(marks) + BAND).sum::<f64>() + 24.0;
    let mut svg = String::new();
    Axis::open(&mut svg, height, "latency of every request over time");
    let mut top = 0.0;
    for (cell, marks) in &marked {
        top += GAP;
        let hit = if document.was_hit(cell) {
            both_svg(" — the fault was aimed at it", " — 故障目标")
        } else {
            String::new()
        };
        let y = top - 8.0;
        push(
            &mut svg,
            &format!("<text x=\"{LEFT}\" y=\"{y}\" class=\"cell\">{}{hit}</text>", escape(cell)),
        );
        top += room(marks);
        Axis::frame(&mut svg, top, BAND);
        axis.shade(&mut svg, top, BAND);
        latency::grid(&mut svg, top, BAND);
        for event in document.events.iter().filter(|event| event.cell == *cell) {
            mark(&mut svg, axis, top, event);
        }
        for point in points.iter().filter(|point| point.cell == *cell) {
            dot(&mut svg, axis, top, point);
        }
        marks::draw(&mut svg, axis, marks, top, BAND);
        top += BAND;
    }
    axis.seconds(&mut svg, top);
    Axis::close(&mut svg);
    let legend = [
        ("ticket", "●", "ticket", "工单"),
        ("message", "●", "message", "消息"),
        ("read", "●", "read", "读取"),
        ("failed", "✕", "failed", "失败"),
        ("unknown", "✕", "outcome unknown", "结果未知"),
    ];
    svg.push_str("<p class=\"legend\">");
    for (class, sign, english, chinese) in legend {
        let text = both(english, chinese);
        push(&mut svg, &format!("<span class=\"{class}\">{sign} {text}</span>"));
    }
    let told = both(
        "Shaded: the fault. Grey and green lines: what the control plane said. Latency from when a \
         request was due, logarithmic.",
        "阴影为故障期间,灰色与绿色竖线为控制面事件;延迟自应发时刻起计,对数坐标。",
    );
    push(&mut svg, &format!("{told}</p>"));
    svg
}

fn mark(svg: &mut String, axis: &Axis, top: f64, event: &EventTold) {
    let region = event.region.as_deref().unwrap_or_default();
    let told = format!(
        "{:.2} s: {} {region} epoch {} {}",
        event.at, event.name, event.epoch, event.evidence
    );
    let (x, bottom) = (axis.x(event.at), top + BAND);
    push(
        svg,
        &format!(
            "<line x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{top}\" y2=\"{bottom:.1}\" \
             class=\"event {}\"><title>{}</title></line>",
            escape(&event.name),
            escape(&told)
        ),
    );
}

fn dot(svg: &mut String, axis: &Axis, top: f64, point: &Point) {
    let class = match point.look {
        Look::Ticket => "ticket",
        Look::Message => "message",
        Look::Read => "read",
        Look::Failed | Look::Dropped => "failed",
        Look::Unknown => "unknown",
    };
    let (x, y) = (axis.x(point.due), latency::y(point.latency, top, BAND));
    let text = match &point.told {
        None => format!("<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"1.6\" class=\"{class}\"/>"),
        Some(told) => format!(
            "<path d=\"M{:.1} {:.1}l5 5m0 -5l-5 5\" class=\"{class}\"><title>{}</title></path>",
            x - 2.5,
            y - 2.5,
            escape(told)
        ),
    };
    push(svg, &text);
}
