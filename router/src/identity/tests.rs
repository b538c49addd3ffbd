use jsonwebtoken::{EncodingKey, encode};
use serde_json::json;

use super::*;

const NOW: u64 = 1_800_000_000;
const KEY: &str = "5f2c";

#[test]
fn a_valid_token_names_its_user() {
    assert_eq!(identify(&token(&valid())), Ok("ada".to_owned()));
}

#[test]
fn a_user_in_any_script_is_a_user() {
    let mut claims = valid();
    claims["sub"] = json!("张伟");
    assert_eq!(identify(&token(&claims)), Ok("张伟".to_owned()));
}

#[test]
fn one_audience_among_several_is_enough() {
    let mut claims = valid();
    claims["aud"] = json!(["other", "bulkhead"]);
    assert_eq!(identify(&token(&claims)), Ok("ada".to_owned()));
}

#[test]
fn each_wrong_claim_is_named() {
    let cases = [
        ("exp", json!(NOW - 60), Unidentified::Expired),
        ("exp", json!("soon"), Unidentified::Malformed),
        ("exp", Value::Null, Unidentified::Malformed),
        ("nbf", json!(NOW + 60), Unidentified::NotYetValid),
        ("aud", json!("other"), Unidentified::Audience),
        ("aud", Value::Null, Unidentified::Audience),
        ("iss", json!("somebody"), Unidentified::Issuer),
        ("sub", Value::Null, Unidentified::Subject),
        ("sub", json!(""), Unidentified::Subject),
        ("sub", json!(7), Unidentified::Subject),
        ("sub", json!("a b"), Unidentified::Subject),
        ("sub", json!("a\r\nx-bulkhead-user: eve"), Unidentified::Subject),
        ("sub", json!("a".repeat(129)), Unidentified::Subject),
    ];
    for (claim, value, expected) in cases {
        let mut claims = valid();
        claims[claim] = value.clone();
        assert_eq!(identify(&token(&claims)), Err(expected), "{claim}: {value}");
    }
}

#[test]
fn only_the_hs256_signature_of_the_right_key_counts() {
    let good = token(&valid());
    let (signed, signature) = good.rsplit_once('.').unwrap();
    let (_, body) = signed.split_once('.').unwrap();
    let part = |value: Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let cases = [
        (format!("{}.{body}.", part(json!({"alg": "none"}))), Unidentified::Unsigned),
        (format!("{}.{body}.{signature}", part(json!({"alg": "None"}))), Unidentified::Unsigned),
        (format!("{}.{body}.{signature}", part(json!({"alg": "RS256"}))), Unidentified::Algorithm),
        (format!("{}.{body}.{signature}", part(json!({"alg": "HS512"}))), Unidentified::Algorithm),
        (format!("{signed}."), Unidentified::Signature),
        (format!("{signed}.AAAA"), Unidentified::Signature),
        (signed_with("another key", &valid()), Unidentified::Signature),
        (signed.to_owned(), Unidentified::Malformed),
        (format!("{good}.x"), Unidentified::Malformed),
        (format!("%%.{body}.{signature}"), Unidentified::Malformed),
        (String::new(), Unidentified::Missing),
    ];
    for (token, expected) in cases {
        assert_eq!(identify(&token), Err(expected), "{token}");
    }
}

#[test]
fn a_body_changed_after_signing_is_refused() {
    let good = token(&valid());
    let parts: Vec<&str> = good.split('.').collect();
    let mut claims = valid();
    claims["sub"] = json!("eve");
    let body = URL_SAFE_NO_PAD.encode(claims.to_string());
    let forged = format!("{}.{body}.{}", parts[0], parts[2]);
    assert_eq!(identify(&forged), Err(Unidentified::Signature));
}

#[test]
fn what_is_not_a_bearer_token_is_none() {
    let keys = Keys::development(KEY);
    assert_eq!(keys.identify(None, NOW), Err(Unidentified::Missing));
    assert_eq!(keys.identify(Some(b"Basic YWRhOng="), NOW), Err(Unidentified::Missing));
    assert_eq!(keys.identify(Some(b"Bearer \xff"), NOW), Err(Unidentified::Malformed));
}

#[test]
fn the_keys_text_is_trimmed() {
    let keys = Keys::development(&format!("{KEY}\n"));
    let header = format!("bearer {}", token(&valid()));
    assert_eq!(keys.identify(Some(header.as_bytes()), NOW), Ok("ada".to_owned()));
}

fn valid() -> Value {
    json!({"sub": "ada", "aud": AUDIENCE, "iss": ISSUER, "iat": NOW, "exp": NOW + 60})
}

fn token(claims: &Value) -> String {
    signed_with(KEY, claims)
}

fn signed_with(key: &str, claims: &Value) -> String {
    let header = jsonwebtoken::Header::new(Algorithm::HS256);
    encode(&header, claims, &EncodingKey::from_secret(key.as_bytes())).unwrap()
}

fn identify(token: &str) -> Result<String, Unidentified> {
    Keys::development(KEY).identify(Some(format!("Bearer {token}").as_bytes()), NOW)
}
