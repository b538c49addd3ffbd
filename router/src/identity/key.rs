//! One key, and the one algorithm it is for.
//!
//! The algorithm belongs to the key. What a token says about it only chooses among keys, so that a
//! public key is never taken for a secret.

use jsonwebtoken::crypto::rust_crypto::DEFAULT_PROVIDER;
use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, KeyOperations, PublicKeyUse};
use jsonwebtoken::{DecodingKey, DecodingKeyKind, EncodingKey};
use sha2::{Digest as _, Sha256};
use topology::spec::edge::identity::Algorithm;

use super::token::Token;

/// Bytes of the shortest RSA modulus that counts as secure …
const RSA_MIN: usize = 256;
/// … and of the longest that is checked quickly enough.
const RSA_MAX: usize = 512;
/// Characters of the shortest secret: 128 bits in hex. An empty file must not become a key that
/// everybody knows.
const SECRET_MIN: usize = 32;
/// An uncompressed point of P-256, and a point of Ed25519.
const P256_POINT: usize = 65;
const ED25519_POINT: usize = 32;

pub(crate) struct Key {
    /// Its name in tokens; a key without a name is tried for every token of its algorithm.
    pub(crate) id: Option<String>,
    pub(crate) algorithm: Algorithm,
    material: DecodingKey,
}

/// Why something is not a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NotAKey {
    #[error("it is neither an RSA, P-256 nor Ed25519 public key in PEM")]
    Pem,
    #[error("it is a private key; the router needs the public one")]
    Private,
    #[error("it is shorter than 32 characters")]
    Short,
    #[error("an RSA key has 2048 to 4096 bits")]
    RsaSize,
    #[error("it is of a type or for a use that is not known here")]
    Unknown,
}

impl Key {
    /// Takes a secret as it is in its file: its text is the key, white space around it is not.
    pub(crate) fn secret(text: &str) -> Result<Self, NotAKey> {
        let secret = text.trim().as_bytes();
        if secret.len() < SECRET_MIN {
            return Err(NotAKey::Short);
        }
        let key = DecodingKey::from_secret(secret);
        Ok(Self { id: None, algorithm: Algorithm::Hs256, material: key })
    }

    pub(crate) fn pem(text: &[u8]) -> Result<Self, NotAKey> {
        let is_said = |what: &str| text.windows(what.len()).any(|part| part == what.as_bytes());
        if is_said("PRIVATE KEY") {
            return Err(NotAKey::Private);
        }
        // Of a certificate the wrong part would be taken.
        if !is_said("PUBLIC KEY") {
            return Err(NotAKey::Pem);
        }
        if let Ok(key) = DecodingKey::from_rsa_pem(text) {
            let der = key.try_get_as_bytes().map_err(|_not| NotAKey::Pem)?;
            let (n, e) = (DEFAULT_PROVIDER.key_utils.rsa_pub_components_from_public_key)(der)
                .map_err(|_not| NotAKey::Pem)?;
            let key = DecodingKey::from_rsa_raw_components(&n, &e);
            return Self::checked(None, Algorithm::Rs256, key);
        }
        if let Ok(key) = DecodingKey::from_ec_pem(text) {
            return Self::checked(None, Algorithm::Es256, key);
        }
        let key = DecodingKey::from_ed_pem(text).map_err(|_not| NotAKey::Pem)?;
        Self::checked(None, Algorithm::EdDsa, key)
    }

    /// Takes one key of a set, if it is one to check tokens with.
    pub(crate) fn jwk(jwk: &Jwk) -> Result<Self, NotAKey> {
        let common = &jwk.common;
        let is_to_sign =
            common.public_key_use.as_ref().is_none_or(|usage| *usage == PublicKeyUse::Signature);
        let is_to_verify = common
            .key_operations
            .as_ref()
            .is_none_or(|operations| operations.contains(&KeyOperations::Verify));
        #[expect(clippy::wildcard_enum_match_arm, reason = "further types are not known here")]
        let algorithm = match &jwk.algorithm {
            AlgorithmParameters::RSA(_) => Algorithm::Rs256,
            AlgorithmParameters::EllipticCurve(point) if point.curve == EllipticCurve::P256 => {
                Algorithm::Es256
            }
            AlgorithmParameters::OctetKeyPair(point) if point.curve == EllipticCurve::Ed25519 => {
                Algorithm::EdDsa
            }
            AlgorithmParameters::OctetKey(_) => Algorithm::Hs256,
            _ => return Err(NotAKey::Unknown),
        };
        let is_said =
            common.key_algorithm.is_none_or(|said| said.to_string() == algorithm.as_str());
        if !(is_to_sign && is_to_verify && is_said) {
            return Err(NotAKey::Unknown);
        }
        let key = DecodingKey::from_jwk(jwk).map_err(|_not| NotAKey::Unknown)?;
        Self::checked(common.key_id.clone(), algorithm, key)
    }

    /// Refuses material that the algorithm cannot use, before a token depends on it.
    fn checked(
        id: Option<String>,
        algorithm: Algorithm,
        key: DecodingKey,
    ) -> Result<Self, NotAKey> {
        match (algorithm, key.kind()) {
            (Algorithm::Rs256, DecodingKeyKind::RsaModulusExponent { n, .. }) => {
                let n = n.iter().skip_while(|byte| **byte == 0).count();
                if !(RSA_MIN..=RSA_MAX).contains(&n) {
                    return Err(NotAKey::RsaSize);
                }
            }
            (Algorithm::Es256, DecodingKeyKind::SecretOrDer(point))
                if point.len() == P256_POINT => {}
            (Algorithm::EdDsa, DecodingKeyKind::SecretOrDer(point))
                if point.len() == ED25519_POINT => {}
            (Algorithm::Hs256, DecodingKeyKind::SecretOrDer(secret))
                if secret.len() >= SECRET_MIN => {}
            (Algorithm::Hs256, _) => return Err(NotAKey::Short),
            _ => return Err(NotAKey::Unknown),
        }
        let key = Self { id, algorithm, material: key };
        // Points that are not on their curve are refused by whoever makes something of the key.
        let nothing = jsonwebtoken::crypto::verify("", b"", &key.material, key.jwt_algorithm());
        nothing.map(|_no| key).map_err(|_not| NotAKey::Unknown)
    }

    /// Returns whether the key's owner has signed the token.
    pub(crate) fn has_signed(&self, token: &Token<'_>) -> bool {
        let verdict = jsonwebtoken::crypto::verify(
            token.signature,
            token.signed(),
            &self.material,
            self.jwt_algorithm(),
        );
        matches!(verdict, Ok(true))
    }

    /// Signs, if the key is a secret.
    pub(crate) fn sign(&self, message: &[u8]) -> Option<String> {
        if self.algorithm != Algorithm::Hs256 {
            return None;
        }
        let key = EncodingKey::from_secret(self.material.try_get_as_bytes().ok()?);
        jsonwebtoken::crypto::sign(message, &key, self.jwt_algorithm()).ok()
    }

    /// Returns what tells this key from every other.
    pub(crate) fn fingerprint(&self) -> [u8; 32] {
        let mut hash = Sha256::new();
        for part in [self.id.as_deref().unwrap_or_default(), self.algorithm.as_str()] {
            hash.update(part.len().to_be_bytes());
            hash.update(part);
        }
        match self.material.kind() {
            DecodingKeyKind::SecretOrDer(bytes) => hash.update(bytes),
            DecodingKeyKind::RsaModulusExponent { n, e } => {
                hash.update(n);
                hash.update(e);
            }
        }
        hash.finalize().into()
    }

    fn jwt_algorithm(&self) -> jsonwebtoken::Algorithm {
        match self.algorithm {
            Algorithm::Hs256 => jsonwebtoken::Algorithm::HS256,
            Algorithm::Rs256 => jsonwebtoken::Algorithm::RS256,
            Algorithm::Es256 => jsonwebtoken::Algorithm::ES256,
            Algorithm::EdDsa => jsonwebtoken::Algorithm::EdDSA,
        }
    }
}
