//! What the pages show, read in as few statements as the page needs.
//! It must never change anything, and never show one workspace's rows to another.

use super::db::{Store, StoreError, on_read};
use super::workspace::StoredLead;
use rejoinder_playbook::draft::{Draft, Support};
use rejoinder_playbook::reading::{Intent, Reading, Sentiment};
use rejoinder_playbook::reply::Reply;
use rejoinder_playbook::ruling::RulingOutcome;
use serde_json::Value;

/// Rows a list shows at most.
const QUEUE_ITEMS_MAX: i64 = 200;
const TIMELINE_ENTRIES_MAX: i64 = 200;
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

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReviewState {
    Open,
    Approved,
    Edited,
    Rejected,
    Settled,
}

impl ReviewState {
    fn parse(name: &str) -> Option<Self> {
        Some(match name {
            "open" => ReviewState::Open,
            "approved" => ReviewState::Approved,
            "edited" => ReviewState::Edited,
            "rejected" => ReviewState::Rejected,
            "settled" => ReviewState::Settled,
            _ => return None,
        })
    }
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

#[derive(Clone, Debug)]
pub struct ReviewPage {
    pub item: QueueItem,
    pub lead: Option<LeadView>,
    pub reply_text: String,
    pub full_text: String,
    pub removed: Vec<String>,
    pub matched_by: Option<String>,
    pub reading: Option<Reading>,
    pub reasons: Vec<String>,
    pub rulings: Vec<RulingOutcome>,
    pub passages: Vec<PassageView>,
    pub draft: Option<DraftView>,
    pub state: ReviewState,
    pub settled_by: Option<String>,
    pub settled_ms: Option<i64>,
    pub final_body: Option<String>,
    pub note: Option<String>,
    pub send: Option<SendView>,
    pub timeline: Vec<TimelineEntry>,
    pub call_back: Option<String>,
}

#[derive(Clone, Debug)]
pub struct LeadView {
    pub id: String,
    pub name: String,
    pub company: String,
    pub email: String,
    pub title: Option<String>,
    pub stage: String,
    pub time_zone: String,
    pub owner: Option<String>,
    pub fields: Vec<(String, String)>,
    pub opted_out: bool,
}

#[derive(Clone, Debug)]
pub struct PassageView {
    pub id: String,
    pub document: String,
    pub version: i64,
    pub heading: String,
    pub body: String,
    pub score: f32,
}

#[derive(Clone, Debug)]
pub struct DraftView {
    pub subject: String,
    pub body: String,
    pub sentences: Vec<SentenceView>,
}

#[derive(Clone, Debug)]
pub struct SentenceView {
    pub text: String,
    pub paragraph: usize,
    /// Position in `ReviewPage::passages`; none for a courtesy.
    pub passage: Option<usize>,
}

#[derive(Clone, Debug)]
pub struct SendView {
    pub state: String,
    pub message_id: String,
    pub outcome: Option<String>,
    pub at_ms: Option<i64>,
}

#[derive(Clone, Debug)]
pub struct TimelineEntry {
    pub at_ms: i64,
    pub words: String,
    pub cause: Option<String>,
}

/// A decided reply in one line, for the command line.
#[derive(Clone, Debug)]
pub struct DecidedLine {
    pub from_address: String,
    pub lead_name: Option<String>,
    pub verdict: String,
    pub intent: Option<Intent>,
    pub confidence: Option<f32>,
    pub reasons: Vec<String>,
    pub owner: Option<String>,
    pub received_ms: i64,
    pub decided_ms: i64,
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

#[derive(sqlx::FromRow)]
struct PageRow {
    draft_subject: String,
    draft_body: String,
    draft: Option<String>,
    state: String,
    settled_by: Option<String>,
    settled_ms: Option<i64>,
    final_body: Option<String>,
    note: Option<String>,
    call_back: Option<String>,
    lead_id: Option<String>,
    body_text: String,
    parsed: String,
    matched_by: Option<String>,
    reasons: String,
    rulings: String,
    facts: String,
}

#[derive(sqlx::FromRow)]
struct PassageRow {
    id: String,
    title: String,
    version: i64,
    heading: String,
    body: String,
}

#[derive(sqlx::FromRow)]
struct SendRow {
    state: String,
    message_id: String,
    outcome: Option<String>,
    committed_ms: Option<i64>,
}

#[derive(sqlx::FromRow)]
struct EventRow {
    at_ms: i64,
    kind: String,
    data: String,
}

#[derive(sqlx::FromRow)]
struct DecidedRow {
    from_address: Option<String>,
    first_name: Option<String>,
    last_name: Option<String>,
    verdict: String,
    reasons: String,
    reading: Option<String>,
    owner: Option<String>,
    received_ms: i64,
    decided_ms: i64,
}

const ITEMS: &str =
    "SELECT reviews.id, reviews.kind, reviews.reason, reviews.owner, reviews.due_ms, arrivals.from_address,
        arrivals.subject, arrivals.new_text, arrivals.received_ms, leads.first_name, leads.last_name, leads.company,
        decisions.reading
 FROM reviews JOIN arrivals ON arrivals.id = reviews.arrival_id
 JOIN decisions ON decisions.arrival_id = reviews.arrival_id
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

    async fn items(&self, workspace_id: &str, wanted: &str, review_id: &str) -> Result<Vec<QueueItem>, StoreError> {
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

    /// One review with everything its page shows; `None` if this workspace has no such review.
    pub async fn review_page(&self, workspace_id: &str, review_id: &str) -> Result<Option<ReviewPage>, StoreError> {
        let Some(item) = self.items(workspace_id, "one", review_id).await?.pop() else { return Ok(None) };
        let row: PageRow = on_read!(&self.db, |pool| {
            sqlx::query_as(
                "SELECT reviews.draft_subject, reviews.draft_body, reviews.draft, reviews.state, users.name AS settled_by,
                        reviews.settled_ms, reviews.final_body, reviews.note, reviews.call_back, reviews.lead_id,
                        arrivals.body_text, arrivals.parsed, arrivals.matched_by,
                        decisions.reasons, decisions.rulings, decisions.facts
                 FROM reviews JOIN arrivals ON arrivals.id = reviews.arrival_id
                 JOIN decisions ON decisions.arrival_id = reviews.arrival_id
                 LEFT JOIN users ON users.id = reviews.settled_by
                 WHERE reviews.workspace_id = $1 AND reviews.id = $2",
            )
            .bind(workspace_id)
            .bind(review_id)
            .fetch_one(pool)
            .await
        })?;
        let reply: Reply = json(&row.parsed)?;
        let reading = self.reading_of(review_id).await?;
        let facts: Value = json(&row.facts)?;
        let passages = self.passages_found(workspace_id, &facts).await?;
        let draft: Option<Draft> = row.draft.as_deref().map(json).transpose()?;
        let draft = draft.map(|draft| draft_view(&draft, &row, &passages));
        let (lead, timeline) = match &row.lead_id {
            None => (None, vec![]),
            Some(lead_id) => (self.lead_view(lead_id).await?, self.timeline(workspace_id, lead_id).await?),
        };
        let send: Option<SendRow> = on_read!(&self.db, |pool| {
            sqlx::query_as("SELECT state, message_id, outcome, committed_ms FROM sends WHERE send_key = $1")
                .bind(format!("reply/{review_id}"))
                .fetch_optional(pool)
                .await
        })?;
        let reasons: Vec<rejoinder_playbook::decision::Reason> = json(&row.reasons)?;
        Ok(Some(ReviewPage {
            item,
            lead,
            reply_text: reply.new_text,
            full_text: row.body_text,
            removed: reply.removed,
            matched_by: row.matched_by,
            reading,
            reasons: reasons.into_iter().map(|reason| reason.words).collect(),
            rulings: json(&row.rulings)?,
            passages,
            draft,
            state: ReviewState::parse(&row.state).ok_or_else(|| StoreError::Corrupt("state of a review".to_owned()))?,
            settled_by: row.settled_by,
            settled_ms: row.settled_ms,
            final_body: row.final_body,
            note: row.note,
            send: send.map(|send| SendView {
                state: send.state,
                message_id: send.message_id,
                outcome: send.outcome,
                at_ms: send.committed_ms,
            }),
            timeline,
            call_back: row.call_back,
        }))
    }

    async fn reading_of(&self, arrival_id: &str) -> Result<Option<Reading>, StoreError> {
        let row: Option<(Option<String>,)> = on_read!(&self.db, |pool| {
            sqlx::query_as("SELECT reading FROM decisions WHERE arrival_id = $1")
                .bind(arrival_id)
                .fetch_optional(pool)
                .await
        })?;
        row.and_then(|row| row.0).as_deref().map(json).transpose()
    }

    /// The passages that were found for a decision, in the order they were found.
    async fn passages_found(&self, workspace_id: &str, facts: &Value) -> Result<Vec<PassageView>, StoreError> {
        let mut passages = Vec::new();
        for found in facts.get("passages").and_then(Value::as_array).into_iter().flatten() {
            let Some(id) = found.get("id").and_then(Value::as_str) else { continue };
            let row: Option<PassageRow> = on_read!(&self.db, |pool| {
                sqlx::query_as(
                    "SELECT passages.id, documents.title, documents.version, passages.heading, passages.body
                     FROM passages JOIN documents ON documents.id = passages.document_id
                     WHERE passages.workspace_id = $1 AND passages.id = $2",
                )
                .bind(workspace_id)
                .bind(id)
                .fetch_optional(pool)
                .await
            })?;
            #[expect(clippy::cast_possible_truncation, reason = "a score is shown with two digits")]
            let score = found.get("score").and_then(Value::as_f64).unwrap_or_default() as f32;
            passages.extend(row.map(|row| PassageView {
                id: row.id,
                document: row.title,
                version: row.version,
                heading: row.heading,
                body: row.body,
                score,
            }));
        }
        Ok(passages)
    }

    async fn lead_view(&self, lead_id: &str) -> Result<Option<LeadView>, StoreError> {
        let row: Option<StoredLead> = on_read!(&self.db, |pool| {
            sqlx::query_as("SELECT * FROM leads WHERE id = $1").bind(lead_id).fetch_optional(pool).await
        })?;
        let Some(row) = row else { return Ok(None) };
        let lead = row.into_lead()?;
        let suppressed = self.is_suppressed(&lead.id, lead.email.as_str(), 0).await?;
        Ok(Some(LeadView {
            name: lead.name(),
            company: lead.company,
            email: lead.email.as_str().to_owned(),
            title: lead.fields.get("title").cloned(),
            stage: lead.stage.name().to_owned(),
            time_zone: lead.time_zone,
            owner: lead.owner,
            fields: lead
                .fields
                .into_iter()
                .filter(|(name, _)| name != "title")
                .map(|(name, value)| (name.replace('_', " "), value))
                .collect(),
            opted_out: suppressed,
            id: lead.id,
        }))
    }

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

    /// What was decided about a reply; `None` while it waits.
    pub async fn decided_line(&self, arrival_id: &str) -> Result<Option<DecidedLine>, StoreError> {
        let row: Option<DecidedRow> = on_read!(&self.db, |pool| {
            sqlx::query_as(
                "SELECT arrivals.from_address, leads.first_name, leads.last_name, decisions.verdict, decisions.reasons,
                        decisions.reading, reviews.owner, arrivals.received_ms, decisions.decided_ms
                 FROM decisions JOIN arrivals ON arrivals.id = decisions.arrival_id
                 LEFT JOIN leads ON leads.id = decisions.lead_id LEFT JOIN reviews ON reviews.arrival_id = decisions.arrival_id
                 WHERE decisions.arrival_id = $1",
            )
            .bind(arrival_id)
            .fetch_optional(pool)
            .await
        })?;
        let Some(row) = row else { return Ok(None) };
        let reading: Option<Reading> = row.reading.as_deref().map(json).transpose()?;
        let reasons: Vec<rejoinder_playbook::decision::Reason> = json(&row.reasons)?;
        Ok(Some(DecidedLine {
            from_address: row.from_address.unwrap_or_default(),
            lead_name: row.first_name.zip(row.last_name).map(|(first, last)| format!("{first} {last}")),
            verdict: row.verdict,
            intent: reading.as_ref().map(|reading| reading.intent),
            confidence: reading.as_ref().map(|reading| reading.confidence),
            reasons: reasons.into_iter().map(|reason| reason.words).collect(),
            owner: row.owner,
            received_ms: row.received_ms,
            decided_ms: row.decided_ms,
        }))
    }
}

fn json<T: serde::de::DeserializeOwned>(text: &str) -> Result<T, StoreError> {
    serde_json::from_str(text).map_err(|error| StoreError::Corrupt(error.to_string()))
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

fn draft_view(draft: &Draft, row: &PageRow, passages: &[PassageView]) -> DraftView {
    let sentences = draft
        .paragraphs
        .iter()
        .enumerate()
        .flat_map(|(paragraph, sentences)| sentences.iter().map(move |sentence| (paragraph, sentence)))
        .map(|(paragraph, sentence)| SentenceView {
            text: sentence.text.clone(),
            paragraph,
            passage: match &sentence.support {
                Support::Passage { id } => passages.iter().position(|passage| passage.id == *id),
                Support::Courtesy => None,
            },
        })
        .collect();
    DraftView { subject: row.draft_subject.clone(), body: row.draft_body.clone(), sentences }
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
        "decided" => match rejoinder_playbook::decision::Verdict::parse(text("verdict")) {
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
