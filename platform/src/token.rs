//! Development tokens: who may come in is a production matter, this issuer is for one machine.

use std::fs;
use std::time::Duration;

use anyhow::Context as _;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde::Serialize;
use topology::{CellId, Role};

use crate::run_dir::RunDir;

const AUDIENCE: &str = "bulkhead";
const ISSUER: &str = "bulkhead-development";

#[derive(Serialize)]
struct Claims<'a> {
    sub: &'a str,
    aud: &'static str,
    iss: &'static str,
    iat: u64,
    exp: u64,
    role: &'static str,
    /// Of which an agent may name each.
    #[serde(skip_serializing_if = "<[&str]>::is_empty")]
    cells: &'a [&'a str],
}

/// Whom a token is for.
pub(crate) struct Bearer<'a> {
    pub(crate) user: &'a str,
    pub(crate) role: Role,
    pub(crate) cells: &'a [CellId],
}

/// Returns a token, signed with the run directory's development key.
pub(crate) fn development(
    run_dir: &RunDir,
    bearer: &Bearer<'_>,
    valid: Duration,
) -> anyhow::Result<String> {
    let path = run_dir.identity_key();
    let key = fs::read_to_string(&path).with_context(|| {
        format!("read {}; `platform up` makes it at its first start", path.display())
    })?;
    let issued = runtime::clock::unix_millis() / 1000;
    let cells: Vec<&str> = bearer.cells.iter().map(CellId::as_str).collect();
    let claims = Claims {
        sub: bearer.user,
        aud: AUDIENCE,
        iss: ISSUER,
        iat: issued,
        exp: issued.saturating_add(valid.as_secs()),
        role: bearer.role.as_str(),
        cells: &cells,
    };
    let key = EncodingKey::from_secret(key.trim().as_bytes());
    encode(&Header::new(Algorithm::HS256), &claims, &key).context("sign the token")
}
