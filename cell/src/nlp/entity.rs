//! Values named in a text: by pattern, and by lookup table.

use std::collections::BTreeMap;

use aho_corasick::{AhoCorasick, MatchKind};
use anyhow::Context as _;
use serde::Serialize;

use super::training::{Pattern, Training, Value};
use crate::text::{fold, is_unspaced, narrow};

/// A value and where it stands, in characters, the end not included.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Entity {
    #[serde(rename = "entity")]
    pub name: String,
    pub start: usize,
    pub end: usize,
    pub value: String,
}

pub struct Extractor {
    patterns: Vec<Pattern>,
    lookup: AhoCorasick,
    values: Vec<Value>,
    synonyms: BTreeMap<String, String>,
}

/// What could be an entity; positions in bytes of the text read.
struct Candidate {
    start: usize,
    end: usize,
    name: String,
    value: String,
}

impl Extractor {
    pub fn new(training: Training) -> anyhow::Result<Self> {
        let (texts, values): (Vec<String>, Vec<Value>) = training.lookup.into_iter().unzip();
        let lookup = AhoCorasick::builder()
            .match_kind(MatchKind::LeftmostLongest)
            .build(texts)
            .context("build the lookup tables")?;
        Ok(Self { patterns: training.patterns, lookup, values, synonyms: training.synonyms })
    }

    /// Returns the entities of a text in their order; no two share a character. The longer of two
    /// wins; of two patterns for the same characters the later in the file, so that a general one
    /// can be followed by more special ones.
    pub fn extract(&self, text: &str) -> Vec<Entity> {
        let mut candidates = self.by_pattern(&narrow(text));
        candidates.extend(self.by_lookup(&fold(text)));
        // Stable: what was found later stays behind among equals.
        candidates.sort_by_key(|candidate| candidate.end - candidate.start);
        let mut chosen: Vec<Entity> = Vec::new();
        while let Some(next) = candidates.pop() {
            let free =
                chosen.iter().all(|entity| next.end <= entity.start || entity.end <= next.start);
            if free {
                let Candidate { start, end, name, value } = next;
                chosen.push(Entity { name, start, end, value });
            }
        }
        chosen.sort_by_key(|entity| entity.start);
        chosen
    }

    fn by_pattern(&self, text: &str) -> Vec<Candidate> {
        let mut found = Vec::new();
        for pattern in &self.patterns {
            for hit in pattern.regex.find_iter(text).filter(|hit| whole(text, hit.range())) {
                let value =
                    self.synonyms.get(&fold(hit.as_str())).map_or(hit.as_str(), String::as_str);
                found.push(candidate(text, hit.range(), &pattern.entity, value));
            }
        }
        found
    }

    fn by_lookup(&self, text: &str) -> Vec<Candidate> {
        self.lookup
            .find_iter(text)
            .filter(|hit| whole(text, hit.range()))
            .map(|hit| {
                let Value { entity, value } = &self.values[hit.pattern().as_usize()];
                candidate(text, hit.range(), entity, value)
            })
            .collect()
    }
}

fn candidate(text: &str, at: std::ops::Range<usize>, name: &str, value: &str) -> Candidate {
    let start = text[..at.start].chars().count();
    let end = start + text[at].chars().count();
    Candidate { start, end, name: name.to_owned(), value: value.to_owned() }
}

/// Returns whether a match is not a part of a longer word or number.
fn whole(text: &str, at: std::ops::Range<usize>) -> bool {
    if at.is_empty() {
        return false;
    }
    let joined = |left: Option<char>, right: Option<char>| match (left, right) {
        (Some(left), Some(right)) => in_word(left) && in_word(right),
        (None, _) | (_, None) => false,
    };
    let found = &text[at.clone()];
    !joined(text[..at.start].chars().next_back(), found.chars().next())
        && !joined(found.chars().next_back(), text[at.end..].chars().next())
}

fn in_word(letter: char) -> bool {
    letter.is_alphanumeric() && !is_unspaced(letter)
}

#[cfg(test)]
mod tests {
    use super::super::training;
    use super::*;

    const FILE: &str = r#"version: "3.1"
nlu:
  - intent: a
    examples: |
      - one
      - two
      - three
  - intent: b
    examples: |
      - four
      - five
      - six
  - synonym: 蓝牙耳机
    examples: |
      - 无线耳机
  - lookup: product
    examples: |
      - 蓝牙耳机
      - fan
      - air fryer
  - regex: order_number
    examples: |
      - \b\d{8,14}\b
  - regex: phone
    examples: |
      - \b1[3-9]\d{9}\b
"#;

    #[test]
    fn values_stand_where_they_were_written_whatever_their_width() {
        check(
            "订单１２３４５６７８里的无线耳机，电话13800138000",
            "order_number 2..10 12345678 | product 12..16 蓝牙耳机 | phone 19..30 13800138000",
        );
    }

    #[test]
    fn parts_of_words_and_of_longer_numbers_are_nothing() {
        check("I fancy 123456789012345 infant", "");
        check("A Fan, an AIR FRYER", "product 2..5 fan | product 10..19 air fryer");
    }

    #[track_caller]
    fn check(text: &str, expected: &str) {
        let training = training::read("nlu.yml", FILE).unwrap();
        let found: Vec<String> = Extractor::new(training)
            .unwrap()
            .extract(text)
            .into_iter()
            .map(|found| format!("{} {}..{} {}", found.name, found.start, found.end, found.value))
            .collect();
        assert_eq!(found.join(" | "), expected);
    }
}
