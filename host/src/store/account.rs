//! People who sign in, their sessions, and failed attempts.
//! It must never hold a password or a session token, only their hashes.

use super::db::{Store, StoreError, on_read, on_tx};

/// Who is signed in, and to which workspace.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct SignedIn {
    pub user_id: String,
    pub user_name: String,
    pub role: String,
    pub workspace_id: String,
    pub workspace_slug: String,
    pub workspace_name: String,
}

#[derive(Clone, Debug, sqlx::FromRow)]
pub struct Account {
    pub id: String,
    pub password_hash: String,
}

impl Store {
    /// How many people can sign in to a workspace.
    pub async fn user_count(&self, workspace_id: &str) -> Result<i64, StoreError> {
        let row: (i64,) = on_read!(&self.db, |pool| {
            sqlx::query_as("SELECT COUNT(*) FROM users WHERE workspace_id = $1")
                .bind(workspace_id)
                .fetch_one(pool)
                .await
        })?;
        Ok(row.0)
    }

    /// Creates a person, or gives an existing one a new password and ends all their sessions. `false`: the name is taken
    /// by somebody of another workspace.
    pub async fn put_user(
        &self,
        workspace_id: &str,
        id: &str,
        name: &str,
        password_hash: &str,
        role: &str,
        now_ms: i64,
    ) -> Result<bool, StoreError> {
        let mut tx = self.begin().await?;
        let put = on_tx!(&mut tx, |connection| {
            sqlx::query(
                "INSERT INTO users (id, workspace_id, name, password_hash, role, created_ms) VALUES ($1, $2, $3, $4, $5, $6)
                 ON CONFLICT (name) DO UPDATE SET password_hash = excluded.password_hash
                 WHERE users.workspace_id = excluded.workspace_id",
            )
            .bind(id)
            .bind(workspace_id)
            .bind(name)
            .bind(password_hash)
            .bind(role)
            .bind(now_ms)
            .execute(connection)
            .await
            .map(|done| done.rows_affected())
        })?;
        if put == 0 {
            return Ok(false);
        }
        on_tx!(&mut tx, |connection| {
            sqlx::query("DELETE FROM sessions WHERE user_id = (SELECT id FROM users WHERE name = $1)")
                .bind(name)
                .execute(connection)
                .await
                .map(|_| ())
        })?;
        on_tx!(&mut tx, |connection| {
            sqlx::query("DELETE FROM sign_in_failures WHERE name = $1").bind(name).execute(connection).await.map(|_| ())
        })?;
        tx.commit().await?;
        Ok(true)
    }

    pub async fn account(&self, name: &str) -> Result<Option<Account>, StoreError> {
        Ok(on_read!(&self.db, |pool| {
            sqlx::query_as("SELECT id, password_hash FROM users WHERE name = $1").bind(name).fetch_optional(pool).await
        })?)
    }

    /// Failed attempts under a name, and until when it is locked.
    pub async fn sign_in_failures(&self, name: &str) -> Result<(i64, i64), StoreError> {
        let row: Option<(i64, i64)> = on_read!(&self.db, |pool| {
            sqlx::query_as("SELECT failures, locked_until_ms FROM sign_in_failures WHERE name = $1")
                .bind(name)
                .fetch_optional(pool)
                .await
        })?;
        Ok(row.unwrap_or_default())
    }

    pub async fn record_sign_in_failure(
        &self,
        name: &str,
        failures: i64,
        locked_until_ms: i64,
    ) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        on_tx!(&mut tx, |connection| {
            sqlx::query(
                "INSERT INTO sign_in_failures (name, failures, locked_until_ms) VALUES ($1, $2, $3)
                 ON CONFLICT (name) DO UPDATE SET failures = excluded.failures, locked_until_ms = excluded.locked_until_ms",
            )
            .bind(name)
            .bind(failures)
            .bind(locked_until_ms)
            .execute(connection)
            .await
            .map(|_| ())
        })?;
        tx.commit().await
    }

    /// Starts a session and forgets failed attempts and sessions that have ended.
    pub async fn start_session(
        &self,
        token_hash: &[u8],
        user_id: &str,
        name: &str,
        now_ms: i64,
        expires_ms: i64,
    ) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        on_tx!(&mut tx, |connection| {
            sqlx::query("DELETE FROM sessions WHERE expires_ms <= $1")
                .bind(now_ms)
                .execute(connection)
                .await
                .map(|_| ())
        })?;
        on_tx!(&mut tx, |connection| {
            sqlx::query("DELETE FROM sign_in_failures WHERE name = $1").bind(name).execute(connection).await.map(|_| ())
        })?;
        on_tx!(&mut tx, |connection| {
            sqlx::query("INSERT INTO sessions (token_hash, user_id, expires_ms) VALUES ($1, $2, $3)")
                .bind(token_hash)
                .bind(user_id)
                .bind(expires_ms)
                .execute(connection)
                .await
                .map(|_| ())
        })?;
        tx.commit().await
    }

    pub async fn session(&self, token_hash: &[u8], now_ms: i64) -> Result<Option<SignedIn>, StoreError> {
        Ok(on_read!(&self.db, |pool| {
            sqlx::query_as(
                "SELECT users.id AS user_id, users.name AS user_name, users.role, workspaces.id AS workspace_id,
                        workspaces.slug AS workspace_slug, workspaces.name AS workspace_name
                 FROM sessions JOIN users ON users.id = sessions.user_id JOIN workspaces ON workspaces.id = users.workspace_id
                 WHERE sessions.token_hash = $1 AND sessions.expires_ms > $2",
            )
            .bind(token_hash)
            .bind(now_ms)
            .fetch_optional(pool)
            .await
        })?)
    }

    pub async fn end_session(&self, token_hash: &[u8]) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        on_tx!(&mut tx, |connection| {
            sqlx::query("DELETE FROM sessions WHERE token_hash = $1")
                .bind(token_hash)
                .execute(connection)
                .await
                .map(|_| ())
        })?;
        tx.commit().await
    }
}
