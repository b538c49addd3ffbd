//! `/v1/tickets`: open one, look at them, move one on.
//!
//! A change that was acknowledged is seen by every read that begins afterwards, whatever is lost in
//! between: it is on this site, or the site would not be active. A change whose outcome is unknown
//! may be seen and be lost with the site: a read writes nothing and waits for no standby. PostgreSQL
//! shows such a change only when somebody has ended the commit's wait by force, or after a crash,
//! until the epoch's barrier; the gateway marks what is read before the barrier.

use axum::Router;
use axum::extract::{FromRef, Path, State};
use axum::http::{HeaderMap, Method, StatusCode, Uri, header as http_header};
use axum::response::{IntoResponse, Json, Response};
use axum::routing::{get, post};
use runtime::Problem;
use runtime::json_body::{JsonBody, invalid};
use serde::Deserialize;
use serde_json::Value;
use topology::public_id::{Kind, PublicId};
use topology::spec::Durability;
use topology::wire::header;
use topology::{SiteId, Slot};
use uuid::Uuid;

use super::model::{NewTicket, NewTransition, Ticket, Transition};
use super::store;
use crate::database::idempotency::{Claim, Writer, key_of, required_key};
use crate::database::{Connections, Failure, Transaction};
use crate::gateway::query::{Page, Query, limit};
use crate::gateway::refusal::{not_allowed, not_found};
use crate::gateway::{Actor, Caller, caller};

/// Longest subject, in characters: a line.
const SUBJECT_MAX: usize = 200;
/// Longest description, in characters; as a message's text.
const DESCRIPTION_MAX: usize = 8_000;
const REASON_MAX: usize = 1_000;

/// Whose tickets these are, and where they are kept.
#[derive(Clone)]
struct Tickets {
    site: SiteId,
    connections: Connections,
}

impl FromRef<Tickets> for Connections {
    fn from_ref(tickets: &Tickets) -> Self {
        tickets.connections.clone()
    }
}

/// Returns the routes. `shown` is the database that a ticket is shown from: this site's own, unless the site
/// is made to do wrong.
pub(super) fn routes(site: SiteId, connections: Connections, shown: Connections) -> Router {
    Router::new()
        .route("/v1/tickets", post(create).get(list))
        .route("/v1/tickets/{id}", get(show).with_state(shown))
        .route("/v1/tickets/{id}/history", get(history))
        .route("/v1/tickets/{id}/transitions", post(transition))
        .fallback(async || not_found())
        .method_not_allowed_fallback(async || not_allowed())
        .with_state(Tickets { site, connections })
}

async fn create(
    State(Tickets { site, connections }): State<Tickets>,
    caller: Caller,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    JsonBody(new): JsonBody<NewTicket>,
) -> Result<Response, Failure> {
    check_text("/subject", &new.subject, SUBJECT_MAX)?;
    check_text("/description", &new.description, DESCRIPTION_MAX)?;
    let conversation = conversation_of(&new, &caller)?;
    let key = required_key(&headers)?;
    let writer = Writer { site, epoch: caller::admitted_under(&headers)? };
    let place = (method.as_str(), uri.path());
    let claim = Claim::new(writer, caller.slot, &caller.user, key, place, &new);
    let transaction = Transaction::begin(&connections, Durability::Strong).await?;
    let outcome = open(&transaction, &caller, &new, conversation, &claim).await;
    transaction.end(outcome).await
}

async fn open(
    transaction: &Transaction,
    caller: &Caller,
    new: &NewTicket,
    conversation: Option<Uuid>,
    claim: &Claim,
) -> Result<Response, Failure> {
    if let Some(stored) = claim.take(transaction).await? {
        return Ok(replayed(answered(stored.status, stored.body)));
    }
    let ticket = store::insert(transaction, caller, new, conversation).await?;
    let body = serde_json::to_value(&ticket).expect("a ticket is plain JSON");
    claim.keep(transaction, StatusCode::CREATED.as_u16(), &body).await?;
    Ok(answered(StatusCode::CREATED.as_u16(), body))
}

async fn transition(
    State(Tickets { site, connections }): State<Tickets>,
    actor: Actor,
    Path(id): Path<String>,
    (method, uri): (Method, Uri),
    headers: HeaderMap,
    JsonBody(new): JsonBody<NewTransition>,
) -> Result<Response, Failure> {
    if let Some(reason) = &new.reason {
        check_text("/reason", reason, REASON_MAX)?;
    }
    let id = ticket_id(&id, actor.slot)?;
    let seen = seen_version(&headers)?;
    let place = (method.as_str(), uri.path());
    let writer = Writer { site, epoch: caller::admitted_under(&headers)? };
    let claim =
        key_of(&headers)?.map(|key| Claim::new(writer, actor.slot, &actor.user, key, place, &new));
    let transaction = Transaction::begin(&connections, Durability::Strong).await?;
    let outcome = move_on(&transaction, &actor, id, seen, &new, claim.as_ref()).await;
    transaction.end(outcome).await
}

async fn move_on(
    transaction: &Transaction,
    actor: &Actor,
    id: Uuid,
    seen: i64,
    new: &NewTransition,
    claim: Option<&Claim>,
) -> Result<Response, Failure> {
    if let Some(claim) = claim
        && let Some(stored) = claim.take(transaction).await?
    {
        return Ok(replayed(answered(stored.status, stored.body)));
    }
    let changed = store::change(transaction, actor, id, seen, new).await?;
    let body = serde_json::to_value(changed.ok_or_else(not_found)?).expect("plain JSON");
    if let Some(claim) = claim {
        claim.keep(transaction, StatusCode::OK.as_u16(), &body).await?;
    }
    Ok(answered(StatusCode::OK.as_u16(), body))
}

async fn show(
    State(connections): State<Connections>,
    actor: Actor,
    Path(id): Path<String>,
) -> Result<Response, Failure> {
    let id = ticket_id(&id, actor.slot)?;
    let transaction = Transaction::begin(&connections, Durability::Weak).await?;
    let found = store::find(&transaction, &actor, id).await;
    let found = transaction.end(found).await?.ok_or_else(not_found)?;
    let etag = etag(found.version);
    Ok(([(http_header::ETAG, etag)], Json(found)).into_response())
}

async fn history(
    State(connections): State<Connections>,
    actor: Actor,
    Path(id): Path<String>,
) -> Result<Json<Page<Transition>>, Failure> {
    let id = ticket_id(&id, actor.slot)?;
    let transaction = Transaction::begin(&connections, Durability::Weak).await?;
    let rows = match store::find(&transaction, &actor, id).await {
        Ok(Some(_)) => store::history(&transaction, actor.slot, id).await,
        Ok(None) => Err(not_found().into()),
        Err(failure) => Err(failure),
    };
    let rows = transaction.end(rows).await?;
    // A ticket's life has a few dozen changes at most: one page.
    Ok(Json(Page::of(rows, i64::MAX, |transition| transition.version.to_string())))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Listing {
    limit: Option<i64>,
    cursor: Option<String>,
}

async fn list(
    State(connections): State<Connections>,
    caller: Caller,
    Query(listing): Query<Listing>,
) -> Result<Json<Page<Ticket>>, Failure> {
    let limit = limit(listing.limit)?;
    let before = listing.cursor.map(|cursor| ticket_id(&cursor, caller.slot)).transpose()?;
    let transaction = Transaction::begin(&connections, Durability::Weak).await?;
    let rows = store::list(&transaction, &caller, before, limit + 1).await;
    let rows = transaction.end(rows).await?;
    Ok(Json(Page::of(rows, limit, |ticket| ticket.id.clone())))
}

/// Answers with a ticket as JSON; its version is the `ETag`.
fn answered(status: u16, body: Value) -> Response {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::OK);
    let etag = etag(body["version"].as_i64().unwrap_or_default());
    let place = format!("/v1/tickets/{}", body["id"].as_str().unwrap_or_default());
    let mut response = (status, [(http_header::ETAG, etag)], Json(body)).into_response();
    if status == StatusCode::CREATED
        && let Ok(place) = place.try_into()
    {
        response.headers_mut().insert(http_header::LOCATION, place);
    }
    response
}

fn replayed(response: Response) -> Response {
    ([(header::IDEMPOTENCY_REPLAYED, "true")], response).into_response()
}

fn etag(version: i64) -> String {
    format!("\"{version}\"")
}

/// Reads the version that the client has seen.
fn seen_version(headers: &HeaderMap) -> Result<i64, Problem> {
    let Some(seen) = headers.get(http_header::IF_MATCH) else {
        return Err(Problem::new(428, "precondition-required", "The request needs If-Match")
            .detail("send the ETag of the ticket it was decided on"));
    };
    let version = seen.to_str().ok().map(|seen| seen.trim_matches('"')).map(str::parse);
    match version {
        Some(Ok(version)) => Ok(version),
        Some(Err(_)) | None => Err(Problem::new(412, "stale-version", "The ticket has changed")
            .detail("If-Match is no version of a ticket")),
    }
}

fn ticket_id(text: &str, slot: Slot) -> Result<Uuid, Problem> {
    let id: PublicId = text.parse().map_err(|_not| not_found())?;
    if id.kind == Kind::Ticket && id.slot == slot {
        Ok(Uuid::from_u128(id.id))
    } else {
        Err(not_found())
    }
}

fn conversation_of(new: &NewTicket, caller: &Caller) -> Result<Option<Uuid>, Problem> {
    let Some(text) = &new.conversation_id else { return Ok(None) };
    match text.parse::<PublicId>() {
        Ok(id) if id.kind == Kind::Conversation && id.slot == caller.slot => {
            Ok(Some(Uuid::from_u128(id.id)))
        }
        Ok(_) | Err(_) => Err(invalid("/conversation_id", "not a conversation of yours")),
    }
}

fn check_text(pointer: &str, text: &str, max: usize) -> Result<(), Problem> {
    if text.trim().is_empty() {
        return Err(invalid(pointer, "the text is empty"));
    }
    if text.contains('\0') {
        return Err(invalid(pointer, "the text contains U+0000"));
    }
    if text.chars().count() > max {
        return Err(invalid(pointer, &format!("the text is longer than {max} characters")));
    }
    Ok(())
}
