//! The availability map. What went wrong is told by height as well as by colour.

use super::super::document::{CellMap, Document, MapRow};
use super::axis::{Axis, LEFT};
use super::marks::{self, marks, room};
use super::{both, escape, push};

const ROW: f64 = 9.0;
const GAP: f64 = 24.0;

pub(super) fn chart(document: &Document, axis: &Axis) -> String {
    let map = &document.availability;
    let height_of = |cell: &CellMap| f64::from(u32::try_from(cell.rows.len()).unwrap_or(0)) * ROW;
    let marked: Vec<_> =
        map.cells.iter().map(|cell| (cell, marks(document, &[&cell.cell]))).collect();
    let height: f64 = marked.iter().map(|(cell, marks)| GAP + room(marks) + height_of(cell)).sum();
    let mut svg = String::new();
    Axis::open(&mut svg, height + 20.0, "how each slot's users were served over time");
    let mut top = 0.0;
    for (cell, marks) in &marked {
        let (label, height) = (escape(&cell.cell), height_of(cell));
        let y = top + GAP - 6.0;
        push(&mut svg, &format!("<text x=\"{LEFT}\" y=\"{y:.1}\" class=\"cell\">{label}</text>"));
        top += GAP + room(marks);
        // Below the squares, so that their colours stay what the legend says.
        axis.shade(&mut svg, top, height);
        for row in &cell.rows {
            squares(&mut svg, axis, row, top);
            top += ROW;
        }
        Axis::frame(&mut svg, top - height, height);
        marks::draw(&mut svg, axis, marks, top - height, height);
    }
    axis.seconds(&mut svg, top);
    Axis::close(&mut svg);
    svg.push_str("<p class=\"legend\">");
    for (class, english, chinese) in [
        ("o", "answered", "已应答"),
        ("h", "answered, some after more than a second", "已应答,部分超过一秒"),
        ("p", "some failed", "部分失败"),
        ("f", "all failed", "全部失败"),
    ] {
        let text = both(english, chinese);
        push(&mut svg, &format!("<span><i class=\"square {class}\"></i> {text}</span>"));
    }
    svg.push_str("</p>\n");
    svg
}

/// Neighbours that look the same are one rectangle.
fn squares(svg: &mut String, axis: &Axis, row: &MapRow, top: f64) {
    let letters: Vec<char> = row.served.chars().collect();
    let mut from = 0;
    for same in letters.chunk_by(|one, other| one == other) {
        let (first, until) = (from, from + same.len());
        from = until;
        let (class, share) = match same.first() {
            Some('o') => ("o", 1.0),
            Some('h') => ("h", 0.55),
            Some('p') => ("p", 0.75),
            Some('f') => ("f", 1.0),
            Some(_) | None => continue,
        };
        let at = |column: usize| axis.x(axis.columns.begin(column));
        let (x, width) = (at(first), (at(until) - at(first)).max(0.5));
        let height = (ROW - 1.0) * share;
        let y = top + ROW - 1.0 - height;
        let [low, high] = row.slots;
        push(
            svg,
            &format!(
                "<rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{height:.1}\" \
                 class=\"square {class}\"><title>{low}–{high}</title></rect>"
            ),
        );
    }
}
