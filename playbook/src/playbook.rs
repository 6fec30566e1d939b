//! The playbook's settings: who writes, in what tone, what always goes to a person, how long to wait.
//! It must never be half read: a file with an unknown, missing or impossible setting is refused whole, with every fault named.

use crate::address::EmailAddress;
use crate::reading::Intent;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The longest time a setting may span.
const DAYS_MAX: u32 = 3650;
const HOURS_MAX: u32 = 24 * 30;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Playbook {
    pub name: String,
    pub company: String,
    /// Stands in the footer of every message; the law asks for it.
    pub postal_address: String,
    /// IANA name; where a lead has none.
    pub time_zone: String,
    pub sender: Sender,
    pub tone: Tone,
    pub courtesies: Courtesies,
    pub governance: Governance,
    pub revisit_days: RevisitDays,
    pub handoff_due_hours: HandOffDueHours,
    pub caps: Caps,
    pub owners: Vec<Owner>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sender {
    pub name: String,
    pub address: EmailAddress,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tone {
    /// A template over the lead's fields.
    pub greeting: String,
    /// Lines between the last sentence and the signature.
    pub closing: Vec<String>,
    pub signature: Vec<String>,
    /// Sentences between greeting and closing, at most.
    pub sentences_max: usize,
    /// Whole words or phrases, letter case ignored.
    pub banned_words: Vec<String>,
}

/// Sentences that may stand in a draft without a citation. They state no fact.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Courtesies {
    pub thanks: Vec<String>,
    pub close: Vec<String>,
    pub next_step: Vec<String>,
    /// By intent: shows that the reply was understood.
    pub acknowledgement: BTreeMap<String, Vec<String>>,
}

/// How a draft leaves. Automatic sending does not exist in this version, so it cannot be written here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    Review,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IntentRule {
    pub mode: Mode,
    /// Below this calibrated confidence (0..=1) a person decides; the general one where it is absent.
    pub confidence_min: Option<f32>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Governance {
    /// Below this calibrated confidence (0..=1) a person decides.
    pub confidence_min: f32,
    /// From this probability (0..=1) of an opt-out on, the opt-out is honoured although another intent is likelier.
    pub opt_out_doubt: f32,
    /// The least similarity (cosine, 0..=1) at which a passage counts as an answer.
    pub support_min: f32,
    /// Words that always bring a person in.
    #[serde(default)]
    pub escalate_words: Vec<String>,
    #[serde(default)]
    pub intents: BTreeMap<String, IntentRule>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RevisitDays {
    pub not_interested: u32,
    pub not_now: u32,
    pub auto_reply: u32,
    /// After an answer to which no further reply came.
    #[serde(default = "answered_days")]
    pub answered: u32,
}

fn answered_days() -> u32 {
    7
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HandOffDueHours {
    pub default: u32,
    pub complaint: u32,
    pub meeting_request: u32,
    /// For drafts that await a review.
    pub review: u32,
}

/// How many automatic messages a lead may get over all sequences.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Caps {
    pub emails_per_7_days_max: u32,
}

/// A person who takes hand-offs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Owner {
    pub name: String,
    pub address: EmailAddress,
    #[serde(default)]
    pub territory: String,
}

/// Everything that is wrong with a playbook file, one sentence each.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("the playbook cannot be used: {}", .faults.join("; "))]
pub struct PlaybookError {
    pub faults: Vec<String>,
}

impl Playbook {
    /// Reads and checks a playbook.
    pub fn parse(text: &str) -> Result<Self, PlaybookError> {
        let playbook: Playbook = toml::from_str(text)
            .map_err(|error| PlaybookError { faults: vec![error.to_string().trim().replace('\n', " ")] })?;
        let faults = playbook.faults();
        if faults.is_empty() { Ok(playbook) } else { Err(PlaybookError { faults }) }
    }

    fn faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        for (name, value) in
            [("name", &self.name), ("company", &self.company), ("postal_address", &self.postal_address)]
        {
            if value.trim().is_empty() {
                faults.push(format!("`{name}` is empty; fill it in"));
            }
        }
        if jiff::tz::TimeZone::get(&self.time_zone).is_err() {
            faults.push(format!("`time_zone` “{}” is not an IANA time zone such as America/Chicago", self.time_zone));
        }
        for name in self.courtesies.acknowledgement.keys().chain(self.governance.intents.keys()) {
            if Intent::parse(name).is_none() {
                let names: Vec<&str> = Intent::ALL.iter().map(|intent| intent.name()).collect();
                faults.push(format!("“{name}” is no intent; use one of {}", names.join(", ")));
            }
        }
        let governance = &self.governance;
        let shares = [
            ("governance.confidence_min", governance.confidence_min),
            ("governance.opt_out_doubt", governance.opt_out_doubt),
            ("governance.support_min", governance.support_min),
        ];
        let by_intent = governance
            .intents
            .iter()
            .filter_map(|(name, rule)| rule.confidence_min.map(|value| (name.as_str(), value)));
        for (name, value) in shares.into_iter().chain(by_intent) {
            if !(0.0..=1.0).contains(&value) {
                faults.push(format!("`{name}` is {value}; it must be between 0 and 1"));
            }
        }
        for (name, days) in [
            ("not_interested", self.revisit_days.not_interested),
            ("not_now", self.revisit_days.not_now),
            ("auto_reply", self.revisit_days.auto_reply),
            ("answered", self.revisit_days.answered),
        ] {
            if days == 0 || days > DAYS_MAX {
                faults.push(format!("`revisit_days.{name}` is {days}; it must be between 1 and {DAYS_MAX} days"));
            }
        }
        let due = &self.handoff_due_hours;
        for (name, hours) in [
            ("default", due.default),
            ("complaint", due.complaint),
            ("meeting_request", due.meeting_request),
            ("review", due.review),
        ] {
            if hours == 0 || hours > HOURS_MAX {
                faults
                    .push(format!("`handoff_due_hours.{name}` is {hours}; it must be between 1 and {HOURS_MAX} hours"));
            }
        }
        if self.tone.sentences_max == 0 {
            faults.push("`tone.sentences_max` is 0; allow at least one sentence".to_owned());
        }
        if self.owners.is_empty() {
            faults.push("`owners` is empty; name at least one person who takes hand-offs".to_owned());
        }
        faults
    }

    /// The confidence that this intent needs before anything but a person may follow from it.
    #[must_use]
    pub fn confidence_min(&self, intent: Intent) -> f32 {
        let rule = self.governance.intents.get(intent.name());
        rule.and_then(|rule| rule.confidence_min).unwrap_or(self.governance.confidence_min)
    }

    /// Hours until a hand-off about this intent is due.
    #[must_use]
    pub fn hand_off_hours(&self, intent: Option<Intent>) -> u32 {
        match intent {
            Some(Intent::Complaint) => self.handoff_due_hours.complaint,
            Some(Intent::MeetingRequest) => self.handoff_due_hours.meeting_request,
            _ => self.handoff_due_hours.default,
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A small playbook for the tests of this crate.
    pub(crate) fn sample() -> Playbook {
        Playbook::parse(SAMPLE).expect("the sample is sound")
    }

    const SAMPLE: &str = r#"
name = "Sample"
company = "Harbourlight"
postal_address = "1 Quay Street, Austin, TX 78701"
time_zone = "America/Chicago"
[sender]
name = "Mara"
address = "mara@harbourlight.example"
[tone]
greeting = "Hi {{ first_name }},"
closing = ["Best,"]
signature = ["Mara"]
sentences_max = 6
banned_words = ["revolutionary"]
[courtesies]
thanks = ["Thanks for your reply."]
close = ["Just reply here."]
next_step = ["Shall I show you?"]
[courtesies.acknowledgement]
simple_question = ["Thanks for asking."]
not_interested = ["Thanks for telling me."]
interested = ["Good to hear."]
[governance]
confidence_min = 0.6
opt_out_doubt = 0.3
support_min = 0.4
escalate_words = ["lawyer"]
[governance.intents.other]
mode = "review"
[revisit_days]
not_interested = 90
not_now = 30
auto_reply = 7
[handoff_due_hours]
default = 4
complaint = 1
meeting_request = 2
review = 8
[caps]
emails_per_7_days_max = 2
[[owners]]
name = "Jo"
address = "jo@harbourlight.example"
"#;

    #[test]
    fn every_fault_is_named_at_once() {
        let broken = SAMPLE
            .replace("America/Chicago", "Mars/Olympus")
            .replace("support_min = 0.4", "support_min = 4.0")
            .replace("\ninterested =", "\ndelighted =");
        let error = Playbook::parse(&broken).expect_err("three faults");
        assert_eq!(error.faults.len(), 3, "{error}");
        assert!(error.to_string().contains("Mars/Olympus"));
    }

    #[test]
    fn an_unknown_setting_is_refused() {
        let error = Playbook::parse(&SAMPLE.replace("[caps]", "[caps]\nsms = 3")).expect_err("a typing error");
        assert!(error.to_string().contains("sms"), "{error}");
    }

    #[test]
    fn a_threshold_of_its_own_wins_over_the_general_one() {
        let mut playbook = sample();
        let rule = IntentRule { mode: Mode::Review, confidence_min: Some(0.9) };
        playbook.governance.intents.insert("interested".to_owned(), rule);
        assert!((playbook.confidence_min(Intent::Interested) - 0.9).abs() < f32::EPSILON);
        assert!((playbook.confidence_min(Intent::NotNow) - 0.6).abs() < f32::EPSILON);
    }
}
