//! `rejoinder bench`: how long a reply takes from the webhook to its committed decision, how fast the server starts, how
//! much memory it has. It must never be part of a test: it prints figures, it claims nothing.

use crate::app;
use crate::config::Config;
use crate::demo::{self, DemoError, WORKSPACE};
use crate::engine::folder::PlaybookFolder;
use crate::engine::setup;
use crate::store::workspace::HookKeyKind;
use crate::web::hook::{SIGNATURE_HEADER, signature};
use std::path::Path;
use std::time::{Duration, Instant};

/// Texts of different length and intent, taken in turn.
const TEXTS: [&str; 5] = [
    "Does Harbourlight work with SAP, and how long does the set-up take for a site with twelve doors?",
    "Thanks, this looks useful. Please send me the case study about cold storage and what the next step would be.",
    "We already work with another tool until May and my director signed it last year, so nothing will change before summer.",
    "Honestly that is far too expensive for a yard of our size. Is there any discount for a second site?",
    "Could you call me on Thursday after three? I would like to see how carriers book their own appointments.",
];
const WARM_UP_REPLIES: usize = 20;
const POLL_MS: u64 = 1;

/// The figures of one way of posting.
#[derive(Clone, Debug)]
pub struct Latency {
    pub at_once: usize,
    pub replies: usize,
    pub accepted_p50_ms: f64,
    pub accepted_p99_ms: f64,
    pub decided_p50_ms: f64,
    pub decided_p99_ms: f64,
    pub replies_per_s: f64,
}

#[derive(Clone, Debug)]
pub struct Figures {
    /// From the start of the process's work to a server that listens, and to its first decision.
    pub listening_ms: f64,
    pub first_decision_ms: f64,
    pub resident_mib: Option<f64>,
    pub latencies: Vec<Latency>,
}

/// Measures on a fresh database in `folder`.
pub async fn run(mut config: Config, folder: &Path, replies: usize) -> Result<Figures, DemoError> {
    config = demo::config_in(config, folder);
    let listener = app::listen(&mut config).await?;
    demo::fresh_folder(folder)?;
    // The data is there before the clock starts: what is measured is a start, not a first installation.
    let engine = app::open(config.clone()).await?;
    let starter = PlaybookFolder::starter();
    setup::create_workspace(&engine, WORKSPACE, &starter).await?;
    setup::fill(&engine, WORKSPACE, &starter).await?;
    engine.store.close().await;
    drop(engine);

    let started = Instant::now();
    let engine = app::open(config).await?;
    let running = app::run(engine, listener).await?;
    let listening_ms = millis(started.elapsed());
    let poster = Poster::new(&running).await?;
    poster.post(0).await?;
    let first_decision_ms = millis(started.elapsed());
    for number in 1..=WARM_UP_REPLIES {
        poster.post(number).await?;
    }
    let mut latencies = Vec::new();
    let mut number = WARM_UP_REPLIES + 1;
    for at_once in [1, 16] {
        latencies.push(measure(&poster, at_once, replies, &mut number).await?);
    }
    let figures = Figures { listening_ms, first_decision_ms, resident_mib: resident_mib(), latencies };
    running.stop().await;
    Ok(figures)
}

async fn measure(poster: &Poster, at_once: usize, replies: usize, number: &mut usize) -> Result<Latency, DemoError> {
    let started = Instant::now();
    let mut times = Vec::with_capacity(replies);
    let mut posting = tokio::task::JoinSet::new();
    let mut left = replies;
    while left > 0 || !posting.is_empty() {
        while left > 0 && posting.len() < at_once {
            let poster = poster.clone();
            let this = *number;
            *number += 1;
            left -= 1;
            posting.spawn(async move { poster.post(this).await });
        }
        if let Some(done) = posting.join_next().await {
            times.push(done.expect("posting does not panic")?);
        }
    }
    let seconds = started.elapsed().as_secs_f64();
    let mut accepted: Vec<f64> = times.iter().map(|time| millis(time.0)).collect();
    let mut decided: Vec<f64> = times.iter().map(|time| millis(time.1)).collect();
    #[expect(clippy::cast_precision_loss, reason = "a few thousand at most")]
    let replies_per_s = replies as f64 / seconds;
    Ok(Latency {
        at_once,
        replies,
        accepted_p50_ms: quantile(&mut accepted, 0.5),
        accepted_p99_ms: quantile(&mut accepted, 0.99),
        decided_p50_ms: quantile(&mut decided, 0.5),
        decided_p99_ms: quantile(&mut decided, 0.99),
        replies_per_s,
    })
}

#[derive(Clone)]
struct Poster {
    client: reqwest::Client,
    url: String,
    secret: Vec<u8>,
    engine: std::sync::Arc<crate::engine::Engine>,
}

impl Poster {
    async fn new(running: &app::Running) -> Result<Self, DemoError> {
        let engine = std::sync::Arc::clone(&running.engine);
        let workspace = engine.store.workspace_by_slug(WORKSPACE).await?;
        let secrets = match workspace {
            Some(workspace) => engine.store.hook_keys(&workspace.id, HookKeyKind::Hmac).await?,
            None => vec![],
        };
        let secret = secrets
            .into_iter()
            .next()
            .ok_or_else(|| DemoError::Post { name: "bench", why: "there is no secret".to_owned() })?;
        let url = format!("http://{}/hooks/{WORKSPACE}/email/raw", running.address);
        Ok(Poster { client: reqwest::Client::new(), url, secret, engine })
    }

    /// Posts one reply of an unknown sender's or a lead's; says how long the answer and the decision took.
    async fn post(&self, number: usize) -> Result<(Duration, Duration), DemoError> {
        let failed = |why: String| DemoError::Post { name: "bench", why };
        let text = TEXTS.get(number % TEXTS.len()).copied().unwrap_or_default();
        let lead = LEADS.get(number % LEADS.len()).copied().unwrap_or_default();
        let mail = format!(
            "From: <{lead}>\r\nTo: maya@harbourlight.example\r\nMessage-ID: <bench-{number}@bench.example>\r\nSubject: Re: docks\r\nDate: Tue, 24 Nov 2026 10:00:00 +0000\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n{text}\r\n"
        );
        let started = Instant::now();
        let response = self
            .client
            .post(&self.url)
            .header("content-type", "message/rfc822")
            .header(SIGNATURE_HEADER, signature(&self.secret, self.engine.clock.now_ms(), mail.as_bytes()))
            .body(mail)
            .send()
            .await
            .map_err(|error| failed(error.to_string()))?;
        let accepted = started.elapsed();
        let body: serde_json::Value = response.json().await.map_err(|error| failed(error.to_string()))?;
        let id = body.get("id").and_then(serde_json::Value::as_str).ok_or_else(|| failed(body.to_string()))?.to_owned();
        while self.engine.store.decided_line(&id).await?.is_none() {
            tokio::time::sleep(Duration::from_millis(POLL_MS)).await;
        }
        Ok((accepted, started.elapsed()))
    }
}

/// Leads of the starter workspace, so that replies match and different leads are decided side by side.
pub const LEADS: [&str; 20] = [
    "ana.ruiz@cascadecold.example",
    "mwebb@prairiebuild.example",
    "gpike@pikeandsonsfeed.example",
    "denise.kowalski@lakefrontpaper.test",
    "rahul.mehta@eastgate3pl.example",
    "ogrant@juniperfurnishings.example",
    "phollis@keystonebeverage.example",
    "bruce@tanakaproduce.test",
    "helen.castellano@meridiangrocers.example",
    "k.vogel@nordkai-spielwaren.example",
    "fdelgado@mesatile.example",
    "emily.sato@harrowmed.example",
    "liam.oconnor@shannonparts.example",
    "nadia@oliveandvine.test",
    "chris.boateng@summitpack.example",
    "victor.nunez@rioverdeelectronics.example",
    "g.ashworth@ashworthretail.example",
    "camille.roussel@vergercaves.example",
    "joanne@southernfreight.example",
    "tyrell.brooks@unionpharmadist.example",
];

fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}

fn quantile(values: &mut [f64], share: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "small and positive"
    )]
    let position = ((values.len().saturating_sub(1)) as f64 * share).round() as usize;
    values.get(position).copied().unwrap_or_default()
}

/// Resident memory of this process; only Linux tells.
fn resident_mib() -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmRSS:"))?;
    let kib: f64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kib / 1024.0)
}
