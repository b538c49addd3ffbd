//! Whether a text only makes sense after what was said before it: "那运费呢", "and for members?".

use crate::text::{fold, is_unspaced};

/// Texts up to this long say too little by themselves; counted in words and in Han characters.
const WORDS_MAX: usize = 5;
const CHARACTERS_MAX: usize = 7;
/// How a text begins that goes on with the one before.
const BEGINNINGS: [&str; 8] =
    ["and ", "what about", "how about", "what if", "那", "还有", "如果", "要是"];
/// What is carried over weighs at most this share of what was said: it tells which of several
/// articles about the same, and does not hide another.
const CARRIED: f32 = 0.5;

pub(super) fn is_one(text: &str) -> bool {
    let folded = fold(text.trim());
    let characters = folded.chars().filter(|letter| is_unspaced(*letter)).count();
    let words = folded
        .split(|letter: char| !letter.is_alphanumeric() || is_unspaced(letter))
        .filter(|word| !word.is_empty())
        .count();
    BEGINNINGS.iter().any(|beginning| folded.starts_with(beginning))
        || (words <= WORDS_MAX && characters <= CHARACTERS_MAX)
}

/// Returns how much each carried term counts, against 1 for each of the text's own.
#[expect(clippy::cast_precision_loss, reason = "a text has a few terms")]
pub(super) fn weight(own: usize, carried: usize) -> f32 {
    CARRIED * (own.max(1) as f32 / carried.max(1) as f32).min(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_texts_and_those_that_go_on_are_follow_ups() {
        for text in
            ["那运费呢？", "要多久", "What about members?", "and if I opened it already, too?"]
        {
            assert!(is_one(text), "{text}");
        }
        for text in ["我想把上周买的鞋退掉可以吗", "How do I return the shoes I bought?"]
        {
            assert!(!is_one(text), "{text}");
        }
    }
}
