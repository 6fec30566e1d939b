//! What the model read in one reply: intent, other intents present, sentiment, and how sure it is.
//! It must never decide anything: it states what stands in the text, `decision` says what follows.

use serde::{Deserialize, Serialize};

/// The channel a message came in on or goes out on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Channel {
    Email,
    Sms,
    Voice,
}

impl Channel {
    pub const ALL: [Channel; 3] = [Channel::Email, Channel::Sms, Channel::Voice];

    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Channel::Email => "email",
            Channel::Sms => "sms",
            Channel::Voice => "voice",
        }
    }

    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|channel| channel.name() == name)
    }
}

/// What a lead wants with a reply. The order is that of the label guide: if several are present,
/// the first of this order is the intent and the rest are `also`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Intent {
    AutoReply,
    Unsubscribe,
    Complaint,
    WrongPerson,
    NotInterested,
    MeetingRequest,
    Competitor,
    PriceObjection,
    ExpertQuestion,
    NotNow,
    SimpleQuestion,
    Interested,
    Other,
}

impl Intent {
    /// Every intent, in the order of precedence; the model's heads use this order too.
    pub const ALL: [Intent; 13] = [
        Intent::AutoReply,
        Intent::Unsubscribe,
        Intent::Complaint,
        Intent::WrongPerson,
        Intent::NotInterested,
        Intent::MeetingRequest,
        Intent::Competitor,
        Intent::PriceObjection,
        Intent::ExpertQuestion,
        Intent::NotNow,
        Intent::SimpleQuestion,
        Intent::Interested,
        Intent::Other,
    ];

    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Intent::AutoReply => "auto_reply",
            Intent::Unsubscribe => "unsubscribe",
            Intent::Complaint => "complaint",
            Intent::WrongPerson => "wrong_person",
            Intent::NotInterested => "not_interested",
            Intent::MeetingRequest => "meeting_request",
            Intent::Competitor => "competitor",
            Intent::PriceObjection => "price_objection",
            Intent::ExpertQuestion => "expert_question",
            Intent::NotNow => "not_now",
            Intent::SimpleQuestion => "simple_question",
            Intent::Interested => "interested",
            Intent::Other => "other",
        }
    }

    /// The same in words for a person.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Intent::AutoReply => "automatic reply",
            Intent::Unsubscribe => "wants no more messages",
            Intent::Complaint => "complaint",
            Intent::WrongPerson => "wrong person",
            Intent::NotInterested => "not interested",
            Intent::MeetingRequest => "wants a call or meeting",
            Intent::Competitor => "compares with a competitor",
            Intent::PriceObjection => "objects to the price",
            Intent::ExpertQuestion => "question for an expert",
            Intent::NotNow => "not now",
            Intent::SimpleQuestion => "simple question",
            Intent::Interested => "interested",
            Intent::Other => "other",
        }
    }

    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|intent| intent.name() == name)
    }
}

/// The lead's mood toward going on with the conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Sentiment {
    Positive,
    Neutral,
    Negative,
}

impl Sentiment {
    /// Every sentiment; the model's head uses this order.
    pub const ALL: [Sentiment; 3] = [Sentiment::Positive, Sentiment::Neutral, Sentiment::Negative];

    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Sentiment::Positive => "positive",
            Sentiment::Neutral => "neutral",
            Sentiment::Negative => "negative",
        }
    }

    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|sentiment| sentiment.name() == name)
    }
}

/// What the model read. Probabilities are calibrated and in 0..=1.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Reading {
    pub intent: Intent,
    /// The other intents present, in the order of `Intent::ALL`.
    pub also: Vec<Intent>,
    pub sentiment: Sentiment,
    /// Calibrated probability that `intent` is right, in 0..=1.
    pub confidence: f32,
    /// The reader itself says that a person should look: low confidence or text unlike any it knows.
    pub unsure: bool,
    /// One calibrated probability per intent, in the order of `Intent::ALL`.
    pub probabilities: Vec<f32>,
    /// Which weights read it, for the audit ("sha256:<first 12 hex digits>").
    pub model: String,
}

impl Reading {
    /// The probability of one intent, 0 if the reader gave none.
    #[must_use]
    pub fn probability(&self, intent: Intent) -> f32 {
        Intent::ALL.into_iter().zip(&self.probabilities).find(|(each, _)| *each == intent).map_or(0.0, |(_, p)| *p)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_back() {
        for intent in Intent::ALL {
            assert_eq!(Intent::parse(intent.name()), Some(intent));
            assert_eq!(serde_json::to_string(&intent).ok(), Some(format!("\"{}\"", intent.name())));
        }
        for sentiment in Sentiment::ALL {
            assert_eq!(Sentiment::parse(sentiment.name()), Some(sentiment));
        }
        assert_eq!(Intent::parse("angry"), None);
    }
}
