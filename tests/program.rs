//! The built program as a stranger runs it: start, commands, messages, exit codes.
//! It must never call into the library for what the command line should say.

use crate::server::{client, root, until};
use rejoinder::demo::WORKSPACE;
use rejoinder::web::hook::{SIGNATURE_HEADER, signature};
use std::io::Write as _;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

const BINARY: &str = env!("CARGO_BIN_EXE_rejoinder");

pub(crate) struct Program {
    child: Child,
    port: u16,
    secret: String,
    http: reqwest::Client,
    folder: std::path::PathBuf,
}

/// A port that was free a moment ago.
pub(crate) fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a free port").port()
}

fn rejoinder() -> Command {
    let mut command = Command::new(BINARY);
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("REJOINDER_")) {
        command.env_remove(name);
    }
    command
}

fn run(arguments: &[&str], input: &str, variables: &[(&str, &str)]) -> Output {
    let mut child = rejoinder()
        .args(arguments)
        .envs(variables.iter().copied())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    child.stdin.take().expect("standard input").write_all(input.as_bytes()).expect("it reads");
    child.wait_with_output().expect("it ends")
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// Starts `serve` on the starter playbook, with its output in a log.
fn start(folder: &Path, port: u16) -> Child {
    let playbook = folder.join("playbook");
    if !playbook.exists() {
        copy(&root().join("playbook/default"), &playbook);
        copy(&root().join("plugins/built"), &playbook.join("plugins"));
    }
    let log = std::fs::File::create(log_of(folder, port)).expect("a log");
    rejoinder()
        .args(["serve", "--playbook"])
        .arg(&playbook)
        .env("REJOINDER_LISTEN", format!("127.0.0.1:{port}"))
        .env("REJOINDER_DATA_DIR", folder)
        .env("REJOINDER_LIMITS_DECISION_LEASE_MS", "1000")
        .env("REJOINDER_LIMITS_SEND_LEASE_MS", "1000")
        .stdout(log.try_clone().expect("a log"))
        .stderr(log)
        .spawn()
        .expect("the program starts")
}

fn log_of(folder: &Path, port: u16) -> std::path::PathBuf {
    folder.join(format!("log-{port}.txt"))
}

impl Program {
    /// Serves the starter playbook from a folder of its own; knows the webhook's secret from the first start.
    pub(crate) async fn serve(folder: &Path, port: u16) -> Program {
        let first = folder.join("first.txt");
        let child = start(folder, port);
        let mut program = Program { child, port, secret: String::new(), http: client(), folder: folder.to_path_buf() };
        until("the program is ready", || async {
            let ready = program.http.get(program.url("/readyz")).send().await;
            ready.ok().filter(|answer| answer.status().is_success()).map(|_| ())
        })
        .await;
        if !first.exists() {
            std::fs::copy(log_of(folder, port), &first).expect("what it said first");
        }
        program.secret = program.told("webhook secret");
        program
    }

    /// A first start that is killed as soon as it has shown its secrets, while it still fills the workspace.
    pub(crate) async fn kill_while_it_fills(folder: &Path, port: u16) {
        let mut child = start(folder, port);
        until("the secrets are shown", || async {
            let text = std::fs::read_to_string(log_of(folder, port)).unwrap_or_default();
            text.contains("API key").then_some(())
        })
        .await;
        child.kill().expect("it is killed");
        child.wait().expect("it has ended");
        std::fs::copy(log_of(folder, port), folder.join("first.txt")).expect("what it said first");
    }

    /// What the first start printed behind a label.
    fn told(&self, label: &str) -> String {
        let text = std::fs::read_to_string(self.folder.join("first.txt")).expect("what it said first");
        let line = text.lines().find(|line| line.trim_start().starts_with(label)).expect("it was said");
        line.split_whitespace().last().expect("a value").to_owned()
    }

    fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    pub(crate) async fn post(&self, raw: &[u8]) -> u16 {
        let now_ms = rejoinder::clock::Clock.now_ms();
        let response = self
            .http
            .post(self.url("/hooks/main/email/raw"))
            .header("content-type", "message/rfc822")
            .header(SIGNATURE_HEADER, signature(self.secret.as_bytes(), now_ms, raw))
            .body(raw.to_vec())
            .send()
            .await
            .expect("an answer");
        response.status().as_u16()
    }

    /// Signs in and approves the first draft of the queue as it stands.
    pub(crate) async fn approve_first(&self) {
        let password = self.told("sign in as");
        let form = [("name", "admin"), ("password", password.as_str())];
        let response = self.http.post(self.url("/sign-in")).form(&form).send().await.expect("an answer");
        let cookie = response.headers().get("set-cookie").and_then(|value| value.to_str().ok()).expect("a cookie");
        let cookie = cookie.split(';').next().expect("a pair").to_owned();
        let list = self.http.get(self.url("/review")).header("cookie", &cookie).send().await.expect("an answer");
        let html = list.text().await.expect("a page");
        let id = html
            .split("/review/")
            .nth(1)
            .and_then(|rest| rest.split(['"', '?', '#', '/']).next())
            .expect("an item")
            .to_owned();
        let page = self
            .http
            .get(self.url(&format!("/review/{id}")))
            .header("cookie", &cookie)
            .send()
            .await
            .expect("an answer");
        let html = page.text().await.expect("a page");
        let body = html
            .split("<textarea")
            .nth(1)
            .and_then(|rest| rest.split_once('>')?.1.split("</textarea>").next())
            .expect("a draft");
        let approve = self.http.post(self.url(&format!("/review/{id}/approve"))).header("cookie", &cookie);
        let response = approve.form(&[("body", body)]).send().await.expect("an answer");
        assert_eq!(response.status().as_u16(), 303, "approving goes on to the next");
    }

    /// SIGKILL, nothing less.
    pub(crate) fn kill(&mut self) {
        self.child.kill().expect("it can be killed");
        self.child.wait().expect("it is gone");
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("a folder");
    for entry in std::fs::read_dir(from).expect("a folder") {
        let path = entry.expect("an entry").path();
        let target = to.join(path.file_name().expect("a name"));
        if path.is_dir() {
            copy(&path, &target);
        } else {
            std::fs::copy(&path, &target).expect("copied");
        }
    }
}

#[test]
fn the_demo_shows_ten_decisions_with_reasons_and_where_to_review() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let data = folder.path().join("demo");
    let data = data.to_str().expect("a path");
    // Twice: each demo starts anew.
    for _ in 0..2 {
        let listen = format!("127.0.0.1:{}", free_port());
        let output = run(&["demo", "--data", data, "--exit"], "", &[("REJOINDER_LISTEN", &listen)]);
        let said = said(&output);
        assert!(output.status.success(), "{said}");
        assert_eq!(said.matches('→').count(), 10, "{said}");
        assert!(said.contains(&format!("http://{listen}/review")), "{said}");
        assert!(said.contains("sign in as admin with"), "{said}");
        assert!(said.contains("20 leads"), "{said}");
    }
}

#[test]
fn the_demo_does_not_clear_a_folder_that_is_not_its_own() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    std::fs::write(folder.path().join("thesis.txt"), "precious").expect("written");
    let output = run(&["demo", "--exit", "--data", folder.path().to_str().expect("a path")], "", &[]);
    assert!(!output.status.success());
    assert!(said(&output).contains("--data"), "{}", said(&output));
    assert!(folder.path().join("thesis.txt").exists());
}

#[test]
fn a_taken_port_is_named_with_a_way_out() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let listen = taken.local_addr().expect("an address").to_string();
    let data = folder.path().to_str().expect("a path");
    let output = run(&["serve"], "", &[("REJOINDER_LISTEN", &listen), ("REJOINDER_DATA_DIR", data)]);
    assert_eq!(output.status.code(), Some(1));
    assert!(said(&output).contains("is taken") && said(&output).contains("REJOINDER_LISTEN"), "{}", said(&output));
}

#[test]
fn a_missing_or_broken_weights_file_is_named_with_a_way_out() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let missing = folder.path().join("none.safetensors");
    let broken = folder.path().join("broken.safetensors");
    std::fs::write(&broken, b"not weights").expect("written");
    for path in [missing, broken] {
        let output = run(&["read"], "", &[("REJOINDER_WEIGHTS", path.to_str().expect("a path"))]);
        assert_eq!(output.status.code(), Some(1));
        let said = said(&output);
        assert!(said.contains(path.to_str().expect("a path")), "{said}");
    }
}

#[test]
fn a_database_that_cannot_be_opened_or_written_is_named_with_a_way_out() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let not_a_database = folder.path().join("text.db");
    std::fs::write(&not_a_database, "this is no database, it is a letter to my aunt".repeat(50)).expect("written");
    let nowhere = "sqlite:/proc/nowhere/a.db".to_owned();
    for url in
        [format!("sqlite:{}", not_a_database.display()), nowhere, "postgres://nobody@127.0.0.1:1/none".to_owned()]
    {
        let data = folder.path().to_str().expect("a path");
        let output = run(&["migrate"], "", &[("REJOINDER_DATABASE_URL", &url), ("REJOINDER_DATA_DIR", data)]);
        assert_eq!(output.status.code(), Some(1), "{url}");
        let said = said(&output);
        assert!(said.starts_with("error: "), "{url}: {said}");
        assert!(said.contains("Is ") || said.contains("data folder"), "{url}: {said}");
    }
}

#[test]
fn every_problem_of_a_configuration_is_named_at_once() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("rejoinder.toml");
    std::fs::write(&file, "listen = \"here\"\ncarrier = \"pigeon\"\ncolour = \"red\"\n").expect("written");
    let output = run(&["--config", file.to_str().expect("a path"), "serve"], "", &[("REJOINDER_SMTP_PORT", "x")]);
    let said = said(&output);
    for expected in ["`listen`", "pigeon", "`colour`", "smtp.port"] {
        assert!(said.contains(expected), "{expected}: {said}");
    }
}

#[test]
fn read_answers_each_line_in_order_and_goes_on_after_a_bad_one() {
    let input = "{\"channel\":\"email\",\"text\":\"Please take me off your list.\"}\nnot json\n\n{\"channel\":\"fax\",\"text\":\"a\"}\n{\"channel\":\"sms\",\"text\":\"\"}\n{\"channel\":\"email\",\"text\":\"What does it cost?\"}\n";
    let output = run(&["read"], input, &[]);
    assert_eq!(output.status.code(), Some(2), "bad lines show in the exit code");
    let lines: Vec<serde_json::Value> =
        String::from_utf8_lossy(&output.stdout).lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!(lines.len(), 5);
    assert_eq!(lines[0]["intent"], "unsubscribe");
    assert_eq!(lines[1]["line"], 2);
    assert_eq!(lines[2]["line"], 4);
    assert_eq!((&lines[3]["intent"], &lines[3]["unsure"]), (&"other".into(), &true.into()));
    assert_eq!(lines[4]["intent"], "simple_question");
    let probabilities = lines[4]["probabilities"].as_object().expect("an object");
    assert_eq!(probabilities.len(), 13);
    let sum: f64 = probabilities.values().filter_map(serde_json::Value::as_f64).sum();
    assert!((sum - 1.0).abs() < 0.01, "{sum}");
}

#[test]
fn a_plugin_is_checked_with_a_report_or_a_reason() {
    let built = root().join("plugins/built/high_value_accounts.wasm");
    let built = built.to_str().expect("a path");
    let output = run(
        &[
            "plugin",
            "check",
            built,
            "--set",
            "seats_min=40",
            "--set",
            "owner=priya@h.example",
            "--set",
            "annual_revenue_usd_min=1",
        ],
        "",
        &[],
    );
    let good = said(&output);
    assert!(output.status.success(), "{good}");
    assert!(good.contains("replies") && good.contains("hand off to priya@h.example"), "{good}");

    let folder = tempfile::tempdir().expect("a temporary folder");
    for (name, bytes, expected) in [
        ("text.wasm", b"hello".to_vec(), "WebAssembly"),
        ("module.wasm", vec![0, b'a', b's', b'm', 1, 0, 0, 0], "component"),
        ("cut.wasm", std::fs::read(built).expect("kept").into_iter().take(5000).collect(), "cut.wasm"),
    ] {
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).expect("written");
        let output = run(&["plugin", "check", path.to_str().expect("a path")], "", &[]);
        assert_eq!(output.status.code(), Some(1), "{name}");
        assert!(said(&output).contains(expected), "{name}: {}", said(&output));
    }
}

#[test]
fn help_names_every_command_and_every_setting() {
    let output = run(&["--help"], "", &[]);
    for command in ["serve", "demo", "migrate", "read", "plugin", "bench", "password"] {
        assert!(said(&output).contains(command), "{command}");
    }
    let output = run(&["serve", "--help"], "", &[]);
    for setting in ["REJOINDER_LISTEN", "REJOINDER_SMTP_HOST", "REJOINDER_LIMITS_PLUGIN_CALL_MS_MAX"] {
        assert!(said(&output).contains(setting), "{setting}");
    }
}

#[test]
fn the_demo_workspace_is_the_one_the_documentation_names() {
    assert_eq!(WORKSPACE, "harbourlight");
}

#[cfg(unix)]
#[test]
fn a_database_that_may_not_be_written_is_named_with_a_way_out() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().expect("a temporary folder");
    let data = folder.path().to_str().expect("a path").to_owned();
    let made = run(&["migrate"], "", &[("REJOINDER_DATA_DIR", &data)]);
    assert!(made.status.success(), "{}", said(&made));
    let set =
        |path: &Path, mode: u32| std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).expect("set");
    set(&folder.path().join("rejoinder.db"), 0o444);
    set(folder.path(), 0o555);
    // Root may write anywhere, so that somebody else has to try.
    let is_root = std::fs::write(folder.path().join("probe"), "").is_ok();
    let output = if is_root {
        let copy = tempfile::tempdir().expect("a temporary folder");
        set(copy.path(), 0o755);
        let binary = copy.path().join("rejoinder");
        std::fs::copy(BINARY, &binary).expect("copied");
        let mut command = Command::new("setpriv");
        command.args(["--reuid=65534", "--regid=65534", "--clear-groups", "--"]).arg(&binary).arg("migrate");
        command.env("REJOINDER_DATA_DIR", &data).output().expect("setpriv runs")
    } else {
        run(&["migrate"], "", &[("REJOINDER_DATA_DIR", &data)])
    };
    set(folder.path(), 0o755);
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    let said = said(&output);
    assert!(said.contains("may this user write") || said.contains("read-only"), "{said}");
}
