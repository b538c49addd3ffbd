//! Which language a page is in: what the reader chose, or what their browser prefers.

use axum::http::{HeaderMap, header};

use super::cookie;
use super::texts::{CHINESE, ENGLISH, Texts};

/// Where the choice is kept.
pub(super) const COOKIE: &str = "bulkhead_language";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Language {
    English,
    Chinese,
}

impl Language {
    /// Returns the reader's language. English where nothing tells.
    #[must_use]
    pub(super) fn of(headers: &HeaderMap) -> Self {
        let chosen = cookie::value(headers, COOKIE).and_then(Self::from_tag);
        let accepted = headers.get(header::ACCEPT_LANGUAGE).and_then(|value| value.to_str().ok());
        chosen.or_else(|| accepted.and_then(preferred)).unwrap_or(Self::English)
    }

    /// Reads a tag such as `zh-CN`.
    #[must_use]
    pub(super) fn from_tag(tag: &str) -> Option<Self> {
        match tag.split('-').next().map(str::to_ascii_lowercase).as_deref() {
            Some("en") => Some(Self::English),
            Some("zh") => Some(Self::Chinese),
            Some(_) | None => None,
        }
    }

    /// Returns the tag for `lang`.
    #[must_use]
    pub(super) fn tag(self) -> &'static str {
        match self {
            Self::English => "en",
            Self::Chinese => "zh-Hans",
        }
    }

    #[must_use]
    pub(super) fn other(self) -> Self {
        match self {
            Self::English => Self::Chinese,
            Self::Chinese => Self::English,
        }
    }

    #[must_use]
    pub(super) fn texts(self) -> &'static Texts {
        match self {
            Self::English => &ENGLISH,
            Self::Chinese => &CHINESE,
        }
    }
}

/// Returns the first of the languages with the highest weight that is one of ours.
fn preferred(accepted: &str) -> Option<Language> {
    let weighed = accepted.split(',').filter_map(|item| {
        let (tag, parameters) = item.split_once(';').unwrap_or((item, ""));
        let weight = parameters.trim().strip_prefix("q=").map_or(Some(1.0), |q| q.parse().ok());
        let weight: f32 = weight.filter(|weight| *weight > 0.0)?;
        Some((Language::from_tag(tag.trim())?, weight))
    });
    let best = weighed.reduce(|best, next| if next.1 > best.1 { next } else { best });
    best.map(|(language, _)| language)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_browsers_preference_is_followed_and_a_choice_beats_it() {
        for (accept, cookie, expected) in [
            ("", "", Language::English),
            ("zh-CN,zh;q=0.9,en;q=0.8", "", Language::Chinese),
            ("en-GB,en;q=0.9,zh;q=0.8", "", Language::English),
            ("fr, zh;q=0.5, en;q=0.7", "", Language::English),
            ("de, zh;q=0.3, en;q=0", "", Language::Chinese),
            ("zh", "a=b; bulkhead_language=en", Language::English),
            ("en", "bulkhead_language=zh-Hans", Language::Chinese),
            ("en", "bulkhead_language=xx", Language::English),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::ACCEPT_LANGUAGE, accept.parse().unwrap());
            headers.insert(header::COOKIE, cookie.parse().unwrap());
            assert_eq!(Language::of(&headers), expected, "{accept:?} {cookie:?}");
        }
    }
}
