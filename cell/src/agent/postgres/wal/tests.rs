use super::*;

const FOUR_MB: SegmentSize = SegmentSize(4 * 1024 * 1024);

#[test]
fn a_name_is_a_timeline_and_a_number_whatever_the_size_of_a_segment() {
    let sixteen = SegmentSize::new(16 * 1024 * 1024).unwrap();
    let name = "000000020000000100000003";
    let segment = FOUR_MB.segment(name).unwrap();
    assert_eq!(segment, Segment { timeline: 2, number: 1024 + 3 });
    assert_eq!(sixteen.segment(name).unwrap().number, 256 + 3);
    assert_eq!(FOUR_MB.name(segment), name);
    assert_eq!(FOUR_MB.folder(segment), "0000000200000001");
}

#[test]
fn histories_labels_and_partial_files_are_no_segments() {
    for name in
        ["00000002.history", "000000010000000000000003.00000028.backup", "archive_status", "", "é"]
    {
        assert_eq!(FOUR_MB.segment(name), None, "{name}");
    }
    assert_eq!(FOUR_MB.segment("000000010000000000000003.partial"), None);
    assert_eq!(SegmentSize::new(3), None);
}

#[test]
fn a_segment_in_which_a_timeline_began_is_taken_from_the_later_one() {
    // The second timeline began in segment 3, the third in segment 5.
    let text = "1\t0/C00123\tno recovery target specified\n\n2\t0/1400000\tno recovery target\n";
    let history = History::read(text, 3).unwrap();
    let timelines: Vec<u32> =
        (1..=7).map(|number| history.segment(number, FOUR_MB).timeline).collect();
    assert_eq!(timelines, [1, 1, 2, 2, 3, 3, 3]);
}

#[test]
fn two_promotions_within_one_segment_leave_the_last() {
    let history = History::read("1\t0/C00123\tx\n2\t0/C00456\tx\n", 3).unwrap();
    assert_eq!(history.segment(3, FOUR_MB).timeline, 3);
    assert_eq!(history.segment(2, FOUR_MB).timeline, 1);
    assert_eq!(History::read("1 nonsense", 2), None);
}

#[test]
fn histories_part_where_the_first_of_them_goes_on_alone() {
    let fork = |timeline, at| Some(Fork { timeline, at });
    check("", "", None);
    check("1@900", "1@900", None);
    // The usual: a former primary, and the one that was promoted after it.
    check("", "1@900", fork(1, 900));
    check("1@900", "1@900 2@1500", fork(2, 1500));
    // A promotion that its successor has not heard of.
    check("1@900", "", fork(1, 900));
    check("1@900 2@1500", "1@900", fork(2, 1500));
    // Two promotions that have not heard of each other take the same number.
    check("1@900", "1@700", fork(1, 700));
    check("1@700", "1@900 2@1500", fork(1, 700));
}

#[test]
fn a_standby_is_part_of_its_source_up_to_where_they_part() {
    let part_of = |own: &str, lsn: u64, source: &str, theirs: u64| {
        history(own).is_part_of(&history(source), lsn, theirs)
    };
    // The source is promoted where the standby is, or further, or not yet.
    assert!(part_of("", 900, "1@900", 950));
    assert!(!part_of("", 901, "1@900", 950));
    assert!(part_of("", 900, "", 900));
    assert!(!part_of("", 901, "", 900));
    // It streams from the source, and from one whose timeline has the same number only.
    assert!(part_of("1@900", 1200, "1@900", 1300));
    assert!(!part_of("1@900", 1200, "1@700", 1300));
    assert!(!part_of("1@900", 650, "1@600", 1300));
    assert_eq!((history("").begun(), history("1@900").begun()), (0, 900));
}

#[test]
fn what_is_beyond_a_fork_is_looked_for_where_it_is_whole() {
    let mb = 1024 * 1024;
    let all = |text: &str, fork: Fork| history(text).beyond(fork, FOUR_MB);
    let stretch = |timeline, from, to| Stretch { timeline, from, to };
    let fork = |at| Fork { timeline: 1, at };
    assert_eq!(all("", fork(9 * mb)), [stretch(1, 9 * mb, None)]);
    // The second timeline's first file has the end of the first.
    let one_file = format!("1@{}", 10 * mb);
    assert_eq!(all(&one_file, fork(9 * mb)), [stretch(2, 9 * mb, None)]);
    let files = format!("1@{}", 18 * mb);
    let expected = [stretch(1, 9 * mb, Some(16 * mb)), stretch(2, 16 * mb, None)];
    assert_eq!(all(&files, fork(9 * mb)), expected);
}

#[test]
fn a_position_is_read_as_postgresql_writes_it() {
    assert_eq!(parse_lsn("16/B374D848"), Some(0x16_B374_D848));
    assert_eq!(parse_lsn("nonsense"), None);
    assert_eq!(lsn(0x16_B374_D848), "16/B374D848");
}

#[track_caller]
fn check(own: &str, other: &str, expected: Option<Fork>) {
    assert_eq!(history(own).fork(&history(other)), expected, "{own} / {other}");
}

/// `1@900 2@1500`: the first timeline was left at 900, the second at 1500; the next one is current.
fn history(text: &str) -> History {
    let left = text.split_whitespace().map(|word| word.split_once('@').unwrap());
    let lines: Vec<String> =
        left.map(|(timeline, at)| format!("{timeline}\t{}\tx", lsn(at.parse().unwrap()))).collect();
    History::read(&lines.join("\n"), u32::try_from(lines.len()).unwrap() + 1).unwrap()
}
