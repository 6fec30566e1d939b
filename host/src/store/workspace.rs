//! Workspaces: their settings, and the keys with which systems may post to them.
//! It must never show a secret once it is stored.

use super::db::{Store, StoreError, on_read, on_tx};

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
}
