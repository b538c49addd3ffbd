//! Tokens that try to be checked with something else than they should.

use super::key::{Key, NotAKey};
use super::key_set::NotASet;
use super::*;

#[test]
fn each_algorithm_is_checked_with_its_key_from_a_file_or_a_set() {
    for algorithm in [Algorithm::Rs256, Algorithm::Es256, Algorithm::EdDsa] {
        let token = signed(algorithm, &private(algorithm), None, &valid());
        let pem = KeySet::pems(&[public(algorithm).to_vec()], &[algorithm]).unwrap();
        assert!(us(pem, &[algorithm]).check(&token, NOW).is_ok(), "{algorithm:?} from PEM");
        let set = jwks(&[jwk(algorithm, "k1")], &[algorithm]);
        assert!(us(set, &[algorithm]).check(&token, NOW).is_ok(), "{algorithm:?} from a set");
    }
    let set = jwks(&[jwk(Algorithm::Hs256, "k1")], &[Algorithm::Hs256]);
    assert!(us(set, &[Algorithm::Hs256]).check(&token(&valid()), NOW).is_ok());
}

#[test]
fn a_public_key_is_never_taken_for_a_secret() {
    for algorithm in [Algorithm::Rs256, Algorithm::Es256, Algorithm::EdDsa] {
        let text = public(algorithm);
        let forged = signed(Algorithm::Hs256, &EncodingKey::from_secret(text), None, &valid());
        let pem = || KeySet::pems(&[text.to_vec()], &[algorithm]).unwrap();
        // Even for an issuer that signs with secrets too.
        let algorithms = [algorithm, Algorithm::Hs256];
        let told = us(pem(), &algorithms).check(&forged, NOW);
        assert_eq!(told, Err(Unidentified::Algorithm), "{algorithm:?}");
        let keys = [jwk(algorithm, "public"), jwk(Algorithm::Hs256, "secret")];
        let named =
            signed(Algorithm::Hs256, &EncodingKey::from_secret(text), Some("public"), &valid());
        let told = us(jwks(&keys, &algorithms), &algorithms).check(&named, NOW);
        assert_eq!(told, Err(Unidentified::Algorithm), "{algorithm:?}");
        let told = us(jwks(&keys, &algorithms), &algorithms).check(&forged, NOW);
        assert_eq!(told, Err(Unidentified::Signature), "{algorithm:?}");
    }
}

#[test]
fn a_token_is_not_unsigned_malformed_or_too_long() {
    let good = token(&valid());
    let (head, rest) = good.split_once('.').unwrap();
    let (body, signature) = rest.split_once('.').unwrap();
    let part = |value: Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let text = |text: &str| URL_SAFE_NO_PAD.encode(text);
    let twice = text(r#"{"alg":"HS256","alg":"none"}"#);
    let user_twice = text(r#"{"sub":"ada","sub":"eve","exp":1e10,"iss":"https://login.example"}"#);
    let nested = format!("{}1{}", "[".repeat(2000), "]".repeat(2000));
    let cases = [
        (format!("{}.{body}.", part(json!({"alg": "none"}))), Unidentified::Unsigned),
        (format!("{}.{body}.{signature}", part(json!({"alg": "nOnE"}))), Unidentified::Unsigned),
        (format!("{}.{body}.{signature}", part(json!({"alg": "hs256"}))), Unidentified::Algorithm),
        (format!("{}.{body}.{signature}", part(json!({"alg": "HS512"}))), Unidentified::Algorithm),
        (format!("{}.{body}.{signature}", part(json!({"alg": "RS256"}))), Unidentified::Algorithm),
        (
            format!("{}.{body}.{signature}", part(json!({"alg": ["HS256"]}))),
            Unidentified::Malformed,
        ),
        (format!("{}.{body}.{signature}", part(json!({}))), Unidentified::Malformed),
        (format!("{twice}.{body}.{signature}"), Unidentified::Malformed),
        (format!("{head}.{user_twice}.{signature}"), Unidentified::Malformed),
        (
            format!("{}.{body}.{signature}", part(json!({"alg": "HS256", "crit": ["exp"]}))),
            Unidentified::Critical,
        ),
        (
            format!(
                "{}.{body}.{signature}",
                part(json!({"alg": "HS256", "crit": [], "b64": false}))
            ),
            Unidentified::Critical,
        ),
        (
            format!("{}.{body}.{signature}", part(json!({"alg": "HS256", "kid": 7}))),
            Unidentified::Malformed,
        ),
        (format!("{head}.{body}."), Unidentified::Signature),
        (format!("{head}.{body}.AAAA"), Unidentified::Signature),
        (format!("{head}.{body}.%%"), Unidentified::Signature),
        (format!("{head}.{body}"), Unidentified::Malformed),
        (format!("{good}.x"), Unidentified::Malformed),
        (format!("{head}=.{body}.{signature}"), Unidentified::Malformed),
        (format!("%%.{body}.{signature}"), Unidentified::Malformed),
        (format!("{}.{body}.{signature}", text(&nested)), Unidentified::Malformed),
        (format!("{head}.{}.{signature}", text("null")), Unidentified::Malformed),
        (String::new(), Unidentified::Malformed),
        ("..".to_owned(), Unidentified::Malformed),
        (format!("{good}{}", "A".repeat(8192)), Unidentified::TooLong),
        (signed(Algorithm::Hs256, &secret("another key"), None, &valid()), Unidentified::Signature),
    ];
    for (token, expected) in cases {
        assert_eq!(identify(&token), Err(expected), "{token}");
    }
}

#[test]
fn a_body_changed_after_signing_is_refused() {
    for algorithm in Algorithm::ALL {
        let good = signed(algorithm, &private(algorithm), None, &valid());
        let parts: Vec<&str> = good.split('.').collect();
        let body = URL_SAFE_NO_PAD.encode(with("sub", json!("eve")).to_string());
        let forged = format!("{}.{body}.{}", parts[0], parts[2]);
        let set = jwks(&[jwk(algorithm, "k1")], &[algorithm]);
        let told = us(set, &[algorithm]).check(&forged, NOW);
        assert_eq!(told, Err(Unidentified::Signature), "{algorithm:?}");
    }
}

#[test]
fn a_key_counts_for_its_own_issuer_only() {
    let (one, other) = ("https://one.example", "https://other.example");
    let issuer = |name: &str, key: &str| {
        let issuer =
            Issuer::new(&own_issuer(name, "us"), Speaks::ForUsers, Source::Secret("unused".into()));
        issuer.trust(KeySet::secrets(key).unwrap());
        issuer
    };
    let another = "another secret of thirty-two characters";
    let issuers = vec![issuer(one, SECRET), issuer(other, another)];
    let identities = Identities { issuers, verified: Verified::default() };
    let check = |iss: &str, key: &str| {
        let claims = with("iss", json!(iss));
        identities.check(&signed(Algorithm::Hs256, &secret(key), None, &claims), NOW).map(drop)
    };
    assert_eq!((check(one, SECRET), check(other, another)), (Ok(()), Ok(())));
    assert_eq!(check(one, another), Err(Unidentified::Signature));
    assert_eq!(check(other, SECRET), Err(Unidentified::Signature));
}

#[test]
fn of_two_keys_with_one_name_each_counts_for_its_own_algorithm() {
    let algorithms = [Algorithm::Rs256, Algorithm::EdDsa];
    let identities =
        us(jwks(&algorithms.map(|algorithm| jwk(algorithm, "k1")), &algorithms), &algorithms);
    for algorithm in algorithms {
        let token = signed(algorithm, &private(algorithm), Some("k1"), &valid());
        assert!(identities.check(&token, NOW).is_ok(), "{algorithm:?}");
    }
    let token = signed(Algorithm::Es256, &private(Algorithm::Es256), Some("k1"), &valid());
    assert_eq!(identities.check(&token, NOW), Err(Unidentified::Algorithm));
}

#[test]
fn keys_that_are_for_something_else_are_left_out_of_a_set() {
    let change = |name: &str, value: Value| {
        let mut key = jwk(Algorithm::Rs256, "k1");
        key[name] = value;
        key
    };
    for key in [
        change("use", json!("enc")),
        change("key_ops", json!(["sign"])),
        change("alg", json!("RSA-OAEP")),
        change("alg", json!("PS256")),
        change("kty", json!("quantum")),
        change("n", json!("AQAB")),
        json!({"kty": "OKP", "crv": "Ed25519", "x": "AQAB"}),
        json!({"kty": "oct", "k": "AQAB"}),
        json!("key"),
        jwk(Algorithm::Es256, "k2"),
    ] {
        let text = json!({ "keys": [key] }).to_string();
        let told = KeySet::jwks(text.as_bytes(), &[Algorithm::Rs256, Algorithm::EdDsa]).err();
        assert_eq!(told, Some(NotASet::Empty), "{text}");
    }
    let many = vec![jwk(Algorithm::EdDsa, "k"); 33];
    let text = json!({ "keys": many }).to_string();
    let told = KeySet::jwks(text.as_bytes(), &[Algorithm::EdDsa]).err();
    assert_eq!(told, Some(NotASet::TooMany));
}

#[test]
fn a_file_that_is_no_good_key_is_refused_at_once() {
    let not = |text: &[u8]| Key::pem(text).err();
    assert_eq!(not(include_bytes!("../../../tests/keys/rs256.pem")), Some(NotAKey::Private));
    assert_eq!(not(include_bytes!("../../../tests/keys/short.pub.pem")), Some(NotAKey::RsaSize));
    assert_eq!(not(include_bytes!("../../../tests/keys/es384.pub.pem")), Some(NotAKey::Unknown));
    assert_eq!(not(b"nonsense"), Some(NotAKey::Pem));
    assert_eq!(KeySet::secrets("short\n").err(), Some(NotASet::Key(NotAKey::Short)));
    assert_eq!(KeySet::secrets("\n \n").err(), Some(NotASet::Empty));
    let many = format!("{SECRET}\n").repeat(5);
    assert_eq!(KeySet::secrets(&many).err(), Some(NotASet::TooMany));
    let wrong = KeySet::pems(&[public(Algorithm::Rs256).to_vec()], &[Algorithm::Es256]).err();
    assert_eq!(wrong, Some(NotASet::Key(NotAKey::Unknown)));
}
