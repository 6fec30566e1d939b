//! Tokens, encoder, heads and calibration as one: texts in, scores and readings out, on the calling thread.
//! It must never be shared between threads; `worker` owns the one there is.

use rejoinder_playbook::reading::Reading;

use crate::calibration::Calibration;
use crate::encoder::Encoder;
use crate::heads::{Heads, Scores};
use crate::text::Splitter;
use crate::weights::{Weights, WeightsError};

/// Everything that the weights file holds, ready to run.
#[derive(Debug)]
pub(crate) struct Model {
    splitter: Splitter,
    encoder: Encoder,
    heads: Heads,
    pub(crate) calibration: Calibration,
}

impl Model {
    pub(crate) fn new(weights: &Weights<'_>, reply_tokens_max: usize) -> Result<Self, WeightsError> {
        Ok(Self {
            splitter: Splitter::new(weights, reply_tokens_max)?,
            encoder: Encoder::new(weights)?,
            heads: Heads::new(weights)?,
            calibration: Calibration::new(weights)?,
        })
    }

    /// The scores of each text, in their order.
    pub(crate) fn scores(&self, texts: &[&str]) -> Result<Vec<Scores>, String> {
        let ids = texts.iter().map(|text| self.splitter.token_ids(text)).collect::<Result<Vec<_>, _>>()?;
        let hidden = self.encoder.encode(&ids).map_err(|error| error.to_string())?;
        Ok(hidden.iter().map(|hidden| self.heads.scores(hidden)).collect())
    }

    pub(crate) fn reading(&self, text: &str, scores: &Scores) -> Reading {
        if text.trim().is_empty() { self.calibration.reading_of_nothing() } else { self.calibration.reading(scores) }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::path::Path;

    use rejoinder_playbook::reading::{Intent, Sentiment};
    use serde::Deserialize;

    use super::*;

    #[derive(Deserialize)]
    struct Parity {
        text: String,
        intent_logits: Vec<f32>,
        sentiment_logits: Vec<f32>,
        embedding_start: Vec<f32>,
    }

    #[derive(Deserialize)]
    struct Reply {
        text: String,
        intent: Intent,
        sentiment: Sentiment,
    }

    fn model() -> Model {
        Model::new(&Weights::embedded().expect("the weights open"), 256).expect("the model loads")
    }

    fn near(a: &[f32], b: &[f32], tolerance: f32) -> bool {
        a.len() >= b.len() && a.iter().zip(b).all(|(a, b)| (a - b).abs() < tolerance)
    }

    fn place_of_highest(scores: &[f32]) -> usize {
        (0..scores.len()).max_by(|a, b| scores[*a].total_cmp(&scores[*b])).expect("there are scores")
    }

    /// The replies of the development split, from the same files that training reads.
    fn development() -> Vec<Reply> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("train");
        let read = |name: &str| std::fs::read_to_string(folder.join(name)).expect("the training data is there");
        let files: HashMap<&str, String> = ["t1", "t2", "t3", "t4", "t5"]
            .into_iter()
            .map(|name| (name, read(&format!("data/{name}.jsonl"))))
            .collect();
        let ids = read("development.txt");
        let line = |id: &str| {
            let (file, number) = id.split_once(':').expect("an id is file:line");
            let number: usize = number.parse().expect("a line number");
            serde_json::from_str(files[file].lines().nth(number - 1).expect("the line is there")).expect("a reply")
        };
        ids.lines().map(line).collect()
    }

    fn macro_f1(pairs: &[(usize, usize)], labels: usize) -> f64 {
        let score = |label: usize| {
            let hit = pairs.iter().filter(|(truth, guess)| *truth == label && *guess == label).count() as f64;
            let truth = pairs.iter().filter(|(truth, _)| *truth == label).count() as f64;
            let guess = pairs.iter().filter(|(_, guess)| *guess == label).count() as f64;
            if truth + guess == 0.0 { 0.0 } else { 2.0 * hit / (truth + guess) }
        };
        (0..labels).map(score).sum::<f64>() / labels as f64
    }

    #[test]
    fn it_reads_as_the_network_that_was_trained() {
        let rows: Vec<Parity> = serde_json::from_str(include_str!("../tests/parity.json")).expect("the fixture parses");
        assert_eq!(rows.len(), 20);
        let model = model();
        for row in rows {
            let scores = model.scores(&[&row.text]).expect("it scores").remove(0);
            assert!(near(&scores.intent, &row.intent_logits, 2e-3), "{}: {:?}", row.text, scores.intent);
            assert!(near(&scores.sentiment, &row.sentiment_logits, 2e-3), "{}: {:?}", row.text, scores.sentiment);
            assert!(near(scores.embedding.as_slice(), &row.embedding_start, 5e-4), "{}", row.text);
            assert_eq!(place_of_highest(&scores.intent), place_of_highest(&row.intent_logits), "{}", row.text);
        }
    }

    #[test]
    fn a_batch_reads_as_its_texts_one_by_one() {
        let model = model();
        let texts: Vec<String> = development().into_iter().step_by(20).map(|reply| reply.text).collect();
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        for (text, batched) in texts.iter().zip(model.scores(&texts).expect("it scores")) {
            let alone = model.scores(&[text]).expect("it scores").remove(0);
            assert!(near(&alone.intent, &batched.intent, 1e-3), "{text}");
            assert_eq!(model.reading(text, &alone).intent, model.reading(text, &batched).intent, "{text}");
            assert!(near(alone.embedding.as_slice(), batched.embedding.as_slice(), 1e-4), "{text}");
        }
    }

    #[test]
    fn the_development_scores_are_those_of_the_card() {
        let card: toml::Table = include_str!("../card.toml").parse().expect("the card is TOML");
        let model = model();
        let (mut intents, mut moods) = (Vec::new(), Vec::new());
        let replies = development();
        for batch in replies.chunks(16) {
            let texts: Vec<&str> = batch.iter().map(|reply| reply.text.as_str()).collect();
            for (reply, scores) in batch.iter().zip(model.scores(&texts).expect("it scores")) {
                let reading = model.reading(&reply.text, &scores);
                intents.push((reply.intent as usize, reading.intent as usize));
                moods.push((reply.sentiment as usize, reading.sentiment as usize));
            }
        }
        let claimed = |name: &str| card["scores"][name].as_float().expect("a score");
        let (intent, mood) = (macro_f1(&intents, Intent::ALL.len()), macro_f1(&moods, Sentiment::ALL.len()));
        assert!((intent - claimed("macro_f1")).abs() < 0.005, "intent macro-F1 {intent}");
        assert!((mood - claimed("sentiment_macro_f1")).abs() < 0.005, "sentiment macro-F1 {mood}");
        assert_eq!(card["scores"]["replies"].as_integer(), Some(replies.len() as i64));
    }

    #[test]
    fn an_empty_text_is_other_and_unsure() {
        let model = model();
        for text in ["", "  \n\t "] {
            let reading = model.reading(text, &model.scores(&[text]).expect("it scores").remove(0));
            assert_eq!((reading.intent, reading.unsure), (Intent::Other, true));
        }
    }
}
