//! What is made of one text's token vectors: its embedding, and the raw scores of intent, presence and sentiment.
//! It must never turn scores into labels; `calibration` does.

use rejoinder_playbook::reading::{Intent, Sentiment};

use crate::Embedding;
use crate::weights::{WIDTH, Weights, WeightsError};

/// The heads' weights, all f32: they are small.
#[derive(Debug)]
pub(crate) struct Heads {
    query: Vec<f32>,
    dense: Dense,
    intent: Dense,
    present: Dense,
    sentiment: Dense,
}

/// The raw scores of one text.
#[derive(Debug)]
pub(crate) struct Scores {
    /// In the order of `Intent::ALL`, exclusive of each other.
    pub(crate) intent: Vec<f32>,
    /// In the order of `Intent::ALL`, each for itself.
    pub(crate) present: Vec<f32>,
    /// In the order of `Sentiment::ALL`.
    pub(crate) sentiment: Vec<f32>,
    pub(crate) embedding: Embedding,
}

#[derive(Debug)]
struct Dense {
    weight: Vec<f32>,
    bias: Vec<f32>,
}

impl Dense {
    fn new(weights: &Weights<'_>, name: &str, outputs: usize, inputs: usize) -> Result<Self, WeightsError> {
        Ok(Self {
            weight: weights.floats(&format!("head.{name}.weight"), &[outputs, inputs])?,
            bias: weights.floats(&format!("head.{name}.bias"), &[outputs])?,
        })
    }

    fn forward(&self, input: &[f32]) -> Vec<f32> {
        let rows = self.weight.chunks_exact(input.len()).zip(&self.bias);
        rows.map(|(row, bias)| dot(row, input) + bias).collect()
    }
}

fn dot(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

pub(crate) fn softmax(scores: impl Iterator<Item = f32> + Clone) -> Vec<f32> {
    let highest = scores.clone().fold(f32::NEG_INFINITY, f32::max);
    let raised: Vec<f32> = scores.map(|score| (score - highest).exp()).collect();
    let sum = raised.iter().sum::<f32>();
    raised.into_iter().map(|value| value / sum).collect()
}

impl Heads {
    pub(crate) fn new(weights: &Weights<'_>) -> Result<Self, WeightsError> {
        Ok(Self {
            query: weights.floats("pool.query", &[WIDTH])?,
            dense: Dense::new(weights, "dense", WIDTH, 2 * WIDTH)?,
            intent: Dense::new(weights, "intent", Intent::ALL.len(), WIDTH)?,
            present: Dense::new(weights, "present", Intent::ALL.len(), WIDTH)?,
            sentiment: Dense::new(weights, "sentiment", Sentiment::ALL.len(), WIDTH)?,
        })
    }

    /// The heads look at the first token and at an attention pooling of their own; the embedding is the plain mean.
    pub(crate) fn scores(&self, hidden: &[f32]) -> Scores {
        let tokens = || hidden.chunks_exact(WIDTH);
        let shares = softmax(tokens().map(|token| dot(token, &self.query)).collect::<Vec<_>>().into_iter());
        let mut pooled: Vec<f32> = tokens().next().unwrap_or(&[0.0; WIDTH]).to_vec();
        pooled.append(&mut weighted_sum(tokens().zip(shares)));
        let state: Vec<f32> = self.dense.forward(&pooled).into_iter().map(f32::tanh).collect();
        Scores {
            intent: self.intent.forward(&state),
            present: self.present.forward(&state),
            sentiment: self.sentiment.forward(&state),
            embedding: Embedding::normalised(weighted_sum(tokens().zip(std::iter::repeat(1.0)))),
        }
    }
}

fn weighted_sum<'a>(tokens: impl Iterator<Item = (&'a [f32], f32)>) -> Vec<f32> {
    let mut sum = vec![0.0; WIDTH];
    for (token, share) in tokens {
        sum.iter_mut().zip(token).for_each(|(sum, value)| *sum += share * value);
    }
    sum
}
