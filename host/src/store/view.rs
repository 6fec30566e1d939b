//! What a page shows about one reply, read in as few statements as the page needs.
//! It must never change anything, and never show one workspace's rows to another.

use super::db::{Store, StoreError, json, on_read};
use super::lead::StoredLead;
use super::queue::QueueItem;
use super::timeline::TimelineEntry;
use rejoinder_playbook::draft::{Draft, Support};
use rejoinder_playbook::effect::Reason;
use rejoinder_playbook::reading::{Intent, Reading};
use rejoinder_playbook::reply::Reply;
use rejoinder_playbook::ruling::RulingOutcome;
use serde_json::Value;

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

/// What a person is asked about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum About {
    Reply,
    /// A message of ours that did not leave for certain.
    Send,
}

#[derive(Clone, Debug)]
pub struct ReviewPage {
    pub about: About,
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
    parsed: Option<String>,
    matched_by: Option<String>,
    reasons: Option<String>,
    rulings: Option<String>,
    facts: Option<String>,
    send_key: Option<String>,
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

impl Store {
    /// One review with everything its page shows; `None` if this workspace has no such review.
    pub async fn review_page(&self, workspace_id: &str, review_id: &str) -> Result<Option<ReviewPage>, StoreError> {
        let Some(item) = self.items(workspace_id, "one", review_id).await?.pop() else { return Ok(None) };
        let row: PageRow = on_read!(&self.db, |pool| {
            sqlx::query_as(
                "SELECT reviews.draft_subject, reviews.draft_body, reviews.draft, reviews.state, users.name AS settled_by,
                        reviews.settled_ms, reviews.final_body, reviews.note, reviews.call_back, reviews.lead_id,
                        COALESCE(arrivals.body_text, sends.body) AS body_text, arrivals.parsed, arrivals.matched_by,
                        decisions.reasons, decisions.rulings, decisions.facts, sends.send_key
                 FROM reviews LEFT JOIN arrivals ON arrivals.id = reviews.arrival_id
                 LEFT JOIN sends ON sends.id = reviews.send_id
                 LEFT JOIN decisions ON decisions.arrival_id = reviews.arrival_id
                 LEFT JOIN users ON users.id = reviews.settled_by
                 WHERE reviews.workspace_id = $1 AND reviews.id = $2",
            )
            .bind(workspace_id)
            .bind(review_id)
            .fetch_one(pool)
            .await
        })?;
        let reply: Option<Reply> = row.parsed.as_deref().map(json).transpose()?;
        let (reply_text, removed) = match reply {
            Some(reply) => (reply.new_text, reply.removed),
            None => (row.body_text.clone(), vec![]),
        };
        let reading = self.reading_of(review_id).await?;
        let facts: Value = row.facts.as_deref().map(json).transpose()?.unwrap_or_default();
        let passages = self.passages_found(workspace_id, &facts).await?;
        let draft: Option<Draft> = row.draft.as_deref().map(json).transpose()?;
        let draft = draft.map(|draft| draft_view(&draft, &row, &passages));
        let (lead, timeline) = match &row.lead_id {
            None => (None, vec![]),
            Some(lead_id) => (self.lead_view(lead_id).await?, self.timeline(workspace_id, lead_id).await?),
        };
        let send: Option<SendRow> = on_read!(&self.db, |pool| {
            sqlx::query_as("SELECT state, message_id, outcome, committed_ms FROM sends WHERE send_key = $1")
                .bind(row.send_key.clone().unwrap_or_else(|| format!("reply/{review_id}")))
                .fetch_optional(pool)
                .await
        })?;
        let reasons: Vec<Reason> = row.reasons.as_deref().map(json).transpose()?.unwrap_or_default();
        Ok(Some(ReviewPage {
            about: if row.send_key.is_some() { About::Send } else { About::Reply },
            item,
            lead,
            reply_text,
            full_text: row.body_text,
            removed,
            matched_by: row.matched_by,
            reading,
            reasons: reasons.into_iter().map(|reason| reason.words).collect(),
            rulings: row.rulings.as_deref().map(json).transpose()?.unwrap_or_default(),
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
        let suppressed = self.is_suppressed(&lead.id, lead.email.as_str()).await?;
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
        let reasons: Vec<Reason> = json(&row.reasons)?;
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
