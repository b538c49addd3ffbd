//! Reads one value at a time, and collects a finding for each that is wrong.

use std::str::FromStr;
use std::time::Duration;

use marked_yaml::types::{MarkedMappingNode, MarkedScalarNode};
use marked_yaml::{Node, Span};

use super::{Finding, Problem};

#[derive(Default)]
pub(super) struct Reader {
    pub(super) findings: Vec<Finding>,
}

/// A mapping and its place in the file.
pub(super) struct Section<'a> {
    pub(super) place: String,
    pub(super) line: usize,
    pub(super) map: &'a MarkedMappingNode,
}

impl Section<'_> {
    pub(super) fn place_of(&self, key: &str) -> String {
        if self.place.is_empty() { key.to_owned() } else { format!("{}.{key}", self.place) }
    }
}

impl Reader {
    pub(super) fn id<T: FromStr<Err = crate::InvalidId>>(
        &mut self,
        item: &Section<'_>,
        key: &'static str,
    ) -> Option<T> {
        let node = self.text(item, key)?;
        node.as_str().parse().map_err(|err| self.report(item, key, Problem::InvalidId(err))).ok()
    }

    /// A duration with its unit: `500ms`, `2s`, `5m` or `24h`.
    pub(super) fn duration(&mut self, item: &Section<'_>, key: &'static str) -> Option<Duration> {
        let node = self.text(item, key)?;
        let text = node.as_str();
        let units = [("ms", 1), ("s", 1000), ("m", 60_000), ("h", 3_600_000)];
        let duration = units.into_iter().find_map(|(unit, millis)| {
            let number: u64 = text.strip_suffix(unit)?.parse().ok()?;
            number.checked_mul(millis).map(Duration::from_millis)
        });
        if duration.is_none() {
            let expected = "a duration such as 500ms, 2s or 24h";
            self.report(item, key, Problem::WrongType { expected, found: format!("{text:?}") });
        }
        duration
    }

    pub(super) fn one_of<T: Copy>(
        &mut self,
        item: &Section<'_>,
        key: &'static str,
        words: &[(&str, T)],
    ) -> Option<T> {
        let node = self.text(item, key)?;
        let known = words.iter().find(|(word, _)| *word == node.as_str());
        if known.is_none() {
            let found = format!("{:?}", node.as_str());
            self.report(item, key, Problem::WrongType { expected: "weak or strong", found });
        }
        known.map(|(_, value)| *value)
    }

    pub(super) fn parsed<T: FromStr>(
        &mut self,
        item: &Section<'_>,
        key: &'static str,
        expected: &'static str,
    ) -> Option<T> {
        let node = self.text(item, key)?;
        let value = node.as_str().parse().ok();
        if value.is_none() {
            let found = format!("{:?}", node.as_str());
            self.report(item, key, Problem::WrongType { expected, found });
        }
        value
    }

    pub(super) fn text<'a>(
        &mut self,
        item: &Section<'a>,
        key: &'static str,
    ) -> Option<&'a MarkedScalarNode> {
        let node = self.get(item, key)?;
        let Node::Scalar(scalar) = node else {
            self.mistyped(node, item.place_of(key), "a single value");
            return None;
        };
        Some(scalar)
    }

    pub(super) fn list<'a>(
        &mut self,
        item: &Section<'a>,
        key: &'static str,
        keys: &[&str],
    ) -> Vec<Section<'a>> {
        let Some(node) = self.get(item, key) else { return Vec::new() };
        let Node::Sequence(list) = node else {
            self.mistyped(node, item.place_of(key), "a list");
            return Vec::new();
        };
        list.iter()
            .enumerate()
            .filter_map(|(index, node)| {
                self.section(node, format!("{}[{index}]", item.place_of(key)), keys)
            })
            .collect()
    }

    /// The single values of a list.
    pub(super) fn texts(
        &mut self,
        item: &Section<'_>,
        key: &'static str,
        expected: &'static str,
    ) -> Option<Vec<String>> {
        let node = self.get(item, key)?;
        let texts = match node {
            Node::Sequence(list) => list
                .iter()
                .map(|node| node.as_scalar().map(|scalar| scalar.as_str().to_owned()))
                .collect::<Option<Vec<_>>>(),
            Node::Scalar(_) | Node::Mapping(_) => None,
        };
        if texts.is_none() {
            self.mistyped(node, item.place_of(key), expected);
        }
        texts
    }

    pub(super) fn get<'a>(&mut self, item: &Section<'a>, key: &'static str) -> Option<&'a Node> {
        let node = item.map.get_node(key);
        if node.is_none() {
            let place = if item.place.is_empty() { "regions.yaml" } else { &item.place };
            self.push(item.line, place.to_owned(), Problem::Missing(key));
        }
        node
    }

    pub(super) fn section<'a>(
        &mut self,
        node: &'a Node,
        place: String,
        keys: &[&str],
    ) -> Option<Section<'a>> {
        let Node::Mapping(map) = node else {
            self.mistyped(node, place, "a mapping");
            return None;
        };
        let section = Section { place, line: line_of(node.span()), map };
        for (key, _) in map.iter().filter(|(key, _)| !keys.contains(&key.as_str())) {
            let place = section.place_of(key.as_str());
            self.push(line_of(key.span()), place, Problem::UnknownKey(keys.join(", ")));
        }
        Some(section)
    }

    pub(super) fn mistyped(&mut self, node: &Node, place: String, expected: &'static str) {
        let found = match node {
            Node::Scalar(scalar) => format!("{:?}", scalar.as_str()),
            Node::Sequence(_) => "a list".to_owned(),
            Node::Mapping(_) => "a mapping".to_owned(),
        };
        self.push(line_of(node.span()), place, Problem::WrongType { expected, found });
    }

    pub(super) fn report(&mut self, item: &Section<'_>, key: &str, problem: Problem) {
        let line = item.map.get_node(key).map_or(item.line, |node| line_of(node.span()));
        self.push(line, item.place_of(key), problem);
    }

    pub(super) fn push(&mut self, line: usize, place: String, problem: Problem) {
        self.findings.push(Finding { line, place, problem });
    }
}

pub(super) fn line_of(span: &Span) -> usize {
    span.start().map_or(0, marked_yaml::Marker::line)
}
