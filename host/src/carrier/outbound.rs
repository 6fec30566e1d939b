//! Hands frozen bytes to the world: a folder for trying things out, SMTP for real.
//! It must never be called before `committed` is durable, and must say “nothing was taken” only when that is certain.

use crate::config::{CarrierSettings, SmtpSecurity, SmtpSettings};
use lettre::Address;
use lettre::transport::smtp::authentication::{Credentials, DEFAULT_MECHANISMS};
use lettre::transport::smtp::client::{AsyncSmtpConnection, TlsParameters};
use lettre::transport::smtp::commands::{Data, Mail, Rcpt};
use lettre::transport::smtp::extension::ClientId;
use std::path::{Path, PathBuf};
use std::str::FromStr as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

#[derive(Clone, Debug)]
pub struct Carrier {
    settings: CarrierSettings,
}

/// What to do now.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CarryError {
    #[error("{why}")]
    Retry { why: String },
    #[error("{why}")]
    Failed { why: String },
    /// The server takes the mail of nobody for this address.
    #[error("{why}")]
    AddressRefused { why: String },
    #[error("{why}")]
    Unknown { why: String },
}

impl Carrier {
    #[must_use]
    pub fn new(settings: CarrierSettings) -> Self {
        Carrier { settings }
    }

    /// In words, for the log at start.
    #[must_use]
    pub fn words(&self) -> String {
        match &self.settings {
            CarrierSettings::Folder(folder) => format!("e-mail is written to the folder {}", folder.display()),
            CarrierSettings::Smtp(smtp) => format!("e-mail leaves through {}:{}", smtp.host, smtp.port),
        }
    }

    /// Delivers once. The receipt is what the carrier said.
    pub async fn deliver(&self, from: &str, to: &str, message_id: &str, bytes: &[u8]) -> Result<String, CarryError> {
        match &self.settings {
            CarrierSettings::Folder(folder) => write_to_folder(folder, message_id, bytes).await,
            CarrierSettings::Smtp(smtp) => send_by_smtp(smtp, from, to, bytes).await,
        }
    }
}

/// One file per Message-ID, renamed into place: written twice it is there once.
async fn write_to_folder(folder: &Path, message_id: &str, bytes: &[u8]) -> Result<String, CarryError> {
    let retry =
        |what: &str, error: std::io::Error| CarryError::Retry { why: format!("{what} {}: {error}", folder.display()) };
    let name: String = message_id
        .chars()
        .map(|character| if character.is_ascii_alphanumeric() || "-.@_".contains(character) { character } else { '_' })
        .collect();
    let path: PathBuf = folder.join(format!("{name}.eml"));
    let unfinished = folder.join(format!(".{name}.part"));
    tokio::fs::create_dir_all(folder).await.map_err(|error| retry("cannot make the folder", error))?;
    tokio::fs::write(&unfinished, bytes).await.map_err(|error| retry("cannot write to the folder", error))?;
    tokio::fs::rename(&unfinished, &path).await.map_err(|error| retry("cannot write to the folder", error))?;
    Ok(format!("written to {}", path.display()))
}

/// One conversation with the mail server, within `timeout_ms` as a whole.
async fn send_by_smtp(smtp: &SmtpSettings, from: &str, to: &str, bytes: &[u8]) -> Result<String, CarryError> {
    let server = format!("{}:{}", smtp.host, smtp.port);
    // Whatever goes wrong before the message is handed over leaves nothing behind, so it may be tried again.
    let handed_over = AtomicBool::new(false);
    let conversation = converse(smtp, &server, from, to, bytes, &handed_over);
    match tokio::time::timeout(Duration::from_millis(smtp.timeout_ms), conversation).await {
        Ok(outcome) => outcome,
        Err(_) => {
            let why = format!("{server} did not answer within {} ms (smtp.timeout_ms)", smtp.timeout_ms);
            Err(if handed_over.load(Ordering::Relaxed) {
                CarryError::Unknown { why }
            } else {
                CarryError::Retry { why }
            })
        }
    }
}

async fn converse(
    smtp: &SmtpSettings,
    server: &str,
    from: &str,
    to: &str,
    bytes: &[u8],
    handed_over: &AtomicBool,
) -> Result<String, CarryError> {
    let address = |text: &str| {
        Address::from_str(text)
            .map_err(|_| CarryError::Failed { why: format!("the address {text} cannot be used by SMTP") })
    };
    let (from, to) = (address(from)?, address(to)?);
    // A wrong password is the operator's to mend, not the message's fault.
    let not_reached = |error: lettre::transport::smtp::Error| CarryError::Retry {
        why: format!("{server} does not let us in: {}. Check the settings smtp.*", with_cause(&error)),
    };
    let timeout = Duration::from_millis(smtp.timeout_ms);
    let tls = TlsParameters::new(smtp.host.clone()).map_err(not_reached)?;
    let implicit = (smtp.security == SmtpSecurity::Tls).then(|| tls.clone());
    let client = ClientId::default();
    let mut connection =
        AsyncSmtpConnection::connect_tokio1((smtp.host.as_str(), smtp.port), Some(timeout), &client, implicit, None)
            .await
            .map_err(not_reached)?;
    if smtp.security == SmtpSecurity::StartTls {
        connection.starttls(tls, &client).await.map_err(not_reached)?;
    }
    if let Some((username, password)) = &smtp.credentials {
        let credentials = Credentials::new(username.clone(), password.clone());
        connection.auth(DEFAULT_MECHANISMS, &credentials).await.map_err(not_reached)?;
    }
    // An answer with a code is certain; a connection that broke before the content was sent took nothing either.
    let answered = |error: lettre::transport::smtp::Error| {
        let words = with_cause(&error);
        if error.is_permanent() {
            CarryError::Failed { why: format!("{server} refused it: {words}") }
        } else {
            CarryError::Retry { why: format!("{server} took nothing yet: {words}") }
        }
    };
    connection.command(Mail::new(Some(from), vec![])).await.map_err(answered)?;
    connection.command(Rcpt::new(to, vec![])).await.map_err(|error| match answered(error) {
        CarryError::Failed { why } => CarryError::AddressRefused { why },
        other => other,
    })?;
    connection.command(Data).await.map_err(answered)?;
    handed_over.store(true, Ordering::Relaxed);
    match connection.message(bytes).await {
        Ok(response) => {
            connection.abort().await;
            Ok(format!("{server}: {}", response.message().collect::<Vec<_>>().join(" ")))
        }
        Err(error) if error.is_permanent() || error.is_transient() => Err(answered(error)),
        Err(error) => {
            Err(CarryError::Unknown { why: format!("the connection to {server} broke: {}", with_cause(&error)) })
        }
    }
}

fn with_cause(error: &dyn std::error::Error) -> String {
    match error.source() {
        Some(cause) => format!("{error}: {cause}"),
        None => error.to_string(),
    }
}
