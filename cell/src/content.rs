//! What the service chain knows when it starts: sentences to learn intents from, and articles to
//! answer from, in both languages. Part of the program, so that every cell of a version answers
//! alike.

pub mod yaml;

use crate::text::Language;

/// A file of the repository.
#[derive(Clone, Copy, Debug)]
pub struct File {
    pub language: Language,
    pub name: &'static str,
    pub text: &'static str,
}

/// Sentences by intent, and entities, as Rasa writes them.
pub const NLU: [File; 2] = [
    File {
        language: Language::En,
        name: "cell/content/nlu/en.yml",
        text: include_str!("../content/nlu/en.yml"),
    },
    File {
        language: Language::Zh,
        name: "cell/content/nlu/zh.yml",
        text: include_str!("../content/nlu/zh.yml"),
    },
];

/// Questions and answers.
pub const KNOWLEDGE: [File; 2] = [
    File {
        language: Language::En,
        name: "cell/content/knowledge/en.yml",
        text: include_str!("../content/knowledge/en.yml"),
    },
    File {
        language: Language::Zh,
        name: "cell/content/knowledge/zh.yml",
        text: include_str!("../content/knowledge/zh.yml"),
    },
];

/// Returns a short name for exactly this content: the same in every process that has it.
#[must_use]
pub fn version(recipe: &str, files: &[File]) -> String {
    use sha2::{Digest as _, Sha256};
    use std::fmt::Write as _;

    let mut hash = Sha256::new();
    hash.update(recipe);
    for file in files {
        hash.update([0]);
        hash.update(file.language.tag());
        hash.update([0]);
        hash.update(file.text);
    }
    let mut name = String::new();
    for byte in &hash.finalize()[..6] {
        write!(name, "{byte:02x}").expect("a string takes everything");
    }
    name
}
