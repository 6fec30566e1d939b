//! From raw scores to a reading: calibrated probabilities, the intents present, and whether the reader is sure.
//! It must never call a text sure that is unlike the replies the reader has learned from.

use std::sync::Arc;

use rejoinder_playbook::reading::{Intent, Reading, Sentiment};

use crate::heads::{Scores, softmax};
use crate::weights::{Rows, Settings, WIDTH, Weights, WeightsError};

/// Temperature, thresholds, and the embeddings of the replies the reader has learned from.
#[derive(Debug)]
pub(crate) struct Calibration {
    settings: Settings,
    familiar: Rows,
    model: Arc<str>,
}

impl Calibration {
    pub(crate) fn new(weights: &Weights<'_>) -> Result<Self, WeightsError> {
        Ok(Self {
            settings: weights.settings.clone(),
            familiar: weights.rows("familiar", WIDTH)?,
            model: weights.fingerprint.as_str().into(),
        })
    }

    pub(crate) fn model(&self) -> Arc<str> {
        Arc::clone(&self.model)
    }

    pub(crate) fn reading(&self, scores: &Scores) -> Reading {
        let probabilities = softmax(scores.intent.iter().map(|score| score / self.settings.temperature));
        let (intent, confidence) = highest(Intent::ALL, &probabilities).unwrap_or((Intent::Other, 0.0));
        let (sentiment, _) = highest(Sentiment::ALL, &scores.sentiment).unwrap_or((Sentiment::Neutral, 0.0));
        let nearest = self.familiar.products(scores.embedding.as_slice()).fold(-1.0, f32::max);
        Reading {
            intent,
            also: self.also(intent, &scores.present),
            sentiment,
            confidence,
            unsure: confidence < self.settings.sure_confidence || nearest < self.settings.familiar_cosine,
            probabilities,
            model: self.model.to_string(),
        }
    }

    /// An empty text says nothing: `other`, every intent as likely as the next, and a person should look.
    pub(crate) fn reading_of_nothing(&self) -> Reading {
        let share = 1.0 / Intent::ALL.len() as f32;
        Reading {
            intent: Intent::Other,
            also: Vec::new(),
            sentiment: Sentiment::Neutral,
            confidence: share,
            unsure: true,
            probabilities: vec![share; Intent::ALL.len()],
            model: self.model.to_string(),
        }
    }

    /// By the label guide the intent is the first in the order of all that are present, so only later ones can be `also`;
    /// a machine means nothing more than that it is one, and `other` stands only alone.
    fn also(&self, intent: Intent, present: &[f32]) -> Vec<Intent> {
        if intent == Intent::AutoReply {
            return Vec::new();
        }
        let bounded = Intent::ALL.into_iter().zip(present).zip(&self.settings.also_probability);
        bounded
            .filter(|((each, score), bound)| {
                *each > intent && *each != Intent::Other && (1.0 + (-**score).exp()).recip() >= **bound
            })
            .map(|((each, _), _)| each)
            .collect()
    }
}

fn highest<T: Copy, const N: usize>(labels: [T; N], scores: &[f32]) -> Option<(T, f32)> {
    labels.into_iter().zip(scores.iter().copied()).reduce(|best, next| if next.1 > best.1 { next } else { best })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Embedding;

    fn calibration() -> Calibration {
        Calibration::new(&Weights::embedded().expect("the weights open")).expect("it loads")
    }

    fn scores(intent: Intent, present: &[Intent], embedding: Vec<f32>) -> Scores {
        let high = |is: bool| if is { 9.0 } else { -9.0 };
        Scores {
            intent: Intent::ALL.map(|each| high(each == intent)).to_vec(),
            present: Intent::ALL.map(|each| high(present.contains(&each))).to_vec(),
            sentiment: vec![0.0, 1.0, 0.0],
            embedding: Embedding::normalised(embedding),
        }
    }

    fn known(calibration: &Calibration) -> Vec<f32> {
        let mut row = vec![0.0; WIDTH];
        calibration.familiar.add_row(0, &mut row);
        row
    }

    #[test]
    fn a_clear_score_on_a_known_text_is_sure_and_also_holds_later_intents_only() {
        let calibration = calibration();
        let scores =
            scores(Intent::Competitor, &[Intent::Complaint, Intent::Competitor, Intent::NotNow], known(&calibration));
        let reading = calibration.reading(&scores);
        assert_eq!(
            (reading.intent, reading.also.as_slice(), reading.unsure),
            (Intent::Competitor, [Intent::NotNow].as_slice(), false)
        );
        assert!((reading.probabilities.iter().sum::<f32>() - 1.0).abs() < 1e-4);
    }

    #[test]
    fn a_text_unlike_any_known_is_unsure_however_clear_its_score() {
        let calibration = calibration();
        let opposite = known(&calibration).iter().map(|value| -value).collect();
        assert!(calibration.reading(&scores(Intent::NotNow, &[], opposite)).unsure);
    }

    #[test]
    fn even_scores_are_unsure() {
        let calibration = calibration();
        let mut scores = scores(Intent::NotNow, &[], known(&calibration));
        scores.intent.fill(0.0);
        assert!(calibration.reading(&scores).unsure);
    }

    #[test]
    fn a_machine_means_nothing_more() {
        let calibration = calibration();
        let reading = calibration.reading(&scores(Intent::AutoReply, &[Intent::NotNow], known(&calibration)));
        assert!(reading.also.is_empty());
    }
}
