//! The articles of one language, and which of them answers a text.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use tantivy::tokenizer::TextAnalyzer;

use super::article::Article;
use super::follow_up;
use super::index::Index;
use super::relevance::{Evidence, share};
use super::terms::{analyzer, terms};
use crate::text::essence;

/// Articles looked at closely; the right one is among these or was not found at all.
const CANDIDATES: usize = 20;
/// What the intent an article is for adds to its score, as a share of the best score. Measured with
/// the intents that our own nlp service tells for held-out questions.
const INTENT_BONUS: f32 = 0.3;
/// The same for the intent of the text before, where nothing is known of this one's.
const LAST_INTENT_BONUS: f32 = 0.1;
/// The same for articles of the category that was spoken of, if the text goes on with it: after a
/// return, "那运费呢" asks who pays for sending things back.
const CATEGORY_BONUS: f32 = 0.25;

pub struct Shelf {
    articles: Vec<Article>,
    index: Index,
    analyzer: TextAnalyzer,
    /// Every way to ask, without case, width, spacing and punctuation → article and phrasing.
    exact: HashMap<String, (usize, usize)>,
    vocabulary: Vec<Vocabulary>,
    /// In how many articles each term occurs.
    occurs: HashMap<String, usize>,
}

/// The terms of one article.
struct Vocabulary {
    all: BTreeSet<String>,
    phrasings: Vec<BTreeSet<String>>,
}

/// What somebody wants to know.
#[derive(Clone, Copy, Debug, Default)]
pub struct Query<'a> {
    pub text: &'a str,
    /// What the nlp service made of the text.
    pub intent: Option<&'a str>,
    /// What the conversation was about until now.
    pub last_article: Option<&'a str>,
    pub last_intent: Option<&'a str>,
}

/// How an article was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Channel {
    /// The text is one of the article's questions.
    Exact,
    /// The text's intent is the article's.
    Intent,
    /// By its words.
    Bm25,
}

/// An article that was found.
#[derive(Clone, Debug)]
pub struct Hit<'a> {
    pub article: &'a Article,
    pub matched_question: &'a str,
    pub channel: Channel,
    /// From 0 to 1: how likely this article answers the text.
    pub score: f64,
}

impl Shelf {
    pub fn build(articles: Vec<Article>) -> anyhow::Result<Self> {
        let index = Index::build(&articles)?;
        let mut analyzer = analyzer();
        let (mut exact, mut occurs) = (HashMap::new(), HashMap::new());
        let mut vocabulary = Vec::new();
        for (at, article) in articles.iter().enumerate() {
            let mut set = |text: &str| -> BTreeSet<String> {
                terms(&mut analyzer, text).into_iter().collect()
            };
            let phrasings: Vec<BTreeSet<String>> = article.phrasings().map(&mut set).collect();
            let mut all = set(&article.answer);
            all.extend(phrasings.iter().flatten().cloned());
            for term in &all {
                *occurs.entry(term.clone()).or_default() += 1;
            }
            for (phrasing, asked) in article.phrasings().enumerate() {
                exact.entry(essence(asked)).or_insert((at, phrasing));
            }
            vocabulary.push(Vocabulary { all, phrasings });
        }
        Ok(Self { articles, index, analyzer, exact, vocabulary, occurs })
    }

    #[must_use]
    pub fn article(&self, id: &str) -> Option<&Article> {
        self.articles.iter().find(|article| article.id == id)
    }

    /// Returns the articles that may answer the text, the likeliest first.
    pub fn search(&self, query: &Query<'_>, limit: usize) -> anyhow::Result<Vec<Hit<'_>>> {
        let before = query
            .last_article
            .and_then(|id| self.article(id))
            .filter(|_| follow_up::is_one(query.text));
        let asked = self.weighted(query.text, before);
        let mut scores: BTreeMap<usize, f32> =
            self.index.best(&asked, CANDIDATES)?.into_iter().collect();
        let best = scores.values().copied().fold(0.0, f32::max);
        let (intent, bonus) = match (query.intent, query.last_intent) {
            (Some(intent), _) => (Some(intent), INTENT_BONUS),
            (None, last) => (last, LAST_INTENT_BONUS),
        };
        let meant = |article: &Article| intent.is_some() && article.intent.as_deref() == intent;
        for (at, article) in self.articles.iter().enumerate() {
            if meant(article) {
                *scores.entry(at).or_default() += bonus * best;
            }
            if before.is_some_and(|before| before.category == article.category)
                && let Some(score) = scores.get_mut(&at)
            {
                *score += CATEGORY_BONUS * best;
            }
        }
        let mut ranked: Vec<(usize, f32)> = scores.into_iter().collect();
        ranked.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        let exact = self.exact.get(&essence(query.text)).copied();
        let mut hits: Vec<Hit<'_>> = exact
            .into_iter()
            .map(|(at, phrasing)| self.hit(at, phrasing, Channel::Exact, 1.0))
            .collect();
        for (place, (at, score)) in ranked.iter().enumerate() {
            if exact.is_some_and(|(exact, _)| exact == *at) {
                continue;
            }
            let (phrasing, nearness) = self.nearest(*at, &asked);
            let evidence = Evidence {
                coverage: self.coverage(&asked, &self.vocabulary[*at].all),
                nearness,
                // How far ahead of the next it is; what is behind the best has no lead.
                lead: match ranked.get(1) {
                    Some((_, second)) if place == 0 => share(score - second, *score),
                    None => 1.0,
                    Some(_) => 0.0,
                },
                behind: share(ranked[0].1 - score, ranked[0].1),
                meant: query.intent.is_some() && meant(&self.articles[*at]),
            };
            let channel = if evidence.meant { Channel::Intent } else { Channel::Bm25 };
            // Never above the one before, whose score may have had less to go by.
            let score = hits.last().map_or(1.0, |hit| hit.score).min(evidence.score());
            hits.push(self.hit(*at, phrasing, channel, score));
        }
        hits.truncate(limit);
        Ok(hits)
    }

    fn hit(&self, at: usize, phrasing: usize, channel: Channel, score: f64) -> Hit<'_> {
        let article = &self.articles[at];
        let matched_question =
            article.phrasings().nth(phrasing).expect("positions are those of the phrasings");
        Hit { article, matched_question, channel, score }
    }

    /// Returns the text's terms, and at a low weight those of the question before.
    fn weighted(&self, text: &str, before: Option<&Article>) -> Vec<(String, f32)> {
        let mut analyzer = self.analyzer.clone();
        let own: BTreeSet<String> = terms(&mut analyzer, text).into_iter().collect();
        let mut weighted: Vec<(String, f32)> = own.iter().map(|term| (term.clone(), 1.0)).collect();
        if let Some(before) = before {
            let carried: BTreeSet<String> =
                terms(&mut analyzer, &before.question).into_iter().collect();
            let weight = follow_up::weight(own.len(), carried.len());
            weighted.extend(carried.difference(&own).map(|term| (term.clone(), weight)));
        }
        weighted
    }

    /// Returns which way to ask comes nearest to the text, and how near.
    fn nearest(&self, at: usize, asked: &[(String, f32)]) -> (usize, f64) {
        let total = self.mass(asked.iter().map(|(term, weight)| (term.as_str(), *weight)));
        self.vocabulary[at]
            .phrasings
            .iter()
            .map(|phrasing| {
                let common = asked.iter().filter(|(term, _)| phrasing.contains(term));
                let common = self.mass(common.map(|(term, weight)| (term.as_str(), *weight)));
                let own = self.mass(phrasing.iter().map(|term| (term.as_str(), 1.0)));
                share(2.0 * common, total + own)
            })
            .enumerate()
            .fold((0, 0.0), |best, next| if next.1 > best.1 { next } else { best })
    }

    /// Returns the share of what the text says that an article speaks of, too.
    fn coverage(&self, asked: &[(String, f32)], article: &BTreeSet<String>) -> f64 {
        let common = asked.iter().filter(|(term, _)| article.contains(term));
        share(
            self.mass(common.map(|(term, weight)| (term.as_str(), *weight))),
            self.mass(asked.iter().map(|(term, weight)| (term.as_str(), *weight))),
        )
    }

    fn mass<'t>(&self, terms: impl Iterator<Item = (&'t str, f32)>) -> f32 {
        terms.map(|(term, weight)| weight * self.rarity(term)).sum()
    }

    /// Returns a term's inverse document frequency, as in BM25.
    #[expect(clippy::cast_precision_loss, reason = "counts of articles are small")]
    fn rarity(&self, term: &str) -> f32 {
        let occurs = self.occurs.get(term).copied().unwrap_or(0) as f32;
        let articles = self.articles.len() as f32;
        (1.0 + (articles - occurs + 0.5) / (occurs + 0.5)).ln()
    }
}
