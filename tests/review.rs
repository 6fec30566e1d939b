//! The review pages over HTTP: sign-in, approve, edit, reject, settle, and who may not.

use crate::server::{Server, sample};

const DRAFTS: &str = "SELECT COUNT(*) FROM sends WHERE enrollment_id IS NULL AND state = 'sent'";

#[tokio::test(flavor = "multi_thread")]
async fn an_edited_answer_leaves_in_the_thread_of_the_lead_exactly_once() {
    let server = Server::start().await;
    let (id, _) = server.decided(&sample("01-simple-question")).await;
    let admin = server.signed_in().await;
    let form = [("body", "Hi Ana,\r\n\r\nyes, it does.\r\n\r\nMaya")];
    let approve = || admin.post(server.url(&format!("/review/{id}/approve"))).form(&form).send();
    let (first, second) = tokio::join!(approve(), approve());
    let mut statuses = [first.expect("an answer").status().as_u16(), second.expect("an answer").status().as_u16()];
    statuses.sort_unstable();
    assert_eq!(statuses, [303, 409], "the second is told");
    server.until("the answer has left", || async { (server.count(DRAFTS).await == 1).then_some(()) }).await;
    let answers: Vec<(String, String)> =
        server.outbox().into_iter().filter(|(name, _)| name.starts_with("reply.")).collect();
    assert_eq!(answers.len(), 1);
    let mail = answers[0].1.replace("\r\n ", " ");
    for expected in [
        "To: \"Ana Ruiz\" <ana.ruiz@cascadecold.example>",
        "In-Reply-To: <",
        "References: <send.enrollment.harbourlight.lead-ana-ruiz.intro.1@harbourlight.example>",
        "List-Unsubscribe-Post: List-Unsubscribe=One-Click",
        "yes, it does.",
    ] {
        assert!(mail.contains(expected), "{expected} in {mail}");
    }
    assert_eq!(server.count("SELECT COUNT(*) FROM reviews WHERE state = 'edited'").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rejection_needs_a_reason_and_sends_nothing() {
    let server = Server::start().await;
    let (id, _) = server.decided(&sample("01-simple-question")).await;
    let admin = server.signed_in().await;
    let reject = async |form: &[(&str, &str)]| {
        admin
            .post(server.url(&format!("/review/{id}/reject")))
            .form(form)
            .send()
            .await
            .expect("an answer")
            .status()
            .as_u16()
    };
    assert_ne!(reject(&[]).await, 303);
    assert_eq!(server.count("SELECT COUNT(*) FROM reviews WHERE state = 'open'").await, 1);
    assert_eq!(reject(&[("reason", "wrong facts"), ("more", "")]).await, 303);
    let handed = "SELECT COUNT(*) FROM reviews WHERE state = 'open' AND kind = 'hand_off' AND draft IS NULL";
    assert_eq!(server.count(handed).await, 1, "the lead still waits for an answer, so a person has it now");
    assert_eq!(server.count("SELECT COUNT(*) FROM leads WHERE owner IS NOT NULL").await, 1);
    let page = admin.get(server.url(&format!("/review/{id}?notice=rejected&of={id}"))).send().await.expect("an answer");
    let html = page.text().await.expect("a page");
    assert!(html.contains("is a hand-off now") && html.contains("rejected the draft: wrong facts"), "{html}");

    let (id, _) = server.decided(&sample("06-interested")).await;
    let form = [("reason", "should not answer"), ("more", "")];
    let rejected = admin.post(server.url(&format!("/review/{id}/reject"))).form(&form).send().await;
    assert_eq!(rejected.expect("an answer").status().as_u16(), 303);
    assert_eq!(server.count("SELECT COUNT(*) FROM reviews WHERE state = 'rejected' AND note IS NOT NULL").await, 1);
    assert_eq!(server.count("SELECT COUNT(*) FROM enrollments WHERE state = 'ended'").await, 1);
    assert_eq!(server.count("SELECT COUNT(*) FROM sends WHERE enrollment_id IS NULL").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hand_off_is_settled_with_a_note() {
    let server = Server::start().await;
    let (id, _) = server.decided(&sample("08-complaint")).await;
    let admin = server.signed_in().await;
    let response =
        admin.post(server.url(&format!("/review/{id}/settle"))).form(&[("note", "called and apologised")]).send().await;
    assert_eq!(response.expect("an answer").status().as_u16(), 303);
    assert_eq!(server.count("SELECT COUNT(*) FROM reviews WHERE state = 'settled'").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_acts_without_signing_in_or_from_another_site() {
    let server = Server::start().await;
    let (id, _) = server.decided(&sample("01-simple-question")).await;
    let path = format!("/review/{id}");
    let stranger = server.http.get(server.url(&path)).send().await.expect("an answer");
    assert_eq!(stranger.status().as_u16(), 303);
    assert!(stranger.headers()["location"].to_str().expect("ASCII").starts_with("/sign-in"));
    let wrong = [("name", "admin"), ("password", "wrong password")];
    let refused = server.http.post(server.url("/sign-in")).form(&wrong).send().await.expect("an answer");
    assert!(refused.headers().get("set-cookie").is_none());

    let admin = server.signed_in().await;
    for (header, value) in [("sec-fetch-site", "cross-site"), ("origin", "https://evil.example")] {
        let forged = admin
            .post(server.url(&format!("{path}/approve")))
            .header(header, value)
            .form(&[("body", "x")])
            .send()
            .await;
        assert_eq!(forged.expect("an answer").status().as_u16(), 403, "{header}");
    }
    assert_eq!(server.count("SELECT COUNT(*) FROM reviews WHERE state = 'open'").await, 1);
    let missing =
        admin.get(server.url("/review/0190aaaa-0000-7000-8000-000000000000")).send().await.expect("an answer");
    assert_eq!(missing.status().as_u16(), 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn guessing_a_password_is_locked_out() {
    let server = Server::start().await;
    let wrong = [("name", "admin"), ("password", "wrong password")];
    let mut last = String::new();
    for _ in 0..6 {
        let response = server.http.post(server.url("/sign-in")).form(&wrong).send().await.expect("an answer");
        last = response.text().await.expect("a page");
    }
    assert!(last.contains("Too many wrong passwords"), "{last}");
    let right = [("name", "admin"), ("password", server.secrets.password.as_str())];
    let locked = server.http.post(server.url("/sign-in")).form(&right).send().await.expect("an answer");
    assert!(locked.headers().get("set-cookie").is_none(), "locked for everybody for a while");
}

#[tokio::test(flavor = "multi_thread")]
async fn guessing_many_at_once_gets_no_more_guesses() {
    let server = Server::start().await;
    let mut guessing = tokio::task::JoinSet::new();
    for number in 0..12 {
        let request = server.http.post(server.url("/sign-in"));
        let password = format!("wrong password {number}");
        guessing.spawn(async move {
            let form = [("name", "admin"), ("password", password.as_str())];
            request.form(&form).send().await.expect("an answer").text().await.expect("a page")
        });
    }
    let answers = guessing.join_all().await;
    let locked_out = answers.iter().filter(|page| page.contains("Too many wrong passwords")).count();
    assert_eq!(locked_out, 12 - 5, "five guesses, however many are made at once");
}

#[tokio::test(flavor = "multi_thread")]
async fn hostile_text_is_shown_as_text_and_pages_forbid_scripts() {
    let server = Server::start().await;
    let raw = crate::server::mail(
        "ana.ruiz@cascadecold.example",
        "<script>alert(1)</script>",
        "Does it work with SAP? <img src=x onerror=alert(1)>",
        "hostile-text",
        "",
    );
    let (id, _) = server.decided(&raw).await;
    let admin = server.signed_in().await;
    let response = admin.get(server.url(&format!("/review/{id}"))).send().await.expect("an answer");
    let policy = response.headers()["content-security-policy"].to_str().expect("ASCII").to_owned();
    assert!(policy.contains("default-src 'none'"), "{policy}");
    let html = response.text().await.expect("a page");
    assert!(!html.contains("<script") && !html.contains("<img src=x"), "{html}");
    assert!(html.contains("&lt;img") || html.contains("&#60;img"), "{html}");
}
