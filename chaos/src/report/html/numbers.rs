//! The map and the dots as tables, for whoever cannot see them or wants the numbers.

use std::collections::BTreeSet;

use super::super::document::{Document, MapRow};
use super::super::points::Point;
use super::axis::Axis;
use super::steps::{Step, steps};
use super::{TABLE, TABLE_END, both, escape, push};

/// The squares of the map, counted: per row of slots, how many steps went how.
pub(super) fn squares(document: &Document) -> String {
    let map = &document.availability;
    let mut page = String::new();
    begin(
        &mut page,
        &[
            both("cell", "单元"),
            both("slots", "槽位"),
            both("answered", "已应答"),
            both("some after more than a second", "部分超过一秒"),
            both("some failed", "部分失败"),
            both("all failed", "全部失败"),
            both("not well from – until", "异常时段"),
        ],
        &both("in seconds", "单位:秒"),
    );
    for cell in &map.cells {
        for row in &cell.rows {
            let times = ['o', 'h', 'p', 'f'].map(|letter| {
                let steps = row.served.chars().filter(|served| *served == letter).count();
                format!("{:.0}", f64::from(u32::try_from(steps).unwrap_or(u32::MAX)) * map.step)
            });
            let [low, high] = row.slots;
            push(
                &mut page,
                &format!(
                    "<tr><td>{}</td><td>{low}–{high}</td><td>{}</td><td>{}</td></tr>",
                    escape(&cell.cell),
                    times.join("</td><td>"),
                    troubled(row, map.step)
                ),
            );
        }
    }
    end(&mut page);
    page
}

/// From the first step that did not go well to the end of the last one.
fn troubled(row: &MapRow, step: f64) -> String {
    let is_bad = |letter: char| matches!(letter, 'h' | 'p' | 'f');
    let at = |index: usize| f64::from(u32::try_from(index).unwrap_or(u32::MAX)) * step;
    match (row.served.find(is_bad), row.served.rfind(is_bad)) {
        (Some(first), Some(last)) => format!("{:.0}–{:.0} s", at(first), at(last + 1)),
        (None, _) | (_, None) => "–".to_owned(),
    }
}

/// The dots, counted: per cell and step, what became of the requests that were due.
pub(super) fn requests(document: &Document, points: &[Point], axis: &Axis) -> String {
    let mut page = String::new();
    begin(
        &mut page,
        &[
            both("cell", "单元"),
            both("from", "起始"),
            both("asked", "请求"),
            both("answered", "已应答"),
            both("over a second", "超过一秒"),
            both("failed", "失败"),
            both("dropped", "丢弃"),
            "p50".to_owned(),
            "p99".to_owned(),
            both("longest", "最长"),
        ],
        "",
    );
    let cells: BTreeSet<&str> = points.iter().map(|point| point.cell.as_str()).collect();
    for cell in cells {
        let of_cell: Vec<&Point> = points.iter().filter(|point| point.cell == cell).collect();
        let steps = steps(&of_cell, axis, document.availability.step);
        for of_step in steps.iter().filter(|of_step| of_step.asked > 0) {
            let Step { from, asked, held, failed, dropped, .. } = of_step;
            let latencies = [50, 99, 100].map(|percent| {
                let latency = of_step.quantile(percent);
                latency.map_or_else(|| "–".to_owned(), |latency| format!("{:.1} ms", latency * 1e3))
            });
            push(
                &mut page,
                &format!(
                    "<tr><td>{}</td><td>{from:.0} s</td><td>{asked}</td><td>{}</td><td>{held}</td>\
                     <td>{failed}</td><td>{dropped}</td><td>{}</td></tr>",
                    escape(cell),
                    of_step.answered(),
                    latencies.join("</td><td>")
                ),
            );
        }
    }
    end(&mut page);
    page
}

fn begin(page: &mut String, heads: &[String], how: &str) {
    let title = both("The same as a table", "以表格显示");
    let title = if how.is_empty() { title } else { format!("{title} ({how})") };
    let heads = heads.join("</th><th>");
    push(page, &format!("<details><summary>{title}</summary>\n{TABLE}\n<tr><th>{heads}</th></tr>"));
}

fn end(page: &mut String) {
    push(page, &format!("{TABLE_END}\n</details>"));
}

#[cfg(test)]
mod tests {
    use super::super::super::document::CellMap;
    use super::*;
    use crate::report::points::Look;
    use crate::report::tests::example;

    #[test]
    fn the_table_of_the_map_says_how_long_and_from_when_to_when_it_was_not_well() {
        let mut document = example();
        document.availability.step = 2.0;
        let row = |served: &str| MapRow { slots: [3, 9], served: served.to_owned() };
        let rows = vec![row("-oohffpo"), row("oooooooo")];
        document.availability.cells = vec![CellMap { cell: "c1".to_owned(), rows }];
        let page = squares(&document);
        let cells =
            |numbers: [&str; 5]| format!("<td>3–9</td><td>{}</td>", numbers.join("</td><td>"));
        assert!(page.contains(&cells(["6", "2", "2", "4", "6–14 s"])), "{page}");
        assert!(page.contains(&cells(["16", "0", "0", "0", "–"])), "{page}");
    }

    #[test]
    fn the_table_of_the_dots_has_a_line_for_each_step_in_which_anybody_asked() {
        let point = |due, look| Point {
            cell: "c1".to_owned(),
            due,
            latency: 0.02,
            tries: 1,
            look,
            told: None,
        };
        let points = [point(1.5, Look::Ticket), point(3.1, Look::Failed), point(3.2, Look::Read)];
        let document = example();
        let page = requests(&document, &points, &Axis::new(&document, &points));
        assert_eq!(page.matches("<tr><td>").count(), 2);
        let line = "<td>3 s</td><td>2</td><td>1</td><td>0</td><td>1</td><td>0</td><td>20.0 ms</td>";
        assert!(page.contains(line), "{page}");
    }
}
