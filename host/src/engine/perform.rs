//! The only file that sends anything to a lead: asks the gate, makes `committed` durable, gives the bytes to the carrier,
//! records what it said. It must never give bytes to a carrier for a message that is not committed.

use super::{Engine, care_of, stored_playbook};
use crate::carrier::outbound::CarryError;
use crate::store::StoreError;
use crate::store::outbox::{CommitOutcome, LeasedSend};
use crate::store::send_outcome::SendOutcome;
use rejoinder_playbook::machine;
use rejoinder_playbook::permit::may_send;
use rejoinder_playbook::retry::next_attempt_ms;

pub(super) async fn send(engine: &Engine, send: &LeasedSend) -> Result<(), StoreError> {
    let playbook = stored_playbook(&send.playbook_toml)?;
    let now_ms = engine.clock.now_ms();
    let gate = |facts: &_| may_send(facts, &playbook.caps, now_ms);
    match engine.store.commit_send(send, gate, engine.config.send_lease_ms, now_ms).await? {
        CommitOutcome::Committed => {}
        CommitOutcome::Refused(refusal) => {
            tracing::info!(send = send.id, rule = refusal.rule, "not sent: {}", refusal.words);
            return Ok(());
        }
        CommitOutcome::LeaseLost => return Ok(()),
    }
    let delivered =
        engine.carrier.deliver(playbook.sender.address.as_str(), &send.to_address, &send.message_id, &send.bytes).await;
    let now_ms = engine.clock.now_ms();
    let outcome = match delivered {
        Ok(receipt) => SendOutcome::Sent { receipt },
        Err(CarryError::Failed { why }) => SendOutcome::Failed { why, address_dead: false },
        Err(CarryError::AddressRefused { why }) => {
            let address_dead = machine::refusal_is_hard(&why);
            SendOutcome::Failed { why, address_dead }
        }
        Err(CarryError::Unknown { why }) => SendOutcome::Unconfirmed { why },
        Err(CarryError::Retry { why }) => match next_attempt_ms(send.attempts, now_ms) {
            Some(at_ms) => SendOutcome::Retry { at_ms, why },
            None => {
                SendOutcome::Failed { why: format!("{why}; {} attempts were made", send.attempts), address_dead: false }
            }
        },
    };
    match &outcome {
        SendOutcome::Sent { receipt } => tracing::info!(send = send.id, receipt, "sent"),
        other => tracing::warn!(send = send.id, outcome = ?other, "not sent"),
    }
    engine.store.record_send(send, &outcome, &care_of(&playbook, now_ms), now_ms).await
}
