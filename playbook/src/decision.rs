//! What follows from one reply, with a reason for everything. Precedence: law (opt-out) → machines → a person owns the
//! thread → the team's rules → a confident reading → otherwise a person.
//! It must never send anything and never loosen: every doubt ends at a person.

use crate::address::EmailAddress;
use crate::call_back::quoted_time;
use crate::draft::{Draft, NoDraft};
use crate::effect::{Decision, Effect, Reason, Verdict};
use crate::lead::{Lead, Stage};
use crate::machine::Machine;
use crate::playbook::{Owner, Playbook};
use crate::reading::{Intent, Reading};
use crate::ruling::{Ruling, RulingOutcome};

const HOUR_MS: i64 = 60 * 60 * 1000;
const DAY_MS: i64 = 24 * HOUR_MS;

/// Everything a decision is made from.
#[derive(Clone, Debug)]
pub struct Case<'a> {
    pub playbook: &'a Playbook,
    /// The lead, or nobody: a reply from an address no lead has.
    pub lead: Option<&'a Lead>,
    /// Who wrote, where the message says so.
    pub from: Option<&'a EmailAddress>,
    /// The new text of the reply.
    pub text: &'a str,
    /// Why the message could not be read at all, if so.
    pub unreadable: Option<&'a str>,
    /// The words of a deterministic opt-out.
    pub opt_out: Option<&'a str>,
    pub machine: Option<&'a Machine>,
    /// The reading, or why there is none.
    pub reading: Result<&'a Reading, &'a str>,
    pub rulings: &'a [RulingOutcome],
    /// The draft, or why there is none.
    pub draft: Result<&'a Draft, &'a NoDraft>,
    pub received_ms: i64,
}

/// Decides. Pure: the same case always gives the same decision.
#[must_use]
pub fn decide(case: &Case<'_>) -> Decision {
    let mut reasons = Vec::new();
    if let Some(decision) = by_law(case, &mut reasons) {
        return decision;
    }
    if let Some(why) = case.unreadable {
        reasons.push(reason("unreadable", format!("the message could not be read: {why}")));
        return hand_off(case, reasons, None);
    }
    if let Some(decision) = by_machine(case, &mut reasons) {
        return decision;
    }
    let Some(lead) = case.lead else {
        reasons.push(reason("unknown_sender", "no lead has this address, so a person sorts it in"));
        return hand_off(case, reasons, None);
    };
    let strictest = by_rules(case, &mut reasons);
    if let Strictest::Suppress = strictest {
        let mut decision = hand_off(case, reasons, lead.owner.clone());
        decision.effects.insert(0, Effect::EndEnrollments { cause: "a plugin allows no answer".to_owned() });
        return decision;
    }
    if let Some(owner) = &lead.owner {
        reasons.push(reason("human_owns_thread", format!("{owner} has this conversation")));
        return hand_off(case, reasons, Some(owner.clone()));
    }
    match strictest {
        Strictest::HandOff { to } => return hand_off(case, reasons, to),
        Strictest::Unavailable => return hand_off(case, reasons, None),
        Strictest::Suppress | Strictest::Review | Strictest::Proceed => {}
    }
    if let Some(from) = case.from.filter(|from| **from != lead.email) {
        let words = format!("{from} answered, not {}; a person sees to whom the answer goes", lead.email);
        reasons.push(reason("somebody_else", words));
        return hand_off(case, reasons, None);
    }
    if let Some(word) = escalate_word(case) {
        reasons.push(reason("escalate_word", format!("the playbook always brings a person in for “{word}”")));
        return hand_off(case, reasons, None);
    }
    by_reading(case, lead, reasons)
}

fn reason(rule: &str, words: impl Into<String>) -> Reason {
    Reason { rule: rule.to_owned(), words: words.into() }
}

/// Opt-outs: by words, and by the model when it is likely enough. Nothing else in the text can undo them.
fn by_law(case: &Case<'_>, reasons: &mut Vec<Reason>) -> Option<Decision> {
    let machine_says_more = matches!(case.machine, Some(Machine::Bounce { .. } | Machine::AutoReply { .. }));
    let mut address = None;
    let proof = if let Some(words) = case.opt_out {
        reasons.push(reason("opt_out_words", format!("the lead wrote “{words}”")));
        words.to_owned()
    } else if let Some(Machine::Complaint { why, address: of, .. }) = case.machine {
        reasons.push(reason("spam_complaint", format!("the lead's provider reports a spam complaint: {why}")));
        address.clone_from(of);
        why.clone()
    } else {
        let reading = case.reading.ok().filter(|_| !machine_says_more && case.unreadable.is_none())?;
        if !may_opt_out(case, reading) {
            return None;
        }
        let probability = reading.probability(Intent::Unsubscribe);
        let named = reading.intent == Intent::Unsubscribe || reading.also.contains(&Intent::Unsubscribe);
        let doubt = if named && !reading.unsure { "" } else { ", in doubt honoured" };
        reasons.push(reason("opt_out_prose", format!("reads as an opt-out ({:.0} %{doubt})", probability * 100.0)));
        case.text.to_owned()
    };
    let cause = "opted out".to_owned();
    let mut effects = vec![Effect::Suppress { address, cause: cause.clone(), proof }, Effect::EndEnrollments { cause }];
    if case.lead.is_some() {
        effects.push(Effect::SetStage { stage: Stage::OptedOut });
    }
    // Somebody who is angry besides must still be heard by a person.
    if let Ok(reading) = case.reading
        && !matches!(case.machine, Some(Machine::Complaint { .. }))
        && case.unreadable.is_none()
        && (reading.intent == Intent::Complaint || reading.also.contains(&Intent::Complaint))
    {
        let words = "there is a complaint besides; a person looks, nothing is sent";
        reasons.push(reason("complaint", words));
        effects.push(open_hand_off(case, words, None));
    }
    Some(Decision { verdict: Verdict::OptOut, reasons: std::mem::take(reasons), effects })
}

/// Named as an opt-out, or likely enough to be honoured in doubt.
fn may_opt_out(case: &Case<'_>, reading: &Reading) -> bool {
    reading.intent == Intent::Unsubscribe
        || reading.also.contains(&Intent::Unsubscribe)
        || reading.probability(Intent::Unsubscribe) >= case.playbook.governance.opt_out_doubt
}

fn by_machine(case: &Case<'_>, reasons: &mut Vec<Reason>) -> Option<Decision> {
    let later_ms = case.received_ms.saturating_add(days_ms(case.playbook.revisit_days.auto_reply));
    let days = case.playbook.revisit_days.auto_reply;
    match case.machine? {
        Machine::Complaint { .. } => None,
        Machine::Bounce { hard: true, why, address, .. } => {
            reasons.push(reason("hard_bounce", format!("the address does not take mail: {why}")));
            let cause = "address bounced".to_owned();
            let effects = vec![
                Effect::Suppress { address: address.clone(), cause: cause.clone(), proof: why.to_string() },
                Effect::EndEnrollments { cause },
            ];
            Some(Decision { verdict: Verdict::Bounce, reasons: std::mem::take(reasons), effects })
        }
        Machine::Bounce { hard: false, why, .. } => {
            reasons.push(reason(
                "soft_bounce",
                format!("could not be delivered for now ({why}); tried again in {days} days"),
            ));
            Some(wait(reasons, later_ms))
        }
        Machine::AutoReply { why, .. } => {
            if case.reading.is_ok_and(|reading| may_opt_out(case, reading)) {
                let words = format!("an automatic reply ({why}) that may ask for no more messages");
                reasons.push(reason("auto_reply_opt_out", words));
                return Some(hand_off(case, std::mem::take(reasons), None));
            }
            reasons
                .push(reason("auto_reply", format!("an automatic reply ({why}); the sequence goes on in {days} days")));
            Some(wait(reasons, later_ms))
        }
    }
}

fn wait(reasons: &mut Vec<Reason>, at_ms: i64) -> Decision {
    Decision {
        verdict: Verdict::Wait,
        reasons: std::mem::take(reasons),
        effects: vec![Effect::ResumeEnrollments { at_ms }],
    }
}

enum Strictest {
    Proceed,
    Review,
    Unavailable,
    HandOff { to: Option<String> },
    Suppress,
}

/// The strictest of all rulings wins; the plugins that said less are still on record.
fn by_rules(case: &Case<'_>, reasons: &mut Vec<Reason>) -> Strictest {
    let mut strictest = Strictest::Proceed;
    let mut rank = 0;
    for outcome in case.rulings {
        match outcome {
            RulingOutcome::Unavailable { plugin, why } => {
                reasons.push(reason("plugin_unavailable", format!("plugin {plugin} gave no ruling: {why}")));
                if rank < 2 {
                    (strictest, rank) = (Strictest::Unavailable, 2);
                }
            }
            RulingOutcome::Ruled { plugin, ruling } => {
                if let Ruling::Review { reason: why }
                | Ruling::HandOff { reason: why, .. }
                | Ruling::Suppress { reason: why } = ruling
                {
                    reasons.push(reason("plugin", format!("plugin {plugin}: {why}")));
                }
                if ruling.strictness() > rank
                    || matches!((ruling, &strictest), (Ruling::HandOff { .. }, Strictest::Unavailable))
                {
                    rank = ruling.strictness();
                    strictest = match ruling {
                        Ruling::Proceed => Strictest::Proceed,
                        Ruling::Review { .. } => Strictest::Review,
                        Ruling::HandOff { to, .. } => Strictest::HandOff { to: to.clone() },
                        Ruling::Suppress { .. } => Strictest::Suppress,
                    };
                }
            }
        }
    }
    strictest
}

fn escalate_word<'a>(case: &Case<'a>) -> Option<&'a str> {
    let lower = case.text.to_lowercase();
    let words: Vec<&str> = lower.split(|character: char| !character.is_alphanumeric()).collect();
    case.playbook
        .governance
        .escalate_words
        .iter()
        .map(String::as_str)
        .find(|word| words.contains(&word.to_lowercase().as_str()))
}

fn by_reading(case: &Case<'_>, lead: &Lead, mut reasons: Vec<Reason>) -> Decision {
    let reading = match case.reading {
        Ok(reading) => reading,
        Err(why) => {
            reasons.push(reason("no_reading", format!("the reply could not be read ({why})")));
            return hand_off(case, reasons, None);
        }
    };
    let intent = reading.intent;
    let confidence = reading.confidence * 100.0;
    let needed = case.playbook.confidence_min(intent);
    if reading.unsure || reading.confidence < needed {
        let words =
            format!("perhaps “{}”, but only {confidence:.0} % sure (needs {:.0} %)", intent.words(), needed * 100.0);
        reasons.push(reason("unsure", words));
        return hand_off(case, reasons, None);
    }
    reasons
        .push(reason("reading", format!("“{}”, {confidence:.0} % sure, {}", intent.words(), reading.sentiment.name())));
    match intent {
        Intent::AutoReply => {
            let days = case.playbook.revisit_days.auto_reply;
            reasons.push(reason("auto_reply", format!("an automatic reply; the sequence goes on in {days} days")));
            wait(&mut reasons, case.received_ms.saturating_add(days_ms(days)))
        }
        Intent::SimpleQuestion | Intent::Interested | Intent::NotNow | Intent::NotInterested => {
            review(case, lead, intent, reasons)
        }
        // An opt-out is settled before anything else; it stands here so that the list is whole.
        Intent::Unsubscribe
        | Intent::Complaint
        | Intent::WrongPerson
        | Intent::MeetingRequest
        | Intent::Competitor
        | Intent::PriceObjection
        | Intent::ExpertQuestion
        | Intent::Other => {
            reasons.push(reason("intent_to_person", format!("“{}” always goes to a person", intent.words())));
            let mut decision = hand_off(case, reasons, None);
            let stage = match intent {
                Intent::MeetingRequest | Intent::Competitor | Intent::PriceObjection | Intent::ExpertQuestion => {
                    Stage::Warm
                }
                _ => Stage::Engaged,
            };
            raise_stage(&mut decision, lead, stage);
            decision
        }
    }
}

fn review(case: &Case<'_>, lead: &Lead, intent: Intent, mut reasons: Vec<Reason>) -> Decision {
    let draft = match case.draft {
        Ok(draft) => draft,
        Err(why) => {
            reasons.push(reason("no_draft", why.to_string()));
            return hand_off(case, reasons, None);
        }
    };
    if let Some(question) = draft.unanswered.first() {
        reasons.push(reason("unanswered_question", format!("the playbook does not answer “{question}”")));
        return hand_off(case, reasons, None);
    }
    let cited = draft.cited().len();
    let words = match cited {
        0 => "a draft from the playbook's own courtesies awaits review".to_owned(),
        1 => "a draft that cites 1 passage awaits review".to_owned(),
        _ => format!("a draft that cites {cited} passages awaits review"),
    };
    reasons.push(reason("draft", words.clone()));
    let mut effects = vec![];
    let revisit = match intent {
        Intent::NotInterested => Some(case.playbook.revisit_days.not_interested),
        Intent::NotNow => Some(case.playbook.revisit_days.not_now),
        _ => None,
    };
    if let Some(days) = revisit {
        effects.push(Effect::EndEnrollments { cause: intent.words().to_owned() });
        effects.push(Effect::Revisit { at_ms: case.received_ms.saturating_add(days_ms(days)) });
        reasons.push(reason("revisit", format!("the sequence ends; the lead is looked at again in {days} days")));
    }
    let due_ms =
        case.received_ms.saturating_add(i64::from(case.playbook.handoff_due_hours.review).saturating_mul(HOUR_MS));
    effects.push(Effect::OpenReview { owner: owner_of(case).address.to_string(), due_ms, reason: words });
    let mut decision = Decision { verdict: Verdict::Review, reasons, effects };
    match intent {
        Intent::NotInterested => decision.effects.push(Effect::SetStage { stage: Stage::Nurture }),
        Intent::Interested | Intent::SimpleQuestion => raise_stage(&mut decision, lead, Stage::Warm),
        _ => raise_stage(&mut decision, lead, Stage::Engaged),
    }
    decision
}

fn raise_stage(decision: &mut Decision, lead: &Lead, at_least: Stage) {
    let stage = lead.stage.raised_to(at_least);
    if stage != lead.stage {
        decision.effects.push(Effect::SetStage { stage });
    }
}

/// Everything in doubt ends here. The last reason is the one the person is told.
fn hand_off(case: &Case<'_>, reasons: Vec<Reason>, to: Option<String>) -> Decision {
    let why = reasons.last().map_or("a person decides", |reason| reason.words.as_str()).to_owned();
    let effect = open_hand_off(case, &why, to);
    let mut effects = vec![];
    if case.lead.is_some()
        && let Effect::OpenHandOff { owner, .. } = &effect
    {
        effects.push(Effect::AssignOwner { owner: owner.clone() });
    }
    effects.push(effect);
    Decision { verdict: Verdict::HandOff, reasons, effects }
}

fn open_hand_off(case: &Case<'_>, why: &str, to: Option<String>) -> Effect {
    let intent = case.reading.ok().map(|reading| reading.intent);
    let hours = case.playbook.hand_off_hours(intent);
    Effect::OpenHandOff {
        owner: to.unwrap_or_else(|| owner_of(case).address.to_string()),
        due_ms: case.received_ms.saturating_add(i64::from(hours).saturating_mul(HOUR_MS)),
        reason: why.to_owned(),
        call_back: quoted_time(case.text).map(str::to_owned),
    }
}

/// Who takes it: the lead's own rep where the record names one that the playbook knows, else the first of the territory,
/// else the first.
fn owner_of<'a>(case: &Case<'a>) -> &'a Owner {
    let owners = &case.playbook.owners;
    let field = |name: &str| case.lead.and_then(|lead| lead.fields.get(name)).map(|value| value.to_lowercase());
    let of_record = field("account_owner").and_then(|wanted| {
        owners.iter().find(|owner| owner.address.as_str() == wanted || owner.name.to_lowercase() == wanted)
    });
    let of_territory = field("territory")
        .or_else(|| field("country"))
        .and_then(|wanted| owners.iter().find(|owner| owner.territory.to_lowercase() == wanted));
    of_record.or(of_territory).or(owners.first()).expect("a playbook without owners is refused when it is parsed")
}

fn days_ms(days: u32) -> i64 {
    i64::from(days).saturating_mul(DAY_MS)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::address::EmailAddress;
    use crate::draft::{DraftSentence, Support};
    use crate::playbook::tests::sample;
    use crate::reading::Sentiment;
    use proptest::prelude::*;

    const NOW: i64 = 1_800_000_000_000;

    fn lead() -> Lead {
        Lead {
            id: "lead-ana".to_owned(),
            email: EmailAddress::parse("ana@a.example").expect("an address"),
            first_name: "Ana".to_owned(),
            last_name: "Ruiz".to_owned(),
            company: "A".to_owned(),
            time_zone: "America/Chicago".to_owned(),
            stage: Stage::Cold,
            owner: None,
            fields: std::collections::BTreeMap::new(),
        }
    }

    fn reading(intent: Intent, confidence: f32) -> Reading {
        let rest = (1.0 - confidence) / 12.0;
        Reading {
            intent,
            also: vec![],
            sentiment: Sentiment::Neutral,
            confidence,
            unsure: false,
            probabilities: Intent::ALL.iter().map(|each| if *each == intent { confidence } else { rest }).collect(),
            model: "test".to_owned(),
        }
    }

    fn draft() -> Draft {
        let sentence =
            DraftSentence { text: "It speaks German.".to_owned(), support: Support::Passage { id: "p".to_owned() } };
        Draft { subject: "Re: a".to_owned(), paragraphs: vec![vec![sentence]], unanswered: vec![] }
    }

    /// Decides a case that is like the usual one but for what `change` does to it.
    fn decided<'a>(intent: Intent, change: impl FnOnce(&mut Case<'a>)) -> Decision {
        let (playbook, lead) = (&*Box::leak(Box::new(sample())), &*Box::leak(Box::new(lead())));
        let (reading, draft) = (&*Box::leak(Box::new(reading(intent, 0.95))), &*Box::leak(Box::new(draft())));
        let mut case = Case {
            playbook,
            lead: Some(lead),
            from: None,
            text: "Does it speak German?",
            unreadable: None,
            opt_out: None,
            machine: None,
            reading: Ok(reading),
            rulings: &[],
            draft: Ok(draft),
            received_ms: NOW,
        };
        change(&mut case);
        decide(&case)
    }

    fn suppresses(decision: &Decision) -> bool {
        decision.effects.iter().any(|effect| matches!(effect, Effect::Suppress { .. }))
    }

    #[test]
    fn every_intent_ends_where_the_guide_says() {
        for (intent, verdict) in [
            (Intent::AutoReply, Verdict::Wait),
            (Intent::Unsubscribe, Verdict::OptOut),
            (Intent::Complaint, Verdict::HandOff),
            (Intent::WrongPerson, Verdict::HandOff),
            (Intent::NotInterested, Verdict::Review),
            (Intent::MeetingRequest, Verdict::HandOff),
            (Intent::Competitor, Verdict::HandOff),
            (Intent::PriceObjection, Verdict::HandOff),
            (Intent::ExpertQuestion, Verdict::HandOff),
            (Intent::NotNow, Verdict::Review),
            (Intent::SimpleQuestion, Verdict::Review),
            (Intent::Interested, Verdict::Review),
            (Intent::Other, Verdict::HandOff),
        ] {
            let decision = decided(intent, |_| {});
            assert_eq!(decision.verdict, verdict, "{intent:?}");
            assert!(!decision.reasons.is_empty(), "{intent:?} has a reason");
        }
    }

    #[test]
    fn an_opt_out_in_words_wins_over_a_happy_reading_and_every_plugin() {
        let rulings = [RulingOutcome::Ruled { plugin: "p".to_owned(), ruling: Ruling::Proceed }];
        let decision = decided(Intent::Interested, |case| {
            case.opt_out = Some("STOP");
            case.rulings = &rulings;
        });
        assert_eq!(decision.verdict, Verdict::OptOut);
        assert!(suppresses(&decision));
    }

    #[test]
    fn a_likely_opt_out_is_honoured_although_another_intent_is_likelier() {
        let mut doubtful = reading(Intent::NotInterested, 0.6);
        if let Some(probability) = doubtful.probabilities.get_mut(1) {
            *probability = 0.35;
        }
        let decision = decided(Intent::Other, |case| case.reading = Ok(&doubtful));
        assert_eq!(decision.verdict, Verdict::OptOut);
    }

    #[test]
    fn an_angry_opt_out_is_honoured_and_heard() {
        let mut angry = reading(Intent::Unsubscribe, 0.9);
        angry.also = vec![Intent::Complaint];
        let decision = decided(Intent::Other, |case| case.reading = Ok(&angry));
        assert_eq!(decision.verdict, Verdict::OptOut);
        assert!(decision.effects.iter().any(|effect| matches!(effect, Effect::OpenHandOff { .. })));
    }

    #[test]
    fn an_unknown_sender_ends_at_a_person_and_an_unreadable_message_too() {
        assert_eq!(decided(Intent::SimpleQuestion, |case| case.lead = None).verdict, Verdict::HandOff);
        let unreadable = decided(Intent::SimpleQuestion, |case| {
            case.unreadable = Some("no sender");
            case.reading = Err("not read");
        });
        assert_eq!(unreadable.verdict, Verdict::HandOff);
    }

    #[test]
    fn a_colleague_who_answers_for_the_lead_is_seen_by_a_person() {
        let colleague = EmailAddress::parse("bo@a.example").expect("an address");
        let lead = EmailAddress::parse("ana@a.example").expect("an address");
        assert_eq!(decided(Intent::SimpleQuestion, |case| case.from = Some(&colleague)).verdict, Verdict::HandOff);
        assert_eq!(decided(Intent::SimpleQuestion, |case| case.from = Some(&lead)).verdict, Verdict::Review);
    }

    #[test]
    fn an_automatic_reply_that_may_ask_for_no_more_messages_does_not_just_wait() {
        let away = Machine::AutoReply { why: "away".to_owned() };
        let unsubscribe = reading(Intent::Unsubscribe, 0.9);
        assert_eq!(decided(Intent::NotNow, |case| case.machine = Some(&away)).verdict, Verdict::Wait);
        let doubtful = decided(Intent::Other, |case| {
            case.machine = Some(&away);
            case.reading = Ok(&unsubscribe);
        });
        assert_eq!(doubtful.verdict, Verdict::HandOff);
        let plain = decided(Intent::NotNow, |case| {
            case.machine = Some(&away);
            case.opt_out = Some("remove me from your list");
        });
        assert_eq!(plain.verdict, Verdict::OptOut);
    }

    #[test]
    fn low_confidence_or_no_reading_ends_at_a_person() {
        let low = reading(Intent::Interested, 0.5);
        assert_eq!(decided(Intent::Other, |case| case.reading = Ok(&low)).verdict, Verdict::HandOff);
        let mut unsure = reading(Intent::Interested, 0.99);
        unsure.unsure = true;
        assert_eq!(decided(Intent::Other, |case| case.reading = Ok(&unsure)).verdict, Verdict::HandOff);
        assert_eq!(decided(Intent::Other, |case| case.reading = Err("overloaded")).verdict, Verdict::HandOff);
    }

    #[test]
    fn a_plugin_turns_a_draft_into_a_hand_off_to_its_owner() {
        let ruling = Ruling::HandOff { reason: "900 seats".to_owned(), to: Some("priya@h.example".to_owned()) };
        let rulings = [RulingOutcome::Ruled { plugin: "high_value".to_owned(), ruling }];
        let decision = decided(Intent::SimpleQuestion, |case| case.rulings = &rulings);
        assert_eq!(decision.verdict, Verdict::HandOff);
        let to_priya =
            |effect: &Effect| matches!(effect, Effect::OpenHandOff { owner, .. } if owner == "priya@h.example");
        assert!(decision.effects.iter().any(to_priya));
        assert!(decision.reasons.iter().any(|reason| reason.words.contains("900 seats")));
    }

    #[test]
    fn a_plugin_that_gives_no_ruling_ends_at_a_person() {
        let rulings = [RulingOutcome::Unavailable { plugin: "loops".to_owned(), why: "took too long".to_owned() }];
        assert_eq!(decided(Intent::SimpleQuestion, |case| case.rulings = &rulings).verdict, Verdict::HandOff);
    }

    #[test]
    fn the_person_who_owns_the_thread_gets_every_further_reply() {
        let owned = Lead { owner: Some("jo@h.example".to_owned()), ..lead() };
        let decision = decided(Intent::SimpleQuestion, |case| case.lead = Some(&owned));
        assert_eq!(decision.verdict, Verdict::HandOff);
        let to_jo = |effect: &Effect| matches!(effect, Effect::OpenHandOff { owner, .. } if owner == "jo@h.example");
        assert!(decision.effects.iter().any(to_jo));
    }

    #[test]
    fn not_interested_ends_the_sequence_and_comes_back_in_ninety_days() {
        let decision = decided(Intent::NotInterested, |_| {});
        assert!(decision.effects.contains(&Effect::Revisit { at_ms: NOW + 90 * DAY_MS }));
        assert!(decision.effects.iter().any(|effect| matches!(effect, Effect::EndEnrollments { .. })));
    }

    #[test]
    fn a_question_the_playbook_cannot_answer_ends_at_a_person() {
        let none = NoDraft::Unanswered { question: "Parking?".to_owned() };
        assert_eq!(decided(Intent::SimpleQuestion, |case| case.draft = Err(&none)).verdict, Verdict::HandOff);
        let half = Draft { unanswered: vec!["Parking?".to_owned()], ..draft() };
        assert_eq!(decided(Intent::SimpleQuestion, |case| case.draft = Ok(&half)).verdict, Verdict::HandOff);
    }

    #[test]
    fn a_word_the_playbook_escalates_brings_a_person_in() {
        let text = "Our lawyer asks: does it speak German?";
        assert_eq!(decided(Intent::SimpleQuestion, |case| case.text = text).verdict, Verdict::HandOff);
    }

    #[test]
    fn a_hand_off_quotes_the_time_a_lead_names() {
        let text = "Call me Tuesday at 2";
        let decision = decided(Intent::MeetingRequest, |case| case.text = text);
        let quoted =
            |effect: &Effect| matches!(effect, Effect::OpenHandOff { call_back: Some(quoted), .. } if quoted == text);
        assert!(decision.effects.iter().any(quoted));
    }

    fn any_ruling() -> impl Strategy<Value = RulingOutcome> {
        prop_oneof![
            Just(Ruling::Proceed),
            Just(Ruling::Review { reason: "r".to_owned() }),
            Just(Ruling::HandOff { reason: "h".to_owned(), to: None }),
            Just(Ruling::Suppress { reason: "s".to_owned() }),
        ]
        .prop_map(|ruling| RulingOutcome::Ruled { plugin: "p".to_owned(), ruling })
        .boxed()
        .prop_union(Just(RulingOutcome::Unavailable { plugin: "p".to_owned(), why: "w".to_owned() }).boxed())
    }

    proptest! {
        #[test]
        fn no_ruling_loosens_a_decision(
            rulings in proptest::collection::vec(any_ruling(), 0..4),
            intent in proptest::sample::select(&Intent::ALL[..]),
            confidence in 0.3f32..1.0,
            opted_out: bool,
        ) {
            let read = reading(intent, confidence);
            let opt_out = opted_out.then_some("STOP");
            let free = decided(intent, |case| { case.reading = Ok(&read); case.opt_out = opt_out; });
            let ruled = decided(intent, |case| { case.reading = Ok(&read); case.opt_out = opt_out; case.rulings = &rulings; });
            let care = |verdict: Verdict| match verdict {
                Verdict::Wait => 0,
                Verdict::Review => 1,
                Verdict::HandOff => 2,
                Verdict::OptOut | Verdict::Bounce => 3,
            };
            prop_assert!(care(ruled.verdict) >= care(free.verdict));
            prop_assert_eq!(free.verdict == Verdict::OptOut, ruled.verdict == Verdict::OptOut);
        }

        #[test]
        fn every_case_ends_somewhere_with_a_reason(
            intent in proptest::sample::select(&Intent::ALL[..]),
            confidence in 0.0f32..1.0,
            known: bool, readable: bool, text in ".{0,80}",
        ) {
            let read = reading(intent, confidence);
            let decision = decided(intent, |case| {
                case.reading = if readable { Ok(&read) } else { Err("no") };
                if !known { case.lead = None; }
                case.text = &text;
            });
            prop_assert!(!decision.reasons.is_empty());
            let ends = decision.effects.iter().any(|effect| matches!(
                effect,
                Effect::Suppress { .. } | Effect::ResumeEnrollments { .. } | Effect::OpenReview { .. } | Effect::OpenHandOff { .. }
            ));
            prop_assert!(ends);
        }
    }
}
