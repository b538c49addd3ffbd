//! `report.html`: one file that needs nothing else, in light and dark, in English and Chinese
//! (`report.html#zh`).
//!
//! Made from [`Document`] and the requests, so that it can be made again from what is on disk.

mod axis;
mod bands;
mod lanes;
mod latency;
mod map;
mod marks;
mod numbers;
mod quantiles;
mod rate;
mod scatter;
mod stages;
mod steps;
pub(super) mod tables;
mod trend;
mod under_way;
mod words;

use std::fmt::Write as _;

use self::axis::Axis;
use super::document::Document;
use super::points::Point;

const STYLE: &str = include_str!("report.css");
/// What is wider than a narrow screen is moved by itself, not the page with it.
const TABLE: &str = "<div class=\"scroll\">\n<table>";
const TABLE_END: &str = "</table>\n</div>";

/// Returns the page. `earlier` are earlier runs of the same drill, the oldest first.
pub(super) fn page(document: &Document, points: &[Point], earlier: &[Document]) -> String {
    let word = &document.verdict;
    let axis = Axis::new(document, points);
    let mut page = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>{} — {word}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n\
         <span id=\"zh\" hidden></span>\n\
         <nav><a href=\"#en\" lang=\"en\">English</a> · <a href=\"#zh\" lang=\"zh\">中文</a></nav>\n<main>\n\
         <h1>{}</h1>\n<p class=\"verdict {word}\">{}</p>\n<p>{}</p>\n",
        escape(&document.drill),
        escape(&document.title),
        verdict(word),
        escape(&document.description),
    );
    reasons(&mut page, &both("Why", "原因"), &document.reasons, &document.reasons_zh);
    reasons(
        &mut page,
        &both("Goals missed", "未达到的目标"),
        &document.warnings,
        &document.warnings_zh,
    );
    heading(&mut page, "Where the time went", "时间花在哪里");
    page.push_str(&stages::chart(document));
    heading(&mut page, "Who was served, by slot and time", "各槽位随时间的可用性");
    page.push_str(&map::chart(document, &axis));
    page.push_str(&numbers::squares(document));
    heading(&mut page, "Who answered, under which epoch", "由谁应答,在哪个纪元");
    page.push_str(&lanes::chart(document, &axis));
    heading(&mut page, "Every request", "每一个请求");
    page.push_str(&scatter::chart(document, points, &axis));
    page.push_str(&numbers::requests(points, &axis));
    let groups = steps::groups(document, points, &axis);
    heading(&mut page, "What became of them, per second", "每秒请求的结果");
    page.push_str(&rate::chart(&groups, &axis));
    heading(&mut page, "How long answers took", "应答延迟分位数");
    page.push_str(&quantiles::chart(&groups, &axis));
    heading(&mut page, "Under way, and sent again", "在途请求与重发");
    page.push_str(&under_way::chart(&groups, &axis));
    heading(&mut page, "Claims", "断言");
    tables::claims(&mut page, document);
    heading(&mut page, "Checks", "检查");
    tables::checks(&mut page, document);
    tables::fault(&mut page, document);
    heading(&mut page, "Latency of answered requests", "已应答请求的延迟");
    tables::latencies(&mut page, document);
    heading(&mut page, "Cleaned up", "清理");
    tables::clean_up(&mut page, document);
    heading(&mut page, "The last runs", "最近的运行");
    page.push_str(&trend::chart(document, earlier));
    tables::events(&mut page, document);
    heading(&mut page, "Versions", "版本");
    tables::versions(&mut page, document);
    heading(&mut page, "Again", "再次运行");
    push(
        &mut page,
        &format!(
            "<p><code>{}</code></p>\n<p>{} <code>{}</code>, {} {}, {} {}, {} {:.1} ms, Bulkhead {}</p>\n\
             <p><small>{}</small></p>\n</main>\n</body>\n</html>",
            escape(&document.again),
            both("Run", "运行"),
            escape(&document.id),
            both("seed", "种子"),
            document.seed,
            document.requests.all,
            both("requests", "个请求"),
            both("sent late by at most (p99)", "发送滞后(p99)"),
            document.generator_lag_p99 * 1000.0,
            escape(&document.version),
            both(
                "Title, description, steps and evidence are as the drill and the programs say them.",
                "标题、说明、步骤与证据为演练文件和程序的原文(英文)。",
            ),
        ),
    );
    page
}

fn verdict(word: &str) -> String {
    let chinese = match word {
        "pass" => "通过",
        "fail" => "未通过",
        "inconclusive" => "无法判定",
        "no-steady-state" => "事先未达到稳态",
        "aborted" => "已中止",
        "residue" => "有残留",
        "harness-error" => "演练工具出错",
        "refused" => "已拒绝",
        _ => "未运行",
    };
    both(word, chinese)
}

/// A text in both languages; the page shows one of them.
fn both(english: &str, chinese: &str) -> String {
    let (english, chinese) = (escape(english), escape(chinese));
    format!("<span class=\"en\">{english}</span><span class=\"zh\" lang=\"zh\">{chinese}</span>")
}

/// The same inside of a picture.
fn both_svg(english: &str, chinese: &str) -> String {
    let (english, chinese) = (escape(english), escape(chinese));
    format!("<tspan class=\"en\">{english}</tspan><tspan class=\"zh\">{chinese}</tspan>")
}

fn heading(page: &mut String, english: &str, chinese: &str) {
    push(page, &format!("<h2>{}</h2>", both(english, chinese)));
}

/// Those that have no Chinese are shown as they are.
fn reasons(page: &mut String, title: &str, lines: &[String], chinese: &[String]) {
    let told = |(index, line): (usize, &String)| {
        let other = chinese.get(index).filter(|other| *other != line);
        other.map_or_else(|| escape(line), |chinese| both(line, chinese))
    };
    items(page, title, lines.iter().enumerate().map(told));
}

fn list(page: &mut String, title: &str, lines: &[String]) {
    items(page, title, lines.iter().map(|line| escape(line)));
}

fn items(page: &mut String, title: &str, items: impl ExactSizeIterator<Item = String>) {
    if items.len() == 0 {
        return;
    }
    push(page, &format!("<h3>{title}</h3>\n<ul>"));
    for item in items {
        push(page, &format!("<li>{item}</li>"));
    }
    page.push_str("</ul>\n");
}

fn push(page: &mut String, text: &str) {
    writeln!(page, "{text}").expect("a string takes any text");
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
