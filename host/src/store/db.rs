//! Two typed pools behind one door, and the macro that runs one SQL text on either.
//! It must never open a second write connection to SQLite: with several, read-then-write transactions fail as locked.

use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{PgPool, Postgres, Sqlite, SqlitePool, Transaction};
use std::path::PathBuf;
use std::str::FromStr as _;
use std::time::Duration;

/// How long SQLite waits for another process that holds the file.
const BUSY_TIMEOUT_MS: u64 = 5_000;
/// How long a request waits for a connection before it is told that the database is busy.
const ACQUIRE_TIMEOUT_MS: u64 = 10_000;
const READ_CONNECTIONS_MAX: u32 = 4;
const POSTGRES_CONNECTIONS_MAX: u32 = 16;

/// Where the data is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DatabaseUrl {
    Sqlite(PathBuf),
    Postgres(String),
}

impl DatabaseUrl {
    /// `sqlite:PATH` or `postgres://…`.
    #[must_use]
    pub fn parse(url: &str) -> Option<Self> {
        if let Some(path) = url.strip_prefix("sqlite:") {
            let path = path.strip_prefix("//").unwrap_or(path);
            return (!path.is_empty()).then(|| DatabaseUrl::Sqlite(PathBuf::from(path)));
        }
        (url.starts_with("postgres://") || url.starts_with("postgresql://"))
            .then(|| DatabaseUrl::Postgres(url.to_owned()))
    }
}

#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error("the database {place} cannot be opened: {source}. {advice}")]
    Open { place: String, advice: &'static str, source: sqlx::Error },
    #[error("the database is busy; try again in a moment")]
    Busy,
    #[error(
        "the database cannot be written: it is read-only or full. Check the permissions of the data folder and the free space"
    )]
    ReadOnly,
    #[error("the database's tables cannot be brought up to date: {0}")]
    Migrate(String),
    #[error("the database answered: {0}")]
    Database(sqlx::Error),
    #[error("the database holds something this version cannot read: {0}. Was it written by a newer version?")]
    Corrupt(String),
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        if matches!(error, sqlx::Error::PoolTimedOut) {
            return StoreError::Busy;
        }
        let code = error.as_database_error().and_then(|database| database.code().map(|code| code.into_owned()));
        // SQLite's primary codes stand in the low byte: 5 busy, 6 locked, 8 read-only, 13 full; PostgreSQL has SQLSTATEs.
        let sqlite = code.as_deref().and_then(|code| code.parse::<i64>().ok()).map(|code| code & 0xff);
        match (sqlite, code.as_deref()) {
            (_, Some("25006" | "53100")) => StoreError::ReadOnly,
            (_, Some("40001" | "40P01" | "53300" | "55P03" | "57P03")) => StoreError::Busy,
            (Some(5 | 6), _) => StoreError::Busy,
            (Some(8 | 13), _) => StoreError::ReadOnly,
            _ => StoreError::Database(error),
        }
    }
}

#[derive(Clone, Debug)]
pub(crate) enum Db {
    Lite { write: SqlitePool, read: SqlitePool },
    Pg(PgPool),
}

/// One transaction on either engine.
#[derive(Debug)]
pub(crate) enum Tx {
    Lite(Transaction<'static, Sqlite>),
    Pg(Transaction<'static, Postgres>),
}

/// Runs one expression on the read side of whichever engine it is.
macro_rules! on_read {
    ($db:expr, |$connection:ident| $body:expr) => {
        match $db {
            $crate::store::db::Db::Lite { read: $connection, .. } => $body,
            $crate::store::db::Db::Pg($connection) => $body,
        }
    };
}

/// Runs one expression inside a transaction of whichever engine it is.
macro_rules! on_tx {
    ($tx:expr, |$connection:ident| $body:expr) => {
        match $tx {
            $crate::store::db::Tx::Lite(transaction) => {
                let $connection = &mut **transaction;
                $body
            }
            $crate::store::db::Tx::Pg(transaction) => {
                let $connection = &mut **transaction;
                $body
            }
        }
    };
}

pub(crate) use {on_read, on_tx};

/// Reads what was stored as JSON.
pub(super) fn json<T: serde::de::DeserializeOwned>(text: &str) -> Result<T, StoreError> {
    serde_json::from_str(text).map_err(|error| StoreError::Corrupt(error.to_string()))
}

/// The handle everybody shares; cheap to clone.
#[derive(Clone, Debug)]
pub struct Store {
    pub(crate) db: Db,
}

impl Store {
    /// Opens the database and brings its tables up to date.
    pub async fn open(url: &DatabaseUrl) -> Result<Store, StoreError> {
        let store = Store { db: connect(url).await? };
        store.migrate().await?;
        Ok(store)
    }

    /// Whether the database answers.
    pub async fn ping(&self) -> Result<(), StoreError> {
        on_read!(&self.db, |pool| sqlx::query("SELECT 1").execute(pool).await.map(|_| ()))?;
        Ok(())
    }

    pub(crate) async fn begin(&self) -> Result<Tx, StoreError> {
        Ok(match &self.db {
            Db::Lite { write, .. } => Tx::Lite(write.begin_with("BEGIN IMMEDIATE").await?),
            Db::Pg(pool) => Tx::Pg(pool.begin().await?),
        })
    }

    /// Ends all connections; SQLite folds its write-ahead log in.
    pub async fn close(&self) {
        match &self.db {
            Db::Lite { write, read } => {
                read.close().await;
                write.close().await;
            }
            Db::Pg(pool) => pool.close().await,
        }
    }
}

impl Tx {
    pub(crate) async fn commit(self) -> Result<(), StoreError> {
        match self {
            Tx::Lite(transaction) => transaction.commit().await?,
            Tx::Pg(transaction) => transaction.commit().await?,
        }
        Ok(())
    }

    /// PostgreSQL's claims skip what another node has; SQLite has one writer and needs nothing.
    pub(crate) fn is_postgres(&self) -> bool {
        matches!(self, Tx::Pg(_))
    }
}

async fn connect(url: &DatabaseUrl) -> Result<Db, StoreError> {
    match url {
        DatabaseUrl::Sqlite(path) => {
            let place = path.display().to_string();
            let advice = "Is the folder there, may this user write to it, and is no other process holding the file?";
            let failed = |source| StoreError::Open { place: place.clone(), advice, source };
            make_private_file(path).map_err(|error| failed(sqlx::Error::Io(error)))?;
            let options = SqliteConnectOptions::new()
                .filename(path)
                .create_if_missing(true)
                .journal_mode(SqliteJournalMode::Wal)
                .synchronous(SqliteSynchronous::Full)
                .foreign_keys(true)
                .busy_timeout(Duration::from_millis(BUSY_TIMEOUT_MS));
            let write = SqlitePoolOptions::new()
                .max_connections(1)
                .acquire_timeout(Duration::from_millis(ACQUIRE_TIMEOUT_MS))
                .connect_with(options.clone())
                .await
                .map_err(failed)?;
            let read = SqlitePoolOptions::new()
                .max_connections(READ_CONNECTIONS_MAX)
                .acquire_timeout(Duration::from_millis(ACQUIRE_TIMEOUT_MS))
                .connect_with(options.create_if_missing(false))
                .await
                .map_err(failed)?;
            Ok(Db::Lite { write, read })
        }
        DatabaseUrl::Postgres(url) => {
            let advice =
                "Is PostgreSQL running, and are host, port, user, password and database in `database_url` right?";
            let without_password = url.rsplit('@').next().unwrap_or_default().to_owned();
            let failed = |source| StoreError::Open { place: without_password.clone(), advice, source };
            let options = PgConnectOptions::from_str(url).map_err(failed)?;
            let pool = PgPoolOptions::new()
                .max_connections(POSTGRES_CONNECTIONS_MAX)
                .acquire_timeout(Duration::from_millis(ACQUIRE_TIMEOUT_MS))
                .connect_with(options)
                .await
                .map_err(failed)?;
            Ok(Db::Pg(pool))
        }
    }
}

/// The file holds secrets: only this user may read it. One that is there keeps what it has.
fn make_private_file(path: &std::path::Path) -> std::io::Result<()> {
    if path.exists() {
        return Ok(());
    }
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        options.mode(0o600);
    }
    options.open(path).map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_database_url_names_one_of_two_engines() {
        assert_eq!(DatabaseUrl::parse("sqlite:data/a.db"), Some(DatabaseUrl::Sqlite("data/a.db".into())));
        assert_eq!(DatabaseUrl::parse("sqlite:///srv/a.db"), Some(DatabaseUrl::Sqlite("/srv/a.db".into())));
        assert!(matches!(DatabaseUrl::parse("postgres://u@h/d"), Some(DatabaseUrl::Postgres(_))));
        for wrong in ["mysql://h/d", "sqlite:", "a.db", ""] {
            assert_eq!(DatabaseUrl::parse(wrong), None, "{wrong}");
        }
    }
}
