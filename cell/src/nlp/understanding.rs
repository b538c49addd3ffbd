//! A model and an extractor for each language, and what they make of a text.

use super::entity::{Entity, Extractor};
use super::model::{Model, Ranked};
use super::training;
use crate::content::{self, File, yaml};
use crate::text::Language;

/// The intent of a text that is not about anything known.
pub const FALLBACK: &str = "fallback";
/// Grows when the same sentences would give another model.
const RECIPE: &str = "1";
/// Intents told besides the likeliest: enough to offer a choice of three and see what it was among.
const RANKING: usize = 5;

pub struct Understanding {
    version: String,
    languages: Vec<(Language, Model, Extractor)>,
}

/// What a text means.
pub struct Meaning<'a> {
    pub language: Language,
    /// The likeliest intent, or [`FALLBACK`] where even that is too unlikely to act on.
    pub intent: Ranked<'a>,
    /// The likeliest intents, whether or not they are likely enough.
    pub ranking: Vec<Ranked<'a>>,
    /// Below this the intent is [`FALLBACK`].
    pub threshold: f64,
    pub entities: Vec<Entity>,
}

impl Understanding {
    /// Learns from training data; mistakes in any of the files are told together.
    pub fn learn(files: &[File]) -> anyhow::Result<Self> {
        let (mut languages, mut findings) = (Vec::new(), Vec::new());
        for file in files {
            match training::read(file.name, file.text) {
                Ok(training) => {
                    let model = Model::train(&training.examples);
                    languages.push((file.language, model, Extractor::new(training)?));
                }
                Err(found) => findings.extend(found),
            }
        }
        if !findings.is_empty() {
            return Err(yaml::all(&findings));
        }
        Ok(Self { version: content::version(RECIPE, files), languages })
    }

    /// Returns the name of exactly these models.
    #[must_use]
    pub fn version(&self) -> &str {
        &self.version
    }

    /// Tells what a text means. `locale` decides the language only where the text does not.
    ///
    /// # Panics
    ///
    /// Panics if no language was learnt.
    #[must_use]
    pub fn read(&self, text: &str, locale: Option<&str>) -> Meaning<'_> {
        let wanted = Language::choose(text, locale);
        let (language, model, extractor) = self
            .languages
            .iter()
            .find(|(language, ..)| *language == wanted)
            .or(self.languages.first())
            .expect("a language was learnt");
        let mut ranking = model.rank(text);
        ranking.truncate(RANKING);
        let best = ranking.first().cloned();
        let threshold = model.threshold();
        let intent = best.filter(|best| best.confidence >= threshold).unwrap_or_else(|| {
            let none = 1.0 - ranking.iter().map(|ranked| ranked.confidence).sum::<f64>();
            Ranked { intent: FALLBACK, confidence: none.clamp(0.0, 1.0) }
        });
        Meaning {
            language: *language,
            intent,
            ranking,
            threshold,
            entities: extractor.extract(text),
        }
    }
}
