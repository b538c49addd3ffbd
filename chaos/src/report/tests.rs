mod browser;
mod failover;

use super::*;
use crate::course::CleanUp;
use crate::drill::Expect;
use crate::drill::catalogue::DRILLS;
use crate::fault::Injection;
use crate::history::fixture::{message, ms, refused, ticket, users};
use crate::metrics::metrics;
use crate::refusals::fixture::refusal;
use crate::verdict::{Goals, verdict};

fn course() -> Course {
    let injection = Injection {
        kind: "region.kill".to_owned(),
        target: "region <east>".to_owned(),
        begun: ms(1000),
        ended: ms(1010),
        cells: [("c1".parse().unwrap(), None)].into(),
        steps: vec![(ms(1010), "killed 30 processes".to_owned())],
        proof: vec!["30 processes are gone".to_owned()],
        ..Injection::default()
    };
    Course {
        users: users(),
        operations: vec![ticket(0, 500, 505), refused(1, 1100, 1101), message(2, 1200, 3400, 1)],
        injections: vec![injection],
        healed: Some(ms(9000)),
        redundant: Some(ms(9500)),
        clean_up: Some(CleanUp { undone: 7, looked_for: vec!["holds of drills".to_owned()] }),
        ..Course::default()
    }
}

pub(crate) fn with_report<T>(look: impl FnOnce(&Report<'_>) -> T) -> T {
    with_report_of(&course(), look)
}

fn with_report_of<T>(course: &Course, look: impl FnOnce(&Report<'_>) -> T) -> T {
    let drill = Drill::parse("region-loss", DRILLS[0].1).unwrap();
    let metrics = metrics(course);
    let verdict = verdict(&drill, course, &metrics, Goals::Warn);
    let again = "chaos run region-loss --seed 1".to_owned();
    look(&Report {
        id: "region-loss-1",
        drill: &drill,
        clock: Clock::start(),
        course,
        metrics: &metrics,
        verdict: &verdict,
        again,
    })
}

/// A report for tests of those who read one.
pub(crate) fn example() -> Document {
    with_report(document)
}

fn page(report: &Report<'_>) -> String {
    html::page(&document(report), &points::of_course(report.course), &[])
}

#[test]
fn the_page_needs_nothing_from_elsewhere_and_shows_every_request() {
    let page = with_report(page);
    for foreign in ["http:", "https:", "src=", "<script", "<link"] {
        assert!(!page.contains(foreign), "{foreign}");
    }
    assert_eq!(page.matches("<circle").count(), 2);
    assert_eq!(page.matches("class=\"failed\"><title>").count(), 1);
    assert!(page.contains("region &lt;east&gt;") && !page.contains("<east>"));
}

#[test]
fn the_page_says_everything_in_both_languages() {
    let page = with_report(page);
    let count = |class: &str| page.matches(class).count();
    assert_eq!(count("class=\"en\""), count("class=\"zh\""));
    assert!(page.contains("日志中的 7 项故障已全部撤销,没有残留。"));
}

#[test]
fn every_reason_is_on_the_page_in_both_languages_and_in_english_where_a_report_has_no_other() {
    let document = example();
    assert!(document.reasons.len() > 2, "{:?}", document.reasons);
    assert_eq!(document.reasons.len(), document.reasons_zh.len());
    let page = html::page(&document, &[], &[]);
    for (english, chinese) in document.reasons.iter().zip(&document.reasons_zh) {
        assert_ne!(english, chinese);
        for told in [english, chinese] {
            assert!(page.contains(&told.replace('<', "&lt;").replace('>', "&gt;")), "{told}");
        }
    }
    let mut earlier = serde_json::to_value(&document).unwrap();
    for field in ["reasons_zh", "warnings_zh"] {
        earlier.as_object_mut().unwrap().remove(field).unwrap();
    }
    let earlier: Document = serde_json::from_value(earlier).unwrap();
    let page = html::page(&earlier, &[], &[]);
    assert!(page.contains("<li>recover-99 is never, the limit is 5.00 s</li>"), "{page}");
}

#[test]
fn the_json_report_says_what_was_measured_and_why_it_is_no_pass() {
    let report = serde_json::to_value(with_report(document)).unwrap();
    assert_eq!(report["schema"], 2);
    assert_eq!(report["verdict"], "fail");
    assert_eq!(report["class"], "availability");
    assert_eq!(report["exit_code"], 1);
    assert_eq!(report["reasons"][0], "recover-99 is never, the limit is 5.00 s");
    assert_eq!(report["metrics"]["failed"], 1);
    assert_eq!(report["metrics"]["longest_hold"], 2.2);
    assert_eq!(report["metrics"]["redundancy_restored"], 0.5);
    assert_eq!(report["metrics"]["detect"], serde_json::Value::Null);
    assert_eq!(report["requests"]["failed_by_class"]["refused"], 1);
    assert_eq!(report["fault"]["proof"][0], "30 processes are gone");
    assert_eq!(report["clean_up"]["undone"], 7);
}

#[test]
fn while_writes_were_to_be_refused_is_told_in_both_languages_and_a_refusal_is_no_failure() {
    let mut course = course();
    course.injections[0].expect = Expect::RefuseWrites;
    course.operations.push(refusal(3, 1500, 1600));
    let report = with_report_of(&course, |report| serde_json::to_value(document(report)).unwrap());
    assert_eq!(report["fault"]["refusing"], serde_json::json!([[1.01, 3.4]]));
    assert_eq!(report["metrics"]["refused_as_expected"], 1);
    assert_eq!(report["metrics"]["failed"], 1);
    assert_eq!(report["requests"]["failed_by_class"], serde_json::json!({ "refused": 1 }));
    let page = with_report_of(&course, page);
    assert!(page.contains("From 1.01 s to 3.40 s writes were to be refused."), "{page}");
    assert!(page.contains("1.01 s 至 3.40 s 期间应拒绝写入。"), "{page}");
    assert!(page.contains("按预期拒绝"), "{page}");
    let ordinary = with_report(|report| serde_json::to_value(document(report)).unwrap());
    assert_eq!(ordinary["fault"]["refusing"], serde_json::json!([]));
    assert_eq!(ordinary["metrics"]["refused_as_expected"], serde_json::Value::Null);
}

#[test]
fn versions_are_told_in_the_report_and_on_its_page_and_are_not_known_in_earlier_ones() {
    let mut course = course();
    course.versions.etcd = Some("3.5.28".to_owned());
    let document = with_report_of(&course, document);
    let json = serde_json::to_value(&document).unwrap();
    assert_eq!(json["versions"]["etcd"], "3.5.28");
    assert_eq!(json["versions"]["postgresql"], serde_json::Value::Null);
    let page = html::page(&document, &[], &[]);
    assert!(page.contains("<td>3.5.28</td>"), "{page}");
    let mut earlier = json;
    earlier.as_object_mut().unwrap().remove("versions").unwrap();
    let earlier: Document = serde_json::from_value(earlier).unwrap();
    let page = html::page(&earlier, &[], &[]);
    assert_eq!(page.matches("<td><span class=\"en\">not known</span>").count(), 4, "{page}");
}

#[test]
fn the_table_ends_with_the_verdict() {
    let table = with_report(table);
    assert!(table.contains("longest-hold"));
    assert!(table.ends_with("region-loss: fail (3 requests)"));
}

#[test]
fn five_files_are_written_and_the_page_is_the_same_when_made_again() {
    let drills = std::env::temp_dir().join(format!("chaos-report-{}", std::process::id()));
    let folder = drills.join("region-loss-1");
    with_report(|report| write(report, &folder, &[])).unwrap();
    let mut names: Vec<String> = fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    let expected = ["events.jsonl", "history.jsonl", "ledger.jsonl", "report.html", "report.json"];
    assert_eq!(names, expected);
    let sizes = || fs::metadata(folder.join("report.html")).unwrap().len();
    let first = sizes();
    page_again(&folder).unwrap();
    assert_eq!(sizes(), first);
    fs::remove_dir_all(&drills).unwrap();
}

#[test]
fn only_earlier_runs_of_the_same_drill_make_the_trend() {
    let drills = std::env::temp_dir().join(format!("chaos-trend-{}", std::process::id()));
    for begun in 0..14u64 {
        let mut document = example();
        (document.id, document.begun_unix_ms) = (format!("region-loss-{begun}"), begun);
        let folder = drills.join(&document.id);
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("report.json"), serde_json::to_vec(&document).unwrap()).unwrap();
    }
    fs::create_dir_all(drills.join("region-loss-99")).unwrap();
    let found = earlier(&drills, "region-loss", 13).unwrap();
    let begun: Vec<u64> = found.iter().map(|document| document.begun_unix_ms).collect();
    assert_eq!(begun, (2..13).collect::<Vec<u64>>());
    assert!(earlier(&drills, "region", 13).unwrap().is_empty());
    fs::remove_dir_all(&drills).unwrap();
}
