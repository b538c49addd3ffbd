//! Keeping a standby site out and letting it in again, from the console.

use topology::Activation;

use crate::forms::{field, form, get, sign_in, url};
use crate::platform::{OPERATOR, Platform, VIEWER};

const RETIRE: &str = "/console/cells/c1/sites/south/retire";
const ADD: &str = "/console/cells/c1/sites/south/add";

#[tokio::test(flavor = "multi_thread")]
async fn a_site_is_kept_out_and_let_in_again_without_a_script_and_by_no_viewer() {
    Platform::run(&["north"], async |platform| {
        platform.until_known("north").await;
        let viewer = sign_in(platform, VIEWER).await;
        let page = text(platform, "/console/cells/c1", &viewer).await;
        assert!(!page.contains("/retire"), "{page}");
        assert_eq!(get(platform, RETIRE, &viewer).await.status, 403);
        let forged = format!("etag=*&key=once&form_token={}", field(&page, "form_token"));
        let refused = form(platform, RETIRE, &url(platform, ""), &viewer, &forged).await;
        assert_eq!(refused.status, 403);
        assert!(!is_kept_out(platform).await);

        let operator = sign_in(platform, OPERATOR).await;
        let page = text(platform, "/console/cells/c1", &operator).await;
        assert!(page.contains(RETIRE) && !page.contains(ADD), "{page}");
        assert!(!page.contains("/sites/east/"), "the active site has a lever: {page}");
        let plan = text(platform, RETIRE, &operator).await;
        for told in ["Keep c1@south out now", "Nothing has been done yet.", "nothing is moved"] {
            assert!(plan.contains(told), "{told}: {plan}");
        }
        assert!(!is_kept_out(platform).await);
        confirm(platform, RETIRE, &operator, &plan).await;
        until_told(platform, &operator, ADD).await;
        assert!(is_kept_out(platform).await);
        let page = text(platform, "/console/cells/c1", &operator).await;
        assert!(!page.contains("switchover?to=south"), "it is still a target: {page}");

        let chinese = format!("{operator}; bulkhead_language=zh-Hans");
        let plan = text(platform, ADD, &chinese).await;
        assert!(plan.contains("立即重新启用 c1@south"), "{plan}");
        confirm(platform, ADD, &chinese, &plan).await;
        until_told(platform, &operator, RETIRE).await;
        assert!(!is_kept_out(platform).await);
    })
    .await;
}

async fn text(platform: &Platform, path: &str, cookie: &str) -> String {
    let page = get(platform, path, cookie).await;
    assert_eq!(page.status, 200, "{path}");
    String::from_utf8(page.body.to_vec()).unwrap()
}

/// Sends the form of a plan as it was shown.
async fn confirm(platform: &Platform, path: &str, cookie: &str, plan: &str) {
    let [form_token, etag, key] = ["form_token", "etag", "key"].map(|name| field(plan, name));
    let etag = etag.replace('"', "%22");
    let body = format!("form_token={form_token}&etag={etag}&key={key}&reason=a+new+machine");
    let done = form(platform, path, &url(platform, ""), cookie, &body).await;
    assert_eq!(done.status, 303, "{path}: {}", String::from_utf8_lossy(&done.body));
    assert_eq!(done.headers["location"], "/console/operations");
}

/// Waits until the cell's page leads to a lever, and no operation goes on.
async fn until_told(platform: &Platform, cookie: &str, lever: &str) {
    let told = platform.until(async || {
        let page = get(platform, "/console/cells/c1", cookie).await;
        let operations = platform.get("north", "/v1/operations").await.unwrap();
        let mut operations = operations["data"].as_array().unwrap().iter();
        String::from_utf8_lossy(&page.body).contains(lever)
            && operations.all(|operation| operation["status"] == "done")
    });
    assert!(told.await, "{lever} is not offered");
}

async fn is_kept_out(platform: &Platform) -> bool {
    let south = "south".parse().unwrap();
    let Activation { retired, voters, .. } = platform.cell().await.unwrap().activation;
    assert_ne!(retired.contains(&south), voters.contains(&south));
    retired.contains(&south)
}
