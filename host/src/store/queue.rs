//! The queue of replies that await a person, and its counts.
//! It must never change anything, and never show one workspace's rows to another.

use super::db::{Store, StoreError, json, on_read};
use rejoinder_playbook::reading::{Intent, Reading, Sentiment};

/// Rows a list shows at most.
const QUEUE_ITEMS_MAX: i64 = 200;
const SNIPPET_CHARS_MAX: usize = 140;
const DAY_MS: i64 = 24 * 60 * 60 * 1000;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReviewKind {
    Review,
    HandOff,
}

impl ReviewKind {
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            ReviewKind::Review => "review",
            ReviewKind::HandOff => "hand_off",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QueueFilter {
    Open,
    Reviews,
    HandOffs,
    Settled,
}

#[derive(Clone, Debug)]
pub struct QueueItem {
    pub id: String,
    pub kind: ReviewKind,
    pub lead_name: String,
    pub company: String,
    pub from_address: String,
    pub subject: String,
    pub snippet: String,
    pub intent: Option<Intent>,
    pub sentiment: Option<Sentiment>,
    pub confidence: Option<f32>,
    pub reason: String,
    pub owner: Option<String>,
    pub received_ms: i64,
    pub due_ms: i64,
}

#[derive(Clone, Debug)]
pub struct Queue {
    pub items: Vec<QueueItem>,
    pub open_reviews: i64,
    pub open_hand_offs: i64,
    /// Settled in the last 24 hours.
    pub settled_today: i64,
    /// Replies that no decision has been made about yet.
    pub waiting_for_decision: i64,
}

#[derive(sqlx::FromRow)]
struct ItemRow {
    id: String,
    kind: String,
    reason: String,
    owner: Option<String>,
    due_ms: i64,
    from_address: Option<String>,
    subject: String,
    new_text: String,
    received_ms: i64,
    first_name: Option<String>,
    last_name: Option<String>,
    company: Option<String>,
    reading: Option<String>,
}

const ITEMS: &str = "SELECT reviews.id, reviews.kind, reviews.reason, reviews.owner, reviews.due_ms,
        COALESCE(arrivals.from_address, sends.to_address) AS from_address,
        COALESCE(arrivals.subject, sends.subject) AS subject, COALESCE(arrivals.new_text, sends.body) AS new_text,
        COALESCE(arrivals.received_ms, reviews.created_ms) AS received_ms,
        leads.first_name, leads.last_name, leads.company, decisions.reading
 FROM reviews LEFT JOIN arrivals ON arrivals.id = reviews.arrival_id
 LEFT JOIN sends ON sends.id = reviews.send_id
 LEFT JOIN decisions ON decisions.arrival_id = reviews.arrival_id
 LEFT JOIN leads ON leads.id = reviews.lead_id
 WHERE reviews.workspace_id = $1 AND
    CASE $2 WHEN 'open' THEN reviews.state = 'open'
            WHEN 'settled' THEN reviews.state <> 'open'
            WHEN 'one' THEN reviews.id = $4
            ELSE reviews.state = 'open' AND reviews.kind = $2 END
 ORDER BY CASE WHEN $2 = 'settled' THEN -reviews.settled_ms ELSE reviews.due_ms END, reviews.id LIMIT $3";

impl Store {
    /// The review queue, the most urgent first; the settled ones newest first.
    pub async fn review_queue(
        &self,
        workspace_id: &str,
        filter: QueueFilter,
        now_ms: i64,
    ) -> Result<Queue, StoreError> {
        let wanted = match filter {
            QueueFilter::Open => "open",
            QueueFilter::Reviews => "review",
            QueueFilter::HandOffs => "hand_off",
            QueueFilter::Settled => "settled",
        };
        let items = self.items(workspace_id, wanted, "").await?;
        let counts: (i64, i64, i64, i64) = on_read!(&self.db, |pool| {
            sqlx::query_as(
                "SELECT COUNT(*) FILTER (WHERE state = 'open' AND kind = 'review'),
                        COUNT(*) FILTER (WHERE state = 'open' AND kind = 'hand_off'),
                        COUNT(*) FILTER (WHERE settled_ms > $2),
                        (SELECT COUNT(*) FROM arrivals WHERE workspace_id = $1 AND arrivals.state <> 'decided')
                 FROM reviews WHERE workspace_id = $1",
            )
            .bind(workspace_id)
            .bind(now_ms.saturating_sub(DAY_MS))
            .fetch_one(pool)
            .await
        })?;
        Ok(Queue {
            items,
            open_reviews: counts.0,
            open_hand_offs: counts.1,
            settled_today: counts.2,
            waiting_for_decision: counts.3,
        })
    }

    pub(super) async fn items(
        &self,
        workspace_id: &str,
        wanted: &str,
        review_id: &str,
    ) -> Result<Vec<QueueItem>, StoreError> {
        let rows: Vec<ItemRow> = on_read!(&self.db, |pool| {
            sqlx::query_as(ITEMS)
                .bind(workspace_id)
                .bind(wanted)
                .bind(QUEUE_ITEMS_MAX)
                .bind(review_id)
                .fetch_all(pool)
                .await
        })?;
        rows.into_iter().map(item).collect()
    }
}

fn item(row: ItemRow) -> Result<QueueItem, StoreError> {
    let reading: Option<Reading> = row.reading.as_deref().map(json).transpose()?;
    let one_line = row.new_text.split_whitespace().collect::<Vec<_>>().join(" ");
    let snippet = match one_line.char_indices().nth(SNIPPET_CHARS_MAX) {
        Some((cut, _)) => format!("{}…", one_line.get(..cut).unwrap_or_default()),
        None => one_line,
    };
    Ok(QueueItem {
        id: row.id,
        kind: if row.kind == "review" { ReviewKind::Review } else { ReviewKind::HandOff },
        lead_name: row
            .first_name
            .zip(row.last_name)
            .map_or_else(String::new, |(first, last)| format!("{first} {last}")),
        company: row.company.unwrap_or_default(),
        from_address: row.from_address.unwrap_or_default(),
        subject: row.subject,
        snippet,
        intent: reading.as_ref().map(|reading| reading.intent),
        sentiment: reading.as_ref().map(|reading| reading.sentiment),
        confidence: reading.as_ref().map(|reading| reading.confidence),
        reason: row.reason,
        owner: row.owner,
        received_ms: row.received_ms,
        due_ms: row.due_ms,
    })
}
