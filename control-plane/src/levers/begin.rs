//! Writing down a new operation. Ids are numbers, and one is written only if it is free: of two that are
//! begun at once one comes too late, and is looked at again with the other in sight.

use runtime::Problem;

use super::{asked, fresh};
use crate::api::{Api, error};
use crate::decide::State;
use crate::decide::operation::exclude::in_common;
use crate::decide::operation::{Asked, Goal, Operation};
use crate::store::Kept;

/// How often a new operation is tried to be written: each time it comes too late, another has begun.
const TRIES: usize = 16;

/// An operation that is to begin.
pub(super) struct New {
    pub(super) operation: Operation,
    /// Why it may not, told only if no other operation is in its way.
    pub(super) refused: Option<Problem>,
}

/// What came of it.
pub(super) enum Begun {
    Now {
        id: String,
        kept: Kept<Operation>,
    },
    /// It was asked for before, with the same key, or by an earlier try of this call.
    Before {
        id: String,
        operation: Operation,
    },
}

/// Writes down what `plan` makes of the newest state, unless something stands in its way.
pub(super) async fn begin(
    api: &Api,
    goal: &Goal,
    who: &Asked,
    plan: impl Fn(&State) -> Result<New, Problem>,
) -> Result<Begun, Problem> {
    for _ in 0..TRIES {
        let stored = asked(|| api.store.operations()).await?;
        if let Some(key) = &who.idempotency_key {
            let going_on = stored.going_on.iter().map(|(id, kept)| (id, &kept.value));
            let all = going_on.chain(stored.ended.iter().map(|(id, value)| (id, value)));
            let mut same = all.filter(|(_, operation)| {
                let asked = &operation.asked;
                asked.who == who.who && asked.idempotency_key.as_ref() == Some(key)
            });
            match same.next() {
                Some((id, found)) if found.goal == *goal => {
                    return Ok(Begun::Before { id: id.clone(), operation: found.clone() });
                }
                Some(_) => return Err(error::key_reused()),
                None => {}
            }
        }
        // Written by an earlier try whose answer was lost, and begun since.
        let own = stored.going_on.iter().find(|(_, kept)| kept.value.asked == *who);
        if let Some((id, kept)) = own.filter(|(_, kept)| kept.value.goal == *goal) {
            return Ok(Begun::Before { id: id.clone(), operation: kept.value.clone() });
        }
        // After the operations: what has begun since has taken the id.
        let New { operation, refused } = plan(&fresh(api).await?)?;
        for (id, kept) in &stored.going_on {
            if let Some(common) = in_common(&kept.value, &operation) {
                return Err(error::operation_running(id, &kept.value, common));
            }
        }
        if let Some(refused) = refused {
            return Err(refused);
        }
        let id = stored.next_id();
        let created = asked(|| api.store.create_operation(&id, &operation));
        if let Some(written) = created.await? {
            let (revision, version) = (written.revision, written.version);
            return Ok(Begun::Now { id, kept: Kept { revision, version, value: operation } });
        }
    }
    Err(error::overtaken("others begin operations at the same moment"))
}
