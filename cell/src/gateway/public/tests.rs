use axum::body::to_bytes;
use axum::http::{HeaderMap, HeaderName, StatusCode};
use axum::response::Json;
use runtime::{HttpClient, Tasks};
use serde_json::json;
use tokio::net::TcpListener;
use tokio::sync::watch;

use super::*;
use crate::gateway::Barrier;

#[tokio::test]
async fn the_page_names_files_that_are_there_and_may_be_kept_for_ever() {
    let site = site().await;
    let page = site.get("/widget/").await;
    assert_eq!(page.headers["content-type"], "text/html; charset=utf-8");
    assert!(page.headers["cache-control"].starts_with("public, max-age=60, "));
    assert!(page.headers["content-security-policy"].contains("script-src 'self'"));
    let files: Vec<&str> =
        page.text.split('"').filter(|word| word.starts_with("/widget/")).collect();
    assert_eq!(files.len(), 2, "{}", page.text);
    for path in files {
        let file = site.get(path).await;
        assert_eq!(file.status, 200, "{path}");
        assert_eq!(file.headers["cache-control"], "public, max-age=31536000, immutable");
        let etag = file.headers["etag"].trim_matches('"');
        assert!(path.contains(etag), "{path} is named by its content, {etag}");
    }
}

#[tokio::test]
async fn who_has_a_file_does_not_get_it_again() {
    let site = site().await;
    let etag = site.get("/widget/").await.headers["etag"].clone();
    for known in [etag.clone(), format!("\"other\", W/{etag}"), "*".to_owned()] {
        let again = site.ask("GET", "/widget/", &[("if-none-match", &known)]).await;
        assert_eq!((again.status, again.text.as_str()), (304, ""), "{known}");
        assert_eq!(again.headers["etag"], etag);
    }
    assert_eq!(site.ask("GET", "/widget/", &[("if-none-match", "\"other\"")]).await.status, 200);
}

#[tokio::test]
async fn an_article_is_read_without_anybodys_headers() {
    let site = site().await;
    let asked = [("x-bulkhead-user", "ada"), ("authorization", "Bearer x")];
    let article = site.ask("GET", "/v1/kb/articles/track-order?locale=zh", &asked).await;
    assert_eq!(article.status, 200);
    let told = "{\"headers\":[],\"query\":\"locale=zh\"}";
    assert_eq!(
        (article.text.as_str(), &*article.headers["content-type"]),
        (told, "application/json")
    );
    assert!(article.headers["cache-control"].contains("max-age=60"));
    assert!(article.headers.contains_key("etag"));
    assert_eq!(site.get("/v1/kb/articles/none").await.status, 404);
}

#[tokio::test]
async fn nothing_but_reads_of_public_paths_passes_by_the_gate() {
    let site = site().await;
    for (method, path) in [
        ("GET", "/v1/conversations"),
        ("GET", "/widget"),
        ("GET", "/widget/../v1/conversations"),
        ("GET", "/widget/%2e%2e/v1/conversations"),
        ("POST", "/widget/"),
        ("DELETE", "/v1/kb/articles/track-order"),
        ("POST", "/v1/kb/search"),
    ] {
        let answer = site.ask(method, path, &[]).await;
        assert_eq!((answer.status, answer.text.as_str()), (400, "the gate"), "{method} {path}");
    }
    assert_eq!(site.get("/widget/other.js").await.status, 404);
}

struct Site {
    routes: Router,
    _tasks: Tasks,
}

struct Answer {
    status: u16,
    headers: std::collections::BTreeMap<String, String>,
    text: String,
}

/// A site whose gate refuses everything, and whose knowledge base tells what it was asked.
async fn site() -> Site {
    let article = async |headers: HeaderMap, uri: Uri| {
        let said = headers
            .keys()
            .filter(|name| name.as_str().starts_with("x-") || **name == "authorization");
        let said: Vec<&str> = said.map(HeaderName::as_str).collect();
        Json(json!({ "headers": said, "query": uri.query() }))
    };
    let knowledge = Router::new().route("/v1/kb/articles/track-order", get(article));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let mut tasks = Tasks::default();
    tasks.start("serve knowledge", |stop| server::serve(listener, knowledge, stop));
    let http = HttpClient::default();
    let barrier = Barrier::new(watch::channel(None).1);
    let pass_on = PassOn { http, barrier, ticket: address, knowledge: address, nlp: address };
    let gate = Router::new().fallback(async || (StatusCode::BAD_REQUEST, "the gate"));
    Site { routes: in_front(gate, Public::default(), &pass_on), _tasks: tasks }
}

impl Site {
    async fn get(&self, path: &str) -> Answer {
        self.ask("GET", path, &[]).await
    }

    async fn ask(&self, method: &str, path: &str, headers: &[(&str, &str)]) -> Answer {
        let mut request = Request::builder().method(method).uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(axum::body::Body::empty()).unwrap();
        let (head, body) = self.routes.clone().oneshot(request).await.unwrap().into_parts();
        let text = to_bytes(body, usize::MAX).await.unwrap();
        let headers = head
            .headers
            .iter()
            .map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned()));
        Answer {
            status: head.status.as_u16(),
            headers: headers.collect(),
            text: String::from_utf8(text.to_vec()).unwrap(),
        }
    }
}
