//! What a team's plugin said about one reply, and how rulings combine with a verdict.
//! A ruling must never loosen anything: it can only make the outcome more careful.

use serde::{Deserialize, Serialize};

/// A plugin's answer, from the least to the most careful.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "ruling", rename_all = "snake_case")]
pub enum Ruling {
    /// No objection.
    Proceed,
    /// A person must see the draft before it goes out.
    Review { reason: String },
    /// A person must answer. `to` is the plugin's wish for an owner, if it has one.
    HandOff { reason: String, to: Option<String> },
    /// Nothing may be sent to this lead about this reply.
    Suppress { reason: String },
}

impl Ruling {
    /// How careful it is: higher is more careful.
    #[must_use]
    pub fn strictness(&self) -> u8 {
        match self {
            Ruling::Proceed => 0,
            Ruling::Review { .. } => 1,
            Ruling::HandOff { .. } => 2,
            Ruling::Suppress { .. } => 3,
        }
    }
}

/// What came of asking a plugin.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum RulingOutcome {
    /// It ruled.
    Ruled { plugin: String, ruling: Ruling },
    /// It trapped, ran out of a limit, could not be loaded or talked nonsense. Leads to a person, never to a send.
    Unavailable { plugin: String, why: String },
}

impl RulingOutcome {
    #[must_use]
    pub fn plugin(&self) -> &str {
        match self {
            RulingOutcome::Ruled { plugin, .. } | RulingOutcome::Unavailable { plugin, .. } => plugin,
        }
    }
}
