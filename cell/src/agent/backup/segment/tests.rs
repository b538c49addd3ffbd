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
    let history = History::read(text, 3, FOUR_MB).unwrap();
    let timelines: Vec<u32> = (1..=7).map(|number| history.segment(number).timeline).collect();
    assert_eq!(timelines, [1, 1, 2, 2, 3, 3, 3]);
}

#[test]
fn two_promotions_within_one_segment_leave_the_last() {
    let history = History::read("1\t0/C00123\tx\n2\t0/C00456\tx\n", 3, FOUR_MB).unwrap();
    assert_eq!(history.segment(3).timeline, 3);
    assert_eq!(history.segment(2).timeline, 1);
    assert_eq!(History::read("1 nonsense", 2, FOUR_MB), None);
}

#[test]
fn what_is_missing_is_repaired_only_if_all_of_it_is_still_here() {
    let segments = |numbers: &[u64]| -> Vec<Segment> {
        numbers.iter().map(|number| Segment { number: *number, timeline: 1 }).collect()
    };
    let set = |numbers: &[u64]| segments(numbers).into_iter().collect::<BTreeSet<_>>();
    let required = segments(&[4, 5, 6, 7]);
    let check = |archived: &[u64], local: &[u64], expected: Continuity| {
        assert_eq!(continuity(&required, &set(archived), &set(local)), expected);
    };
    check(&[3, 4, 5, 6, 7], &[], Continuity::Whole);
    check(&[4, 7], &[5, 6, 7, 8], Continuity::Repairable(segments(&[5, 6])));
    check(&[4, 7], &[6, 7, 8], Continuity::Broken(segments(&[5])));
    assert_eq!(told(&segments(&[5, 6, 7]), FOUR_MB), "000000010000000000000005 and 2 more");
}

#[test]
fn a_segment_of_another_timeline_does_not_count() {
    let required = [Segment { number: 4, timeline: 2 }];
    let archived = BTreeSet::from([Segment { number: 4, timeline: 1 }]);
    let expected = Continuity::Broken(required.to_vec());
    assert_eq!(continuity(&required, &archived, &archived), expected);
}
