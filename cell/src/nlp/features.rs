//! A text as numbers: hashed n-grams of words and characters, weighted by how telling they are.
//!
//! Scripts with spaces give words (1–2) and characters within words (2–4), each group of the same
//! weight; scripts without give characters (1–3). Nothing is known of any language's grammar.

use std::collections::BTreeMap;

use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::text::{fold, is_unspaced};

/// Hash buckets. Fewer cost accuracy, more gain none on sets of a hundred intents.
const BUCKETS: usize = 1 << 15;
/// Longest text read, in characters; longer ones are cut, a request never has more.
const TEXT_MAX: usize = 2_000;
const WORDS: u64 = 1;
const CHARACTERS: u64 = 2;

/// A text's numbers: column and weight, by rising column.
pub(super) type Sparse = Vec<(u32, f32)>;

/// Which n-grams a set of texts is cut into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Script {
    Spaced,
    Unspaced,
}

/// What was learnt about n-grams from a set of texts.
pub(super) struct Features {
    script: Script,
    /// For each bucket its column and its n-grams' inverse document frequency; columns exist only
    /// for what occurred.
    columns: Vec<Option<(u32, f32)>>,
    width: usize,
}

impl Features {
    /// Learns which n-grams there are, and how rare each is.
    pub(super) fn fit<'a>(texts: impl Iterator<Item = &'a str> + Clone) -> Self {
        let script = script_of(texts.clone());
        let mut occurs = BTreeMap::<usize, u32>::new();
        let mut count = 0.0_f32;
        for text in texts {
            count += 1.0;
            let mut buckets: Vec<usize> = script.groups(text).into_iter().flatten().collect();
            buckets.sort_unstable();
            buckets.dedup();
            for bucket in buckets {
                *occurs.entry(bucket).or_default() += 1;
            }
        }
        let mut columns = vec![None; BUCKETS];
        let width = occurs.len();
        for (column, (bucket, texts)) in (0_u32..).zip(occurs) {
            columns[bucket] = Some((column, rarity(count, texts)));
        }
        Self { script, columns, width }
    }

    /// Returns how many columns there are.
    pub(super) fn width(&self) -> usize {
        self.width
    }

    /// Returns a text's numbers; a text without any known n-gram has none.
    pub(super) fn of(&self, text: &str) -> Sparse {
        let mut sparse = BTreeMap::<u32, f32>::new();
        for mut group in self.script.groups(text) {
            group.sort_unstable();
            let weights: Vec<(u32, f32)> = group
                .chunk_by(|a, b| a == b)
                .filter_map(|same| {
                    let (column, rarity) = self.columns[same[0]]?;
                    Some((column, (1.0 + small(same.len()).ln()) * rarity))
                })
                .collect();
            let norm = weights.iter().map(|(_, weight)| weight * weight).sum::<f32>().sqrt();
            for (column, weight) in weights {
                *sparse.entry(column).or_default() += weight / norm;
            }
        }
        sparse.into_iter().collect()
    }
}

fn script_of<'a>(texts: impl Iterator<Item = &'a str>) -> Script {
    let (mut unspaced, mut letters) = (0_usize, 0_usize);
    for letter in texts.flat_map(str::chars).filter(|letter| letter.is_alphabetic()) {
        letters += 1;
        unspaced += usize::from(is_unspaced(letter));
    }
    if unspaced * 3 >= letters && letters > 0 { Script::Unspaced } else { Script::Spaced }
}

impl Script {
    /// Returns the buckets of a text's n-grams, in groups that count the same.
    fn groups(self, text: &str) -> Vec<Vec<usize>> {
        let folded: String = fold(text).chars().take(TEXT_MAX).map(fold_digit).collect();
        match self {
            Self::Spaced => vec![words(&folded), inside_words(&folded)],
            Self::Unspaced => {
                let letters: Vec<char> =
                    folded.split_whitespace().collect::<Vec<_>>().join(" ").chars().collect();
                let mut buckets = Vec::new();
                n_grams(&letters, 1..=3, &mut buckets);
                vec![buckets]
            }
        }
    }
}

/// Numbers differ from text to text; that there is one, and how long, is what tells.
fn fold_digit(letter: char) -> char {
    if letter.is_numeric() { '0' } else { letter }
}

fn words(text: &str) -> Vec<usize> {
    let words: Vec<&str> = text
        .split(|letter: char| !letter.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .collect();
    let single = words.iter().map(|word| bucket(WORDS, word));
    let pairs = words.windows(2).map(|pair| bucket(WORDS, &pair.join(" ")));
    single.chain(pairs).collect()
}

fn inside_words(text: &str) -> Vec<usize> {
    let mut buckets = Vec::new();
    for word in text.split_whitespace() {
        let letters: Vec<char> =
            std::iter::once(' ').chain(word.chars()).chain(std::iter::once(' ')).collect();
        n_grams(&letters, 2..=4, &mut buckets);
    }
    buckets
}

fn n_grams(letters: &[char], lengths: std::ops::RangeInclusive<usize>, buckets: &mut Vec<usize>) {
    let mut gram = String::new();
    for length in lengths {
        for window in letters.windows(length) {
            gram.clear();
            gram.extend(window);
            buckets.push(bucket(CHARACTERS, &gram));
        }
    }
}

fn bucket(kind: u64, gram: &str) -> usize {
    let mask = u64::try_from(BUCKETS - 1).expect("a small number");
    usize::try_from(xxh3_64_with_seed(gram.as_bytes(), kind) & mask).expect("below BUCKETS")
}

/// Returns the smoothed inverse document frequency.
fn rarity(texts: f32, occurs: u32) -> f32 {
    ((1.0 + texts) / (1.0 + small(occurs as usize))).ln() + 1.0
}

/// Counts of n-grams and texts, far below where an `f32` loses whole numbers.
#[expect(clippy::cast_precision_loss, reason = "counts below 2^24 are exact")]
fn small(count: usize) -> f32 {
    count as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn case_width_and_the_digits_of_a_number_make_no_difference() {
        let features = Features::fit(["where is order 12345", "refund my money"].into_iter());
        let numbers = features.of("where is order 12345");
        assert_eq!(numbers, features.of("WHERE　is ｏｒｄｅｒ 98765"));
        assert_ne!(numbers, features.of("where is order"));
    }

    #[test]
    fn a_text_without_known_n_grams_has_no_numbers() {
        let features = Features::fit(["退货怎么办", "运费多少"].into_iter());
        assert_eq!(features.of("xyz"), Vec::new());
        assert_eq!(features.of(""), Vec::new());
    }

    #[test]
    fn words_and_characters_weigh_the_same() {
        let features = Features::fit(["refund my money", "track my order"].into_iter());
        let square: f32 = features.of("refund my order").iter().map(|(_, w)| w * w).sum();
        assert!((square - 2.0).abs() < 0.1, "{square}");
    }
}
