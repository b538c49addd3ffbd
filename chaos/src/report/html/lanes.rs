//! A lane per cell: who answered its users, and under which epoch.

use std::collections::BTreeSet;

use super::super::document::Document;
use super::axis::{Axis, LEFT};
use super::marks::{self, marks, room};
use super::{escape, push};

const LANE: f64 = 22.0;
const GAP: f64 = 10.0;

pub(super) fn chart(document: &Document, axis: &Axis) -> String {
    let cells: BTreeSet<&str> = document.tenures.iter().map(|t| t.cell.as_str()).collect();
    let regions: BTreeSet<&str> = document.tenures.iter().map(|t| t.region.as_str()).collect();
    let marked: Vec<_> = cells.into_iter().map(|cell| (cell, marks(document, &[cell]))).collect();
    let height: f64 = marked.iter().map(|(_, marks)| room(marks) + LANE + GAP).sum();
    let mut svg = String::new();
    Axis::open(&mut svg, height + 30.0, "which site answered, under which epoch");
    let mut top = GAP;
    for (cell, marks) in &marked {
        top += room(marks);
        let y = top + LANE / 2.0 + 4.0;
        let left = LEFT - 8.0;
        push(
            &mut svg,
            &format!(
                "<text x=\"{left}\" y=\"{y:.1}\" class=\"cell\" text-anchor=\"end\">{}</text>",
                escape(cell)
            ),
        );
        for tenure in document.tenures.iter().filter(|tenure| tenure.cell == *cell) {
            // Regions keep their colour from one report to the next, as far as there are colours.
            let colour =
                regions.iter().position(|region| *region == tenure.region).unwrap_or(0) % 4;
            let (x, until) = (axis.x(tenure.from), axis.x(tenure.until));
            let width = (until - x).max(2.0);
            let told = escape(&format!("{} · {}", tenure.region, tenure.epoch));
            push(
                &mut svg,
                &format!(
                    "<rect x=\"{x:.1}\" y=\"{top:.1}\" width=\"{width:.1}\" height=\"{LANE}\" rx=\"3\" \
                     class=\"lane l{colour}\"><title>{told}</title></rect>"
                ),
            );
            if width > 60.0 {
                let x = x + 6.0;
                push(
                    &mut svg,
                    &format!("<text x=\"{x:.1}\" y=\"{y:.1}\" class=\"inside\">{told}</text>"),
                );
            }
        }
        axis.shade(&mut svg, top - GAP / 2.0, LANE + GAP);
        marks::draw(&mut svg, axis, marks, top - 2.0, LANE + 4.0);
        top += LANE + GAP;
    }
    axis.seconds(&mut svg, top - GAP / 2.0);
    Axis::close(&mut svg);
    svg
}
