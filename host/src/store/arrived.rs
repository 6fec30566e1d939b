//! Replies as they arrive: stored once, matched to a lead, the lead's sequences paused and opt-outs applied in ONE
//! transaction; then claimed for a decision under a lease with a fence.
//! It must never store a reply without pausing, and never hand one arrival to two workers at once.

use super::db::{Store, StoreError, Tx, on_read, on_tx};
use super::lead::{StoredLead, lock_lead};
use super::matching::match_lead;
use super::plugin::ActivePlugin;
use super::suppression::{addresses_of, opt_out};
use super::timeline::add_event;
use rejoinder_playbook::lead::Lead;
use rejoinder_playbook::reply::Reply;
use serde_json::json;

/// What became of a posted reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Accepted {
    pub arrival_id: String,
    /// It had been stored before; nothing was done again.
    pub duplicate: bool,
    pub lead_id: Option<String>,
    pub matched_by: Option<&'static str>,
    pub enrollments_paused: u64,
    pub opted_out: bool,
}

/// A reply that a worker has to decide before its lease ends.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct Claimed {
    pub id: String,
    pub workspace_id: String,
    pub fence: i64,
    pub attempts: i64,
}

/// Everything a decision is made from, gathered in one go.
#[derive(Clone, Debug)]
pub struct ArrivalFacts {
    pub reply: Reply,
    pub received_ms: i64,
    pub lead: Option<Lead>,
    pub matched_by: Option<String>,
    /// The sequence of the touch it answers, by name, if any.
    pub sequence: Option<String>,
    pub touches_sent: i64,
    pub playbook_toml: String,
    pub playbook_version: i64,
    pub plugins: Vec<ActivePlugin>,
}

#[derive(sqlx::FromRow)]
struct ArrivalRow {
    workspace_id: String,
    parsed: String,
    lead_id: Option<String>,
    send_id: Option<String>,
    matched_by: Option<String>,
    received_ms: i64,
}

#[derive(sqlx::FromRow)]
struct WorkspaceRow {
    playbook_toml: String,
    playbook_version: i64,
}

impl Store {
    /// Stores a reply, pauses its lead and applies opt-out words, in one transaction. Once per provider id.
    pub async fn accept(
        &self,
        workspace_id: &str,
        raw: &[u8],
        reply: &Reply,
        arrival_id: &str,
        now_ms: i64,
    ) -> Result<Accepted, StoreError> {
        let mut tx = self.begin().await?;
        if !insert_arrival(&mut tx, workspace_id, &reply.provider_id, raw, reply, arrival_id, now_ms).await? {
            // The same mail again, or another one that bears the same id; a provider's mistake must lose no mail.
            if let Some(same) = duplicate(&mut tx, workspace_id, reply).await? {
                return Ok(same);
            }
            let distinct_id = reply.distinct_id();
            if !insert_arrival(&mut tx, workspace_id, &distinct_id, raw, reply, arrival_id, now_ms).await? {
                let known = accepted_before(&mut tx, workspace_id, &distinct_id).await?;
                return known.ok_or_else(|| StoreError::Corrupt("a reply stored twice is gone".to_owned()));
            }
        }

        let matched = match_lead(&mut tx, workspace_id, reply).await?;
        let mut accepted = Accepted {
            arrival_id: arrival_id.to_owned(),
            duplicate: false,
            lead_id: None,
            matched_by: None,
            enrollments_paused: 0,
            opted_out: reply.opt_out.is_some(),
        };
        if let Some(matched) = &matched {
            accepted.lead_id = Some(matched.lead.id.clone());
            accepted.matched_by = Some(matched.by);
            lock_lead(&mut tx, &matched.lead.id).await?;
            on_tx!(&mut tx, |connection| {
                sqlx::query("UPDATE arrivals SET lead_id = $1, send_id = $2, matched_by = $3 WHERE id = $4")
                    .bind(&matched.lead.id)
                    .bind(&matched.send_id)
                    .bind(matched.by)
                    .bind(arrival_id)
                    .execute(connection)
                    .await
                    .map(|_| ())
            })?;
            accepted.enrollments_paused = on_tx!(&mut tx, |connection| {
                sqlx::query(
                    // What a decided reply has paused stays paused for that cause; else this reply's decision is the one
                    // that may let it go on.
                    "UPDATE enrollments SET state = 'paused', due_ms = NULL,
                        cause = CASE WHEN state = 'active' OR due_ms IS NOT NULL OR EXISTS (
                            SELECT 1 FROM arrivals WHERE arrivals.lead_id = $1 AND arrivals.state <> 'decided'
                                AND 'reply ' || arrivals.id = enrollments.cause) THEN $2 ELSE cause END
                     WHERE lead_id = $1 AND state <> 'ended'",
                )
                .bind(&matched.lead.id)
                .bind(paused_by(arrival_id))
                .execute(connection)
                .await
                .map(|done| done.rows_affected())
            })?;
        }
        let lead_id = accepted.lead_id.as_deref();
        let received = json!({
            "arrival": arrival_id, "channel": reply.channel.name(), "subject": reply.subject,
            "paused": accepted.enrollments_paused, "matched_by": accepted.matched_by,
        });
        add_event(
            &mut tx,
            workspace_id,
            lead_id,
            now_ms,
            &format!("received/{arrival_id}"),
            "reply_received",
            &received,
        )
        .await?;
        if let Some(words) = &reply.opt_out {
            let addresses = addresses_of(reply, matched.as_ref().map(|matched| &matched.lead));
            opt_out(&mut tx, workspace_id, lead_id, &addresses, "opted out", words, now_ms).await?;
        }
        tx.commit().await?;
        Ok(accepted)
    }

    /// Claims replies that await a decision: at most one per lead, oldest first, each for `lease_ms`.
    pub async fn claim_arrivals(
        &self,
        now_ms: i64,
        lease_ms: i64,
        arrivals_max: i64,
    ) -> Result<Vec<Claimed>, StoreError> {
        let mut tx = self.begin().await?;
        let sql = if tx.is_postgres() { CLAIM_POSTGRES } else { CLAIM_SQLITE };
        let mut claimed = on_tx!(&mut tx, |connection| {
            sqlx::query_as::<_, Claimed>(sql)
                .bind(now_ms)
                .bind(now_ms.saturating_add(lease_ms))
                .bind(arrivals_max)
                .fetch_all(connection)
                .await
        })?;
        tx.commit().await?;
        claimed.sort_by(|left, right| left.id.cmp(&right.id));
        Ok(claimed)
    }

    /// When the next reply can be claimed; `None` when nothing waits.
    pub async fn next_arrival_due_ms(&self) -> Result<Option<i64>, StoreError> {
        let due: (Option<i64>,) = on_read!(&self.db, |pool| {
            sqlx::query_as(
                "SELECT MIN(CASE WHEN state = 'claimed' THEN lease_until_ms ELSE due_ms END) FROM arrivals WHERE state <> 'decided'",
            )
            .fetch_one(pool)
            .await
        })?;
        Ok(due.0)
    }

    /// Gives a claimed reply back after a failure, to be tried again at `due_ms`.
    pub async fn release_arrival(&self, claimed: &Claimed, due_ms: i64, error: &str) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        on_tx!(&mut tx, |connection| {
            sqlx::query(
                "UPDATE arrivals SET state = 'waiting', lease_until_ms = NULL, due_ms = $1, last_error = $2
                 WHERE id = $3 AND fence = $4 AND state = 'claimed'",
            )
            .bind(due_ms)
            .bind(error)
            .bind(&claimed.id)
            .bind(claimed.fence)
            .execute(connection)
            .await
            .map(|_| ())
        })?;
        tx.commit().await
    }

    /// The facts of one reply: first and last read before its decision.
    pub async fn arrival_facts(&self, arrival_id: &str) -> Result<Option<ArrivalFacts>, StoreError> {
        let row: Option<ArrivalRow> = on_read!(&self.db, |pool| {
            sqlx::query_as(
                "SELECT workspace_id, parsed, lead_id, send_id, matched_by, received_ms FROM arrivals WHERE id = $1",
            )
            .bind(arrival_id)
            .fetch_optional(pool)
            .await
        })?;
        let Some(row) = row else { return Ok(None) };
        let reply: Reply = serde_json::from_str(&row.parsed).map_err(|error| StoreError::Corrupt(error.to_string()))?;
        let workspace: WorkspaceRow = on_read!(&self.db, |pool| {
            sqlx::query_as("SELECT playbook_toml, playbook_version FROM workspaces WHERE id = $1")
                .bind(&row.workspace_id)
                .fetch_one(pool)
                .await
        })?;
        let plugins = self.active_plugins(&row.workspace_id).await?;
        let lead = match &row.lead_id {
            None => None,
            Some(lead_id) => {
                let stored: Option<StoredLead> = on_read!(&self.db, |pool| {
                    sqlx::query_as("SELECT * FROM leads WHERE id = $1").bind(lead_id).fetch_optional(pool).await
                })?;
                stored.map(StoredLead::into_lead).transpose()?
            }
        };
        let sequence: Option<(String,)> = on_read!(&self.db, |pool| {
            sqlx::query_as(
                "SELECT sequences.name FROM sends JOIN enrollments ON enrollments.id = sends.enrollment_id
                 JOIN sequences ON sequences.id = enrollments.sequence_id WHERE sends.id = $1",
            )
            .bind(&row.send_id)
            .fetch_optional(pool)
            .await
        })?;
        let touches_sent: (i64,) = on_read!(&self.db, |pool| {
            sqlx::query_as(
                "SELECT COUNT(*) FROM sends WHERE lead_id = $1 AND state IN ('committed', 'sent', 'unconfirmed')",
            )
            .bind(&row.lead_id)
            .fetch_one(pool)
            .await
        })?;
        Ok(Some(ArrivalFacts {
            reply,
            received_ms: row.received_ms,
            lead,
            matched_by: row.matched_by,
            sequence: sequence.map(|row| row.0),
            touches_sent: touches_sent.0,
            playbook_toml: workspace.playbook_toml,
            playbook_version: workspace.playbook_version,
            plugins,
        }))
    }
}

/// Those that can be claimed: due or with a lease that ran out, and first among the undecided of their lead.
const CLAIM_SQLITE: &str =
    "UPDATE arrivals SET state = 'claimed', attempts = attempts + 1, fence = fence + 1, lease_until_ms = $2
 WHERE id IN (
    SELECT id FROM arrivals AS candidate
    WHERE ((state = 'waiting' AND due_ms <= $1) OR (state = 'claimed' AND lease_until_ms <= $1))
      AND NOT EXISTS (
        SELECT 1 FROM arrivals AS other
        WHERE other.lead_id = candidate.lead_id AND other.state <> 'decided' AND other.id <> candidate.id
          AND (other.id < candidate.id OR (other.state = 'claimed' AND other.lease_until_ms > $1)))
    ORDER BY id LIMIT $3)
 RETURNING id, workspace_id, fence, attempts";

/// The same, skipping what another node is claiming at this moment.
const CLAIM_POSTGRES: &str =
    "UPDATE arrivals SET state = 'claimed', attempts = attempts + 1, fence = fence + 1, lease_until_ms = $2
 WHERE id IN (
    SELECT id FROM arrivals AS candidate
    WHERE ((state = 'waiting' AND due_ms <= $1) OR (state = 'claimed' AND lease_until_ms <= $1))
      AND NOT EXISTS (
        SELECT 1 FROM arrivals AS other
        WHERE other.lead_id = candidate.lead_id AND other.state <> 'decided' AND other.id <> candidate.id
          AND (other.id < candidate.id OR (other.state = 'claimed' AND other.lease_until_ms > $1)))
    ORDER BY id LIMIT $3 FOR UPDATE SKIP LOCKED)
 RETURNING id, workspace_id, fence, attempts";

/// Why an enrollment is paused: the reply that paused it.
pub(super) fn paused_by(arrival_id: &str) -> String {
    format!("reply {arrival_id}")
}

/// `false`: one of this name is stored already.
async fn insert_arrival(
    tx: &mut Tx,
    workspace_id: &str,
    provider_id: &str,
    raw: &[u8],
    reply: &Reply,
    arrival_id: &str,
    now_ms: i64,
) -> Result<bool, StoreError> {
    let parsed = serde_json::to_string(reply).map_err(|error| StoreError::Corrupt(error.to_string()))?;
    let stored = on_tx!(tx, |connection| {
        sqlx::query(
            "INSERT INTO arrivals (id, workspace_id, channel, provider_id, raw, from_address, subject, body_text, new_text,
                parsed, state, attempts, due_ms, fence, received_ms)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, 'waiting', 0, $11, 0, $11)
             ON CONFLICT (workspace_id, provider_id) DO NOTHING",
        )
        .bind(arrival_id)
        .bind(workspace_id)
        .bind(reply.channel.name())
        .bind(provider_id)
        .bind(raw)
        .bind(reply.from.as_ref().map(|address| address.as_str()))
        .bind(&reply.subject)
        .bind(&reply.body_text)
        .bind(&reply.new_text)
        .bind(&parsed)
        .bind(now_ms)
        .execute(connection)
        .await
        .map(|done| done.rows_affected())
    })?;
    Ok(stored > 0)
}

/// The stored reply of the same name, if it is from the same sender and has the same text.
async fn duplicate(tx: &mut Tx, workspace_id: &str, reply: &Reply) -> Result<Option<Accepted>, StoreError> {
    let known: Option<(Option<String>, String)> = on_tx!(&mut *tx, |connection| {
        sqlx::query_as("SELECT from_address, body_text FROM arrivals WHERE workspace_id = $1 AND provider_id = $2")
            .bind(workspace_id)
            .bind(&reply.provider_id)
            .fetch_optional(connection)
            .await
    })?;
    let same = known.is_some_and(|(from, text)| {
        from.as_deref() == reply.from.as_ref().map(|from| from.as_str()) && text == reply.body_text
    });
    if same { accepted_before(tx, workspace_id, &reply.provider_id).await } else { Ok(None) }
}

async fn accepted_before(tx: &mut Tx, workspace_id: &str, provider_id: &str) -> Result<Option<Accepted>, StoreError> {
    let row: Option<(String, Option<String>)> = on_tx!(tx, |connection| {
        sqlx::query_as("SELECT id, lead_id FROM arrivals WHERE workspace_id = $1 AND provider_id = $2")
            .bind(workspace_id)
            .bind(provider_id)
            .fetch_optional(connection)
            .await
    })?;
    Ok(row.map(|(arrival_id, lead_id)| Accepted {
        arrival_id,
        duplicate: true,
        lead_id,
        matched_by: None,
        enrollments_paused: 0,
        opted_out: false,
    }))
}
