//! A request that is repeated with its `Idempotency-Key` has one effect and one answer (I9).
//!
//! The key is written in the transaction that has the effect. A second request with the same key
//! waits for the first one's transaction, and then finds its answer or, if it was rolled back, is
//! the first itself.
//!
//! With the key goes who made the write, under which epoch, and where the log was then: it says afterwards
//! in whose right what was written. A write without a key, and what the bot adds by itself, has no such row.

use axum::http::HeaderMap;
use runtime::Problem;
use serde::Serialize;
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use topology::wire::header;
use topology::{Epoch, SiteId, Slot};

use super::{Failure, Transaction};
use crate::defect::Defect;

/// Longest key accepted; a UUID has 36 characters.
const KEY_MAX: usize = 255;

/// The site that makes a write, and the epoch under which it was admitted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Writer {
    pub site: SiteId,
    pub epoch: Epoch,
}

/// What makes two requests the same, and who does this one if it is the first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    writer: Writer,
    slot: Slot,
    user: String,
    key: String,
    fingerprint: [u8; 32],
}

/// What a request with this key was answered before.
#[derive(Clone, Debug, PartialEq)]
pub struct Stored {
    pub status: u16,
    pub body: Value,
}

impl Claim {
    /// `request` is the body as it was understood: white space and the order of fields do not make
    /// a request another one.
    pub fn new(
        writer: Writer,
        slot: Slot,
        user: &str,
        key: String,
        (method, path): (&str, &str),
        request: &impl Serialize,
    ) -> Self {
        let request = serde_json::to_value(request).expect("a request is plain JSON");
        let mut hash = Sha256::new();
        for part in [method, path, &canonical(&request)] {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        }
        Self { writer, slot, user: user.to_owned(), key, fingerprint: hash.finalize().into() }
    }

    /// Takes the key for this transaction. Returns what it was answered before, if it was; that may
    /// be answered again once the transaction has been committed.
    pub async fn take(&self, transaction: &Transaction) -> Result<Option<Stored>, Failure> {
        if Defect::NoDeduplication.is_on() {
            return Ok(None);
        }
        let Writer { site, epoch } = &self.writer;
        let taken = transaction
            .execute(
                "INSERT INTO idempotency_keys
                     (slot, user_id, key, fingerprint, epoch, writer, lsn)
                 VALUES ($1, $2, $3, $4, $5, $6, pg_current_wal_insert_lsn())
                 ON CONFLICT DO NOTHING",
                &[
                    &self.row_slot(),
                    &self.user,
                    &self.key,
                    &self.fingerprint.as_slice(),
                    &epoch.0.cast_signed(),
                    &site.to_string(),
                ],
            )
            .await?;
        if taken == 1 {
            return Ok(None);
        }
        let row = transaction
            .row(
                "SELECT fingerprint, status, body FROM idempotency_keys
                 WHERE slot = $1 AND user_id = $2 AND key = $3",
                &[&self.row_slot(), &self.user, &self.key],
            )
            .await?;
        // Removed for its age between the two statements: the next try is the first again.
        let row = row.ok_or(Failure::Overloaded)?;
        if row.get::<_, &[u8]>(0) != self.fingerprint {
            return Err(mismatch().into());
        }
        transaction.confirm().await?;
        let status: i16 = row.get(1);
        let status = u16::try_from(status).expect("written by `keep`");
        Ok(Some(Stored { status, body: row.get(2) }))
    }

    /// Keeps the answer, or what it can be made of again, with the effect.
    pub async fn keep(
        &self,
        transaction: &Transaction,
        status: u16,
        body: &Value,
    ) -> Result<(), Failure> {
        let status = i16::try_from(status).expect("a status has three digits");
        transaction
            .execute(
                "UPDATE idempotency_keys SET status = $4, body = $5
                 WHERE slot = $1 AND user_id = $2 AND key = $3",
                &[&self.row_slot(), &self.user, &self.key, &status, body],
            )
            .await?;
        Ok(())
    }

    fn row_slot(&self) -> i16 {
        row_slot(self.slot)
    }
}

/// Returns a slot as the database stores it.
#[must_use]
pub fn row_slot(slot: Slot) -> i16 {
    i16::try_from(slot.number()).expect("14 bits fit in 15")
}

/// Reads the request's key.
pub fn key_of(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let Some(value) = headers.get(header::IDEMPOTENCY_KEY) else { return Ok(None) };
    match value.to_str() {
        Ok(key) if (1..=KEY_MAX).contains(&key.len()) => Ok(Some(key.to_owned())),
        Ok(_) | Err(_) => {
            Err(Problem::new(400, "idempotency-key-invalid", "The Idempotency-Key is not usable")
                .detail(format!("it must have 1 to {KEY_MAX} visible ASCII characters")))
        }
    }
}

/// Reads the key of a request that must have one.
pub fn required_key(headers: &HeaderMap) -> Result<String, Problem> {
    key_of(headers)?.ok_or_else(|| {
        Problem::new(400, "idempotency-key-missing", "The request needs an Idempotency-Key")
            .detail("send one that is new for each thing you create, and the same when you retry")
    })
}

/// Returns the problem of a key that was used for another request.
#[must_use]
pub fn mismatch() -> Problem {
    Problem::new(422, "idempotency-mismatch", "The key was used for another request")
}

/// Writes JSON the same way whatever order its fields came in.
fn canonical(value: &Value) -> String {
    match value {
        Value::Object(fields) => {
            let mut sorted: Vec<_> = fields.iter().collect();
            sorted.sort_unstable_by_key(|(name, _)| *name);
            let fields: Vec<String> = sorted
                .into_iter()
                .map(|(name, value)| format!("{}:{}", Value::from(name.as_str()), canonical(value)))
                .collect();
            format!("{{{}}}", fields.join(","))
        }
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(canonical).collect();
            format!("[{}]", items.join(","))
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn fingerprint(path: &str, request: &Value) -> [u8; 32] {
        let writer = Writer { site: "c1@east".parse().unwrap(), epoch: Epoch(7) };
        let key = "k".to_owned();
        Claim::new(writer, Slot::of("ada"), "ada", key, ("POST", path), request).fingerprint
    }

    #[test]
    fn the_order_of_fields_makes_no_other_request() {
        let one = serde_json::from_str(r#"{"a": 1, "b": {"c": [2], "d": null}}"#).unwrap();
        let two = serde_json::from_str(r#"{"b": {"d": null, "c": [2]}, "a": 1}"#).unwrap();
        assert_eq!(fingerprint("/v1/tickets", &one), fingerprint("/v1/tickets", &two));
    }

    #[test]
    fn another_body_or_path_is_another_request() {
        let one = fingerprint("/v1/tickets", &json!({"a": "1"}));
        assert_ne!(one, fingerprint("/v1/tickets", &json!({"a": 1})));
        assert_ne!(one, fingerprint("/v1/ticket", &json!({"a": "1"})));
    }

    #[test]
    fn an_empty_or_endless_key_is_refused() {
        for bad in ["", "é", &"k".repeat(KEY_MAX + 1)] {
            let mut headers = HeaderMap::new();
            headers.insert(header::IDEMPOTENCY_KEY, bad.parse().unwrap());
            assert_eq!(key_of(&headers).unwrap_err().code, "idempotency-key-invalid", "{bad:?}");
        }
    }
}
