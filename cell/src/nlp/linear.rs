//! One hyperplane per class: support vector machines with squared hinge loss, each class against
//! the rest, trained by coordinate descent in the dual (Hsieh et al., ICML 2008, algorithm 3).
//!
//! The same samples in the same order always give the same weights.

use super::features::Sparse;

/// How much a sample on the wrong side costs, against the size of the weights.
const COST: f32 = 0.5;
/// Rounds over the samples; shrinking makes all but the first few cheap.
const ROUNDS_MAX: usize = 40;
/// Largest violation of optimality left; smaller ones no longer change a decision.
const TOLERANCE: f32 = 0.1;
/// A rare class's samples count up to this much more, a frequent one's down to its inverse.
const BALANCE_MAX: f32 = 4.0;

/// Weights and offset of each class, by column first: a text touches a few columns of all classes.
pub(super) struct Linear {
    classes: usize,
    weights: Vec<f32>,
    offsets: Vec<f32>,
}

/// A sample and its class.
pub(super) type Sample<'a> = (&'a Sparse, usize);

impl Linear {
    /// Trains on samples with `width` columns.
    pub(super) fn train(samples: &[Sample<'_>], width: usize, classes: usize) -> Self {
        let mut weights = vec![0.0; width * classes];
        let mut offsets = Vec::with_capacity(classes);
        for class in 0..classes {
            let (own, offset) = one_against_rest(samples, class, width, classes);
            for (column, weight) in own.into_iter().enumerate() {
                weights[column * classes + class] = weight;
            }
            offsets.push(offset);
        }
        Self { classes, weights, offsets }
    }

    /// Returns how far on its side of each class's hyperplane a text is.
    pub(super) fn scores(&self, text: &Sparse) -> Vec<f32> {
        let mut scores = self.offsets.clone();
        for (column, value) in text {
            let from = *column as usize * self.classes;
            for (score, weight) in scores.iter_mut().zip(&self.weights[from..from + self.classes]) {
                *score += weight * value;
            }
        }
        scores
    }
}

/// One sample's part of the dual problem.
struct Dual {
    sign: f32,
    multiplier: f32,
    diagonal: f32,
    curvature: f32,
}

fn one_against_rest(
    samples: &[Sample<'_>],
    class: usize,
    width: usize,
    classes: usize,
) -> (Vec<f32>, f32) {
    let members = samples.iter().filter(|(_, of)| *of == class).count().max(1);
    let usual = ratio(samples.len(), classes);
    let balance = (usual / ratio(members, 1)).sqrt().clamp(1.0 / BALANCE_MAX, BALANCE_MAX);
    let mut duals: Vec<Dual> = samples
        .iter()
        .map(|(sparse, of)| {
            let (sign, cost) = if *of == class { (1.0, COST * balance) } else { (-1.0, COST) };
            let diagonal = 0.5 / cost;
            let square: f32 = sparse.iter().map(|(_, value)| value * value).sum();
            // The offset is a column of ones.
            Dual { sign, multiplier: 0.0, diagonal, curvature: square + 1.0 + diagonal }
        })
        .collect();
    let (mut weights, mut offset) = (vec![0.0_f32; width], 0.0_f32);
    let mut active: Vec<usize> = (0..samples.len()).collect();
    let mut shuffle = Shuffle(0x9e37_79b9_7f4a_7c15);
    let mut shrink_above = f32::INFINITY;
    for _ in 0..ROUNDS_MAX {
        shuffle.shuffle(&mut active);
        let (mut highest, mut lowest) = (f32::NEG_INFINITY, f32::INFINITY);
        active.retain(|&at| {
            let (sparse, dual) = (samples[at].0, &mut duals[at]);
            let side: f32 =
                sparse.iter().map(|(column, value)| weights[*column as usize] * value).sum();
            let gradient = dual.sign * (side + offset) - 1.0 + dual.diagonal * dual.multiplier;
            let mut projected = gradient;
            if dual.multiplier <= 0.0 {
                if gradient > shrink_above {
                    return false;
                }
                projected = gradient.min(0.0);
            }
            highest = highest.max(projected);
            lowest = lowest.min(projected);
            if projected.abs() > 1e-6 {
                let before = dual.multiplier;
                dual.multiplier = (before - gradient / dual.curvature).max(0.0);
                let step = (dual.multiplier - before) * dual.sign;
                for (column, value) in sparse {
                    weights[*column as usize] += step * value;
                }
                offset += step;
            }
            true
        });
        if highest - lowest <= TOLERANCE {
            if active.len() == samples.len() {
                break;
            }
            // Optimal without those set aside: look at all once more.
            active = (0..samples.len()).collect();
            shrink_above = f32::INFINITY;
            continue;
        }
        shrink_above = if highest > 0.0 { highest } else { f32::INFINITY };
    }
    (weights, offset)
}

/// Numbers that look random and are the same in every process (`SplitMix64`).
struct Shuffle(u64);

impl Shuffle {
    fn shuffle(&mut self, items: &mut [usize]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.below(last + 1));
        }
    }

    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((mixed ^ (mixed >> 31)) % end as u64).expect("below a usize")
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts below 2^24 are exact")]
fn ratio(part: usize, whole: usize) -> f32 {
    part as f32 / whole as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_class_is_on_its_own_side_and_training_repeats_itself() {
        let texts: [Sparse; 3] = [vec![(0, 1.0)], vec![(1, 1.0)], vec![(0, 0.7), (2, 0.7)]];
        let samples: Vec<Sample<'_>> = texts.iter().zip([0, 1, 2]).collect();
        let linear = Linear::train(&samples, 3, 3);
        for (text, class) in &samples {
            let scores = linear.scores(text);
            let best = (0..3).max_by(|a, b| scores[*a].total_cmp(&scores[*b])).unwrap();
            assert_eq!(best, *class, "{scores:?}");
        }
        assert_eq!(linear.weights, Linear::train(&samples, 3, 3).weights);
    }
}
