//! What anybody may read: the exception of I10, as a list of paths.
//!
//! A request for one of these carries nobody's identity to the site, so that any site of any cell can
//! answer it, and a cache may keep it.

use crate::spec::Problem;
use crate::spec::reader::{Reader, Section};

/// More would be a sign that something else is meant; each is compared with every request.
const RULES_MAX: usize = 32;

/// Paths that need no identity, for `GET` and `HEAD` only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Public {
    rules: Vec<Rule>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Rule {
    pattern: Pattern,
    keep: Keep,
}

/// Which paths a rule is for.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Pattern {
    /// This one.
    Exact(String),
    /// All that begin so.
    Under(String),
}

/// Whether routers may keep answers, as far as the answers themselves allow it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keep {
    Cached,
    Never,
}

impl Public {
    /// Returns how a path may be read by anybody; none if only with an identity. The first rule that
    /// fits counts.
    #[must_use]
    pub fn reads(&self, path: &str) -> Option<Keep> {
        let rule = self.rules.iter().find(|rule| rule.pattern.fits(path))?;
        is_plain(path).then_some(rule.keep)
    }

    /// Returns a path to try a site with: any answer to it tells how far away the site is. None if
    /// nothing is public.
    #[must_use]
    pub fn probe_path(&self) -> Option<&str> {
        self.rules.first().map(|rule| rule.pattern.as_str())
    }
}

impl Default for Public {
    /// The chat widget and the articles of the knowledge base.
    fn default() -> Self {
        let under =
            |path: &str| Rule { pattern: Pattern::Under(path.to_owned()), keep: Keep::Cached };
        Self { rules: vec![under("/widget/"), under("/v1/kb/articles/")] }
    }
}

impl Pattern {
    fn fits(&self, path: &str) -> bool {
        match self {
            Self::Exact(exact) => path == exact,
            Self::Under(start) => path.starts_with(start.as_str()),
        }
    }

    fn as_str(&self) -> &str {
        match self {
            Self::Exact(path) | Self::Under(path) => path,
        }
    }

    fn parse(text: &str) -> Option<Self> {
        let (path, pattern): (&str, fn(String) -> Self) = match text.strip_suffix('*') {
            Some(start) => (start, Self::Under),
            None => (text, Self::Exact),
        };
        // `/*` alone would let everybody read everything, identity or not.
        let names_something = path.len() > 1 && path.starts_with('/');
        (names_something && is_plain(path)).then(|| pattern(path.to_owned()))
    }
}

/// Returns whether a path means to every reader what it says: nothing in it is encoded, climbs up or
/// could be folded, so that no site sees another path than the one that was judged.
fn is_plain(path: &str) -> bool {
    let is_written_out = |c: char| c.is_ascii_alphanumeric() || "-._~/".contains(c);
    path.chars().all(is_written_out) && !path.contains("//") && !path.contains("/.")
}

impl Reader {
    /// May be left out; an empty list makes nothing public.
    pub(super) fn public(&mut self, edge: &Section<'_>) -> Public {
        if edge.map.get_node("public").is_none() {
            return Public::default();
        }
        let items = self.list(edge, "public", &["path", "cache"]);
        if items.len() > RULES_MAX {
            let found = format!("{} paths", items.len());
            self.report(edge, "public", Problem::OutOfRange(found, "at most 32"));
        }
        let mut rules: Vec<Rule> = Vec::new();
        for item in items {
            let text = self.text(&item, "path").map(|node| node.as_str().to_owned());
            let cache = self.parsed::<bool>(&item, "cache", "true or false");
            let (Some(text), Some(cache)) = (text, cache) else { continue };
            let Some(pattern) = Pattern::parse(&text) else {
                let expected = "a path such as /widget/page or, for all below it, /widget/*";
                let problem = Problem::WrongType { expected, found: format!("{text:?}") };
                self.report(&item, "path", problem);
                continue;
            };
            if rules.iter().any(|rule| rule.pattern == pattern) {
                self.report(&item, "path", Problem::Repeated(text));
                continue;
            }
            let keep = if cache { Keep::Cached } else { Keep::Never };
            rules.push(Rule { pattern, keep });
        }
        Public { rules }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_all_below_and_nothing_beside() {
        let public = Public::default();
        assert_eq!(public.reads("/widget/"), Some(Keep::Cached));
        assert_eq!(public.reads("/widget/widget.0a1b.js"), Some(Keep::Cached));
        for private in ["/widget", "/widgets/x", "/v1/kb/search", "/v1/conversations", "/"] {
            assert_eq!(public.reads(private), None, "{private}");
        }
    }

    #[test]
    fn a_path_that_another_reader_could_understand_differently_is_not_public() {
        let public = Public::default();
        for path in [
            "/widget/../v1/conversations",
            "/widget/%2e%2e/v1/conversations",
            "/widget/..%2fv1",
            "/widget//x",
            "/widget/./x",
            "/widget/a\\b",
            "/widget/a;b",
            "/widget/\u{fc}",
        ] {
            assert_eq!(public.reads(path), None, "{path}");
        }
    }

    #[test]
    fn the_first_rule_that_fits_counts() {
        let rule = |text: &str, keep| Rule { pattern: Pattern::parse(text).unwrap(), keep };
        let public = Public {
            rules: vec![rule("/widget/now", Keep::Never), rule("/widget/*", Keep::Cached)],
        };
        assert_eq!(public.reads("/widget/now"), Some(Keep::Never));
        assert_eq!(public.reads("/widget/nowhere"), Some(Keep::Cached));
    }

    #[test]
    fn nothing_that_opens_everything_is_a_pattern() {
        for text in ["/*", "*", "", "/", "widget/*", "/a*b", "/*/x", "/a/../*", "/a%2f*"] {
            assert_eq!(Pattern::parse(text), None, "{text}");
        }
    }
}
