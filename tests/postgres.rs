//! A database of its own for each test, in the cluster that `./test` has started.
//! It must never use a cluster that `./test` did not name.

use rejoinder::clock::Clock;
use rejoinder::store::{DatabaseUrl, Store};
use tempfile::TempDir;

/// A store under test, and what keeps it alive.
pub(crate) struct Engine {
    pub(crate) name: &'static str,
    pub(crate) store: Store,
    _folder: Option<TempDir>,
}

/// Both engines, or SQLite alone where `./test` found no PostgreSQL and has said so.
pub(crate) async fn engines() -> Vec<Engine> {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let sqlite = DatabaseUrl::Sqlite(folder.path().join("rejoinder.db"));
    let store = Store::open(&sqlite).await.expect("SQLite opens");
    let mut engines = vec![Engine { name: "SQLite", store, _folder: Some(folder) }];
    if let Ok(cluster) = std::env::var("REJOINDER_TEST_POSTGRES") {
        let name = format!("rejoinder_{}", Clock.new_id().replace('-', ""));
        let admin = sqlx::PgPool::connect(&format!("{cluster}/postgres")).await.expect("the cluster answers");
        let create = sqlx::AssertSqlSafe(format!("CREATE DATABASE {name}"));
        sqlx::query(create).execute(&admin).await.expect("a database is made");
        admin.close().await;
        let url = DatabaseUrl::Postgres(format!("{cluster}/{name}"));
        let store = Store::open(&url).await.expect("PostgreSQL opens");
        engines.push(Engine { name: "PostgreSQL", store, _folder: None });
    }
    engines
}
