//! Sequences, and the leads that go through them step by step.
//! It must never plan one step twice: a move counts only if the enrollment stands where its reader saw it.

use super::db::{Store, StoreError, Tx, on_read, on_tx};
use super::lead::lead_by_id;
use super::outbox::{NewSend, insert_send};
use super::timeline::add_event;
use serde_json::json;

#[derive(Clone, Debug)]
pub struct NewSequence {
    pub id: String,
    pub name: String,
    pub version: i64,
    pub body_toml: String,
}

#[derive(Clone, Debug)]
pub struct NewEnrollment {
    pub id: String,
    pub lead_id: String,
    pub sequence_id: String,
    pub due_ms: i64,
}

/// An enrollment whose next step, or whose resumption, is due.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct DueEnrollment {
    pub id: String,
    pub workspace_id: String,
    pub lead_id: String,
    pub state: String,
    pub next_step: i64,
    pub due_ms: i64,
    pub body_toml: String,
    pub playbook_toml: String,
}

impl Store {
    /// Stores a sequence version and enrolls leads in it; what is there already stays. Says how many enrollments were new,
    /// `None` if another text is on record under this version: nothing was changed then.
    pub async fn start_sequence(
        &self,
        workspace_id: &str,
        sequence: &NewSequence,
        enrollments: &[NewEnrollment],
        now_ms: i64,
    ) -> Result<Option<u64>, StoreError> {
        let mut tx = self.begin().await?;
        on_tx!(&mut tx, |connection| {
            sqlx::query(
                "INSERT INTO sequences (id, workspace_id, name, version, body_toml, running, created_ms)
                 VALUES ($1, $2, $3, $4, $5, TRUE, $6) ON CONFLICT DO NOTHING",
            )
            .bind(&sequence.id)
            .bind(workspace_id)
            .bind(&sequence.name)
            .bind(sequence.version)
            .bind(&sequence.body_toml)
            .bind(now_ms)
            .execute(connection)
            .await
            .map(|_| ())
        })?;
        let (on_record,): (String,) = on_tx!(&mut tx, |connection| {
            sqlx::query_as("SELECT body_toml FROM sequences WHERE workspace_id = $1 AND id = $2")
                .bind(workspace_id)
                .bind(&sequence.id)
                .fetch_one(connection)
                .await
        })?;
        if on_record != sequence.body_toml {
            return Ok(None);
        }
        let mut enrolled = 0;
        for enrollment in enrollments {
            if lead_by_id(&mut tx, &enrollment.lead_id).await?.is_none() {
                continue;
            }
            let new = on_tx!(&mut tx, |connection| {
                sqlx::query(
                    "INSERT INTO enrollments (id, workspace_id, lead_id, sequence_id, state, next_step, due_ms, started_ms)
                     VALUES ($1, $2, $3, $4, 'active', 1, $5, $6) ON CONFLICT DO NOTHING",
                )
                .bind(&enrollment.id)
                .bind(workspace_id)
                .bind(&enrollment.lead_id)
                .bind(&enrollment.sequence_id)
                .bind(enrollment.due_ms)
                .bind(now_ms)
                .execute(connection)
                .await
                .map(|done| done.rows_affected())
            })?;
            if new > 0 {
                let data = json!({ "sequence": sequence.name });
                let key = format!("enrolled/{}", enrollment.id);
                add_event(&mut tx, workspace_id, Some(&enrollment.lead_id), now_ms, &key, "enrolled", &data).await?;
            }
            enrolled += new;
        }
        tx.commit().await?;
        Ok(Some(enrolled))
    }

    /// Enrollments that are due, the longest waiting first. Those a person has taken over are left alone.
    pub async fn due_enrollments(&self, now_ms: i64, enrollments_max: i64) -> Result<Vec<DueEnrollment>, StoreError> {
        Ok(on_read!(&self.db, |pool| {
            sqlx::query_as(
                "SELECT enrollments.id, enrollments.workspace_id, enrollments.lead_id, enrollments.state, enrollments.next_step,
                        enrollments.due_ms, sequences.body_toml, workspaces.playbook_toml
                 FROM enrollments JOIN sequences ON sequences.id = enrollments.sequence_id
                 JOIN workspaces ON workspaces.id = enrollments.workspace_id
                 JOIN leads ON leads.id = enrollments.lead_id
                 WHERE enrollments.due_ms IS NOT NULL AND enrollments.due_ms <= $1 AND sequences.running = TRUE
                    AND leads.owner IS NULL
                 ORDER BY enrollments.due_ms, enrollments.id LIMIT $2",
            )
            .bind(now_ms)
            .bind(enrollments_max)
            .fetch_all(pool)
            .await
        })?)
    }

    /// Lets a paused enrollment go on: its next step is due at once. `false`: it has changed meanwhile.
    pub async fn resume_enrollment(&self, due: &DueEnrollment, now_ms: i64) -> Result<bool, StoreError> {
        let mut tx = self.begin().await?;
        let resumed = on_tx!(&mut tx, |connection| {
            sqlx::query(
                "UPDATE enrollments SET state = 'active', due_ms = $1, cause = NULL
                 WHERE id = $2 AND state = 'paused' AND due_ms = $3",
            )
            .bind(now_ms)
            .bind(&due.id)
            .bind(due.due_ms)
            .execute(connection)
            .await
            .map(|done| done.rows_affected())
        })?;
        if resumed > 0 {
            let key = format!("resumed/{}/{}", due.id, due.due_ms);
            add_event(&mut tx, &due.workspace_id, Some(&due.lead_id), now_ms, &key, "resumed", &json!({})).await?;
        }
        tx.commit().await?;
        Ok(resumed > 0)
    }

    /// Plans the message of a due step and moves the enrollment on to `next_due_ms`, or to its end. `false`: it has
    /// changed meanwhile and nothing was planned.
    pub async fn plan_step(
        &self,
        due: &DueEnrollment,
        send: &NewSend,
        next_due_ms: Option<i64>,
        now_ms: i64,
    ) -> Result<bool, StoreError> {
        let mut tx = self.begin().await?;
        // After the last step the enrollment stays active until that message has left: one of an ended one is not sent.
        let cause = if next_due_ms.is_some() { None } else { Some("completed") };
        let moved = on_tx!(&mut tx, |connection| {
            sqlx::query(
                "UPDATE enrollments SET next_step = next_step + 1, due_ms = $1, cause = $2
                 WHERE id = $3 AND state = 'active' AND next_step = $4 AND due_ms = $5",
            )
            .bind(next_due_ms)
            .bind(cause)
            .bind(&due.id)
            .bind(due.next_step)
            .bind(due.due_ms)
            .execute(connection)
            .await
            .map(|done| done.rows_affected())
        })?;
        if moved == 0 {
            return Ok(false);
        }
        insert_send(&mut tx, send, now_ms).await?;
        tx.commit().await?;
        Ok(true)
    }

    /// Ends an enrollment that cannot go on, with the reason on the timeline.
    pub async fn end_enrollment(&self, due: &DueEnrollment, cause: &str, now_ms: i64) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        let ended = on_tx!(&mut tx, |connection| {
            sqlx::query(
                "UPDATE enrollments SET state = 'ended', due_ms = NULL, cause = $2 WHERE id = $1 AND due_ms = $3",
            )
            .bind(&due.id)
            .bind(cause)
            .bind(due.due_ms)
            .execute(connection)
            .await
            .map(|done| done.rows_affected())
        })?;
        // A reply may have come meanwhile and paused it; then it is not ended, and its next due time says so again.
        if ended == 0 {
            return Ok(());
        }
        let key = format!("ended/{}", due.id);
        add_event(
            &mut tx,
            &due.workspace_id,
            Some(&due.lead_id),
            now_ms,
            &key,
            "sequence_ended",
            &json!({ "cause": cause }),
        )
        .await?;
        tx.commit().await
    }
}

/// An enrollment that has no further step ends once its last message is out of the outbox.
pub(super) async fn end_if_completed(tx: &mut Tx, enrollment_id: &str) -> Result<(), StoreError> {
    on_tx!(tx, |connection| {
        sqlx::query(
            "UPDATE enrollments SET state = 'ended' WHERE id = $1 AND state = 'active' AND due_ms IS NULL
                AND NOT EXISTS (SELECT 1 FROM sends WHERE sends.enrollment_id = $1 AND sends.state IN ('ready', 'leased', 'committed'))",
        )
        .bind(enrollment_id)
        .execute(connection)
        .await
        .map(|_| ())
    })?;
    Ok(())
}
