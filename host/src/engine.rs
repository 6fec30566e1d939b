//! The engine: what the server does with replies, due steps and messages. Everything that changes something goes through it.
//! It must never decide: it gathers, asks the pure core, and has the store commit.

pub mod arrived;
pub mod command;
pub mod due;
pub mod folder;
pub mod outbox;
pub mod passages;
mod perform;
pub mod plugins;
pub mod setup;
pub mod sign_in;
pub mod unsubscribe;

use crate::carrier::outbound::Carrier;
use crate::clock::Clock;
use crate::config::Config;
use crate::sandbox::Sandbox;
use crate::store::send_outcome::Care;
use crate::store::{Store, StoreError};
use passages::PassageIndexes;
use plugins::ActiveRules;
use rejoinder_models::Reader;
use rejoinder_playbook::playbook::Playbook;
use std::sync::Arc;
use tokio::sync::Notify;

/// Everything the server works with; shared as `Arc<Engine>`.
#[derive(Debug)]
pub struct Engine {
    pub store: Store,
    pub config: Config,
    pub clock: Clock,
    pub(crate) reader: Reader,
    pub(crate) carrier: Carrier,
    pub(crate) rules: ActiveRules,
    pub(crate) passages: PassageIndexes,
    /// A reply has arrived.
    pub(crate) arrivals: Notify,
    /// Something may be due to be sent.
    pub(crate) sends: Notify,
    /// Held while one password is checked.
    pub(crate) signing_in: tokio::sync::Mutex<()>,
}

impl Engine {
    #[must_use]
    pub fn new(config: Config, store: Store, reader: Reader, sandbox: Sandbox) -> Arc<Engine> {
        let carrier = Carrier::new(config.carrier.clone());
        Arc::new(Engine {
            store,
            config,
            clock: Clock,
            reader,
            carrier,
            rules: ActiveRules::new(sandbox),
            passages: PassageIndexes::default(),
            arrivals: Notify::new(),
            sends: Notify::new(),
            signing_in: tokio::sync::Mutex::new(()),
        })
    }

    /// Where e-mail goes, in words.
    #[must_use]
    pub fn carrier_words(&self) -> String {
        self.carrier.words()
    }

    /// Which weights read, for the log at start.
    #[must_use]
    pub fn reader_name(&self) -> &str {
        self.reader.model_name()
    }
}

/// Who looks after a message that did not leave for certain: the first owner, as for every other hand-off that no rule
/// gives to somebody.
pub(crate) fn care_of(playbook: &Playbook, now_ms: i64) -> Care {
    const HOUR_MS: i64 = 60 * 60 * 1000;
    let owner = playbook.owners.first().map(|owner| owner.address.to_string()).unwrap_or_default();
    let hours = i64::from(playbook.hand_off_hours(None));
    Care { owner, due_ms: now_ms.saturating_add(hours.saturating_mul(HOUR_MS)) }
}

/// A playbook that was checked when it was stored; one that no longer parses was written by another version.
pub(crate) fn stored_playbook(text: &str) -> Result<Playbook, StoreError> {
    Playbook::parse(text).map_err(|error| StoreError::Corrupt(error.to_string()))
}
