//! All that is remembered, in SQLite or PostgreSQL, one SQL text for both. The only module that holds SQL.
//! It must never decide anything: it stores what was decided, in one transaction.

pub mod account;
pub mod arrived;
mod db;
pub mod decision;
pub mod document;
pub mod enrollment;
mod lead;
mod matching;
pub mod migrate;
pub mod outbox;
pub mod plugin;
pub mod queue;
pub mod send_outcome;
pub mod settlement;
mod suppression;
pub mod timeline;
pub mod view;
pub mod workspace;

pub use db::{DatabaseUrl, Store, StoreError};
