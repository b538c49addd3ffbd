use std::collections::BTreeMap;

use topology::Version;

use super::*;

#[test]
fn a_request_for_the_serving_site_is_admitted() {
    check("ada 47 c1 7", "serving 7 until 100 open strong", 50, "ada in 47, epoch 7, open, now");
    check("ada 47 c1 7", "serving 7 until 100 strong", 50, "ada in 47, epoch 7, soon");
    check("ada 47 c1 7", "serving 7 until 100 open", 50, "ada in 47, epoch 7, open, at risk");
    check("ada 47 c1 7", "serving 7 until 100", 50, "ada in 47, epoch 7, at risk");
}

#[test]
fn a_read_that_may_be_old_is_admitted_where_nobody_serves_and_only_there() {
    for holds in
        ["standby 9 until 0", "standby 5 until 0", "fenced 7 until 100", "serving 7 until 9"]
    {
        let epoch = holds.split(' ').nth(1).unwrap();
        check("ada 47 c1 7 stale", holds, 50, &format!("ada in 47, epoch {epoch}, stale"));
    }
    let fresh = "ada in 47, epoch 7, open, now";
    check("ada 47 c1 7 stale", "serving 7 until 100 open strong", 50, fresh);
    check("ada 47 c1 6 stale", "serving 7 until 100", 50, "stale epoch: have 7, want 6");
    check("ada 47 c1 7 stale", "draining 7 until 100", 50, "draining");
    check("ada 47 c2 7 stale", "standby 7 until 0", 50, "not owner: have c1, want c2");
    check(
        "ada 48 c1 7 stale",
        "standby 7 until 0",
        50,
        "routing headers: the slot is not the user's",
    );
}

#[test]
fn strong_work_waits_for_the_barrier_and_is_refused_without_voters() {
    assert_eq!(Strength::Now.demand(), Ok(()));
    assert_eq!(Strength::Lagging.demand(), Ok(()));
    assert_eq!(Strength::Soon.demand(), Err(Refusal::FailingOver));
    assert_eq!(Strength::AtRisk.demand(), Err(Refusal::AtRisk));
}

#[test]
fn voters_that_lag_hold_nothing_up_where_there_is_nothing_to_wait_for() {
    for (holds, told) in [
        ("open strong lagging", "open, lagging"),
        ("strong lagging", "soon"),
        ("open lagging", "open, at risk"),
        ("lagging", "at risk"),
    ] {
        let holds = format!("serving 7 until 100 {holds}");
        check("ada 47 c1 7", &holds, 50, &format!("ada in 47, epoch 7, {told}"));
    }
}

#[test]
fn headers_that_are_missing_or_contradict_each_other_are_refused_first() {
    check("- 47 c2 6", "fenced 7 until 100", 50, "routing headers: the user is missing");
    check("ada - c1 7", "serving 7 until 100", 50, "routing headers: the slot is missing");
    check(
        "ada 16384 c1 7",
        "serving 7 until 9",
        5,
        "routing headers: the slot is no slot's number",
    );
    check("ada 48 c1 7", "serving 7 until 100", 50, "routing headers: the slot is not the user's");
    check("ada 47 - 7", "serving 7 until 100", 50, "routing headers: the cell is missing");
    check("ada 47 c1 -", "serving 7 until 100", 50, "routing headers: the epoch is missing");
    check("ada 47 c1 x", "serving 7 until 100", 50, "routing headers: the epoch is no number");
}

#[test]
fn an_agent_is_admitted_for_a_slot_of_the_cell_or_for_the_whole_cell() {
    let holds = "serving 7 until 100 open strong";
    for role in ["agent", "service"] {
        let in_slot = format!("{role} eve in 48, epoch 7, open, now");
        check(&format!("eve 48 c1 7 {role}"), holds, 50, &in_slot);
        let in_cell = format!("{role} eve in the cell, epoch 7, open, now");
        check(&format!("eve - c1 7 {role}"), holds, 50, &in_cell);
    }
    let told = "agent eve in the cell, epoch 7, stale";
    check("eve - c1 7 stale agent", "standby 7 until 0", 50, told);
}

#[test]
fn an_agent_passes_no_check_that_a_contact_does_not() {
    let holds = "serving 7 until 100 open strong";
    check("eve 9000 c1 7 agent", holds, 50, "not owner: have c1, want c2");
    check("eve - c2 7 agent", holds, 50, "not owner: have c1, want c2");
    check("eve - c1 6 agent", holds, 50, "stale epoch: have 7, want 6");
    check("eve 48 c1 7 agent", "draining 7 until 100", 50, "draining");
    check("eve - c1 7 agent", "serving 7 until 9", 50, "fenced");
    check("- 48 c1 7 agent", holds, 50, "routing headers: the user is missing");
    check("eve x c1 7 agent", holds, 50, "routing headers: the slot is no slot's number");
    check("eve 48 c1 7 admin", holds, 50, "routing headers: the role is none");
    check("eve 48 c1 7 contact", holds, 50, "routing headers: the slot is not the user's");
    check("eve - c1 7 contact", holds, 50, "routing headers: the slot is missing");
}

#[test]
fn a_request_for_another_cell_learns_whose_it_is_even_from_a_site_that_does_not_serve() {
    check("ada 47 c2 7", "serving 7 until 100", 50, "not owner: have c1, want c2");
    check("user-000001 13289 c1 7", "serving 7 until 100", 50, "not owner: have c1, want c2");
    check("user-000001 13289 c1 6", "fenced 7 until 0", 50, "not owner: have c1, want c2");
}

#[test]
fn a_contact_who_lives_apart_is_taken_by_that_cell_and_by_no_other() {
    let holds = "serving 7 until 100 open strong";
    let away = placement().with_override("ada", &cell("c2")).unwrap();
    check_in(&away, "ada 47 c1 7", holds, 50, "not owner: have c1, want c2");
    check_in(&away, "ada 47 c1 7 stale", "standby 7 until 0", 50, "not owner: have c1, want c2");
    let here = placement().with_override("user-000001", &cell("c1")).unwrap();
    let told = "user-000001 in 13289, epoch 7, open, now";
    check_in(&here, "user-000001 13289 c1 7", holds, 50, told);
    let told = "not owner: have c1, want c2";
    check_in(&here, "张伟 7787 c2 7", holds, 50, told);
    let other = "routing headers: the slot is not the user's";
    check_in(&here, "user-000002 13289 c1 7", holds, 50, other);
}

#[test]
fn an_agent_is_taken_for_a_slot_of_which_a_user_lives_here() {
    let holds = "serving 7 until 100 open strong";
    let here = placement().with_override("user-000001", &cell("c1")).unwrap();
    let told = "agent eve in 13289, epoch 7, open, now";
    check_in(&here, "eve 13289 c1 7 agent", holds, 50, told);
    check_in(&here, "eve 13290 c1 7 agent", holds, 50, "not owner: have c1, want c2");
    let away = placement().with_override("ada", &cell("c2")).unwrap();
    check_in(&away, "eve 47 c1 7 agent", holds, 50, "agent eve in 47, epoch 7, open, now");
}

#[test]
fn an_epoch_that_is_over_is_refused_whatever_the_site_does() {
    for tenure in ["serving", "standby", "draining", "fenced"] {
        check("ada 47 c1 6", &format!("{tenure} 7 until 100"), 50, "stale epoch: have 7, want 6");
    }
}

#[test]
fn an_epoch_not_heard_of_yet_waits() {
    check("ada 47 c1 8", "serving 7 until 100 open", 50, "failing over");
}

#[test]
fn a_site_that_does_not_serve_says_why() {
    check("ada 47 c1 7", "standby 7 until 100", 50, "failing over");
    check("ada 47 c1 7", "draining 7 until 100", 50, "draining");
    check("ada 47 c1 7", "fenced 7 until 100", 50, "fenced");
    check("ada 47 c1 7", "-", 50, "failing over");
}

#[test]
fn a_right_that_has_run_out_is_no_right() {
    let told = "ada in 47, epoch 7, open, now";
    check("ada 47 c1 7", "serving 7 until 100 open strong", 99, told);
    check("ada 47 c1 7", "serving 7 until 100 open", 100, "fenced");
}

#[test]
fn without_a_placement_nobody_is_served() {
    let own = Own { cell: &cell("c1"), placement: None, right: right("serving 7 until 100") };
    assert_eq!(admit(said("ada 47 c1 7"), own, at(50)), Err(Refusal::FailingOver));
}

#[test]
fn work_is_acknowledged_only_under_the_right_it_began_with() {
    for (now_holds, now, expected) in [
        ("serving 7 until 100", 50, true),
        ("draining 7 until 100", 50, true),
        ("serving 7 until 100", 100, false),
        ("serving 8 until 100", 50, false),
        ("fenced 7 until 100", 50, false),
        ("standby 7 until 100", 50, false),
        ("-", 50, false),
    ] {
        let told = may_acknowledge(Epoch(7), right(now_holds), at(now));
        assert_eq!(told, expected, "{now_holds} at {now}");
    }
}

/// `request` is user, slot, cell, epoch, whether the answer may be old, and a role. The site is c1's.
#[track_caller]
fn check(request: &str, holds: &str, now: u64, expected: &str) {
    check_in(&placement(), request, holds, now, expected);
}

/// c1 owns the slots below 8192, c2 the others.
fn placement() -> Placement {
    let owners = Slot::all().map(|slot| u16::from(slot.number() >= 8192)).collect();
    Placement::try_new(Version(1), vec![cell("c1"), cell("c2")], owners).unwrap()
}

#[track_caller]
fn check_in(placement: &Placement, request: &str, holds: &str, now: u64, expected: &str) {
    let own = Own { cell: &cell("c1"), placement: Some(placement), right: right(holds) };
    let told = match admit(said(request), own, at(now)) {
        Ok(Admitted { user, role, slot, epoch, mode }) => {
            let mode = match mode {
                Mode::Stale => "stale".to_owned(),
                Mode::Serve { open, strength } => {
                    let strength = match strength {
                        Strength::Now => "now",
                        Strength::Lagging => "lagging",
                        Strength::Soon => "soon",
                        Strength::AtRisk => "at risk",
                    };
                    format!("{}{strength}", if open { "open, " } else { "" })
                }
            };
            let who = if role == Role::Contact { user } else { format!("{role} {user}") };
            let place = slot.map_or("the cell".to_owned(), |slot| slot.to_string());
            format!("{who} in {place}, epoch {epoch}, {mode}")
        }
        Err(Refusal::RoutingHeaders(why)) => format!("routing headers: {why}"),
        Err(Refusal::NotOwner { have, want }) => format!("not owner: have {have}, want {want}"),
        Err(Refusal::StaleEpoch { have, want }) => format!("stale epoch: have {have}, want {want}"),
        Err(Refusal::FailingOver) => "failing over".to_owned(),
        Err(Refusal::Draining) => "draining".to_owned(),
        Err(Refusal::Fenced) => "fenced".to_owned(),
        Err(Refusal::AtRisk) => "at risk".to_owned(),
    };
    assert_eq!(told, expected, "{request} / {holds} at {now}");
}

fn said(request: &str) -> Said<'_> {
    let words: Vec<Option<&str>> =
        request.split(' ').map(|word| (word != "-").then_some(word)).collect();
    let stale_ok = words[4..].contains(&Some("stale"));
    let role = words[4..].iter().copied().flatten().find(|word| *word != "stale");
    Said { user: words[0], role, slot: words[1], cell: words[2], epoch: words[3], stale_ok }
}

fn right(holds: &str) -> Option<Right> {
    let words: Vec<&str> = holds.split(' ').collect();
    let tenures: BTreeMap<&str, TenureName> = [
        ("standby", TenureName::Standby),
        ("serving", TenureName::Serving),
        ("draining", TenureName::Draining),
        ("fenced", TenureName::Fenced),
    ]
    .into();
    let tenure = *tenures.get(words[0])?;
    let epoch = Epoch(words[1].parse().unwrap());
    let open = words.contains(&"open");
    let strong = words.contains(&"strong");
    let lagging = words.contains(&"lagging");
    Some(Right { tenure, epoch, until: at(words[3].parse().unwrap()), open, strong, lagging })
}

fn cell(id: &str) -> CellId {
    id.parse().unwrap()
}

fn at(seconds: u64) -> BootTime {
    BootTime::from_nanos(seconds * 1_000_000_000)
}
