//! An article: a question, other ways to ask it, and the answer.

use std::collections::BTreeMap;

use crate::content::yaml::{Finding, Reader, Section};
use crate::text::essence;

/// Longer answers are documents, not answers.
const ANSWER_MAX: usize = 4_000;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Article {
    pub id: String,
    pub category: String,
    /// What somebody usually wants who asks this, in the words of the nlp service.
    pub intent: Option<String>,
    pub question: String,
    /// Other ways to ask the same.
    pub similar: Vec<String>,
    pub answer: String,
}

impl Article {
    /// Returns every way to ask, the article's own question first.
    pub fn phrasings(&self) -> impl Iterator<Item = &str> {
        std::iter::once(&self.question).chain(&self.similar).map(String::as_str)
    }
}

/// Reads a file of articles and returns everything wrong with it, not just the first thing.
pub fn read(file: &str, text: &str) -> Result<Vec<Article>, Vec<Finding>> {
    Reader::read(file, text, |reader, root| {
        let root = reader.section(root, &["version", "locale", "articles"])?;
        let mut seen = Seen::default();
        let mut articles = Vec::new();
        for node in reader.list(&root, "articles") {
            let keys = ["id", "category", "intent", "question", "similar", "answer"];
            if let Some(item) = reader.section(node, &keys) {
                articles.extend(article(reader, &item, &mut seen));
            }
        }
        if articles.is_empty() {
            reader.report(root.line, "no articles");
        }
        Some(articles)
    })
}

/// Where ids and questions stood first.
#[derive(Default)]
struct Seen {
    ids: BTreeMap<String, usize>,
    questions: BTreeMap<String, usize>,
}

fn article(reader: &mut Reader<'_>, item: &Section<'_>, seen: &mut Seen) -> Option<Article> {
    let id = reader.text(item, "id");
    let category = reader.text(item, "category");
    let intent = if item.has("intent") { reader.text(item, "intent") } else { None };
    let question = reader.text(item, "question");
    let answer = reader.text(item, "answer");
    let similar: Vec<_> = reader
        .list(item, "similar")
        .into_iter()
        .filter_map(|node| reader.scalar(node, "a similar question"))
        .collect();
    if let Some(id) = id
        && let Some(line) = seen.ids.insert(id.text.to_owned(), id.line)
    {
        reader.report(id.line, format!("article {} is also on line {line}", id.text));
    }
    for asked in question.iter().chain(&similar) {
        if let Some(line) = seen.questions.insert(essence(asked.text), asked.line) {
            reader.report(asked.line, format!("{:?} is also asked on line {line}", asked.text));
        }
    }
    if let Some(answer) = answer.filter(|answer| answer.text.chars().count() > ANSWER_MAX) {
        reader.report(answer.line, format!("the answer is longer than {ANSWER_MAX} characters"));
    }
    Some(Article {
        id: id?.text.to_owned(),
        category: category?.text.to_owned(),
        intent: intent.map(|intent| intent.text.to_owned()),
        question: question?.text.to_owned(),
        similar: similar.into_iter().map(|asked| asked.text.to_owned()).collect(),
        answer: answer?.text.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_mistake_is_told_with_its_line() {
        let file = "\
version: 1
articles:
  - id: a
    category: x
    question: Where is it?
    similar: [where is it]
    answer: There.
  - id: a
    question: ''
    similar: what
    answer: [x]
    tags: y
";
        let lines: Vec<String> =
            read("kb.yml", file).unwrap_err().iter().map(ToString::to_string).collect();
        assert_eq!(
            lines,
            [
                "kb.yml:6: \"where is it\" is also asked on line 5",
                "kb.yml:8: category is missing",
                "kb.yml:8: article a is also on line 3",
                "kb.yml:9: question is empty",
                "kb.yml:10: similar must be a list",
                "kb.yml:11: answer must be a text",
                "kb.yml:12: unknown key tags; expected one of id, category, intent, question, \
                 similar, answer",
            ]
        );
    }
}
