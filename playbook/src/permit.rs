//! May this message be sent now? Asked the moment before it leaves, in the transaction that commits it.
//! It must never permit what the law or a lead's own words forbid, whoever approved it.

use crate::playbook::Caps;
use serde::{Deserialize, Serialize};

const SEVEN_DAYS_MS: i64 = 7 * 24 * 60 * 60 * 1000;
/// When to ask again while a reply awaits its decision.
const UNDECIDED_RETRY_MS: i64 = 5_000;

/// What kind of message asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SendKind {
    /// A step of a sequence: automatic.
    SequenceStep,
    /// An answer to the lead's own reply that a person approved.
    ApprovedReply,
}

/// What is known of the lead at this moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SendFacts {
    pub kind: SendKind,
    /// The address stands on the suppression list, or the lead has opted out.
    pub suppressed: bool,
    /// Replies of this lead that no decision has been made about yet.
    pub undecided_replies: i64,
    /// The person who has taken the conversation over, if one has.
    pub owner: Option<String>,
    /// The enrollment the step belongs to is active. True for an approved reply, which belongs to none.
    pub enrollment_active: bool,
    /// When automatic e-mails went out to this lead over all sequences in the last seven days, unconfirmed ones included.
    pub automatic_sent_ms: Vec<i64>,
}

/// Why not, and when to ask again. `None` means never: the message is withdrawn.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    pub rule: String,
    pub words: String,
    pub ask_again_ms: Option<i64>,
}

impl Refusal {
    fn new(rule: &str, words: impl Into<String>, ask_again_ms: Option<i64>) -> Self {
        Refusal { rule: rule.to_owned(), words: words.into(), ask_again_ms }
    }
}

/// The gate every message passes.
pub fn may_send(facts: &SendFacts, caps: &Caps, now_ms: i64) -> Result<(), Refusal> {
    if facts.suppressed {
        return Err(Refusal::new("opt_out", "the lead has asked for no more messages", None));
    }
    if facts.undecided_replies > 0 {
        let again = Some(now_ms.saturating_add(UNDECIDED_RETRY_MS));
        return Err(Refusal::new("undecided_reply", "a reply of this lead has not been decided yet", again));
    }
    if facts.kind == SendKind::ApprovedReply {
        return Ok(());
    }
    if !facts.enrollment_active {
        return Err(Refusal::new("paused", "the lead's sequence is paused or has ended", None));
    }
    if let Some(owner) = &facts.owner {
        return Err(Refusal::new("human_owns_thread", format!("{owner} has taken the conversation over"), None));
    }
    let mut recent: Vec<i64> =
        facts.automatic_sent_ms.iter().copied().filter(|sent| *sent > now_ms.saturating_sub(SEVEN_DAYS_MS)).collect();
    recent.sort_unstable();
    let cap = usize::try_from(caps.emails_per_7_days_max).unwrap_or(usize::MAX);
    if recent.len() >= cap {
        // Room again when the oldest of those that fill the cap is seven days old.
        let again = recent.get(recent.len().saturating_sub(cap)).map(|sent| sent.saturating_add(SEVEN_DAYS_MS));
        return Err(Refusal::new(
            "cap_7_days",
            format!("{} e-mails in 7 days is the cap, and {} went out", caps.emails_per_7_days_max, recent.len()),
            again,
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const CAPS: Caps = Caps { emails_per_7_days_max: 2 };
    const NOW: i64 = 1_800_000_000_000;

    fn free() -> SendFacts {
        SendFacts {
            kind: SendKind::SequenceStep,
            suppressed: false,
            undecided_replies: 0,
            owner: None,
            enrollment_active: true,
            automatic_sent_ms: vec![],
        }
    }

    fn rule(facts: &SendFacts) -> Option<String> {
        may_send(facts, &CAPS, NOW).err().map(|refusal| refusal.rule)
    }

    #[test]
    fn a_lead_nothing_stands_against_may_be_written_to() {
        assert_eq!(rule(&free()), None);
    }

    #[test]
    fn an_approved_reply_passes_the_cap_but_not_an_opt_out() {
        let approved = SendFacts { kind: SendKind::ApprovedReply, automatic_sent_ms: vec![NOW, NOW, NOW], ..free() };
        assert_eq!(rule(&approved), None);
        assert_eq!(rule(&SendFacts { suppressed: true, ..approved }).as_deref(), Some("opt_out"));
    }

    #[test]
    fn the_third_e_mail_of_a_week_waits_until_there_is_room() {
        let first = NOW - SEVEN_DAYS_MS + 60_000;
        let facts = SendFacts { automatic_sent_ms: vec![first, NOW - 1000], ..free() };
        let refusal = may_send(&facts, &CAPS, NOW).expect_err("capped");
        assert_eq!((refusal.rule.as_str(), refusal.ask_again_ms), ("cap_7_days", Some(first + SEVEN_DAYS_MS)));
        assert_eq!(may_send(&facts, &CAPS, first + SEVEN_DAYS_MS), Ok(()));
    }

    #[test]
    fn nothing_goes_out_while_a_reply_is_undecided_or_a_person_owns_the_thread() {
        assert_eq!(rule(&SendFacts { undecided_replies: 1, ..free() }).as_deref(), Some("undecided_reply"));
        assert_eq!(rule(&SendFacts { owner: Some("Jo".to_owned()), ..free() }).as_deref(), Some("human_owns_thread"));
        assert_eq!(rule(&SendFacts { enrollment_active: false, ..free() }).as_deref(), Some("paused"));
    }

    proptest! {
        #[test]
        fn opt_out_wins_over_everything(
            approved: bool, undecided in 0i64..3, owned: bool, active: bool,
            sent in proptest::collection::vec(0i64..NOW, 0..6), now in 0i64..NOW * 2,
        ) {
            let facts = SendFacts {
                kind: if approved { SendKind::ApprovedReply } else { SendKind::SequenceStep },
                suppressed: true,
                undecided_replies: undecided,
                owner: owned.then(|| "Jo".to_owned()),
                enrollment_active: active,
                automatic_sent_ms: sent,
            };
            let refusal = may_send(&facts, &CAPS, now).expect_err("opted out");
            prop_assert_eq!(refusal.rule, "opt_out");
            prop_assert_eq!(refusal.ask_again_ms, None);
        }

        #[test]
        fn no_lead_gets_more_automatic_e_mails_in_any_week_than_the_cap(gaps in proptest::collection::vec(0i64..SEVEN_DAYS_MS, 1..30)) {
            let mut sent: Vec<i64> = vec![];
            let mut now = NOW;
            for gap in gaps {
                now += gap;
                if may_send(&SendFacts { automatic_sent_ms: sent.clone(), ..free() }, &CAPS, now).is_ok() {
                    sent.push(now);
                }
            }
            for start in &sent {
                let in_week = sent.iter().filter(|at| *at >= start && *at - start < SEVEN_DAYS_MS).count();
                prop_assert!(in_week <= 2);
            }
        }
    }
}
