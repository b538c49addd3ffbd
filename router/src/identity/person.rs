//! Somebody whose token was checked, and what the token says of them.

use std::collections::BTreeSet;

use http::HeaderValue;
use serde::Deserialize;
use serde_json::Value;
use topology::{CellId, Role, Slot};

use super::Unidentified;
use super::visitor::PREFIX;

/// Longest user id; it becomes part of keys and headers.
const SUBJECT_MAX: usize = 128;
/// Most cells an agent works for; a token stays small enough for a header.
const CELLS_MAX: usize = 64;

/// Who asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Person {
    /// The user's id as it is, in UTF-8: the gateway computes the same slot from the same bytes.
    pub(crate) user: HeaderValue,
    /// The slot of the user's own data.
    pub(crate) slot: Slot,
    pub(crate) role: Role,
    /// The cells that an agent may name; none where the token has no such list.
    pub(crate) cells: Option<BTreeSet<CellId>>,
}

/// Whom an issuer may speak for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Speaks {
    /// For everybody but visitors.
    ForUsers,
    /// For visitors, who are contacts.
    ForVisitors,
}

/// What a token has to say for it to count.
#[derive(Debug)]
pub(crate) struct Terms {
    pub(crate) audience: String,
    /// How far the issuer's clock may be off, in seconds.
    pub(crate) leeway: u64,
    pub(crate) speaks: Speaks,
}

/// Claims as they come: each one is judged on its own, so that the answer can say which is wrong.
#[derive(Deserialize)]
pub(crate) struct Claims {
    #[serde(default)]
    sub: Value,
    #[serde(default)]
    aud: Value,
    #[serde(default)]
    pub(crate) iss: Value,
    exp: f64,
    nbf: Option<f64>,
    #[serde(default)]
    role: Value,
    #[serde(default)]
    cells: Value,
}

impl Claims {
    /// Returns whom they name, and until when, in seconds since 1970; the signature has been checked.
    #[expect(clippy::cast_precision_loss, reason = "seconds since 1970 are far below 2^53")]
    #[expect(clippy::cast_possible_truncation, reason = "a later end than fits is for ever")]
    #[expect(clippy::cast_sign_loss, reason = "an end before 1970 is over")]
    pub(crate) fn judge(self, terms: &Terms, now: u64) -> Result<(Person, u64), Unidentified> {
        let until = (self.exp + terms.leeway as f64).ceil() as u64;
        if until <= now {
            return Err(Unidentified::Expired);
        }
        if self.nbf.is_some_and(|nbf| nbf > (now + terms.leeway) as f64) {
            return Err(Unidentified::NotYetValid);
        }
        let is_ours = match &self.aud {
            Value::String(audience) => *audience == terms.audience,
            Value::Array(audiences) => {
                audiences.iter().any(|audience| *audience == *terms.audience)
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => false,
        };
        if !is_ours {
            return Err(Unidentified::Audience);
        }
        let user = self.sub.as_str().filter(|user| may_name(user, terms.speaks));
        let user = user.ok_or(Unidentified::Subject)?;
        let person = Person {
            // Without control characters, as was just checked.
            user: HeaderValue::from_bytes(user.as_bytes()).ok().ok_or(Unidentified::Subject)?,
            slot: Slot::of(user),
            role: role(&self.role, terms.speaks)?,
            cells: cells(&self.cells)?,
        };
        Ok((person, until))
    }
}

fn may_name(user: &str, speaks: Speaks) -> bool {
    let is_visitor = user.starts_with(PREFIX);
    is_user(user)
        && match speaks {
            Speaks::ForUsers => !is_visitor,
            Speaks::ForVisitors => is_visitor,
        }
}

/// Visible: what may stand in a header and a log line without changing its meaning.
fn is_user(user: &str) -> bool {
    let length = user.chars().count();
    (1..=SUBJECT_MAX).contains(&length)
        && !user.chars().any(|c| c.is_control() || c.is_whitespace())
}

fn role(claim: &Value, speaks: Speaks) -> Result<Role, Unidentified> {
    let role = match claim {
        Value::Null => Some(Role::Contact),
        Value::String(role) => role.parse().ok(),
        Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => None,
    };
    role.filter(|role| speaks == Speaks::ForUsers || *role == Role::Contact)
        .ok_or(Unidentified::Role)
}

fn cells(claim: &Value) -> Result<Option<BTreeSet<CellId>>, Unidentified> {
    let list = match claim {
        Value::Null => return Ok(None),
        Value::Array(list) if list.len() <= CELLS_MAX => list,
        Value::Array(_)
        | Value::Bool(_)
        | Value::Number(_)
        | Value::String(_)
        | Value::Object(_) => return Err(Unidentified::Cells),
    };
    let cells = list.iter().map(|cell| cell.as_str()?.parse().ok()).collect::<Option<_>>();
    cells.map(Some).ok_or(Unidentified::Cells)
}
