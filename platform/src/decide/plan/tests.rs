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
    let lines: Vec<String> =
        planned().iter().map(|process| format!("{} {}", process.name, process.address)).collect();
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

fn planned() -> Vec<Planned> {
    let run_dir = RunDir::find(Some("/run/bulkhead".into())).unwrap();
    plan(&Spec::parse(SPEC).unwrap(), &run_dir)
}
