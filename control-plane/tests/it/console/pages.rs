//! Every page in both languages and both themes: what is on it, and that nothing is left in the other
//! language.

use serde_json::json;

use crate::browser::Browser;
use crate::forms::url;
use crate::platform::Platform;

/// The texts as they are written down: `key: "English", "Chinese";`.
const TEXTS: &str = include_str!("../../../src/console/texts.rs");

/// A page's name, its address, and its heading in English and in Chinese.
const PAGES: [(&str, &str, &str, &str); 10] = [
    ("overview", "", "Overview", "总览"),
    ("cell", "/cells/c1", "Cell c1", "单元 c1"),
    ("region", "/regions/south", "Region South", "区域 South"),
    ("operations", "/operations", "Operations", "操作"),
    ("vantages", "/vantages", "Vantages", "观察点"),
    ("audit", "/audit", "Audit", "审计"),
    ("drills", "/drills", "Drills", "演练"),
    ("switchover", "/cells/c1/switchover?to=south", "Move c1 to South", "将 c1 迁移到 South"),
    ("evacuate", "/regions/east/evacuate", "Evacuate East", "撤空 East"),
    ("retire-south", "/cells/c1/sites/south/retire", "Keep c1@south out", "停用 c1@south"),
];

pub(super) async fn reads_every_page_in_both_languages(browser: &Browser, platform: &Platform) {
    let english = english();
    for language in ["english", "chinese"] {
        let is_chinese = language == "chinese";
        if is_chinese {
            browser.open(&url(platform, "/console")).await;
            browser.click(".language").await;
            browser.until("h1", "总览").await;
            browser.until("#live", "实时").await;
            assert_eq!(browser.run("return document.documentElement.lang").await, "zh-Hans");
        }
        for (name, path, in_english, in_chinese) in PAGES {
            browser.open(&url(platform, &format!("/console{path}"))).await;
            browser.until("h1", if is_chinese { in_chinese } else { in_english }).await;
            for (width, dark) in [(1280, true), (390, false)] {
                browser.look(width, dark).await;
                let theme = super::theme(dark);
                browser.screenshot(&format!("{name}-{language}-{theme}-{width}")).await;
            }
            is_in_one_language(browser, &english, &format!("{name} in {language}")).await;
        }
    }
    browser.look(1280, false).await;
    browser.click(".language").await;
    browser.until("h1", "Cell c1").await;
}

/// Fails if a text of the page is not in the language that the page says it is in.
async fn is_in_one_language(browser: &Browser, english: &[&str], page: &str) {
    let script =
        format!("const english = {};\n{}", json!(english), include_str!("one_language.js"));
    let wrong = browser.run(&script).await;
    assert_eq!(wrong, json!([]), "{page}");
}

/// Returns the English texts that have a word in them; `{suite}: {title}` has none.
fn english() -> Vec<&'static str> {
    let lines = TEXTS.lines().filter_map(|line| {
        let (key, texts) = line.trim().strip_suffix("\";")?.split_once(": \"")?;
        let is_key = key.chars().all(|char| char.is_ascii_lowercase() || char == '_');
        let (english, _) = texts.split_once("\", \"")?;
        (is_key && has_a_word(english)).then_some(english)
    });
    let found: Vec<&str> = lines.collect();
    assert!(found.len() > 250, "only {} texts are found in the table", found.len());
    found
}

fn has_a_word(text: &str) -> bool {
    let literal = text.split('{').map(|part| part.split_once('}').map_or(part, |(_, rest)| rest));
    literal.flat_map(str::chars).filter(char::is_ascii_alphabetic).count() > 2
}
