use serde_json::{Value, json};

use crate::platform::Platform;

#[tokio::test(flavor = "multi_thread")]
async fn the_document_its_page_and_every_problem_are_there_for_anybody() {
    Platform::run(&["north"], async |platform| {
        let served = platform.until(async || get(platform, "/v1/openapi.json").await.is_some());
        assert!(served.await, "the document is not served");
        let (status, text) = get(platform, "/v1/openapi.json").await.unwrap();
        let document: Value = serde_json::from_str(&text).unwrap();
        assert_eq!((status, &document["openapi"]), (200, &json!("3.1.0")));

        let (status, page) = get(platform, "/docs").await.unwrap();
        assert_eq!(status, 200);
        assert!(page.contains("/v1/cells/{id}/switchover"), "{page}");
        assert!(!page.contains("<script") && !page.contains("src="), "{page}");
        let links = page.split("href=\"/problems/").skip(1);
        let codes: Vec<&str> = links.filter_map(|rest| rest.split('"').next()).collect();
        assert!(codes.len() > 20, "{codes:?}");
        for code in codes {
            let (status, page) = get(platform, &format!("/problems/{code}")).await.unwrap();
            assert!(status == 200 && page.contains(code), "{code}: {status} {page}");
        }
        let (status, text) = get(platform, "/problems/nonsense").await.unwrap();
        let problem: Value = serde_json::from_str(&text).unwrap();
        assert_eq!((status, &problem["code"]), (404, &json!("unknown-problem")));
    })
    .await;
}

async fn get(platform: &Platform, path: &str) -> Option<(u16, String)> {
    let answer = platform.call("north", "GET", path, None, "").await?;
    Some((answer.status.as_u16(), String::from_utf8(answer.body.to_vec()).unwrap()))
}
