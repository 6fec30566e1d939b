//! The leads of a team, as rows and as the core knows them.
//! It must never overwrite what a lead's record already says.

use super::db::{Store, StoreError, Tx, on_read, on_tx};
use rejoinder_playbook::address::EmailAddress;
use rejoinder_playbook::lead::{Lead, Stage};

/// A row of `leads`.
#[derive(Clone, Debug, sqlx::FromRow)]
pub(crate) struct StoredLead {
    pub(crate) id: String,
    pub(crate) email: String,
    pub(crate) first_name: String,
    pub(crate) last_name: String,
    pub(crate) company: String,
    pub(crate) time_zone: String,
    pub(crate) stage: String,
    pub(crate) owner: Option<String>,
    pub(crate) fields: String,
}

impl StoredLead {
    pub(crate) fn into_lead(self) -> Result<Lead, StoreError> {
        let corrupt = |what: &str| StoreError::Corrupt(format!("{what} of lead {}", self.id));
        Ok(Lead {
            email: EmailAddress::parse(&self.email).map_err(|_| corrupt("address"))?,
            stage: Stage::parse(&self.stage).ok_or_else(|| corrupt("stage"))?,
            fields: serde_json::from_str(&self.fields).map_err(|_| corrupt("fields"))?,
            id: self.id,
            first_name: self.first_name,
            last_name: self.last_name,
            company: self.company,
            time_zone: self.time_zone,
            owner: self.owner,
        })
    }
}

pub(super) async fn lead_by_email(tx: &mut Tx, workspace_id: &str, email: &str) -> Result<Option<Lead>, StoreError> {
    let row: Option<StoredLead> = on_tx!(tx, |connection| {
        sqlx::query_as("SELECT * FROM leads WHERE workspace_id = $1 AND email = $2")
            .bind(workspace_id)
            .bind(email)
            .fetch_optional(connection)
            .await
    })?;
    row.map(StoredLead::into_lead).transpose()
}

pub(super) async fn lead_by_id(tx: &mut Tx, lead_id: &str) -> Result<Option<Lead>, StoreError> {
    let row: Option<StoredLead> = on_tx!(tx, |connection| {
        sqlx::query_as("SELECT * FROM leads WHERE id = $1").bind(lead_id).fetch_optional(connection).await
    })?;
    row.map(StoredLead::into_lead).transpose()
}

/// Takes the row lock of a lead; on SQLite the one writer has it already.
pub(super) async fn lock_lead(tx: &mut Tx, lead_id: &str) -> Result<(), StoreError> {
    on_tx!(tx, |connection| {
        sqlx::query("UPDATE leads SET stage = stage WHERE id = $1").bind(lead_id).execute(connection).await.map(|_| ())
    })?;
    Ok(())
}

impl Store {
    /// Stores leads that are not there yet; says how many were new. Those on record stay as they are.
    pub async fn add_leads(&self, workspace_id: &str, leads: &[Lead], now_ms: i64) -> Result<u64, StoreError> {
        let mut tx = self.begin().await?;
        let mut added = 0;
        for lead in leads {
            let fields = serde_json::to_string(&lead.fields).map_err(|error| StoreError::Corrupt(error.to_string()))?;
            added += on_tx!(&mut tx, |connection| {
                sqlx::query(
                    "INSERT INTO leads (id, workspace_id, email, first_name, last_name, company, time_zone, stage, owner, fields, created_ms)
                     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) ON CONFLICT DO NOTHING",
                )
                .bind(&lead.id)
                .bind(workspace_id)
                .bind(lead.email.as_str())
                .bind(&lead.first_name)
                .bind(&lead.last_name)
                .bind(&lead.company)
                .bind(&lead.time_zone)
                .bind(lead.stage.name())
                .bind(&lead.owner)
                .bind(&fields)
                .bind(now_ms)
                .execute(connection)
                .await
                .map(|done| done.rows_affected())
            })?;
        }
        tx.commit().await?;
        Ok(added)
    }

    pub async fn lead(&self, workspace_id: &str, lead_id: &str) -> Result<Option<Lead>, StoreError> {
        let row: Option<StoredLead> = on_read!(&self.db, |pool| {
            sqlx::query_as("SELECT * FROM leads WHERE workspace_id = $1 AND id = $2")
                .bind(workspace_id)
                .bind(lead_id)
                .fetch_optional(pool)
                .await
        })?;
        row.map(StoredLead::into_lead).transpose()
    }
}
