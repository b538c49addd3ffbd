use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::Request;
use jsonwebtoken::jwk::{CommonParameters, Jwk, KeyAlgorithm};
use jsonwebtoken::{EncodingKey, encode};
use serde_json::{Value, json};
use topology::{Role, Slot};

use super::*;

mod confusion;
mod rotation;
mod visitors;

const NOW: u64 = 1_800_000_000;
const SECRET: &str = "0123456789abcdef0123456789abcdef";
const NAME: &str = "https://login.example";

#[test]
fn a_valid_token_names_its_user() {
    let person = identify(&token(&valid())).unwrap();
    assert_eq!((person.user.as_bytes(), person.slot), (b"ada".as_slice(), Slot::of("ada")));
    assert_eq!((person.role, person.cells.as_ref()), (Role::Contact, None));
}

#[test]
fn a_user_in_any_script_is_a_user() {
    let person = identify(&token(&with("sub", json!("张伟")))).unwrap();
    assert_eq!((person.user.as_bytes(), person.slot), ("张伟".as_bytes(), Slot::of("张伟")));
}

#[test]
fn one_audience_among_several_is_enough() {
    assert!(identify(&token(&with("aud", json!(["other", "us"])))).is_ok());
}

#[test]
fn an_agent_has_a_role_and_a_list_of_cells() {
    let mut claims = with("role", json!("agent"));
    claims["cells"] = json!(["c2", "c1"]);
    let person = identify(&token(&claims)).unwrap();
    let cells: Vec<&str> = person.cells.iter().flatten().map(topology::CellId::as_str).collect();
    assert_eq!((person.role, cells), (Role::Agent, vec!["c1", "c2"]));
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
        ("iss", Value::Null, Unidentified::Issuer),
        ("sub", Value::Null, Unidentified::Subject),
        ("sub", json!(""), Unidentified::Subject),
        ("sub", json!(7), Unidentified::Subject),
        ("sub", json!("a b"), Unidentified::Subject),
        ("sub", json!("a\r\nx-bulkhead-user: eve"), Unidentified::Subject),
        ("sub", json!("a".repeat(129)), Unidentified::Subject),
        ("sub", json!("visitor:00"), Unidentified::Subject),
        ("role", json!("admin"), Unidentified::Role),
        ("role", json!(["agent"]), Unidentified::Role),
        ("cells", json!("c1"), Unidentified::Cells),
        ("cells", json!(["C1"]), Unidentified::Cells),
        ("cells", json!(vec!["c1"; 65]), Unidentified::Cells),
    ];
    for (claim, value, expected) in cases {
        assert_eq!(
            identify(&token(&with(claim, value.clone()))),
            Err(expected),
            "{claim}: {value}"
        );
    }
}

#[test]
fn the_leeway_counts_at_both_ends() {
    for (claim, seconds, is_accepted) in
        [("exp", -4, true), ("exp", -5, false), ("nbf", 5, true), ("nbf", 6, false)]
    {
        let claims = with(claim, json!(NOW.checked_add_signed(seconds).unwrap()));
        assert_eq!(identify(&token(&claims)).is_ok(), is_accepted, "{claim} {seconds}");
    }
}

#[test]
fn a_token_is_remembered_to_its_end_and_not_beyond() {
    let identities = us(KeySet::secrets(SECRET).unwrap(), &[Algorithm::Hs256]);
    let token = token(&with("exp", json!(NOW + 10)));
    let first = identities.check(&token, NOW).unwrap();
    let again = identities.check(&token, NOW + 14).unwrap();
    assert!(Arc::ptr_eq(&first, &again));
    assert_eq!(identities.check(&token, NOW + 15), Err(Unidentified::Expired));
}

#[test]
fn a_token_that_differs_in_a_bit_from_one_remembered_is_checked_anew() {
    let identities = us(KeySet::secrets(SECRET).unwrap(), &[Algorithm::Hs256]);
    let good = token(&valid());
    identities.check(&good, NOW).unwrap();
    let last = if good.ends_with('A') { "E" } else { "A" };
    let forged = format!("{}{last}", &good[..good.len() - 1]);
    assert_eq!(identities.check(&forged, NOW), Err(Unidentified::Signature));
}

#[test]
fn what_is_not_a_bearer_token_is_none_and_two_are_none() {
    let identities = us(KeySet::secrets(SECRET).unwrap(), &[Algorithm::Hs256]);
    let good = format!("bearer {}", token(&valid()));
    for (headers, expected) in [
        (vec![], Err(Unidentified::Missing)),
        (vec![b"Basic YWRhOng=".as_slice()], Err(Unidentified::Missing)),
        (vec![b"Bearer".as_slice()], Err(Unidentified::Missing)),
        (vec![b"Bearer \xff".as_slice()], Err(Unidentified::Malformed)),
        (vec![good.as_bytes(), good.as_bytes()], Err(Unidentified::Malformed)),
        (vec![good.as_bytes()], Ok(())),
    ] {
        let request = headers
            .iter()
            .fold(Request::get("/v1/me"), |request, value| request.header("authorization", *value));
        let (head, ()) = request.body(()).unwrap().into_parts();
        let told = identities.identify(&head, NOW).map(drop);
        assert_eq!(told, expected, "{headers:?}");
    }
}

/// A router that trusts one issuer with these keys.
fn us(keys: KeySet, algorithms: &[Algorithm]) -> Identities {
    let spec = spec::Issuer { algorithms: algorithms.to_vec(), ..own_issuer(NAME, "us") };
    let issuer = Issuer::new(&spec, Speaks::ForUsers, Source::Secret("unused".into()));
    issuer.trust(keys);
    Identities { issuers: vec![issuer], verified: Verified::default() }
}

fn identify(token: &str) -> Result<Arc<Person>, Unidentified> {
    with_secret().check(token, NOW)
}

fn with_secret() -> Identities {
    us(KeySet::secrets(SECRET).unwrap(), &[Algorithm::Hs256])
}

fn valid() -> Value {
    json!({"sub": "ada", "aud": "us", "iss": NAME, "iat": NOW, "exp": NOW + 60})
}

fn with(claim: &str, value: Value) -> Value {
    let mut claims = valid();
    claims[claim] = value;
    claims
}

fn token(claims: &Value) -> String {
    signed(Algorithm::Hs256, &secret(SECRET), None, claims)
}

fn secret(text: &str) -> EncodingKey {
    EncodingKey::from_secret(text.as_bytes())
}

/// The private key of a pair.
fn private(algorithm: Algorithm) -> EncodingKey {
    match algorithm {
        Algorithm::Hs256 => secret(SECRET),
        Algorithm::Rs256 => {
            EncodingKey::from_rsa_pem(include_bytes!("../../tests/keys/rs256.pem")).unwrap()
        }
        Algorithm::Es256 => {
            EncodingKey::from_ec_pem(include_bytes!("../../tests/keys/es256.pem")).unwrap()
        }
        Algorithm::EdDsa => {
            EncodingKey::from_ed_pem(include_bytes!("../../tests/keys/eddsa.pem")).unwrap()
        }
    }
}

/// The public key of a pair, in PEM.
fn public(algorithm: Algorithm) -> &'static [u8] {
    match algorithm {
        Algorithm::Hs256 => SECRET.as_bytes(),
        Algorithm::Rs256 => include_bytes!("../../tests/keys/rs256.pub.pem"),
        Algorithm::Es256 => include_bytes!("../../tests/keys/es256.pub.pem"),
        Algorithm::EdDsa => include_bytes!("../../tests/keys/eddsa.pub.pem"),
    }
}

fn named(algorithm: Algorithm) -> jsonwebtoken::Algorithm {
    algorithm.as_str().parse().unwrap()
}

fn signed(algorithm: Algorithm, key: &EncodingKey, kid: Option<&str>, claims: &Value) -> String {
    let mut head = jsonwebtoken::Header::new(named(algorithm));
    head.kid = kid.map(str::to_owned);
    encode(&head, claims, key).unwrap()
}

/// A key of a set.
fn jwk(algorithm: Algorithm, kid: &str) -> Value {
    let mut jwk = Jwk::from_encoding_key(&private(algorithm), named(algorithm)).unwrap();
    jwk.common = CommonParameters {
        key_id: Some(kid.to_owned()),
        key_algorithm: Some(KeyAlgorithm::from(named(algorithm))),
        ..CommonParameters::default()
    };
    serde_json::to_value(jwk).unwrap()
}

fn jwks(keys: &[Value], algorithms: &[Algorithm]) -> KeySet {
    KeySet::jwks(json!({ "keys": keys }).to_string().as_bytes(), algorithms).unwrap()
}
