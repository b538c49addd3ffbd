//! With etcd away every read says how old it is, or that it cannot be had, and every write that nothing
//! was done. The calls are those of the document: one that is added is held to it, too.

use axum::http::{HeaderMap, header};
use futures_util::future::join_all;
use runtime::Tasks;
use runtime::http_client::Answer;
use serde_json::{Value, json};

use crate::drills;
use crate::platform::{LIMIT, Platform};

/// What only etcd has.
const STORED_ONLY: [&str; 1] = ["/v1/audit"];

#[tokio::test(flavor = "multi_thread")]
async fn every_read_says_how_old_it_is_and_every_write_that_nothing_was_done() {
    let platform = Platform::prepare();
    let etcd = platform.etcd();
    let mut tasks = Tasks::default();
    platform.agents(&mut tasks);
    platform.control_plane(&mut tasks, "north");
    let test = async {
        platform.until_known("north").await;
        let known = known(&platform).await;
        etcd.kill().await;
        let aged = platform.until(async || {
            let ages =
                join_all(["/v1/cells", "/v1/drills"].map(|path| read(&platform, path))).await;
            ages.iter().all(|answer| age(answer).is_some_and(|age| age >= 1))
        });
        assert!(aged.await, "it is not said how old it is");
        let (reads, writes) = calls(&platform, &known).await;
        assert!(reads.len() >= 18 && writes.len() >= 10, "{reads:?} {writes:?}");
        join_all(reads.iter().map(|path| is_aged(&platform, path))).await;
        join_all(writes.iter().map(|write| is_refused(&platform, write))).await;
        remembered(&platform, &known).await;
        platform.agent("east").told(|east| east.is_slow_to_prepare = false);
    };
    Box::pin(tasks.run(test, LIMIT)).await.unwrap();
}

/// What there is to ask for.
struct Known {
    drill: String,
    /// One that has ended, and one that goes on.
    ended: String,
    going_on: String,
}

#[derive(Debug)]
struct Write {
    method: String,
    path: String,
    body: String,
}

async fn known(platform: &Platform) -> Known {
    drills::write(platform, 1).await;
    let mut drill = None;
    let listed = platform.until(async || {
        let drills = platform.get("north", "/v1/drills").await;
        drill = drills.and_then(|drills| Some(drills["data"][0]["id"].as_str()?.to_owned()));
        drill.is_some()
    });
    assert!(listed.await, "the run is not listed");
    let drill = drill.unwrap();

    // It is done at once: nothing is drained.
    let ended = begin(platform, "/v1/regions/south/undrain").await;
    until(platform, &ended, |ended| ended["status"] == "done").await;
    platform.agent("east").told(|east| east.is_slow_to_prepare = true);
    let going_on = begin(platform, "/v1/regions/east/evacuate").await;
    until(platform, &going_on, |evacuation| {
        let waves = evacuation["waves"].as_array().unwrap().iter();
        let mut steps = waves.flat_map(|wave| wave.as_array().unwrap());
        steps.any(|step| step["do"] == "move" && step["state"] == "going")
    })
    .await;
    Known { drill, ended, going_on }
}

async fn begin(platform: &Platform, path: &str) -> String {
    let (status, begun) = platform.post("north", path, "{}").await;
    assert_eq!(status, 202, "{begun}");
    begun["id"].as_str().unwrap().to_owned()
}

async fn until(platform: &Platform, id: &str, is_so: impl Fn(&Value) -> bool) {
    let path = format!("/v1/operations/{id}");
    let reached = platform.until(async || is_so(&platform.page("north", &path).await)).await;
    assert!(reached, "{}", platform.page("north", &path).await);
}

/// Returns what the document has, with what there is in place of its parameters.
async fn calls(platform: &Platform, known: &Known) -> (Vec<String>, Vec<Write>) {
    let document = platform.get("north", "/v1/openapi.json").await.unwrap();
    let (mut reads, mut writes) = (Vec::new(), Vec::new());
    for (path, methods) in document["paths"].as_object().unwrap() {
        let id = match path.split('/').nth(2).unwrap() {
            "cells" => "c1",
            "regions" => "south",
            "drills" => known.drill.as_str(),
            "operations" => known.going_on.as_str(),
            _ if path.contains("{id}") => panic!("no id is known for {path}"),
            _ => "",
        };
        let path = path.replace("{id}", id).replace("{region}", "south");
        for (method, call) in methods.as_object().unwrap() {
            if method == "get" {
                let query = if path.ends_with("/explain") { "?user=alice" } else { "" };
                reads.push(format!("{path}{query}"));
            } else {
                let body = &call["requestBody"]["content"]["application/json"]["example"];
                let (method, body) = (method.to_uppercase(), body.to_string());
                writes.push(Write { method, path: path.clone(), body });
            }
        }
    }
    (reads, writes)
}

async fn is_aged(platform: &Platform, path: &str) {
    let answer = read(platform, path).await;
    if STORED_ONLY.contains(&path) {
        return is_unreachable(path, &answer);
    }
    assert_eq!(answer.status.as_u16(), 200, "{path}");
    assert!(age(&answer).is_some_and(|age| age >= 1), "{path}: {:?}", answer.headers);
}

async fn is_refused(platform: &Platform, Write { method, path, body }: &Write) {
    let bearer = format!("Bearer {}", Platform::token()).parse().unwrap();
    let headers = HeaderMap::from_iter([(header::AUTHORIZATION, bearer)]);
    let url = platform.url("north", path);
    let answer = platform.send(method.parse().unwrap(), &url, headers, body).await;
    is_unreachable(&format!("{method} {path}"), &answer);
}

/// What is told without etcd is what was so, and what is missing of it is said.
async fn remembered(platform: &Platform, known: &Known) {
    let all = platform.page("north", "/v1/operations").await;
    let told = [&all["data"][0]["id"], &all["data"][0]["status"], &all["data"][1]];
    assert_eq!(told, [&json!(known.going_on), &json!("running"), &Value::Null]);
    assert_eq!(all["with_ended"], false);
    let going_on = platform.page("north", &format!("/v1/operations/{}", known.going_on)).await;
    assert_eq!((&going_on["status"], &going_on["remembered"]), (&json!("running"), &json!(true)));
    let ended = format!("/v1/operations/{}", known.ended);
    is_unreachable(&ended, &read(platform, &ended).await);
    let freeze = platform.page("north", "/v1/freeze").await;
    assert_eq!(freeze["frozen"], false);
    let events = platform.page("north", "/v1/events").await;
    assert!(events["data"].to_string().contains(&known.going_on), "{events}");
}

#[track_caller]
fn is_unreachable(asked: &str, answer: &Answer) {
    let problem: Value = serde_json::from_slice(&answer.body).unwrap();
    let told = (answer.status.as_u16(), &problem["code"]);
    assert_eq!(told, (503, &json!("etcd-unreachable")), "{asked}: {problem}");
    assert_eq!(answer.headers["retry-after"], "1", "{asked}");
}

async fn read(platform: &Platform, path: &str) -> Answer {
    let json = "application/json".parse().unwrap();
    platform.ask("north", path, HeaderMap::from_iter([(header::ACCEPT, json)])).await
}

fn age(answer: &Answer) -> Option<u64> {
    answer.headers.get(header::AGE)?.to_str().ok()?.parse().ok()
}
