//! In which waves cells are moved: one first, to see that it goes well, then ever more.

/// Up to which part of all the cells each wave goes, in per cent.
const UP_TO: [usize; 3] = [10, 50, 100];

/// Divides what is to be moved into waves, in the order given.
#[must_use]
pub fn waves<T>(moves: Vec<T>) -> Vec<Vec<T>> {
    let all = moves.len();
    let ends = std::iter::once(1).chain(UP_TO.map(|percent| (all * percent).div_ceil(100)));
    let mut rest = moves.into_iter();
    let mut begun = 0;
    let mut waves = Vec::new();
    for end in ends {
        let wave: Vec<T> = rest.by_ref().take(end.saturating_sub(begun)).collect();
        begun += wave.len();
        if !wave.is_empty() {
            waves.push(wave);
        }
    }
    waves
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_cell_goes_first_and_nobody_is_left_out() {
        for (cells, expected) in [
            (0, vec![]),
            (1, vec![1]),
            (2, vec![1, 1]),
            (3, vec![1, 1, 1]),
            (5, vec![1, 2, 2]),
            (20, vec![1, 1, 8, 10]),
            (250, vec![1, 24, 100, 125]),
        ] {
            let waves = waves((0..cells).collect());
            let sizes: Vec<usize> = waves.iter().map(Vec::len).collect();
            assert_eq!(sizes, expected, "{cells} cells");
            assert_eq!(waves.concat(), (0..cells).collect::<Vec<usize>>());
        }
    }
}
