//! A history as EDN, a map per line, for Knossos and elle-cli.

use std::fmt::Write as _;

use anyhow::Context as _;
use serde_json::Value;

/// Values that are keywords in Jepsen's histories.
const KEYWORDS: [&str; 2] = ["type", "f"];

/// Returns a history of lines of JSON as lines of EDN.
pub(crate) fn of_history(jsonl: &str) -> anyhow::Result<String> {
    let mut text = String::new();
    for (index, line) in jsonl.lines().enumerate() {
        let line: Value = serde_json::from_str(line)
            .with_context(|| format!("understand line {} of the history", index + 1))?;
        form(&mut text, None, &line);
        text.push('\n');
    }
    Ok(text)
}

fn form(text: &mut String, key: Option<&str>, value: &Value) {
    match value {
        Value::Null => text.push_str("nil"),
        Value::Bool(is_so) => push(text, is_so),
        Value::Number(number) => push(text, number),
        Value::String(word) if key.is_some_and(|key| KEYWORDS.contains(&key)) => {
            push(text, format_args!(":{}", keyword(word)));
        }
        // Those that are no numbers: what was done to the platform, and what became of streams.
        Value::String(word) if key == Some("process") => {
            push(text, format_args!(":{}", keyword(word)));
        }
        // EDN's strings escape as JSON's do, for what is in a history.
        Value::String(_) => push(text, value),
        Value::Array(items) => {
            text.push('[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    text.push(' ');
                }
                form(text, None, item);
            }
            text.push(']');
        }
        Value::Object(map) => {
            text.push('{');
            for (index, (key, value)) in map.iter().enumerate() {
                if index > 0 {
                    text.push_str(", ");
                }
                push(text, format_args!(":{} ", keyword(key)));
                form(text, Some(key), value);
            }
            text.push('}');
        }
    }
}

/// Keywords have neither spaces nor underscores here, as is the custom there.
fn keyword(word: &str) -> String {
    word.replace(['_', ' '], "-").replace(',', "")
}

fn push(text: &mut String, what: impl std::fmt::Display) {
    write!(text, "{what}").expect("a string takes any text");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_and_functions_are_keywords_and_everything_else_is_what_it_was() {
        let lines = "{\"f\":\"ticket\",\"process\":3,\"type\":\"info\",\"op_id\":17,\"error\":\"503 \\\"x\\\"\"}\n\
                     {\"f\":\"site.kill, etcd.kill\",\"process\":\"nemesis\",\"type\":\"info\",\"value\":[1,null]}\n\
                     {\"f\":\"stream-hear\",\"process\":\"stream\",\"seq\":3,\"type\":\"info\"}\n";
        assert_eq!(
            of_history(lines).unwrap(),
            "{:error \"503 \\\"x\\\"\", :f :ticket, :op-id 17, :process 3, :type :info}\n\
             {:f :site.kill-etcd.kill, :process :nemesis, :type :info, :value [1 nil]}\n\
             {:f :stream-hear, :process :stream, :seq 3, :type :info}\n"
        );
        assert!(of_history("{").is_err());
    }
}
