//! How often the classifier is right, and whether its confidence says so: on our own sentences,
//! cross-validated, and on public data, where that is at hand.

mod common;

use std::collections::BTreeSet;

use cell::content::NLU;
use cell::nlp::model::{Example, Model};
use cell::nlp::training;
use cell::text::essence;
use common::{lines, say, share};

const FOLDS: usize = 5;

#[test]
fn our_own_sentences_are_understood_when_held_out() {
    for (file, floor) in NLU.iter().zip([0.80, 0.82]) {
        let examples = training::read(file.name, file.text).unwrap().examples;
        let mut counted = Counted::default();
        for fold in 0..FOLDS {
            let part = |inside: bool| -> Vec<Example> {
                let numbered = examples.iter().enumerate();
                let chosen = numbered.filter(|(at, _)| (at % FOLDS == fold) == inside);
                chosen.map(|(_, example)| example.clone()).collect()
            };
            counted.count(&Model::train(&part(false)), &part(true));
        }
        counted.report(file.name);
        assert!(counted.accuracy() >= floor, "{}: {:.4}", file.name, counted.accuracy());
    }
}

#[test]
fn english_banking_questions_are_told_apart() {
    let (Some(train), Some(test)) =
        (examples("banking77/train.csv"), examples("banking77/test.csv"))
    else {
        return;
    };
    let mut counted = Counted::default();
    counted.count(&Model::train(&train), &test);
    counted.report("BANKING77");
    assert!(counted.accuracy() >= 0.905, "{:.4}", counted.accuracy());
    assert!(counted.calibration_error() <= 0.06, "{:.4}", counted.calibration_error());
}

#[test]
fn chinese_turns_never_seen_in_training_are_understood() {
    let (Some(train), Some(mut test)) =
        (examples("crosswoz_zh/train.csv"), examples("crosswoz_zh/test.csv"))
    else {
        return;
    };
    let seen: BTreeSet<String> = train.iter().map(|example| essence(&example.text)).collect();
    test.retain(|example| !seen.contains(&essence(&example.text)));
    let mut counted = Counted::default();
    counted.count(&Model::train(&train), &test);
    counted.report("CrossWOZ, unseen");
    assert!(counted.accuracy() >= 0.965, "{:.4}", counted.accuracy());
}

/// What came of classifying texts.
#[derive(Default)]
struct Counted {
    texts: usize,
    right: usize,
    among_three: usize,
    accepted: usize,
    accepted_right: usize,
    /// By tenths of confidence: texts, the sum of confidences, and how many were right.
    bins: [(usize, f64, usize); 10],
}

impl Counted {
    fn count(&mut self, model: &Model, test: &[Example]) {
        for example in test {
            let ranking = model.rank(&example.text);
            let best = &ranking[0];
            let right = usize::from(best.intent == example.intent);
            self.texts += 1;
            self.right += right;
            let mut three = ranking.iter().take(3);
            self.among_three += usize::from(three.any(|ranked| ranked.intent == example.intent));
            if best.confidence >= model.threshold() {
                self.accepted += 1;
                self.accepted_right += right;
            }
            let bin = (1..10).filter(|tenth| best.confidence >= f64::from(*tenth) / 10.0).count();
            let (texts, confidence, of_those) = &mut self.bins[bin];
            *texts += 1;
            *confidence += best.confidence;
            *of_those += right;
        }
    }

    fn accuracy(&self) -> f64 {
        share(self.right, self.texts)
    }

    /// How far confidence and accuracy are apart, on average.
    fn calibration_error(&self) -> f64 {
        let filled = self.bins.iter().filter(|(texts, ..)| *texts > 0);
        filled
            .map(|(texts, confidence, right)| {
                let weight = share(*texts, self.texts);
                weight * (confidence * share(1, *texts) - share(*right, *texts)).abs()
            })
            .sum()
    }

    fn report(&self, name: &str) {
        say(&format!(
            "{name}: {} texts, right {:.4}, in three {:.4}, calibration error {:.3}, accepted \
             {:.3} and of those right {:.4}",
            self.texts,
            self.accuracy(),
            share(self.among_three, self.texts),
            self.calibration_error(),
            share(self.accepted, self.texts),
            share(self.accepted_right, self.accepted),
        ));
    }
}

/// Reads `text,label` rows; a text with commas or line breaks is in double quotes.
fn examples(file: &str) -> Option<Vec<Example>> {
    let (mut rows, mut row) = (Vec::new(), String::new());
    for line in lines(file)? {
        row.push_str(&line);
        if row.matches('"').count() % 2 == 0 {
            rows.push(std::mem::take(&mut row));
        }
    }
    let rows = rows.iter().skip(1).map(|row| {
        let (text, intent) = row.rsplit_once(',').expect("a row has two columns");
        let quoted = text.strip_prefix('"').and_then(|text| text.strip_suffix('"'));
        let text = quoted.unwrap_or(text).replace("\"\"", "\"");
        Example { text, intent: intent.to_owned() }
    });
    Some(rows.collect())
}
