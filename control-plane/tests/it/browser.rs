//! A headless Chromium, driven by what it understands: JSON over HTTP (W3C `WebDriver`).

use std::panic::AssertUnwindSafe;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use axum::http::{HeaderMap, Method};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use futures_util::FutureExt as _;
use runtime::HttpClient;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};
use tokio::time::{interval, timeout};

/// How long anything that is waited for may take on a busy machine.
const LIMIT: Duration = Duration::from_secs(30);
/// How often something is looked for that was replaced before it could be clicked.
const CLICKS: usize = 5;
/// One a line: no window and no sandbox, as tests may run as root; and it talks to nobody but us.
const FLAGS: &str = include_str!("../../../scripts/chromium.flags");

pub(crate) struct Browser {
    /// Killed when dropped.
    _driver: Child,
    /// Open as long as the driver may say something; it says little.
    _said: Lines<BufReader<ChildStdout>>,
    http: HttpClient,
    session: String,
    screenshots: PathBuf,
}

impl Browser {
    /// Runs a story in one with an empty profile in `folder`; where there is none, says so.
    #[expect(clippy::print_stderr, reason = "says that it is skipped, and why")]
    pub(crate) async fn run_in<F: AsyncFnOnce(&Self)>(folder: &Path, story: F) {
        let Some(browser) = Self::start(folder).await else {
            eprintln!("SKIPPED: no chromedriver here; scripts/install installs it");
            return;
        };
        let told = AssertUnwindSafe(story(&browser)).catch_unwind().await;
        browser.quit().await;
        if let Err(failed) = told {
            std::panic::resume_unwind(failed);
        }
    }

    /// Returns nothing where there is none on this machine.
    async fn start(folder: &Path) -> Option<Self> {
        let driver = Command::new("chromedriver")
            .arg("--port=0")
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn();
        let mut driver = driver.ok()?;
        let mut lines = BufReader::new(driver.stdout.take().unwrap()).lines();
        let port = loop {
            let line = lines.next_line().await.unwrap().expect("chromedriver says where it is");
            if let Some((_, port)) = line.split_once("started successfully on port ") {
                break port.trim_end_matches('.').to_owned();
            }
        };
        let mut flags: Vec<String> = FLAGS.lines().map(str::to_owned).collect();
        // With it the browser ends when its driver does.
        flags.push("--remote-debugging-pipe".to_owned());
        flags.push(format!("--user-data-dir={}", folder.join("browser").display()));
        let wanted = json!({ "capabilities": { "alwaysMatch": {
            "goog:chromeOptions": { "args": flags },
            // A test's own authority is in no list of the browser's.
            "acceptInsecureCerts": true,
        } } });
        let screenshots = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap().join("console");
        std::fs::create_dir_all(&screenshots).unwrap();
        let http = HttpClient::default();
        let mut browser = Self {
            _driver: driver,
            _said: lines,
            http,
            session: format!("http://127.0.0.1:{port}/session"),
            screenshots,
        };
        let begun = browser.post("", &wanted).await;
        let id = begun["sessionId"].as_str().unwrap();
        browser.session = format!("{}/{id}", browser.session);
        Some(browser)
    }

    pub(crate) async fn open(&self, url: &str) {
        self.post("/url", &json!({ "url": url })).await;
    }

    async fn quit(self) {
        self.call(Method::DELETE, "", &Value::Null).await;
    }

    /// Runs a function's body in the page, and returns what it returns.
    pub(crate) async fn run(&self, script: &str) -> Value {
        self.post("/execute/sync", &json!({ "script": script, "args": [] })).await
    }

    /// Clicks where a person would. A page that is kept live may have replaced what was found.
    pub(crate) async fn click(&self, selector: &str) {
        for _ in 0..CLICKS {
            let element = self.element(selector).await;
            let path = format!("/element/{element}/click");
            match self.ask(Method::POST, &path, &json!({})).await {
                Ok(_) => return,
                Err(why) => assert!(why.contains("stale element"), "{selector}: {why}"),
            }
        }
        panic!("{selector} was replaced each time before it could be clicked");
    }

    pub(crate) async fn write(&self, selector: &str, text: &str) {
        let element = self.element(selector).await;
        self.post(&format!("/element/{element}/value"), &json!({ "text": text })).await;
    }

    /// Presses a key, wherever the focus is.
    pub(crate) async fn press(&self, key: &str) {
        let actions =
            json!([{ "type": "keyDown", "value": key }, { "type": "keyUp", "value": key }]);
        let keyboard = json!({ "type": "key", "id": "keyboard", "actions": actions });
        self.post("/actions", &json!({ "actions": [keyboard] })).await;
    }

    /// Waits until an element has a text in it.
    pub(crate) async fn until(&self, selector: &str, text: &str) {
        let script = format!(
            "return [...document.querySelectorAll({})].some(e => e.textContent.includes({}))",
            json!(selector),
            json!(text)
        );
        let mut ticks = interval(Duration::from_millis(50));
        let seen = timeout(LIMIT, async {
            loop {
                ticks.tick().await;
                if self.run(&script).await == true {
                    return;
                }
            }
        });
        if seen.await.is_err() {
            let page = self.run("return location.href + '\\n' + document.body.innerText").await;
            panic!("no {selector} with {text:?} on {}", page.as_str().unwrap());
        }
    }

    /// Sets how wide the page is, and whether its reader likes it dark.
    pub(crate) async fn look(&self, width: u16, dark: bool) {
        let height = if width < 600 { 844 } else { 900 };
        let metrics =
            json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": false });
        self.devtools("Emulation.setDeviceMetricsOverride", &metrics).await;
        let scheme = if dark { "dark" } else { "light" };
        let features = json!({ "features": [{ "name": "prefers-color-scheme", "value": scheme }] });
        self.devtools("Emulation.setEmulatedMedia", &features).await;
    }

    /// Fails if a screen reader or a keyboard would miss something in the page, or if the page is wider
    /// than the window.
    async fn is_accessible(&self, name: &str) {
        let missing = self.run(include_str!("accessible.js")).await;
        assert_eq!(missing, json!([]), "{name}");
    }

    /// Writes what is to be seen to `target/console`, the whole page, for a person, and checks what is
    /// not to be seen.
    pub(crate) async fn screenshot(&self, name: &str) {
        self.is_accessible(name).await;
        let whole = json!({ "captureBeyondViewport": true, "format": "png" });
        let shot = self.devtools("Page.captureScreenshot", &whole).await;
        let png = BASE64_STANDARD.decode(shot["data"].as_str().unwrap()).unwrap();
        std::fs::write(self.screenshots.join(format!("{name}.png")), png).unwrap();
    }

    /// Returns what the browser keeps of a cookie.
    pub(crate) async fn cookie(&self, name: &str) -> Value {
        self.call(Method::GET, &format!("/cookie/{name}"), &Value::Null).await
    }

    async fn devtools(&self, command: &str, parameters: &Value) -> Value {
        self.post("/goog/cdp/execute", &json!({ "cmd": command, "params": parameters })).await
    }

    async fn element(&self, selector: &str) -> String {
        let found = json!({ "using": "css selector", "value": selector });
        let element = self.post("/element", &found).await;
        let (_, id) = element.as_object().unwrap().iter().next().unwrap();
        id.as_str().unwrap().to_owned()
    }

    async fn post(&self, path: &str, body: &Value) -> Value {
        self.call(Method::POST, path, body).await
    }

    async fn call(&self, method: Method, path: &str, body: &Value) -> Value {
        self.ask(method, path, body).await.unwrap_or_else(|why| panic!("{path}: {why}"))
    }

    async fn ask(&self, method: Method, path: &str, body: &Value) -> Result<Value, String> {
        let url = format!("{}{path}", self.session);
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let answer = self.http.call(method, &url, HeaderMap::new(), body, LIMIT).await.unwrap();
        let mut value: Value = serde_json::from_slice(&answer.body).unwrap();
        let value = value["value"].take();
        if answer.status.is_success() { Ok(value) } else { Err(value["message"].to_string()) }
    }
}
