//! `POST /v1/visitors`: an identity for somebody nobody knows, answered by the router itself.

use http::{Method, header as names};
use pingora_core::Result;
use pingora_http::ResponseHeader;
use pingora_proxy::Session;
use runtime::Problem;
use topology::spec::edge::Limits;

use crate::answer;
use crate::decide::origin::Origin;
use crate::forwarding::Forwarding;
use crate::hold::Holder;
use crate::identity::visitor::Pass;
use crate::identity::{Identities, Unidentified};
use crate::limits;

/// Answers with a visitor's identity, new or renewed.
pub(crate) async fn answer(
    session: &mut Session,
    request: &mut Forwarding,
    identities: &Identities,
    holder: &Holder,
) -> Result<()> {
    match admit(session, identities, &holder.protection.limits) {
        Ok(pass) => give(session, &pass).await,
        Err(problem) => answer::problem(session, request, &holder.table, &problem).await,
    }
}

fn admit(
    session: &Session,
    identities: &Identities,
    limits: &Limits,
) -> std::result::Result<Pass, Problem> {
    let head = session.req_header();
    limits::check(head, limits)?;
    if head.method != Method::POST {
        return Err(Problem::new(405, "method-not-allowed", "A visitor is made with POST")
            .header("allow", "POST"));
    }
    let now = runtime::clock::unix_millis() / 1000;
    let pass = identities.admit_visitor(head, now).map_err(Unidentified::problem)?;
    pass.ok_or_else(|| {
        Problem::new(404, "no-visitors", "No visitors are admitted here")
            .detail("the routers have no key for them: secrets/visitor.keys")
    })
}

async fn give(session: &mut Session, pass: &Pass) -> Result<()> {
    let body = serde_json::to_vec(pass).expect("a pass is plain JSON");
    let mut head = ResponseHeader::build(201, Some(4))?;
    head.insert_header(names::CONTENT_TYPE, "application/json")?;
    head.insert_header(names::CONTENT_LENGTH, body.len())?;
    head.insert_header(names::CACHE_CONTROL, "no-store")?;
    // Another site's page must not replace the visitor of this one.
    if Origin::of(session.req_header()) != Origin::Other {
        let is_tls = session.digest().is_some_and(|digest| digest.ssl_digest.is_some());
        head.insert_header(names::SET_COOKIE, pass.cookie(is_tls))?;
    }
    answer::send(session, head, body).await
}
