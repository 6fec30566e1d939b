//! What a decision is made of: the verdict, the reasons for it, and the effects as data.
//! It must never carry anything out, and no effect may ask for a message to be sent.

use crate::lead::Stage;
use serde::{Deserialize, Serialize};

/// What is to happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// The lead wants no more messages: never again.
    OptOut,
    /// A person answers.
    HandOff,
    /// A person reviews the draft.
    Review,
    /// A machine answered: go on later.
    Wait,
    /// The address does not exist: never again to it.
    Bounce,
}

impl Verdict {
    pub const ALL: [Verdict; 5] = [Verdict::OptOut, Verdict::HandOff, Verdict::Review, Verdict::Wait, Verdict::Bounce];

    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Verdict::OptOut => "opt_out",
            Verdict::HandOff => "hand_off",
            Verdict::Review => "review",
            Verdict::Wait => "wait",
            Verdict::Bounce => "bounce",
        }
    }

    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|verdict| verdict.name() == name)
    }

    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Verdict::OptOut => "opted out, never written to again",
            Verdict::HandOff => "handed to a person",
            Verdict::Review => "draft awaits review",
            Verdict::Wait => "sequence waits, then goes on",
            Verdict::Bounce => "address suppressed",
        }
    }
}

/// One step of the reasoning: the rule and what it saw.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reason {
    pub rule: String,
    pub words: String,
}

/// What the store does in the transaction of the decision.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "effect", rename_all = "snake_case")]
pub enum Effect {
    /// Never written to again: the address named, the lead's, and the one a person replied from.
    Suppress {
        address: Option<String>,
        cause: String,
        proof: String,
    },
    /// All enrollments of the lead end.
    EndEnrollments {
        cause: String,
    },
    /// All paused enrollments go on at this time.
    ResumeEnrollments {
        at_ms: i64,
    },
    SetStage {
        stage: Stage,
    },
    /// The lead is looked at again at this time.
    Revisit {
        at_ms: i64,
    },
    /// A person has the conversation; nothing automatic goes out.
    AssignOwner {
        owner: String,
    },
    /// A person reviews the draft.
    OpenReview {
        owner: String,
        due_ms: i64,
        reason: String,
    },
    /// A person answers, with the draft as a suggestion where there is one.
    OpenHandOff {
        owner: String,
        due_ms: i64,
        reason: String,
        call_back: Option<String>,
    },
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Decision {
    pub verdict: Verdict,
    /// In order of the reasoning; the last one decided.
    pub reasons: Vec<Reason>,
    pub effects: Vec<Effect>,
}
