//! Text as the services compare it: folded, and told apart by script.

/// A language the service chain answers in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Language {
    En,
    Zh,
}

impl Language {
    pub const ALL: [Self; 2] = [Self::En, Self::Zh];

    /// Returns the language a text is written in: Chinese if it has at least as many Han characters
    /// as words of other scripts, so that a product's Latin name does not turn a question English.
    /// `None` if the text has no letters at all.
    #[must_use]
    pub fn of(text: &str) -> Option<Self> {
        let (mut han, mut words, mut inside) = (0_usize, 0_usize, false);
        for letter in text.chars() {
            let other = letter.is_alphabetic() && !is_unspaced(letter);
            han += usize::from(is_unspaced(letter));
            words += usize::from(other && !inside);
            inside = other;
        }
        match (han, words) {
            (0, 0) => None,
            (han, words) if han >= words => Some(Self::Zh),
            (_, _) => Some(Self::En),
        }
    }

    /// Returns the language of a BCP 47 tag such as `zh-CN`; `None` if it is not one of ours.
    #[must_use]
    pub fn of_locale(locale: &str) -> Option<Self> {
        let primary = locale.split(['-', '_']).next().unwrap_or_default();
        Self::ALL.into_iter().find(|language| language.tag().eq_ignore_ascii_case(primary))
    }

    /// Returns the language to read a text in: its own, else the asked one, else English.
    #[must_use]
    pub fn choose(text: &str, locale: Option<&str>) -> Self {
        Self::of(text).or_else(|| Self::of_locale(locale?)).unwrap_or(Self::En)
    }

    #[must_use]
    pub fn tag(self) -> &'static str {
        match self {
            Self::En => "en",
            Self::Zh => "zh",
        }
    }
}

/// Returns whether a character belongs to a script written without spaces between words.
#[must_use]
pub fn is_unspaced(letter: char) -> bool {
    matches!(letter,
        '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}' | '\u{f900}'..='\u{faff}'
        | '\u{20000}'..='\u{323af}' // Han
        | '\u{3040}'..='\u{30ff}' // Kana
        | '\u{0e00}'..='\u{0eff}' // Thai, Lao
        | '\u{1000}'..='\u{109f}' | '\u{1780}'..='\u{17ff}') // Burmese, Khmer
}

/// Folds case and width, character by character: positions in the result are positions in the text.
#[must_use]
pub fn fold(text: &str) -> String {
    text.chars().map(fold_char).collect()
}

/// Folds width only: full-width letters, digits and signs become those of ASCII.
#[must_use]
pub fn narrow(text: &str) -> String {
    text.chars().map(narrow_char).collect()
}

fn narrow_char(letter: char) -> char {
    match letter {
        '\u{3000}' => ' ',
        '\u{ff01}'..='\u{ff5e}' => {
            char::from_u32(u32::from(letter) - 0xfee0).expect("the ASCII characters")
        }
        '\u{2018}' | '\u{2019}' => '\'',
        '\u{201c}' | '\u{201d}' => '"',
        letter => letter,
    }
}

fn fold_char(letter: char) -> char {
    let narrow = narrow_char(letter);
    let mut lower = narrow.to_lowercase();
    match (lower.next(), lower.next()) {
        (Some(one), None) => one,
        // What becomes two characters stays as it is, or positions would shift.
        _ => narrow,
    }
}

/// Returns the letters and digits of a folded text, one space where anything else stood between
/// words and nothing between characters of unspaced scripts: equal for texts that differ only in
/// case, width, spacing and punctuation.
#[must_use]
pub fn essence(text: &str) -> String {
    let mut essence = String::new();
    let mut gap = false;
    for letter in fold(text).chars() {
        // An apostrophe is inside a word: "don't" and "dont" are one.
        if letter == '\'' {
            continue;
        }
        if !letter.is_alphanumeric() {
            gap = true;
            continue;
        }
        let after_word = essence.chars().next_back().is_some_and(|last| !is_unspaced(last));
        if gap && after_word && !is_unspaced(letter) {
            essence.push(' ');
        }
        gap = false;
        essence.push(letter);
    }
    essence
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_script_decides_the_language_and_the_locale_where_there_is_none() {
        assert_eq!(Language::choose("我的 iPhone 15 Pro Max 怎么退货", Some("en")), Language::Zh);
        assert_eq!(Language::choose("what does 退货 mean here", Some("zh-CN")), Language::En);
        assert_eq!(Language::choose("12345", Some("zh-CN")), Language::Zh);
        assert_eq!(Language::choose("12345", Some("fr")), Language::En);
    }

    #[test]
    fn folding_keeps_positions() {
        let text = "Ｏｒｄｅｒ　№１２，İstanbul";
        assert_eq!(fold(text), "order №12,İstanbul");
        assert_eq!(fold(text).chars().count(), text.chars().count());
    }

    #[test]
    fn texts_that_differ_in_case_width_spacing_and_punctuation_have_one_essence() {
        assert_eq!(essence("  I don’t  want IT, anymore! "), "i dont want it anymore");
        assert_eq!(essence("怎么 退货 ？"), essence("怎么退货"));
        assert_eq!(essence("ＡＰＰ 打不开"), "app打不开");
    }
}
