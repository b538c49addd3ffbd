use super::edge::Limits;
use super::*;

const GOOD: &str = "\
version: 1
regions:
  - {id: east, name: 华东, network: 127.1.0.0/16}
  - {id: north, name: 华北, network: 127.2.0.0/16}
  - {id: south, name: 华南, network: 127.3.0.0/16}
cells:
  - {id: c1, weight: 1, home: east, standbys: [north, south]}
edge: {listen: '127.0.0.1:8080', admin: '127.0.0.1:9080', routers: 2}
lease: {renew: 500ms, right: 1600ms, patience: 2s}
messages: weak
";

#[test]
fn a_good_file_has_no_findings() {
    let spec = Spec::parse(GOOD).unwrap();
    assert_eq!(spec.cells[0].home.as_str(), "east");
    assert_eq!(spec.lease.right, Duration::from_millis(1600));
}

#[test]
fn six_mistakes_are_six_findings() {
    let text = GOOD
        .replace("id: north", "id: North")
        .replace("weight: 1", "weight: many")
        .replace("home: east", "home: west")
        .replace("routers: 2", "routers: 0")
        .replace("patience: 2s", "patience: 1700ms")
        .replace("messages: weak", "messages: sometimes")
        .replace("[north, south]", "[south, east]");
    check(
        &text,
        "line 4: regions[1].id: \"North\" is not a valid id: 1 to 20 of a-z, 0-9 and -, starting with a letter and not ending with -
         line 7: cells[0].home: region west is not listed under regions
         line 7: cells[0].weight: expected a whole number, found \"many\"
         line 8: edge.routers: 0 is out of range: 1 to 16
         line 9: lease: unsafe: renew 500ms, right 1.6s and patience 1.7s must satisfy 2 x renew <= right and 1.01 x right + 250ms < 0.99 x patience
         line 10: messages: expected weak or strong, found \"sometimes\"",
    );
}

#[test]
fn a_region_may_say_what_it_can_carry() {
    assert_eq!(Spec::parse(GOOD).unwrap().regions[0].capacity, None);
    let with = |capacity: &str| {
        GOOD.replace("127.1.0.0/16", &format!("127.1.0.0/16, capacity: {capacity}"))
    };
    assert_eq!(Spec::parse(&with("4")).unwrap().regions[0].capacity, Some(4));
    check(&with("0"), "line 3: regions[0].capacity: 0 is out of range: 1 to 25000");
    check(&with("much"), "line 3: regions[0].capacity: expected a whole number, found \"much\"");
}

#[test]
fn unknown_and_missing_keys_are_named() {
    check(
        &GOOD.replace("messages: weak", "message: weak"),
        "line 1: regions.yaml: messages is missing
         line 10: message: unknown key; expected one of version, regions, cells, edge, control-plane, lease, messages, backup, change-windows, wan, emulated, round-trip",
    );
}

#[test]
fn a_cell_needs_two_standbys_away_from_home() {
    check(
        &GOOD.replace("[north, south]", "[north]"),
        "line 7: cells[0].standbys: cell c1 needs two standbys outside its home, so that one region may be lost",
    );
    check(
        &GOOD.replace("[north, south]", "[east, south]"),
        "line 7: cells[0].standbys: its home east cannot be its standby too",
    );
}

#[test]
fn without_a_section_on_backups_they_go_to_the_run_directory() {
    let spec = Spec::parse(GOOD).unwrap();
    assert_eq!(spec.backup, Backup::default());
    let written =
        "backup: {repository: backups, keep: 2, base-every: 24h, archive-every: 60s, steady: 1m}\n";
    assert_eq!(Spec::parse(&format!("{GOOD}{written}")).unwrap(), spec);
}

#[test]
fn each_mistake_about_backups_is_a_finding() {
    let written = "\
backup:
  repository: {s3: {endpoint: 'https://s3.example', bucket: cells, region: east}}
  keep: 0
  base-every: daily
  archive-every: 2h
  steady: 1m
";
    check(
        &format!("{GOOD}{written}"),
        "line 12: backup.repository.s3: key-file is missing
         line 12: backup.repository.s3.endpoint: expected a host without https://, found \"https://s3.example\"
         line 13: backup.keep: 0 is out of range: 1 to 1000
         line 14: backup.base-every: expected a duration such as 500ms, 2s or 24h, found \"daily\"
         line 15: backup.archive-every: 7200s is out of range: 1 second to 1 hour",
    );
}

#[test]
fn tls_for_users_and_between_routers_and_sites_is_read() {
    let written = "routers: 2,
  tls: {listen: '127.0.0.1:8443', certificate: edge.pem, key: edge.key,
        others: [{certificate: b.pem, key: b.key}]},
  sites: {authority: ca.pem, router: {certificate: r.pem, key: r.key}, site: {certificate: s.pem, key: s.key}}}";
    let spec = Spec::parse(&GOOD.replace("routers: 2}", written)).unwrap();
    let tls = spec.edge.tls.unwrap();
    assert_eq!((tls.listen.port(), tls.certificate.to_str()), (8443, Some("edge.pem")));
    assert_eq!((tls.others.len(), tls.others[0].key.to_str()), (1, Some("b.key")));
    let sites = spec.edge.sites.unwrap();
    assert_eq!(
        (sites.router.key.to_str(), sites.site.key.to_str()),
        (Some("r.key"), Some("s.key"))
    );
}

#[test]
fn each_mistake_about_tls_is_a_finding() {
    let written = "routers: 2,
  tls: {listen: '127.0.0.1:8080', certificate: edge.pem, others: [{certificate: b.pem}]},
  sites: {authority: ca.pem, router: r.pem}}";
    check(
        &GOOD.replace("routers: 2}", written),
        "line 9: edge.tls: key is missing
         line 9: edge.tls.listen: 127.0.0.1:8080 is listed twice
         line 9: edge.tls.others[0]: key is missing
         line 10: edge.sites: site is missing
         line 10: edge.sites.router: expected a mapping, found \"r.pem\"",
    );
}

#[test]
fn limits_that_are_not_said_keep_their_defaults() {
    let spec = Spec::parse(GOOD).unwrap();
    assert_eq!(spec.edge.limits, Limits::default());
    let said = "limits: {user: {rate: 5}, held: {bytes: 1MiB}, slow: {grace: 1s, unread: 7s}}";
    let spec = Spec::parse(&GOOD.replace("routers: 2", &format!("routers: 2, {said}"))).unwrap();
    let mut expected = Limits::default();
    expected.user.rate = 5;
    expected.held.bytes = 1 << 20;
    expected.slow.grace = Duration::from_secs(1);
    expected.slow.unread = Duration::from_secs(7);
    assert_eq!(spec.edge.limits, expected);
}

#[test]
fn each_mistake_about_limits_is_a_finding() {
    let said = "
  routers: 2
  limits:
    user: {rate: fast}
    cell: {rate: 0, bursts: 1}
    idle: 2h
    body: 65KiB
    head: {bytes: 32}
    breaker: {failed-percent: 101}
  trusted-proxies: [10.0.0.0/8, 10.0.0.1, 10.0.0.0/33]
";
    let edge = "edge: {listen: '127.0.0.1:8080', admin: '127.0.0.1:9080', routers: 2}";
    let block = "edge:\n  listen: '127.0.0.1:8080'\n  admin: '127.0.0.1:9080'";
    check(
        &GOOD.replace(edge, &format!("{block}{said}")),
        "line 13: edge.limits.user.rate: expected a whole number, found \"fast\"
         line 14: edge.limits.cell.bursts: unknown key; expected one of rate, burst
         line 14: edge.limits.cell.rate: 0 is out of range: 1 to 10000000
         line 15: edge.limits.idle: 7200s is out of range: 100ms to 1h
         line 16: edge.limits.body: 65KiB is out of range: at most 64KiB
         line 17: edge.limits.head.bytes: expected a size such as 512B, 8KiB or 1MiB, found \"32\"
         line 18: edge.limits.breaker.failed-percent: 101 is out of range: 1 to 100
         line 19: edge.trusted-proxies[1]: expected a network such as 10.0.0.0/8, found \"10.0.0.1\"
         line 19: edge.trusted-proxies[2]: expected a network such as 10.0.0.0/8, found \"10.0.0.0/33\"",
    );
}

#[test]
fn without_a_list_of_public_paths_the_widget_and_the_articles_are_public() {
    let public = |text: &str| Spec::parse(text).unwrap().edge.public;
    assert_eq!(public(GOOD), Public::default());
    let of = |list: &str| GOOD.replace("routers: 2}", &format!("routers: 2, public: {list}}}"));
    let written = "[{path: /widget/*, cache: true}, {path: /v1/kb/articles/*, cache: true}]";
    assert_eq!(public(&of(written)), Public::default());
    let nothing = public(&of("[]"));
    assert_eq!((nothing.reads("/widget/"), nothing.probe_path()), (None, None));
}

#[test]
fn each_mistake_about_public_paths_is_a_finding() {
    let written = "\
edge:
  listen: '127.0.0.1:8080'
  admin: '127.0.0.1:9080'
  routers: 2
  public:
    - {path: /*, cache: true}
    - {path: /widget/*, cache: often}
    - {path: /help, cache: true}
    - {path: /help, cache: false}
    - {cache: true}
";
    let (before, after) = GOOD.split_once("edge: ").unwrap();
    let (_, after) = after.split_once('\n').unwrap();
    check(
        &format!("{before}{written}{after}"),
        "line 13: edge.public[0].path: expected a path such as /widget/page or, for all below it, /widget/*, found \"/*\"
         line 14: edge.public[1].cache: expected true or false, found \"often\"
         line 16: edge.public[3].path: /help is listed twice
         line 17: edge.public[4]: path is missing",
    );
}

#[test]
fn broken_yaml_names_its_line() {
    let findings = Spec::parse("version: 1\nregions: [\n").unwrap_err();
    assert_eq!(findings.len(), 1);
    assert!(findings[0].line >= 2, "{}", findings[0]);
}

#[track_caller]
fn check(text: &str, expected: &str) {
    let findings = Spec::parse(text).unwrap_err();
    let lines: Vec<String> = findings.iter().map(ToString::to_string).collect();
    let expected: Vec<&str> = expected.lines().map(str::trim).collect();
    assert_eq!(lines, expected);
}

#[test]
fn control_planes_are_asked_in_the_open_unless_their_files_are_named() {
    let east = "east".parse().unwrap();
    let url = |text: &str| Spec::parse(text).unwrap().control_plane_url(&east).unwrap();
    assert_eq!(url(GOOD), "http://127.1.0.1:7000");
    let tls = "control-plane: {tls: {certificate: c.pem, key: c.key, authority: ca.pem}}\n";
    assert_eq!(url(&format!("{GOOD}{tls}")), "https://127.1.0.1:7000");
    check(
        &format!("{GOOD}control-plane: {{tls: {{certificate: c.pem, name: x}}}}\n"),
        "line 11: control-plane.tls: key is missing
         line 11: control-plane.tls: authority is missing
         line 11: control-plane.tls.name: unknown key; expected one of certificate, key, authority",
    );
}
