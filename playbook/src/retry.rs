//! When to try again after a carrier took nothing, as a pure function.
//! It must never try for ever: after the last attempt the message has failed, and says so on the lead's timeline.

/// Attempts in all; with the waits below that is about six hours.
pub const ATTEMPTS_MAX: i64 = 8;
const FIRST_WAIT_MS: i64 = 60_000;
const WAIT_MS_MAX: i64 = 2 * 60 * 60 * 1000;

/// When to make the next attempt after `attempts` have been made; `None` when enough were.
#[must_use]
pub fn next_attempt_ms(attempts: i64, now_ms: i64) -> Option<i64> {
    if attempts >= ATTEMPTS_MAX {
        return None;
    }
    let doublings = u32::try_from(attempts.saturating_sub(1)).unwrap_or_default();
    let wait_ms =
        FIRST_WAIT_MS.saturating_mul(1_i64.checked_shl(doublings.min(20)).unwrap_or(i64::MAX)).min(WAIT_MS_MAX);
    Some(now_ms.saturating_add(wait_ms))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_a_limit_and_end() {
        let waits: Vec<Option<i64>> = (1..=ATTEMPTS_MAX).map(|attempts| next_attempt_ms(attempts, 0)).collect();
        assert_eq!(waits.first(), Some(&Some(60_000)));
        assert_eq!(waits.get(1), Some(&Some(120_000)));
        assert_eq!(waits.get(6), Some(&Some(64 * 60_000)));
        assert_eq!(waits.last(), Some(&None));
        assert!(waits.iter().flatten().all(|wait| *wait <= WAIT_MS_MAX));
    }
}
