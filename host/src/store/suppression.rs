//! Addresses that are never written to again, and the opt-outs that put them there.
//! It must never take an address off the list, and never replace the first cause and proof.

use super::db::{Store, StoreError, Tx, on_read, on_tx};
use super::decision::end_enrollments;
use super::lead::lock_lead;
use super::timeline::add_event;
use rejoinder_playbook::lead::Lead;
use rejoinder_playbook::reply::Reply;
use serde_json::json;

/// The addresses an opt-out in this reply is about.
pub(super) fn addresses_of(reply: &Reply, lead: Option<&Lead>) -> Vec<String> {
    let mut addresses: Vec<String> = lead.map(|lead| lead.email.as_str().to_owned()).into_iter().collect();
    if let Some(from) = &reply.from
        && reply.machine.is_none()
        && !addresses.iter().any(|address| address == from.as_str())
    {
        addresses.push(from.as_str().to_owned());
    }
    addresses
}

/// Puts the addresses on the suppression list, ends the lead's sequences and marks the lead. Safe to repeat.
pub(super) async fn opt_out(
    tx: &mut Tx,
    workspace_id: &str,
    lead_id: Option<&str>,
    addresses: &[String],
    cause: &str,
    proof: &str,
    now_ms: i64,
) -> Result<(), StoreError> {
    suppress(tx, workspace_id, addresses, cause, proof, now_ms).await?;
    let Some(lead_id) = lead_id else { return Ok(()) };
    end_enrollments(tx, lead_id, cause).await?;
    on_tx!(tx, |connection| {
        sqlx::query("UPDATE leads SET stage = 'opted_out', revisit_ms = NULL WHERE id = $1")
            .bind(lead_id)
            .execute(connection)
            .await
            .map(|_| ())
    })?;
    let data = json!({ "cause": cause, "proof": proof, "addresses": addresses });
    add_event(tx, workspace_id, Some(lead_id), now_ms, &format!("opted_out/{lead_id}"), "opted_out", &data).await
}

/// Puts addresses on the suppression list. The first cause and proof stay.
pub(super) async fn suppress(
    tx: &mut Tx,
    workspace_id: &str,
    addresses: &[String],
    cause: &str,
    proof: &str,
    now_ms: i64,
) -> Result<(), StoreError> {
    for address in addresses {
        on_tx!(&mut *tx, |connection| {
            sqlx::query(
                "INSERT INTO suppressions (workspace_id, channel, address, cause, proof, created_ms)
                 VALUES ($1, 'email', $2, $3, $4, $5) ON CONFLICT (workspace_id, channel, address) DO NOTHING",
            )
            .bind(workspace_id)
            .bind(address)
            .bind(cause)
            .bind(proof)
            .bind(now_ms)
            .execute(connection)
            .await
            .map(|_| ())
        })?;
    }
    Ok(())
}

impl Store {
    /// Whether the lead's opt-out or a suppression forbids writing to this address, whoever wants to.
    pub async fn is_suppressed(&self, lead_id: &str, to_address: &str) -> Result<bool, StoreError> {
        let row: (i64,) = on_read!(&self.db, |pool| {
            sqlx::query_as(
                "SELECT COUNT(*) FROM leads WHERE leads.id = $1 AND (leads.stage = 'opted_out' OR EXISTS (
                    SELECT 1 FROM suppressions WHERE suppressions.workspace_id = leads.workspace_id
                        AND suppressions.channel = 'email' AND suppressions.address IN ($2, leads.email)))",
            )
            .bind(lead_id)
            .bind(to_address)
            .fetch_one(pool)
            .await
        })?;
        Ok(row.0 > 0)
    }

    /// Opts a lead out by its own link. Safe to repeat. `false`: no such lead.
    pub async fn unsubscribe(&self, workspace_id: &str, lead_id: &str, now_ms: i64) -> Result<bool, StoreError> {
        let Some(lead) = self.lead(workspace_id, lead_id).await? else { return Ok(false) };
        let mut tx = self.begin().await?;
        lock_lead(&mut tx, lead_id).await?;
        let addresses = [lead.email.as_str().to_owned()];
        opt_out(&mut tx, workspace_id, Some(lead_id), &addresses, "opted out", "unsubscribe link", now_ms).await?;
        tx.commit().await?;
        Ok(true)
    }
}
