//! The page as a browser shows it: Chromium without a window, which says what it has drawn and writes
//! pictures to `target/report` for people.

use std::io::ErrorKind;
use std::process::Stdio;
use std::time::Duration;

use serde::Deserialize;
use tokio::process::Command;
use tokio::time::timeout;

use super::failover::failover;
use super::*;

/// How long a browser may take for one page on a busy machine.
const LIMIT: Duration = Duration::from_mins(1);
/// One a line: no window and no sandbox, as tests may run as root; and it talks to nobody.
const FLAGS: &str = include_str!("../../../../scripts/chromium.flags");

/// How a reader looks at the page.
struct Look {
    name: &'static str,
    width: u16,
    height: u16,
    dark: bool,
    chinese: bool,
}

/// Each width with each scheme and each language, and each scheme with each language. Chromium has no
/// window that is narrower.
const LOOKS: [Look; 4] = [
    Look { name: "wide-light-en", width: 1280, height: 4200, dark: false, chinese: false },
    Look { name: "wide-dark-zh", width: 1280, height: 4200, dark: true, chinese: true },
    Look { name: "narrow-dark-en", width: 500, height: 5600, dark: true, chinese: false },
    Look { name: "narrow-light-zh", width: 500, height: 5600, dark: false, chinese: true },
];

/// What `seen.js` says.
#[derive(Deserialize)]
struct Seen {
    problems: Vec<String>,
    width: u16,
    background: String,
    headings: Vec<String>,
    text: String,
}

#[tokio::test]
#[expect(clippy::print_stderr, reason = "says that it is skipped, and why")]
async fn a_reader_sees_the_page_whole_on_any_screen_in_either_language() {
    let folder = std::env::temp_dir().join(format!("chaos-browser-{}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    let page = with_report_of(&failover(), page);
    let told = format!("<script>{}</script>\n</body>", include_str!("seen.js"));
    fs::write(folder.join("report.html"), page.replace("</body>", &told)).unwrap();
    let mut all = Vec::new();
    // One after the other: each has the machine, and the whole limit, for itself.
    for look in &LOOKS {
        let Some(seen) = open(look, &folder).await else {
            fs::remove_dir_all(&folder).unwrap();
            eprintln!("SKIPPED: no chromium here; scripts/install installs it");
            return;
        };
        all.push(seen);
    }
    fs::remove_dir_all(&folder).unwrap();
    for (look, seen) in LOOKS.iter().zip(all) {
        assert_eq!((look.name, seen.problems), (look.name, Vec::new()));
        assert_eq!((look.name, seen.width), (look.name, look.width));
        let background = if look.dark { "rgb(17, 17, 19)" } else { "rgb(252, 252, 253)" };
        assert_eq!((look.name, seen.background.as_str()), (look.name, background));
        let headings =
            HEADINGS.map(|(english, chinese)| if look.chinese { chinese } else { english });
        assert_eq!((look.name, seen.headings), (look.name, headings.map(str::to_owned).into()));
        let (ours, others) = if look.chinese {
            ("无法判定", "Who answered")
        } else {
            ("inconclusive", "由谁应答")
        };
        assert!(look.chinese != seen.text.contains("no request had its effect twice"));
        assert!(seen.text.contains(ours) && !seen.text.contains(others), "{}", look.name);
    }
}

/// Every panel, in the order of the page.
const HEADINGS: [(&str, &str); 15] = [
    ("Where the time went", "时间花在哪里"),
    ("Who was served, by slot and time", "各槽位随时间的可用性"),
    ("Who answered, under which epoch", "由谁应答,在哪个纪元"),
    ("Every request", "每一个请求"),
    ("What became of them, per second", "每秒请求的结果"),
    ("How long answers took", "应答延迟分位数"),
    ("Under way, and sent again", "在途请求与重发"),
    ("Claims", "断言"),
    ("Checks", "检查"),
    ("Fault", "故障"),
    ("Latency of answered requests", "已应答请求的延迟"),
    ("Cleaned up", "清理"),
    ("The last runs", "最近的运行"),
    ("Versions", "版本"),
    ("Again", "再次运行"),
];

/// Draws the page and returns what was seen of it; nothing where there is no browser.
async fn open(look: &Look, folder: &Path) -> Option<Seen> {
    let program = std::env::current_exe().unwrap();
    let target = program.ancestors().find(|folder| folder.ends_with("target"));
    let pictures = target.unwrap_or(folder).join("report");
    fs::create_dir_all(&pictures).unwrap();
    let picture = pictures.join(format!("{}.png", look.name));
    let language = if look.chinese { "#zh" } else { "" };
    let mut browser = Command::new("chromium");
    browser
        .args(FLAGS.lines())
        .arg(format!("--user-data-dir={}", folder.join(look.name).display()))
        .arg(format!("--window-size={},{}", look.width, look.height))
        .arg(format!("--blink-settings=preferredColorScheme={}", u8::from(!look.dark)))
        .arg(format!("--screenshot={}", picture.display()))
        .arg("--dump-dom")
        .arg(format!("file://{}{language}", folder.join("report.html").display()))
        .stdin(Stdio::null())
        .kill_on_drop(true);
    let output = match timeout(LIMIT, browser.output()).await.expect("the browser ends") {
        Err(err) if err.kind() == ErrorKind::NotFound => return None,
        output => output.unwrap(),
    };
    let dom = String::from_utf8(output.stdout).unwrap();
    let seen = dom.split_once("data-seen=\"").and_then(|(_, rest)| rest.split_once('"'));
    let (seen, _) = seen.unwrap_or_else(|| panic!("{}", String::from_utf8_lossy(&output.stderr)));
    let seen = seen.replace("&quot;", "\"").replace("&lt;", "<").replace("&gt;", ">");
    assert!(picture.exists(), "{}", picture.display());
    Some(serde_json::from_str(&seen.replace("&nbsp;", " ").replace("&amp;", "&")).unwrap())
}
