//! Starts the whole server inside the test process, on a database of its own and a free port, filled as the demo is.
//! It must never share anything between two tests.

use rejoinder::app::{self, Running};
use rejoinder::config::Config;
use rejoinder::demo::WORKSPACE;
use rejoinder::engine::folder::PlaybookFolder;
use rejoinder::engine::setup::{self, FirstSecrets};
use rejoinder::store::view::DecidedLine;
use rejoinder::web::hook::{SIGNATURE_HEADER, signature};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tempfile::TempDir;

/// Long enough for a busy two-core machine; a test that needs it has failed.
const WAIT_MS_MAX: u64 = 60_000;
const POLL_MS: u64 = 10;

pub(crate) struct Server {
    pub(crate) running: Running,
    pub(crate) secrets: FirstSecrets,
    pub(crate) http: reqwest::Client,
    pub(crate) folder: TempDir,
}

/// A folder layout as the starter's, to be changed by a test before the server starts.
pub(crate) fn starter() -> PlaybookFolder {
    PlaybookFolder::starter()
}

/// A file of `tests/data/replies`.
pub(crate) fn sample(name: &str) -> Vec<u8> {
    std::fs::read(data().join("replies").join(format!("{name}.eml"))).expect("the sample is there")
}

pub(crate) fn data() -> PathBuf {
    root().join("tests/data")
}

/// The repository.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("host lies in the repository").to_path_buf()
}

/// A plain text message.
pub(crate) fn mail(from: &str, subject: &str, body: &str, id: &str, more_headers: &str) -> Vec<u8> {
    format!(
        "From: <{from}>\r\nTo: maya@harbourlight.example\r\nSubject: {subject}\r\nMessage-ID: <{id}@mail.test>\r\nDate: Tue, 24 Nov 2026 10:00:00 -0600\r\n{more_headers}MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n{body}\r\n"
    )
    .into_bytes()
}

impl Server {
    pub(crate) async fn start() -> Server {
        Server::start_with(&starter(), "").await
    }

    /// With another playbook folder and further settings (TOML).
    pub(crate) async fn start_with(playbook: &PlaybookFolder, settings: &str) -> Server {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let place = folder.path().display();
        let text = format!("listen = \"127.0.0.1:0\"\ndata_dir = \"{place}/data\"\n{settings}");
        let mut config = Config::parse(&text, std::iter::empty()).expect("a sound configuration");
        let listener = app::listen(&mut config).await.expect("a free port");
        let engine = app::open(config).await.expect("the server opens");
        let secrets =
            setup::create_workspace(&engine, WORKSPACE, playbook).await.expect("a workspace").expect("a new one");
        let filled = setup::fill(&engine, WORKSPACE, playbook).await.expect("filled");
        let running = app::run(engine, listener).await.expect("the server runs");
        let server = Server { running, secrets, http: client(), folder };
        if settings.is_empty() {
            let wanted = i64::try_from(filled.enrollments).expect("few");
            server
                .until("the first e-mails have left", || async {
                    (server.running.engine.store.sent_count().await.expect("a count") >= wanted).then_some(())
                })
                .await;
        }
        server
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.running.address)
    }

    /// Posts a raw message as a signed webhook.
    pub(crate) async fn post(&self, raw: &[u8]) -> reqwest::Response {
        let signed = signature(self.secrets.hook_secret.as_bytes(), self.running.engine.clock.now_ms(), raw);
        self.http
            .post(self.url(&format!("/hooks/{WORKSPACE}/email/raw")))
            .header("content-type", "message/rfc822")
            .header(SIGNATURE_HEADER, signed)
            .body(raw.to_vec())
            .send()
            .await
            .expect("an answer")
    }

    /// Posts and expects 202; the answer's JSON.
    pub(crate) async fn accepted(&self, raw: &[u8]) -> Value {
        let response = self.post(raw).await;
        assert_eq!(response.status().as_u16(), 202);
        response.json().await.expect("JSON")
    }

    /// Posts and waits for the decision; the arrival's id and the decision.
    pub(crate) async fn decided(&self, raw: &[u8]) -> (String, DecidedLine) {
        let accepted = self.accepted(raw).await;
        let id = accepted["id"].as_str().expect("an id").to_owned();
        let line = self.decision(&id).await;
        (id, line)
    }

    pub(crate) async fn decision(&self, arrival_id: &str) -> DecidedLine {
        self.until("the reply is decided", || async {
            self.running.engine.store.decided_line(arrival_id).await.expect("the store answers")
        })
        .await
    }

    /// Waits until `look` finds something.
    pub(crate) async fn until<T, F: Future<Output = Option<T>>>(&self, what: &str, look: impl Fn() -> F) -> T {
        until(what, look).await
    }

    pub(crate) async fn workspace_id(&self) -> String {
        let found = self.running.engine.store.workspace_by_slug(WORKSPACE).await.expect("the store answers");
        found.expect("the workspace").id
    }

    /// A client with the admin's session.
    pub(crate) async fn signed_in(&self) -> reqwest::Client {
        let response = self
            .http
            .post(self.url("/sign-in"))
            .form(&[("name", self.secrets.user_name.as_str()), ("password", &self.secrets.password)])
            .send()
            .await
            .expect("an answer");
        assert_eq!(response.status().as_u16(), 303, "signing in redirects");
        let cookie = response.headers().get("set-cookie").and_then(|value| value.to_str().ok()).expect("a cookie");
        let pair = cookie.split(';').next().expect("a pair");
        let mut headers = reqwest::header::HeaderMap::new();
        headers.insert("cookie", pair.parse().expect("a header value"));
        reqwest::Client::builder()
            .default_headers(headers)
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .expect("a client")
    }

    /// The e-mails that the folder carrier wrote, by file name.
    pub(crate) fn outbox(&self) -> Vec<(String, String)> {
        outbox(&self.folder.path().join("data/outbox"))
    }

    /// Direct reading of the database, for what no page shows.
    /// Changes what only time would change.
    pub(crate) async fn change(&self, sql: &'static str) {
        let url = format!("sqlite:{}", self.folder.path().join("data/rejoinder.db").display());
        let pool = sqlx::SqlitePool::connect(&url).await.expect("the database opens");
        sqlx::query(sql).execute(&pool).await.expect("it takes the change");
        pool.close().await;
    }

    pub(crate) async fn count(&self, sql: &'static str) -> i64 {
        count(&self.folder.path().join("data/rejoinder.db"), sql).await
    }
}

pub(crate) fn client() -> reqwest::Client {
    reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().expect("a client")
}

pub(crate) async fn until<T, F: Future<Output = Option<T>>>(what: &str, look: impl Fn() -> F) -> T {
    let mut waited_ms = 0;
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(waited_ms < WAIT_MS_MAX, "waited {WAIT_MS_MAX} ms in vain until {what}");
        tokio::time::sleep(Duration::from_millis(POLL_MS)).await;
        waited_ms += POLL_MS;
    }
}

pub(crate) fn outbox(folder: &Path) -> Vec<(String, String)> {
    let Ok(entries) = std::fs::read_dir(folder) else { return vec![] };
    let mut mails: Vec<(String, String)> = entries
        .filter_map(|entry| {
            let path = entry.ok()?.path();
            let name = path.file_name()?.to_str()?.to_owned();
            name.ends_with(".eml").then(|| (name, std::fs::read_to_string(&path).expect("mail is ASCII")))
        })
        .collect();
    mails.sort();
    mails
}

pub(crate) async fn count(database: &Path, sql: &'static str) -> i64 {
    let pool = sqlx::SqlitePool::connect(&format!("sqlite:{}", database.display())).await.expect("the database opens");
    let (count,): (i64,) = sqlx::query_as(sql).fetch_one(&pool).await.expect("a number");
    pool.close().await;
    count
}
