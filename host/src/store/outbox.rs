//! Messages on their way to a lead.
//! ready → leased → committed → sent | failed | unconfirmed. `committed` is durable before the carrier is given the bytes:
//! it must never be left by sending again, unless the carrier said for certain that it took nothing.

use super::db::{Store, StoreError, Tx, on_read, on_tx};
use super::enrollment::end_if_completed;
use super::lead::lock_lead;
use super::timeline::add_event;
use rejoinder_playbook::permit::{Refusal, SendFacts, SendKind};
use serde_json::json;

const SEVEN_DAYS_MS: i64 = 7 * 24 * 60 * 60 * 1000;

/// A message to put into the outbox, with its bytes as they will leave.
#[derive(Clone, Debug)]
pub struct NewSend {
    pub id: String,
    pub workspace_id: String,
    pub lead_id: String,
    pub enrollment_id: Option<String>,
    pub step: Option<i64>,
    pub send_key: String,
    pub message_id: String,
    pub reply_token: String,
    pub to_address: String,
    pub subject: String,
    pub body: String,
    pub bytes: Vec<u8>,
    pub due_ms: i64,
}

/// A message a worker has claimed.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct LeasedSend {
    pub id: String,
    pub workspace_id: String,
    pub lead_id: String,
    pub enrollment_id: Option<String>,
    pub step: Option<i64>,
    pub message_id: String,
    pub to_address: String,
    pub bytes: Vec<u8>,
    pub attempts: i64,
    pub fence: i64,
    pub playbook_toml: String,
}

/// What the gate said inside the claim.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CommitOutcome {
    /// Durable: the bytes may go to the carrier now.
    Committed,
    Refused(Refusal),
    /// Another worker has it.
    LeaseLost,
}

#[derive(sqlx::FromRow)]
struct FactsRow {
    stage: String,
    owner: Option<String>,
    suppressed: i64,
    undecided: i64,
    enrollment_state: Option<String>,
}

pub(super) async fn insert_send(tx: &mut Tx, send: &NewSend, now_ms: i64) -> Result<(), StoreError> {
    // The same meaning is one row. One that was withdrawn before it left (its sequence had paused) may be planned again.
    on_tx!(tx, |connection| {
        sqlx::query(
            "INSERT INTO sends (id, workspace_id, lead_id, enrollment_id, step, send_key, message_id, reply_token, channel, to_address,
                subject, body, bytes, state, attempts, due_ms, fence, created_ms)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 'email', $9, $10, $11, $12, 'ready', 0, $13, 0, $14)
             ON CONFLICT (send_key) DO UPDATE SET state = 'ready', due_ms = excluded.due_ms, subject = excluded.subject,
                body = excluded.body, bytes = excluded.bytes, to_address = excluded.to_address, outcome = NULL, attempts = 0
             WHERE sends.state = 'withdrawn'",
        )
        .bind(&send.id)
        .bind(&send.workspace_id)
        .bind(&send.lead_id)
        .bind(&send.enrollment_id)
        .bind(send.step)
        .bind(&send.send_key)
        .bind(&send.message_id)
        .bind(&send.reply_token)
        .bind(&send.to_address)
        .bind(&send.subject)
        .bind(&send.body)
        .bind(&send.bytes)
        .bind(send.due_ms)
        .bind(now_ms)
        .execute(connection)
        .await
        .map(|_| ())
    })?;
    Ok(())
}

/// The facts the gate needs. Takes the lead's row first, so that a reply that comes in meanwhile waits its turn.
async fn send_facts(
    tx: &mut Tx,
    lead_id: &str,
    enrollment_id: Option<&str>,
    to_address: &str,
    now_ms: i64,
) -> Result<SendFacts, StoreError> {
    lock_lead(tx, lead_id).await?;
    let row: FactsRow = on_tx!(&mut *tx, |connection| {
        sqlx::query_as(
            "SELECT leads.stage, leads.owner,
                (SELECT COUNT(*) FROM suppressions WHERE suppressions.workspace_id = leads.workspace_id
                    AND suppressions.channel = 'email' AND suppressions.address IN ($3, leads.email)) AS suppressed,
                (SELECT COUNT(*) FROM arrivals WHERE arrivals.lead_id = leads.id AND arrivals.state <> 'decided') AS undecided,
                (SELECT state FROM enrollments WHERE enrollments.id = $2) AS enrollment_state
             FROM leads WHERE leads.id = $1",
        )
        .bind(lead_id)
        .bind(enrollment_id)
        .bind(to_address)
        .fetch_one(connection)
        .await
    })?;
    let sent: Vec<(i64,)> = on_tx!(tx, |connection| {
        sqlx::query_as(
            "SELECT committed_ms FROM sends WHERE lead_id = $1 AND enrollment_id IS NOT NULL
                AND state IN ('committed', 'sent', 'unconfirmed') AND committed_ms > $2",
        )
        .bind(lead_id)
        .bind(now_ms.saturating_sub(SEVEN_DAYS_MS))
        .fetch_all(connection)
        .await
    })?;
    let kind = if enrollment_id.is_some() { SendKind::SequenceStep } else { SendKind::ApprovedReply };
    Ok(SendFacts {
        kind,
        suppressed: row.suppressed > 0 || row.stage == "opted_out",
        undecided_replies: row.undecided,
        owner: row.owner,
        enrollment_active: enrollment_id.is_none() || row.enrollment_state.as_deref() == Some("active"),
        automatic_sent_ms: sent.into_iter().map(|row| row.0).collect(),
    })
}

impl Store {
    /// When the next enrollment or message is due; `None` when there is none.
    pub async fn next_due_ms(&self) -> Result<Option<i64>, StoreError> {
        let row: (Option<i64>, Option<i64>) = on_read!(&self.db, |pool| {
            sqlx::query_as(
                "SELECT
                    (SELECT MIN(due_ms) FROM enrollments JOIN leads ON leads.id = enrollments.lead_id
                     JOIN sequences ON sequences.id = enrollments.sequence_id
                     WHERE leads.owner IS NULL AND sequences.running = TRUE),
                    (SELECT MIN(CASE WHEN state = 'ready' THEN due_ms ELSE lease_until_ms END) FROM sends
                     WHERE state IN ('ready', 'leased', 'committed'))",
            )
            .fetch_one(pool)
            .await
        })?;
        Ok(match row {
            (Some(left), Some(right)) => Some(left.min(right)),
            (left, right) => left.or(right),
        })
    }

    /// Claims messages that are due, and those whose worker died before `committed`.
    pub async fn claim_sends(&self, now_ms: i64, lease_ms: i64, sends_max: i64) -> Result<Vec<LeasedSend>, StoreError> {
        let mut tx = self.begin().await?;
        let sql = if tx.is_postgres() { CLAIM_POSTGRES } else { CLAIM_SQLITE };
        let ids: Vec<(String,)> = on_tx!(&mut tx, |connection| {
            sqlx::query_as(sql)
                .bind(now_ms)
                .bind(now_ms.saturating_add(lease_ms))
                .bind(sends_max)
                .fetch_all(connection)
                .await
        })?;
        let mut leased = Vec::with_capacity(ids.len());
        for (id,) in ids {
            leased.push(on_tx!(&mut tx, |connection| {
                sqlx::query_as::<_, LeasedSend>(
                    "SELECT sends.id, sends.workspace_id, sends.lead_id, sends.enrollment_id, sends.step, sends.message_id,
                            sends.to_address, sends.bytes, sends.attempts, sends.fence, workspaces.playbook_toml
                     FROM sends JOIN workspaces ON workspaces.id = sends.workspace_id WHERE sends.id = $1",
                )
                .bind(id)
                .fetch_one(connection)
                .await
            })?);
        }
        tx.commit().await?;
        leased.sort_by(|left, right| left.id.cmp(&right.id));
        Ok(leased)
    }

    /// Asks the gate and, if it permits, makes `committed` durable, in one transaction.
    pub async fn commit_send(
        &self,
        send: &LeasedSend,
        gate: impl Fn(&SendFacts) -> Result<(), Refusal> + Send,
        lease_ms: i64,
        now_ms: i64,
    ) -> Result<CommitOutcome, StoreError> {
        let mut tx = self.begin().await?;
        let facts = send_facts(&mut tx, &send.lead_id, send.enrollment_id.as_deref(), &send.to_address, now_ms).await?;
        let outcome = match gate(&facts) {
            Ok(()) => {
                let committed = on_tx!(&mut tx, |connection| {
                    sqlx::query(
                        "UPDATE sends SET state = 'committed', committed_ms = $1, lease_until_ms = $2
                         WHERE id = $3 AND state = 'leased' AND fence = $4",
                    )
                    .bind(now_ms)
                    .bind(now_ms.saturating_add(lease_ms))
                    .bind(&send.id)
                    .bind(send.fence)
                    .execute(connection)
                    .await
                    .map(|done| done.rows_affected())
                })?;
                if committed == 0 { CommitOutcome::LeaseLost } else { CommitOutcome::Committed }
            }
            Err(refusal) => {
                let refused = refuse(&mut tx, send, &refusal, now_ms).await?;
                if refused { CommitOutcome::Refused(refusal) } else { CommitOutcome::LeaseLost }
            }
        };
        tx.commit().await?;
        Ok(outcome)
    }

    /// How many messages have left.
    pub async fn sent_count(&self) -> Result<i64, StoreError> {
        let row: (i64,) = on_read!(&self.db, |pool| {
            sqlx::query_as("SELECT COUNT(*) FROM sends WHERE state = 'sent'").fetch_one(pool).await
        })?;
        Ok(row.0)
    }
}

/// The gate refused: the message waits, or is withdrawn and its step given back to the enrollment.
/// `false`: the lease was lost and nothing was changed.
async fn refuse(tx: &mut Tx, send: &LeasedSend, refusal: &Refusal, now_ms: i64) -> Result<bool, StoreError> {
    let (state, due_ms) = match refusal.ask_again_ms {
        Some(at_ms) => ("ready", at_ms),
        None => ("withdrawn", now_ms),
    };
    let refused = on_tx!(&mut *tx, |connection| {
        sqlx::query(
            // Waiting for the gate is no attempt of the carrier's.
            "UPDATE sends SET state = $1, due_ms = $2, lease_until_ms = NULL, outcome = $3, attempts = attempts - 1
             WHERE id = $4 AND fence = $5 AND state = 'leased'",
        )
        .bind(state)
        .bind(due_ms)
        .bind(&refusal.words)
        .bind(&send.id)
        .bind(send.fence)
        .execute(connection)
        .await
        .map(|done| done.rows_affected())
    })?;
    // Another worker has it.
    if refused == 0 {
        return Ok(false);
    }
    if state == "withdrawn"
        && let (Some(enrollment_id), Some(step)) = (&send.enrollment_id, send.step)
    {
        on_tx!(&mut *tx, |connection| {
            sqlx::query(
                "UPDATE enrollments SET next_step = $2, cause = COALESCE(cause, 'paused')
                 WHERE id = $1 AND state = 'paused' AND next_step > $2",
            )
            .bind(enrollment_id)
            .bind(step)
            .execute(connection)
            .await
            .map(|_| ())
        })?;
        end_if_completed(tx, enrollment_id).await?;
    }
    let data = json!({ "rule": refusal.rule, "cause": refusal.words, "message_id": send.message_id, "ask_again_ms": refusal.ask_again_ms });
    // Once for each rule: asking again every few seconds is no news.
    let key = format!("refused/{}/{}", send.id, refusal.rule);
    add_event(tx, &send.workspace_id, Some(&send.lead_id), now_ms, &key, "refused", &data).await?;
    Ok(true)
}

const CLAIM_SQLITE: &str =
    "UPDATE sends SET state = 'leased', attempts = attempts + 1, fence = fence + 1, lease_until_ms = $2
 WHERE id IN (
    SELECT id FROM sends AS candidate
    WHERE ((state = 'ready' AND due_ms <= $1) OR (state = 'leased' AND lease_until_ms <= $1))
    ORDER BY due_ms, id LIMIT $3)
 RETURNING id";

const CLAIM_POSTGRES: &str =
    "UPDATE sends SET state = 'leased', attempts = attempts + 1, fence = fence + 1, lease_until_ms = $2
 WHERE id IN (
    SELECT id FROM sends AS candidate
    WHERE ((state = 'ready' AND due_ms <= $1) OR (state = 'leased' AND lease_until_ms <= $1))
    ORDER BY due_ms, id LIMIT $3 FOR UPDATE SKIP LOCKED)
 RETURNING id";
