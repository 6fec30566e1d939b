//! The plugins a team has installed: components by their hash, one active of each name.
//! It must never run one, and never forget a component that was active once.

use super::db::{Store, StoreError, Tx, on_read, on_tx};

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

impl Store {
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

    /// Lets no plugin be asked any more.
    pub async fn deactivate_plugins(&self, workspace_id: &str) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        deactivate(&mut tx, workspace_id).await?;
        tx.commit().await
    }

    /// Installs a plugin and makes it the active one.
    pub async fn put_plugin(&self, workspace_id: &str, plugin: &NewPlugin<'_>, now_ms: i64) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        deactivate(&mut tx, workspace_id).await?;
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

async fn deactivate(tx: &mut Tx, workspace_id: &str) -> Result<(), StoreError> {
    on_tx!(tx, |connection| {
        sqlx::query("UPDATE plugins SET active = FALSE WHERE workspace_id = $1 AND active = TRUE")
            .bind(workspace_id)
            .execute(connection)
            .await
            .map(|_| ())
    })?;
    Ok(())
}
