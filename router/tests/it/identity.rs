//! Who gets in.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::{Method, StatusCode};
use serde_json::json;

use crate::client::{ada, code, token};
use crate::site::Site;
use crate::world::World;

#[tokio::test]
async fn a_request_without_a_valid_token_reaches_no_site_and_is_told_why() {
    let site = Site::start([]);
    let world = World::with_site(site.address).await;
    let good = token(&ada());
    let parts: Vec<&str> = good.split('.').collect();
    let part = |value: serde_json::Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let changed = |claim: &str, value: serde_json::Value| {
        let mut claims = ada();
        claims[claim] = value;
        token(&claims)
    };
    let cases = [
        (None, "token-missing"),
        (Some("nonsense".to_owned()), "token-malformed"),
        (Some(format!("{}.{}.", part(json!({"alg": "none"})), parts[1])), "token-unsigned"),
        (
            Some(format!("{}.{}.{}", part(json!({"alg": "HS512"})), parts[1], parts[2])),
            "token-algorithm",
        ),
        (Some(format!("{}.{}.AAAA", parts[0], parts[1])), "token-signature"),
        (Some(changed("exp", json!(1))), "token-expired"),
        (Some(changed("nbf", json!(1u64 << 40))), "token-not-yet-valid"),
        (Some(changed("aud", json!("somebody-else"))), "token-audience"),
        (Some(changed("iss", json!("somebody-else"))), "token-issuer"),
        (Some(changed("sub", json!(""))), "token-subject"),
    ];
    for (token, expected) in cases {
        let header = token.map(|token| format!("Bearer {token}"));
        let headers: Vec<(&str, &str)> =
            header.iter().map(|value| ("authorization", value.as_str())).collect();
        let answer = world.client().ask_as_is(Method::GET, "/v1/me", &headers, "").await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{expected}");
        assert_eq!(code(&answer), expected);
    }
    assert!(site.seen().is_empty());
}

#[tokio::test]
async fn health_needs_no_token_and_no_site() {
    let site = Site::start([]);
    let world = World::with_site(site.address).await;
    let answer = world.client().ask_as_is(Method::GET, "/healthz", &[], "").await;
    assert_eq!((answer.status, &answer.body[..]), (StatusCode::OK, &b"ok\n"[..]));
    assert!(site.seen().is_empty());
}
