//! What became of a committed message: sent, to be tried again, failed, or not known.
//! It must never call anything certain that is not, and never let a message that did not leave pass unseen.

use super::db::{Store, StoreError, Tx, on_tx};
use super::decision::end_enrollments;
use super::enrollment::end_if_completed;
use super::lead::lock_lead;
use super::outbox::LeasedSend;
use super::suppression::suppress;
use super::timeline::add_event;
use serde_json::json;

/// Who looks after a message that did not leave for certain, and by when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Care {
    pub owner: String,
    pub due_ms: i64,
}

/// What the carrier said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SendOutcome {
    Sent {
        receipt: String,
    },
    /// Nothing was taken; try again then.
    Retry {
        at_ms: i64,
        why: String,
    },
    /// `address_dead`: the mail server says that there is no such mailbox or domain.
    Failed {
        why: String,
        address_dead: bool,
    },
    /// It may or may not have gone out; a person looks.
    Unconfirmed {
        why: String,
    },
}

impl Store {
    /// Records what the carrier said about a committed message. One that did not leave for certain goes to a person, and
    /// an address that is dead is not written to again.
    pub async fn record_send(
        &self,
        send: &LeasedSend,
        outcome: &SendOutcome,
        care: &Care,
        now_ms: i64,
    ) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        lock_lead(&mut tx, &send.lead_id).await?;
        let (state, due_ms, words, event) = match outcome {
            SendOutcome::Sent { receipt } => ("sent", None, receipt, "sent"),
            SendOutcome::Retry { at_ms, why } => ("ready", Some(*at_ms), why, "send_delayed"),
            SendOutcome::Failed { why, .. } => ("failed", None, why, "send_failed"),
            SendOutcome::Unconfirmed { why } => ("unconfirmed", None, why, "send_unconfirmed"),
        };
        // Only a certain "not taken" clears `committed_ms`: it counts against the caps otherwise. What was given up as
        // unconfirmed may still turn out to have left.
        let recorded = on_tx!(&mut tx, |connection| {
            sqlx::query(
                "UPDATE sends SET state = $1, lease_until_ms = NULL, due_ms = COALESCE($2, due_ms), outcome = $3,
                    committed_ms = CASE WHEN $1 IN ('ready', 'failed') THEN NULL ELSE committed_ms END
                 WHERE id = $4 AND fence = $5 AND (state = 'committed' OR (state = 'unconfirmed' AND $1 = 'sent'))",
            )
            .bind(state)
            .bind(due_ms)
            .bind(words)
            .bind(&send.id)
            .bind(send.fence)
            .execute(connection)
            .await
            .map(|done| done.rows_affected())
        })?;
        if recorded > 0 {
            let data = json!({ "message_id": send.message_id, "step": send.step, "cause": words });
            let key = format!("{event}/{}/{}", send.id, send.fence);
            add_event(&mut tx, &send.workspace_id, Some(&send.lead_id), now_ms, &key, event, &data).await?;
            if let Some(enrollment_id) = &send.enrollment_id
                && state != "ready"
            {
                end_if_completed(&mut tx, enrollment_id).await?;
            }
            match outcome {
                SendOutcome::Failed { why, address_dead } => {
                    if *address_dead {
                        let addresses = [send.to_address.clone()];
                        suppress(&mut tx, &send.workspace_id, &addresses, "address bounced", why, now_ms).await?;
                        end_enrollments(&mut tx, &send.lead_id, "address bounced").await?;
                    }
                    // A step to a dead address ends there, as a bounce does; an answer that somebody waits for does not.
                    if !*address_dead || send.enrollment_id.is_none() {
                        let reason = format!("the message could not be sent: {why}");
                        open_send_hand_off(&mut tx, SendRef::of(send), &reason, care, now_ms).await?;
                    }
                }
                SendOutcome::Unconfirmed { why } => {
                    let reason = format!("look whether the message arrived; it is not sent again by itself: {why}");
                    open_send_hand_off(&mut tx, SendRef::of(send), &reason, care, now_ms).await?;
                }
                SendOutcome::Sent { .. } | SendOutcome::Retry { .. } => {}
            }
        }
        tx.commit().await
    }

    /// Messages whose worker died after `committed`: it cannot be known whether they left, so a person looks, named by
    /// the workspace's settings. Says how many there were.
    pub async fn settle_abandoned_sends(
        &self,
        care_of: impl Fn(&str) -> Care + Send,
        now_ms: i64,
    ) -> Result<usize, StoreError> {
        const WHY: &str = "the server stopped while it was being handed over";
        let mut tx = self.begin().await?;
        let abandoned: Vec<Abandoned> = on_tx!(&mut tx, |connection| {
            sqlx::query_as(
                "UPDATE sends SET state = 'unconfirmed', lease_until_ms = NULL, outcome = $2
                 WHERE state = 'committed' AND lease_until_ms <= $1
                 RETURNING id, workspace_id, lead_id, message_id, enrollment_id, step,
                    (SELECT playbook_toml FROM workspaces WHERE workspaces.id = sends.workspace_id) AS playbook_toml",
            )
            .bind(now_ms)
            .bind(WHY)
            .fetch_all(connection)
            .await
        })?;
        for send in &abandoned {
            let data = json!({ "message_id": send.message_id, "step": send.step, "cause": WHY });
            let key = format!("send_unconfirmed/{}", send.id);
            add_event(&mut tx, &send.workspace_id, Some(&send.lead_id), now_ms, &key, "send_unconfirmed", &data)
                .await?;
            if let Some(enrollment_id) = &send.enrollment_id {
                end_if_completed(&mut tx, enrollment_id).await?;
            }
            let reason = format!("look whether the message arrived; it is not sent again by itself: {WHY}");
            let which = SendRef { id: &send.id, workspace_id: &send.workspace_id, lead_id: &send.lead_id };
            open_send_hand_off(&mut tx, which, &reason, &care_of(&send.playbook_toml), now_ms).await?;
        }
        tx.commit().await?;
        Ok(abandoned.len())
    }
}

#[derive(sqlx::FromRow)]
struct Abandoned {
    id: String,
    workspace_id: String,
    lead_id: String,
    message_id: String,
    enrollment_id: Option<String>,
    step: Option<i64>,
    playbook_toml: String,
}

#[derive(Clone, Copy)]
struct SendRef<'a> {
    id: &'a str,
    workspace_id: &'a str,
    lead_id: &'a str,
}

impl<'a> SendRef<'a> {
    fn of(send: &'a LeasedSend) -> Self {
        SendRef { id: &send.id, workspace_id: &send.workspace_id, lead_id: &send.lead_id }
    }
}

/// Lays a message that did not leave for certain before a person; once per message.
async fn open_send_hand_off(
    tx: &mut Tx,
    send: SendRef<'_>,
    reason: &str,
    care: &Care,
    now_ms: i64,
) -> Result<(), StoreError> {
    let opened = on_tx!(&mut *tx, |connection| {
        sqlx::query(
            "INSERT INTO reviews (id, workspace_id, send_id, lead_id, kind, reason, owner, due_ms, draft_subject, draft_body,
                state, created_ms)
             VALUES ($1, $2, $1, $3, 'hand_off', $4, $5, $6, '', '', 'open', $7) ON CONFLICT (id) DO NOTHING",
        )
        .bind(send.id)
        .bind(send.workspace_id)
        .bind(send.lead_id)
        .bind(reason)
        .bind(&care.owner)
        .bind(care.due_ms)
        .bind(now_ms)
        .execute(connection)
        .await
        .map(|done| done.rows_affected())
    })?;
    if opened == 0 {
        return Ok(());
    }
    let data = json!({ "kind": "hand_off", "owner": care.owner, "due_ms": care.due_ms, "cause": reason });
    let key = format!("handed_off/{}", send.id);
    add_event(tx, send.workspace_id, Some(send.lead_id), now_ms, &key, "handed_off", &data).await
}
