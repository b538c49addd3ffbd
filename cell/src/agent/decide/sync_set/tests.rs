use super::*;

#[test]
fn whoever_is_away_for_long_leaves_in_the_safe_order() {
    check("recorded ns named ns, s 900 counted", Some("name s"));
    check("recorded ns named s, s 900 counted", Some("sample"));
    check("recorded ns named s, s 900 counted, sampled 950", None);
    check("recorded ns named s, s 950 counted, sampled 950", Some("record s"));
    check("recorded s named s, s 950 counted", None);
}

#[test]
fn nobody_leaves_while_it_may_still_acknowledge() {
    check("recorded ns named s, n 900 counted far, s 900 counted", None);
}

#[test]
fn nobody_leaves_at_once() {
    check("recorded ns named ns, s 900 counted, away 9", None);
    check("recorded ns named s, s 900 counted, away 9", None);
}

#[test]
fn nobody_leaves_if_too_few_would_be_left() {
    check("recorded ns named ns", None);
    check("recorded s named s", None);
    check("recorded ns named ns, s 900", None);
}

#[test]
fn whoever_is_kept_out_leaves_in_the_safe_order_though_it_is_there() {
    check("recorded ns named ns kept n, n 900 counted, s 900 counted", Some("name s"));
    check("recorded ns named s kept n, n 900 counted, s 900 counted", None);
    check("recorded ns named s kept n, n 900, s 900 counted", Some("sample"));
    check("recorded ns named s kept n, n 950, s 900 counted, sampled 950", None);
    check("recorded ns named s kept n, n 950, s 950 counted, sampled 950", Some("record s"));
    check("recorded s named s kept n, n 950, s 950 counted", None);
}

#[test]
fn nobody_is_kept_out_before_the_rest_can_acknowledge() {
    check("recorded ns named ns kept n, n 900 counted", None);
    check("recorded ns named ns kept n, n 900 counted, s 900", None);
    check("recorded ns named ns kept ns, n 900 counted, s 900 counted", Some("name s"));
    check("recorded s named s kept ns, n 900, s 900 counted", None);
}

#[test]
fn who_comes_back_is_recorded_before_it_counts() {
    check("recorded s named s, n 900, s 900 counted", Some("record ns"));
    check("recorded ns named s, n 900, s 900 counted", Some("name ns"));
}

#[test]
fn who_is_far_behind_does_not_count_yet() {
    check("recorded s named s, n 900 far, s 900 counted", None);
}

#[test]
fn who_comes_back_while_leaving_stays() {
    check("recorded ns named s, n 900, s 900 counted, sampled 900", Some("name ns"));
}

#[test]
fn by_a_record_that_has_been_replaced_nothing_is_done_but_to_read_it() {
    // The write that let s leave may have come through, or the one that let n join.
    for state in [
        "recorded ns named ns, s 900 counted",
        "recorded ns named s, s 900 counted",
        "recorded ns named s, s 950 counted, sampled 950",
        "recorded ns named s, n 900, s 900 counted",
        "recorded s named s, n 900, s 900 counted",
        "recorded s named ns, n 900 counted, s 900 counted",
        "recorded ns named ns, n 900 counted, s 900 counted",
    ] {
        check(&format!("{state}, replaced"), Some("read"));
    }
}

#[test]
fn a_name_that_is_not_recorded_is_taken_back() {
    check("recorded s named ns, n 900 counted, s 900 counted", Some("name s"));
}

#[test]
fn a_cell_whose_only_voter_is_gone_takes_who_is_there() {
    check("recorded n named n, s 900", Some("record ns"));
    check("recorded ns named n, s 900", Some("name ns"));
    check("recorded ns named ns, s 900 counted", Some("name s"));
}

/// `recorded`, `named`, `kept` out: the regions' initials. `s 900 counted far`: a standby, how far it has
/// flushed, whether PostgreSQL counts it, whether it is far behind. Others are away: for 60 s. `replaced`: the
/// record.
#[track_caller]
fn check(state: &str, expected: Option<&str>) {
    let regions = |initials: &str| -> BTreeSet<RegionId> {
        initials.chars().map(|initial| initial.to_string().parse().unwrap()).collect()
    };
    let mut facts = state.split(", ");
    let sets: Vec<&str> = facts.next().unwrap().split(' ').collect();
    let (recorded, told) = (regions(sets[1]), regions(sets[3]));
    let retired = regions(sets.get(5).unwrap_or(&""));
    let others = regions("ns");
    let mut standbys = BTreeMap::new();
    let mut sampled = None;
    let mut away = Duration::from_mins(1);
    let mut is_replaced = false;
    for fact in facts {
        if fact == "replaced" {
            is_replaced = true;
            continue;
        }
        let words: Vec<&str> = fact.split(' ').collect();
        let number: u64 = words[1].parse().unwrap();
        match words[0] {
            "sampled" => sampled = Some(number),
            "away" => away = Duration::from_secs(number),
            region => {
                let lag = if words.contains(&"far") { LAG_MAX + 1 } else { 0 };
                let standby = Standby { counted: words.contains(&"counted"), flushed: number, lag };
                standbys.insert(region.parse().unwrap(), standby);
            }
        }
    }
    let away = others.iter().map(|region| (region.clone(), away)).collect();
    let look = Look {
        recorded: &recorded,
        is_replaced,
        named: &told,
        acks: 1,
        others: &others,
        retired: &retired,
        standbys: &standbys,
        away: &away,
        sampled,
    };
    let initials =
        |regions: &BTreeSet<RegionId>| -> String { regions.iter().map(RegionId::as_str).collect() };
    let step = next(&look).map(|step| match step {
        Step::Name(names) => format!("name {}", initials(&names)),
        Step::Sample => "sample".to_owned(),
        Step::Record(voters) => format!("record {}", initials(&voters)),
        Step::Read => "read".to_owned(),
    });
    assert_eq!(step.as_deref(), expected, "{state}");
}
