//! Steps that are due become messages in the outbox; enrollments that waited go on.
//! It must never send: it plans, and the gate is asked again when the message leaves.

use super::{Engine, stored_playbook};
use crate::carrier::email::{self, Email};
use crate::store::StoreError;
use crate::store::enrollment::DueEnrollment;
use crate::store::outbox::NewSend;
use rejoinder_playbook::lead::Stage;
use rejoinder_playbook::sequence::{self, Sequence};
use rejoinder_playbook::template;

/// Enrollments looked at in one go.
const BATCH_ENROLLMENTS_MAX: i64 = 100;

/// Plans every step that is due. Says how many enrollments were moved on.
pub(super) async fn plan_due_steps(engine: &Engine) -> Result<usize, StoreError> {
    let due = engine.store.due_enrollments(engine.clock.now_ms(), BATCH_ENROLLMENTS_MAX).await?;
    for enrollment in &due {
        if enrollment.state == "paused" {
            engine.store.resume_enrollment(enrollment, engine.clock.now_ms()).await?;
            continue;
        }
        let planned = match plan(engine, enrollment).await {
            // One row that cannot be read ends alone; the others go on.
            Err(StoreError::Corrupt(what)) => Err(format!("something on record cannot be read: {what}")),
            other => other?,
        };
        if let Err(cause) = planned {
            tracing::warn!(enrollment = enrollment.id, cause, "a sequence ends early");
            engine.store.end_enrollment(enrollment, &cause, engine.clock.now_ms()).await?;
        }
    }
    Ok(due.len())
}

/// Plans one step. The inner error says why this enrollment can never go on.
async fn plan(engine: &Engine, due: &DueEnrollment) -> Result<Result<(), String>, StoreError> {
    let playbook = stored_playbook(&due.playbook_toml)?;
    let sequence = match Sequence::parse(&due.body_toml, &playbook.caps) {
        Ok(sequence) => sequence,
        Err(error) => return Ok(Err(error.to_string())),
    };
    let Some(step) = sequence.step(due.next_step) else { return Ok(Err("completed".to_owned())) };
    let Some(lead) = engine.store.lead(&due.workspace_id, &due.lead_id).await? else {
        return Ok(Err("the lead is not on record".to_owned()));
    };
    if lead.stage == Stage::OptedOut {
        return Ok(Err("opted out".to_owned()));
    }
    let Some(workspace) = engine.store.workspace(&due.workspace_id).await? else {
        return Ok(Err("the workspace is not on record".to_owned()));
    };
    let fields = lead.all_fields();
    let rendered = template::render(&step.subject, &fields)
        .and_then(|subject| Ok((subject, template::render(&step.template, &fields)?)));
    let (subject, body) = match rendered {
        Ok(rendered) => rendered,
        Err(error) => return Ok(Err(format!("step {}: {error}", due.next_step))),
    };
    let now_ms = engine.clock.now_ms();
    let send_key = sequence::send_key(&due.id, due.next_step);
    let message_id = sequence::message_id(&send_key, playbook.sender.address.domain());
    let reply_token = sequence::reply_token(&message_id, playbook.sender.address.local_part());
    let unsubscribe_url = super::unsubscribe::url(engine, &workspace, &lead.id);
    let email = Email {
        playbook: &playbook,
        to: &lead.email,
        to_name: &lead.name(),
        subject: &subject,
        body: &body,
        message_id: &message_id,
        reply_token: &reply_token,
        references: &[],
        unsubscribe_url: &unsubscribe_url,
        date_ms: now_ms,
    };
    let bytes = match email::build(&email) {
        Ok(bytes) => bytes,
        Err(error) => return Ok(Err(error.to_string())),
    };
    let send = NewSend {
        id: engine.clock.new_id(),
        workspace_id: due.workspace_id.clone(),
        lead_id: due.lead_id.clone(),
        enrollment_id: Some(due.id.clone()),
        step: Some(due.next_step),
        send_key,
        message_id,
        reply_token,
        to_address: lead.email.as_str().to_owned(),
        subject,
        body,
        bytes,
        due_ms: now_ms,
    };
    let next = due.next_step.saturating_add(1);
    let next_due_ms = sequence.step(next).map(|_| now_ms.saturating_add(sequence.delay_ms(next)));
    engine.store.plan_step(due, &send, next_due_ms, now_ms).await?;
    Ok(Ok(()))
}
