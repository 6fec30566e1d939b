//! The one reader of time and randomness: everything else is handed the time.
//! It must never be asked inside a decision.

use std::time::{SystemTime, UNIX_EPOCH};

/// Bytes of a fresh secret or token.
pub const SECRET_BYTES: usize = 32;

#[derive(Clone, Copy, Debug, Default)]
pub struct Clock;

impl Clock {
    /// Milliseconds since 1970-01-01 UTC.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "this is the one place that reads the clock")]
    pub fn now_ms(&self) -> i64 {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
    }

    /// A new id; ids made later sort later.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "this is the one place that draws ids")]
    pub fn new_id(&self) -> String {
        uuid::Uuid::now_v7().to_string()
    }

    /// Fresh secret bytes from the operating system.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "this is the one place that draws randomness")]
    pub fn secret(&self) -> [u8; SECRET_BYTES] {
        use rand::RngCore as _;
        let mut bytes = [0; SECRET_BYTES];
        rand::rng().fill_bytes(&mut bytes);
        bytes
    }
}
