//! Whose reply it is.
//! It must never match across workspaces, and never by anything weaker than an address or an id that we gave out.

use super::db::{StoreError, Tx, on_tx};
use super::lead::{lead_by_email, lead_by_id};
use rejoinder_playbook::lead::Lead;
use rejoinder_playbook::machine::Machine;
use rejoinder_playbook::reply::Reply;

/// Ids of answered messages that are looked up; nobody's thread needs more.
const ANSWERS_LOOKED_UP_MAX: usize = 50;

#[derive(sqlx::FromRow)]
struct MatchedSend {
    id: String,
    lead_id: String,
}

pub(super) struct Match {
    pub(super) lead: Lead,
    pub(super) send_id: Option<String>,
    pub(super) by: &'static str,
}

/// Whose reply it is: by the message it answers, by the token in the address it went to, by its sender, and a bounce by
/// the address that failed.
pub(super) async fn match_lead(tx: &mut Tx, workspace_id: &str, reply: &Reply) -> Result<Option<Match>, StoreError> {
    for message_id in reply.answers.iter().take(ANSWERS_LOOKED_UP_MAX) {
        if let Some(matched) = match_send(tx, workspace_id, BY_MESSAGE_ID, message_id, "message it answers").await? {
            return Ok(Some(matched));
        }
    }
    if let Some(token) = &reply.plus_token
        && let Some(matched) = match_send(tx, workspace_id, BY_REPLY_TOKEN, token, "address token").await?
    {
        return Ok(Some(matched));
    }
    let failed = match &reply.machine {
        Some(Machine::Bounce { address, .. } | Machine::Complaint { address, .. }) => address.as_deref(),
        _ => None,
    };
    let candidates = [(failed, "address it is about"), (reply.from.as_ref().map(|from| from.as_str()), "sender")];
    for (address, by) in candidates {
        if let Some(address) = address
            && let Some(lead) = lead_by_email(tx, workspace_id, address).await?
        {
            return Ok(Some(Match { lead, send_id: None, by }));
        }
    }
    Ok(None)
}

const BY_MESSAGE_ID: &str = "SELECT id, lead_id FROM sends WHERE workspace_id = $1 AND message_id = $2";
const BY_REPLY_TOKEN: &str = "SELECT id, lead_id FROM sends WHERE workspace_id = $1 AND reply_token = $2";

async fn match_send(
    tx: &mut Tx,
    workspace_id: &str,
    sql: &'static str,
    value: &str,
    by: &'static str,
) -> Result<Option<Match>, StoreError> {
    let found: Option<MatchedSend> = on_tx!(tx, |connection| {
        sqlx::query_as(sql).bind(workspace_id).bind(value).fetch_optional(connection).await
    })?;
    let Some(found) = found else { return Ok(None) };
    let lead = lead_by_id(tx, &found.lead_id).await?;
    Ok(lead.map(|lead| Match { lead, send_id: Some(found.id), by }))
}
