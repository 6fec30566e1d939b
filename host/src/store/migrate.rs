//! Brings the tables up to date: two folders of migrations, the same numbers on both engines.
//! It must never change a migration that has been released.

use super::db::{Db, Store, StoreError};

impl Store {
    /// Runs what has not run yet. Safe to repeat.
    pub async fn migrate(&self) -> Result<(), StoreError> {
        let outcome = match &self.db {
            Db::Lite { write, .. } => sqlx::migrate!("migrations/sqlite").run(write).await,
            Db::Pg(pool) => sqlx::migrate!("migrations/postgres").run(pool).await,
        };
        match outcome {
            Ok(()) => Ok(()),
            Err(sqlx::migrate::MigrateError::Execute(error)) => Err(error.into()),
            Err(error @ sqlx::migrate::MigrateError::VersionMissing(_)) => Err(StoreError::Migrate(format!(
                "{error}; the data was written by a newer version of rejoinder: start that one, or restore a backup"
            ))),
            Err(error) => Err(StoreError::Migrate(error.to_string())),
        }
    }
}
