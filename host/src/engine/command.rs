//! What people do: approve, edit, reject, settle. Each goes through the store in one transaction.
//! It must never put a message into the outbox that the law forbids, or that nobody approved.

use super::{Engine, care_of, stored_playbook};
use crate::carrier::email::{self, Email};
use crate::store::StoreError;
use crate::store::account::SignedIn;
use crate::store::outbox::NewSend;
use crate::store::settlement::{OpenReview, Settled, Settlement};
use crate::store::view::ReviewState;
use rejoinder_playbook::playbook::Playbook;
use rejoinder_playbook::reply::Reply;
use rejoinder_playbook::ruling::{Ruling, RulingOutcome};
use rejoinder_playbook::sequence;

const DAY_MS: i64 = 24 * 60 * 60 * 1000;
const BODY_CHARS_MAX: usize = 20_000;
const NOTE_CHARS_MAX: usize = 500;

#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    #[error("there is no such review in this workspace")]
    NotFound,
    #[error("{by} was quicker: it is already {state}")]
    AlreadySettled { by: String, state: String },
    #[error("there is no draft to approve; write an answer or settle it")]
    NoDraft,
    #[error("nothing may be sent: {why}")]
    Refused { rule: String, why: String },
    #[error("{0}")]
    Invalid(String),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Approves a draft as it is, or with the text a person wrote, and puts it into the outbox.
pub async fn approve(
    engine: &Engine,
    who: &SignedIn,
    review_id: &str,
    body: Option<String>,
) -> Result<(), CommandError> {
    let review = open(engine, who, review_id).await?;
    let draft = normal(&review.draft_body);
    let body = body.map_or_else(|| draft.clone(), |body| normal(&body));
    if body.is_empty() {
        return Err(if draft.is_empty() {
            CommandError::NoDraft
        } else {
            CommandError::Invalid("the answer is empty; write something, or reject the draft".to_owned())
        });
    }
    if body.chars().count() > BODY_CHARS_MAX {
        return Err(CommandError::Invalid(format!("the answer has more than {BODY_CHARS_MAX} characters; shorten it")));
    }
    let send = answer(engine, who, review_id, &review, &body).await?;
    let days = i64::from(playbook_of(engine, who).await?.revisit_days.answered);
    let revisit_ms = engine.clock.now_ms().saturating_add(days.saturating_mul(DAY_MS));
    let settlement = if body == draft {
        Settlement::Approved { send: &send, revisit_ms }
    } else {
        Settlement::Edited { send: &send, revisit_ms }
    };
    settle_with(engine, who, review_id, &settlement).await?;
    engine.sends.notify_one();
    Ok(())
}

/// Rejects a draft; the reason is kept. The reply becomes a hand-off, unless it needs no answer at all.
pub async fn reject(
    engine: &Engine,
    who: &SignedIn,
    review_id: &str,
    reason: &str,
    needs_answer: bool,
) -> Result<(), CommandError> {
    let reason = note("reason", reason)?;
    let care = care_of(&playbook_of(engine, who).await?, engine.clock.now_ms());
    let hand_off_due_ms = needs_answer.then_some(care.due_ms);
    settle_with(engine, who, review_id, &Settlement::Rejected { reason: &reason, hand_off_due_ms }).await
}

/// Marks a hand-off as dealt with outside.
pub async fn settle(engine: &Engine, who: &SignedIn, review_id: &str, note_text: &str) -> Result<(), CommandError> {
    let note = note("note", note_text)?;
    settle_with(engine, who, review_id, &Settlement::Settled { note: &note }).await
}

async fn open(engine: &Engine, who: &SignedIn, review_id: &str) -> Result<OpenReview, CommandError> {
    if let Some(review) = engine.store.open_review(&who.workspace_id, review_id).await? {
        return Ok(review);
    }
    let page = engine.store.review_page(&who.workspace_id, review_id).await?.ok_or(CommandError::NotFound)?;
    if page.state == ReviewState::Open {
        let words = "this is about a message of ours that did not leave; there is no reply to answer. Settle it";
        return Err(CommandError::Invalid(words.to_owned()));
    }
    let state = format!("{:?}", page.state).to_lowercase();
    Err(CommandError::AlreadySettled { by: page.settled_by.unwrap_or_default(), state })
}

async fn settle_with(
    engine: &Engine,
    who: &SignedIn,
    review_id: &str,
    settlement: &Settlement<'_>,
) -> Result<(), CommandError> {
    let now_ms = engine.clock.now_ms();
    let settled = engine
        .store
        .settle_review(&who.workspace_id, review_id, &who.user_id, &who.user_name, settlement, now_ms)
        .await?;
    match settled {
        Settled::Done => Ok(()),
        Settled::Already { by, state } => Err(CommandError::AlreadySettled { by, state }),
        Settled::NotFound => Err(CommandError::NotFound),
    }
}

/// The message that answers the reply, with its threading headers. Its key is the reply's: one answer per reply.
async fn answer(
    engine: &Engine,
    who: &SignedIn,
    review_id: &str,
    review: &OpenReview,
    body: &str,
) -> Result<NewSend, CommandError> {
    let refused = |rule: &str, why: &str| CommandError::Refused { rule: rule.to_owned(), why: why.to_owned() };
    let lead = match &review.lead_id {
        Some(lead_id) => engine.store.lead(&who.workspace_id, lead_id).await?,
        None => None,
    };
    let lead = lead.ok_or_else(|| {
        refused(
            "unknown_sender",
            "the sender is no lead; add the lead, or answer from your own mailbox and settle this",
        )
    })?;
    let rulings: Vec<RulingOutcome> =
        serde_json::from_str(&review.rulings).map_err(|error| StoreError::Corrupt(error.to_string()))?;
    for outcome in &rulings {
        if let RulingOutcome::Ruled { plugin, ruling: Ruling::Suppress { reason } } = outcome {
            return Err(refused("plugin", &format!("plugin {plugin} allows no answer to this reply: {reason}")));
        }
    }
    let now_ms = engine.clock.now_ms();
    if engine.store.is_suppressed(&lead.id, lead.email.as_str()).await? {
        return Err(refused("opt_out", "the lead has asked for no more messages"));
    }
    let workspace = engine.store.workspace(&who.workspace_id).await?.ok_or(CommandError::NotFound)?;
    let playbook = stored_playbook(&workspace.playbook_toml)?;
    let reply: Reply = serde_json::from_str(&review.parsed).map_err(|error| StoreError::Corrupt(error.to_string()))?;
    let mut references: Vec<String> = reply.answers.iter().rev().cloned().collect();
    references.extend(reply.message_id.clone());
    let subject =
        if review.draft_subject.is_empty() { format!("Re: {}", reply.subject) } else { review.draft_subject.clone() };
    let send_key = format!("reply/{review_id}");
    let message_id = sequence::message_id(&send_key, playbook.sender.address.domain());
    let reply_token = sequence::reply_token(&message_id, playbook.sender.address.local_part());
    let unsubscribe_url = super::unsubscribe::url(engine, &workspace, &lead.id);
    let email = Email {
        playbook: &playbook,
        to: &lead.email,
        to_name: &lead.name(),
        subject: &subject,
        body,
        message_id: &message_id,
        reply_token: &reply_token,
        references: &references,
        unsubscribe_url: &unsubscribe_url,
        date_ms: now_ms,
    };
    let bytes = email::build(&email).map_err(|error| CommandError::Invalid(error.to_string()))?;
    Ok(NewSend {
        id: engine.clock.new_id(),
        workspace_id: workspace.id,
        lead_id: lead.id,
        enrollment_id: None,
        step: None,
        send_key,
        message_id,
        reply_token,
        to_address: lead.email.as_str().to_owned(),
        subject,
        body: body.to_owned(),
        bytes,
        due_ms: now_ms,
    })
}

async fn playbook_of(engine: &Engine, who: &SignedIn) -> Result<Playbook, CommandError> {
    let workspace = engine.store.workspace(&who.workspace_id).await?.ok_or(CommandError::NotFound)?;
    Ok(stored_playbook(&workspace.playbook_toml)?)
}

/// Browsers send CRLF; the store holds LF.
fn normal(text: &str) -> String {
    text.replace("\r\n", "\n").trim().to_owned()
}

fn note(what: &str, text: &str) -> Result<String, CommandError> {
    let text = normal(text);
    if text.is_empty() {
        return Err(CommandError::Invalid(format!("a {what} is needed; say it in a few words")));
    }
    if text.chars().count() > NOTE_CHARS_MAX {
        return Err(CommandError::Invalid(format!("the {what} has more than {NOTE_CHARS_MAX} characters; shorten it")));
    }
    Ok(text)
}
