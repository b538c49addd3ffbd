//! The one normal form of a request's target, so that whoever matches a path sees what the site
//! will see (RFC 3986, section 6.2.2).
//!
//! A target that is written oddly but means one thing is rewritten; one that different programs
//! read differently is refused. An ordinary target is left as it is, byte for byte.

/// What is wrong with a target.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BadTarget {
    #[error("the target is neither a path nor an http or https URL")]
    Form,
    #[error("the target has characters that must be percent-encoded")]
    Characters,
    #[error("the path has an escape that stands for no character")]
    Escape,
    #[error("the path hides a slash, a backslash or a control character in an escape")]
    Hidden,
    #[error("the path is percent-encoded twice")]
    Twice,
    #[error("the path has . or .. segments")]
    Dots,
    #[error("the path has empty segments")]
    Empty,
}

/// Refuses a target with a fragment, by the head's bytes: the parser has cut it off (RFC 9112, section
/// 3.2, has none).
pub(crate) fn no_fragment(head: &[u8]) -> Result<(), BadTarget> {
    // The parser skips empty lines before the first (RFC 9112, section 2.2).
    let line = head.trim_ascii_start().split(|byte| *byte == b'\n').next();
    if line.is_some_and(|line| line.contains(&b'#')) { Err(BadTarget::Characters) } else { Ok(()) }
}

/// Returns the target's normal form, or none where it is in it already. An absolute target's
/// authority has been compared with `Host` before, and is dropped here.
pub(crate) fn normal(raw: &[u8]) -> Result<Option<String>, BadTarget> {
    if !raw.iter().all(u8::is_ascii_graphic) {
        return Err(BadTarget::Characters);
    }
    let text = std::str::from_utf8(raw).ok().ok_or(BadTarget::Characters)?;
    let (origin, is_absolute) = match text.strip_prefix('/') {
        Some(_) => (text, false),
        None => (after_authority(text)?, true),
    };
    let (path, query) = match origin.find('?') {
        Some(at) => origin.split_at(at),
        None => (origin, ""),
    };
    if path.contains(['\\', '#']) || query.contains('#') {
        return Err(BadTarget::Characters);
    }
    let plain = if path.contains('%') { Some(unescape(path)?) } else { None };
    segments(plain.as_deref().unwrap_or(path))?;
    let is_normal = !is_absolute && plain.as_ref().is_none_or(|plain| plain == path);
    if is_normal {
        return Ok(None);
    }
    let path = plain.as_deref().unwrap_or(path);
    Ok(Some(format!("{}{query}", if path.is_empty() { "/" } else { path })))
}

/// Returns what follows `http://authority`.
fn after_authority(text: &str) -> Result<&str, BadTarget> {
    let (scheme, rest) = text.split_once("://").ok_or(BadTarget::Form)?;
    if !scheme.eq_ignore_ascii_case("http") && !scheme.eq_ignore_ascii_case("https") {
        return Err(BadTarget::Form);
    }
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    if end == 0 { Err(BadTarget::Form) } else { Ok(&rest[end..]) }
}

/// Decodes what need not be encoded, and writes the rest in one way.
fn unescape(path: &str) -> Result<String, BadTarget> {
    let mut plain = String::with_capacity(path.len());
    let mut meant = Vec::with_capacity(path.len());
    let mut rest = path;
    while let Some(at) = rest.find('%') {
        let (before, escape) = rest.split_at(at);
        let byte = value(escape).ok_or(BadTarget::Escape)?;
        plain.push_str(before);
        meant.extend_from_slice(before.as_bytes());
        meant.push(byte);
        rest = &escape[3..];
        match byte {
            b'/' | b'\\' | 0..=0x1f | 0x7f => return Err(BadTarget::Hidden),
            b'%' if value(&format!("%{rest}")).is_some() => return Err(BadTarget::Twice),
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                plain.push(char::from(byte));
            }
            _ => plain.push_str(&escape[..3].to_ascii_uppercase()),
        }
    }
    plain.push_str(rest);
    // Overlong and broken UTF-8 is read in as many ways as there are decoders.
    meant.extend_from_slice(rest.as_bytes());
    if std::str::from_utf8(&meant).is_err() {
        return Err(BadTarget::Escape);
    }
    Ok(plain)
}

/// Returns the byte that `%2f…` begins with.
fn value(escape: &str) -> Option<u8> {
    let digits = escape.as_bytes().get(1..3)?;
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let (high, low) = (digit(digits[0])?, digit(digits[1])?);
    u8::try_from(high * 16 + low).ok()
}

fn segments(path: &str) -> Result<(), BadTarget> {
    let mut segments = path.split('/').skip(1).peekable();
    while let Some(segment) = segments.next() {
        // Some servers cut off what follows a semicolon, and then see the dots.
        match segment.split(';').next() {
            Some("." | "..") => return Err(BadTarget::Dots),
            Some("") if segments.peek().is_some() => return Err(BadTarget::Empty),
            Some(_) | None => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ordinary_target_is_left_as_it_is() {
        for target in [
            "/",
            "/v1/conversations",
            "/v1/conversations/?after=%2F..%00&x=//",
            "/a.b/.well-known/c..d/~e",
            "/%E4%BD%A0%E5%A5%BD",
            "/a%20b;c=1/d@e:f",
            "/100%25",
        ] {
            assert_eq!(normal(target.as_bytes()), Ok(None), "{target}");
        }
    }

    #[test]
    fn one_meaning_is_written_in_one_way() {
        for (target, expected) in [
            ("/v1/%63onversations?q=%63", "/v1/conversations?q=%63"),
            ("/%e4%bd%a0", "/%E4%BD%A0"),
            ("/a%2Db%7e", "/a-b~"),
            ("http://bulkhead/v1/me?x=1", "/v1/me?x=1"),
            ("HTTPS://bulkhead", "/"),
            ("http://bulkhead?x=1", "/?x=1"),
        ] {
            assert_eq!(normal(target.as_bytes()), Ok(Some(expected.to_owned())), "{target}");
        }
    }

    #[test]
    fn a_fragment_is_refused_where_it_is_still_to_be_seen() {
        let head = |target| format!("GET {target} HTTP/1.1\r\nhost: a\r\nreferer: /a#b\r\n\r\n");
        assert_eq!(no_fragment(head("/a?b").as_bytes()), Ok(()));
        for target in ["/a#b", "/a?b#", "http://a#b"] {
            let refused = Err(BadTarget::Characters);
            assert_eq!(no_fragment(head(target).as_bytes()), refused, "{target}");
            assert_eq!(
                no_fragment(format!("\r\n{}", head(target)).as_bytes()),
                refused,
                "{target}"
            );
        }
    }

    #[test]
    fn what_can_be_read_in_two_ways_is_refused() {
        for (target, expected) in [
            ("*", BadTarget::Form),
            ("bulkhead:80", BadTarget::Form),
            ("ftp://bulkhead/", BadTarget::Form),
            ("http:///v1/me", BadTarget::Form),
            ("", BadTarget::Form),
            ("/a b", BadTarget::Characters),
            ("/a\\b", BadTarget::Characters),
            ("/a#b", BadTarget::Characters),
            ("/a\x7f", BadTarget::Characters),
            ("/你", BadTarget::Characters),
            ("/a%", BadTarget::Escape),
            ("/a%2", BadTarget::Escape),
            ("/a%zz", BadTarget::Escape),
            ("/a%c0%af", BadTarget::Escape),
            ("/a%ff", BadTarget::Escape),
            ("/a%2fb", BadTarget::Hidden),
            ("/a%5Cb", BadTarget::Hidden),
            ("/a%00", BadTarget::Hidden),
            ("/a%0d%0ab", BadTarget::Hidden),
            ("/a%252fb", BadTarget::Twice),
            ("/../a", BadTarget::Dots),
            ("/a/..", BadTarget::Dots),
            ("/a/./b", BadTarget::Dots),
            ("/a/%2e%2E/b", BadTarget::Dots),
            ("/a/..;x/b", BadTarget::Dots),
            ("//a", BadTarget::Empty),
            ("/a//b", BadTarget::Empty),
            ("http://bulkhead//a", BadTarget::Empty),
        ] {
            assert_eq!(normal(target.as_bytes()), Err(expected), "{target}");
        }
    }
}
