//! A classifier of intents, trained from examples in well under a second.

use std::collections::BTreeSet;

use super::calibration::{Calibration, HeldOut};
use super::features::{Features, Sparse};
use super::linear::{Linear, Sample};

/// Each fold is held out once; more folds cost more training for the same calibration.
const FOLDS: usize = 3;
/// Held-out texts that are enough to fit two numbers; further folds are not trained.
const HELD_OUT_ENOUGH: usize = 1_000;

/// A text somebody wrote and what was meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Example {
    pub text: String,
    pub intent: String,
}

/// An intent and how likely the text has it.
#[derive(Clone, Debug, PartialEq)]
pub struct Ranked<'a> {
    pub intent: &'a str,
    pub confidence: f64,
}

pub struct Model {
    intents: Vec<String>,
    features: Features,
    linear: Linear,
    calibration: Calibration,
}

impl Model {
    /// Trains on examples of at least two intents. The same examples give the same model.
    pub fn train(examples: &[Example]) -> Self {
        let names: BTreeSet<&str> =
            examples.iter().map(|example| example.intent.as_str()).collect();
        let intents: Vec<String> = names.into_iter().map(ToOwned::to_owned).collect();
        let features = Features::fit(examples.iter().map(|example| example.text.as_str()));
        let texts: Vec<(Sparse, usize)> = examples
            .iter()
            .map(|example| {
                let class = intents.binary_search(&example.intent).expect("taken from here");
                (features.of(&example.text), class)
            })
            .collect();
        let calibration = Calibration::fit(&held_out(&texts, features.width(), intents.len()));
        let samples: Vec<Sample<'_>> = texts.iter().map(|(text, class)| (text, *class)).collect();
        let linear = Linear::train(&samples, features.width(), intents.len());
        Self { intents, features, linear, calibration }
    }

    /// Returns every intent, the likeliest first. What is missing to 1 is "none of them".
    pub fn rank(&self, text: &str) -> Vec<Ranked<'_>> {
        let scores = self.linear.scores(&self.features.of(text));
        let mut ranking: Vec<Ranked<'_>> = self
            .intents
            .iter()
            .zip(self.calibration.confidences(&scores))
            .map(|(intent, confidence)| Ranked { intent, confidence })
            .collect();
        ranking.sort_by(|a, b| b.confidence.total_cmp(&a.confidence));
        ranking
    }

    /// Returns the confidence below which no intent should be acted on.
    pub fn threshold(&self) -> f64 {
        self.calibration.threshold()
    }
}

/// Scores texts by models that have not seen them: every `FOLDS`-th text of each class at a time.
fn held_out(texts: &[(Sparse, usize)], width: usize, classes: usize) -> Vec<HeldOut> {
    let mut seen = vec![0; classes];
    let folds: Vec<usize> = texts
        .iter()
        .map(|(_, class)| {
            seen[*class] += 1;
            seen[*class] % FOLDS
        })
        .collect();
    let mut scored = Vec::new();
    for fold in 0..FOLDS {
        let (out, rest): (Vec<_>, Vec<_>) =
            texts.iter().zip(&folds).partition(|(_, of)| **of == fold);
        let rest: Vec<Sample<'_>> =
            rest.into_iter().map(|((text, class), _)| (text, *class)).collect();
        let linear = Linear::train(&rest, width, classes);
        scored.extend(
            out.into_iter()
                .map(|((text, class), _)| HeldOut { scores: linear.scores(text), class: *class }),
        );
        if scored.len() >= HELD_OUT_ENOUGH {
            break;
        }
    }
    scored
}
