use runtime::clock;
use serde_json::{Value, json};

use crate::platform::{OPERATOR, Platform};

/// A window of a day that is neither today nor tomorrow: closed however long the test takes.
fn closed() -> String {
    const DAYS: [&str; 7] = ["thu", "fri", "sat", "sun", "mon", "tue", "wed"];
    let today = usize::try_from(clock::unix_millis() / 86_400_000).unwrap();
    let far = DAYS[(today + 3) % 7];
    format!("change-windows: [{{days: [{far}], from: \"10:00\", to: \"11:00\"}}]\n")
}

#[tokio::test(flavor = "multi_thread")]
async fn planned_moves_have_their_hours_and_a_loss_has_none() {
    Platform::prepare_with(&closed())
        .start(&["north"], async |platform| {
            platform.until_known("north").await;
            let (status, problem) = platform.switchover("north", r#"{"to":"south"}"#).await;
            assert_eq!((status, &problem["code"]), (409, &json!("outside-change-window")));
            let detail = problem["detail"].as_str().unwrap();
            assert!(detail.contains("opens at 20") && detail.contains(" 10:00:00Z"), "{detail}");
            let path = "/v1/regions/east/evacuate";
            let (status, problem) = platform.post("north", path, "{}").await;
            assert_eq!((status, &problem["code"]), (409, &json!("outside-change-window")));
            let ahead = format!("{path}?dry_run=true");
            let (status, preview) = platform.post("north", &ahead, "{}").await;
            assert_eq!((status, &preview["allowed"]), (200, &json!(false)));
            let told = json!({ "rule": "outside-change-window", "detail": detail,
                "may_be_overridden": true });
            assert_eq!(preview["broken"], json!([told]));

            let why = r#"{"to":"south","override":["outside-change-window"]"#;
            let (status, problem) = platform.switchover("north", &format!("{why}}}")).await;
            assert_eq!((status, &problem["errors"][0]["pointer"]), (400, &json!("/reason")));
            let forced = format!(r#"{why},"reason":"the east is on fire"}}"#);
            let operator = [("authorization", &*format!("Bearer {OPERATOR}"))];
            let path = "/v1/cells/c1/switchover";
            let refused = platform.write_with("north", "POST", path, &forced, &operator).await;
            assert_eq!((refused.0, &refused.1["code"]), (403, &json!("role-insufficient")));
            let (status, done) = platform.switchover("north", &forced).await;
            assert_eq!(status, 200, "{done}");
            let audit: Value = platform.get("north", "/v1/audit?limit=1").await.unwrap();
            assert_eq!(audit["data"][0]["reason"], "the east is on fire");
            assert_eq!(audit["data"][0]["body"]["override"], json!(["outside-change-window"]));

            platform.until_known("north").await;
            platform.agent("north").told(|north| north.lsn = 1200);
            platform.agent("south").told(|south| south.dead = true);
            platform.until_serving("north").await;
        })
        .await;
}
