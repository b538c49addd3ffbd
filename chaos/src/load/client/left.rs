//! What users are left with: read back through the routers once all is over.

use anyhow::ensure;
use http::{HeaderValue, Method, StatusCode, header};
use runtime::http_client::Answer;
use serde::Deserialize;

use super::{ASK, Client, headers};
use crate::course::{ConversationRead, FinalVersion, Seen};
use crate::history::{Effect, Kind, Outcome, unmark};
use crate::load::answer::outcome;

/// The most a page has.
const PAGE: usize = 200;

#[derive(Deserialize)]
struct Messages {
    data: Vec<Stored>,
    page: Page,
}

#[derive(Deserialize)]
struct Stored {
    seq: u64,
    client_message_id: Option<String>,
}

#[derive(Deserialize)]
struct Page {
    has_more: bool,
}

impl Client {
    /// Looks whether a user can see a ticket.
    pub(crate) async fn see_ticket(&self, user: usize, id: &str) -> Seen {
        let url = format!("{}/v1/tickets/{id}", self.base);
        match self.get(user, &url).await {
            Ok(answer) if answer.status.is_success() => Seen::There,
            Ok(answer) if answer.status == StatusCode::NOT_FOUND => Seen::Missing,
            Ok(answer) => Seen::Unread(format!("the router answered {}", answer.status)),
            Err(err) => Seen::Unread(format!("{err:#}")),
        }
    }

    /// Reads the ticket that a user keeps, as far as it is known for certain; none if they keep none.
    pub(crate) async fn kept_version(&self, user: usize) -> Option<FinalVersion> {
        let ticket = self.users[user].ticket.as_ref()?;
        let url = format!("{}/v1/tickets/{}", self.base, ticket.id());
        let answer = match self.get(user, &url).await {
            Ok(answer) if answer.status == StatusCode::NOT_FOUND => {
                return Some(FinalVersion::Gone);
            }
            Ok(answer) => answer,
            Err(err) => return Some(FinalVersion::Unread(format!("{err:#}"))),
        };
        let status = answer.status;
        Some(match outcome(Kind::StrongRead, Ok(answer)).0 {
            Outcome::Ok(Effect::Read { version, stale: false }) => FinalVersion::Is(version),
            Outcome::Ok(_) => FinalVersion::Unread("the answer may be an old one".to_owned()),
            Outcome::Fail(_) | Outcome::Unknown(_) => {
                FinalVersion::Unread(format!("the router answered {status}"))
            }
        })
    }

    /// Reads what is left of a user's conversation.
    pub(crate) async fn read_conversation(&self, user: usize) -> ConversationRead {
        match self.messages(user).await {
            Ok(messages) => ConversationRead::Messages(messages),
            Err(err) => ConversationRead::Unread(format!("{err:#}")),
        }
    }

    async fn messages(&self, user: usize) -> anyhow::Result<Vec<(u64, u32)>> {
        let conversation = &self.users[user].conversation;
        let mut messages = Vec::new();
        let mut after = 0;
        loop {
            let url = format!(
                "{}/v1/conversations/{conversation}/messages?after_seq={after}&limit={PAGE}",
                self.base
            );
            let page: Messages = self.get(user, &url).await?.json(&url)?;
            let before = after;
            for stored in &page.data {
                after = stored.seq;
                let mark = stored.client_message_id.as_deref();
                let number = mark.and_then(|mark| unmark(&self.run, mark));
                messages.extend(number.map(|number| (stored.seq, number)));
            }
            if !page.page.has_more || page.data.is_empty() {
                return Ok(messages);
            }
            // Or the next page would be the same one, for ever.
            ensure!(after > before, "the page after {before} ends with {after}, and there is more");
        }
    }

    async fn get(&self, user: usize, url: &str) -> anyhow::Result<Answer> {
        let mut headers = headers(&self.users[user].bearer, None)?;
        // What a standby has heard of is not what they are left with.
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        Ok(self.http.call(Method::GET, url, headers, bytes::Bytes::new(), ASK).await?)
    }
}
