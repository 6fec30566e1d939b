//! The loop that plans due steps and hands due messages to `perform`. Wakes when something is due, not by polling hot.
//! It must never send anything itself, and never end while a message is in hand.

use super::arrived::wait_or_stop;
use super::{Engine, care_of, due, perform, stored_playbook};
use crate::store::send_outcome::Care;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinSet;

/// Messages claimed in one go.
const BATCH_SENDS_MAX: i64 = 20;
const FAILURE_WAIT_MS: i64 = 1_000;
const IDLE_WAIT_MS_MIN: i64 = 50;
const IDLE_WAIT_MS_MAX: i64 = 60_000;

/// Sends what is due until `stop` turns true; messages in hand are finished first.
pub async fn run(engine: Arc<Engine>, mut stop: watch::Receiver<bool>) {
    while !*stop.borrow() {
        match turn(&engine).await {
            Ok(true) => continue,
            Ok(false) => {}
            Err(error) => {
                tracing::error!(%error, "messages cannot be sent; trying again");
                wait_or_stop(&mut stop, FAILURE_WAIT_MS).await;
                continue;
            }
        }
        let due_ms = engine.store.next_due_ms().await.ok().flatten().unwrap_or(i64::MAX);
        let wait_ms = due_ms.saturating_sub(engine.clock.now_ms()).clamp(IDLE_WAIT_MS_MIN, IDLE_WAIT_MS_MAX);
        tokio::select! {
            () = engine.sends.notified() => {}
            () = tokio::time::sleep(Duration::from_millis(wait_ms.unsigned_abs())) => {}
            _ = stop.changed() => {}
        }
    }
}

/// One round; says whether there was anything to do.
async fn turn(engine: &Arc<Engine>) -> Result<bool, crate::store::StoreError> {
    let now_ms = engine.clock.now_ms();
    // Settings that no longer parse name nobody; the item is then everybody's.
    let care = |playbook: &str| match stored_playbook(playbook) {
        Ok(playbook) => care_of(&playbook, now_ms),
        Err(_) => Care { owner: String::new(), due_ms: now_ms },
    };
    let abandoned = engine.store.settle_abandoned_sends(care, now_ms).await?;
    if abandoned > 0 {
        tracing::warn!(
            abandoned,
            "messages may or may not have left before the server stopped; see them as “unconfirmed”"
        );
    }
    // Trouble with planning holds up no message that is due already.
    let planned = due::plan_due_steps(engine).await;
    let leased = engine.store.claim_sends(engine.clock.now_ms(), engine.config.send_lease_ms, BATCH_SENDS_MAX).await?;
    let claimed = leased.len();
    let mut sending = JoinSet::new();
    for send in leased {
        let engine = Arc::clone(engine);
        sending.spawn(async move {
            if let Err(error) = perform::send(&engine, &send).await {
                tracing::error!(send = send.id, %error, "a message's outcome could not be recorded");
            }
        });
    }
    while sending.join_next().await.is_some() {}
    Ok(planned? + claimed > 0)
}
