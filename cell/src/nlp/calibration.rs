//! From scores to confidences that mean something.
//!
//! A softmax over all classes and one more, "none of them", whose score is the same for every text.
//! Its two numbers, the steepness and the score of "none", are fitted on texts the scores were not
//! trained on. Each such text is used twice: as what it is, and with its own class taken away, as
//! an example of a text that belongs to none of those left.

/// How many texts of no class are expected for each text of one.
const NONE_SHARE: f64 = 0.25;
/// Newton's method doubles the digits each time; it starts within a few digits.
const ROUNDS_MAX: usize = 50;
/// Keeps the steepness finite where every text is classified right.
const PRIOR: f64 = 1e-3;

/// Scores of a text the scores were not trained on, and its class.
pub(super) struct HeldOut {
    pub(super) scores: Vec<f32>,
    pub(super) class: usize,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Calibration {
    steepness: f64,
    none: f64,
    /// The least confidence that is worth acting on.
    threshold: f64,
}

impl Calibration {
    /// Fits the two numbers, then chooses the threshold that decides right most often.
    pub(super) fn fit(held_out: &[HeldOut]) -> Self {
        let mut fitted = Self { steepness: 4.0, none: -2.0, threshold: 0.0 };
        for _ in 0..ROUNDS_MAX {
            let step = fitted.newton_step(held_out);
            fitted.steepness = (fitted.steepness + step.0.clamp(-2.0, 2.0)).clamp(0.1, 50.0);
            fitted.none += step.1.clamp(-2.0, 2.0);
            if step.0.abs() + step.1.abs() < 1e-6 {
                break;
            }
        }
        fitted.threshold = fitted.best_threshold(held_out);
        fitted
    }

    pub(super) fn threshold(&self) -> f64 {
        self.threshold
    }

    /// Returns how likely each class is the text's; what is missing to 1 is "none of them".
    pub(super) fn confidences(&self, scores: &[f32]) -> Vec<f64> {
        let logits: Vec<f64> =
            scores.iter().map(|score| self.steepness * f64::from(*score)).collect();
        let top = logits.iter().copied().fold(self.none, f64::max);
        let powers: Vec<f64> = logits.iter().map(|logit| (logit - top).exp()).collect();
        let total = powers.iter().sum::<f64>() + (self.none - top).exp();
        powers.into_iter().map(|power| power / total).collect()
    }

    /// Returns the step in (steepness, none) that would minimise the log loss if it were quadratic.
    fn newton_step(&self, held_out: &[HeldOut]) -> (f64, f64) {
        // The loss is convex: the model is linear in both numbers before the softmax.
        let (mut slope, mut bend) = ((0.0, 0.0), (0.0, 0.0, 0.0));
        let mut add = |scores: &[f32], class: Option<usize>, weight: f64| {
            let shares = self.confidences(scores);
            let own = class.map_or(0.0, |class| f64::from(scores[class]));
            let pairs =
                || shares.iter().zip(scores).map(|(share, score)| (*share, f64::from(*score)));
            let mean: f64 = pairs().map(|(share, score)| share * score).sum();
            let square: f64 = pairs().map(|(share, score)| share * score * score).sum();
            let none = 1.0 - shares.iter().sum::<f64>();
            slope.0 += weight * (mean - own);
            slope.1 += weight * (none - f64::from(u8::from(class.is_none())));
            bend.0 += weight * (square - mean * mean);
            bend.1 += weight * -mean * none;
            bend.2 += weight * none * (1.0 - none);
        };
        for text in held_out {
            add(&text.scores, Some(text.class), 1.0);
            add(&text.without_its_class(), None, NONE_SHARE);
        }
        slope.0 += PRIOR * self.steepness;
        slope.1 += PRIOR * self.none;
        bend.0 += PRIOR;
        bend.2 += PRIOR;
        let determinant = bend.0 * bend.2 - bend.1 * bend.1;
        (
            -(bend.2 * slope.0 - bend.1 * slope.1) / determinant,
            -(bend.0 * slope.1 - bend.1 * slope.0) / determinant,
        )
    }

    /// A text of a class is decided right if it is accepted and classified right; a text of none if
    /// it is not accepted.
    fn best_threshold(&self, held_out: &[HeldOut]) -> f64 {
        let mut accepted: Vec<(f64, f64)> = Vec::new();
        for text in held_out {
            let (class, confidence) = best(&self.confidences(&text.scores));
            accepted.push((confidence, if class == text.class { 1.0 } else { 0.0 }));
            let (_, confidence) = best(&self.confidences(&text.without_its_class()));
            accepted.push((confidence, -NONE_SHARE));
        }
        let right = |threshold: f64| -> f64 {
            accepted.iter().filter(|(sure, _)| *sure >= threshold).map(|(_, worth)| worth).sum()
        };
        (5..=90)
            .map(|percent| f64::from(percent) / 100.0)
            .map(|threshold| (right(threshold), threshold))
            .fold((f64::NEG_INFINITY, 0.0), |best, next| if next.0 > best.0 { next } else { best })
            .1
    }
}

impl HeldOut {
    fn without_its_class(&self) -> Vec<f32> {
        let mut scores = self.scores.clone();
        scores.remove(self.class);
        scores
    }
}

fn best(confidences: &[f64]) -> (usize, f64) {
    confidences
        .iter()
        .copied()
        .enumerate()
        .fold((0, 0.0), |best, next| if next.1 > best.1 { next } else { best })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_high_score_is_trusted_and_no_high_score_is_none_of_them() {
        let clear = |class: usize| HeldOut {
            scores: (0..4).map(|at| if at == class { 0.8 } else { -0.9 }).collect(),
            class,
        };
        let held_out: Vec<HeldOut> = (0..40).map(|at| clear(at % 4)).collect();
        let calibration = Calibration::fit(&held_out);
        let sure = calibration.confidences(&[-0.9, 0.8, -0.9, -0.9]);
        let lost = calibration.confidences(&[-0.9, -0.8, -0.9, -0.9]);
        assert!(sure[1] > 0.95 && sure[1] > calibration.threshold(), "{sure:?} {calibration:?}");
        assert!(lost[1] < 0.2 && lost[1] < calibration.threshold(), "{lost:?} {calibration:?}");
    }

    #[test]
    fn confidences_are_as_high_as_the_share_that_is_right() {
        // Two classes with the same scores each time, and the first is right three times in four.
        let held_out: Vec<HeldOut> = (0..400)
            .map(|at| HeldOut { scores: vec![0.5, 0.3, -2.0], class: usize::from(at % 4 == 0) })
            .collect();
        let confidences = Calibration::fit(&held_out).confidences(&[0.5, 0.3, -2.0]);
        let share = confidences[0] / (confidences[0] + confidences[1]);
        assert!((share - 0.75).abs() < 0.1, "{confidences:?}");
    }
}
