//! Issuers whose keys are in files, which an operator replaces while the router runs.

use std::fs;
use std::path::Path;

use http::{Method, StatusCode};
use jsonwebtoken::{Algorithm, Header, encode};
use serde_json::json;

use crate::client::code;
use crate::issuer::{key, set};
use crate::site::Site;
use crate::world::World;

/// Has its keys in PEM, without names …
const PEM: &str = "https://pem.example";
/// … and this one in a JSON Web Key Set.
const SET: &str = "https://set.example";
const RS256_PUBLIC: &str = include_str!("../keys/rs256.pub.pem");
const ES256_PUBLIC: &str = include_str!("../keys/es256.pub.pem");

#[tokio::test]
async fn keys_in_files_count_until_others_are_in_their_place_and_half_a_file_changes_nothing() {
    let site = Site::start([]);
    let (first, second) = (set("k1", Algorithm::EdDSA), set("k2", Algorithm::ES256));
    let prepare = |folder: &Path| replace(folder, RS256_PUBLIC, &first);
    let world = World::with_edge(|_| trusting(), prepare, site.address).await;
    let old = [token(PEM, "", Algorithm::RS256), token(SET, "k1", Algorithm::EdDSA)];
    let new = [token(PEM, "", Algorithm::ES256), token(SET, "k2", Algorithm::ES256)];
    let unknown = ["token-algorithm", "token-key"];
    assert_eq!(ask(&world, &old).await, ["", ""]);
    assert_eq!(ask(&world, &new).await, unknown);

    let half = |text: &str| text[..text.len() / 2].to_owned();
    replace(world.folder(), &half(ES256_PUBLIC), &half(&second));
    for issuer in [PEM, SET] {
        world.eventually_said_of(issuer, "keys not read; the last ones stay").await;
    }
    assert_eq!(ask(&world, &old).await, ["", ""]);

    replace(world.folder(), ES256_PUBLIC, &second);
    world
        .eventually("the new keys count", async || {
            (ask(&world, &new).await == ["", ""]).then_some(())
        })
        .await;
    assert_eq!(ask(&world, &old).await, unknown, "although they were good a moment ago");
}

/// Asks with each token, and returns why it was refused; nothing where it was not.
async fn ask(world: &World, tokens: &[String; 2]) -> [String; 2] {
    let mut refusals = [String::new(), String::new()];
    for (token, refusal) in tokens.iter().zip(&mut refusals) {
        let bearer = format!("Bearer {token}");
        let headers = [("authorization", bearer.as_str())];
        let answer = world.client().ask_as_is(Method::GET, "/v1/me", &headers, "").await;
        if answer.status != StatusCode::OK {
            assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{answer:?}");
            *refusal = code(&answer);
        }
    }
    refusals
}

fn trusting() -> String {
    format!(
        "identity: [{{issuer: '{PEM}', audience: us, algorithms: [RS256, ES256], \
         keys: {{pem: [issuer.pem]}}}}, {{issuer: '{SET}', audience: us, \
         algorithms: [EdDSA, ES256], keys: {{jwks: issuer.jwks}}}}]"
    )
}

fn replace(folder: &Path, pem: &str, set: &str) {
    fs::write(folder.join("issuer.pem"), pem).unwrap();
    fs::write(folder.join("issuer.jwks"), set).unwrap();
}

fn token(issuer: &str, kid: &str, algorithm: Algorithm) -> String {
    let now = runtime::clock::unix_millis() / 1000;
    let claims = json!({"sub": "ada", "aud": "us", "iss": issuer, "exp": now + 3600});
    let mut head = Header::new(algorithm);
    head.kid = Some(kid.to_owned()).filter(|kid| !kid.is_empty());
    encode(&head, &claims, &key(algorithm)).unwrap()
}
