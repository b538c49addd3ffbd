//! The moments that have a name, as lines through a panel with their names above it.

use super::super::document::{Document, Stage};
use super::axis::{Axis, LEFT, RIGHT, WIDTH};
use super::{both_svg, push, words};
use crate::verdict::Text;

/// What the names need above a panel.
const ROOM: f64 = 22.0;
/// What a letter of the names is wide at most, and a Chinese character, at their size.
const LETTER: f64 = 5.8;
const CHARACTER: f64 = 10.0;
const BETWEEN: f64 = 5.0;

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Mark {
    pub(super) at: f64,
    pub(super) class: &'static str,
    pub(super) text: Text,
}

/// Returns the moments of these cells in their order; where several were hit, of the one that came last.
pub(super) fn marks(document: &Document, cells: &[&str]) -> Vec<Mark> {
    let Some(fault) = &document.fault else { return Vec::new() };
    let is_meant = |cell: &str| cells.contains(&cell) && document.was_hit(cell);
    if !cells.iter().any(|cell| is_meant(cell)) {
        return Vec::new();
    }
    let mut marks = vec![Mark {
        at: fault.at,
        class: "begun",
        text: Text { english: "fault", chinese: "故障" },
    }];
    for stage in Stage::ALL {
        let reached = document.stages.iter().filter(|stages| is_meant(&stages.cell));
        let reached = reached.flat_map(|stages| &stages.reached).filter(|r| r.stage == stage);
        let last = reached.map(|reached| fault.at + reached.after).reduce(f64::max);
        marks.extend(last.map(|at| Mark {
            at,
            class: words::class(stage),
            text: words::mark(stage),
        }));
    }
    let claim = document.claims.iter().find(|claim| claim.name == "recover-99");
    let recovered = claim.and_then(|claim| claim.measured.as_f64());
    let text = Text { english: "99 %", chinese: "99 %" };
    marks.extend(recovered.map(|after| Mark { at: fault.at + after, class: "recovered", text }));
    marks.sort_by(|one, other| one.at.total_cmp(&other.at));
    marks
}

/// Returns what a panel leaves free above it for the names.
pub(super) fn room(marks: &[Mark]) -> f64 {
    if marks.is_empty() { 0.0 } else { ROOM }
}

/// Draws the lines through a panel, and the names in the [`room`] above it.
pub(super) fn draw(svg: &mut String, axis: &Axis, marks: &[Mark], top: f64, height: f64) {
    let bottom = top + height;
    for (mark, left) in marks.iter().zip(places(axis, marks)) {
        let Mark { at, class, text: Text { english, chinese } } = mark;
        let (x, name, foot, above) =
            (axis.x(*at), both_svg(english, chinese), left + 1.0, top - 9.0);
        push(
            svg,
            &format!(
                "<path d=\"M{foot:.1} {above:.1}L{x:.1} {top:.1}V{bottom:.1}\" class=\"mark {class}\">\
                 <title>{english}: {at:.2} s</title></path>\
                 <text x=\"{left:.1}\" y=\"{:.1}\" class=\"mark {class}\">{name}</text>",
                top - 11.0
            ),
        );
    }
}

/// Returns where each name begins: as near to its line as its neighbours and the right edge let it.
fn places(axis: &Axis, marks: &[Mark]) -> Vec<f64> {
    let width = |mark: &Mark| {
        let long = |text: &str| f64::from(u32::try_from(text.chars().count()).unwrap_or(0));
        (long(mark.text.english) * LETTER).max(long(mark.text.chinese) * CHARACTER) + BETWEEN
    };
    let mut places = Vec::with_capacity(marks.len());
    let mut free = LEFT;
    for mark in marks {
        let left = axis.x(mark.at).max(free);
        free = left + width(mark);
        places.push(left);
    }
    let mut end = WIDTH - RIGHT;
    for (place, mark) in places.iter_mut().zip(marks).rev() {
        *place = place.min(end - width(mark));
        end = *place;
    }
    places
}

#[cfg(test)]
mod tests {
    use super::super::super::document::{FaultTold, Reached, Stages};
    use super::*;
    use crate::report::tests::example;

    fn document(at: f64) -> Document {
        let mut document = example();
        let cells = [("c1".to_owned(), None), ("c3".to_owned(), None)].into();
        document.fault = Some(FaultTold { cells, at, ..document.fault.unwrap() });
        let reached = |cell: &str, afters: [f64; 2]| Stages {
            cell: cell.to_owned(),
            reached: [Stage::Detect, Stage::Publish]
                .into_iter()
                .zip(afters)
                .map(|(stage, after)| Reached { stage, after })
                .collect(),
        };
        document.stages = vec![reached("c1", [1.0, 3.0]), reached("c3", [2.0, 2.5])];
        document
    }

    #[test]
    fn a_cell_has_its_own_moments_and_several_those_of_the_last_of_them() {
        let document = document(10.0);
        let told = |cells: &[&str]| -> Vec<(&str, f64)> {
            marks(&document, cells).into_iter().map(|mark| (mark.text.english, mark.at)).collect()
        };
        assert_eq!(told(&["c1"]), [("fault", 10.0), ("detect", 11.0), ("publish", 13.0)]);
        assert_eq!(told(&["c1", "c3"]), [("fault", 10.0), ("detect", 12.0), ("publish", 13.0)]);
        assert!(told(&["c2"]).is_empty());
    }

    #[test]
    fn names_lie_side_by_side_within_the_panel_wherever_their_moments_are() {
        for at in [0.0, 20.0, 37.0] {
            let document = document(at);
            let axis = Axis { begin: 0.0, end: 40.0, ..Axis::new(&document, &[]) };
            let marks = marks(&document, &["c1"]);
            let places = places(&axis, &marks);
            let apart = places.windows(2).all(|two| two[1] - two[0] > 25.0);
            assert!(apart && places[0] >= LEFT && places[2] + 40.0 < WIDTH, "{at}: {places:?}");
        }
    }
}
