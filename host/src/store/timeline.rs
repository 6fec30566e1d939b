//! What happened to a lead, event by event, and the words a page shows for it.
//! It must never change or delete an event.

use super::db::{Store, StoreError, Tx, json, on_read, on_tx};
use rejoinder_playbook::effect::Verdict;
use serde_json::Value;

const TIMELINE_ENTRIES_MAX: i64 = 200;

#[derive(Clone, Debug)]
pub struct TimelineEntry {
    pub at_ms: i64,
    pub words: String,
    pub cause: Option<String>,
}

#[derive(sqlx::FromRow)]
struct EventRow {
    at_ms: i64,
    kind: String,
    data: String,
}

/// Puts an event on the timeline. The key says what it means: the same key is there once.
pub(super) async fn add_event(
    tx: &mut Tx,
    workspace_id: &str,
    lead_id: Option<&str>,
    at_ms: i64,
    key: &str,
    kind: &str,
    data: &Value,
) -> Result<(), StoreError> {
    on_tx!(tx, |connection| {
        sqlx::query(
            "INSERT INTO events (id, workspace_id, lead_id, at_ms, kind, data) VALUES ($1, $2, $3, $4, $5, $6)
             ON CONFLICT (id) DO NOTHING",
        )
        .bind(key)
        .bind(workspace_id)
        .bind(lead_id)
        .bind(at_ms)
        .bind(kind)
        .bind(data.to_string())
        .execute(connection)
        .await
        .map(|_| ())
    })?;
    Ok(())
}

impl Store {
    /// What happened to a lead, newest first.
    pub async fn timeline(&self, workspace_id: &str, lead_id: &str) -> Result<Vec<TimelineEntry>, StoreError> {
        let rows: Vec<EventRow> = on_read!(&self.db, |pool| {
            sqlx::query_as(
                "SELECT at_ms, kind, data FROM events WHERE workspace_id = $1 AND lead_id = $2
                 ORDER BY at_ms DESC, id DESC LIMIT $3",
            )
            .bind(workspace_id)
            .bind(lead_id)
            .bind(TIMELINE_ENTRIES_MAX)
            .fetch_all(pool)
            .await
        })?;
        rows.into_iter().map(|row| Ok(timeline_entry(row.at_ms, &row.kind, &json(&row.data)?))).collect()
    }
}

/// An event in words.
fn timeline_entry(at_ms: i64, kind: &str, data: &Value) -> TimelineEntry {
    let text = |name: &str| data.get(name).and_then(Value::as_str).unwrap_or_default();
    let words = match kind {
        "enrolled" => format!("Enrolled in “{}”", text("sequence")),
        "reply_received" => match data.get("paused").and_then(Value::as_i64).unwrap_or_default() {
            0 => format!("Replied: “{}”", text("subject")),
            1 => format!("Replied: “{}”; 1 sequence paused", text("subject")),
            paused => format!("Replied: “{}”; {paused} sequences paused", text("subject")),
        },
        "decided" => match Verdict::parse(text("verdict")) {
            Some(verdict) => format!("Decided: {}", verdict.words()),
            None => "Decided".to_owned(),
        },
        "review_opened" => format!("Draft laid before {}", text("owner")),
        "handed_off" => format!("Handed to {}", text("owner")),
        "review_settled" => match text("state") {
            "approved" => format!("{} approved the draft", text("by")),
            "edited" => format!("{} edited and approved the draft", text("by")),
            "rejected" => format!("{} rejected the draft: {}", text("by"), text("note")),
            _ => format!("{} settled it: {}", text("by"), text("note")),
        },
        "stage_changed" => format!("Stage {} → {}", text("from"), text("to")),
        "opted_out" => "Opted out of all messages".to_owned(),
        "resumed" => "Sequence goes on".to_owned(),
        "sequence_ended" => "Sequence ended".to_owned(),
        "sent" => match data.get("step").and_then(Value::as_i64) {
            Some(step) => format!("E-mail {step} of the sequence sent"),
            None => "Answer sent".to_owned(),
        },
        "send_delayed" => "Sending delayed, will be tried again".to_owned(),
        "send_failed" => "Sending failed".to_owned(),
        "send_unconfirmed" => "Sending unconfirmed: look whether it arrived; it is not sent again by itself".to_owned(),
        "refused" => format!("Not sent (rule {})", text("rule")),
        other => other.replace('_', " "),
    };
    let cause = Some(text("cause")).filter(|cause| !cause.is_empty()).map(str::to_owned);
    TimelineEntry { at_ms, words, cause }
}
