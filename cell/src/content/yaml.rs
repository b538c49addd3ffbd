//! Walking a YAML file and collecting everything that is wrong with it, with lines.

use std::fmt;

use marked_yaml::types::{MarkedMappingNode, MarkedScalarNode};
use marked_yaml::{LoaderOptions, Node, Span, parse_yaml_with_options};

/// A problem and where it stands, in the words of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    pub file: String,
    /// Counted from 1.
    pub line: usize,
    pub problem: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.file, self.line, self.problem)
    }
}

/// Findings as one error: each on its own line.
pub fn all(findings: &[Finding]) -> anyhow::Error {
    let lines: Vec<String> = findings.iter().map(ToString::to_string).collect();
    anyhow::anyhow!("accept the content:\n{}", lines.join("\n"))
}

/// One file being read.
pub struct Reader<'a> {
    file: &'a str,
    findings: Vec<Finding>,
}

/// A mapping of the file.
pub struct Section<'a> {
    pub line: usize,
    map: &'a MarkedMappingNode,
}

/// A single value of the file.
#[derive(Clone, Copy, Debug)]
pub struct Text<'a> {
    pub line: usize,
    pub text: &'a str,
}

impl<'a> Reader<'a> {
    /// Reads a file with `look`, which reports what it finds wrong, and returns what it made of the
    /// file if nothing is wrong.
    pub fn read<T>(
        file: &'a str,
        text: &str,
        look: impl FnOnce(&mut Self, &Node) -> Option<T>,
    ) -> Result<T, Vec<Finding>> {
        let mut reader = Self { file, findings: Vec::new() };
        // Coercion would turn an example such as `- 88` or `- no` into something else.
        let options = LoaderOptions::default().error_on_duplicate_keys(true).prevent_coercion(true);
        let made = match parse_yaml_with_options(0, text, options) {
            Ok(root) => look(&mut reader, &root),
            Err(err) => {
                let message = err.to_string();
                let line = message.split([':', ' ']).find_map(|word| word.parse().ok());
                reader.report(line.unwrap_or(1), format!("not YAML: {message}"));
                None
            }
        };
        reader.findings.sort_by_key(|finding| finding.line);
        match made {
            Some(made) if reader.findings.is_empty() => Ok(made),
            Some(_) | None => Err(reader.findings),
        }
    }

    pub fn report(&mut self, line: usize, problem: impl Into<String>) {
        self.findings.push(Finding { file: self.file.to_owned(), line, problem: problem.into() });
    }

    /// Reads a mapping; keys other than `keys` are reported.
    pub fn section<'n>(&mut self, node: &'n Node, keys: &[&str]) -> Option<Section<'n>> {
        let line = line_of(node.span());
        let Node::Mapping(map) = node else {
            self.report(line, format!("expected a mapping with {}", keys.join(", ")));
            return None;
        };
        for (key, _) in map.iter().filter(|(key, _)| !keys.contains(&key.as_str())) {
            let problem =
                format!("unknown key {}; expected one of {}", key.as_str(), keys.join(", "));
            self.report(line_of(key.span()), problem);
        }
        Some(Section { line, map })
    }

    /// Reads a list under a key that must be there.
    pub fn list<'n>(&mut self, section: &Section<'n>, key: &str) -> Vec<&'n Node> {
        match section.map.get_node(key) {
            Some(Node::Sequence(list)) => list.iter().collect(),
            Some(node @ (Node::Scalar(_) | Node::Mapping(_))) => {
                self.report(line_of(node.span()), format!("{key} must be a list"));
                Vec::new()
            }
            None => {
                self.report(section.line, format!("{key} is missing"));
                Vec::new()
            }
        }
    }

    /// Reads a value that must be there and may not be empty.
    pub fn text<'n>(&mut self, section: &Section<'n>, key: &str) -> Option<Text<'n>> {
        let Some(node) = section.map.get_node(key) else {
            self.report(section.line, format!("{key} is missing"));
            return None;
        };
        self.scalar(node, key)
    }

    /// Reads a value that may not be empty.
    pub fn scalar<'n>(&mut self, node: &'n Node, what: &str) -> Option<Text<'n>> {
        let line = line_of(node.span());
        let Node::Scalar(scalar) = node else {
            self.report(line, format!("{what} must be a text"));
            return None;
        };
        if scalar.as_str().trim().is_empty() {
            self.report(line, format!("{what} is empty"));
            return None;
        }
        Some(Text { line, text: scalar.as_str() })
    }
}

impl<'a> Section<'a> {
    pub fn has(&self, key: &str) -> bool {
        self.map.get_node(key).is_some()
    }

    pub fn node(&self, key: &str) -> Option<&'a Node> {
        self.map.get_node(key)
    }

    /// Returns where a key stands; its value may start further down.
    pub fn line_of(&self, key: &str) -> usize {
        self.map
            .keys()
            .find(|scalar| scalar.as_str() == key)
            .map_or(self.line, |key: &MarkedScalarNode| line_of(key.span()))
    }
}

fn line_of(span: &Span) -> usize {
    span.start().map_or(1, marked_yaml::Marker::line)
}
