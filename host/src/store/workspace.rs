//! Workspaces and what a team puts into them: settings, keys, documents, leads, sequences, plugins; and the timeline.
//! It must never show a secret once it is stored, and never change an event.

use super::db::{Store, StoreError, Tx, on_read, on_tx};
use rejoinder_playbook::address::EmailAddress;
use rejoinder_playbook::draft::Passage;
use rejoinder_playbook::lead::{Lead, Stage};
use serde_json::Value;

#[derive(Clone, Debug, sqlx::FromRow)]
pub struct Workspace {
    pub id: String,
    pub slug: String,
    pub name: String,
    pub playbook_toml: String,
    pub playbook_version: i64,
    pub link_secret: Vec<u8>,
}

/// How a system proves that it may post.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HookKeyKind {
    /// A shared secret that signs each request.
    Hmac,
    /// A key that is sent along; only its SHA-256 is stored.
    ApiKey,
}

impl HookKeyKind {
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            HookKeyKind::Hmac => "hmac",
            HookKeyKind::ApiKey => "api_key",
        }
    }
}

/// A passage with its embeddings: the whole first, then each sentence; f32 little endian.
#[derive(Clone, Debug)]
pub struct NewPassage {
    pub id: String,
    pub heading: String,
    pub body: String,
    pub model: String,
    pub embeddings: Vec<u8>,
}

#[derive(Clone, Debug)]
pub struct NewDocument {
    pub id: String,
    /// File name: the same name is the same document in another version.
    pub name: String,
    pub title: String,
    pub kind: String,
    pub version: i64,
    pub body: String,
    pub sha256: String,
    pub passages: Vec<NewPassage>,
}

/// A current passage as it is kept in memory for finding.
#[derive(Clone, Debug)]
pub struct StoredPassage {
    pub passage: Passage,
    pub model: String,
    pub embeddings: Vec<u8>,
}

#[derive(sqlx::FromRow)]
struct PassageRow {
    id: String,
    title: String,
    version: i64,
    kind: String,
    heading: String,
    body: String,
    model: String,
    embeddings: Vec<u8>,
}

#[derive(Clone, Debug, sqlx::FromRow)]
pub struct ActivePlugin {
    pub name: String,
    pub sha256: String,
    /// JSON object of strings.
    pub settings: String,
}

/// A plugin to install.
#[derive(Clone, Copy, Debug)]
pub struct NewPlugin<'a> {
    pub id: &'a str,
    pub name: &'a str,
    pub sha256: &'a str,
    pub component: &'a [u8],
    /// JSON object of strings.
    pub settings: &'a str,
}

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
    pub async fn workspace_by_slug(&self, slug: &str) -> Result<Option<Workspace>, StoreError> {
        Ok(on_read!(&self.db, |pool| {
            sqlx::query_as(
                "SELECT id, slug, name, playbook_toml, playbook_version, link_secret FROM workspaces WHERE slug = $1",
            )
            .bind(slug)
            .fetch_optional(pool)
            .await
        })?)
    }

    pub async fn workspace(&self, id: &str) -> Result<Option<Workspace>, StoreError> {
        Ok(on_read!(&self.db, |pool| {
            sqlx::query_as(
                "SELECT id, slug, name, playbook_toml, playbook_version, link_secret FROM workspaces WHERE id = $1",
            )
            .bind(id)
            .fetch_optional(pool)
            .await
        })?)
    }

    pub async fn workspaces(&self) -> Result<Vec<Workspace>, StoreError> {
        Ok(on_read!(&self.db, |pool| {
            sqlx::query_as(
                "SELECT id, slug, name, playbook_toml, playbook_version, link_secret FROM workspaces ORDER BY slug",
            )
            .fetch_all(pool)
            .await
        })?)
    }

    /// Creates the workspace unless one with this slug is there; says whether it did.
    pub async fn create_workspace(&self, workspace: &Workspace, now_ms: i64) -> Result<bool, StoreError> {
        let mut tx = self.begin().await?;
        let created = on_tx!(&mut tx, |connection| {
            sqlx::query(
                "INSERT INTO workspaces (id, slug, name, playbook_toml, playbook_version, link_secret, created_ms)
                 VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (slug) DO NOTHING",
            )
            .bind(&workspace.id)
            .bind(&workspace.slug)
            .bind(&workspace.name)
            .bind(&workspace.playbook_toml)
            .bind(workspace.playbook_version)
            .bind(&workspace.link_secret)
            .bind(now_ms)
            .execute(connection)
            .await
            .map(|done| done.rows_affected())
        })?;
        tx.commit().await?;
        Ok(created > 0)
    }

    /// Replaces the settings; the playbook's version counts up when they have changed.
    pub async fn put_playbook(&self, workspace_id: &str, playbook_toml: &str) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        on_tx!(&mut tx, |connection| {
            sqlx::query(
                "UPDATE workspaces SET playbook_toml = $2, playbook_version = playbook_version + 1
                 WHERE id = $1 AND playbook_toml <> $2",
            )
            .bind(workspace_id)
            .bind(playbook_toml)
            .execute(connection)
            .await
            .map(|_| ())
        })?;
        tx.commit().await
    }

    /// Whether a document with this name and exactly these bytes is stored.
    pub async fn has_document(&self, workspace_id: &str, name: &str, sha256: &str) -> Result<bool, StoreError> {
        let row: (i64,) = on_read!(&self.db, |pool| {
            sqlx::query_as("SELECT COUNT(*) FROM documents WHERE workspace_id = $1 AND name = $2 AND sha256 = $3")
                .bind(workspace_id)
                .bind(name)
                .bind(sha256)
                .fetch_one(pool)
                .await
        })?;
        Ok(row.0 > 0)
    }

    /// The plugins that are asked about replies.
    pub async fn active_plugins(&self, workspace_id: &str) -> Result<Vec<ActivePlugin>, StoreError> {
        Ok(on_read!(&self.db, |pool| {
            sqlx::query_as(
                "SELECT name, sha256, settings FROM plugins WHERE workspace_id = $1 AND active = TRUE ORDER BY name",
            )
            .bind(workspace_id)
            .fetch_all(pool)
            .await
        })?)
    }

    /// Stores a hook key, replacing one of the same kind and name.
    pub async fn put_hook_key(
        &self,
        workspace_id: &str,
        id: &str,
        kind: HookKeyKind,
        name: &str,
        secret: &[u8],
        now_ms: i64,
    ) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        on_tx!(&mut tx, |connection| {
            sqlx::query(
                "INSERT INTO hook_keys (id, workspace_id, name, kind, secret, created_ms) VALUES ($1, $2, $3, $4, $5, $6)
                 ON CONFLICT (workspace_id, kind, name) DO UPDATE SET secret = excluded.secret, created_ms = excluded.created_ms",
            )
            .bind(id)
            .bind(workspace_id)
            .bind(name)
            .bind(kind.name())
            .bind(secret)
            .bind(now_ms)
            .execute(connection)
            .await
            .map(|_| ())
        })?;
        tx.commit().await
    }

    /// The secrets (HMAC) or hashes (API key) of a workspace.
    pub async fn hook_keys(&self, workspace_id: &str, kind: HookKeyKind) -> Result<Vec<Vec<u8>>, StoreError> {
        let rows: Vec<(Vec<u8>,)> = on_read!(&self.db, |pool| {
            sqlx::query_as(
                "SELECT secret FROM hook_keys WHERE workspace_id = $1 AND kind = $2 ORDER BY created_ms DESC",
            )
            .bind(workspace_id)
            .bind(kind.name())
            .fetch_all(pool)
            .await
        })?;
        Ok(rows.into_iter().map(|row| row.0).collect())
    }

    /// Stores a document with its passages; an older version's passages are no longer found. The same version twice
    /// changes nothing. Says whether it was new.
    pub async fn put_document(
        &self,
        workspace_id: &str,
        document: &NewDocument,
        now_ms: i64,
    ) -> Result<bool, StoreError> {
        let mut tx = self.begin().await?;
        let stored = on_tx!(&mut tx, |connection| {
            sqlx::query(
                "INSERT INTO documents (id, workspace_id, name, title, kind, version, body, sha256, created_ms)
                 VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT (workspace_id, name, version) DO NOTHING",
            )
            .bind(&document.id)
            .bind(workspace_id)
            .bind(&document.name)
            .bind(&document.title)
            .bind(&document.kind)
            .bind(document.version)
            .bind(&document.body)
            .bind(&document.sha256)
            .bind(now_ms)
            .execute(connection)
            .await
            .map(|done| done.rows_affected())
        })?;
        if stored == 0 {
            return Ok(false);
        }
        on_tx!(&mut tx, |connection| {
            sqlx::query(
                "UPDATE passages SET current = FALSE WHERE document_id IN
                    (SELECT id FROM documents WHERE workspace_id = $1 AND name = $2 AND version < $3)",
            )
            .bind(workspace_id)
            .bind(&document.name)
            .bind(document.version)
            .execute(connection)
            .await
            .map(|_| ())
        })?;
        for (position, passage) in (0i64..).zip(&document.passages) {
            on_tx!(&mut tx, |connection| {
                sqlx::query(
                    "INSERT INTO passages (id, workspace_id, document_id, position, heading, body, model, embeddings, current)
                     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, TRUE)",
                )
                .bind(&passage.id)
                .bind(workspace_id)
                .bind(&document.id)
                .bind(position)
                .bind(&passage.heading)
                .bind(&passage.body)
                .bind(&passage.model)
                .bind(&passage.embeddings)
                .execute(connection)
                .await
                .map(|_| ())
            })?;
        }
        on_tx!(&mut tx, |connection| {
            sqlx::query("UPDATE workspaces SET playbook_version = playbook_version + 1 WHERE id = $1")
                .bind(workspace_id)
                .execute(connection)
                .await
                .map(|_| ())
        })?;
        tx.commit().await?;
        Ok(true)
    }

    /// The passages that drafts may cite now.
    pub async fn current_passages(&self, workspace_id: &str) -> Result<Vec<StoredPassage>, StoreError> {
        let rows: Vec<PassageRow> = on_read!(&self.db, |pool| {
            sqlx::query_as(
                "SELECT passages.id, documents.title, documents.version, documents.kind, passages.heading, passages.body,
                        passages.model, passages.embeddings
                 FROM passages JOIN documents ON documents.id = passages.document_id
                 WHERE passages.workspace_id = $1 AND passages.current = TRUE ORDER BY documents.name, passages.position",
            )
            .bind(workspace_id)
            .fetch_all(pool)
            .await
        })?;
        Ok(rows
            .into_iter()
            .map(|row| StoredPassage {
                passage: Passage {
                    id: row.id,
                    document: row.title,
                    version: row.version,
                    kind: row.kind,
                    heading: row.heading,
                    body: row.body,
                },
                model: row.model,
                embeddings: row.embeddings,
            })
            .collect())
    }

    /// Replaces a passage's embeddings after the weights changed.
    pub async fn put_embeddings(&self, passage_id: &str, model: &str, embeddings: &[u8]) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        on_tx!(&mut tx, |connection| {
            sqlx::query("UPDATE passages SET model = $2, embeddings = $3 WHERE id = $1")
                .bind(passage_id)
                .bind(model)
                .bind(embeddings)
                .execute(connection)
                .await
                .map(|_| ())
        })?;
        tx.commit().await
    }

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

    /// Stores a sequence version and enrolls leads in it; what is there already stays. Says how many enrollments were new.
    pub async fn start_sequence(
        &self,
        workspace_id: &str,
        sequence: &NewSequence,
        enrollments: &[NewEnrollment],
        now_ms: i64,
    ) -> Result<u64, StoreError> {
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
        let mut enrolled = 0;
        for enrollment in enrollments {
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
                let data = serde_json::json!({ "sequence": sequence.name });
                let key = format!("enrolled/{}", enrollment.id);
                add_event(&mut tx, workspace_id, Some(&enrollment.lead_id), now_ms, &key, "enrolled", &data).await?;
            }
            enrolled += new;
        }
        tx.commit().await?;
        Ok(enrolled)
    }

    /// Installs a plugin and makes it the active one of its name.
    pub async fn put_plugin(&self, workspace_id: &str, plugin: &NewPlugin<'_>, now_ms: i64) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        on_tx!(&mut tx, |connection| {
            sqlx::query("UPDATE plugins SET active = FALSE WHERE workspace_id = $1 AND name = $2")
                .bind(workspace_id)
                .bind(plugin.name)
                .execute(connection)
                .await
                .map(|_| ())
        })?;
        on_tx!(&mut tx, |connection| {
            sqlx::query(
                "INSERT INTO plugins (id, workspace_id, name, sha256, component, settings, active, created_ms)
                 VALUES ($1, $2, $3, $4, $5, $6, TRUE, $7)
                 ON CONFLICT (workspace_id, name, sha256) DO UPDATE SET active = TRUE, settings = excluded.settings",
            )
            .bind(plugin.id)
            .bind(workspace_id)
            .bind(plugin.name)
            .bind(plugin.sha256)
            .bind(plugin.component)
            .bind(plugin.settings)
            .bind(now_ms)
            .execute(connection)
            .await
            .map(|_| ())
        })?;
        tx.commit().await
    }

    /// A plugin's component by its hash.
    pub async fn plugin_component(&self, workspace_id: &str, sha256: &str) -> Result<Option<Vec<u8>>, StoreError> {
        let row: Option<(Vec<u8>,)> = on_read!(&self.db, |pool| {
            sqlx::query_as("SELECT component FROM plugins WHERE workspace_id = $1 AND sha256 = $2")
                .bind(workspace_id)
                .bind(sha256)
                .fetch_optional(pool)
                .await
        })?;
        Ok(row.map(|row| row.0))
    }
}
