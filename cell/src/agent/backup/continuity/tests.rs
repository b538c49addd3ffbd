use super::*;

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
    let size = SegmentSize::new(4 * 1024 * 1024).unwrap();
    assert_eq!(told(&segments(&[5, 6, 7]), size), "000000010000000000000005 and 2 more");
}

#[test]
fn a_segment_of_another_timeline_does_not_count() {
    let required = [Segment { number: 4, timeline: 2 }];
    let archived = BTreeSet::from([Segment { number: 4, timeline: 1 }]);
    let expected = Continuity::Broken(required.to_vec());
    assert_eq!(continuity(&required, &archived, &archived), expected);
}
