//! How likely an article answers a text, and whether to answer with it.

use serde::Serialize;

/// Above this the article is the answer: on questions held out from our own articles it is the
/// right one four times in five.
const ANSWER: f64 = 0.4;
/// Above this the best three are worth offering; below it most texts are about something else.
const SUGGEST: f64 = 0.15;

/// What speaks for an article. Shares, from 0 to 1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Evidence {
    /// How much of what the text says the article speaks of, rare terms counting more.
    pub(super) coverage: f64,
    /// How near the text is to the nearest way to ask.
    pub(super) nearness: f64,
    /// How far ahead of the second article it is.
    pub(super) lead: f64,
    /// How far behind the best article it is.
    pub(super) behind: f64,
    /// Whether the text's intent is the article's.
    pub(super) meant: bool,
}

/// What to do with what was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Decision {
    /// Answer with the first.
    Answer,
    /// Ask whether one of the first three is meant.
    Suggest,
    /// Nothing found is worth showing.
    None,
}

impl Evidence {
    /// Returns how likely it is that the article answers the text. Logistic regression on held-out
    /// questions of our own articles in both languages, against small talk and the questions of
    /// other businesses; bounded, unlike BM25, and comparable from text to text.
    pub(super) fn score(self) -> f64 {
        let meant = f64::from(u8::from(self.meant));
        let logit =
            -2.8 + 2.9 * self.coverage + 2.0 * self.nearness + 1.5 * self.lead + 0.8 * meant
                - 2.0 * self.behind;
        1.0 / (1.0 + (-logit).exp())
    }
}

impl Decision {
    pub const ALL: [Self; 3] = [Self::Answer, Self::Suggest, Self::None];

    /// Decides by the best score; 1 if the text is one of the article's own questions.
    #[must_use]
    pub fn of(best: Option<f64>) -> Self {
        match best {
            Some(score) if score >= ANSWER => Self::Answer,
            Some(score) if score >= SUGGEST => Self::Suggest,
            Some(_) | None => Self::None,
        }
    }

    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Answer => "answer",
            Self::Suggest => "suggest",
            Self::None => "none",
        }
    }
}

/// Returns a part's share of a whole, from 0 to 1; 0 of nothing.
pub(super) fn share(part: f32, whole: f32) -> f64 {
    if whole <= 0.0 { 0.0 } else { f64::from((part / whole).clamp(0.0, 1.0)) }
}
