use super::*;

const SPEC: &str = "\
version: 1
regions:
  - {id: east, name: 华东, network: 127.1.0.0/16}
  - {id: north, name: 华北, network: 127.2.0.0/16}
  - {id: south, name: 华南, network: 127.3.0.0/16}
cells:
  - {id: c1, weight: 1, home: east, standbys: [north, south]}
  - {id: c2, weight: 1, home: south, standbys: [east, north]}
edge: {listen: '127.0.0.1:8080', admin: '127.0.0.1:9080', routers: 2}
lease: {renew: 500ms, right: 1600ms, patience: 2s}
messages: weak
";

#[test]
fn each_region_site_and_router_has_its_process_and_etcd_comes_first() {
    let line = |process: &Planned| format!("{} {}", process.name, process.address.unwrap());
    let lines: Vec<String> = planned().iter().map(line).collect();
    assert_eq!(
        lines,
        [
            "etcd@east 127.1.0.1:2379",
            "etcd@north 127.2.0.1:2379",
            "etcd@south 127.3.0.1:2379",
            "control-plane@east 127.1.0.1:7000",
            "control-plane@north 127.2.0.1:7000",
            "control-plane@south 127.3.0.1:7000",
            "c1@east 127.1.1.1:7100",
            "c1@north 127.2.1.1:7100",
            "c1@south 127.3.1.1:7100",
            "c2@south 127.3.2.1:7100",
            "c2@east 127.1.2.1:7100",
            "c2@north 127.2.2.1:7100",
            "router-1 127.0.0.1:9080",
            "router-2 127.0.0.1:9081",
        ]
    );
}

#[test]
fn members_of_etcd_that_are_apart_do_not_stand_for_election_at_once() {
    let timeouts = |more: &str| -> Vec<String> {
        let spec = Spec::parse(&format!("{SPEC}{more}")).unwrap();
        let of = |region: &topology::spec::Region| {
            let arguments = etcd_arguments(&spec, &region.id, Path::new("/data"));
            let flag =
                |argument: &String| argument.strip_prefix("--election-timeout=").map(str::to_owned);
            arguments.iter().find_map(flag).unwrap()
        };
        spec.regions.iter().map(of).collect()
    };
    assert_eq!(timeouts(""), ["500", "500", "500"]);
    assert_eq!(timeouts("round-trip: 160ms\n"), ["500", "700", "980"]);
}

#[test]
fn a_site_is_told_who_it_is_and_where_everything_lies() {
    let processes = planned();
    let site = processes.iter().find(|process| process.name == "c2@north").unwrap();
    assert_eq!(
        site.arguments.join(" "),
        "site --cell c2 --region north --spec /run/bulkhead/spec.yaml --run-dir /run/bulkhead"
    );
    assert_eq!(
        (&*site.region.as_ref().unwrap().to_string(), site.role),
        ("north", FleetRole::Site)
    );
}

#[test]
fn every_etcd_member_knows_all_members() {
    let cluster = "--initial-cluster=east=http://127.1.0.1:2380,\
                   north=http://127.2.0.1:2380,south=http://127.3.0.1:2380";
    for member in planned().iter().filter(|process| process.role == FleetRole::Etcd) {
        assert!(member.arguments.iter().any(|flag| flag == cluster), "{member:?}");
    }
}

#[test]
fn on_an_emulated_wan_everything_is_where_it_belongs_and_the_wan_comes_first() {
    let wan = "\
wan:
  edge: 127.100.0.0/16
  lines:
    - {between: [east, north], delay: 20ms, jitter: 2ms}
    - {between: [east, south], delay: 40ms, jitter: 4ms}
    - {between: [north, south], delay: 80ms, jitter: 8ms}
    - {between: [edge, east], delay: 5ms, jitter: 1ms}
    - {between: [edge, north], delay: 20ms, jitter: 2ms}
    - {between: [edge, south], delay: 40ms, jitter: 4ms}
emulated: true
";
    let run_dir = RunDir::find(Some("/run/bulkhead".into())).unwrap();
    let planned = plan(&Spec::parse(&format!("{SPEC}{wan}")).unwrap(), &run_dir, None);
    let end = |name: &str| {
        let process = planned.iter().find(|process| process.name == name).unwrap();
        process.end().map(|end| end.to_string())
    };
    assert_eq!(planned[0].name, "wan");
    assert_eq!(end("wan"), None);
    assert_eq!(end("etcd@south").as_deref(), Some("south"));
    assert_eq!(end("c2@north").as_deref(), Some("north"));
    assert_eq!(end("router-2").as_deref(), Some("edge"));
}

#[test]
fn who_has_drills_run_lives_among_the_processes_of_the_machine() {
    let run_dir = RunDir::find(Some("/run/bulkhead".into())).unwrap();
    let lives_in = |drills, name: &str| {
        let planned = plan(&Spec::parse(SPEC).unwrap(), &run_dir, drills);
        let process = planned.iter().find(|process| process.name == name).unwrap();
        process.lives_in().map(|end| end.to_string())
    };
    assert_eq!(lives_in(None, "control-plane@east").as_deref(), Some("east"));
    assert_eq!(lives_in(Some("weekly"), "control-plane@east"), None);
    assert_eq!(lives_in(Some("weekly"), "c1@east").as_deref(), Some("east"));
    assert_eq!(lives_in(None, "router-1").as_deref(), Some("edge"));
}

fn planned() -> Vec<Planned> {
    let run_dir = RunDir::find(Some("/run/bulkhead".into())).unwrap();
    plan(&Spec::parse(SPEC).unwrap(), &run_dir, None)
}
