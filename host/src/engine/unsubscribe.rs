//! The lead's own way out: a signed link in every message that never expires.
//! It must never change anything when the link is only looked at.

use super::{Engine, stored_playbook};
use crate::store::StoreError;
use crate::store::workspace::Workspace;
use hmac::{Hmac, KeyInit as _, Mac as _};
use rejoinder_playbook::lead::Lead;
use sha2::Sha256;

/// Bytes of the signature that go into the link.
const MAC_BYTES: usize = 16;
/// What separates the parts; no slug or lead id has it.
const SEPARATOR: char = '~';

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnsubscribePage {
    pub company: String,
    pub address_masked: String,
    pub already: bool,
}

/// The link for one lead.
pub(crate) fn url(engine: &Engine, workspace: &Workspace, lead_id: &str) -> String {
    let mac = mac(&workspace.link_secret, lead_id);
    format!("{}/u/{}{SEPARATOR}{lead_id}{SEPARATOR}{mac}", engine.config.public_url, workspace.slug)
}

/// What the page behind a link shows; `None` for a link that is not ours.
pub async fn lead_of_token(engine: &Engine, token: &str) -> Result<Option<UnsubscribePage>, StoreError> {
    let Some((workspace, lead)) = resolve(engine, token).await? else { return Ok(None) };
    let playbook = stored_playbook(&workspace.playbook_toml)?;
    let already = engine.store.is_suppressed(&lead.id, lead.email.as_str()).await?;
    let first: String = lead.email.local_part().chars().take(1).collect();
    let address_masked = format!("{first}…@{}", lead.email.domain());
    Ok(Some(UnsubscribePage { company: playbook.company, address_masked, already }))
}

/// Takes the lead off, for ever. `false` for a link that is not ours. Safe to repeat.
pub async fn unsubscribe(engine: &Engine, token: &str) -> Result<bool, StoreError> {
    let Some((workspace, lead)) = resolve(engine, token).await? else { return Ok(false) };
    engine.store.unsubscribe(&workspace.id, &lead.id, engine.clock.now_ms()).await
}

async fn resolve(engine: &Engine, token: &str) -> Result<Option<(Workspace, Lead)>, StoreError> {
    let mut parts = token.split(SEPARATOR);
    let (Some(slug), Some(lead_id), Some(given), None) = (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Ok(None);
    };
    let Some(workspace) = engine.store.workspace_by_slug(slug).await? else { return Ok(None) };
    use subtle::ConstantTimeEq as _;
    if !bool::from(mac(&workspace.link_secret, lead_id).as_bytes().ct_eq(given.as_bytes())) {
        return Ok(None);
    }
    Ok(engine.store.lead(&workspace.id, lead_id).await?.map(|lead| (workspace, lead)))
}

fn mac(secret: &[u8], lead_id: &str) -> String {
    let mut mac = <Hmac<Sha256>>::new_from_slice(secret).expect("HMAC takes a key of any length");
    mac.update(b"unsubscribe/");
    mac.update(lead_id.as_bytes());
    mac.finalize().into_bytes().iter().take(MAC_BYTES).map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_is_bound_to_its_lead_and_its_workspace() {
        assert_eq!(mac(b"secret", "lead-a").len(), 2 * MAC_BYTES);
        assert_ne!(mac(b"secret", "lead-a"), mac(b"secret", "lead-b"));
        assert_ne!(mac(b"secret", "lead-a"), mac(b"other", "lead-a"));
    }
}
