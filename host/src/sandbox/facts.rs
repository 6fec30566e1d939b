//! What a plugin is told about one reply. The record of the same name in `wit/` explains each field.
//! It must never hold a lead's name, address or number, nor anything that changes between two looks at the same reply.

use rejoinder_playbook::reading::{Channel, Intent, Reading, Sentiment};
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ReplyFacts {
    pub now_ms: i64,
    pub received_ms: i64,
    pub channel: Channel,
    pub text: String,
    pub stage: String,
    pub sequence: Option<String>,
    pub touches_sent: u32,
    /// The lead's own fields: name and value.
    pub lead: Vec<(String, String)>,
    /// The plugin's settings: name and value.
    pub settings: Vec<(String, String)>,
    /// None when the reading failed.
    pub reading: Option<Reading>,
}

impl ReplyFacts {
    /// Facts of an invented reply, for trying a plugin out.
    #[must_use]
    pub fn sample() -> Self {
        let pairs = |pairs: &[(&str, &str)]| {
            pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
        };
        Self {
            now_ms: 1_795_000_030_000,
            received_ms: 1_795_000_000_000,
            channel: Channel::Email,
            text: "Thanks for the note. Does it work with our calendar, and what would it cost for 40 people?"
                .to_owned(),
            stage: "contacted".to_owned(),
            sequence: Some("spring-outreach".to_owned()),
            touches_sent: 2,
            lead: pairs(&[("annual_revenue_usd", "4200000"), ("industry", "logistics"), ("seats", "40")]),
            settings: Vec::new(),
            reading: Some(Reading {
                intent: Intent::SimpleQuestion,
                also: vec![Intent::Interested],
                sentiment: Sentiment::Positive,
                confidence: 0.91,
                unsure: false,
                probabilities: Vec::new(),
                model: "sample".to_owned(),
            }),
        }
    }

    /// The bytes of all its text.
    pub(super) fn text_bytes(&self) -> usize {
        let pairs = self.lead.iter().chain(&self.settings).map(|(name, value)| name.len() + value.len());
        self.text.len() + self.stage.len() + self.sequence.as_ref().map_or(0, String::len) + pairs.sum::<usize>()
    }
}
