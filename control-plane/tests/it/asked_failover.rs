use serde_json::{Value, json};
use topology::wire::key;

use crate::platform::{Platform, REGIONS};

const FORCE: &str = r#"{"accept_data_loss": true, "reason": "east and north have burnt down"}"#;

#[tokio::test(flavor = "multi_thread")]
async fn home_and_a_voter_lost_move_nothing_until_a_person_accepts_data_loss() {
    // Three control planes decide; east's would be gone with its region.
    Platform::run(&["north", "south"], async |platform| {
        known_to(platform, &["north", "south"]).await;
        platform.agent("south").told(|south| south.lsn = 900);
        kill(platform, &["east", "north"]);

        // It says so, loudly, wherever one looks.
        let frozen = platform.until(async || {
            let cell = platform.get("south", "/v1/cells/c1").await.unwrap();
            cell["frozen"]["way_out"].as_str().is_some_and(|text| text.contains("accept_data_loss"))
        });
        assert!(frozen.await, "the cell does not say that it is frozen");
        let alerts = platform.get("south", "/v1/alerts").await.unwrap();
        let alert = &alerts["data"][0];
        assert_eq!((&alert["name"], &alert["cell"]), (&json!("frozen"), &json!("c1")));
        let stored = platform.cell().await.unwrap();
        assert_eq!(stored.activation.to_string(), "epoch 1, steady in east");
        assert_eq!(platform.agent("south").told(|south| south.votes.clone()), []);

        // An ordinary failover is refused, and says what the other would mean.
        let (status, problem) = platform.failover("south", "{}").await;
        assert_eq!((status, &problem["code"]), (409, &json!("too-few-votes")), "{problem}");
        let detail = problem["detail"].as_str().unwrap();
        assert!(detail.contains("1 of 2 votes") && detail.contains("accept_data_loss"), "{detail}");

        let (status, done) = platform.failover("south", FORCE).await;
        assert_eq!(status, 200, "{done}");
        assert_eq!((&done["from"], &done["to"]), (&json!("east"), &json!("south")));
        assert_eq!(done["votes"], json!({"south": {"timeline": 1, "lsn": 900}}));
        let gives_up = json!({
            "further": null, "bytes": 0, "later_timeline": false,
            "unheard": ["north", "east"], "acknowledged_writes": true,
        });
        assert_eq!(done["gives_up"], gives_up);
        let stored = platform.cell().await.unwrap();
        assert_eq!(stored.activation.serving().unwrap().as_str(), "south");
        let voters: Vec<&str> =
            stored.activation.voters.iter().map(topology::RegionId::as_str).collect();
        assert_eq!(voters, ["east", "north"]);
        let asked = platform.until(async || {
            platform.get("south", "/v1/cells/c1").await.unwrap()["frozen"].is_null()
        });
        assert!(asked.await, "still frozen");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_election_with_too_few_votes_is_ended_by_force() {
    // Another control plane drives the election all the while.
    Platform::run(&["north", "south"], async |platform| {
        known_to(platform, &["north", "south"]).await;
        kill(platform, &["east", "north"]);
        platform
            .write(|cell| topology::snapshot::RoutedCell {
                activation: cell.activation.elect("given up by the agent"),
                gateways: cell.gateways.clone(),
            })
            .await;
        let asked =
            platform.until(async || platform.agent("south").told(|south| south.votes.len() >= 2));
        assert!(asked.await, "nobody drives the election");
        let (status, problem) = platform.failover("north", r#"{"to": "south"}"#).await;
        assert_eq!((status, &problem["code"]), (409, &json!("electing")), "{problem}");
        let (status, done) = platform.failover("south", FORCE).await;
        assert_eq!((status, &done["to"]), (200, &json!("south")), "{done}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_answers_is_frozen_first_and_the_furthest_wins() {
    Platform::run(&["south"], async |platform| {
        known_to(platform, &["south"]).await;
        platform.agent("north").told(|north| north.lsn = 1300);
        platform.agent("south").told(|south| south.lsn = 1200);
        kill(platform, &["east"]);
        // Its own region's control plane would elect at once; a voter that refuses holds it back.
        platform.agent("north").told(|north| north.unwilling = true);
        unreachable(platform, "south", "east").await;
        let (status, problem) = platform.failover("south", FORCE).await;
        assert_eq!((status, &problem["code"]), (409, &json!("not-frozen")), "{problem}");
        let detail = problem["detail"].as_str().unwrap();
        assert!(detail.contains("north answers and has not frozen"), "{detail}");

        platform.agent("north").told(|north| north.unwilling = false);
        platform.until_serving("north").await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_insists_on_a_target_is_told_what_that_gives_up() {
    // North's control plane comes after south's has been asked: it would elect by itself.
    Platform::run(&["south"], async |platform| {
        known_to(platform, &["south"]).await;
        platform.agent("north").told(|north| north.unwilling = true);
        kill(platform, &["east"]);
        unreachable(platform, "south", "east").await;
        platform.agent("north").told(|north| {
            north.lsn = 1300;
            north.unwilling_when_dry = true;
            north.unwilling = false;
        });
        let body = r#"{"to": "south", "accept_data_loss": true, "reason": "north is unsafe"}"#;
        let (status, done) = platform.failover("south", body).await;
        assert_eq!(status, 200, "{done}");
        assert_eq!((&done["to"], &done["gives_up"]["further"]), (&json!("south"), &json!("north")));
        assert_eq!(done["gives_up"]["bytes"], 300);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_ordinary_failover_elects_the_one_asked_for_among_equals() {
    Platform::run(&["south"], async |platform| {
        known_to(platform, &["south"]).await;
        let (status, problem) = platform.failover("south", r#"{"to": "south"}"#).await;
        assert_eq!((status, &problem["code"]), (409, &json!("active-serves")), "{problem}");
        let (status, problem) = platform.failover("south", FORCE).await;
        assert_eq!((status, &problem["code"]), (409, &json!("active-serves")), "{problem}");

        // Whoever was asked for it before, with the same key, has died, and it came to nothing.
        let failed = json!({
            "goal": {"kind": "failover", "cell": "c1", "region": "south", "accept_data_loss": false},
            "asked": {"who": "ada", "vantage": "north", "at_unix_ms": 1, "idempotency_key": "before"},
            "executor": "east", "sequence": 4, "status": {"name": "failed", "why": "no end"},
            "waves": [], "ended_unix_ms": 2,
        });
        platform.client.put(&key::ended("op-000001"), failed.to_string()).await.unwrap();
        let (path, again) = ("/v1/cells/c1/failover", [("idempotency-key", "before")]);
        let (status, problem) =
            platform.write_with("south", "POST", path, r#"{"to": "south"}"#, &again).await;
        assert_eq!((status, &problem["code"]), (409, &json!("failover-failed")), "{problem}");

        kill(platform, &["east"]);
        unreachable(platform, "south", "east").await;
        let (status, done) = platform.failover("south", r#"{"to": "south"}"#).await;
        assert_eq!((status, &done["to"], &done["opened"]), (200, &json!("south"), &json!(true)));
        assert_eq!(done.get("gives_up"), None);

        // It was an operation, whose end is recorded by now.
        let path = format!("/v1/operations/{}", done["operation"].as_str().unwrap());
        let one = platform.get("south", &path).await.unwrap();
        let about = [&one["kind"], &one["cell"], &one["region"], &one["status"], &one["who"]];
        assert_eq!(about, ["failover", "c1", "south", "done", "ada"], "{one}");
        let step = &one["waves"][0][0];
        assert_eq!([&step["do"], &step["from"], &step["to"]], ["elect", "east", "south"], "{one}");
        let (status, over) = platform.post("south", &format!("{path}/cancel"), "{}").await;
        assert_eq!((status, &over["code"]), (409, &json!("operation-ended")), "{over}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_people_do_is_written_down_before_and_after() {
    Platform::run(&REGIONS, async |platform| {
        known_to(platform, &REGIONS).await;
        let (status, _) = platform.failover("north", FORCE).await;
        assert_eq!(status, 409);
        let (status, _) = platform.switchover("south", r#"{"to": "south"}"#).await;
        assert_eq!(status, 200);
        // What is not understood is written down too, as it was refused.
        for body in [
            r#"{"accept_data_loss": true}"#,
            r#"{"accept_data_loss": true, "reason": "  "}"#,
            r#"{"to": "South"}"#,
            r#"{"force": true}"#,
        ] {
            let (status, problem) = platform.failover("north", body).await;
            assert_eq!((status, &problem["code"]), (400, &json!("validation-error")), "{body}");
        }

        let audit = platform.get("east", "/v1/audit").await.unwrap();
        let (refused, done) = audit["data"].as_array().unwrap().split_at(4);
        for entry in refused {
            let told = json!([entry["who"], entry["what"], entry["outcome"]["body"]["code"]]);
            assert_eq!(told, json!(["ada", "POST /v1/cells/c1/failover", "validation-error"]));
        }
        let told: Vec<Value> = done
            .iter()
            .map(|entry| {
                json!([
                    entry["what"],
                    entry["vantage"],
                    entry["outcome"]["status"],
                    entry["reason"],
                    entry["evidence"]["phase"],
                    entry["evidence"]["sites"]["east"]["reachable"],
                ])
            })
            .collect();
        let expected = [
            json!(["switchover", "south", 200, null, "steady in east", true]),
            json!([
                "failover",
                "north",
                409,
                "east and north have burnt down",
                "steady in east",
                true
            ]),
        ];
        assert_eq!(told, expected);
        assert_eq!(done[0]["who"], "ada");
        assert_eq!(done[0]["body"], json!({"to": "south"}));
        assert_eq!(done[0]["outcome"]["body"]["to"], "south");
        assert_eq!(done[1]["outcome"]["body"]["code"], "active-serves");
        let one = platform.get("east", "/v1/audit?limit=1").await.unwrap();
        assert_eq!(one["data"].as_array().unwrap().len(), 1);
        assert_eq!(platform.get("east", "/v1/audit?limit=0").await, None);
    })
    .await;
}

async fn known_to(platform: &Platform, control_planes: &[&str]) {
    for region in control_planes {
        platform.until_known(region).await;
    }
}

fn kill(platform: &Platform, regions: &[&str]) {
    for region in regions {
        platform.agent(region).told(|agent| agent.dead = true);
    }
}

/// Waits until a control plane misses the site in `region`.
async fn unreachable(platform: &Platform, control_plane: &str, region: &str) {
    let site = format!("c1@{region}");
    platform.until_site(control_plane, &site, ("reachable", json!(false))).await;
}
