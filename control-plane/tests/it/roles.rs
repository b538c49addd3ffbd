use serde_json::{Value, json};

use crate::platform::{OPERATOR, Platform, VIEWER};

#[tokio::test(flavor = "multi_thread")]
async fn a_role_does_what_it_may_and_refused_writes_are_written_down() {
    Platform::run(&["north"], async |platform| {
        platform.until_known("north").await;
        let (switchover, failover) = ("/v1/cells/c1/switchover", "/v1/cells/c1/failover");
        let freeze = r#"{"frozen": true, "reason": "a look"}"#;
        let force = r#"{"accept_data_loss": true, "reason": "gone"}"#;
        for (token, method, path, body, status, code) in [
            (VIEWER, "GET", "/v1/cells/c1", "", 200, Value::Null),
            (VIEWER, "POST", switchover, r#"{"to":"south"}"#, 403, json!("role-insufficient")),
            (OPERATOR, "POST", failover, force, 403, json!("role-insufficient")),
            (OPERATOR, "POST", failover, "{}", 409, json!("active-serves")),
            (Platform::token(), "POST", failover, force, 409, json!("active-serves")),
            (OPERATOR, "PUT", "/v1/freeze", freeze, 403, json!("role-insufficient")),
            (VIEWER, "POST", "/v1/nothing", "", 403, json!("role-insufficient")),
            (VIEWER, "DELETE", "/v1/cells", "", 403, json!("role-insufficient")),
        ] {
            let answer = platform.call("north", method, path, Some(token), body).await.unwrap();
            let told: Value = serde_json::from_slice(&answer.body).unwrap();
            let found = (answer.status.as_u16(), &told["code"]);
            assert_eq!(found, (status, &code), "{method} {path} {body}: {told}");
        }
        let (status, _) = platform.switchover("north", r#"{"to":"south"}"#).await;
        assert_eq!(status, 200);

        let audit = platform.get("north", "/v1/audit").await.unwrap();
        let told: Vec<Value> = audit["data"]
            .as_array()
            .unwrap()
            .iter()
            .map(|entry| {
                json!([entry["who"], entry["what"], entry["cell"], entry["outcome"]["status"]])
            })
            .collect();
        let expected = [
            json!(["ada", "switchover", "c1", 200]),
            json!(["vera", "DELETE /v1/cells", null, 403]),
            json!(["otto", "PUT /v1/freeze", null, 403]),
            json!(["ada", "failover", "c1", 409]),
            json!(["otto", "failover", "c1", 409]),
            json!(["otto", "POST /v1/cells/c1/failover", null, 403]),
            json!(["vera", "POST /v1/cells/c1/switchover", null, 403]),
        ];
        assert_eq!(told, expected);
        assert_eq!(audit["data"][6]["outcome"]["body"]["required_role"], "operator");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_are_rotated_without_a_restart() {
    Platform::run(&["north"], async |platform| {
        let status = async |token| {
            let answer = platform.call("north", "GET", "/v1/audit", Some(token), "").await;
            answer.map(|answer| answer.status.as_u16())
        };
        let answers = platform.until(async || status(VIEWER).await == Some(200)).await;
        assert!(answers, "the control plane does not answer");
        assert_eq!((status(VIEWER).await, status("abc").await), (Some(200), Some(401)));
        // What `printf abc | sha256sum` says.
        let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        platform.write_callers(&format!("vera viewer {abc}\nvera admiral {abc}"));
        let told = platform.until(async || platform.tells("north", "no role").await).await;
        assert!(told, "nobody says that the file is wrong");
        assert_eq!((status(VIEWER).await, status("abc").await), (Some(200), Some(401)));
        platform.write_callers(&format!("vera viewer {abc}"));
        let rotated = platform.until(async || status("abc").await == Some(200)).await;
        assert!(rotated, "the new token is not known");
        assert_eq!(status(VIEWER).await, Some(401));
    })
    .await;
}
