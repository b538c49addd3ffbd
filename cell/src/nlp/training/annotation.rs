//! Entities marked in a sentence: `[text](entity)` or `[text]{"entity": …, "value": …}`.

use serde::Deserialize;

/// A sentence without its marks, and what was marked.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Sentence {
    pub(super) text: String,
    pub(super) mentions: Vec<Mention>,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) struct Mention {
    pub(super) text: String,
    pub(super) entity: String,
    pub(super) value: String,
}

/// Roles and groups tell mentions of one entity apart; they are read over.
#[derive(Deserialize)]
struct Mark {
    entity: String,
    value: Option<String>,
}

pub(super) fn strip(example: &str) -> Result<Sentence, String> {
    let mut sentence = Sentence { text: String::new(), mentions: Vec::new() };
    let mut rest = example;
    while let Some((before, text, after)) = marked(rest) {
        let (mark, end) = mark(text, after)?;
        sentence.text.push_str(before);
        sentence.text.push_str(text);
        sentence.mentions.push(mark);
        rest = &after[end..];
    }
    sentence.text.push_str(rest);
    Ok(sentence)
}

/// Returns what stands before the next `[text]` that is followed by a mark, the text, and the rest
/// from the mark on.
fn marked(rest: &str) -> Option<(&str, &str, &str)> {
    let mut from = 0;
    while let Some(open) = rest[from..].find('[').map(|at| from + at) {
        let close = open + rest[open..].find(']')?;
        let after = &rest[close + 1..];
        if after.starts_with(['(', '{']) {
            return Some((&rest[..open], &rest[open + 1..close], after));
        }
        from = close + 1;
    }
    None
}

fn mark(text: &str, after: &str) -> Result<(Mention, usize), String> {
    let closing = if after.starts_with('(') { ')' } else { '}' };
    let end =
        after.find(closing).ok_or_else(|| format!("[{text}] has a mark without its end"))? + 1;
    let mark = if closing == ')' {
        Mark { entity: after[1..end - 1].to_owned(), value: None }
    } else {
        serde_json::from_str(&after[..end])
            .map_err(|err| format!("[{text}] is marked wrongly: {err}"))?
    };
    if mark.entity.is_empty() {
        return Err(format!("[{text}] is marked without an entity"));
    }
    let value = mark.value.unwrap_or_else(|| text.to_owned());
    Ok((Mention { text: text.to_owned(), entity: mark.entity, value }, end))
}
