//! The examples in the documentation, run as they stand there.
//! It must never run an example that differs from the text a reader copies.

use crate::server::{Server, mail, root};
use rejoinder::demo::WORKSPACE;
use std::process::Command;

/// The fenced blocks of one language in a document.
fn blocks(document: &str, language: &str) -> Vec<String> {
    let text = std::fs::read_to_string(root().join(document)).expect("the document");
    let fence = format!("```{language}\n");
    text.split(&fence).skip(1).filter_map(|rest| rest.split("\n```").next()).map(str::to_owned).collect()
}

async fn run_example(interpreter: &str, flag: &str, script: String, what: &str) {
    let server = Server::start().await;
    let folder = tempfile::tempdir().expect("a temporary folder");
    let raw = mail("ana.ruiz@cascadecold.example", "Re: docks", "Do you have a Spanish version?", what, "");
    std::fs::write(folder.path().join("reply.eml"), raw).expect("written");
    let url = server.url(&format!("/hooks/{WORKSPACE}/email/raw"));
    let secret = server.secrets.hook_secret.clone();
    let (interpreter, flag, place) = (interpreter.to_owned(), flag.to_owned(), folder.path().to_path_buf());
    let output = tokio::task::spawn_blocking(move || {
        let mut command = Command::new(interpreter);
        command.arg(flag).arg(script).current_dir(place);
        command.env("WEBHOOK_URL", url).env("WEBHOOK_SECRET", secret).output().expect("it runs")
    })
    .await
    .expect("it ends");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(said.contains("\"status\":\"accepted\""), "{said}{}", String::from_utf8_lossy(&output.stderr));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_shell_example_of_the_webhook_works_as_it_stands() {
    let example =
        blocks("docs/webhooks.md", "sh").into_iter().find(|block| block.contains("openssl")).expect("an example");
    run_example("sh", "-ec", example, "shell-example").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_node_example_of_the_webhook_works_as_it_stands() {
    if std::env::var_os("REJOINDER_TEST_NODE").is_none() {
        eprintln!("left out: no Node.js; run ./test, which gets it where it can");
        return;
    }
    let example = blocks("docs/webhooks.md", "js").into_iter().next().expect("an example");
    run_example("node", "-e", example, "node-example").await;
}

#[test]
fn every_file_the_readme_links_to_is_there() {
    let text = std::fs::read_to_string(root().join("README.md")).expect("the README");
    let links: Vec<&str> = text.split("](").skip(1).filter_map(|rest| rest.split(')').next()).collect();
    assert!(links.len() > 5);
    for link in links.into_iter().filter(|link| !link.starts_with("http") && !link.starts_with('#')) {
        let path = link.split('#').next().unwrap_or_default();
        assert!(root().join(path).exists(), "the README links to {path}, which is not there");
    }
}
