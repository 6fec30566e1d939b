//! A decision and all that follows from it, committed in one transaction; and what people do about it afterwards.
//! It must never commit half of a decision, or one whose lease another worker has taken over.

use super::arrived::{Claimed, paused_by};
use super::db::{Store, StoreError, Tx, on_tx};
use super::lead::{lead_by_id, lock_lead};
use super::outbox::{NewSend, insert_send};
use super::suppression::{addresses_of, opt_out, suppress};
use super::timeline::add_event;
use rejoinder_playbook::draft::Draft;
use rejoinder_playbook::effect::{Decision, Effect, Verdict};
use rejoinder_playbook::lead::Lead;
use rejoinder_playbook::reading::Reading;
use rejoinder_playbook::reply::Reply;
use rejoinder_playbook::ruling::RulingOutcome;
use serde_json::{Value, json};

/// A decision with what it was made from.
#[derive(Clone, Debug)]
pub struct Decided<'a> {
    pub claimed: &'a Claimed,
    pub lead: Option<&'a Lead>,
    pub reply: &'a Reply,
    pub decision: &'a Decision,
    pub draft: Option<&'a Draft>,
    pub reading: Option<&'a Reading>,
    pub rulings: &'a [RulingOutcome],
    /// What else it was made from: passages found with their scores, plugin logs, times.
    pub facts: &'a Value,
    pub playbook_version: i64,
    pub now_ms: i64,
}

/// What a person did with a review or hand-off.
#[derive(Clone, Debug)]
pub enum Settlement<'a> {
    /// Send this text; it is the draft's own.
    Approved {
        send: &'a NewSend,
    },
    /// Send this text, which the person changed.
    Edited {
        send: &'a NewSend,
    },
    Rejected {
        reason: &'a str,
    },
    /// Dealt with outside.
    Settled {
        note: &'a str,
    },
}

/// Whether a settlement was the first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Settled {
    Done,
    /// Somebody was quicker.
    Already {
        by: String,
        state: String,
    },
    NotFound,
}

/// What is needed to send an answer to the reply of a review.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct OpenReview {
    pub arrival_id: String,
    pub lead_id: Option<String>,
    pub draft_subject: String,
    pub draft_body: String,
    pub parsed: String,
    /// JSON: what the plugins said.
    pub rulings: String,
}

impl Store {
    /// Commits a decision. `false`: the lease was lost and another worker decides; nothing was changed.
    pub async fn commit_decision(&self, decided: &Decided<'_>) -> Result<bool, StoreError> {
        let mut tx = self.begin().await?;
        let claimed = decided.claimed;
        let arrival_id = claimed.id.as_str();
        let workspace_id = claimed.workspace_id.as_str();
        // The lead's row first, as everywhere: two transactions that lock in the same order never wait for each other.
        if let Some(lead) = decided.lead {
            lock_lead(&mut tx, &lead.id).await?;
        }
        let owned = on_tx!(&mut tx, |connection| {
            sqlx::query(
                "UPDATE arrivals SET state = 'decided', lease_until_ms = NULL, last_error = NULL
                 WHERE id = $1 AND fence = $2 AND state = 'claimed'",
            )
            .bind(arrival_id)
            .bind(claimed.fence)
            .execute(connection)
            .await
            .map(|done| done.rows_affected())
        })?;
        if owned == 0 {
            return Ok(false);
        }
        let text = |value: serde_json::Result<String>| value.map_err(|error| StoreError::Corrupt(error.to_string()));
        let reasons = text(serde_json::to_string(&decided.decision.reasons))?;
        let reading = decided
            .reading
            .map(serde_json::to_string)
            .transpose()
            .map_err(|error| StoreError::Corrupt(error.to_string()))?;
        let rulings = text(serde_json::to_string(decided.rulings))?;
        let lead_id = decided.lead.map(|lead| lead.id.as_str());
        on_tx!(&mut tx, |connection| {
            sqlx::query(
                "INSERT INTO decisions (arrival_id, workspace_id, lead_id, verdict, reasons, reading, rulings, facts,
                    playbook_version, decided_ms) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
            )
            .bind(arrival_id)
            .bind(workspace_id)
            .bind(lead_id)
            .bind(decided.decision.verdict.name())
            .bind(&reasons)
            .bind(&reading)
            .bind(&rulings)
            .bind(decided.facts.to_string())
            .bind(decided.playbook_version)
            .bind(decided.now_ms)
            .execute(connection)
            .await
            .map(|_| ())
        })?;
        for effect in &decided.decision.effects {
            apply(&mut tx, decided, effect).await?;
        }
        let last = decided.decision.reasons.last().map(|reason| reason.words.as_str());
        let data = json!({
            "arrival": arrival_id, "verdict": decided.decision.verdict.name(), "cause": last,
            "intent": decided.reading.map(|reading| reading.intent.name()),
        });
        add_event(&mut tx, workspace_id, lead_id, decided.now_ms, &format!("decided/{arrival_id}"), "decided", &data)
            .await?;
        tx.commit().await?;
        Ok(true)
    }

    /// An open review with the reply it is about; `None` for another workspace's or a settled one.
    pub async fn open_review(&self, workspace_id: &str, review_id: &str) -> Result<Option<OpenReview>, StoreError> {
        let mut tx = self.begin().await?;
        Ok(on_tx!(&mut tx, |connection| {
            sqlx::query_as(
                "SELECT reviews.arrival_id, reviews.lead_id, reviews.draft_subject, reviews.draft_body, arrivals.parsed, decisions.rulings
                 FROM reviews JOIN arrivals ON arrivals.id = reviews.arrival_id
                 JOIN decisions ON decisions.arrival_id = reviews.arrival_id
                 WHERE reviews.workspace_id = $1 AND reviews.id = $2 AND reviews.state = 'open'",
            )
            .bind(workspace_id)
            .bind(review_id)
            .fetch_optional(connection)
            .await
        })?)
    }

    /// Settles a review once; an answer to send is put into the outbox in the same transaction.
    pub async fn settle_review(
        &self,
        workspace_id: &str,
        review_id: &str,
        user_id: &str,
        user_name: &str,
        settlement: &Settlement<'_>,
        now_ms: i64,
    ) -> Result<Settled, StoreError> {
        let mut tx = self.begin().await?;
        let (state, final_body, note) = match settlement {
            Settlement::Approved { send } => ("approved", Some(send.body.as_str()), None),
            Settlement::Edited { send } => ("edited", Some(send.body.as_str()), None),
            Settlement::Rejected { reason } => ("rejected", None, Some(*reason)),
            Settlement::Settled { note } => ("settled", None, Some(*note)),
        };
        let settled: Option<(String, Option<String>)> = on_tx!(&mut tx, |connection| {
            sqlx::query_as(
                "UPDATE reviews SET state = $1, settled_by = $2, settled_ms = $3, final_body = $4, note = $5
                 WHERE workspace_id = $6 AND id = $7 AND state = 'open' RETURNING arrival_id, lead_id",
            )
            .bind(state)
            .bind(user_id)
            .bind(now_ms)
            .bind(final_body)
            .bind(note)
            .bind(workspace_id)
            .bind(review_id)
            .fetch_optional(connection)
            .await
        })?;
        let Some((_, lead_id)) = settled else {
            return already_settled(&mut tx, workspace_id, review_id).await;
        };
        if let Settlement::Approved { send } | Settlement::Edited { send } = settlement {
            insert_send(&mut tx, send, now_ms).await?;
        }
        let data = json!({ "state": state, "by": user_name, "note": note });
        add_event(
            &mut tx,
            workspace_id,
            lead_id.as_deref(),
            now_ms,
            &format!("settled/{review_id}"),
            "review_settled",
            &data,
        )
        .await?;
        tx.commit().await?;
        Ok(Settled::Done)
    }
}

async fn already_settled(tx: &mut Tx, workspace_id: &str, review_id: &str) -> Result<Settled, StoreError> {
    let row: Option<(String, Option<String>)> = on_tx!(tx, |connection| {
        sqlx::query_as(
            "SELECT reviews.state, users.name FROM reviews LEFT JOIN users ON users.id = reviews.settled_by
             WHERE reviews.workspace_id = $1 AND reviews.id = $2",
        )
        .bind(workspace_id)
        .bind(review_id)
        .fetch_optional(connection)
        .await
    })?;
    Ok(row.map_or(Settled::NotFound, |(state, by)| Settled::Already { by: by.unwrap_or_default(), state }))
}

async fn apply(tx: &mut Tx, decided: &Decided<'_>, effect: &Effect) -> Result<(), StoreError> {
    let workspace_id = decided.claimed.workspace_id.as_str();
    let arrival_id = decided.claimed.id.as_str();
    let lead_id = decided.lead.map(|lead| lead.id.as_str());
    let now_ms = decided.now_ms;
    match effect {
        Effect::Suppress { address, cause, proof } => {
            let mut addresses = addresses_of(decided.reply, decided.lead);
            if let Some(address) = address
                && !addresses.contains(address)
            {
                addresses.push(address.clone());
            }
            if decided.decision.verdict == Verdict::OptOut {
                return opt_out(tx, workspace_id, lead_id, &addresses, cause, proof, now_ms).await;
            }
            suppress(tx, workspace_id, &addresses, cause, proof, now_ms).await
        }
        Effect::OpenReview { owner, due_ms, reason } => {
            open_review(tx, decided, "review", owner, *due_ms, reason, None).await
        }
        Effect::OpenHandOff { owner, due_ms, reason, call_back } => {
            open_review(tx, decided, "hand_off", owner, *due_ms, reason, call_back.as_deref()).await
        }
        Effect::EndEnrollments { cause } => {
            let Some(lead_id) = lead_id else { return Ok(()) };
            on_tx!(tx, |connection| {
                sqlx::query(
                    "UPDATE enrollments SET state = 'ended', due_ms = NULL, cause = $2 WHERE lead_id = $1 AND state <> 'ended'",
                )
                .bind(lead_id)
                .bind(cause)
                .execute(connection)
                .await
                .map(|_| ())
            })?;
            Ok(())
        }
        Effect::ResumeEnrollments { at_ms } => {
            let Some(lead_id) = lead_id else { return Ok(()) };
            on_tx!(tx, |connection| {
                sqlx::query(
                    // Only what this very reply paused goes on, and not while a person still has another one.
                    "UPDATE enrollments SET due_ms = $2, cause = 'waits after an automatic reply'
                     WHERE lead_id = $1 AND state = 'paused' AND cause = $3
                        AND NOT EXISTS (SELECT 1 FROM reviews WHERE reviews.lead_id = $1 AND reviews.state = 'open')",
                )
                .bind(lead_id)
                .bind(*at_ms)
                .bind(paused_by(arrival_id))
                .execute(connection)
                .await
                .map(|_| ())
            })?;
            Ok(())
        }
        Effect::SetStage { stage } => {
            let Some(lead) = decided.lead else { return Ok(()) };
            on_tx!(&mut *tx, |connection| {
                sqlx::query("UPDATE leads SET stage = $2 WHERE id = $1 AND stage <> 'opted_out'")
                    .bind(&lead.id)
                    .bind(stage.name())
                    .execute(connection)
                    .await
                    .map(|_| ())
            })?;
            let data = json!({ "from": lead.stage.name(), "to": stage.name() });
            add_event(tx, workspace_id, lead_id, now_ms, &format!("stage/{arrival_id}"), "stage_changed", &data).await
        }
        Effect::Revisit { at_ms } => {
            let Some(lead_id) = lead_id else { return Ok(()) };
            on_tx!(tx, |connection| {
                sqlx::query("UPDATE leads SET revisit_ms = $2 WHERE id = $1")
                    .bind(lead_id)
                    .bind(*at_ms)
                    .execute(connection)
                    .await
                    .map(|_| ())
            })?;
            Ok(())
        }
        Effect::AssignOwner { owner } => {
            let Some(lead_id) = lead_id else { return Ok(()) };
            on_tx!(tx, |connection| {
                sqlx::query("UPDATE leads SET owner = $2 WHERE id = $1 AND owner IS NULL")
                    .bind(lead_id)
                    .bind(owner)
                    .execute(connection)
                    .await
                    .map(|_| ())
            })?;
            Ok(())
        }
    }
}

async fn open_review(
    tx: &mut Tx,
    decided: &Decided<'_>,
    kind: &str,
    owner: &str,
    due_ms: i64,
    reason: &str,
    call_back: Option<&str>,
) -> Result<(), StoreError> {
    let workspace_id = decided.claimed.workspace_id.as_str();
    let arrival_id = decided.claimed.id.as_str();
    let draft =
        decided.draft.map(serde_json::to_string).transpose().map_err(|error| StoreError::Corrupt(error.to_string()))?;
    // One review per reply, so its id follows from the reply's.
    on_tx!(&mut *tx, |connection| {
        sqlx::query(
            "INSERT INTO reviews (id, workspace_id, arrival_id, lead_id, kind, reason, owner, due_ms, draft_subject, draft_body,
                draft, call_back, state, created_ms)
             VALUES ($1, $2, $1, $3, $4, $5, $6, $7, $8, $9, $10, $11, 'open', $12) ON CONFLICT (id) DO NOTHING",
        )
        .bind(arrival_id)
        .bind(workspace_id)
        .bind(decided.lead.map(|lead| lead.id.as_str()))
        .bind(kind)
        .bind(reason)
        .bind(owner)
        .bind(due_ms)
        .bind(decided.draft.map(|draft| draft.subject.as_str()).unwrap_or_default())
        .bind(decided.draft.map(Draft::body).unwrap_or_default())
        .bind(&draft)
        .bind(call_back)
        .bind(decided.now_ms)
        .execute(connection)
        .await
        .map(|_| ())
    })?;
    let lead_id = decided.lead.map(|lead| lead.id.as_str());
    let data = json!({ "kind": kind, "owner": owner, "due_ms": due_ms, "cause": reason, "call_back": call_back });
    let event = if kind == "review" { "review_opened" } else { "handed_off" };
    add_event(tx, workspace_id, lead_id, decided.now_ms, &format!("opened/{arrival_id}"), event, &data).await
}

/// The lead of an open review, for the message that answers it.
pub(crate) async fn lead_of_review(store: &Store, review: &OpenReview) -> Result<Option<Lead>, StoreError> {
    let Some(lead_id) = &review.lead_id else { return Ok(None) };
    let mut tx = store.begin().await?;
    lead_by_id(&mut tx, lead_id).await
}
