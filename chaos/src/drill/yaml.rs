//! Walks a YAML document and collects what is wrong with it instead of stopping at the first thing.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use marked_yaml::types::{MarkedMappingNode, MarkedScalarNode};
use marked_yaml::{LoaderOptions, Node, Span, parse_yaml_with_options};

/// One thing wrong with the file, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Finding {
    /// Counted from 1; 0 where something is missing from the whole file.
    pub(crate) line: usize,
    /// The place in the file's own words, such as `method[0].provider.kind`.
    pub(crate) place: String,
    pub(crate) problem: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}: {}", self.line, self.place, self.problem)
    }
}

/// A mapping and its place in the file.
pub(crate) struct Section<'a> {
    place: String,
    line: usize,
    map: &'a MarkedMappingNode,
}

/// Whether a key may be absent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Need {
    Must,
    May,
}

#[derive(Default)]
pub(crate) struct Reader {
    findings: Vec<Finding>,
}

pub(crate) fn parse(text: &str) -> Result<Node, Finding> {
    let options = LoaderOptions::default().error_on_duplicate_keys(true);
    parse_yaml_with_options(0, text, options).map_err(|err| {
        let message = err.to_string();
        let line = message.split([':', ' ']).find_map(|word| word.parse().ok()).unwrap_or(0);
        Finding { line, place: "drill".to_owned(), problem: format!("not YAML: {message}") }
    })
}

impl Section<'_> {
    pub(crate) fn keys(&self) -> Vec<String> {
        self.map.iter().map(|(key, _)| key.as_str().to_owned()).collect()
    }

    fn place_of(&self, key: &str) -> String {
        if self.place.is_empty() { key.to_owned() } else { format!("{}.{key}", self.place) }
    }
}

impl Reader {
    pub(crate) fn into_findings(mut self) -> Vec<Finding> {
        self.findings.sort_by(|a, b| (a.line, &a.place).cmp(&(b.line, &b.place)));
        self.findings
    }

    pub(crate) fn root<'a>(&mut self, node: &'a Node, keys: &[&str]) -> Option<Section<'a>> {
        self.section_of(node, String::new(), keys)
    }

    /// A mapping under a key; any key is allowed in it where `keys` is empty.
    pub(crate) fn section<'a>(
        &mut self,
        item: &Section<'a>,
        key: &'static str,
        need: Need,
        keys: &[&str],
    ) -> Option<Section<'a>> {
        let node = self.node(item, key, need)?;
        self.section_of(node, item.place_of(key), keys)
    }

    /// The mappings of a list under a key.
    pub(crate) fn sections<'a>(
        &mut self,
        item: &Section<'a>,
        key: &'static str,
        need: Need,
        keys: &[&str],
    ) -> Vec<Section<'a>> {
        let Some(node) = self.node(item, key, need) else { return Vec::new() };
        let place = item.place_of(key);
        let Node::Sequence(list) = node else {
            self.mistyped(node, place, "a list");
            return Vec::new();
        };
        list.iter()
            .enumerate()
            .filter_map(|(index, node)| self.section_of(node, format!("{place}[{index}]"), keys))
            .collect()
    }

    /// The words of a list under a key, each read by `word`.
    pub(crate) fn words<T>(
        &mut self,
        item: &Section<'_>,
        key: &'static str,
        expected: &str,
        word: impl Fn(&str) -> Option<T>,
    ) -> Vec<T> {
        let Some(node) = self.node(item, key, Need::May) else { return Vec::new() };
        let place = item.place_of(key);
        let Node::Sequence(list) = node else {
            self.mistyped(node, place, "a list");
            return Vec::new();
        };
        let mut read = Vec::new();
        for (index, node) in list.iter().enumerate() {
            let known = if let Node::Scalar(scalar) = node { word(scalar.as_str()) } else { None };
            match known {
                Some(value) => read.push(value),
                None => self.mistyped(node, format!("{place}[{index}]"), expected),
            }
        }
        read
    }

    /// A single value read by `read`.
    pub(crate) fn value<T>(
        &mut self,
        item: &Section<'_>,
        key: &str,
        need: Need,
        expected: &str,
        read: impl Fn(&str) -> Option<T>,
    ) -> Option<T> {
        let node = self.node(item, key, need)?;
        let value = self.scalar(item, key, node).and_then(|scalar| read(scalar.as_str()));
        if value.is_none() && matches!(node, Node::Scalar(_)) {
            self.mistyped(node, item.place_of(key), expected);
        }
        value
    }

    pub(crate) fn number<T: FromStr>(&mut self, item: &Section<'_>, key: &str) -> Option<T> {
        self.value(item, key, Need::May, "a number", |text| text.parse().ok())
    }

    pub(crate) fn text(&mut self, item: &Section<'_>, key: &str, need: Need) -> Option<String> {
        self.value(item, key, need, "a text", |text| Some(text.to_owned()))
    }

    pub(crate) fn duration(
        &mut self,
        item: &Section<'_>,
        key: &str,
        need: Need,
    ) -> Option<Duration> {
        self.value(item, key, need, "a duration such as 500ms, 6s or 5m", duration)
    }

    pub(crate) fn report(&mut self, item: &Section<'_>, key: &str, problem: impl Into<String>) {
        let line = item.map.get_node(key).map_or(item.line, |node| line_of(node.span()));
        let finding = Finding { line, place: item.place_of(key), problem: problem.into() };
        self.findings.push(finding);
    }

    fn node<'a>(&mut self, item: &Section<'a>, key: &str, need: Need) -> Option<&'a Node> {
        let node = item.map.get_node(key);
        if node.is_none() && need == Need::Must {
            let place = if item.place.is_empty() { "drill".to_owned() } else { item.place.clone() };
            let problem = format!("{key} is missing");
            self.findings.push(Finding { line: item.line, place, problem });
        }
        node
    }

    fn scalar<'a>(
        &mut self,
        item: &Section<'_>,
        key: &str,
        node: &'a Node,
    ) -> Option<&'a MarkedScalarNode> {
        let Node::Scalar(scalar) = node else {
            self.mistyped(node, item.place_of(key), "a single value");
            return None;
        };
        Some(scalar)
    }

    fn section_of<'a>(
        &mut self,
        node: &'a Node,
        place: String,
        keys: &[&str],
    ) -> Option<Section<'a>> {
        let Node::Mapping(map) = node else {
            let place = if place.is_empty() { "drill".to_owned() } else { place };
            self.mistyped(node, place, "a mapping");
            return None;
        };
        let section = Section { place, line: line_of(node.span()), map };
        for (key, _) in map.iter().filter(|(key, _)| !keys.contains(&key.as_str())) {
            if !keys.is_empty() {
                let problem = format!("unknown key; expected one of {}", keys.join(", "));
                let (line, place) = (line_of(key.span()), section.place_of(key.as_str()));
                self.findings.push(Finding { line, place, problem });
            }
        }
        Some(section)
    }

    fn mistyped(&mut self, node: &Node, place: String, expected: &str) {
        let found = match node {
            Node::Scalar(scalar) => format!("{:?}", scalar.as_str()),
            Node::Sequence(_) => "a list".to_owned(),
            Node::Mapping(_) => "a mapping".to_owned(),
        };
        let problem = format!("expected {expected}, found {found}");
        self.findings.push(Finding { line: line_of(node.span()), place, problem });
    }
}

/// A duration with its unit.
pub(crate) fn duration(text: &str) -> Option<Duration> {
    let digits = text.find(|c: char| !c.is_ascii_digit())?;
    let number: u64 = text[..digits].parse().ok()?;
    match &text[digits..] {
        "ms" => Some(Duration::from_millis(number)),
        "s" => Some(Duration::from_secs(number)),
        "m" => number.checked_mul(60).map(Duration::from_secs),
        _ => None,
    }
}

fn line_of(span: &Span) -> usize {
    span.start().map_or(0, marked_yaml::Marker::line)
}
