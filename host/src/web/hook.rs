//! The door for inbound replies: checks who posts, hands the bytes to the engine, answers.
//! It must never answer 202 before the reply is stored, and never take one from a stranger.

use super::error::problem;
use crate::carrier::inbound::MailError;
use crate::engine::Engine;
use crate::engine::arrived::{self, AcceptError};
use crate::store::StoreError;
use crate::store::workspace::{HookKeyKind, Workspace};
use axum::Json;
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::post;
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::json;
use sha2::{Digest as _, Sha256};
use std::sync::Arc;
use std::time::Duration;
use subtle::ConstantTimeEq as _;

/// Older or younger signatures are refused, so that a recorded request cannot be played back for ever.
const SIGNATURE_AGE_MS_MAX: i64 = 5 * 60 * 1000;
/// A body that takes longer is given up; 10 MiB in half a minute is a slow line.
const BODY_MS_MAX: u64 = 30_000;
/// When a busy server asks to be tried again, seconds.
const RETRY_AFTER_S: &str = "5";
pub const SIGNATURE_HEADER: &str = "x-rejoinder-signature";
const API_KEY_HEADER: &str = "x-api-key";

pub(crate) fn routes() -> Router<Arc<Engine>> {
    Router::new().route("/hooks/{workspace}/email/raw", post(email_raw))
}

/// The value of the signature header: HMAC-SHA256 over `{seconds}.{body}`, in hex.
#[must_use]
pub fn signature(secret: &[u8], now_ms: i64, body: &[u8]) -> String {
    let seconds = now_ms / 1000;
    let hex: String =
        mac(secret, seconds, body).finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    format!("t={seconds},v1={hex}")
}

fn mac(secret: &[u8], seconds: i64, body: &[u8]) -> Hmac<Sha256> {
    let mut mac = <Hmac<Sha256>>::new_from_slice(secret).expect("HMAC takes a key of any length");
    mac.update(format!("{seconds}.").as_bytes());
    mac.update(body);
    mac
}

/// Why a request is not let in.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
enum Stranger {
    #[error(
        "send `X-Rejoinder-Signature: t=SECONDS,v1=HEX` with HEX = HMAC-SHA256(secret, \"SECONDS.\" + body), or the API key as `Authorization: Bearer KEY`"
    )]
    Nothing,
    #[error("the API key is not one of this workspace")]
    ApiKey,
    #[error("the signature header must read t=SECONDS,v1=HEX")]
    Form,
    #[error("the signature is more than 5 minutes old or ahead; check the clock, and sign each attempt anew")]
    Age,
    #[error("the signature does not fit; sign the exact bytes of the body with this workspace's secret")]
    Signature,
}

async fn email_raw(
    State(engine): State<Arc<Engine>>,
    Path(slug): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let workspace = match engine.store.workspace_by_slug(&slug).await {
        Ok(Some(workspace)) => workspace,
        Ok(None) => {
            let detail = "No workspace has this name; check the address the mail is posted to.";
            return problem(StatusCode::NOT_FOUND, "Unknown workspace", detail);
        }
        Err(error) => return store_problem(&error),
    };
    let media_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let media_type = media_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    if !matches!(media_type.as_str(), "message/rfc822" | "application/octet-stream") {
        let detail = "Post the raw message with Content-Type: message/rfc822.";
        return problem(StatusCode::UNSUPPORTED_MEDIA_TYPE, "Not a raw message", detail);
    }
    let bytes_max = engine.config.mail_limits.mail_bytes_max;
    // A stranger is told so before the server takes in a single byte of the body.
    let claim = match claim(&engine, &workspace, &headers).await {
        Ok(Ok(claim)) => claim,
        Ok(Err(stranger)) => return not_signed(&stranger),
        Err(error) => return store_problem(&error),
    };
    let body = tokio::time::timeout(Duration::from_millis(BODY_MS_MAX), to_bytes(body, bytes_max));
    let raw = match body.await {
        Ok(Ok(raw)) => raw,
        Ok(Err(_)) => return too_large(bytes_max),
        Err(_) => {
            let detail = format!("The body did not arrive within {BODY_MS_MAX} ms. Nothing was stored; post it again.");
            return problem(StatusCode::REQUEST_TIMEOUT, "Too slow", &detail);
        }
    };
    if let Err(stranger) = claim.prove(&raw) {
        return not_signed(&stranger);
    }
    match arrived::accept(&engine, &workspace, &raw).await {
        Ok(accepted) => {
            let body = json!({
                "id": accepted.arrival_id,
                "status": if accepted.duplicate { "duplicate" } else { "accepted" },
                "lead": accepted.lead_id,
                "matched_by": accepted.matched_by,
                "enrollments_paused": accepted.enrollments_paused,
                "opted_out": accepted.opted_out,
            });
            (StatusCode::ACCEPTED, Json(body)).into_response()
        }
        Err(AcceptError::Mail(MailError::TooLarge { .. })) => too_large(bytes_max),
        Err(AcceptError::Mail(error)) => problem(StatusCode::BAD_REQUEST, "Not a message", error.to_string()),
        Err(AcceptError::Store(error)) => store_problem(&error),
    }
}

fn not_signed(stranger: &Stranger) -> Response {
    let mut response = problem(StatusCode::UNAUTHORIZED, "Not signed", stranger.to_string());
    response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    response
}

/// How somebody claims to be let in, as far as the header can tell.
#[derive(Debug)]
enum Claim {
    /// A key that fits.
    Key,
    /// A signature of the right form and age, still to be held against the body.
    Signature { secrets: Vec<Vec<u8>>, seconds: i64, given: Vec<u8> },
}

impl Claim {
    fn prove(&self, body: &[u8]) -> Result<(), Stranger> {
        match self {
            Claim::Key => Ok(()),
            Claim::Signature { secrets, seconds, given } => {
                let fits = secrets.iter().any(|secret| mac(secret, *seconds, body).verify_slice(given).is_ok());
                if fits { Ok(()) } else { Err(Stranger::Signature) }
            }
        }
    }
}

async fn claim(
    engine: &Engine,
    workspace: &Workspace,
    headers: &HeaderMap,
) -> Result<Result<Claim, Stranger>, StoreError> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim);
    if let Some(signature) = text(SIGNATURE_HEADER) {
        let secrets = engine.store.hook_keys(&workspace.id, HookKeyKind::Hmac).await?;
        return Ok(signature_claim(secrets, signature, engine.clock.now_ms()));
    }
    let bearer = text("authorization").and_then(|value| value.strip_prefix("Bearer "));
    let Some(key) = bearer.or_else(|| text(API_KEY_HEADER)) else { return Ok(Err(Stranger::Nothing)) };
    let hash = Sha256::digest(key.as_bytes());
    let keys = engine.store.hook_keys(&workspace.id, HookKeyKind::ApiKey).await?;
    let known = keys.iter().any(|known| bool::from(known.as_slice().ct_eq(hash.as_slice())));
    Ok(if known { Ok(Claim::Key) } else { Err(Stranger::ApiKey) })
}

fn signature_claim(secrets: Vec<Vec<u8>>, signature: &str, now_ms: i64) -> Result<Claim, Stranger> {
    let mut seconds = None;
    let mut given = None;
    for part in signature.split(',') {
        match part.trim().split_once('=') {
            Some(("t", value)) => seconds = value.parse::<i64>().ok(),
            Some(("v1", value)) => given = bytes_of_hex(value),
            _ => {}
        }
    }
    let (Some(seconds), Some(given)) = (seconds, given) else { return Err(Stranger::Form) };
    let age_ms = now_ms.saturating_sub(seconds.saturating_mul(1000));
    if age_ms.saturating_abs() > SIGNATURE_AGE_MS_MAX {
        return Err(Stranger::Age);
    }
    Ok(Claim::Signature { secrets, seconds, given })
}

fn bytes_of_hex(hex: &str) -> Option<Vec<u8>> {
    if !hex.len().is_multiple_of(2) || !hex.is_ascii() {
        return None;
    }
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(hex.get(at..at + 2)?, 16).ok()).collect()
}

fn too_large(bytes_max: usize) -> Response {
    let detail = format!(
        "The message is larger than {bytes_max} bytes (limits.mail_bytes_max). Nothing was stored; leave attachments out or raise the limit."
    );
    problem(StatusCode::PAYLOAD_TOO_LARGE, "Message too large", &detail)
}

/// The sender keeps the message and tries again: nothing is lost.
fn store_problem(error: &StoreError) -> Response {
    tracing::error!(%error, "a reply could not be stored");
    let detail = "The reply could not be stored now. Keep it and post it again; it is taken once only.";
    let mut response = problem(StatusCode::SERVICE_UNAVAILABLE, "Try again", detail);
    response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static(RETRY_AFTER_S));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW_MS: i64 = 1_800_000_000_000;

    #[test]
    fn the_right_signature_opens_and_any_change_closes() {
        let secrets = [b"other".to_vec(), b"secret".to_vec()];
        let signed = signature(b"secret", NOW_MS, b"mail");
        let verify = |secrets: &[Vec<u8>], signature: &str, body: &[u8], now_ms: i64| {
            signature_claim(secrets.to_vec(), signature, now_ms).and_then(|claim| claim.prove(body))
        };
        assert_eq!(verify(&secrets, &signed, b"mail", NOW_MS + 1000), Ok(()));
        assert_eq!(verify(&secrets, &signed, b"mail!", NOW_MS), Err(Stranger::Signature));
        assert_eq!(verify(&[b"other".to_vec()], &signed, b"mail", NOW_MS), Err(Stranger::Signature));
        assert_eq!(verify(&secrets, &signed, b"mail", NOW_MS + SIGNATURE_AGE_MS_MAX + 1000), Err(Stranger::Age));
        for wrong in ["", "t=1", "v1=00", "t=x,v1=00", "t=1,v1=0", "t=1,v1=zz", "t=1,v1=é"] {
            assert_eq!(verify(&secrets, wrong, b"mail", NOW_MS), Err(Stranger::Form), "{wrong}");
        }
    }

    #[test]
    fn the_signature_is_the_one_the_documentation_shows() {
        assert_eq!(
            signature(b"secret", 1_700_000_000_000, b"hello"),
            "t=1700000000,v1=47b1df0ab12338b2685470b0d2b37033add7c3b2bc8172f313e77413f1bb78c8"
        );
    }
}
