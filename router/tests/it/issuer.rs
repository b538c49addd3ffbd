//! An issuer's keys of each kind, as tests have them.

use jsonwebtoken::jwk::{CommonParameters, Jwk};
use jsonwebtoken::{Algorithm, EncodingKey};
use serde_json::json;

/// Returns a JSON Web Key Set of one key.
pub(crate) fn set(kid: &str, algorithm: Algorithm) -> String {
    let mut key = Jwk::from_encoding_key(&key(algorithm), algorithm).unwrap();
    key.common = CommonParameters { key_id: Some(kid.to_owned()), ..CommonParameters::default() };
    json!({ "keys": [key] }).to_string()
}

/// Returns what tokens are signed with: RS256, ES256, or else `EdDSA`.
pub(crate) fn key(algorithm: Algorithm) -> EncodingKey {
    let read = if algorithm == Algorithm::RS256 {
        EncodingKey::from_rsa_pem(include_bytes!("../keys/rs256.pem"))
    } else if algorithm == Algorithm::ES256 {
        EncodingKey::from_ec_pem(include_bytes!("../keys/es256.pem"))
    } else {
        EncodingKey::from_ed_pem(include_bytes!("../keys/eddsa.pem"))
    };
    read.unwrap()
}
