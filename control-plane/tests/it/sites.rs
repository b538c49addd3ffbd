//! Keeping a standby site out of its cell, and letting it in again.

use serde_json::{Value, json};

use crate::operations::until_ended;
use crate::platform::Platform;

pub(crate) const RETIRE: &str = "/v1/cells/c1/sites/south/retire";
pub(crate) const ADD: &str = "/v1/cells/c1/sites/south/add";

#[tokio::test(flavor = "multi_thread")]
async fn a_site_that_is_kept_out_is_no_target_and_votes_again_when_it_is_let_in() {
    Platform::run(&["north", "south"], async |platform| {
        for region in ["north", "south"] {
            platform.until_known(region).await;
        }
        let epoch = platform.cell().await.unwrap().activation.epoch;
        let (status, ahead) = platform.post("north", &format!("{RETIRE}?dry_run=true"), "{}").await;
        assert_eq!((status, &ahead["allowed"]), (200, &json!(true)), "{ahead}");
        assert_eq!(ahead["waves"], json!([["retire c1@south"]]));
        assert_eq!(ahead["blast_radius"]["cells"], json!(["c1"]));
        let (status, stale) =
            platform.write_with("north", "POST", RETIRE, "{}", &[("if-match", "\"1\"")]).await;
        assert_eq!((status, &stale["etag"]), (412, &ahead["etag"]), "{stale}");

        let etag = ahead["etag"].as_str().unwrap();
        let headers = [("if-match", etag), ("idempotency-key", "an-old-machine")];
        let body = r#"{"reason": "the machine is replaced"}"#;
        let (status, begun) = platform.write_with("north", "POST", RETIRE, body, &headers).await;
        assert_eq!(
            (status, &begun["kind"], &begun["cell"]),
            (202, &json!("retire-site"), &json!("c1"))
        );
        let ended = until_ended(platform, "south", &begun).await;
        assert_eq!(ended["status"], "done", "{ended}");
        let again = platform.write_with("south", "POST", RETIRE, body, &headers).await;
        assert_eq!((again.0, &again.1["id"]), (202, &begun["id"]));
        platform.until_known("south").await;
        assert_eq!(sites(platform).await, "east active, north standby votes, south retired");

        for (path, body, expected) in [
            ("/v1/cells/c1/sites/north/retire", "{}", (409, "no-ready-site")),
            ("/v1/cells/c1/sites/east/retire", "{}", (409, "no-ready-site")),
            ("/v1/cells/c9/sites/east/retire", "{}", (404, "unknown-cell")),
            ("/v1/cells/c1/sites/west/add", "{}", (404, "unknown-region")),
            ("/v1/cells/c1/switchover", r#"{"to": "south"}"#, (409, "not-a-standby")),
        ] {
            let (status, refused) = platform.post("south", path, body).await;
            let found = (status, refused["code"].as_str().unwrap());
            assert_eq!(found, expected, "{path}: {refused}");
        }
        assert_eq!(platform.cell().await.unwrap().activation.epoch, epoch);

        // One vote is enough of one voter, and nobody asks who is kept out.
        platform.agent("east").told(|agent| agent.dead = true);
        platform.until_serving("north").await;
        assert_eq!(platform.agent("south").told(|agent| agent.votes.len()), 0);
        platform.agent("east").told(|agent| agent.dead = false);
        platform.until_known("north").await;

        let (status, begun) = platform.post("south", ADD, "{}").await;
        assert_eq!(status, 202, "{begun}");
        let ended = until_ended(platform, "north", &begun).await;
        assert_eq!(ended["status"], "done", "{ended}");
        platform.until_known("south").await;
        assert_eq!(sites(platform).await, "east standby votes, north active, south standby votes");
        let audit = platform.get("south", "/v1/audit").await.unwrap();
        let acts = audit["data"].as_array().unwrap().iter();
        let acts = acts.filter(|act| act["what"] == "add-site" && act["cell"] == "c1");
        let regions: Vec<&Value> = acts.map(|act| &act["region"]).collect();
        assert_eq!(regions, ["south", "west"], "{audit}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_site_that_does_not_get_out_can_be_let_stay() {
    Platform::run(&["north", "south"], async |platform| {
        for region in ["north", "south"] {
            platform.until_known(region).await;
        }
        platform.agent("east").told(|agent| agent.holds_its_voters = true);
        let (status, begun) = platform.post("north", RETIRE, "{}").await;
        assert_eq!(status, 202, "{begun}");
        let leaves = platform.until(async || {
            let cell = platform.cell().await;
            cell.is_some_and(|cell| !cell.activation.retired.is_empty())
        });
        assert!(leaves.await, "it is not marked");
        let (status, refused) =
            platform.post("south", "/v1/cells/c1/sites/north/retire", "{}").await;
        assert_eq!((status, &refused["code"]), (409, &json!("operation-running")), "{refused}");
        let (status, beside) = platform.post("south", "/v1/regions/east/drain", "{}").await;
        assert_eq!(status, 202, "{beside}");
        let ended = until_ended(platform, "north", &beside).await;
        assert_eq!(ended["status"], "done", "{ended}");
        let path = format!("/v1/operations/{}/cancel", begun["id"].as_str().unwrap());
        let (status, cancelled) = platform.post("south", &path, "{}").await;
        assert_eq!(status, 200, "{cancelled}");
        let ended = until_ended(platform, "south", &begun).await;
        assert_eq!(ended["status"], "cancelled", "{ended}");
        platform.until_known("north").await;
        assert_eq!(sites(platform).await, "east active, north standby votes, south standby votes");
    })
    .await;
}

/// Returns what each site of the cell is, as the control plane in south sees it.
pub(crate) async fn sites(platform: &Platform) -> String {
    let cell = platform.get("south", "/v1/cells/c1").await.unwrap();
    let sites = cell["sites"].as_array().unwrap().iter().map(|site| {
        let (region, role) = (site["region"].as_str().unwrap(), site["role"].as_str().unwrap());
        let votes = if site["votes"] == true { " votes" } else { "" };
        format!("{region} {role}{votes}")
    });
    sites.collect::<Vec<_>>().join(", ")
}
