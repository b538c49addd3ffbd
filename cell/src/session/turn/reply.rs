//! Puts a plan into words.

use serde_json::{Value, json};

use super::Turn;
use crate::session::conversation;
use crate::session::decide::turn::{Escalation, Plan};
use crate::session::downstream::Parsed;
use crate::session::message::NewReply;
use crate::session::phrase;
use crate::text::Language;

/// Longest beginning of the user's words in a ticket's description.
const QUOTE_MAX: usize = 2_000;

pub(super) fn of(plan: &Plan, language: Language, parsed: Option<Parsed>) -> NewReply {
    let (text, source) = match plan {
        Plan::Say(sentence) => {
            (phrase::sentence(*sentence, language).to_owned(), json!({ "kind": "flow" }))
        }
        Plan::Answer(hit) => (
            hit.answer.clone(),
            json!({ "kind": "kb", "article_id": hit.article, "score": hit.score }),
        ),
        Plan::Suggest(_) => (phrase::suggestions(language).to_owned(), json!({ "kind": "kb" })),
        Plan::Escalate(why) => (
            phrase::escalation(*why, language).to_owned(),
            json!({ "kind": "flow", "escalates": true }),
        ),
        Plan::Postpone(_) => (phrase::postponed(language).to_owned(), json!({ "kind": "flow" })),
        Plan::Fallback => (phrase::fallback(language).to_owned(), json!({ "kind": "fallback" })),
        Plan::Degraded(_) => (phrase::degraded(language).to_owned(), json!({ "kind": "degraded" })),
    };
    let choices: Vec<Value> = match plan {
        Plan::Suggest(hits) => hits
            .iter()
            .map(|hit| {
                json!({ "text": hit.question, "article_id": hit.article, "score": hit.score })
            })
            .collect(),
        Plan::Say(_)
        | Plan::Answer(_)
        | Plan::Escalate(_)
        | Plan::Postpone(_)
        | Plan::Fallback
        | Plan::Degraded(_) => Vec::new(),
    };
    let degraded = plan.trouble();
    let nlu = parsed.map(|parsed| json!(parsed));
    NewReply { text, choices, locale: language.tag().to_owned(), nlu, source, degraded }
}

/// Returns the body of the request that opens a ticket for a turn.
pub(super) fn ticket_request(why: Escalation, language: Language, turn: &Turn) -> Value {
    let priority = match why {
        Escalation::Complaint => "high",
        Escalation::Asked | Escalation::NotUnderstood => "normal",
    };
    let description: String = turn.message.text.chars().take(QUOTE_MAX).collect();
    json!({
        "subject": phrase::subject(why, language),
        "description": description,
        "priority": priority,
        "conversation_id": conversation::public(turn.slot, turn.conversation),
    })
}
