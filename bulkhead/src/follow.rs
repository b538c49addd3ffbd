//! Events as they happen. When a control plane goes, the next one is asked for what came after the last
//! event seen. Each has its own clock, so that an event of that moment may be missed, or come twice.

use std::time::Duration;

use anyhow::Context as _;
use http::StatusCode;
use runtime::sse::{EventStream, Message, NoStream};
use tokio::time::sleep;

use crate::api::Api;
use crate::app::Out;
use crate::exit::Failure;
use crate::show::events::line;
use crate::terminal;

/// Between two attempts.
const PAUSE: Duration = Duration::from_millis(500);

/// Prints events until the program is stopped.
pub(crate) async fn events(api: &Api, out: Out) -> Result<(), Failure> {
    follow(api, None, |message| show(out, message)).await
}

/// Hears what comes after the event with the id `last`, or from now on, until somebody refuses it.
pub(crate) async fn follow(
    api: &Api,
    mut last: Option<String>,
    mut hear: impl FnMut(&Message) -> anyhow::Result<()>,
) -> Result<(), Failure> {
    let mut heard = false;
    for address in api.addresses.iter().cycle() {
        match listen(api, address, &mut last, &mut heard, &mut hear).await {
            Ok(()) => {}
            // Refused by the first that answers is refused by all.
            Err(Stopped::Refused(failure)) => return Err(failure),
            Err(Stopped::Lost(err)) => terminal::note(&format!("{address}: {err:#}")),
        }
        sleep(PAUSE).await;
    }
    Err(Failure::Unreachable("there is no address".to_owned()))
}

enum Stopped {
    Refused(Failure),
    Lost(anyhow::Error),
}

impl From<anyhow::Error> for Stopped {
    fn from(err: anyhow::Error) -> Self {
        Self::Lost(err)
    }
}

async fn listen(
    api: &Api,
    address: &str,
    last: &mut Option<String>,
    heard: &mut bool,
    hear: &mut impl FnMut(&Message) -> anyhow::Result<()>,
) -> Result<(), Stopped> {
    let url = format!("{address}/v1/events");
    let opened = EventStream::open(api.http(), &url, api.headers.clone(), last.as_deref()).await;
    let mut stream = opened.map_err(|none| why_none(none, address, *heard))?;
    *heard = true;
    while let Some(message) = stream.next().await.context("hear")? {
        // One that cannot be read would come again for ever.
        *last = message.id.clone().or_else(|| last.take());
        hear(&message)?;
    }
    Ok(())
}

/// A token that is withdrawn does not come back; what was heard before was asked for rightly.
fn why_none(none: NoStream, address: &str, was_heard: bool) -> Stopped {
    let answer = match none {
        NoStream::Refused(answer) => answer,
        NoStream::Lost(err) => return Stopped::Lost(err.into()),
    };
    let is_final = matches!(answer.status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN);
    if !answer.status.is_client_error() || (was_heard && !is_final) {
        return Stopped::Lost(anyhow::anyhow!("ask for events: {}", answer.status));
    }
    let problem = serde_json::from_slice(&answer.body);
    Stopped::Refused(problem.map_or_else(
        |_| Failure::Unreachable(format!("{address} answered {}, and not why", answer.status)),
        |problem| Failure::Refused(Box::new(problem)),
    ))
}

/// One line for each event; for programs, its data with its name.
fn show(out: Out, message: &Message) -> anyhow::Result<()> {
    let mut data: serde_json::Value =
        serde_json::from_str(&message.data).context("understand an event")?;
    if out.json {
        data["name"] = message.event.clone().into();
        return terminal::print_on(&data.to_string());
    }
    let event = serde_json::from_value(data).context("understand an event")?;
    terminal::print_on(&line(&message.event, &event))
}
