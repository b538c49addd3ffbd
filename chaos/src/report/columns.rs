//! The columns of time that requests are counted in, by the map and by the panels alike: from the
//! beginning of the run on, each as wide as the next.

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Columns {
    /// How wide each is, in seconds.
    pub(super) step: f64,
}

impl Columns {
    /// Returns which of them a moment is in.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "seconds of a run that lasted minutes"
    )]
    pub(super) fn of(self, at: f64) -> usize {
        (at / self.step) as usize
    }

    /// Returns when one of them begins, which is when the one before it ends.
    pub(super) fn begin(self, column: usize) -> f64 {
        f64::from(u32::try_from(column).unwrap_or(u32::MAX)) * self.step
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_on_an_edge_is_in_the_column_that_begins_there() {
        let columns = Columns { step: 4.0 };
        assert_eq!([0.0, 3.9, 4.0, 11.9, 12.0].map(|at| columns.of(at)), [0, 0, 1, 2, 3]);
        let begins = [0, 1, 3].map(|column| columns.begin(column).to_string());
        assert_eq!(begins, ["0", "4", "12"]);
    }
}
