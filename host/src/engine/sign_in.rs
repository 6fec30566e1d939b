//! Passwords and sessions: argon2id, and a lock after repeated failures.
//! It must never keep a password or token, and never check two passwords at once: the lock would be passed, and each costs
//! 19 MiB.

use super::Engine;
use crate::store::StoreError;
use argon2::password_hash::phc::PasswordHash;
use argon2::{Argon2, PasswordHasher as _, PasswordVerifier as _};
use sha2::{Digest as _, Sha256};

pub const SESSION_MS: i64 = 12 * 60 * 60 * 1000;
pub const PASSWORD_CHARS_MIN: usize = 10;
const PASSWORD_BYTES_MAX: usize = 1024;
const FAILURES_BEFORE_LOCK: i64 = 5;
const FIRST_LOCK_MS: i64 = 60_000;
const LOCK_MS_MAX: i64 = 60 * 60 * 1000;

#[derive(Debug, thiserror::Error)]
pub enum SignInError {
    #[error("name or password is wrong")]
    Wrong,
    #[error("too many attempts; try again in {} seconds", .retry_after_ms / 1000 + 1)]
    Locked { retry_after_ms: i64 },
    #[error(transparent)]
    Store(#[from] StoreError),
}

#[derive(Debug, thiserror::Error)]
pub enum PasswordError {
    #[error("the password must have at least {PASSWORD_CHARS_MIN} characters and at most {PASSWORD_BYTES_MAX} bytes")]
    Length,
    #[error("the password could not be hashed: {0}")]
    Hash(String),
}

/// The hash that is stored.
pub fn hash_password(password: &str, salt: &[u8]) -> Result<String, PasswordError> {
    if password.chars().count() < PASSWORD_CHARS_MIN || password.len() > PASSWORD_BYTES_MAX {
        return Err(PasswordError::Length);
    }
    let hash = Argon2::default().hash_password_with_salt(password.as_bytes(), salt);
    Ok(hash.map_err(|error| PasswordError::Hash(error.to_string()))?.to_string())
}

/// What is stored of a session's token.
#[must_use]
pub fn token_hash(token: &str) -> Vec<u8> {
    Sha256::digest(token.as_bytes()).to_vec()
}

/// Signs in and returns the session's token.
pub async fn sign_in(engine: &Engine, name: &str, password: &str) -> Result<String, SignInError> {
    let _one_at_a_time = engine.signing_in.lock().await;
    let now_ms = engine.clock.now_ms();
    let (failures, locked_until_ms) = engine.store.sign_in_failures(name).await?;
    if locked_until_ms > now_ms {
        return Err(SignInError::Locked { retry_after_ms: locked_until_ms - now_ms });
    }
    let account = engine.store.account(name).await?;
    // An unknown name costs the same work as a wrong password.
    let salt = engine.clock.secret();
    let stored = account.as_ref().map(|account| account.password_hash.clone());
    let given = password.to_owned();
    let right = tokio::task::spawn_blocking(move || match stored {
        Some(stored) => is_right(&given, &stored),
        None => {
            let _ = hash_password("an unknown name costs the same", &salt);
            false
        }
    })
    .await
    .unwrap_or(false);
    match account.filter(|_| right) {
        Some(account) => {
            let token: String = engine.clock.secret().iter().map(|byte| format!("{byte:02x}")).collect();
            let expires_ms = now_ms.saturating_add(SESSION_MS);
            engine.store.start_session(&token_hash(&token), &account.id, name, now_ms, expires_ms).await?;
            Ok(token)
        }
        None => {
            // Only names that exist are counted, so that nobody can fill the table.
            if engine.store.account(name).await?.is_some() {
                let failures = failures.saturating_add(1);
                engine.store.record_sign_in_failure(name, failures, locked_until(failures, now_ms)).await?;
            }
            Err(SignInError::Wrong)
        }
    }
}

fn is_right(password: &str, stored: &str) -> bool {
    PasswordHash::new(stored).is_ok_and(|hash| Argon2::default().verify_password(password.as_bytes(), &hash).is_ok())
}

/// Locked after five failures, for a minute, twice as long with each more.
fn locked_until(failures: i64, now_ms: i64) -> i64 {
    if failures < FAILURES_BEFORE_LOCK {
        return 0;
    }
    let doublings = u32::try_from(failures - FAILURES_BEFORE_LOCK).unwrap_or(u32::MAX).min(10);
    now_ms.saturating_add(FIRST_LOCK_MS.saturating_mul(1 << doublings).min(LOCK_MS_MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_known_again_and_no_other() {
        let stored = hash_password("correct horse", &[7; 16]).expect("hashed");
        assert!(stored.starts_with("$argon2id$"));
        assert!(is_right("correct horse", &stored));
        assert!(!is_right("correct house", &stored));
        assert!(!is_right("correct horse", "no hash"));
        assert!(matches!(hash_password("short", &[7; 16]), Err(PasswordError::Length)));
    }

    #[test]
    fn guessing_is_slowed_down_more_and_more() {
        assert_eq!(locked_until(4, 1000), 0);
        assert_eq!(locked_until(5, 1000), 61_000);
        assert_eq!(locked_until(6, 1000), 121_000);
        assert_eq!(locked_until(1_000_000, 0), LOCK_MS_MAX);
    }
}
