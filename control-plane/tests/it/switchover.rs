use serde_json::json;
use topology::wire::agent::HandOverReply;

use crate::platform::Platform;

#[tokio::test(flavor = "multi_thread")]
async fn a_planned_move_ends_with_the_target_active() {
    Platform::run(&["north", "south"], async |platform| {
        platform.until_known("north").await;
        platform.until_heard("north", "south").await;
        let (status, body) = platform.switchover("north", r#"{"to": "south"}"#).await;
        let (took_ms, hold_ms) =
            (body["took_ms"].as_u64().unwrap(), body["hold_ms"].as_u64().unwrap());
        assert!(hold_ms <= took_ms, "{body}");
        let expected = json!({
            "operation": "op-000001", "cell": "c1", "from": "east", "to": "south", "epoch": 3,
            "took_ms": took_ms, "hold_ms": hold_ms,
        });
        assert_eq!((status, body), (200, expected));
        platform.until_cell_is("epoch 3, steady in south").await;
        let votes = platform.agent("north").told(|north| north.votes.clone());
        assert_eq!(votes, [(2, false)]);

        // Its end is recorded by the time it is answered, and nothing of it is in the way of the next.
        let one = platform.get("north", "/v1/operations/op-000001").await.unwrap();
        let about = [&one["kind"], &one["cell"], &one["region"], &one["status"], &one["who"]];
        assert_eq!(about, ["switchover", "c1", "south", "done", "ada"]);
        assert_eq!(one["executor"], "south", "next to the target, though another was asked");
        assert_eq!(one["waves"][0][0]["state"], "done", "{one}");
        let path = "/v1/operations/op-000001/cancel";
        let (status, over) = platform.post("south", path, "{}").await;
        assert_eq!((status, &over["code"]), (409, &json!("operation-ended")), "{over}");
        let told = platform.until(async || {
            let events = platform.page("south", "/v1/events?limit=1000").await;
            let mut events = events["data"].as_array().unwrap().iter();
            events.any(|event| event["name"] == "operation-ended" && event["cell"] == "c1")
        });
        assert!(told.await, "another control plane does not tell of it");
        platform.until_known("south").await;
        let (status, back) = platform.switchover("south", r#"{"to": "east"}"#).await;
        assert_eq!((status, &back["operation"]), (200, &json!("op-000002")), "{back}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_hand_over_ends_where_everything_is() {
    Platform::run(&["north"], async |platform| {
        platform.until_known("north").await;
        platform.agent("east").told(|east| {
            east.lsn = 1100;
            east.hand_over = HandOverReply::Refused { reason: "busy".to_owned() };
        });
        let (status, body) = platform.switchover("north", r#"{"to": "south"}"#).await;
        assert_eq!((status, &body["code"]), (409, &json!("switchover-aborted")));
        let expected = "east did not hand over: busy; the cell elects its active site now";
        assert_eq!((&body["detail"], &body["operation"]), (&json!(expected), &json!("op-000001")));
        let one = platform.get("north", "/v1/operations/op-000001").await.unwrap();
        let why = format!("move c1 from east to south: {expected}");
        assert_eq!((&one["status"], &one["why"]), (&json!("failed"), &json!(why)), "{one}");
        platform.until_cell_is("epoch 4, steady in east").await;
        let asked = platform.agent("east").told(|east| east.votes.clone());
        assert_eq!(asked, [(3, true)]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_hand_over_is_told_where_it_was_asked_for_and_not_executed() {
    Platform::run(&["north", "south"], async |platform| {
        platform.until_known("north").await;
        platform.until_heard("north", "south").await;
        platform.agent("east").told(|east| {
            east.lsn = 1100;
            east.hand_over = HandOverReply::Refused { reason: "busy".to_owned() };
        });
        let (status, body) = platform.switchover("north", r#"{"to": "south"}"#).await;
        assert_eq!((status, &body["code"]), (409, &json!("switchover-aborted")), "{body}");
        assert_eq!(body["operation"], "op-000001", "{body}");
        assert!(body["detail"].as_str().unwrap().contains("did not hand over: busy"), "{body}");
        let one = platform.get("north", "/v1/operations/op-000001").await.unwrap();
        assert_eq!(
            (&one["executor"], &one["status"]),
            (&json!("south"), &json!("failed")),
            "{one}"
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_target_that_does_not_open_is_told_where_it_was_asked_for_and_not_executed() {
    Platform::run(&["north", "south"], async |platform| {
        platform.until_known("north").await;
        platform.until_heard("north", "south").await;
        platform.agent("south").told(|south| south.opens_nothing = true);
        let (status, body) = platform.switchover("north", r#"{"to": "south"}"#).await;
        assert_eq!((status, &body["code"]), (409, &json!("switchover-unfinished")), "{body}");
        assert_eq!(body["operation"], "op-000001", "{body}");
        let one = platform.get("north", "/v1/operations/op-000001").await.unwrap();
        assert_eq!(
            (&one["executor"], &one["status"]),
            (&json!("south"), &json!("running")),
            "{one}"
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_site_had_flushed_is_enough_where_it_cannot_stop_cleanly() {
    Platform::run(&["north"], async |platform| {
        platform.until_known("north").await;
        platform.agent("east").told(|east| {
            east.hand_over = HandOverReply::Abandoned { timeline: 1, flushed: 1000 };
        });
        platform.agent("south").told(|south| south.lsn = 1000);
        let (status, body) = platform.switchover("north", r#"{"to": "south"}"#).await;
        assert_eq!((status, &body["epoch"]), (200, &json!(3)), "{body}");
        platform.until_cell_is("epoch 3, steady in south").await;
    })
    .await;
}

/// Its database ended all the same. Nobody has less than anybody else, and the target is preferred.
#[tokio::test(flavor = "multi_thread")]
async fn a_site_that_ends_without_handing_over_is_succeeded_by_the_target() {
    Platform::run(&["north"], async |platform| {
        platform.until_known("north").await;
        platform.agent("east").told(|east| {
            east.hand_over = HandOverReply::Ended { reason: "no clean stop".to_owned() };
        });
        let (status, body) = platform.switchover("north", r#"{"to": "south"}"#).await;
        assert_eq!((status, &body["code"]), (409, &json!("switchover-aborted")));
        let expected = "east ended without handing over: no clean stop; the cell elects its active \
                        site now";
        assert_eq!(body["detail"], expected);
        platform.until_cell_is("epoch 4, steady in south").await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_target_without_the_last_checkpoint_is_not_promoted() {
    Platform::run(&["north"], async |platform| {
        platform.until_known("north").await;
        platform.agent("east").told(|east| {
            east.lsn = 1101;
            east.hand_over = HandOverReply::Stopped { timeline: 1, checkpoint: 1100 };
        });
        platform.agent("north").told(|north| north.lsn = 1101);
        let (status, body) = platform.switchover("north", r#"{"to": "south"}"#).await;
        assert_eq!((status, &body["code"]), (409, &json!("switchover-aborted")));
        platform.until_cell_is("epoch 4, steady in north").await;
    })
    .await;
}
