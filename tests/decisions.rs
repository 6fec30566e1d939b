//! The sample replies through the whole chain, and the plugin's say in it.

use crate::server::{Server, root, sample, starter};
use rejoinder_playbook::reading::Intent;

/// The verdicts that `tests/data/replies/README.md` promises.
const PROMISED: [(&str, &str); 10] = [
    ("01-simple-question", "review"),
    ("02-call-me-tuesday", "hand_off"),
    ("03-unsubscribe-in-prose", "opt_out"),
    ("04-too-expensive", "hand_off"),
    ("05-out-of-office", "wait"),
    ("06-interested", "review"),
    ("07-wrong-person", "hand_off"),
    ("08-complaint", "hand_off"),
    ("09-high-value-question", "hand_off"),
    ("10-not-now", "review"),
];

#[tokio::test(flavor = "multi_thread")]
async fn the_ten_sample_replies_end_where_their_table_says() {
    let server = Server::start().await;
    let mut wrong = vec![];
    for (name, verdict) in PROMISED {
        let (_, line) = server.decided(&sample(name)).await;
        if line.verdict != verdict {
            wrong.push(format!("{name}: {} instead of {verdict}: {:?}", line.verdict, line.reasons));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_draft_cites_the_passage_that_answers_and_says_nothing_else() {
    let server = Server::start().await;
    let (id, _) = server.decided(&sample("01-simple-question")).await;
    let page = server
        .running
        .engine
        .store
        .review_page(&server.workspace_id().await, &id)
        .await
        .expect("a page")
        .expect("found");
    let draft = page.draft.expect("a draft");
    let cited: Vec<&str> = draft
        .sentences
        .iter()
        .filter_map(|sentence| {
            let passage = page.passages.get(sentence.passage?)?;
            assert!(passage.body.contains(&sentence.text), "“{}” stands in “{}”", sentence.text, passage.body);
            Some(passage.body.as_str())
        })
        .collect();
    assert!(!cited.is_empty());
    assert!(draft.body.starts_with("Hi Ana,"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_plugin_turns_a_draft_into_a_hand_off_to_its_owner() {
    let raw = sample("09-high-value-question");
    let with = Server::start().await;
    let (_, line) = with.decided(&raw).await;
    assert_eq!((line.verdict.as_str(), line.owner.as_deref()), ("hand_off", Some("priya@harbourlight.example")));
    assert!(line.reasons.iter().any(|reason| reason.contains("high_value_accounts")), "{:?}", line.reasons);

    let mut folder = starter();
    folder.plugin = None;
    let without = Server::start_with(&folder, "").await;
    let (_, line) = without.decided(&raw).await;
    assert_eq!(line.verdict, "review", "{:?}", line.reasons);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plugin_that_loops_or_traps_ends_at_a_person_and_the_server_lives_on() {
    let hostile = std::fs::read(root().join("plugins/built/hostile.wasm")).expect("the hostile guest is kept");
    for attack in ["loop", "trap", "memory", "recursion", "huge-result", "log-flood"] {
        let mut folder = starter();
        folder.plugin = Some(format!("plugin = \"hostile\"\n[settings]\nattack = \"{attack}\"\n"));
        folder.components.insert("hostile".to_owned(), hostile.clone());
        let server = Server::start_with(&folder, "").await;
        let (_, line) = server.decided(&sample("01-simple-question")).await;
        assert_eq!(line.verdict, "hand_off", "{attack}");
        assert!(line.reasons.iter().any(|reason| reason.contains("gave no ruling")), "{attack}: {:?}", line.reasons);
        if attack == "loop" {
            assert!(line.reasons.iter().any(|reason| reason.contains("was stopped")), "{:?}", line.reasons);
        }
        assert_eq!(server.http.get(server.url("/livez")).send().await.expect("an answer").status().as_u16(), 200);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn instructions_to_the_machine_change_nothing() {
    let server = Server::start().await;
    let (id, _) = server.decided(&sample("extra-injection")).await;
    let page = server
        .running
        .engine
        .store
        .review_page(&server.workspace_id().await, &id)
        .await
        .expect("a page")
        .expect("found");
    let draft = page.draft.map(|draft| draft.body).unwrap_or_default();
    assert!(!draft.contains("90") && !draft.contains("discount"), "{draft}");
    assert!(matches!(
        page.item.kind,
        rejoinder::store::queue::ReviewKind::Review | rejoinder::store::queue::ReviewKind::HandOff
    ));
    assert_eq!(
        server.count("SELECT COUNT(*) FROM sends WHERE enrollment_id IS NULL").await,
        0,
        "nothing leaves by itself"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_auto_reply_waits_for_its_day() {
    let server = Server::start().await;
    server.decided(&sample("05-out-of-office")).await;
    let waiting = "SELECT COUNT(*) FROM enrollments WHERE state = 'paused' AND due_ms IS NOT NULL";
    assert_eq!(server.count(waiting).await, 1);
    let day = 24 * 60 * 60 * 1000;
    let due_ms = server.count("SELECT due_ms FROM enrollments WHERE state = 'paused' AND due_ms IS NOT NULL").await;
    let from_now_ms = due_ms - server.running.engine.clock.now_ms();
    assert!((6 * day..=7 * day).contains(&from_now_ms), "in 7 days: {from_now_ms} ms");

    // The day has come: the sequence goes on with its second e-mail, by itself.
    server.change("UPDATE enrollments SET due_ms = 1 WHERE state = 'paused' AND due_ms IS NOT NULL").await;
    let second = "SELECT COUNT(*) FROM sends WHERE step = 2 AND state = 'sent'";
    // Any decision wakes the loop that looks what is due; without one it looks once a minute.
    server.decided(&sample("03-unsubscribe-in-prose")).await;
    server.until("the second e-mail has left", || async { (server.count(second).await == 1).then_some(()) }).await;
    assert_eq!(server.count(waiting).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_prose_opt_out_ends_everything_for_this_lead() {
    let server = Server::start().await;
    let (_, line) = server.decided(&sample("03-unsubscribe-in-prose")).await;
    assert!(line.intent == Some(Intent::Unsubscribe) || line.reasons.iter().any(|reason| reason.contains("opt-out")));
    assert_eq!(server.count("SELECT COUNT(*) FROM leads WHERE stage = 'opted_out'").await, 1);
    assert_eq!(server.count("SELECT COUNT(*) FROM enrollments WHERE state = 'ended'").await, 1);
}

/// Plain questions over the starter playbook, and words of the sentence that answers each.
const ANSWERS: [(&str, &str); 16] = [
    ("Does Harbourlight have an integration for Manhattan Active?", "six warehouse management systems"),
    ("Does it work with SAP?", "SAP Extended Warehouse Management"),
    ("Which languages does the driver check-in speak?", "11 languages"),
    ("Where is our data stored?", "European Union"),
    ("Do drivers need to install an app?", "no driver needs an app"),
    ("Can we use single sign-on with Okta?", "Okta"),
    ("Is there an API?", "REST API"),
    ("Do carriers have to pay for it?", "for free"),
    ("Do you support EDI?", "EDI"),
    ("Does it run on tablets, or do we need special hardware?", "special hardware"),
    ("Can a carrier cancel an appointment?", "cancel an appointment"),
    ("Which certificates do you hold?", "ISO"),
    ("How long does onboarding take?", "weeks"),
    ("Is there a free trial?", "trial"),
    ("What does it cost per month?", "$"),
    ("Does it send alerts to Slack?", "Slack"),
];

#[tokio::test(flavor = "multi_thread")]
async fn plain_questions_find_the_sentence_that_answers_them() {
    let server = Server::start().await;
    let workspace_id = server.workspace_id().await;
    let mut wrong = vec![];
    for (number, (question, answer)) in ANSWERS.iter().enumerate() {
        let from = format!("From: <{}>", rejoinder::bench::LEADS[number]);
        let body = format!("{question}\r\n\r\nThanks\r\n");
        let raw = format!(
            "{from}\r\nTo: maya@harbourlight.example\r\nSubject: Re: docks\r\nMessage-ID: <q{number}@mail.test>\r\n\r\n{body}"
        );
        let (id, _) = server.decided(raw.as_bytes()).await;
        let page = server.running.engine.store.review_page(&workspace_id, &id).await.expect("a page").expect("found");
        let body = page.draft.map(|draft| draft.body).unwrap_or_default();
        if !body.contains(answer) {
            wrong.push(format!("“{question}” ({:?}) got: {body}", page.reading.map(|reading| reading.intent)));
        }
    }
    // Those that the reader takes for something else get no draft here; at least three in four are answered.
    assert!(wrong.len() <= ANSWERS.len() / 4, "{wrong:#?}");
}
