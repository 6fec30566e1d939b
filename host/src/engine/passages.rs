//! The passages of each workspace in memory, with their embeddings, and the search for those nearest to a question.
//! It must never offer a passage that is no longer current, or one that may not be quoted.

use crate::library::chunk::is_quotable;
use crate::library::words::Words;
use crate::store::{Store, StoreError};
use rejoinder_models::{Embedding, ReadError, Reader};
use rejoinder_playbook::draft::{Candidate, Passage};
use rejoinder_playbook::sentence;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// Candidates per question.
pub const CANDIDATES_MAX: usize = 5;
/// The part of a score that shared words make; the rest is the embeddings' similarity.
const WORDS_SHARE: f32 = 0.4;

#[derive(Debug)]
struct Indexed {
    passage: Passage,
    whole: Embedding,
    sentences: Vec<Embedding>,
}

/// The quotable passages of one workspace at one version of its playbook.
#[derive(Debug)]
pub struct PassageIndex {
    version: i64,
    passages: Vec<Indexed>,
    words: Words,
}

/// The indexes by workspace; read again when the playbook's version has changed.
#[derive(Debug, Default)]
pub struct PassageIndexes {
    by_workspace: Mutex<HashMap<String, Arc<PassageIndex>>>,
}

#[derive(Debug, thiserror::Error)]
pub enum PassagesError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("the passages could not be embedded: {0}")]
    Read(#[from] ReadError),
}

impl PassageIndexes {
    /// The index of a workspace at this version; embeddings of other weights are made anew and stored.
    pub(crate) async fn get(
        &self,
        store: &Store,
        reader: &Reader,
        workspace_id: &str,
        version: i64,
    ) -> Result<Arc<PassageIndex>, PassagesError> {
        {
            let indexes = self.by_workspace.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(index) = indexes.get(workspace_id).filter(|index| index.version == version) {
                return Ok(Arc::clone(index));
            }
        }
        let mut passages = Vec::new();
        for stored in store.current_passages(workspace_id).await? {
            if !is_quotable(&stored.passage.kind) {
                continue;
            }
            let sentences = sentence::split(&stored.passage.body).len();
            let known = (stored.model == reader.model_name()).then(|| unpack(&stored.embeddings, sentences)).flatten();
            let embeddings = match known {
                Some(embeddings) => embeddings,
                None => {
                    let embeddings = embed_passage(reader, &stored.passage.heading, &stored.passage.body).await?;
                    store.put_embeddings(&stored.passage.id, reader.model_name(), &pack(&embeddings)).await?;
                    embeddings
                }
            };
            let mut embeddings = embeddings.into_iter();
            if let Some(whole) = embeddings.next() {
                passages.push(Indexed { passage: stored.passage, whole, sentences: embeddings.collect() });
            }
        }
        let words = Words::of(passages.iter().map(|indexed| indexed.passage.body.as_str()));
        let index = Arc::new(PassageIndex { version, passages, words });
        let mut indexes = self.by_workspace.lock().unwrap_or_else(PoisonError::into_inner);
        indexes.insert(workspace_id.to_owned(), Arc::clone(&index));
        Ok(index)
    }
}

impl PassageIndex {
    /// The passages nearest to a question, best first, with a score for each of their sentences.
    #[must_use]
    pub fn find(&self, question: &str, embedding: &Embedding) -> Vec<Candidate<'_>> {
        let mut candidates: Vec<Candidate<'_>> = self
            .passages
            .iter()
            .map(|indexed| {
                let passage = &indexed.passage;
                let near = |text: &str, other: &Embedding| {
                    let words = self.words.overlap(question, &format!("{} {text}", passage.heading));
                    WORDS_SHARE * words + (1.0 - WORDS_SHARE) * embedding.dot(other)
                };
                let sentences = sentence::split(&passage.body);
                Candidate {
                    passage,
                    score: near(&passage.body, &indexed.whole),
                    sentence_scores: sentences
                        .iter()
                        .zip(&indexed.sentences)
                        .map(|(text, each)| near(text, each))
                        .collect(),
                }
            })
            .collect();
        // A passage is as near as its nearest part: a long one is not punished for what else it says.
        let best =
            |candidate: &Candidate<'_>| candidate.sentence_scores.iter().copied().fold(candidate.score, f32::max);
        candidates.sort_by(|left, right| best(right).total_cmp(&best(left)));
        candidates.truncate(CANDIDATES_MAX);
        candidates
    }
}

/// One embedding of the whole under its heading, then one per sentence.
pub(crate) async fn embed_passage(reader: &Reader, heading: &str, body: &str) -> Result<Vec<Embedding>, ReadError> {
    let mut texts = vec![format!("{heading}. {body}")];
    texts.extend(sentence::split(body).into_iter().map(|each| format!("{heading}. {each}")));
    reader.embed(texts).await
}

/// For the database: one after the other.
pub(crate) fn pack(embeddings: &[Embedding]) -> Vec<u8> {
    embeddings.iter().flat_map(Embedding::to_bytes).collect()
}

fn unpack(bytes: &[u8], sentences: usize) -> Option<Vec<Embedding>> {
    let count = sentences.checked_add(1)?;
    let each = bytes.len().checked_div(count)?;
    if each == 0 || each.checked_mul(count)? != bytes.len() {
        return None;
    }
    bytes.chunks_exact(each).map(Embedding::from_bytes).collect()
}
