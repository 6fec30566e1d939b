//! A reply from the door to its decision; the one file that knows the order of what happens to it.
//! It must never answer the door before the reply is stored, and never give up on a stored one.

use super::passages::{CANDIDATES_MAX, PassagesError};
use super::{Engine, stored_playbook};
use crate::carrier::inbound::{self, InboundMail, MailError};
use crate::sandbox::ReplyFacts;
use crate::store::StoreError;
use crate::store::arrived::{Accepted, ArrivalFacts, Claimed};
use crate::store::decision::Decided;
use crate::store::workspace::Workspace;
use rejoinder_playbook::cut::{Part, Removed};
use rejoinder_playbook::decision::{Case, decide};
use rejoinder_playbook::draft::{self, Draft, DraftRequest, NoDraft, Question};
use rejoinder_playbook::lead::Lead;
use rejoinder_playbook::machine::Machine;
use rejoinder_playbook::opt_out;
use rejoinder_playbook::playbook::Playbook;
use rejoinder_playbook::reading::{Channel, Intent, Reading};
use rejoinder_playbook::reply::Reply;
use rejoinder_playbook::ruling::{Ruling, RulingOutcome};
use rejoinder_playbook::sentence;
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinSet;

/// Questions of one reply that are answered; the rest are left to the reviewer.
const QUESTIONS_MAX: usize = 5;
/// After this many attempts that ended without a decision (a crash, say), a person gets the reply unread.
const ATTEMPTS_BEFORE_PERSON_MAX: i64 = 4;
const RETRY_FIRST_WAIT_MS: i64 = 500;
const RETRY_WAIT_MS_MAX: i64 = 60_000;
/// The longest the worker sleeps when nothing is due.
const IDLE_WAIT_MS_MAX: i64 = 60_000;
/// Fields that say who somebody is; plugins are not handed them.
const PERSONAL_FIELDS: [&str; 5] = ["first_name", "last_name", "email", "phone", "title"];

#[derive(Debug, thiserror::Error)]
pub enum AcceptError {
    #[error(transparent)]
    Mail(#[from] MailError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

#[derive(Debug, thiserror::Error)]
enum DecideError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Passages(#[from] PassagesError),
    #[error("the reply is no longer stored")]
    Gone,
}

/// Takes a raw RFC 822 message in: parsed, stored once, its lead paused and opt-out words applied before this returns.
/// A message that is none, or that names no sender, is stored too; a person looks at it.
pub async fn accept(engine: &Engine, workspace: &Workspace, raw: &[u8]) -> Result<Accepted, AcceptError> {
    let reply = reply_of(inbound::parse(raw, &engine.config.mail_limits)?, raw);
    let (id, now_ms) = (engine.clock.new_id(), engine.clock.now_ms());
    let accepted = engine.store.accept(&workspace.id, raw, &reply, &id, now_ms).await?;
    engine.arrivals.notify_one();
    Ok(accepted)
}

fn reply_of(mail: InboundMail, raw: &[u8]) -> Reply {
    let provider_id = mail.provider_id(raw);
    let opt_out = match mail.machine {
        // These quote other mail; what they say of the address is handled as what they are.
        Some(Machine::Bounce { .. } | Machine::Complaint { .. }) => None,
        // An empty mail may say it all in its subject.
        _ if mail.new_text.trim().is_empty() => opt_out::find(Channel::Email, &mail.subject).map(|found| found.words),
        _ => opt_out::find(Channel::Email, &mail.new_text).map(|found| found.words),
    };
    // Nearest first: In-Reply-To, then References from the newest back.
    let mut answers = mail.in_reply_to;
    for reference in mail.references.into_iter().rev() {
        if !answers.contains(&reference) {
            answers.push(reference);
        }
    }
    Reply {
        channel: Channel::Email,
        provider_id,
        from: mail.from,
        from_name: mail.from_name,
        subject: mail.subject,
        body_text: mail.body_text,
        new_text: mail.new_text,
        removed: mail.removed.iter().map(removed_words).collect(),
        message_id: mail.message_id,
        answers,
        plus_token: mail.plus_token,
        machine: mail.machine,
        opt_out,
        unreadable: mail.unreadable.map(|error| error.to_string()),
    }
}

/// "Signature, 4 lines: the line -- stands above it".
fn removed_words(removed: &Removed) -> String {
    let part = match removed.part {
        Part::Quote => "Quoted text",
        Part::History => "Earlier mail",
        Part::Forwarded => "Forwarded mail",
        Part::Signature => "Signature",
        Part::MobileFooter => "Footer of a mail program",
        Part::Disclaimer => "Disclaimer",
        Part::Banner => "Warning of the mail system",
        Part::ListFooter => "Footer of a mailing list",
    };
    match removed.text.lines().count() {
        0 | 1 => format!("{part}: {}", removed.why),
        lines => format!("{part}, {lines} lines: {}", removed.why),
    }
}

/// Decides replies until `stop` turns true; those in hand are finished first.
pub async fn run(engine: Arc<Engine>, mut stop: watch::Receiver<bool>) {
    let mut deciding = JoinSet::new();
    loop {
        if *stop.borrow() {
            break;
        }
        let free = engine.config.decisions_at_once_max.saturating_sub(deciding.len());
        let mut claimed_any = false;
        if free > 0 {
            match claim(&engine, free).await {
                Ok(claimed) => {
                    claimed_any = !claimed.is_empty();
                    for claimed in claimed {
                        let engine = Arc::clone(&engine);
                        deciding.spawn(async move { decide_claimed(&engine, &claimed).await });
                    }
                }
                Err(error) => {
                    tracing::error!(%error, "replies cannot be claimed; trying again");
                    wait_or_stop(&mut stop, RETRY_FIRST_WAIT_MS).await;
                    continue;
                }
            }
        }
        if claimed_any {
            continue;
        }
        let wait_ms = next_wait_ms(&engine).await;
        tokio::select! {
            () = engine.arrivals.notified() => {}
            Some(_) = deciding.join_next(), if !deciding.is_empty() => {}
            () = tokio::time::sleep(Duration::from_millis(wait_ms)) => {}
            _ = stop.changed() => {}
        }
    }
    while deciding.join_next().await.is_some() {}
}

async fn claim(engine: &Engine, free: usize) -> Result<Vec<Claimed>, StoreError> {
    let arrivals_max = i64::try_from(free).unwrap_or(i64::MAX);
    engine.store.claim_arrivals(engine.clock.now_ms(), engine.config.decision_lease_ms, arrivals_max).await
}

async fn next_wait_ms(engine: &Engine) -> u64 {
    let due_ms = match engine.store.next_arrival_due_ms().await {
        Ok(due_ms) => due_ms.unwrap_or(i64::MAX),
        Err(_) => return RETRY_FIRST_WAIT_MS.unsigned_abs(),
    };
    // At least a little, so that replies held back by an earlier one of the same lead do not make a hot loop.
    due_ms.saturating_sub(engine.clock.now_ms()).clamp(50, IDLE_WAIT_MS_MAX).unsigned_abs()
}

pub(super) async fn wait_or_stop(stop: &mut watch::Receiver<bool>, wait_ms: i64) {
    tokio::select! {
        () = tokio::time::sleep(Duration::from_millis(wait_ms.unsigned_abs())) => {}
        _ = stop.changed() => {}
    }
}

async fn decide_claimed(engine: &Engine, claimed: &Claimed) {
    let error = match decide_one(engine, claimed).await {
        Ok(()) => {
            // Another reply of the same lead may wait behind this one, and a send may wait for the decision.
            engine.arrivals.notify_one();
            engine.sends.notify_one();
            return;
        }
        Err(error) => error,
    };
    let doublings = u32::try_from(claimed.attempts.clamp(1, 16)).unwrap_or(1) - 1;
    let wait_ms = RETRY_FIRST_WAIT_MS.saturating_mul(1 << doublings).min(RETRY_WAIT_MS_MAX);
    tracing::error!(arrival = claimed.id, %error, wait_ms, "a reply could not be decided; trying again");
    let again_ms = engine.clock.now_ms().saturating_add(wait_ms);
    if let Err(error) = engine.store.release_arrival(claimed, again_ms, &error.to_string()).await {
        tracing::error!(arrival = claimed.id, %error, "the reply stays claimed until its lease ends");
    }
}

async fn decide_one(engine: &Engine, claimed: &Claimed) -> Result<(), DecideError> {
    let facts = engine.store.arrival_facts(&claimed.id).await?.ok_or(DecideError::Gone)?;
    let playbook = stored_playbook(&facts.playbook_toml)?;
    let reply = &facts.reply;
    let tried_too_often = claimed.attempts > ATTEMPTS_BEFORE_PERSON_MAX;

    let reading = if tried_too_often {
        Err("the server stopped several times while reading it".to_owned())
    } else if reply.unreadable.is_some() {
        Err("the message could not be parsed".to_owned())
    } else {
        engine.reader.read(reply.channel, &reply.new_text).await.map_err(|error| error.to_string())
    };
    let rulings = match &facts.lead {
        Some(lead) if !tried_too_often && !facts.plugins.is_empty() => {
            let asked = reply_facts(engine, &facts, lead, reading.as_ref().ok());
            engine.rules.ask_all(&engine.store, &claimed.workspace_id, &facts.plugins, &asked).await
        }
        _ => vec![],
    };
    let (draft, found) = match (&facts.lead, reading.as_ref()) {
        (Some(lead), Ok(reading)) if reply.machine.is_none() => {
            compose(engine, claimed, &facts, &playbook, lead, reading.intent).await?
        }
        _ => (Err(NoDraft::Unanswered { question: String::new() }), vec![]),
    };

    let case = Case {
        playbook: &playbook,
        lead: facts.lead.as_ref(),
        from: reply.from.as_ref(),
        text: &reply.new_text,
        unreadable: reply.unreadable.as_deref(),
        opt_out: reply.opt_out.as_deref(),
        machine: reply.machine.as_ref(),
        reading: reading.as_ref().map_err(String::as_str),
        rulings: &rulings,
        draft: draft.as_ref(),
        received_ms: facts.received_ms,
    };
    let decision = decide(&case);
    // A plugin that allows no answer gets none suggested.
    let no_answer =
        |outcome: &RulingOutcome| matches!(outcome, RulingOutcome::Ruled { ruling: Ruling::Suppress { .. }, .. });
    let suggested = draft.as_ref().ok().filter(|_| !rulings.iter().any(no_answer));
    let passages: Vec<serde_json::Value> =
        found.iter().map(|(id, score)| json!({ "id": id, "score": score })).collect();
    let made_from = json!({
        "passages": passages,
        "no_draft": draft.as_ref().err().map(ToString::to_string),
        "no_reading": reading.as_ref().err(),
        "plugins": facts.plugins.iter().map(|plugin| json!({ "name": plugin.name, "sha256": plugin.sha256 })).collect::<Vec<_>>(),
        "attempts": claimed.attempts,
    });
    let decided = Decided {
        claimed,
        lead: facts.lead.as_ref(),
        reply,
        decision: &decision,
        draft: suggested,
        reading: reading.as_ref().ok(),
        rulings: &rulings,
        facts: &made_from,
        playbook_version: facts.playbook_version,
        now_ms: engine.clock.now_ms(),
    };
    if engine.store.commit_decision(&decided).await? {
        tracing::info!(arrival = claimed.id, verdict = decision.verdict.name(), "decided");
    }
    Ok(())
}

fn reply_facts(engine: &Engine, facts: &ArrivalFacts, lead: &Lead, reading: Option<&Reading>) -> ReplyFacts {
    let lead_fields = lead.all_fields().into_iter().filter(|(name, _)| !PERSONAL_FIELDS.contains(&name.as_str()));
    ReplyFacts {
        now_ms: engine.clock.now_ms(),
        received_ms: facts.received_ms,
        channel: facts.reply.channel,
        text: facts.reply.new_text.clone(),
        stage: lead.stage.name().to_owned(),
        sequence: facts.sequence.clone(),
        touches_sent: u32::try_from(facts.touches_sent).unwrap_or(u32::MAX),
        lead: lead_fields.collect(),
        settings: vec![],
        reading: reading.cloned(),
    }
}

type Composed = (Result<Draft, NoDraft>, Vec<(String, f32)>);

/// Finds the passages nearest to what was asked and composes a draft; the passages come back with their scores,
/// the cited ones first.
async fn compose(
    engine: &Engine,
    claimed: &Claimed,
    facts: &ArrivalFacts,
    playbook: &Playbook,
    lead: &Lead,
    intent: Intent,
) -> Result<Composed, DecideError> {
    let text = &facts.reply.new_text;
    let mut asked: Vec<&str> = sentence::questions(text);
    let left_over = asked.split_off(asked.len().min(QUESTIONS_MAX));
    if asked.is_empty() {
        asked.push(text);
    }
    let index =
        engine.passages.get(&engine.store, &engine.reader, &claimed.workspace_id, facts.playbook_version).await?;
    let mut questions: Vec<Question<'_>> = Vec::new();
    if draft::needs_passage(intent) {
        // A reader too busy to look passages up leaves the question to a person.
        let embedded =
            engine.reader.embed(asked.iter().map(|text| (*text).to_owned()).collect()).await.unwrap_or_default();
        questions = asked
            .iter()
            .zip(&embedded)
            .map(|(text, question)| Question { text, candidates: index.find(text, question) })
            .collect();
        // Left to the reviewer, who is told.
        questions.extend(left_over.into_iter().map(|text| Question { text, candidates: vec![] }));
    }
    let fields = lead.all_fields();
    let request =
        DraftRequest { intent, subject: &facts.reply.subject, playbook, fields: &fields, questions: &questions };
    let draft = draft::compose(&request);

    let mut found: Vec<(String, f32)> = Vec::new();
    for candidate in questions.iter().flat_map(|question| &question.candidates) {
        let score = candidate.sentence_scores.iter().copied().fold(candidate.score, f32::max);
        match found.iter_mut().find(|(id, _)| *id == candidate.passage.id) {
            Some(known) => known.1 = known.1.max(score),
            None => found.push((candidate.passage.id.clone(), score)),
        }
    }
    let cited: Vec<&str> = draft.as_ref().map(Draft::cited).unwrap_or_default();
    found.sort_by(|left, right| {
        let is_cited = |id: &str| cited.contains(&id);
        is_cited(&right.0).cmp(&is_cited(&left.0)).then(right.1.total_cmp(&left.1))
    });
    found.truncate(CANDIDATES_MAX.max(cited.len()));
    Ok((draft, found))
}
