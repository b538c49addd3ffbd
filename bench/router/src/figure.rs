//! Figures of several rounds, and what they have in common.

use std::fmt;

/// The same thing, measured once in each round.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Figure(Vec<f64>);

impl Figure {
    pub(crate) fn push(&mut self, value: f64) {
        self.0.push(value);
    }

    /// Returns this figure in parts of another, round by round: what was the same for both in a round
    /// is in neither.
    pub(crate) fn over(&self, other: &Self) -> Self {
        Self(self.0.iter().zip(&other.0).map(|(own, others)| own / others).collect())
    }

    /// Returns what this figure has more than another, round by round.
    pub(crate) fn above(&self, other: &Self) -> Self {
        Self(self.0.iter().zip(&other.0).map(|(own, others)| own - others).collect())
    }

    /// Returns the middle one; zero of none.
    pub(crate) fn median(&self) -> f64 {
        let sorted = self.sorted();
        sorted.get(sorted.len() / 2).copied().unwrap_or(0.0)
    }

    fn sorted(&self) -> Vec<f64> {
        let mut values = self.0.clone();
        values.sort_by(f64::total_cmp);
        values
    }
}

/// The median, and the least and the most.
impl fmt::Display for Figure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sorted = self.sorted();
        let (Some(least), Some(most)) = (sorted.first(), sorted.last()) else {
            return f.write_str("–");
        };
        let digits = match self.median().abs() {
            ..10.0 => 2,
            10.0..100.0 => 1,
            _ => 0,
        };
        write!(f, "{:.digits$} ({least:.digits$}–{most:.digits$})", self.median())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ratio_is_taken_round_by_round() {
        // Both took twice as long in the second round, and 1.5 is what they differ by.
        let (own, other) = (figure(&[15.0, 30.0, 18.0]), figure(&[10.0, 20.0, 10.0]));
        assert_eq!(own.over(&other).to_string(), "1.50 (1.50–1.80)");
        assert_eq!(own.above(&other).to_string(), "8.00 (5.00–10.00)");
    }

    #[test]
    fn a_figure_has_as_many_digits_as_it_deserves() {
        assert_eq!(figure(&[12.34]).to_string(), "12.3 (12.3–12.3)");
        assert_eq!(figure(&[12_345.6]).to_string(), "12346 (12346–12346)");
        assert_eq!(figure(&[]).to_string(), "–");
    }

    fn figure(values: &[f64]) -> Figure {
        Figure(values.to_vec())
    }
}
