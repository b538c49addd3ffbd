//! From a request's head to who asks for what, or to the router's own answer.

use http::Uri;
use pingora_core::Result;
use pingora_http::RequestHeader;
use pingora_proxy::Session;
use runtime::Problem;
use topology::Role;

use super::Proxy;
use crate::decide::aim::{Aim, By, aim};
use crate::decide::retry::Budget;
use crate::forwarding::{self, Asker, Forwarding};
use crate::identity::{Person, Unidentified, visitor};
use crate::{answer, limits, trace, visitors};

/// The path that needs no identity, and no cell.
const HEALTH: &str = "/healthz";

impl Proxy {
    /// Answers what is asked of the router itself; returns whether it was.
    pub(super) async fn answers_itself(
        &self,
        session: &mut Session,
        ctx: &mut Forwarding,
    ) -> Result<bool> {
        let head = session.req_header();
        if head.uri.path() == HEALTH && matches!(head.method.as_str(), "GET" | "HEAD") {
            answer::health(session, &self.holder.table).await?;
            return Ok(true);
        }
        ctx.span = trace::begin(head);
        if head.uri.path() == visitor::PATH {
            visitors::answer(session, ctx, &self.identities, &self.holder).await?;
            return Ok(true);
        }
        Ok(false)
    }

    /// Notes who asks for what, if they may; all that can be checked without a site.
    pub(super) fn admit(
        &self,
        head: &RequestHeader,
        ctx: &mut Forwarding,
    ) -> std::result::Result<(), Problem> {
        limits::check(head, &self.holder.protection.limits)?;
        if let Some(read) = self.public.admit(head) {
            ctx.read = Some(read);
            return Ok(());
        }
        let now = runtime::clock::unix_millis() / 1000;
        let person = self.identities.identify(head, now).map_err(Unidentified::problem)?;
        let (aim, target) = self.aim(&person, head)?;
        let asker = ctx.asker.insert(Asker::new(person, aim, target, head));
        self.count(asker)
    }

    pub(super) async fn refuse(
        &self,
        session: &mut Session,
        ctx: &mut Forwarding,
        problem: &Problem,
    ) -> Result<()> {
        if limits::are_exceeded(problem) {
            session.set_keepalive(None);
        }
        answer::problem(session, ctx, &self.holder.table, problem).await
    }

    /// Returns what a request is for, and its target as the cell knows it if that is another.
    fn aim(
        &self,
        person: &Person,
        head: &RequestHeader,
    ) -> std::result::Result<(Aim, Option<Uri>), Problem> {
        if person.role == Role::Contact {
            return Ok((Aim::Own(person.slot), None));
        }
        let by = By { role: person.role, slot: person.slot, cells: person.cells.as_ref() };
        let applied = self.holder.table.current();
        let placement = applied.as_ref().map(|applied| &applied.snapshot.placement);
        let (aim, path) =
            aim(by, head.uri.path(), placement).map_err(|why| answer::astray(&why))?;
        Ok((aim, forwarding::target(&head.uri, path)))
    }

    /// Takes a request from the buckets; each that passes earns its cell a part of a retry.
    fn count(&self, asker: &Asker) -> std::result::Result<(), Problem> {
        let applied = self.holder.table.current();
        let found = applied.as_ref().and_then(|applied| applied.find(asker.whose()));
        let Some((target, cell)) = found else { return Ok(()) };
        self.holder.protection.admit(asker, target.cell, cell)?;
        cell.memory.budget(Budget::earn);
        Ok(())
    }
}
