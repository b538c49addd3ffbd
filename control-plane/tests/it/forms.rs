//! The console without a script: its pages and its forms, over HTTP.

use axum::http::{HeaderMap, Method};
use runtime::http_client::Answer;

use crate::platform::Platform;

/// Returns the cookie of whoever has this token.
pub(crate) async fn sign_in(platform: &Platform, secret: &str) -> String {
    let own = url(platform, "");
    let signed_in = form(platform, "/console/sign-in", &own, "", &token(secret)).await;
    assert_eq!(signed_in.status, 303);
    let cookie = signed_in.headers["set-cookie"].to_str().unwrap();
    cookie.split(';').next().unwrap().to_owned()
}

pub(crate) async fn get(platform: &Platform, path: &str, cookie: &str) -> Answer {
    send(platform, Method::GET, path, &[("cookie", cookie)], "").await
}

pub(crate) async fn form(
    platform: &Platform,
    path: &str,
    origin: &str,
    cookie: &str,
    body: &str,
) -> Answer {
    let kind = "application/x-www-form-urlencoded";
    let mut headers = vec![("content-type", kind), ("origin", origin), ("cookie", cookie)];
    headers.retain(|(_, value)| !value.is_empty());
    send(platform, Method::POST, path, &headers, body).await
}

async fn send(
    platform: &Platform,
    method: Method,
    path: &str,
    headers: &[(&'static str, &str)],
    body: &str,
) -> Answer {
    let headers: HeaderMap = headers
        .iter()
        .map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()))
        .collect();
    platform.send(method, &url(platform, path), headers, body).await
}

/// Returns what a form's hidden field has in it.
pub(crate) fn field(page: &str, name: &str) -> String {
    let (_, rest) = page.split_once(&format!("name=\"{name}\" value=\"")).unwrap();
    rest.split('"').next().unwrap().replace("&#34;", "\"")
}

pub(crate) fn token(token: &str) -> String {
    format!("token={token}&back=")
}

pub(crate) fn url(platform: &Platform, path: &str) -> String {
    platform.url("north", path)
}
