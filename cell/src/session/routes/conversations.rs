//! `/v1/conversations`: begin one, look at one, list one's own.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::{HeaderMap, Method, StatusCode, Uri, header as http_header};
use axum::response::{IntoResponse, Json, Response};
use runtime::Problem;
use runtime::json_body::{JsonBody, invalid};
use serde::Deserialize;
use serde_json::Value;
use topology::spec::Durability;
use topology::wire::header;

use super::conversation_id;
use crate::database::idempotency::{Claim, required_key};
use crate::database::{Failure, Transaction};
use crate::gateway::query::{Page, Query, limit};
use crate::gateway::refusal::not_found;
use crate::gateway::{Actor, Caller, Permit};
use crate::session::Session;
use crate::session::conversation::{self, Conversation, NewConversation};

/// Longest name of a channel, such as `web` or `wechat`.
const CHANNEL_MAX: usize = 32;
/// Longest language tag of BCP 47 in practice.
pub(super) const LOCALE_MAX: usize = 35;
/// What a client may attach: a reference or two, not documents.
const METADATA_MAX: usize = 16 * 1024;

pub(super) async fn create(
    State(session): State<Arc<Session>>,
    caller: Caller,
    permit: Permit,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    JsonBody(new): JsonBody<NewConversation>,
) -> Result<Response, Failure> {
    check(&new)?;
    let permit = session.demand_write(permit).await?;
    let key = required_key(&headers)?;
    let place = (method.as_str(), uri.path());
    let writer = session.writer(permit);
    let claim = Claim::new(writer, caller.slot, &caller.user, key, place, &new);
    let transaction = session.begin(permit.strength()).await?;
    let outcome = begin(&transaction, &caller, &new, &claim).await;
    let outcome = outcome.and_then(|(body, repeated)| {
        if repeated {
            permit.demand_replay(session.durability)?;
        }
        Ok(created(body, repeated))
    });
    transaction.end(outcome).await
}

/// Returns the conversation, and whether it was there before this request.
async fn begin(
    transaction: &Transaction,
    caller: &Caller,
    new: &NewConversation,
    claim: &Claim,
) -> Result<(Value, bool), Failure> {
    if let Some(stored) = claim.take(transaction).await? {
        return Ok((stored.body, true));
    }
    let conversation = conversation::insert(transaction, caller, new).await?;
    let body = serde_json::to_value(&conversation).expect("a conversation is plain JSON");
    claim.keep(transaction, StatusCode::CREATED.as_u16(), &body).await?;
    Ok((body, false))
}

fn created(body: Value, repeated: bool) -> Response {
    let place = format!("/v1/conversations/{}", body["id"].as_str().unwrap_or_default());
    let place = [(http_header::LOCATION, place)];
    let replayed = repeated.then_some([(header::IDEMPOTENCY_REPLAYED, "true")]);
    (StatusCode::CREATED, place, replayed, Json(body)).into_response()
}

pub(super) async fn show(
    State(session): State<Arc<Session>>,
    actor: Actor,
    Path(id): Path<String>,
) -> Result<Json<Conversation>, Failure> {
    let id = conversation_id(&id, actor.slot)?;
    let transaction = Transaction::begin(&session.connections, Durability::Weak).await?;
    let found = conversation::find(&transaction, &actor, id).await;
    let found = transaction.end(found).await?;
    Ok(Json(found.ok_or_else(not_found)?))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Listing {
    limit: Option<i64>,
    cursor: Option<String>,
}

pub(super) async fn list(
    State(session): State<Arc<Session>>,
    caller: Caller,
    Query(listing): Query<Listing>,
) -> Result<Json<Page<Conversation>>, Failure> {
    let limit = limit(listing.limit)?;
    let before = listing.cursor.map(|cursor| conversation_id(&cursor, caller.slot)).transpose()?;
    let transaction = Transaction::begin(&session.connections, Durability::Weak).await?;
    let rows = conversation::list(&transaction, &caller, before, limit + 1).await;
    let rows = transaction.end(rows).await?;
    Ok(Json(Page::of(rows, limit, |conversation| conversation.id.clone())))
}

fn check(new: &NewConversation) -> Result<(), Problem> {
    let name = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if let Some(channel) = &new.channel
        && !((1..=CHANNEL_MAX).contains(&channel.len()) && channel.chars().all(name))
    {
        let detail = format!("1 to {CHANNEL_MAX} letters, digits, - and _");
        return Err(invalid("/channel", &detail));
    }
    check_locale(new.locale.as_deref())?;
    let metadata = serde_json::to_string(&new.metadata).map_or(0, |text| text.len());
    if metadata > METADATA_MAX {
        return Err(invalid("/metadata", &format!("more than {METADATA_MAX} bytes")));
    }
    if let Some((field, _)) = new.metadata.iter().find(|(_, value)| has_nul(value)) {
        return Err(invalid("/metadata", &format!("{field} contains U+0000")));
    }
    Ok(())
}

pub(super) fn check_locale(locale: Option<&str>) -> Result<(), Problem> {
    let tag = |c: char| c.is_ascii_alphanumeric() || c == '-';
    match locale {
        Some(locale) if !((2..=LOCALE_MAX).contains(&locale.len()) && locale.chars().all(tag)) => {
            Err(invalid("/locale", "not a language tag such as zh-CN or en"))
        }
        Some(_) | None => Ok(()),
    }
}

/// PostgreSQL stores every character but this one.
fn has_nul(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains('\0'),
        Value::Array(items) => items.iter().any(has_nul),
        Value::Object(fields) => {
            fields.iter().any(|(name, value)| name.contains('\0') || has_nul(value))
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}
