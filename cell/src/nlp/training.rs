//! Training data in Rasa's NLU format: intents, synonyms, regular expressions and lookup tables.
//!
//! Of what Rasa allows, `metadata` is read over, and entities annotated in examples
//! (`[Berlin](city)`, `[Berlin]{"entity": "city", "value": "berlin"}`) become entries of the lookup
//! table of that entity; no model of entities is trained.

mod annotation;

use std::collections::BTreeMap;

use marked_yaml::Node;
use regex::{Regex, RegexBuilder};

use super::model::Example;
use crate::content::yaml::{Finding, Reader, Section, Text};
use crate::text::{essence, fold};

/// With fewer examples an intent cannot be held out and learnt at once.
const EXAMPLES_MIN: usize = 3;
const KINDS: [&str; 4] = ["intent", "synonym", "regex", "lookup"];
const ITEM: [&str; 6] = ["intent", "synonym", "regex", "lookup", "examples", "metadata"];

/// What one language is learnt from.
#[derive(Debug, Default)]
pub struct Training {
    pub examples: Vec<Example>,
    pub patterns: Vec<Pattern>,
    /// Folded text → entity and value.
    pub lookup: BTreeMap<String, Value>,
    /// Folded text → value, whatever the entity.
    pub synonyms: BTreeMap<String, String>,
}

#[derive(Debug)]
pub struct Pattern {
    pub entity: String,
    pub regex: Regex,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Value {
    pub entity: String,
    pub value: String,
}

/// Reads a file and returns everything wrong with it, not just the first thing.
pub fn read(file: &str, text: &str) -> Result<Training, Vec<Finding>> {
    Reader::read(file, text, |reader, root| {
        let root = reader.section(root, &["version", "nlu"])?;
        let mut training = Training::default();
        let mut seen = Seen::default();
        for node in reader.list(&root, "nlu") {
            if let Some(item) = reader.section(node, &ITEM) {
                training.item(reader, &item, &mut seen);
            }
        }
        if seen.intents.len() < 2 {
            reader.report(root.line, "fewer than two intents: nothing to tell apart");
        }
        training.look_up_synonyms();
        Some(training)
    })
}

/// Where intents and sentences stood first.
#[derive(Default)]
struct Seen {
    intents: BTreeMap<String, usize>,
    sentences: BTreeMap<String, (String, usize)>,
}

impl Training {
    fn item(&mut self, reader: &mut Reader<'_>, item: &Section<'_>, seen: &mut Seen) {
        let kinds: Vec<&str> = KINDS.into_iter().filter(|kind| item.has(kind)).collect();
        let [kind] = kinds[..] else {
            reader.report(item.line, format!("expected exactly one of {}", KINDS.join(", ")));
            return;
        };
        let Some(name) = reader.text(item, kind) else { return };
        let examples = examples(reader, item);
        let least = if kind == "intent" { EXAMPLES_MIN } else { 1 };
        if examples.len() < least {
            reader.report(name.line, format!("{kind} {} needs {least} examples", name.text));
        }
        if kind == "intent"
            && let Some(line) = seen.intents.insert(name.text.to_owned(), name.line)
        {
            reader.report(name.line, format!("intent {} is also on line {line}", name.text));
        }
        for example in examples {
            match kind {
                "intent" => self.sentence(reader, name.text, example, seen),
                "regex" => self.pattern(reader, name.text, example),
                "lookup" => self.add(name.text, example.text, example.text),
                _ => {
                    self.synonyms.insert(fold(example.text), name.text.to_owned());
                }
            }
        }
    }

    fn sentence(
        &mut self,
        reader: &mut Reader<'_>,
        intent: &str,
        example: Text<'_>,
        seen: &mut Seen,
    ) {
        let sentence = match annotation::strip(example.text) {
            Ok(sentence) => sentence,
            Err(problem) => return reader.report(example.line, problem),
        };
        let first = seen
            .sentences
            .entry(essence(&sentence.text))
            .or_insert((intent.to_owned(), example.line));
        if first.0 != intent {
            let problem = format!(
                "{:?} is also an example of intent {} on line {}",
                sentence.text, first.0, first.1
            );
            reader.report(example.line, problem);
        }
        for mention in sentence.mentions {
            self.add(&mention.entity, &mention.text, &mention.value);
        }
        self.examples.push(Example { text: sentence.text, intent: intent.to_owned() });
    }

    fn pattern(&mut self, reader: &mut Reader<'_>, entity: &str, example: Text<'_>) {
        // Case makes no difference, as in Rasa's extractor.
        match RegexBuilder::new(&narrow_boundaries(example.text)).case_insensitive(true).build() {
            Ok(regex) => self.patterns.push(Pattern { entity: entity.to_owned(), regex }),
            Err(err) => {
                let last = err.to_string();
                let last = last.lines().last().unwrap_or_default().trim_start_matches("error: ");
                reader.report(example.line, format!("regex {entity}: {last}"));
            }
        }
    }

    fn add(&mut self, entity: &str, text: &str, value: &str) {
        let value = Value { entity: entity.to_owned(), value: value.to_owned() };
        self.lookup.entry(fold(text)).or_insert(value);
    }

    /// Other words for what is in a lookup table are found as that table's entity, too.
    fn look_up_synonyms(&mut self) {
        for (text, value) in &self.synonyms {
            if let Some(known) = self.lookup.get(&fold(value)).cloned() {
                self.lookup
                    .insert(text.clone(), Value { entity: known.entity, value: value.clone() });
            }
        }
    }
}

/// Reads examples as a block of lines `- text`, or as a list of mappings with `text`.
fn examples<'n>(reader: &mut Reader<'_>, item: &Section<'n>) -> Vec<Text<'n>> {
    match item.node("examples") {
        None => {
            reader.report(item.line, "examples is missing");
            Vec::new()
        }
        Some(Node::Sequence(list)) => list
            .iter()
            .filter_map(|node| {
                let entry = reader.section(node, &["text", "metadata"])?;
                let text = reader.text(&entry, "text")?;
                let cut = text.text.trim();
                Some(Text { text: cut.strip_prefix("- ").unwrap_or(cut), ..text })
            })
            .collect(),
        Some(node @ (Node::Scalar(_) | Node::Mapping(_))) => {
            let Some(block) = reader.scalar(node, "examples") else { return Vec::new() };
            let first = item.line_of("examples") + 1;
            (first..)
                .zip(block.text.lines())
                .filter(|(_, text)| !text.trim().is_empty())
                .filter_map(|(line, text)| match text.trim().strip_prefix('-').map(str::trim) {
                    Some(text) if !text.is_empty() => Some(Text { line, text }),
                    Some(_) => {
                        reader.report(line, "the example is empty");
                        None
                    }
                    None => {
                        reader.report(line, format!("expected `- ` before {:?}", text.trim()));
                        None
                    }
                })
                .collect()
        }
    }
}

/// Makes `\b` a boundary of ASCII words: in 订单号12345678 the number begins after 号, although both
/// are letters to Unicode.
fn narrow_boundaries(pattern: &str) -> String {
    let mut narrow = String::new();
    let mut letters = pattern.chars();
    while let Some(letter) = letters.next() {
        match (letter, if letter == '\\' { letters.next() } else { None }) {
            ('\\', Some('b')) => narrow.push_str(r"(?-u:\b)"),
            (letter, Some(escaped)) => narrow.extend([letter, escaped]),
            (letter, None) => narrow.push(letter),
        }
    }
    narrow
}

#[cfg(test)]
mod tests;
