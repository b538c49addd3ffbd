use crate::Spec;
use crate::spec::EMULATED;

const REST: &str = "\
version: 1
cells:
  - {id: c1, weight: 1, home: east, standbys: [north, south]}
edge: {listen: '0.0.0.0:8080', admin: '127.0.0.1:9080', routers: 2}
lease: {renew: 500ms, right: 1600ms, patience: 2s}
messages: weak
regions:
  - {id: east, name: 华东, network: 127.1.0.0/16}
  - {id: north, name: 华北, network: 127.2.0.0/16}
  - {id: south, name: 华南, network: 127.3.0.0/16}
";
const WAN: &str = "\
wan:
  edge: 127.100.0.0/16
  lines:
    - {between: [east, north], delay: 20ms, jitter: 2ms}
    - {from: east, to: south, delay: 40ms, jitter: 4ms}
    - {from: south, to: east, delay: 50ms, jitter: 5ms}
    - {between: [south, north], delay: 80ms, jitter: 8ms}
    - {between: [edge, east], delay: 5ms, jitter: 1ms}
    - {between: [edge, north], delay: 20ms, jitter: 2ms}
    - {between: [edge, south], delay: 40ms, jitter: 4ms}
";

#[test]
fn a_line_holds_both_ways_or_one() {
    let spec = Spec::parse(&format!("{REST}{WAN}")).unwrap();
    let wan = spec.wan.unwrap();
    let delay = |from: &str, to: &str| {
        wan.lines[&(from.parse().unwrap(), to.parse().unwrap())].delay.as_millis()
    };
    assert_eq!(
        [
            delay("east", "north"),
            delay("north", "east"),
            delay("east", "south"),
            delay("south", "east"),
            delay("edge", "east"),
        ],
        [20, 20, 40, 50, 5]
    );
    assert_eq!(wan.lines.len(), 12);
    assert!(!spec.is_emulated);
}

#[test]
fn an_emulated_edge_is_in_its_own_network_and_keeps_its_ports() {
    let spec = Spec::parse(&format!("{REST}{WAN}{EMULATED}")).unwrap();
    assert!(spec.is_emulated);
    // From south to north and back, jitter included.
    assert_eq!(spec.round_trip.as_millis(), 176);
    assert_eq!(spec.edge.listen.to_string(), "127.100.0.1:8080");
    assert_eq!(spec.router_admin_address(2).to_string(), "127.100.0.1:9081");
}

#[test]
fn each_mistake_about_distances_is_a_finding() {
    let wan = WAN
        .replace("edge: 127.100", "edge: 127.3")
        .replace("[east, north], delay: 20ms", "[east, west], delay: 20ms")
        .replace("to: south, delay: 40ms", "to: south, delay: 2s")
        .replace("jitter: 5ms", "jitter: 51ms")
        .replace("[south, north]", "[south, south]")
        .replace("[edge, east]", "[edge, east, north]")
        .replace("[edge, south]", "[edge, north]");
    check(
        &format!("{REST}{wan}"),
        "line 12: wan.edge: network 127.3.0.0/16 is also that of region south
         line 14: wan.lines[0].between: region west is not listed under regions
         line 15: wan.lines[1].delay: 2s is out of range: at most 1 second
         line 16: wan.lines[2].jitter: 51ms is out of range: at most the delay
         line 17: wan.lines[3].between: south is listed twice
         line 18: wan.lines[4].between: expected two ends, such as [edge, east], found 3 of them
         line 20: wan.lines[6].delay: the way from edge to north is listed twice
         line 20: wan.lines[6].delay: the way from north to edge is listed twice",
    );
}

#[test]
fn what_is_missing_is_named_and_only_loopback_networks_are_emulated() {
    let short = WAN.replace("    - {between: [edge, south], delay: 40ms, jitter: 4ms}\n", "");
    check(
        &format!("{}{short}", REST.replace("127.2.0", "10.2.0")),
        "line 8: regions: network 10.2.0.0/16 is not one of 127.1.0.0/16 to 127.253.0.0/16, which alone can be emulated
         line 14: wan.lines: no line from edge to south
         line 14: wan.lines: no line from south to edge",
    );
    check(
        &format!("{REST}{EMULATED}"),
        "line 11: emulated: the section wan is missing, which says how far apart the regions are",
    );
}

#[track_caller]
fn check(text: &str, expected: &str) {
    let found: Vec<String> =
        Spec::parse(text).unwrap_err().iter().map(ToString::to_string).collect();
    let expected: Vec<&str> = expected.lines().map(str::trim).collect();
    assert_eq!(found, expected);
}
