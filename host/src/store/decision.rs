//! A decision and all that follows from it, committed in one transaction.
//! It must never commit half of a decision, or one whose lease another worker has taken over.

use super::arrived::{Claimed, paused_by};
use super::db::{Store, StoreError, Tx, on_tx};
use super::lead::lock_lead;
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
}

pub(super) async fn end_enrollments(tx: &mut Tx, lead_id: &str, cause: &str) -> Result<(), StoreError> {
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

pub(super) async fn revisit(tx: &mut Tx, lead_id: &str, at_ms: i64) -> Result<(), StoreError> {
    on_tx!(tx, |connection| {
        sqlx::query("UPDATE leads SET revisit_ms = $2 WHERE id = $1")
            .bind(lead_id)
            .bind(at_ms)
            .execute(connection)
            .await
            .map(|_| ())
    })?;
    Ok(())
}

pub(super) async fn assign_owner(tx: &mut Tx, lead_id: &str, owner: &str) -> Result<(), StoreError> {
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
            end_enrollments(tx, lead_id, cause).await
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
            revisit(tx, lead_id, *at_ms).await
        }
        Effect::AssignOwner { owner } => {
            let Some(lead_id) = lead_id else { return Ok(()) };
            assign_owner(tx, lead_id, owner).await
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
