//! What a text is searched by: characters and pairs of them in scripts without spaces, stems of
//! words in scripts with.

use tantivy::tokenizer::{
    Language, Stemmer, StopWordFilter, TextAnalyzer, Token, TokenStream, Tokenizer,
};

use crate::text::{fold, is_unspaced};

/// Words that English questions have in common, besides those of tantivy's list.
const QUESTION_WORDS: [&str; 49] = [
    "i", "me", "my", "we", "our", "you", "your", "he", "she", "its", "do", "does", "did", "can",
    "could", "would", "should", "shall", "may", "might", "have", "has", "had", "am", "been",
    "being", "were", "what", "which", "who", "whom", "how", "when", "where", "why", "please", "so",
    "than", "too", "very", "just", "from", "about", "up", "out", "any", "some", "im", "ive",
];

/// Returns the analyzer of texts and queries of either language: they are often mixed.
pub(super) fn analyzer() -> TextAnalyzer {
    let stop = StopWordFilter::new(Language::English).expect("tantivy has this list");
    let questions = StopWordFilter::remove(QUESTION_WORDS.map(str::to_owned));
    TextAnalyzer::builder(Grams::default())
        .filter(stop)
        .filter(questions)
        .filter(Stemmer::new(Language::English))
        .build()
}

/// Returns a text's terms, in order and as often as they occur.
pub(super) fn terms(analyzer: &mut TextAnalyzer, text: &str) -> Vec<String> {
    let mut terms = Vec::new();
    analyzer.token_stream(text).process(&mut |token| terms.push(token.text.clone()));
    terms
}

#[derive(Clone, Default)]
struct Grams {
    tokens: Vec<Token>,
}

/// The tokens of one text.
struct Tokens<'a> {
    tokens: &'a mut Vec<Token>,
    /// How many have been passed.
    next: usize,
}

impl Tokenizer for Grams {
    type TokenStream<'a> = Tokens<'a>;

    fn token_stream<'a>(&'a mut self, text: &'a str) -> Tokens<'a> {
        self.tokens.clear();
        let mut push = |text: String| {
            let position = self.tokens.len();
            self.tokens.push(Token { position, text, ..Token::default() });
        };
        let (mut word, mut before) = (String::new(), None);
        for letter in fold(text).chars().chain([' ']) {
            let single = is_unspaced(letter) && letter.is_alphanumeric();
            if letter.is_alphanumeric() && !single {
                word.push(letter);
            } else if letter != '\'' && !word.is_empty() {
                push(std::mem::take(&mut word));
            }
            if single {
                push(letter.to_string());
                if let Some(before) = before {
                    push([before, letter].iter().collect());
                }
            }
            before = single.then_some(letter);
        }
        Tokens { tokens: &mut self.tokens, next: 0 }
    }
}

impl TokenStream for Tokens<'_> {
    fn advance(&mut self) -> bool {
        self.next += 1;
        self.next <= self.tokens.len()
    }

    fn token(&self) -> &Token {
        &self.tokens[self.next - 1]
    }

    fn token_mut(&mut self) -> &mut Token {
        &mut self.tokens[self.next - 1]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chinese_is_cut_into_characters_and_pairs_english_into_stems() {
        let mut analyzer = analyzer();
        assert_eq!(
            terms(&mut analyzer, "退货，ＡＰＰ里退"),
            ["退", "货", "退货", "app", "里", "退", "里退"]
        );
        assert_eq!(
            terms(&mut analyzer, "How do I cancel the orders I've placed?"),
            ["cancel", "order", "place"]
        );
        assert_eq!(terms(&mut analyzer, ""), Vec::<String>::new());
    }
}
