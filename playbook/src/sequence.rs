//! A sequence: an ordered list of steps, each on its day, with a subject and a template.
//! It must never plan a step that a lead's caps could not bear, or one after the break-up.

use crate::playbook::Caps;
use crate::reading::Channel;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

const DAY_MS: i64 = 24 * 60 * 60 * 1000;
const STEPS_MAX: usize = 50;
const DAY_MAX: u32 = 365;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sequence {
    /// Short name, for keys and addresses: lower-case letters, digits and hyphens.
    pub id: String,
    pub name: String,
    pub version: i64,
    /// What enrolls a lead.
    pub trigger: Events,
    /// What ends it early.
    pub exits: Events,
    pub steps: Vec<Step>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Events {
    pub events: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// Day of the sequence, from 1.
    pub day: u32,
    pub channel: Channel,
    pub subject: String,
    pub template: String,
    /// A break-up: nothing may come after it.
    #[serde(default)]
    pub last: bool,
}

/// Everything that is wrong with a sequence file, one sentence each.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("the sequence cannot run: {}", .faults.join("; "))]
pub struct SequenceError {
    pub faults: Vec<String>,
}

impl Sequence {
    /// Reads a sequence and checks it against the caps it will run under.
    pub fn parse(text: &str, caps: &Caps) -> Result<Self, SequenceError> {
        let sequence: Sequence = toml::from_str(text)
            .map_err(|error| SequenceError { faults: vec![error.to_string().trim().replace('\n', " ")] })?;
        let faults = sequence.faults(caps);
        if faults.is_empty() { Ok(sequence) } else { Err(SequenceError { faults }) }
    }

    fn faults(&self, caps: &Caps) -> Vec<String> {
        let mut faults = Vec::new();
        let is_short_name = |name: &str| {
            !name.is_empty()
                && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
        };
        if !is_short_name(&self.id) {
            faults.push(format!("`id` “{}” must be lower-case letters, digits and hyphens", self.id));
        }
        if self.version < 1 {
            faults.push("`version` must be 1 or more".to_owned());
        }
        if self.steps.is_empty() || self.steps.len() > STEPS_MAX {
            faults.push(format!("it has {} steps; between 1 and {STEPS_MAX} are possible", self.steps.len()));
        }
        let mut day_before = 0;
        for (number, step) in (1..).zip(&self.steps) {
            if step.day == 0 || step.day > DAY_MAX || step.day < day_before {
                faults
                    .push(format!("step {number} is on day {}; days run from 1 to {DAY_MAX} and never back", step.day));
            }
            day_before = step.day;
            if step.channel != Channel::Email {
                faults
                    .push(format!("step {number} goes out by {}; this version sends e-mail only", step.channel.name()));
            }
            if step.subject.trim().is_empty() || step.template.trim().is_empty() {
                faults.push(format!("step {number} has no subject or no template"));
            }
            if step.last && number < self.steps.len() {
                faults.push(format!("step {number} is the break-up, but step {} follows it", number + 1));
            }
            let within_7_days = self
                .steps
                .iter()
                .filter(|other| other.day >= step.day && other.day < step.day.saturating_add(7))
                .count();
            if u32::try_from(within_7_days).unwrap_or(u32::MAX) > caps.emails_per_7_days_max {
                faults.push(format!(
                    "{within_7_days} e-mails in the 7 days from day {} on; the cap is {}",
                    step.day, caps.emails_per_7_days_max
                ));
            }
        }
        faults
    }

    /// The step with this number, counted from 1.
    #[must_use]
    pub fn step(&self, number: i64) -> Option<&Step> {
        usize::try_from(number).ok()?.checked_sub(1).and_then(|index| self.steps.get(index))
    }

    /// When a step is due for a lead whose enrollment started at `started_ms`; none after the last.
    #[must_use]
    pub fn due_ms(&self, number: i64, started_ms: i64) -> Option<i64> {
        self.step(number)
            .map(|step| started_ms.saturating_add(i64::from(step.day.saturating_sub(1)).saturating_mul(DAY_MS)))
    }

    /// The pause between a step and the one before it, for a lead who was held up.
    #[must_use]
    pub fn delay_ms(&self, number: i64) -> i64 {
        let day = self.step(number).map_or(0, |step| step.day);
        let before = self.step(number - 1).map_or(1, |step| step.day);
        i64::from(day.saturating_sub(before)).saturating_mul(DAY_MS)
    }
}

/// The key of a step's message: the same step of the same enrollment is one message, however often it is planned.
#[must_use]
pub fn send_key(enrollment_id: &str, step: i64) -> String {
    format!("send/{enrollment_id}/{step}")
}

/// The Message-ID derived from it, without angle brackets: `send.enrollment.{lead}.{sequence}.{step}@{domain}`.
#[must_use]
pub fn message_id(send_key: &str, domain: &str) -> String {
    let local: String =
        send_key
            .chars()
            .map(|character| {
                if character.is_ascii_alphanumeric() || character == '-' { character.to_ascii_lowercase() } else { '.' }
            })
            .collect();
    format!("{local}@{domain}")
}

/// What stands behind the plus sign of the address that answers come back to: the Message-ID's own words where the
/// address stays short enough for mail systems (64 characters before the "@"), else a hash of them.
#[must_use]
pub fn reply_token(message_id: &str, sender_local_part: &str) -> String {
    const LOCAL_PART_CHARS_MAX: usize = 64;
    const HASH_BYTES: usize = 12;
    let words = message_id.split('@').next().unwrap_or_default();
    let words = words.strip_prefix("send.enrollment.").unwrap_or(words);
    if sender_local_part.len() + 1 + words.len() <= LOCAL_PART_CHARS_MAX {
        return words.to_owned();
    }
    Sha256::digest(message_id.as_bytes()).iter().take(HASH_BYTES).map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const CAPS: Caps = Caps { emails_per_7_days_max: 2 };

    fn text(days: &[u32]) -> String {
        let mut text = "id = \"intro\"\nname = \"Intro\"\nversion = 1\ntrigger = { events = [\"form_fill\"] }\nexits = { events = [\"converted\"] }\n".to_owned();
        for day in days {
            text.push_str(&format!("[[steps]]\nday = {day}\nchannel = \"email\"\nsubject = \"S\"\ntemplate = \"T\"\n"));
        }
        text
    }

    #[test]
    fn a_cadence_that_breaks_its_own_cap_is_refused() {
        assert!(Sequence::parse(&text(&[1, 5, 12]), &CAPS).is_ok());
        let error = Sequence::parse(&text(&[1, 3, 7]), &CAPS).expect_err("three in a week");
        assert!(error.to_string().contains("the cap is 2"), "{error}");
    }

    #[test]
    fn nothing_comes_after_the_break_up() {
        let broken = text(&[1, 9]).replacen("template = \"T\"", "template = \"T\"\nlast = true", 1);
        assert!(Sequence::parse(&broken, &CAPS).is_err());
    }

    #[test]
    fn days_count_from_the_start() {
        let sequence = Sequence::parse(&text(&[1, 5]), &CAPS).expect("sound");
        assert_eq!(sequence.due_ms(1, 1000), Some(1000));
        assert_eq!(sequence.due_ms(2, 1000), Some(1000 + 4 * DAY_MS));
        assert_eq!(sequence.due_ms(3, 1000), None);
        assert_eq!(sequence.delay_ms(2), 4 * DAY_MS);
    }

    #[test]
    fn the_message_id_follows_from_the_step() {
        let key = send_key("enrollment.lead-ana-ruiz.intro", 1);
        assert_eq!(
            message_id(&key, "harbourlight.example"),
            "send.enrollment.lead-ana-ruiz.intro.1@harbourlight.example"
        );
    }

    #[test]
    fn an_address_with_a_token_stays_short_enough_for_mail_systems() {
        let short = reply_token("send.enrollment.demo.lead-ana-ruiz.intro.1@harbourlight.example", "maya");
        assert_eq!(short, "demo.lead-ana-ruiz.intro.1");
        let one = reply_token(&format!("send.enrollment.{}.1@harbourlight.example", "x".repeat(200)), "maya");
        let two = reply_token(&format!("send.enrollment.{}.2@harbourlight.example", "x".repeat(200)), "maya");
        assert_eq!((one.len(), two.len()), (24, 24));
        assert_ne!(one, two);
    }
}
