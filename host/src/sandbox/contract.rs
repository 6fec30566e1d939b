//! The contract with plugins as Rust types, made from `wit/`, and the translation from and to our own words.
//! It must never let a guest's text through as it came: `plain` is the only way.

use super::facts::ReplyFacts;
use super::limits::RuleLimits;
use super::plain::plain;
use rejoinder_playbook::reading::{Channel, Intent, Reading, Sentiment};
use rejoinder_playbook::ruling::Ruling;

mod generated {
    wasmtime::component::bindgen!({
        path: "../wit/0.1.0",
        world: "rules",
        imports: { default: trappable },
        ownership: Borrowing { duplicate_if_necessary: true },
    });
}

pub(super) use generated::rejoinder::rules::{log, types};
pub(super) use generated::{Rules as World, RulesPre as WorldPre};

/// The one version spoken here, and what a component of it may import and export.
pub(super) const VERSION: &str = "0.1.0";
pub(super) const PACKAGE: &str = "rejoinder:rules";
pub(super) const IMPORTS: [&str; 2] = ["log", "types"];
pub(super) const HOOKS: [&str; 1] = ["replies"];

/// Facts as the contract has them, for the time of one call. They are lent, not copied.
pub(super) fn lend<R>(facts: &ReplyFacts, call: impl FnOnce(types::ReplyFacts<'_>) -> R) -> R {
    let lead = fields(&facts.lead);
    let settings = fields(&facts.settings);
    let also: Vec<_> = facts.reading.iter().flat_map(|reading| &reading.also).map(|also| intent(*also)).collect();
    call(types::ReplyFacts {
        now_ms: facts.now_ms,
        received_ms: facts.received_ms,
        channel: match facts.channel {
            Channel::Email => types::Channel::Email,
            Channel::Sms => types::Channel::Sms,
            Channel::Voice => types::Channel::Voice,
        },
        text: &facts.text,
        stage: &facts.stage,
        sequence: facts.sequence.as_deref(),
        touches_sent: facts.touches_sent,
        lead: &lead,
        settings: &settings,
        reading: facts.reading.as_ref().map(|reading| self::reading(reading, &also)),
    })
}

fn fields(pairs: &[(String, String)]) -> Vec<types::Field<'_>> {
    pairs.iter().map(|(name, value)| types::Field { name, value }).collect()
}

fn reading<'a>(reading: &Reading, also: &'a [types::Intent]) -> types::Reading<'a> {
    types::Reading {
        intent: intent(reading.intent),
        also,
        sentiment: match reading.sentiment {
            Sentiment::Positive => types::Sentiment::Positive,
            Sentiment::Neutral => types::Sentiment::Neutral,
            Sentiment::Negative => types::Sentiment::Negative,
        },
        confidence: reading.confidence,
        unsure: reading.unsure,
    }
}

fn intent(intent: Intent) -> types::Intent {
    match intent {
        Intent::AutoReply => types::Intent::AutoReply,
        Intent::Unsubscribe => types::Intent::Unsubscribe,
        Intent::Complaint => types::Intent::Complaint,
        Intent::WrongPerson => types::Intent::WrongPerson,
        Intent::NotInterested => types::Intent::NotInterested,
        Intent::MeetingRequest => types::Intent::MeetingRequest,
        Intent::Competitor => types::Intent::Competitor,
        Intent::PriceObjection => types::Intent::PriceObjection,
        Intent::ExpertQuestion => types::Intent::ExpertQuestion,
        Intent::NotNow => types::Intent::NotNow,
        Intent::SimpleQuestion => types::Intent::SimpleQuestion,
        Intent::Interested => types::Intent::Interested,
        Intent::Other => types::Intent::Other,
    }
}

/// A guest's ruling in our own words, its text made plain and cut.
pub(super) fn ruling(ruling: types::Ruling, limits: &RuleLimits) -> Ruling {
    let reason = |text: &str| {
        let reason = plain(text, limits.reason_bytes_max);
        if reason.is_empty() { "The plugin gave no reason.".to_owned() } else { reason }
    };
    match ruling {
        types::Ruling::Proceed => Ruling::Proceed,
        types::Ruling::Review(text) => Ruling::Review { reason: reason(&text) },
        types::Ruling::HandOff(hand_off) => Ruling::HandOff {
            reason: reason(&hand_off.reason),
            to: hand_off.to.as_deref().map(|to| plain(to, limits.reason_bytes_max)).filter(|to| !to.is_empty()),
        },
        types::Ruling::Suppress(text) => Ruling::Suppress { reason: reason(&text) },
    }
}

#[cfg(test)]
mod tests {
    use super::{Intent, VERSION, intent};

    #[test]
    fn intents_stand_in_the_same_order_on_both_sides() {
        for (place, ours) in Intent::ALL.into_iter().enumerate() {
            assert_eq!(usize::from(intent(ours) as u8), place, "{}", ours.name());
        }
    }

    #[test]
    fn the_version_spoken_is_the_version_published() {
        let published = include_str!("../../../wit/0.1.0/rules.wit");
        assert!(published.contains(&format!("package {}@{VERSION};", super::PACKAGE)));
    }
}
