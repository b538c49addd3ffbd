//! A path's words, without what may be somebody's: ids, names, numbers.

/// Longest word that is kept; those of the API are shorter.
const WORD_MAX: usize = 24;
/// Most parts that are kept.
const PARTS_MAX: usize = 8;

/// Returns a path with `*` in place of each part that is not a plain word or a version.
pub(super) fn words(path: &str) -> String {
    let mut words = String::with_capacity(64);
    let mut parts = path.strip_prefix('/').unwrap_or(path).split('/');
    for part in parts.by_ref().take(PARTS_MAX) {
        words.push('/');
        words.push_str(if is_word(part) { part } else { "*" });
    }
    if parts.next().is_some() {
        words.push_str("/…");
    }
    words
}

fn is_word(part: &str) -> bool {
    let is_version = part.strip_prefix('v').is_some_and(|number| number.parse::<u8>().is_ok());
    let is_plain = part.bytes().all(|byte| byte.is_ascii_lowercase() || b"-_".contains(&byte));
    is_version || (is_plain && part.len() <= WORD_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_stay_and_what_may_be_somebodys_does_not() {
        for (path, expected) in [
            ("/", "/"),
            ("/v1/conversations/cnv_0ab01J8Z/messages", "/v1/conversations/*/messages"),
            ("/v1/contacts/ada@example.com", "/v1/contacts/*"),
            ("/v1/contacts/%61da", "/v1/contacts/*"),
            ("/v1/contacts/13800138000", "/v1/contacts/*"),
            ("/v1/contacts/Ada", "/v1/contacts/*"),
            ("/v1/contacts/王", "/v1/contacts/*"),
            ("/a/b/c/d/e/f/g/h/i", "/a/b/c/d/e/f/g/h/…"),
        ] {
            assert_eq!(words(path), expected);
        }
        assert_eq!(words(&format!("/{}", "a".repeat(WORD_MAX + 1))), "/*");
    }
}
