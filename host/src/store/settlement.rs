//! What people do with a review or hand-off: each once, with all that follows, in one transaction.
//! It must never let two people settle the same one, and never leave a lead that nobody owns waiting for ever.

use super::db::{Store, StoreError, Tx, on_read, on_tx};
use super::decision::{assign_owner, end_enrollments, revisit};
use super::lead::lock_lead;
use super::outbox::{NewSend, insert_send};
use super::timeline::add_event;
use serde_json::json;

/// What a person did with a review or hand-off.
#[derive(Clone, Debug)]
pub enum Settlement<'a> {
    /// Send this text; it is the draft's own.
    Approved {
        send: &'a NewSend,
        /// When the lead is looked at again if no further reply comes.
        revisit_ms: i64,
    },
    /// Send this text, which the person changed.
    Edited { send: &'a NewSend, revisit_ms: i64 },
    /// The draft is thrown away; the reply becomes a hand-off, or is left unanswered and the lead's sequences end.
    Rejected { reason: &'a str, hand_off_due_ms: Option<i64> },
    /// Dealt with outside.
    Settled { note: &'a str },
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
    /// An open review with the reply it is about; `None` for another workspace's or a settled one.
    pub async fn open_review(&self, workspace_id: &str, review_id: &str) -> Result<Option<OpenReview>, StoreError> {
        Ok(on_read!(&self.db, |pool| {
            sqlx::query_as(
                "SELECT reviews.arrival_id, reviews.lead_id, reviews.draft_subject, reviews.draft_body, arrivals.parsed, decisions.rulings
                 FROM reviews JOIN arrivals ON arrivals.id = reviews.arrival_id
                 JOIN decisions ON decisions.arrival_id = reviews.arrival_id
                 WHERE reviews.workspace_id = $1 AND reviews.id = $2 AND reviews.state = 'open'",
            )
            .bind(workspace_id)
            .bind(review_id)
            .fetch_optional(pool)
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
        if let Settlement::Rejected { reason, hand_off_due_ms: Some(due_ms) } = settlement {
            return self.reject_to_hand_off(workspace_id, review_id, user_name, reason, *due_ms, now_ms).await;
        }
        let mut tx = self.begin().await?;
        let (state, final_body, note) = match settlement {
            Settlement::Approved { send, .. } => ("approved", Some(send.body.as_str()), None),
            Settlement::Edited { send, .. } => ("edited", Some(send.body.as_str()), None),
            Settlement::Rejected { reason, .. } => ("rejected", None, Some(*reason)),
            Settlement::Settled { note } => ("settled", None, Some(*note)),
        };
        let settled: Option<(String, Option<String>)> = on_tx!(&mut tx, |connection| {
            sqlx::query_as(
                "UPDATE reviews SET state = $1, settled_by = $2, settled_ms = $3, final_body = $4, note = $5
                 WHERE workspace_id = $6 AND id = $7 AND state = 'open' RETURNING id, lead_id",
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
        match settlement {
            Settlement::Approved { send, revisit_ms } | Settlement::Edited { send, revisit_ms } => {
                insert_send(&mut tx, send, now_ms).await?;
                revisit(&mut tx, &send.lead_id, *revisit_ms).await?;
            }
            Settlement::Rejected { .. } => {
                if let Some(lead_id) = &lead_id {
                    end_enrollments(&mut tx, lead_id, "the reply needs no answer").await?;
                }
            }
            Settlement::Settled { .. } => {}
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

    /// The draft of an open review is thrown away and its reply handed to a person, who owns the lead from then on.
    async fn reject_to_hand_off(
        &self,
        workspace_id: &str,
        review_id: &str,
        user_name: &str,
        reason: &str,
        due_ms: i64,
        now_ms: i64,
    ) -> Result<Settled, StoreError> {
        let mut tx = self.begin().await?;
        let draft: Option<(Option<String>, Option<String>, String)> = on_tx!(&mut tx, |connection| {
            sqlx::query_as(
                "SELECT lead_id, owner, draft_body FROM reviews WHERE workspace_id = $1 AND id = $2 AND state = 'open'
                    AND draft IS NOT NULL",
            )
            .bind(workspace_id)
            .bind(review_id)
            .fetch_optional(connection)
            .await
        })?;
        let Some((lead_id, owner, draft_body)) = draft else {
            return already_settled(&mut tx, workspace_id, review_id).await;
        };
        if let Some(lead_id) = &lead_id {
            lock_lead(&mut tx, lead_id).await?;
        }
        let why = format!("{user_name} rejected the draft: {reason}");
        let handed = on_tx!(&mut tx, |connection| {
            sqlx::query(
                "UPDATE reviews SET kind = 'hand_off', reason = $3, due_ms = $4, draft = NULL, draft_body = ''
                 WHERE workspace_id = $1 AND id = $2 AND state = 'open' AND draft IS NOT NULL",
            )
            .bind(workspace_id)
            .bind(review_id)
            .bind(&why)
            .bind(due_ms)
            .execute(connection)
            .await
            .map(|done| done.rows_affected())
        })?;
        if handed == 0 {
            return already_settled(&mut tx, workspace_id, review_id).await;
        }
        if let (Some(lead_id), Some(owner)) = (&lead_id, &owner) {
            assign_owner(&mut tx, lead_id, owner).await?;
        }
        let lead_id = lead_id.as_deref();
        let data = json!({ "state": "rejected", "by": user_name, "note": reason, "draft": draft_body });
        let key = format!("rejected/{review_id}");
        add_event(&mut tx, workspace_id, lead_id, now_ms, &key, "review_settled", &data).await?;
        let data = json!({ "kind": "hand_off", "owner": owner, "due_ms": due_ms, "cause": why });
        let key = format!("handed_off/{review_id}");
        add_event(&mut tx, workspace_id, lead_id, now_ms, &key, "handed_off", &data).await?;
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
