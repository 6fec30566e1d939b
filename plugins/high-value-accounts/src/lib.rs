//! Hands every reply of a high-value account to a person, whatever the reply says.
//! It must never guess a size: a number that it cannot read goes to a person.
//!
//! Settings: `seats_min`, `annual_revenue_usd_min` (at least one of them) and `owner`, who takes over.

mod amount;

use amount::Amount;
use rejoinder_kit::{HandOff, Replies, ReplyFacts, Ruling};

struct HighValueAccounts;

impl Replies for HighValueAccounts {
    fn judge(facts: ReplyFacts) -> Ruling {
        rule(&facts)
    }
}

rejoinder_kit::export!(HighValueAccounts);

/// One way to be large: a field of the lead against a setting.
struct Measure {
    field: &'static str,
    setting: &'static str,
    unit: &'static str,
}

const MEASURES: [Measure; 2] = [
    Measure { field: "seats", setting: "seats_min", unit: "seats" },
    Measure { field: "annual_revenue_usd", setting: "annual_revenue_usd_min", unit: "USD annual revenue" },
];

enum Size {
    /// The setting is empty: this measure is not used.
    Unused,
    Below,
    Reached(String),
    Unreadable(String),
}

impl Measure {
    fn of(&self, facts: &ReplyFacts) -> Size {
        let Some(limit) = facts.setting(self.setting) else { return Size::Unused };
        let Some(limit) = Amount::parse(limit) else {
            return Size::Unreadable(format!(
                "The setting {} is not a number: \"{limit}\". Enter it in digits.",
                self.setting
            ));
        };
        let Some(value) = facts.lead(self.field) else { return Size::Below };
        let Some(value) = Amount::parse(value) else {
            return Size::Unreadable(format!(
                "The lead's {} is not a number that can be read: \"{value}\".",
                self.field
            ));
        };
        if value >= limit {
            Size::Reached(format!("High-value account: {value} {}, handed over from {limit}.", self.unit))
        } else {
            Size::Below
        }
    }
}

fn rule(facts: &ReplyFacts) -> Ruling {
    let sizes = MEASURES.map(|measure| measure.of(facts));
    if sizes.iter().all(|size| matches!(size, Size::Unused)) {
        return Ruling::Review(
            "High-value accounts cannot be told: set seats_min or annual_revenue_usd_min for this plugin.".to_owned(),
        );
    }
    // One measure that is reached is enough, even if the other cannot be read: the more careful ruling wins.
    let mut unreadable = None;
    for size in sizes {
        match size {
            Size::Reached(reason) => {
                return Ruling::HandOff(HandOff { reason, to: facts.setting("owner").map(str::to_owned) });
            }
            Size::Unreadable(reason) => unreadable = unreadable.or(Some(reason)),
            Size::Unused | Size::Below => {}
        }
    }
    unreadable.map_or(Ruling::Proceed, Ruling::Review)
}

#[cfg(test)]
mod tests {
    use super::rule;
    use rejoinder_kit::{Channel, Field, Intent, Reading, ReplyFacts, Ruling, Sentiment};

    fn fields(pairs: &[(&str, &str)]) -> Vec<Field> {
        pairs.iter().map(|(name, value)| Field { name: (*name).to_owned(), value: (*value).to_owned() }).collect()
    }

    fn facts(lead: &[(&str, &str)], settings: &[(&str, &str)]) -> ReplyFacts {
        ReplyFacts {
            now_ms: 0,
            received_ms: 0,
            channel: Channel::Email,
            text: "Sounds good.".to_owned(),
            stage: "new".to_owned(),
            sequence: None,
            touches_sent: 1,
            lead: fields(lead),
            settings: fields(settings),
            reading: None,
        }
    }

    /// The ruling in one line.
    fn ruled(lead: &[(&str, &str)], settings: &[(&str, &str)]) -> String {
        words(rule(&facts(lead, settings)))
    }

    fn words(ruling: Ruling) -> String {
        match ruling {
            Ruling::Proceed => "proceed".to_owned(),
            Ruling::Review(reason) => format!("review: {reason}"),
            Ruling::HandOff(hand_off) => {
                format!("to {}: {}", hand_off.to.as_deref().unwrap_or("anyone"), hand_off.reason)
            }
            Ruling::Suppress(reason) => format!("suppress: {reason}"),
        }
    }

    const SEATS: (&str, &str) = ("seats_min", "200");
    const REVENUE: (&str, &str) = ("annual_revenue_usd_min", "5,000,000");
    const OWNER: (&str, &str) = ("owner", "Dana");

    #[test]
    fn an_account_is_large_from_the_very_limit() {
        assert_eq!(ruled(&[("seats", "199")], &[SEATS, OWNER]), "proceed");
        assert_eq!(
            ruled(&[("seats", "200")], &[SEATS, OWNER]),
            "to Dana: High-value account: 200 seats, handed over from 200."
        );
    }

    #[test]
    fn either_measure_is_enough() {
        let reached = ruled(&[("seats", "3"), ("annual_revenue_usd", "$7,250,000")], &[SEATS, REVENUE]);
        assert_eq!(reached, "to anyone: High-value account: 7250000 USD annual revenue, handed over from 5000000.");
    }

    #[test]
    fn a_lead_of_unknown_size_proceeds() {
        assert_eq!(ruled(&[], &[SEATS, REVENUE, OWNER]), "proceed");
        assert_eq!(ruled(&[("seats", " ")], &[SEATS]), "proceed");
    }

    #[test]
    fn a_measure_without_limit_is_not_used() {
        assert_eq!(ruled(&[("annual_revenue_usd", "9000000000")], &[SEATS]), "proceed");
        assert_eq!(ruled(&[("annual_revenue_usd", "lots")], &[SEATS]), "proceed");
    }

    #[test]
    fn a_number_that_cannot_be_read_goes_to_a_person() {
        assert_eq!(
            ruled(&[("seats", "about 300")], &[SEATS]),
            "review: The lead's seats is not a number that can be read: \"about 300\"."
        );
        assert_eq!(
            ruled(&[("seats", "3")], &[("seats_min", "many")]),
            "review: The setting seats_min is not a number: \"many\". Enter it in digits."
        );
    }

    #[test]
    fn a_large_account_stays_large_when_the_other_number_is_odd() {
        let ruled = ruled(&[("seats", "some"), ("annual_revenue_usd", "6000000")], &[SEATS, REVENUE, OWNER]);
        assert!(ruled.starts_with("to Dana: "), "{ruled}");
    }

    #[test]
    fn without_any_limit_a_person_is_told_so() {
        let ruled = ruled(&[("seats", "900")], &[OWNER]);
        assert!(ruled.starts_with("review: ") && ruled.contains("seats_min"), "{ruled}");
    }

    #[test]
    fn the_reading_changes_nothing() {
        let mut case = facts(&[("seats", "450")], &[SEATS, OWNER]);
        let without = words(rule(&case));
        case.reading = Some(Reading {
            intent: Intent::SimpleQuestion,
            also: Vec::new(),
            sentiment: Sentiment::Positive,
            confidence: 1.0,
            unsure: false,
        });
        assert_eq!(words(rule(&case)), without);
    }
}
