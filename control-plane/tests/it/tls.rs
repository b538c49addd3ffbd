use std::path::Path;

use axum::http::{HeaderMap, Method};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use runtime::HttpClient;
use runtime::http_client::{Answer, CallError};
use serde_json::json;
use topology::address::Port;

use crate::browser::Browser;
use crate::forms::url;
use crate::platform::{LIMIT, OPERATOR, Platform};

const FILES: &str = "control-plane: {tls: {certificate: cp.pem, key: cp.key, authority: ca.pem}}\n";

#[tokio::test(flavor = "multi_thread")]
async fn the_api_and_the_console_speak_tls_and_take_a_new_certificate_while_they_run() {
    let platform = Platform::prepare_with(FILES);
    let first = Authority::new();
    first.write(&platform);
    let trusts_first = platform.folder().join("first.pem");
    std::fs::copy(platform.folder().join("ca.pem"), &trusts_first).unwrap();
    platform
        .start(&["north"], async |platform| {
            let known = platform.until(async || {
                let answer = ask(platform, &trusts_first, "https").await;
                answer.is_ok_and(|answer| answer.status == 200)
            });
            assert!(known.await, "nothing is answered with TLS");
            let answer = ask(platform, &trusts_first, "http").await;
            assert!(answer.is_err(), "it is answered in the open");
            let cookie = sign_in(platform, &trusts_first).await;
            assert!(cookie.ends_with("; HttpOnly; SameSite=Strict; Secure"), "{cookie}");

            // A key without its certificate is refused, and what is in use stays.
            let second = Authority::new();
            std::fs::write(platform.folder().join("cp.key"), second.sign(platform).1).unwrap();
            let answer = ask(platform, &trusts_first, "https").await;
            assert_eq!(answer.unwrap().status, 200);
            second.write(platform);
            let trusts_second = platform.folder().join("ca.pem");
            let changed = platform.until(async || {
                let answer = ask(platform, &trusts_second, "https").await;
                answer.is_ok_and(|answer| answer.status == 200)
            });
            assert!(changed.await, "the new certificate is not in use");
            let refused = ask(platform, &trusts_first, "https").await.unwrap_err();
            assert!(matches!(refused, CallError::Connect { .. }), "{refused:?}");
        })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_browser_signs_in_over_tls_sees_what_changes_and_moves_a_cell() {
    let platform = Platform::prepare_with(FILES);
    Authority::new().write(&platform);
    platform
        .start(&["north"], async |platform| {
            platform.until_known("north").await;
            let folder = platform.folder();
            Browser::run_in(folder, async |browser| story(browser, platform).await).await;
        })
        .await;
}

async fn story(browser: &Browser, platform: &Platform) {
    browser.look(1280, false).await;
    browser.open(&url(platform, "/console/cells/c1")).await;
    browser.write("#token", OPERATOR).await;
    browser.click("button.main").await;
    browser.until("h1", "Cell c1").await;
    let secure = "return [location.protocol, window.isSecureContext, document.cookie]";
    assert_eq!(browser.run(secure).await, json!(["https:", true, ""]));
    let cookie = browser.cookie("bulkhead_console").await;
    let kept = ["secure", "httpOnly", "sameSite"].map(|name| &cookie[name]);
    assert_eq!(kept, [&json!(true), &json!(true), &json!("Strict")], "{cookie}");

    // What comes by the stream finds the page as it was.
    browser.until("#live", "Live").await;
    browser.run("window.same = true").await;
    let alert = || ("archive-failing".to_owned(), "3 segments wait".to_owned());
    platform.agent("east").told(|east| east.alerts.extend([alert()]));
    browser.until(".attention", "The archive fails").await;
    assert_eq!(browser.run("return window.same").await, true);

    browser.click("#move-south").await;
    browser.until("h1", "Move c1 to South").await;
    browser.click("#confirm").await;
    browser.until("#site-south .mark", "active").await;
    platform.until_serving("south").await;
}

async fn ask(platform: &Platform, authority: &Path, scheme: &str) -> Result<Answer, CallError> {
    let url = format!("{scheme}://{}/v1/regions", platform.address("north", Port::ControlPlane));
    let bearer = format!("Bearer {OPERATOR}").parse().unwrap();
    let headers = HeaderMap::from_iter([("authorization".parse().unwrap(), bearer)]);
    // One without connections: it shakes hands anew.
    let http = HttpClient::trusting(Some(authority)).unwrap();
    http.call(Method::GET, &url, headers, "", LIMIT).await
}

async fn sign_in(platform: &Platform, authority: &Path) -> String {
    let own = format!("https://{}", platform.address("north", Port::ControlPlane));
    let headers = [("content-type", "application/x-www-form-urlencoded"), ("origin", &own)];
    let headers: HeaderMap = headers
        .iter()
        .map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()))
        .collect();
    let http = HttpClient::trusting(Some(authority)).unwrap();
    let url = format!("{own}/console/sign-in");
    let body = format!("token={OPERATOR}&back=");
    let answer = http.call(Method::POST, &url, headers, body, LIMIT).await.unwrap();
    answer.headers["set-cookie"].to_str().unwrap().to_owned()
}

struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::<String>::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    /// Returns a certificate for the control plane's address, and its key.
    fn sign(&self, platform: &Platform) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let own = platform.address("north", Port::ControlPlane).ip().to_string();
        let params = CertificateParams::new(vec![own]).unwrap();
        (params.signed_by(&key, &self.0).unwrap().pem(), key.serialize_pem())
    }

    fn write(&self, platform: &Platform) {
        let (certificate, key) = self.sign(platform);
        for (name, pem) in [("cp.key", key), ("cp.pem", certificate), ("ca.pem", self.0.pem())] {
            std::fs::write(platform.folder().join(name), pem).unwrap();
        }
    }
}
