//! The webhook: who may post, what is taken, what is answered, and that nothing is lost or taken twice.

use crate::server::{Server, mail, sample};
use rejoinder::demo::WORKSPACE;
use rejoinder::web::hook::{SIGNATURE_HEADER, signature};

const ANA: &str = "ana.ruiz@cascadecold.example";

#[tokio::test(flavor = "multi_thread")]
async fn call_me_tuesday_pauses_every_enrollment_before_the_webhook_answers_and_reaches_a_person() {
    let server = Server::start().await;
    let active = "SELECT COUNT(*) FROM enrollments JOIN leads ON leads.id = lead_id WHERE state = 'active' AND leads.id IN (SELECT lead_id FROM arrivals)";
    let accepted = server.accepted(&sample("02-call-me-tuesday")).await;
    // No waiting: the pause is part of what 202 promises.
    assert_eq!(server.count(active).await, 0);
    assert_eq!(accepted["enrollments_paused"], 1);
    assert_eq!(accepted["matched_by"], "message it answers");
    let id = accepted["id"].as_str().expect("an id").to_owned();
    let line = server.decision(&id).await;
    assert_eq!(line.verdict, "hand_off");
    let page = server
        .running
        .engine
        .store
        .review_page(&server.workspace_id().await, &id)
        .await
        .expect("a page")
        .expect("found");
    assert!(
        page.call_back.as_deref().is_some_and(|quoted| quoted.contains("Call me Tuesday at 2")),
        "{:?}",
        page.call_back
    );
    assert_eq!(server.count(active).await, 0, "nothing goes on while a person has it");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reply_is_matched_by_message_then_token_then_sender() {
    let server = Server::start().await;
    for (name, lead, by) in [
        ("01-simple-question", "harbourlight.lead-ana-ruiz", "message it answers"),
        ("04-too-expensive", "", "message it answers"),
        ("06-interested", "", "sender"),
        ("07-wrong-person", "", "address token"),
    ] {
        let accepted = server.accepted(&sample(name)).await;
        assert_eq!(accepted["matched_by"], by, "{name}");
        assert!(accepted["lead"].as_str().is_some_and(|found| found.starts_with("harbourlight.lead-")), "{name}");
        if !lead.is_empty() {
            assert_eq!(accepted["lead"], lead, "{name}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_message_is_taken_once_however_often_it_is_delivered() {
    let server = Server::start().await;
    let raw = sample("01-simple-question");
    let first = server.accepted(&raw).await;
    let (second, third) = tokio::join!(server.accepted(&raw), server.accepted(&raw));
    for again in [second, third] {
        assert_eq!(again["status"], "duplicate");
        assert_eq!(again["id"], first["id"]);
    }
    server.decision(first["id"].as_str().expect("an id")).await;
    assert_eq!(server.count("SELECT COUNT(*) FROM arrivals").await, 1);
    assert_eq!(server.count("SELECT COUNT(*) FROM decisions").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn opt_out_words_act_before_the_webhook_answers() {
    let server = Server::start().await;
    let accepted = server.accepted(&sample("extra-stop")).await;
    assert_eq!(accepted["opted_out"], true);
    assert_eq!(server.count("SELECT COUNT(*) FROM leads WHERE stage = 'opted_out'").await, 1);
    assert_eq!(server.count("SELECT COUNT(*) FROM suppressions").await, 1);
    assert_eq!(server.count("SELECT COUNT(*) FROM enrollments WHERE state = 'ended'").await, 1);
    let line = server.decision(accepted["id"].as_str().expect("an id")).await;
    assert_eq!(line.verdict, "opt_out");
}

#[tokio::test(flavor = "multi_thread")]
async fn strangers_are_refused_with_a_word_about_what_to_send() {
    let server = Server::start().await;
    let raw = mail(ANA, "Re: docks", "Hello?", "stranger", "");
    let url = server.url(&format!("/hooks/{WORKSPACE}/email/raw"));
    let now_ms = server.running.engine.clock.now_ms();
    let post = |headers: Vec<(&'static str, String)>| {
        let mut request = server.http.post(&url).header("content-type", "message/rfc822").body(raw.clone());
        for (name, value) in headers {
            request = request.header(name, value);
        }
        request.send()
    };
    let secret = server.secrets.hook_secret.as_bytes();
    let mut changed = raw.clone();
    changed.push(b'x');
    for (headers, said) in [
        (vec![], "X-Rejoinder-Signature"),
        (vec![(SIGNATURE_HEADER, "nonsense".to_owned())], "t=SECONDS"),
        (vec![(SIGNATURE_HEADER, signature(b"wrong", now_ms, &raw))], "exact bytes"),
        (vec![(SIGNATURE_HEADER, signature(secret, now_ms, &changed))], "exact bytes"),
        (vec![(SIGNATURE_HEADER, signature(secret, now_ms - 600_000, &raw))], "5 minutes"),
        (vec![("authorization", "Bearer wrong".to_owned())], "API key"),
    ] {
        let response = post(headers).await.expect("an answer");
        assert_eq!(response.status().as_u16(), 401);
        let problem: serde_json::Value = response.json().await.expect("JSON");
        assert!(problem["detail"].as_str().is_some_and(|detail| detail.contains(said)), "{said}: {problem}");
    }
    assert_eq!(server.count("SELECT COUNT(*) FROM arrivals").await, 0);
    for name in ["authorization", "x-api-key"] {
        let key = &server.secrets.api_key;
        let value = if name == "authorization" { format!("Bearer {key}") } else { key.clone() };
        assert_eq!(post(vec![(name, value)]).await.expect("an answer").status().as_u16(), 202, "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_requests_get_an_exact_answer_and_the_server_lives_on() {
    let server =
        Server::start_with(&crate::server::starter().without_leads(), "[limits]\nmail_bytes_max = 20000\n").await;
    let large = mail(ANA, "Re: docks", &"long ".repeat(10_000), "large", "");
    let response = server.post(&large).await;
    assert_eq!(response.status().as_u16(), 413);
    let problem: serde_json::Value = response.json().await.expect("JSON");
    assert!(problem["detail"].as_str().is_some_and(|detail| detail.contains("20000 bytes")), "{problem}");

    assert_eq!(server.post(b"").await.status().as_u16(), 400);

    let signed = signature(server.secrets.hook_secret.as_bytes(), server.running.engine.clock.now_ms(), b"{}");
    let send = |path: &str, media_type: &'static str| {
        server
            .http
            .post(server.url(path))
            .header("content-type", media_type)
            .header(SIGNATURE_HEADER, &signed)
            .body("{}")
            .send()
    };
    let unknown = send("/hooks/nobody/email/raw", "message/rfc822").await.expect("an answer");
    assert_eq!(unknown.status().as_u16(), 404);
    let wrong_type = send(&format!("/hooks/{WORKSPACE}/email/raw"), "application/json").await.expect("an answer");
    assert_eq!(wrong_type.status().as_u16(), 415);
    let get = server.http.get(server.url(&format!("/hooks/{WORKSPACE}/email/raw"))).send().await.expect("an answer");
    assert_eq!(get.status().as_u16(), 405);
    assert_eq!(server.http.get(server.url("/readyz")).send().await.expect("an answer").status().as_u16(), 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_read_or_matched_is_stored_and_goes_to_a_person() {
    let server = Server::start().await;
    let no_sender = b"Subject: hm\r\n\r\nWho am I?\r\n".to_vec();
    let noise: Vec<u8> = (0..4000u32).map(|n| u8::try_from(n * 7919 % 251).expect("small")).collect();
    let unknown = sample("extra-unknown-sender");
    for (what, raw) in [("no sender", no_sender), ("noise", noise), ("unknown sender", unknown)] {
        let (id, line) = server.decided(&raw).await;
        assert_eq!(line.verdict, "hand_off", "{what}");
        assert!(!line.reasons.is_empty(), "{what}");
        let page = server.running.engine.store.review_page(&server.workspace_id().await, &id).await.expect("a page");
        assert!(page.is_some_and(|page| page.lead.is_none()), "{what} is shown to a person");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mail_that_cannot_be_taken_apart_still_pauses_its_lead_and_its_stop_counts() {
    let server = Server::start().await;
    let thread = "In-Reply-To: <send.enrollment.harbourlight.lead-ana-ruiz.intro.1@harbourlight.example>";
    let raw = format!("Message-ID: <odd@x.example>\r\n{thread}\r\nSubject: Re: docks\r\n\r\nUNSUBSCRIBE\r\n");
    let accepted = server.accepted(raw.as_bytes()).await;
    assert_eq!(accepted["lead"], "harbourlight.lead-ana-ruiz");
    assert_eq!((accepted["enrollments_paused"].as_u64(), accepted["opted_out"].as_bool()), (Some(1), Some(true)));
    assert_eq!(server.count("SELECT COUNT(*) FROM leads WHERE stage = 'opted_out'").await, 1);

    let parts = "Content-Type: text/plain\r\n".repeat(600);
    let thread = thread.replace("ana-ruiz", "marcus-webb");
    let raw = format!("Message-ID: <odd2@x.example>\r\nFrom: {ANA}\r\n{thread}\r\n\r\nCall me.\r\n\r\n{parts}");
    let (id, line) = server.decided(raw.as_bytes()).await;
    assert_eq!(line.verdict, "hand_off");
    let paused =
        "SELECT COUNT(*) FROM enrollments WHERE state = 'paused' AND lead_id = 'harbourlight.lead-marcus-webb'";
    assert_eq!(server.count(paused).await, 1);
    let page = server.running.engine.store.review_page(&server.workspace_id().await, &id).await.expect("a page");
    assert!(page.is_some_and(|page| page.item.reason.contains("MIME parts")), "the person is told why");
}

#[tokio::test(flavor = "multi_thread")]
async fn another_mail_under_a_used_id_is_not_lost() {
    let server = Server::start().await;
    let first = server.accepted(&mail(ANA, "Re: docks", "Does it speak German?", "one-id", "")).await;
    let second = server.accepted(&mail(ANA, "Re: docks", "STOP", "one-id", "")).await;
    assert_eq!((first["status"].as_str(), second["status"].as_str()), (Some("accepted"), Some("accepted")));
    assert_eq!(second["opted_out"], true);
    assert_eq!(server.count("SELECT COUNT(*) FROM arrivals").await, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_replies_of_one_lead_are_decided_in_order_and_both() {
    let server = Server::start().await;
    let mut ids = vec![];
    for number in 0..4 {
        let raw = mail(ANA, "Re: docks", "Thanks, noted.", &format!("row-{number}"), "");
        ids.push(server.accepted(&raw).await["id"].as_str().expect("an id").to_owned());
    }
    let mut decided = vec![];
    for id in &ids {
        decided.push(server.decision(id).await.decided_ms);
    }
    assert!(decided.is_sorted(), "{decided:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_locked_database_is_answered_503_and_the_same_message_is_taken_afterwards() {
    use sqlx::Connection as _;
    let server = Server::start_with(&crate::server::starter().without_leads(), "").await;
    let database = server.folder.path().join("data/rejoinder.db");
    let url = format!("sqlite:{}", database.display());
    let mut other = sqlx::SqliteConnection::connect(&url).await.expect("another process");
    sqlx::query("BEGIN IMMEDIATE").execute(&mut other).await.expect("it locks the file");
    let raw = mail(ANA, "Re: docks", "Hello?", "while-locked", "");
    let refused = server.post(&raw).await;
    assert_eq!(refused.status().as_u16(), 503);
    assert!(refused.headers().contains_key("retry-after"));
    sqlx::query("ROLLBACK").execute(&mut other).await.expect("it lets go");
    let accepted = server.accepted(&raw).await;
    assert_eq!(accepted["status"], "accepted", "nothing of the refused one was kept");
    server.decision(accepted["id"].as_str().expect("an id")).await;
}
