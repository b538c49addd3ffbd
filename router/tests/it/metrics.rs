//! Every metric is there before anything has happened, under the name that dashboards know.

use crate::world::World;

/// One series of each metric; what can be listed of a label is there from the start.
const SERIES: &str = r#"
http_server_request_duration_seconds_count{cell="c1",http_request_method="GET",http_response_status_code="200"}
router_access_log_lines_total{outcome="dropped"}
router_build_info{version="
router_held_requests
router_hold_seconds_count{cause="no-active-site",outcome="released"}
router_table_age_seconds
router_table_epoch{cell="c1"}
router_table_stale
router_table_version
router_upstream_attempts_total{cell="c1",outcome="unreachable"}
"#;

#[tokio::test]
async fn every_metric_exists_from_the_start() {
    let world = World::start().await;
    let text = world.metrics().await;
    for series in SERIES.lines().filter(|line| !line.is_empty()) {
        assert!(text.lines().any(|line| line.starts_with(series)), "no {series} in\n{text}");
    }
}
