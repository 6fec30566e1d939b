//! `rejoinder demo`: a starter workspace, ten sample replies posted through the real webhook, what was decided about each.
//! It must never touch data that is not its own, and never decide anything itself: it only posts and reads.

use crate::app::{self, StartError};
use crate::config::Config;
use crate::engine::folder::PlaybookFolder;
use crate::engine::setup::{self, FirstSecrets};
use crate::store::view::DecidedLine;
use crate::store::workspace::HookKeyKind;
use crate::store::{DatabaseUrl, StoreError};
use crate::web::hook::{SIGNATURE_HEADER, signature};
use std::path::{Path, PathBuf};
use std::time::Duration;

pub const WORKSPACE: &str = "harbourlight";
/// Marks a folder as the demo's own: only such a folder is cleared.
const MARKER: &str = ".rejoinder-demo";
const LEADS_WAIT_MS_MAX: u64 = 30_000;
const DECISION_WAIT_MS_MAX: u64 = 30_000;
const POLL_MS: u64 = 20;

macro_rules! replies {
    ($($name:literal),* $(,)?) => {
        &[$(($name, include_bytes!(concat!("../../tests/data/replies/", $name, ".eml")))),*]
    };
}

/// The ten sample replies: file name and bytes.
pub const REPLIES: &[(&str, &[u8])] = replies![
    "01-simple-question",
    "02-call-me-tuesday",
    "03-unsubscribe-in-prose",
    "04-too-expensive",
    "05-out-of-office",
    "06-interested",
    "07-wrong-person",
    "08-complaint",
    "09-high-value-question",
    "10-not-now",
];

#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    #[error(transparent)]
    Start(#[from] StartError),
    #[error(transparent)]
    Setup(#[from] setup::SetupError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("{path} is not empty and is not a demo's folder; name another one with --data")]
    NotOurs { path: PathBuf },
    #[error("the demo's folder {path} cannot be cleared: {source}")]
    Clear { path: PathBuf, source: std::io::Error },
    #[error("the webhook did not take {name}: {why}")]
    Post { name: &'static str, why: String },
    #[error("only {sent} of {wanted} first e-mails left in time; run again with REJOINDER_LOG=debug to see why")]
    FirstTouches { sent: i64, wanted: i64 },
    #[error("{0} was not decided in time; run again with REJOINDER_LOG=debug to see why")]
    Slow(&'static str),
}

/// What the demo shows.
#[derive(Debug)]
pub struct Demo {
    pub running: app::Running,
    pub secrets: FirstSecrets,
    pub filled: setup::Filled,
    pub decided: Vec<(&'static str, DecidedLine)>,
}

/// Clears the demo's own folder, so that each demo starts anew.
pub fn fresh_folder(folder: &Path) -> Result<(), DemoError> {
    let failed = |source| DemoError::Clear { path: folder.to_path_buf(), source };
    if folder.exists() {
        let is_empty = std::fs::read_dir(folder).map_err(failed)?.next().is_none();
        if !is_empty && !folder.join(MARKER).exists() {
            return Err(DemoError::NotOurs { path: folder.to_path_buf() });
        }
        std::fs::remove_dir_all(folder).map_err(failed)?;
    }
    app::make_private_folder(folder).map_err(failed)?;
    std::fs::write(folder.join(MARKER), "This folder belongs to `rejoinder demo`, which clears it at each start.\n")
        .map_err(failed)
}

/// The demo keeps everything in its own folder, whatever the configuration says about database and carrier.
#[must_use]
pub fn config_in(config: Config, folder: &Path) -> Config {
    Config {
        data_dir: folder.to_path_buf(),
        database_url: DatabaseUrl::Sqlite(folder.join("rejoinder.db")),
        carrier: crate::config::CarrierSettings::Folder(folder.join("outbox")),
        ..config
    }
}

/// Starts the server, fills it, posts the replies and waits for the decisions.
pub async fn run(config: Config, folder: &Path) -> Result<Demo, DemoError> {
    let mut config = config_in(config, folder);
    // The address first: where it is taken, a demo may be running, and its folder is not touched.
    let listener = app::listen(&mut config).await?;
    fresh_folder(folder)?;
    let engine = app::open(config).await?;
    let folder = PlaybookFolder::starter();
    let secrets = setup::create_workspace(&engine, WORKSPACE, &folder)
        .await?
        .ok_or_else(|| StoreError::Corrupt("the demo's workspace was there before the demo".to_owned()))?;
    let filled = setup::fill(&engine, WORKSPACE, &folder).await?;
    let running = app::run(engine, listener).await?;
    wait_for_first_touches(&running, filled.enrollments).await?;
    let mut posted = Vec::new();
    for (name, raw) in REPLIES {
        posted.push((*name, post(&running, name, raw).await?));
    }
    let mut decided = Vec::new();
    for (name, arrival_id) in posted {
        decided.push((name, wait_for_decision(&running, name, &arrival_id).await?));
    }
    Ok(Demo { running, secrets, filled, decided })
}

/// The replies answer the first e-mail, so that one leaves first.
async fn wait_for_first_touches(running: &app::Running, enrollments: u64) -> Result<(), DemoError> {
    let wanted = i64::try_from(enrollments).unwrap_or(i64::MAX);
    let mut waited_ms = 0;
    loop {
        let sent = running.engine.store.sent_count().await?;
        if sent >= wanted {
            return Ok(());
        }
        if waited_ms >= LEADS_WAIT_MS_MAX {
            return Err(DemoError::FirstTouches { sent, wanted });
        }
        tokio::time::sleep(Duration::from_millis(POLL_MS)).await;
        waited_ms += POLL_MS;
    }
}

async fn post(running: &app::Running, name: &'static str, raw: &[u8]) -> Result<String, DemoError> {
    let failed = |why: String| DemoError::Post { name, why };
    let engine = &running.engine;
    let workspace =
        engine.store.workspace_by_slug(WORKSPACE).await?.ok_or_else(|| failed("no workspace".to_owned()))?;
    let secrets = engine.store.hook_keys(&workspace.id, HookKeyKind::Hmac).await?;
    let secret = secrets.first().ok_or_else(|| failed("no secret".to_owned()))?;
    let response = reqwest::Client::new()
        .post(format!("http://{}/hooks/{WORKSPACE}/email/raw", running.address))
        .header("content-type", "message/rfc822")
        .header(SIGNATURE_HEADER, signature(secret, engine.clock.now_ms(), raw))
        .body(raw.to_vec())
        .send()
        .await
        .map_err(|error| failed(error.to_string()))?;
    let status = response.status();
    let body: serde_json::Value = response.json().await.map_err(|error| failed(error.to_string()))?;
    let id = body.get("id").and_then(serde_json::Value::as_str).filter(|_| status.as_u16() == 202);
    id.map(str::to_owned).ok_or_else(|| failed(format!("{status}: {body}")))
}

async fn wait_for_decision(
    running: &app::Running,
    name: &'static str,
    arrival_id: &str,
) -> Result<DecidedLine, DemoError> {
    let mut waited_ms = 0;
    loop {
        if let Some(line) = running.engine.store.decided_line(arrival_id).await? {
            return Ok(line);
        }
        if waited_ms >= DECISION_WAIT_MS_MAX {
            return Err(DemoError::Slow(name));
        }
        tokio::time::sleep(Duration::from_millis(POLL_MS)).await;
        waited_ms += POLL_MS;
    }
}

/// What was decided, for a terminal.
#[must_use]
pub fn report(demo: &Demo) -> String {
    let filled = demo.filled;
    let mut text = format!(
        "\nWorkspace {WORKSPACE}: {} documents with {} passages, {} leads, {} enrolled in the sequence and sent its first e-mail.\n{} replies posted through the webhook:\n",
        filled.documents,
        filled.passages,
        filled.leads,
        filled.enrollments,
        demo.decided.len()
    );
    for (name, line) in &demo.decided {
        let verdict = rejoinder_playbook::effect::Verdict::parse(&line.verdict);
        let who = line.lead_name.as_deref().unwrap_or(&line.from_address);
        text.push_str(&format!(
            "\n  {name}  {who}\n    → {}",
            verdict.map_or(line.verdict.as_str(), |verdict| verdict.words())
        ));
        if let Some(owner) =
            line.owner.as_deref().filter(|_| verdict != Some(rejoinder_playbook::effect::Verdict::OptOut))
        {
            text.push_str(&format!(" ({owner})"));
        }
        text.push_str(&format!(", {} ms after it arrived\n", line.decided_ms.saturating_sub(line.received_ms)));
        for reason in &line.reasons {
            text.push_str(&format!("      {reason}\n"));
        }
    }
    text.push_str(&format!(
        "\nReview page: {}/review   (sign in as {} with {})\nE-mail that left: {}\nCtrl-C ends it.\n",
        demo.running.engine.config.public_url,
        demo.secrets.user_name,
        demo.secrets.password,
        demo.running.engine.carrier_words(),
    ));
    text
}
