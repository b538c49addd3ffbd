//! Requests that no honest client sends, as bytes on a socket, and what each must come to.
//!
//! After every request that must be refused, a second one follows on the same connection, whole and
//! with a valid token: a router that has lost count of where requests end would pass it on.

mod framing;
mod headers;
mod targets;

use std::net::SocketAddr;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::client::{ada, token};
use crate::site::{Seen, Site};
use crate::world::World;

/// Longer than the second for which a refused client is listened to.
const PATIENCE: Duration = Duration::from_secs(20);

/// One request and its answer. In `request`, `{C}` stands for the lines that every request needs,
/// `{A 9}` for nine letters and `{H 9}` for nine headers.
struct Case {
    request: &'static [u8],
    answer: Answer,
}

enum Answer {
    /// This status and this problem's code, or no body where the parser itself refuses; then the
    /// connection is closed. No site hears of it.
    Refused(u16, &'static str),
    /// The site sees exactly one request: this line, this body, these headers, not those.
    Passes {
        line: &'static str,
        body: &'static str,
        with: &'static [(&'static str, &'static str)],
        without: &'static [&'static str],
    },
}

const fn refused(request: &'static [u8], status: u16, code: &'static str) -> Case {
    Case { request, answer: Answer::Refused(status, code) }
}

const fn passes(request: &'static [u8], line: &'static str, body: &'static str) -> Case {
    Case { request, answer: Answer::Passes { line, body, with: &[], without: &[] } }
}

#[tokio::test]
async fn each_hostile_request_gets_its_answer_and_hides_no_other() {
    let site = Site::start([]);
    let world = World::with_site(site.address).await;
    let edge = world.edge();
    let cases: Vec<&Case> =
        framing::CASES.iter().chain(targets::CASES).chain(headers::CASES).collect();
    assert!(cases.len() >= 60, "{} cases", cases.len());
    let answers = join_all(cases.iter().enumerate().map(|(number, case)| {
        let request = expand(case.request, number);
        let is_refused = matches!(case.answer, Answer::Refused(..));
        async move { ask(edge, &request, is_refused).await }
    }))
    .await;
    let seen = site.seen();
    let mut wrong = Vec::new();
    for (number, (case, answer)) in cases.iter().zip(answers).enumerate() {
        if let Err(why) = judge(case, number, &answer, &seen) {
            let request = case.request.escape_ascii();
            wrong.push(format!("{request}\n    {why}\n    {}", answer.replace("\r\n", " | ")));
        }
    }
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), cases.len(), wrong.join("\n"));
    let smuggled: Vec<&Seen> = seen.iter().filter(|seen| seen.line.contains("smuggled")).collect();
    assert!(smuggled.is_empty(), "{smuggled:?}");
    let passed = cases.iter().filter(|case| matches!(case.answer, Answer::Passes { .. })).count();
    assert_eq!(seen.len(), passed, "the site has seen what nobody has sent it");
}

fn judge(case: &Case, number: usize, answer: &str, seen: &[Seen]) -> Result<(), String> {
    let number = number.to_string();
    let mine: Vec<&Seen> =
        seen.iter().filter(|seen| seen.headers.get("x-case") == Some(&number)).collect();
    match &case.answer {
        Answer::Refused(status, code) => {
            if !mine.is_empty() {
                return Err(format!("expected {status} {code}, but the site saw {mine:?}"));
            }
            let is_right = answer.starts_with(&format!("HTTP/1.1 {status} "))
                && match *code {
                    "" => !answer.contains("problem+json"),
                    code => {
                        answer.contains(&format!("\"code\":\"{code}\""))
                            && answer.to_lowercase().contains("connection: close")
                    }
                };
            if is_right { Ok(()) } else { Err(format!("expected {status} {code}")) }
        }
        Answer::Passes { line, body, with, without } => {
            let [seen] = mine[..] else {
                return Err(format!("expected {line}, the site saw {mine:?}"));
            };
            if seen.line != *line || seen.body != body.as_bytes() {
                return Err(format!("expected {line} with {body:?}, the site saw {seen:?}"));
            }
            for (name, value) in *with {
                if seen.headers.get(*name).is_none_or(|found| found != value) {
                    return Err(format!("expected {name}: {value}, the site saw {seen:?}"));
                }
            }
            match without.iter().find(|name| seen.headers.contains_key(**name)) {
                Some(name) => Err(format!("expected no {name}, the site saw {seen:?}")),
                None if answer.starts_with("HTTP/1.1 200 ") => Ok(()),
                None => Err("expected 200".to_owned()),
            }
        }
    }
}

/// Sends the bytes and reads until the connection ends or, where it need not, until the answer has
/// come.
async fn ask(edge: SocketAddr, request: &[u8], is_refused: bool) -> String {
    let stream = TcpStream::connect(edge).await.unwrap();
    let (mut reader, mut writer) = stream.into_split();
    let send = async {
        let token = token(&ada());
        let next = format!(
            "GET /smuggled HTTP/1.1\r\nhost: bulkhead\r\nauthorization: Bearer {token}\r\n\r\n"
        );
        // The router need not listen to the end of what it refuses.
        if writer.write_all(request).await.is_ok() && is_refused {
            writer.write_all(next.as_bytes()).await.ok();
        }
    };
    let receive = async {
        let mut answer = Vec::new();
        let mut buffer = [0; 4096];
        loop {
            match tokio::time::timeout(PATIENCE, reader.read(&mut buffer)).await {
                Err(_) => {
                    return format!("still open after {:?}", String::from_utf8_lossy(&answer));
                }
                Ok(Ok(0) | Err(_)) => break,
                Ok(Ok(count)) => answer.extend_from_slice(&buffer[..count]),
            }
            if !is_refused && answer.ends_with(b"ok\n") {
                break;
            }
        }
        String::from_utf8_lossy(&answer).into_owned()
    };
    let ((), answer) = tokio::join!(send, receive);
    answer
}

fn expand(request: &[u8], number: usize) -> Vec<u8> {
    let token = token(&ada());
    let common = format!("host: bulkhead\r\nauthorization: Bearer {token}\r\nx-case: {number}\r\n");
    let mut expanded = Vec::new();
    let mut rest = request;
    while let Some(start) = rest.iter().position(|byte| *byte == b'{') {
        let end = start + rest[start..].iter().position(|byte| *byte == b'}').unwrap();
        expanded.extend_from_slice(&rest[..start]);
        let word = std::str::from_utf8(&rest[start + 1..end]).unwrap();
        let text = match word.split_once(' ') {
            None => common.clone(),
            Some(("A", count)) => "a".repeat(count.parse().unwrap()),
            Some((_, count)) => {
                let lines: Vec<String> = (0..count.parse().unwrap()).map(header).collect();
                lines.concat()
            }
        };
        expanded.extend_from_slice(text.as_bytes());
        rest = &rest[end + 1..];
    }
    expanded.extend_from_slice(rest);
    expanded
}

fn header(number: u32) -> String {
    format!("x-{number}: 1\r\n")
}
