//! All articles of one content version, by language.

use super::article;
use super::shelf::Shelf;
use crate::content::{self, File, yaml};
use crate::text::Language;

/// Grows when the same articles would be found otherwise.
const RECIPE: &str = "1";

pub struct Library {
    release: String,
    shelves: Vec<(Language, Shelf)>,
}

impl Library {
    /// Reads and indexes articles; mistakes in any of the files are told together.
    pub fn open(files: &[File]) -> anyhow::Result<Self> {
        let (mut shelves, mut findings) = (Vec::new(), Vec::new());
        for file in files {
            match article::read(file.name, file.text) {
                Ok(articles) => shelves.push((file.language, Shelf::build(articles)?)),
                Err(found) => findings.extend(found),
            }
        }
        if !findings.is_empty() {
            return Err(yaml::all(&findings));
        }
        Ok(Self { release: content::version(RECIPE, files), shelves })
    }

    /// Returns the name of exactly these articles: the same in every cell that has them.
    #[must_use]
    pub fn release(&self) -> &str {
        &self.release
    }

    #[must_use]
    pub fn shelf(&self, language: Language) -> Option<&Shelf> {
        self.shelves.iter().find(|(of, _)| *of == language).map(|(_, shelf)| shelf)
    }
}
