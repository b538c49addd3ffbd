//! `/v1/conversations/{id}/messages`: say something and be answered; read what was said.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Json, Response};
use runtime::Problem;
use runtime::json_body::{JsonBody, invalid};
use serde::{Deserialize, Serialize};
use topology::spec::Durability;
use topology::wire::header;

use super::conversation_id;
use super::conversations::check_locale;
use crate::database::idempotency::{Claim, key_of, required_key};
use crate::database::{Failure, Transaction};
use crate::gateway::query::{Page, Query, limit};
use crate::gateway::refusal::not_found;
use crate::gateway::{Actor, Caller, Permit};
use crate::session::message::{self, Message, NewMessage};
use crate::session::turn;
use crate::session::{Session, conversation};

/// Longest text of a message, in characters.
const TEXT_MAX: usize = 8_000;
/// Longest id a client gives its message; a UUID has 36 characters.
const CLIENT_ID_MAX: usize = 128;

#[derive(Serialize)]
struct Answered {
    message: Message,
    reply: Message,
}

pub(super) async fn send(
    State(session): State<Arc<Session>>,
    caller: Caller,
    permit: Permit,
    Path(id): Path<String>,
    (method, uri): (Method, Uri),
    headers: HeaderMap,
    JsonBody(new): JsonBody<NewMessage>,
) -> Result<Response, Failure> {
    check(&new)?;
    let permit = session.demand_write(permit).await?;
    let key = match &new.client_message_id {
        Some(_) => key_of(&headers)?,
        None => Some(required_key(&headers)?),
    };
    let id = conversation_id(&id, caller.slot)?;
    let place = (method.as_str(), uri.path());
    let claim = key
        .map(|key| Claim::new(session.writer(permit), caller.slot, &caller.user, key, place, &new));
    let posted = turn::post(&session, &caller, permit, id, &new, claim.as_ref()).await?;
    let reply = match posted.reply {
        Some(reply) => reply,
        None => turn::answer(&session, &posted.turn, permit.strength()).await.map_err(kept)?,
    };
    let answered = Answered { message: posted.turn.message, reply };
    let mut response = (StatusCode::CREATED, Json(answered)).into_response();
    if posted.repeated {
        let name = HeaderName::from_static(header::IDEMPOTENCY_REPLAYED);
        response.headers_mut().insert(name, HeaderValue::from_static("true"));
    }
    Ok(response)
}

/// The message is kept by now, so "nothing happened" would not be true any more.
fn kept(failure: Failure) -> Failure {
    match failure {
        Failure::Unreachable(_) | Failure::Overloaded => Failure::Unknown,
        Failure::Refused(_) | Failure::Unknown | Failure::Broken(_) => failure,
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Listing {
    after_seq: Option<i64>,
    limit: Option<i64>,
}

pub(super) async fn list(
    State(session): State<Arc<Session>>,
    actor: Actor,
    Path(id): Path<String>,
    Query(listing): Query<Listing>,
) -> Result<Json<Page<Message>>, Failure> {
    let id = conversation_id(&id, actor.slot)?;
    let limit = limit(listing.limit)?;
    let after = listing.after_seq.unwrap_or(0);
    let transaction = Transaction::begin(&session.connections, Durability::Weak).await?;
    let rows = match conversation::find(&transaction, &actor, id).await {
        Ok(Some(_)) => message::list(&transaction, actor.slot, id, after, limit + 1).await,
        Ok(None) => Err(not_found().into()),
        Err(failure) => Err(failure),
    };
    let rows = transaction.end(rows).await?;
    Ok(Json(Page::of(rows, limit, |message| message.seq.to_string())))
}

fn check(new: &NewMessage) -> Result<(), Problem> {
    if new.text.trim().is_empty() {
        return Err(invalid("/text", "the text is empty"));
    }
    if new.text.chars().count() > TEXT_MAX {
        return Err(invalid("/text", &format!("the text is longer than {TEXT_MAX} characters")));
    }
    if new.text.contains('\0') {
        return Err(invalid("/text", "the text contains U+0000"));
    }
    if let Some(id) = &new.client_message_id
        && !((1..=CLIENT_ID_MAX).contains(&id.len()) && id.chars().all(|c| c.is_ascii_graphic()))
    {
        let detail = format!("1 to {CLIENT_ID_MAX} visible ASCII characters");
        return Err(invalid("/client_message_id", &detail));
    }
    check_locale(new.locale.as_deref())
}
