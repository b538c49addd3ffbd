//! Commands that are more than one read.

use std::convert::Infallible;
use std::time::Duration;

use anyhow::Context as _;
use http::Method;
use serde_json::{Value, json};
use tokio::sync::oneshot;
use tokio::time::{sleep, timeout};

use crate::api::Api;
use crate::app::Out;
use crate::cli::{CellArgs, CellCommand, ExplainArgs, MarkArgs, OperationArgs, WriteArgs};
use crate::exit::Failure;
use crate::follow::follow;
use crate::show::events::{self, Event};
use crate::show::operations::{Operation, progress};
use crate::{show, terminal};

/// How often an operation is looked at: a wave takes seconds.
const LOOK: Duration = Duration::from_millis(500);
/// How long an operation's last event is waited for once it has ended.
const LAST_EVENT: Duration = Duration::from_secs(2);
/// What that event is called.
const ENDED: &str = "operation-ended";

pub(crate) async fn cell(api: &Api, out: Out, args: CellArgs) -> Result<(), Failure> {
    let path = format!("/v1/cells/{}", segment(&args.cell));
    match args.what {
        None => out.show(&api.get(&path).await?, show::cells::one),
        Some(CellCommand::LostWrites) => {
            out.show(&api.get(&format!("{path}/lost-writes")).await?, show::cells::lost_writes)
        }
        Some(CellCommand::RetireSite(args)) => {
            let path = format!("{path}/sites/{}/retire", segment(&args.region));
            operate(api, out, &path, args, None).await
        }
        Some(CellCommand::AddSite(args)) => {
            let path = format!("{path}/sites/{}/add", segment(&args.region));
            operate(api, out, &path, args, None).await
        }
        Some(CellCommand::Switchover { to, reason, override_rules, write }) => {
            let mut body = json!({ "to": to });
            set(&mut body, "reason", reason);
            if !override_rules.is_empty() {
                set(&mut body, "override", Some(override_rules));
            }
            moved(api, out, &format!("{path}/switchover"), body, &write).await
        }
        Some(CellCommand::Failover { to, accept_data_loss, reason, write }) => {
            let mut body = json!({ "accept_data_loss": accept_data_loss });
            set(&mut body, "to", to);
            set(&mut body, "reason", reason);
            moved(api, out, &format!("{path}/failover"), body, &write).await
        }
    }
}

async fn moved(
    api: &Api,
    out: Out,
    path: &str,
    body: Value,
    write: &WriteArgs,
) -> Result<(), Failure> {
    let answer =
        api.send(Method::POST, &asked(path, write), &body, write.if_match.as_deref()).await?;
    if write.dry_run { ahead(out, &answer) } else { out.show(&answer, show::cells::moved) }
}

/// Shows what would be done; what stands in the way makes it a failure, as it would be in earnest.
fn ahead(out: Out, preview: &Value) -> Result<(), Failure> {
    out.show(preview, show::preview::text)?;
    if preview["allowed"] == false {
        return Err(Failure::Undone("do this: a safety rule stands in the way".to_owned()));
    }
    Ok(())
}

pub(crate) async fn region(
    api: &Api,
    out: Out,
    what: &str,
    args: MarkArgs,
    wave_pause: Option<Duration>,
) -> Result<(), Failure> {
    let path = format!("/v1/regions/{}/{what}", segment(&args.region));
    operate(api, out, &path, args, wave_pause).await
}

/// Begins an operation, and follows it if asked to.
async fn operate(
    api: &Api,
    out: Out,
    path: &str,
    args: MarkArgs,
    wave_pause: Option<Duration>,
) -> Result<(), Failure> {
    let mut body = json!({});
    set(&mut body, "reason", args.reason);
    set(&mut body, "wave_pause_s", wave_pause.map(|pause| pause.as_secs()));
    if !args.override_rules.is_empty() {
        set(&mut body, "override", Some(args.override_rules));
    }
    let (path, tag) = (asked(path, &args.write), args.write.if_match.as_deref());
    let answer = api.send(Method::POST, &path, &body, tag).await?;
    if args.write.dry_run {
        return ahead(out, &answer);
    }
    if args.watch {
        return watch(api, out, &Operation::read(&answer)?.id).await;
    }
    out.show(&answer, show::operations::one)
}

pub(crate) async fn operation(api: &Api, out: Out, args: OperationArgs) -> Result<(), Failure> {
    let path = format!("/v1/operations/{}", segment(&args.operation));
    if args.cancel {
        let write = WriteArgs { dry_run: args.dry_run, if_match: args.if_match };
        let path = asked(&format!("{path}/cancel"), &write);
        let answer = api.send(Method::POST, &path, &json!({}), write.if_match.as_deref()).await?;
        if write.dry_run {
            return ahead(out, &answer);
        }
        return out.show(&answer, show::operations::one);
    }
    if args.watch {
        return watch(api, out, &args.operation).await;
    }
    out.show(&api.get(&path).await?, show::operations::one)
}

/// Follows an operation to its end: says each of its events as it comes, and each change of its
/// progress. How it is, is asked all the time; events that do not come change nothing.
async fn watch(api: &Api, out: Out, id: &str) -> Result<(), Failure> {
    let path = format!("/v1/operations/{}", segment(id));
    let begun = Operation::read(&api.get(&path).await?)?.asked_unix_ms;
    let (ended, end_heard) = oneshot::channel();
    let mut ended = Some(ended);
    // Ids of events are moments: it is heard from its beginning.
    let from = begun.saturating_sub(1).to_string();
    let events = async {
        let heard = follow(api, Some(from), |message| {
            let event: Event =
                serde_json::from_str(&message.data).context("understand an event")?;
            if event.operation.as_deref() == Some(id) {
                terminal::note(&events::line(&message.event, &event));
                if let Some(ended) = ended.take_if(|_| message.event == ENDED) {
                    // Whoever waited for it may have stopped to.
                    ended.send(()).unwrap_or_default();
                }
            }
            Ok(())
        });
        if let Err(failure) = heard.await {
            terminal::note(&format!("its events are not to be had: {failure}"));
        }
        drop(ended);
        std::future::pending::<Infallible>().await
    };
    let (answer, operation) = tokio::select! {
        never = events => match never {},
        end = until_ended(api, &path, end_heard) => end?,
    };
    out.show(&answer, show::operations::one)?;
    operation.outcome().map_err(Failure::Undone)
}

/// Returns the operation once it has ended and its last event was heard, or was waited for.
async fn until_ended(
    api: &Api,
    path: &str,
    end_heard: oneshot::Receiver<()>,
) -> Result<(Value, Operation), Failure> {
    let (mut said, mut is_first) = (String::new(), true);
    loop {
        let answer = api.get(path).await?;
        let operation = Operation::read(&answer)?;
        let now = progress(&operation);
        if now != said {
            terminal::note(&now);
            said = now;
        }
        if operation.has_ended() {
            // One that had ended before has no events any more.
            if !is_first && timeout(LAST_EVENT, end_heard).await.is_err() {
                terminal::note("its last event was not heard");
            }
            return Ok((answer, operation));
        }
        is_first = false;
        sleep(LOOK).await;
    }
}

pub(crate) async fn freeze(
    api: &Api,
    out: Out,
    frozen: bool,
    reason: &str,
    holds: Option<u64>,
    write: &WriteArgs,
) -> Result<(), Failure> {
    let mut body = json!({ "frozen": frozen, "reason": reason });
    set(&mut body, "for_s", holds);
    let (path, tag) = (asked("/v1/freeze", write), write.if_match.as_deref());
    let answer = api.send(Method::PUT, &path, &body, tag).await?;
    if write.dry_run {
        return ahead(out, &answer);
    }
    out.show(&answer, show::freeze::text)
}

pub(crate) async fn evidence(api: &Api, out: Out, cell: &str) -> Result<(), Failure> {
    let path = format!("/v1/cells/{}/evidence", segment(cell));
    out.show(&api.get(&path).await?, show::evidence::text)
}

pub(crate) async fn explain(api: &Api, out: Out, args: &ExplainArgs) -> Result<(), Failure> {
    let mut path = format!("/v1/route/explain?user={}", segment(&args.user));
    if let Some(at) = &args.at {
        path = format!("{path}&at={}", segment(at));
    }
    out.show(&api.get(&path).await?, show::explain::text)
}

fn asked(path: &str, write: &WriteArgs) -> String {
    if write.dry_run { format!("{path}?dry_run=true") } else { path.to_owned() }
}

fn set(body: &mut Value, name: &str, value: Option<impl Into<Value>>) {
    if let Some(value) = value {
        body[name] = value.into();
    }
}

/// Writes a text as one part of a path, or one value of a query (RFC 3986).
fn segment(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    text.bytes().fold(String::new(), |whole, byte| {
        if plain(byte) {
            whole + char::from(byte).encode_utf8(&mut [0; 4])
        } else {
            format!("{whole}%{byte:02X}")
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_segment_ends_no_path_and_no_query() {
        assert_eq!(segment("c1"), "c1");
        assert_eq!(segment("a/b?c&d 用"), "a%2Fb%3Fc%26d%20%E7%94%A8");
    }
}
