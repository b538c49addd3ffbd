//! The map and the dots as tables, for whoever cannot see them or wants the numbers.

use std::collections::BTreeSet;

use super::super::columns::Columns;
use super::super::document::{Document, MapRow};
use super::super::points::Point;
use super::axis::Axis;
use super::steps::{Step, steps};
use super::{TABLE, TABLE_END, both, escape, push};

/// The squares of the map, counted: per row of slots, how many steps went how.
pub(super) fn squares(document: &Document) -> String {
    let map = &document.availability;
    let columns = map.columns();
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
                // That many of them last as long as it takes until that one begins.
                format!("{:.0}", columns.begin(steps))
            });
            let [low, high] = row.slots;
            push(
                &mut page,
                &format!(
                    "<tr><td>{}</td><td>{low}–{high}</td><td>{}</td><td>{}</td></tr>",
                    escape(&cell.cell),
                    times.join("</td><td>"),
                    troubled(row, columns)
                ),
            );
        }
    }
    end(&mut page);
    page
}

/// From the first step that did not go well to the end of the last one.
fn troubled(row: &MapRow, columns: Columns) -> String {
    let is_bad = |letter: char| matches!(letter, 'h' | 'p' | 'f');
    match (row.served.find(is_bad), row.served.rfind(is_bad)) {
        (Some(first), Some(last)) => {
            format!("{:.0}–{:.0} s", columns.begin(first), columns.begin(last + 1))
        }
        (None, _) | (_, None) => "–".to_owned(),
    }
}

/// The dots, counted: per cell and step, what became of the requests that were due.
pub(super) fn requests(points: &[Point], axis: &Axis) -> String {
    let mut page = String::new();
    begin(
        &mut page,
        &[
            both("cell", "单元"),
            both("from", "起始"),
            both("asked", "请求"),
            both("answered within a second", "一秒内应答"),
            both("later", "超过一秒才应答"),
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
        let steps = steps(&of_cell, axis);
        for of_step in steps.iter().filter(|of_step| of_step.asked() > 0) {
            let Step { from, prompt, held, failed, dropped, .. } = of_step;
            let latencies = [50, 99, 100].map(|percent| {
                let latency = of_step.quantile(percent);
                latency.map_or_else(|| "–".to_owned(), |latency| format!("{:.1} ms", latency * 1e3))
            });
            push(
                &mut page,
                &format!(
                    "<tr><td>{}</td><td>{from:.0} s</td><td>{}</td><td>{prompt}</td><td>{held}</td>\
                     <td>{failed}</td><td>{dropped}</td><td>{}</td></tr>",
                    escape(cell),
                    of_step.asked(),
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
        let point = |due, latency, look| Point {
            cell: "c1".to_owned(),
            due,
            latency,
            tries: 1,
            look,
            told: None,
        };
        let points = [
            point(1.5, 0.02, Look::Ticket),
            point(3.1, 0.02, Look::Failed),
            point(3.2, 0.02, Look::Read),
            point(3.3, 1.5, Look::Read),
            point(3.4, 0.0, Look::Dropped),
            point(3.5, 2.0, Look::Unknown),
        ];
        let page = requests(&points, &Axis::new(&example(), &points));
        assert_eq!(page.matches("<tr><td>").count(), 2);
        // Whoever adds up what became of them has as many as were asked.
        let line = "<td>3 s</td><td>5</td><td>1</td><td>1</td><td>2</td><td>1</td><td>20.0 ms</td>";
        assert!(page.contains(line), "{page}");
    }
}
