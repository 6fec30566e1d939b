//! A reviewer's work in a real Chromium, with JavaScript switched off: sign in, read, edit, approve, reject.
//! It must never talk to the server but through the page.

use crate::program::free_port;
use crate::server::{Server, sample};
use fantoccini::{Client, ClientBuilder, Locator};
use serde_json::json;
use std::path::Path;
use std::process::{Child, Command, Stdio};

struct Browser {
    driver: Child,
    client: Client,
    _profile: tempfile::TempDir,
}

impl Browser {
    /// `None` where `./test` found no Chromium and has said so.
    async fn start(dark: bool) -> Option<Browser> {
        let Some(driver_path) = std::env::var_os("REJOINDER_TEST_CHROMEDRIVER") else {
            eprintln!("left out: no Chromium with its driver; run ./test, which gets it where it can");
            return None;
        };
        let port = free_port();
        let driver = Command::new(driver_path)
            .arg(format!("--port={port}"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("chromedriver starts");
        let profile = tempfile::tempdir().expect("a profile");
        let mut arguments = vec![
            "--headless".to_owned(),
            "--no-sandbox".to_owned(),
            "--disable-gpu".to_owned(),
            "--disable-quic".to_owned(),
            "--no-first-run".to_owned(),
            "--disable-background-networking".to_owned(),
            "--disable-component-update".to_owned(),
            "--disable-sync".to_owned(),
            "--disable-dev-shm-usage".to_owned(),
            "--window-size=1280,1000".to_owned(),
            format!("--user-data-dir={}", profile.path().display()),
        ];
        if dark {
            arguments.push("--blink-settings=preferredColorScheme=0".to_owned());
        }
        let no_javascript = json!({ "profile.managed_default_content_settings.javascript": 2 });
        let options = json!({ "goog:chromeOptions": { "args": arguments, "prefs": no_javascript } });
        let capabilities = options.as_object().expect("an object").clone();
        let client = crate::server::until("the browser is ready", || async {
            ClientBuilder::new(hyper_connector())
                .capabilities(capabilities.clone())
                .connect(&format!("http://127.0.0.1:{port}"))
                .await
                .ok()
        })
        .await;
        Some(Browser { driver, client, _profile: profile })
    }

    async fn sign_in(&self, server: &Server) {
        self.client.goto(&server.url("/review")).await.expect("a page");
        self.fill("input[name=name]", &server.secrets.user_name).await;
        self.fill("input[name=password]", &server.secrets.password).await;
        self.click("main form button").await;
    }

    async fn fill(&self, css: &str, text: &str) {
        let field = self.client.find(Locator::Css(css)).await.expect("the field is there");
        field.clear().await.expect("it can be cleared");
        field.send_keys(text).await.expect("it takes text");
    }

    async fn click(&self, css: &str) {
        self.client.find(Locator::Css(css)).await.expect("it is there").click().await.expect("it can be clicked");
    }

    async fn text(&self) -> String {
        self.client.find(Locator::Css("body")).await.expect("a page").text().await.expect("text")
    }

    /// Keeps a picture where `REJOINDER_TEST_SCREENSHOTS` says.
    async fn picture(&self, name: &str) {
        if let Some(folder) = std::env::var_os("REJOINDER_TEST_SCREENSHOTS") {
            std::fs::create_dir_all(&folder).expect("a folder");
            let png = self.client.screenshot().await.expect("a picture");
            std::fs::write(Path::new(&folder).join(format!("{name}.png")), png).expect("written");
        }
    }

    async fn close(mut self) {
        let _ = self.client.clone().close().await;
        let _ = self.driver.kill();
        let _ = self.driver.wait();
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = self.driver.kill();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reviewer_works_through_the_queue_without_javascript() {
    for dark in [false, true] {
        let Some(browser) = Browser::start(dark).await else { return };
        let theme = if dark { "dark" } else { "light" };
        let server = Server::start().await;
        let (question, _) = server.decided(&sample("01-simple-question")).await;
        for (name, _) in rejoinder::demo::REPLIES {
            server.decided(&sample(name)).await;
        }
        browser.client.goto(&server.url("/review")).await.expect("a page");
        browser.picture(&format!("sign-in-{theme}")).await;
        browser.sign_in(&server).await;
        browser.picture(&format!("queue-{theme}")).await;

        browser.client.goto(&server.url(&format!("/review/{question}"))).await.expect("a page");
        let text = browser.text().await;
        assert!(text.contains("Ana Ruiz"), "{text}");
        browser.picture(&format!("review-{theme}")).await;
        let field = browser.client.find(Locator::Css("textarea[name=body]")).await.expect("the draft");
        // By keyboard: Tab leaves the text for the button, Enter presses it.
        field.send_keys("\n\nPS: written by hand.\t").await.expect("it takes text");
        let button = browser.client.active_element().await.expect("the next field");
        assert_eq!(button.text().await.expect("text"), "Approve and send");
        button.send_keys("\u{E007}").await.expect("it can be pressed");
        server
            .until("the edited answer has left", || async {
                let sent = "SELECT COUNT(*) FROM sends WHERE enrollment_id IS NULL AND state = 'sent'";
                (server.count(sent).await == 1).then_some(())
            })
            .await;
        let (_, mail) = server.outbox().into_iter().find(|(name, _)| name.starts_with("reply.")).expect("the answer");
        assert!(mail.contains("PS: written by hand."), "{mail}");
        assert_eq!(server.count("SELECT COUNT(*) FROM reviews WHERE state = 'edited'").await, 1);
        browser.client.goto(&server.url(&format!("/review/{question}"))).await.expect("a page");
        browser.picture(&format!("settled-{theme}")).await;

        browser.client.goto(&server.url("/review?show=reviews")).await.expect("a page");
        browser.click("a[href^='/review/']:not([href='/review'])").await;
        browser.client.set_window_size(390, 844).await.expect("a phone's size");
        browser.picture(&format!("phone-{theme}")).await;
        browser.close().await;
    }
}

fn hyper_connector() -> hyper_util::client::legacy::connect::HttpConnector {
    hyper_util::client::legacy::connect::HttpConnector::new()
}
