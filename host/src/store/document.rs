//! The documents of a team, a version each, and the passages that drafts may cite.
//! It must never let a superseded version's passages be found, and never replace a version's text.

use super::db::{Store, StoreError, Tx, on_read, on_tx};
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

/// A version of a document, by what tells it from others.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct DocumentOnRecord {
    pub id: String,
    pub version: i64,
    pub sha256: String,
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
    /// The newest version of a document on record, whether drafts may cite it or not.
    pub async fn newest_document(
        &self,
        workspace_id: &str,
        name: &str,
    ) -> Result<Option<DocumentOnRecord>, StoreError> {
        Ok(on_read!(&self.db, |pool| {
            sqlx::query_as(
                "SELECT id, version, sha256 FROM documents WHERE workspace_id = $1 AND name = $2 ORDER BY version DESC LIMIT 1",
            )
            .bind(workspace_id)
            .bind(name)
            .fetch_optional(pool)
            .await
        })?)
    }

    /// Lets drafts cite a document again that had been taken away.
    pub async fn revive_document(&self, workspace_id: &str, document_id: &str) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        let revived = on_tx!(&mut tx, |connection| {
            sqlx::query(
                "UPDATE passages SET current = TRUE WHERE workspace_id = $1 AND document_id = $2 AND current = FALSE",
            )
            .bind(workspace_id)
            .bind(document_id)
            .execute(connection)
            .await
            .map(|done| done.rows_affected())
        })?;
        if revived > 0 {
            count_up(&mut tx, workspace_id).await?;
        }
        tx.commit().await
    }

    /// Lets no draft cite a document that is not among these; they stay on record for the drafts that did.
    pub async fn retire_documents(&self, workspace_id: &str, but: &[&str]) -> Result<(), StoreError> {
        let names: Vec<(String,)> = on_read!(&self.db, |pool| {
            sqlx::query_as(
                "SELECT DISTINCT documents.name FROM documents JOIN passages ON passages.document_id = documents.id
                 WHERE documents.workspace_id = $1 AND passages.current = TRUE",
            )
            .bind(workspace_id)
            .fetch_all(pool)
            .await
        })?;
        let mut tx = self.begin().await?;
        let mut retired = 0;
        for (name,) in names.iter().filter(|(name,)| !but.contains(&name.as_str())) {
            retired += on_tx!(&mut tx, |connection| {
                sqlx::query(
                    "UPDATE passages SET current = FALSE WHERE current = TRUE AND document_id IN
                        (SELECT id FROM documents WHERE workspace_id = $1 AND name = $2)",
                )
                .bind(workspace_id)
                .bind(name)
                .execute(connection)
                .await
                .map(|done| done.rows_affected())
            })?;
        }
        if retired > 0 {
            count_up(&mut tx, workspace_id).await?;
        }
        tx.commit().await
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
        count_up(&mut tx, workspace_id).await?;
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

/// The playbook has changed: what is kept in memory of it is read anew.
async fn count_up(tx: &mut Tx, workspace_id: &str) -> Result<(), StoreError> {
    on_tx!(tx, |connection| {
        sqlx::query("UPDATE workspaces SET playbook_version = playbook_version + 1 WHERE id = $1")
            .bind(workspace_id)
            .execute(connection)
            .await
            .map(|_| ())
    })?;
    Ok(())
}
