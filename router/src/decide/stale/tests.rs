use topology::{Activation, CellId, Epoch};

use super::*;

#[test]
fn a_client_says_how_old_an_answer_it_takes_and_when() {
    for (said, expected) in [
        ("", Accepts::AtLast),
        ("max-age=0", Accepts::AtLast),
        ("max-stale", Accepts::AtOnce { seconds_max: None }),
        ("no-transform, Max-Stale=30", Accepts::AtOnce { seconds_max: Some(30) }),
        ("max-stale=\"5\"", Accepts::AtOnce { seconds_max: Some(5) }),
        ("max-stale=soon", Accepts::AtLast),
        ("max-stale, no-cache", Accepts::Never),
    ] {
        assert_eq!(Accepts::of(&Method::GET, &headers(said), false), expected, "{said}");
        assert_eq!(Accepts::of(&Method::POST, &headers(said), false), Accepts::Never, "{said}");
        assert_eq!(Accepts::of(&Method::GET, &headers(said), true), Accepts::Never, "{said}");
    }
}

#[test]
fn an_answer_older_than_asked_for_or_of_unknown_age_is_not_taken() {
    let at_most = Accepts::AtOnce { seconds_max: Some(30) };
    for (accepts, age, expected) in [
        (Accepts::AtLast, Some("unknown"), true),
        (Accepts::AtOnce { seconds_max: None }, Some("99999"), true),
        (at_most, Some("30"), true),
        (at_most, Some("31"), false),
        (at_most, Some("unknown"), false),
        (at_most, None, true),
        (Accepts::Never, Some("0"), false),
        (Accepts::Never, None, true),
    ] {
        let value = age.map(|age| HeaderValue::from_str(age).unwrap());
        assert_eq!(accepts.takes(value.as_ref()), expected, "{accepts:?} {age:?}");
    }
}

#[test]
fn who_would_rather_not_wait_is_sent_to_a_standby_where_the_active_site_is_gone() {
    let epoch = Epoch(7);
    let unreachable = Evidence::Unreachable { epoch, at: ms(0), failures: 1 };
    let refused = Evidence::NotServing { epoch, at: ms(0) };
    let misdirected = Evidence::Misdirected { cell: cell(), epoch };
    let lost = Evidence::Lost { epoch, at: ms(0), failures: 1 };
    let at_once = Accepts::AtOnce { seconds_max: None };
    for (evidence, has_site, expected) in [
        (Evidence::None, false, Some(Occasion::Early)),
        (unreachable, true, Some(Occasion::Early)),
        (refused, true, Some(Occasion::Early)),
        (misdirected, true, None),
        (lost, true, None),
    ] {
        let told = |accepts, waited| at(accepts, WAIT, &evidence, has_site, waited);
        assert_eq!(told(at_once, 10), expected, "{evidence:?}");
        assert_eq!(told(Accepts::AtLast, 10), None, "{evidence:?}");
        assert_eq!(told(Accepts::AtLast, 7_899), None, "{evidence:?}");
        assert_eq!(told(Accepts::AtLast, 7_900), Some(Occasion::Last), "{evidence:?}");
        assert_eq!(told(at_once, 7_900), Some(Occasion::Last), "{evidence:?}");
        assert_eq!(told(Accepts::Never, 9_900), None, "{evidence:?}");
    }
}

#[test]
fn a_site_that_serves_comes_first_and_giving_up_last() {
    for accepts in [Accepts::AtLast, Accepts::AtOnce { seconds_max: None }] {
        assert_eq!(at(accepts, Step::Send, &Evidence::None, true, 9_000), None);
        let late = at(accepts, Step::GiveUp, &Evidence::None, true, 12_000);
        assert_eq!(late, Some(Occasion::Last));
    }
}

#[test]
fn a_read_waits_no_longer_than_until_standbys_are_asked() {
    assert_eq!(until(Accepts::Never, ms(9_900), ms(0)), ms(9_900));
    assert_eq!(until(Accepts::AtLast, ms(9_900), ms(0)), AFTER);
    assert_eq!(until(Accepts::AtLast, ms(120), ms(100)), ms(120));
    assert_eq!(until(Accepts::AtLast, ms(9_900), AFTER), ms(9_900));
}

#[test]
fn each_standby_is_asked_once_on_each_occasion() {
    let [north, south] = ["north", "south"].map(|id| id.parse::<RegionId>().unwrap());
    let both = [&north, &south];
    let mut asked = Asked::default();
    for occasion in [Occasion::Early, Occasion::Last] {
        assert_eq!(asked.next(occasion, &both), Some(&north));
        assert_eq!(asked.next(occasion, &both), Some(&south));
        assert_eq!(asked.next(occasion, &both), None);
    }
    assert_eq!(asked.next(Occasion::Early, &both), None);
    let many: Vec<RegionId> = (0..9).map(|number| format!("r{number}").parse().unwrap()).collect();
    let (many, mut asked) = (many.iter().collect::<Vec<_>>(), Asked::default());
    let count = (0..9).filter(|_| asked.next(Occasion::Last, &many).is_some()).count();
    assert_eq!(count, TRIES_MAX);
}

#[test]
fn the_active_site_is_no_standby_and_the_one_before_is_the_last_to_ask() {
    let region = |id: &str| id.parse::<RegionId>().unwrap();
    for (phase, expected) in [
        (Phase::Steady { active: region("east") }, "north south"),
        (Phase::Electing { predecessor: Some(region("east")) }, "north south east"),
        (Phase::Electing { predecessor: None }, "east north south"),
        (Phase::Promoting { active: region("north") }, "east north south"),
        (Phase::Switching { active: region("east"), target: region("south") }, "north south east"),
    ] {
        let activation = Activation {
            epoch: Epoch(7),
            phase,
            voters: [].into(),
            retired: [].into(),
            acks: 1,
            system: None,
            elected_at: None,
            cause: None,
            reason: String::new(),
        };
        let gateway = std::net::SocketAddr::from(([127, 0, 0, 1], 1));
        let gateways = ["south", "north", "east"].map(|id| (region(id), gateway)).into();
        let cell = RoutedCell { activation, gateways };
        let asked: Vec<&str> = standbys(&cell).into_iter().map(RegionId::as_str).collect();
        assert_eq!(asked.join(" "), expected, "{}", cell.activation.phase);
    }
}

const WAIT: Step = Step::Wait { until: Duration::from_millis(9_900) };

fn at(
    accepts: Accepts,
    step: Step,
    evidence: &Evidence,
    has_site: bool,
    waited: u64,
) -> Option<Occasion> {
    let cell = cell();
    let target = Target { cell: &cell, epoch: Epoch(7), has_site };
    occasion(accepts, step, evidence, Some(target), ms(waited))
}

fn headers(cache_control: &str) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_str(cache_control).unwrap());
    headers
}

fn cell() -> CellId {
    "c1".parse().unwrap()
}

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}
