//! The documents of a team, a version each, and the passages that drafts may cite.
//! It must never let a superseded version's passages be found, and never replace a version's text.

use super::db::{Store, StoreError, on_read, on_tx};
use rejoinder_playbook::draft::Passage;

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

impl Store {
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
}
