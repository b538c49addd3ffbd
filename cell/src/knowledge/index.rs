//! BM25 over articles, in memory: built once, then only read.

use anyhow::Context as _;
use tantivy::collector::TopDocs;
use tantivy::directory::RamDirectory;
use tantivy::query::{BooleanQuery, BoostQuery, Occur, Query, TermQuery};
use tantivy::schema::{
    Field, IndexRecordOption, STORED, Schema, TextFieldIndexing, TextOptions, Value as _,
};
use tantivy::{IndexReader, IndexSettings, TantivyDocument, Term};

use super::article::Article;
use super::terms::analyzer;

/// Least memory tantivy accepts for one writing thread; the articles need a fraction of it.
const WRITER_BYTES: usize = 15_000_000;
const ANALYZER: &str = "grams";

pub(super) struct Index {
    reader: IndexReader,
    /// Where a text's terms are looked for. A term found in the answer counts as much as one found
    /// in the question: what people ask in new words is often what only the answer says. (Weights
    /// of 3, 3 and 1 were right 5 to 10 points less often on held-out questions of ours.)
    fields: [Field; 3],
    number: Field,
}

impl Index {
    pub(super) fn build(articles: &[Article]) -> anyhow::Result<Self> {
        let mut schema = Schema::builder();
        let indexing = TextFieldIndexing::default()
            .set_tokenizer(ANALYZER)
            .set_index_option(IndexRecordOption::WithFreqs);
        let text = TextOptions::default().set_indexing_options(indexing);
        let question = schema.add_text_field("question", text.clone());
        let similar = schema.add_text_field("similar", text.clone());
        let answer = schema.add_text_field("answer", text);
        let number = schema.add_u64_field("number", STORED);
        let index = tantivy::Index::create(
            RamDirectory::create(),
            schema.build(),
            IndexSettings::default(),
        )
        .context("open an index in memory")?;
        index.tokenizers().register(ANALYZER, analyzer());
        let mut writer =
            index.writer_with_num_threads(1, WRITER_BYTES).context("write the index")?;
        for (at, article) in (0_u64..).zip(articles) {
            let mut document = TantivyDocument::new();
            document.add_u64(number, at);
            document.add_text(question, &article.question);
            for asked in &article.similar {
                document.add_text(similar, asked);
            }
            document.add_text(answer, &article.answer);
            writer.add_document(document).context("index an article")?;
        }
        writer.commit().context("write the index")?;
        writer.wait_merging_threads().context("write the index")?;
        let reader = index.reader().context("read the index")?;
        Ok(Self { reader, fields: [question, similar, answer], number })
    }

    /// Returns the numbers of the best articles for weighted terms, with scores, the best first.
    pub(super) fn best(
        &self,
        terms: &[(String, f32)],
        limit: usize,
    ) -> anyhow::Result<Vec<(usize, f32)>> {
        let clauses: Vec<(Occur, Box<dyn Query>)> = terms
            .iter()
            .flat_map(|(term, weight)| {
                self.fields.map(|field| {
                    let term = Term::from_field_text(field, term);
                    let query = TermQuery::new(term, IndexRecordOption::WithFreqs);
                    let query: Box<dyn Query> = Box::new(BoostQuery::new(Box::new(query), *weight));
                    (Occur::Should, query)
                })
            })
            .collect();
        if clauses.is_empty() {
            return Ok(Vec::new());
        }
        let searcher = self.reader.searcher();
        let found = searcher
            .search(&BooleanQuery::new(clauses), &TopDocs::with_limit(limit).order_by_score())
            .context("search the index")?;
        found
            .into_iter()
            .map(|(score, address)| {
                let document: TantivyDocument =
                    searcher.doc(address).context("read a found article")?;
                let number = document.get_first(self.number).and_then(|number| number.as_u64());
                let number = number.context("read a found article's number")?;
                Ok((usize::try_from(number).context("read a found article's number")?, score))
            })
            .collect()
    }
}
