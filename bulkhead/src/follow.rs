//! Events as they happen. When a control plane goes, the next one is asked for what came after the last
//! event seen. Each has its own clock, so that an event of that moment may be missed, or come twice.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use bytes::Bytes;
use http::{HeaderValue, Request, StatusCode, Uri, header};
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::client::conn::http1::handshake;
use hyper_util::rt::TokioIo;
use runtime::sse::{Message, Parser};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

use crate::api::Api;
use crate::app::Out;
use crate::exit::Failure;
use crate::show::events::line;
use crate::terminal;

const CONNECT: Duration = Duration::from_secs(2);
/// The stream has a sign of life every 15 s.
const SILENCE: Duration = Duration::from_secs(40);
/// A problem is a screenful at most.
const REFUSAL_MAX: usize = 64 * 1024;
/// Between two attempts.
const PAUSE: Duration = Duration::from_millis(500);

/// Prints events until the program is stopped.
pub(crate) async fn events(api: &Api, out: Out) -> Result<(), Failure> {
    let (mut last, mut heard) = (None, false);
    for address in api.addresses.iter().cycle() {
        match listen(api, out, address, &mut last, &mut heard).await {
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
    out: Out,
    address: &str,
    last: &mut Option<String>,
    heard: &mut bool,
) -> Result<(), Stopped> {
    let uri: Uri = address.parse().context("read the address")?;
    let authority = uri.authority().context("find a host in the address")?.as_str();
    let peer = if uri.port().is_some() { authority.to_owned() } else { format!("{authority}:80") };
    let stream = timeout(CONNECT, TcpStream::connect(&peer))
        .await
        .context("connect: no answer")?
        .context("connect")?;
    let (mut sender, connection) =
        handshake::<_, Empty<Bytes>>(TokioIo::new(stream)).await.context("speak HTTP")?;
    let mut request = Request::new(Empty::new());
    *request.uri_mut() = "/v1/events".parse().context("name the event stream")?;
    *request.headers_mut() = api.headers.clone();
    let host = HeaderValue::try_from(authority).context("name the host")?;
    request.headers_mut().insert(header::HOST, host);
    let accept = const { HeaderValue::from_static("text/event-stream") };
    request.headers_mut().insert(header::ACCEPT, accept);
    if let Some(id) = last.as_deref().and_then(|id| HeaderValue::try_from(id).ok()) {
        request.headers_mut().insert("last-event-id", id);
    }
    let was_heard = *heard;
    let begin = async {
        let answer = timeout(CONNECT, sender.send_request(request))
            .await
            .context("ask for events: no answer")?
            .context("ask for events")?;
        let status = answer.status();
        // A token that is withdrawn does not come back.
        let is_final = matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN);
        if status.is_client_error() && (is_final || !was_heard) {
            let body = Limited::new(answer.into_body(), REFUSAL_MAX).collect();
            let body = timeout(CONNECT, body).await.context("read the refusal: no end")?;
            let problem = body.ok().and_then(|body| serde_json::from_slice(&body.to_bytes()).ok());
            return Err(Stopped::Refused(problem.map_or_else(
                || Failure::Unreachable(format!("{address} answered {status}, and not why")),
                |problem| Failure::Refused(Box::new(problem)),
            )));
        }
        ensured(answer.status())?;
        Ok(answer.into_body())
    };
    // The connection is driven as long as anything is heard.
    let driven = async {
        if let Err(err) = connection.await {
            terminal::note(&format!("{address}: {err}"));
        }
        std::future::pending::<()>().await;
    };
    let hear = async {
        let mut body = begin.await?;
        *heard = true;
        let mut parser = Parser::default();
        while let Some(frame) = timeout(SILENCE, body.frame()).await.context("hear: silence")? {
            let Ok(chunk) = frame.context("hear")?.into_data() else { continue };
            for message in parser.push(&chunk) {
                show(out, &message)?;
                *last = message.id.or_else(|| last.take());
            }
        }
        Ok(())
    };
    tokio::select! {
        heard = hear => heard,
        () = driven => Ok(()),
    }
}

fn ensured(status: StatusCode) -> anyhow::Result<()> {
    ensure!(status.is_success(), "ask for events: {status}");
    Ok(())
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
