//! The conformance suite: what the store promises, on every engine.
//! It must never ask an engine by name.

use crate::postgres::engines;
use rejoinder::store::Store;
use rejoinder::store::arrived::Claimed;
use rejoinder::store::decision::Decided;
use rejoinder::store::document::{NewDocument, NewPassage};
use rejoinder::store::enrollment::{NewEnrollment, NewSequence};
use rejoinder::store::outbox::{CommitOutcome, NewSend};
use rejoinder::store::plugin::NewPlugin;
use rejoinder::store::queue::{QueueFilter, ReviewKind};
use rejoinder::store::send_outcome::{Care, SendOutcome};
use rejoinder::store::settlement::{Settled, Settlement};
use rejoinder::store::view::{About, ReviewState};
use rejoinder::store::workspace::{HookKeyKind, Workspace};
use rejoinder_playbook::address::EmailAddress;
use rejoinder_playbook::draft::{Draft, DraftSentence, Support};
use rejoinder_playbook::effect::{Decision, Effect, Reason, Verdict};
use rejoinder_playbook::lead::{Lead, Stage};
use rejoinder_playbook::permit::{Refusal, may_send};
use rejoinder_playbook::playbook::Caps;
use rejoinder_playbook::reading::Channel;
use rejoinder_playbook::reply::Reply;
use serde_json::json;
use std::collections::BTreeMap;

const NOW: i64 = 1_800_000_000_000;
const DAY_MS: i64 = 86_400_000;
const CAPS: Caps = Caps { emails_per_7_days_max: 2 };
const PLAYBOOK: &str = include_str!("../playbook/default/playbook.toml");
const SEQUENCE: &str = include_str!("../playbook/default/sequences/intro.toml");

fn lead(id: &str) -> Lead {
    Lead {
        id: id.to_owned(),
        email: EmailAddress::parse(&format!("{id}@lead.example")).expect("an address"),
        first_name: "Ana".to_owned(),
        last_name: "Ruiz".to_owned(),
        company: "Cascade".to_owned(),
        time_zone: "America/Chicago".to_owned(),
        stage: Stage::Cold,
        owner: None,
        fields: BTreeMap::from([("industry".to_owned(), "cold storage".to_owned())]),
    }
}

fn reply(id: &str, from: &str) -> Reply {
    Reply {
        channel: Channel::Email,
        provider_id: id.to_owned(),
        from: EmailAddress::parse(from).ok(),
        from_name: None,
        subject: "Re: docks".to_owned(),
        body_text: "Yes".to_owned(),
        new_text: "Yes".to_owned(),
        removed: vec![],
        message_id: Some(format!("{id}@lead.example")),
        answers: vec![],
        plus_token: None,
        machine: None,
        opt_out: None,
        unreadable: None,
    }
}

fn send(lead_id: &str, key: &str, enrollment: Option<(&str, i64)>) -> NewSend {
    NewSend {
        id: format!("id-{key}"),
        workspace_id: "w".to_owned(),
        lead_id: lead_id.to_owned(),
        enrollment_id: enrollment.map(|(id, _)| id.to_owned()),
        step: enrollment.map(|(_, step)| step),
        send_key: key.to_owned(),
        message_id: format!("{}@harbourlight.example", key.replace('/', ".")),
        reply_token: key.replace('/', "."),
        to_address: format!("{lead_id}@lead.example"),
        subject: "Docks".to_owned(),
        body: "Hello".to_owned(),
        bytes: b"Subject: Docks\r\n\r\nHello\r\n".to_vec(),
        due_ms: NOW,
    }
}

/// A workspace with two leads that are enrolled.
async fn fill(store: &Store) {
    let workspace = Workspace {
        id: "w".to_owned(),
        slug: "w".to_owned(),
        name: "W".to_owned(),
        playbook_toml: PLAYBOOK.to_owned(),
        playbook_version: 1,
        link_secret: vec![1, 2, 3],
    };
    assert!(store.create_workspace(&workspace, NOW).await.expect("created"));
    assert!(!store.create_workspace(&Workspace { id: "x".to_owned(), ..workspace }, NOW).await.expect("there already"));
    assert_eq!(store.add_leads("w", &[lead("lead-a"), lead("lead-b")], NOW).await.expect("added"), 2);
    let sequence =
        NewSequence { id: "s".to_owned(), name: "Intro".to_owned(), version: 1, body_toml: SEQUENCE.to_owned() };
    let enroll = |lead: &str| NewEnrollment {
        id: format!("enrollment.{lead}.intro"),
        lead_id: lead.to_owned(),
        sequence_id: "s".to_owned(),
        due_ms: NOW,
    };
    let enrollments = [enroll("lead-a"), enroll("lead-b")];
    assert_eq!(store.start_sequence("w", &sequence, &enrollments, NOW).await.expect("enrolled"), Some(2));
    assert_eq!(store.start_sequence("w", &sequence, &enrollments, NOW).await.expect("enrolled"), Some(0), "once only");
    let changed = NewSequence { body_toml: format!("{SEQUENCE}# changed\n"), ..sequence };
    assert_eq!(store.start_sequence("w", &changed, &[], NOW).await.expect("answered"), None, "changed, same version");
}

async fn accept(store: &Store, id: &str, reply: &Reply) -> rejoinder::store::arrived::Accepted {
    store.accept("w", b"raw", reply, id, NOW).await.expect("stored")
}

async fn claim_one(store: &Store) -> Claimed {
    let mut claimed = store.claim_arrivals(NOW, 1000, 10).await.expect("claimed");
    assert_eq!(claimed.len(), 1);
    claimed.pop().expect("one")
}

fn decision(verdict: Verdict, effects: Vec<Effect>) -> Decision {
    let reasons = vec![Reason { rule: "r".to_owned(), words: "because".to_owned() }];
    Decision { verdict, reasons, effects }
}

async fn commit(store: &Store, claimed: &Claimed, decision: &Decision, draft: Option<&Draft>) -> bool {
    let facts = store.arrival_facts(&claimed.id).await.expect("facts").expect("stored");
    let made_from = json!({ "passages": [{ "id": "p1", "score": 0.5 }] });
    let decided = Decided {
        claimed,
        lead: facts.lead.as_ref(),
        reply: &facts.reply,
        decision,
        draft,
        reading: None,
        rulings: &[],
        facts: &made_from,
        playbook_version: facts.playbook_version,
        now_ms: NOW,
    };
    store.commit_decision(&decided).await.expect("committed or not")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reply_is_stored_once_matched_four_ways_and_pauses_its_lead() {
    for engine in engines().await {
        let (store, name) = (&engine.store, engine.name);
        fill(store).await;
        let due = store.due_enrollments(NOW, 10).await.expect("due");
        assert_eq!(due.len(), 2, "{name}");
        let first = send("lead-a", "send/enrollment.lead-a.intro/1", Some(("enrollment.lead-a.intro", 1)));
        assert!(store.plan_step(&due[0], &first, Some(NOW + DAY_MS), NOW).await.expect("planned"), "{name}");
        assert!(
            !store.plan_step(&due[0], &first, Some(NOW + DAY_MS), NOW).await.expect("refused"),
            "{name}: planned once"
        );

        let mut by_message = reply("m1", "assistant@elsewhere.example");
        by_message.answers = vec!["unknown@x".to_owned(), first.message_id.clone()];
        let accepted = accept(store, "a1", &by_message).await;
        assert_eq!(
            (accepted.lead_id.as_deref(), accepted.matched_by),
            (Some("lead-a"), Some("message it answers")),
            "{name}"
        );
        assert_eq!(accepted.enrollments_paused, 1, "{name}");
        assert!(accept(store, "a1b", &by_message).await.duplicate, "{name}");

        let mut by_token = reply("m2", "other@elsewhere.example");
        by_token.plus_token = Some(first.reply_token.clone());
        assert_eq!(accept(store, "a2", &by_token).await.matched_by, Some("address token"), "{name}");
        assert_eq!(accept(store, "a3", &reply("m3", "lead-b@lead.example")).await.matched_by, Some("sender"), "{name}");
        let mut bounce = reply("m4", "mailer-daemon@lead.example");
        bounce.machine = Some(rejoinder_playbook::machine::Machine::Bounce {
            hard: true,
            address: Some("lead-b@lead.example".to_owned()),
            status: None,
            why: "no such user".to_owned(),
        });
        assert_eq!(accept(store, "a4", &bounce).await.lead_id.as_deref(), Some("lead-b"), "{name}");
        assert_eq!(accept(store, "a5", &reply("m5", "nobody@elsewhere.example")).await.lead_id, None, "{name}");
        assert_eq!(store.due_enrollments(NOW + 99 * DAY_MS, 10).await.expect("due").len(), 0, "{name}: all are paused");

        // One of each lead at a time, the oldest first; the unknown sender's beside them.
        let claimed = store.claim_arrivals(NOW, 1000, 10).await.expect("claimed");
        let ids: Vec<&str> = claimed.iter().map(|claimed| claimed.id.as_str()).collect();
        assert_eq!(ids, ["a1", "a3", "a5"], "{name}");
        assert_eq!(store.claim_arrivals(NOW, 1000, 10).await.expect("none").len(), 0, "{name}");
        assert_eq!(store.next_arrival_due_ms().await.expect("a time"), Some(NOW), "{name}: a2 waits behind a1");
        store.release_arrival(&claimed[2], NOW + 5, "busy").await.expect("released");
        assert_eq!(store.claim_arrivals(NOW + 4, 1000, 10).await.expect("none").len(), 0, "{name}");
        assert_eq!(claim_at(store, NOW + 5).await, ["a5"], "{name}");
        assert_eq!(claim_at(store, NOW + 1000).await, ["a1", "a3"], "{name}: leases that ran out are taken over");
    }
}

async fn claim_at(store: &Store, now_ms: i64) -> Vec<String> {
    store.claim_arrivals(now_ms, 1000, 10).await.expect("claimed").into_iter().map(|claimed| claimed.id).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn opt_out_words_act_in_the_transaction_that_stores_the_reply() {
    for engine in engines().await {
        let (store, name) = (&engine.store, engine.name);
        fill(store).await;
        let mut stop = reply("m1", "lead-a@lead.example");
        stop.opt_out = Some("STOP".to_owned());
        assert!(accept(store, "a1", &stop).await.opted_out, "{name}");
        let lead = store.lead("w", "lead-a").await.expect("read").expect("there");
        assert_eq!(lead.stage, Stage::OptedOut, "{name}");
        assert!(store.is_suppressed("lead-a", "lead-a@lead.example").await.expect("read"), "{name}");
        assert!(!store.is_suppressed("lead-b", "lead-b@lead.example").await.expect("read"), "{name}");
        assert!(store.unsubscribe("w", "lead-b", NOW).await.expect("done"), "{name}");
        assert!(store.unsubscribe("w", "lead-b", NOW).await.expect("done"), "{name}: twice is fine");
        assert!(!store.unsubscribe("w", "lead-z", NOW).await.expect("done"), "{name}");
        assert!(store.is_suppressed("lead-b", "lead-b@lead.example").await.expect("read"), "{name}");
        assert_eq!(
            store.lead("other", "lead-a").await.expect("read"),
            None,
            "{name}: another team's lead is not there"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_decision_is_committed_whole_and_once() {
    for engine in engines().await {
        let (store, name) = (&engine.store, engine.name);
        fill(store).await;
        put_passage(store).await;
        accept(store, "a1", &reply("m1", "lead-a@lead.example")).await;
        let stale = claim_one(store).await;
        let claimed = store.claim_arrivals(NOW + 1000, 1000, 1).await.expect("taken over").pop().expect("one");
        let effects = vec![
            Effect::EndEnrollments { cause: "not interested".to_owned() },
            Effect::SetStage { stage: Stage::Nurture },
            Effect::Revisit { at_ms: NOW + 90 * DAY_MS },
            Effect::OpenReview { owner: "jo@h.example".to_owned(), due_ms: NOW + 1, reason: "a draft".to_owned() },
        ];
        let decision = decision(Verdict::Review, effects);
        let sentence = |text: &str, support| DraftSentence { text: text.to_owned(), support };
        let draft = Draft {
            subject: "Re: docks".to_owned(),
            paragraphs: vec![
                vec![sentence("Hi Ana,", Support::Courtesy)],
                vec![sentence("It works.", Support::Passage { id: "p1".to_owned() })],
            ],
            unanswered: vec![],
        };
        assert!(!commit(store, &stale, &decision, Some(&draft)).await, "{name}: the lease was lost");
        assert_eq!(store.decided_line("a1").await.expect("read").map(|line| line.verdict), None, "{name}");
        assert!(commit(store, &claimed, &decision, Some(&draft)).await, "{name}");
        assert!(!commit(store, &claimed, &decision, Some(&draft)).await, "{name}: once");

        assert_eq!(
            store.decided_line("a1").await.expect("read").map(|line| line.verdict).as_deref(),
            Some("review"),
            "{name}"
        );
        assert_eq!(
            store.lead("w", "lead-a").await.expect("read").map(|lead| lead.stage),
            Some(Stage::Nurture),
            "{name}"
        );
        let queue = store.review_queue("w", QueueFilter::Open, NOW).await.expect("a queue");
        assert_eq!((queue.items.len(), queue.open_reviews, queue.open_hand_offs), (1, 1, 0), "{name}");
        assert_eq!(
            store.review_queue("w", QueueFilter::HandOffs, NOW).await.expect("a queue").items.len(),
            0,
            "{name}"
        );
        assert_eq!(
            store.review_queue("other", QueueFilter::Open, NOW).await.expect("a queue").items.len(),
            0,
            "{name}"
        );
        let page = store.review_page("w", "a1").await.expect("a page").expect("there");
        assert_eq!(page.draft.as_ref().and_then(|draft| draft.sentences[1].passage), Some(0), "{name}");
        assert_eq!(page.passages[0].body, "It works.", "{name}");
        assert!(page.timeline.len() >= 3, "{name}");
        assert!(store.review_page("other", "a1").await.expect("none").is_none(), "{name}");

        store.put_user("w", "u", "jo", "hash", "admin", NOW).await.expect("stored");
        let answer = send("lead-a", "reply/a1", None);
        let approved = Settlement::Approved { send: &answer, revisit_ms: NOW + 7 * DAY_MS };
        let settle = async |settlement: &Settlement<'_>| {
            store.settle_review("w", "a1", "u", "jo", settlement, NOW).await.expect("settled")
        };
        assert!(store.open_review("w", "a1").await.expect("read").is_some(), "{name}");
        assert_eq!(settle(&approved).await, Settled::Done, "{name}");
        let again = Settled::Already { by: "jo".to_owned(), state: "approved".to_owned() };
        assert_eq!(settle(&Settlement::Rejected { reason: "no", hand_off_due_ms: Some(NOW) }).await, again, "{name}");
        assert_eq!(
            store.settle_review("other", "a1", "u", "jo", &approved, NOW).await.expect("read"),
            Settled::NotFound,
            "{name}"
        );
        assert!(store.open_review("w", "a1").await.expect("read").is_none(), "{name}");
        let page = store.review_page("w", "a1").await.expect("a page").expect("there");
        assert_eq!((page.state, page.settled_by.as_deref()), (ReviewState::Approved, Some("jo")), "{name}");
        assert_eq!(page.send.map(|send| send.state).as_deref(), Some("ready"), "{name}");
        assert_eq!(store.review_queue("w", QueueFilter::Settled, NOW).await.expect("a queue").items.len(), 1, "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn hand_offs_waits_opt_outs_and_bounces_do_what_they_say() {
    for engine in engines().await {
        let (store, name) = (&engine.store, engine.name);
        fill(store).await;
        accept(store, "a1", &reply("m1", "lead-a@lead.example")).await;
        let hand_off = decision(
            Verdict::HandOff,
            vec![
                Effect::AssignOwner { owner: "jo@h.example".to_owned() },
                Effect::OpenHandOff {
                    owner: "jo@h.example".to_owned(),
                    due_ms: NOW,
                    reason: "call".to_owned(),
                    call_back: Some("Tuesday at 2".to_owned()),
                },
            ],
        );
        assert!(commit(store, &claim_one(store).await, &hand_off, None).await, "{name}");
        let page = store.review_page("w", "a1").await.expect("a page").expect("there");
        assert_eq!(page.call_back.as_deref(), Some("Tuesday at 2"), "{name}");
        assert_eq!(page.lead.and_then(|lead| lead.owner).as_deref(), Some("jo@h.example"), "{name}");

        accept(store, "a2", &reply("m2", "lead-b@lead.example")).await;
        let wait = decision(Verdict::Wait, vec![Effect::ResumeEnrollments { at_ms: NOW + DAY_MS }]);
        assert!(commit(store, &claim_one(store).await, &wait, None).await, "{name}");
        assert_eq!(store.due_enrollments(NOW, 10).await.expect("due").len(), 0, "{name}");
        let due = store.due_enrollments(NOW + DAY_MS, 10).await.expect("due");
        assert_eq!(due.len(), 1, "{name}: the one a person owns stays where it is");
        assert_eq!(due[0].state, "paused", "{name}");
        assert!(store.resume_enrollment(&due[0], NOW + DAY_MS).await.expect("resumed"), "{name}");
        assert!(!store.resume_enrollment(&due[0], NOW + DAY_MS).await.expect("not twice"), "{name}");
        let due = store.due_enrollments(NOW + DAY_MS, 10).await.expect("due");
        assert_eq!((due[0].state.as_str(), due[0].next_step), ("active", 1), "{name}");
        store.end_enrollment(&due[0], "a field is missing", NOW).await.expect("ended");
        assert_eq!(store.due_enrollments(NOW + 99 * DAY_MS, 10).await.expect("due").len(), 0, "{name}");

        accept(store, "a3", &reply("m3", "lead-b@lead.example")).await;
        let suppress = |cause: &str| Effect::Suppress { address: None, cause: cause.to_owned(), proof: "x".to_owned() };
        let bounce = decision(Verdict::Bounce, vec![suppress("address bounced")]);
        assert!(commit(store, &claim_one(store).await, &bounce, None).await, "{name}");
        assert!(store.is_suppressed("lead-b", "lead-b@lead.example").await.expect("read"), "{name}");
        assert_eq!(store.lead("w", "lead-b").await.expect("read").map(|lead| lead.stage), Some(Stage::Cold), "{name}");

        accept(store, "a4", &reply("m4", "lead-a@lead.example")).await;
        let opt_out = decision(Verdict::OptOut, vec![suppress("opted out"), Effect::SetStage { stage: Stage::Warm }]);
        assert!(commit(store, &claim_one(store).await, &opt_out, None).await, "{name}");
        let stage = store.lead("w", "lead-a").await.expect("read").map(|lead| lead.stage);
        assert_eq!(stage, Some(Stage::OptedOut), "{name}: nothing brings an opted-out lead back");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_goes_through_its_states_and_never_back() {
    for engine in engines().await {
        let (store, name) = (&engine.store, engine.name);
        fill(store).await;
        let due = store.due_enrollments(NOW, 10).await.expect("due");
        for due in &due {
            let key = format!("send/{}/1", due.id);
            let planned = send(&due.lead_id, &key, Some((&due.id, 1)));
            assert!(store.plan_step(due, &planned, Some(NOW + DAY_MS), NOW).await.expect("planned"), "{name}");
        }
        assert_eq!(store.next_due_ms().await.expect("a time"), Some(NOW), "{name}");
        let leased = store.claim_sends(NOW, 1000, 10).await.expect("claimed");
        assert_eq!(leased.len(), 2, "{name}");
        assert_eq!(store.claim_sends(NOW, 1000, 10).await.expect("none").len(), 0, "{name}");
        let gate = |facts: &_| may_send(facts, &CAPS, NOW);

        // Sent.
        assert_eq!(
            store.commit_send(&leased[0], gate, 1000, NOW).await.expect("asked"),
            CommitOutcome::Committed,
            "{name}"
        );
        assert_eq!(
            store.commit_send(&leased[0], gate, 1000, NOW).await.expect("asked"),
            CommitOutcome::LeaseLost,
            "{name}"
        );
        store
            .record_send(&leased[0], &SendOutcome::Sent { receipt: "ok".to_owned() }, &care(), NOW)
            .await
            .expect("recorded");
        assert_eq!(store.sent_count().await.expect("a count"), 1, "{name}");

        // Retried, then abandoned after `committed`: unconfirmed, and never claimed again.
        assert_eq!(
            store.commit_send(&leased[1], gate, 1000, NOW).await.expect("asked"),
            CommitOutcome::Committed,
            "{name}"
        );
        let retry = SendOutcome::Retry { at_ms: NOW + 10, why: "busy".to_owned() };
        store.record_send(&leased[1], &retry, &care(), NOW).await.expect("recorded");
        let again = store.claim_sends(NOW + 10, 1000, 10).await.expect("claimed");
        assert_eq!((again.len(), again[0].attempts), (1, 2), "{name}");
        assert_eq!(
            store.commit_send(&again[0], gate, 1000, NOW).await.expect("asked"),
            CommitOutcome::Committed,
            "{name}"
        );
        assert_eq!(store.settle_abandoned_sends(|_| care(), NOW + 500).await.expect("none yet"), 0, "{name}");
        assert_eq!(store.settle_abandoned_sends(|_| care(), NOW + 1000).await.expect("one"), 1, "{name}");
        assert_eq!(store.claim_sends(NOW + DAY_MS / 2, 1000, 10).await.expect("none").len(), 0, "{name}");
        let timeline = store.timeline("w", &again[0].lead_id).await.expect("a timeline");
        assert!(timeline.iter().any(|entry| entry.words.contains("unconfirmed")), "{name}");
        let queue = store.review_queue("w", QueueFilter::HandOffs, NOW).await.expect("a queue");
        let item = queue.items.first().expect("a person is asked to look");
        assert_eq!(
            (queue.items.len(), item.kind, item.owner.as_deref()),
            (1, ReviewKind::HandOff, Some("jo@h.example")),
            "{name}"
        );
        let page = store.review_page("w", &item.id).await.expect("a page").expect("there");
        assert_eq!((page.about, page.reply_text.as_str()), (About::Send, "Hello"), "{name}");
        assert_eq!(page.send.as_ref().map(|send| send.state.as_str()), Some("unconfirmed"), "{name}");
        assert!(store.open_review("w", &item.id).await.expect("read").is_none(), "{name}: there is no reply to answer");

        // The worker was only slow: what it reports in the end still counts.
        let late = SendOutcome::Sent { receipt: "late".to_owned() };
        store.record_send(&again[0], &late, &care(), NOW + 2000).await.expect("recorded");
        assert_eq!(store.sent_count().await.expect("a count"), 2, "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_that_is_dead_is_not_written_to_again() {
    for engine in engines().await {
        let (store, name) = (&engine.store, engine.name);
        fill(store).await;
        let due = store.due_enrollments(NOW, 1).await.expect("due").pop().expect("one");
        let planned = send(&due.lead_id, "send/one/1", Some((&due.id, 1)));
        assert!(store.plan_step(&due, &planned, Some(NOW + DAY_MS), NOW).await.expect("planned"), "{name}");
        let leased = store.claim_sends(NOW, 1000, 1).await.expect("claimed").pop().expect("one");
        let gate = |facts: &_| may_send(facts, &CAPS, NOW);
        assert_eq!(
            store.commit_send(&leased, gate, 1000, NOW).await.expect("asked"),
            CommitOutcome::Committed,
            "{name}"
        );
        let dead = SendOutcome::Failed { why: "550 5.1.1 no such user".to_owned(), address_dead: true };
        store.record_send(&leased, &dead, &care(), NOW).await.expect("recorded");
        assert!(store.is_suppressed(&due.lead_id, &planned.to_address).await.expect("read"), "{name}");
        let later = store.due_enrollments(NOW + 99 * DAY_MS, 10).await.expect("due");
        assert!(later.iter().all(|other| other.lead_id != due.lead_id), "{name}: its sequence has ended");
        let queue = store.review_queue("w", QueueFilter::Open, NOW).await.expect("a queue");
        assert!(queue.items.is_empty(), "{name}: nobody waits for a step to a dead address");

        // An answer that somebody has approved is another matter: a person hears of it.
        let other = if due.lead_id == "lead-a" { "lead-b" } else { "lead-a" };
        accept(store, "a1", &reply("m1", &format!("{other}@lead.example"))).await;
        let review = Effect::OpenReview { owner: "jo@h.example".to_owned(), due_ms: NOW, reason: "a draft".to_owned() };
        assert!(commit(store, &claim_one(store).await, &decision(Verdict::Review, vec![review]), None).await, "{name}");
        store.put_user("w", "u", "jo", "hash", "admin", NOW).await.expect("stored");
        let answer = send(other, "reply/a1", None);
        let approved = Settlement::Approved { send: &answer, revisit_ms: NOW + 7 * DAY_MS };
        let settled = store.settle_review("w", "a1", "u", "jo", &approved, NOW).await.expect("settled");
        assert_eq!(settled, Settled::Done, "{name}");
        let leased = store.claim_sends(NOW, 1000, 1).await.expect("claimed").pop().expect("one");
        assert_eq!(
            store.commit_send(&leased, gate, 1000, NOW).await.expect("asked"),
            CommitOutcome::Committed,
            "{name}"
        );
        store.record_send(&leased, &dead, &care(), NOW).await.expect("recorded");
        let queue = store.review_queue("w", QueueFilter::Open, NOW).await.expect("a queue");
        assert_eq!(queue.items.len(), 1, "{name}");
        assert!(queue.items[0].reason.contains("no such user"), "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_mails_with_one_id_are_both_kept_and_the_same_mail_is_kept_once() {
    for engine in engines().await {
        let (store, name) = (&engine.store, engine.name);
        fill(store).await;
        let first = reply("m1", "lead-a@lead.example");
        assert!(!accept(store, "a1", &first).await.duplicate, "{name}");
        let other_text = Reply { body_text: "No".to_owned(), new_text: "No".to_owned(), ..first.clone() };
        assert!(!accept(store, "a2", &other_text).await.duplicate, "{name}: other words");
        let other_sender = Reply { from: EmailAddress::parse("lead-b@lead.example").ok(), ..first.clone() };
        assert!(!accept(store, "a3", &other_sender).await.duplicate, "{name}: another sender");
        for (reply, known) in [(&first, "a1"), (&other_text, "a2"), (&other_sender, "a3")] {
            let again = accept(store, "again", reply).await;
            assert_eq!((again.duplicate, again.arrival_id.as_str()), (true, known), "{name}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rejected_draft_leaves_no_lead_without_a_person_or_an_end() {
    for engine in engines().await {
        let (store, name) = (&engine.store, engine.name);
        fill(store).await;
        put_passage(store).await;
        store.put_user("w", "u", "jo", "hash", "admin", NOW).await.expect("stored");
        let sentence =
            DraftSentence { text: "It works.".to_owned(), support: Support::Passage { id: "p1".to_owned() } };
        let draft = Draft { subject: "Re: docks".to_owned(), paragraphs: vec![vec![sentence]], unanswered: vec![] };
        for (id, lead) in [("a1", "lead-a"), ("a2", "lead-b")] {
            accept(store, id, &reply(id, &format!("{lead}@lead.example"))).await;
            let review =
                Effect::OpenReview { owner: "jo@h.example".to_owned(), due_ms: NOW, reason: "a draft".to_owned() };
            let decision = decision(Verdict::Review, vec![review]);
            assert!(commit(store, &claim_one(store).await, &decision, Some(&draft)).await, "{name}");
        }
        let reject = async |id: &str, hand_off_due_ms: Option<i64>| {
            let rejected = Settlement::Rejected { reason: "wrong facts", hand_off_due_ms };
            store.settle_review("w", id, "u", "jo", &rejected, NOW).await.expect("settled")
        };
        assert_eq!(reject("a1", Some(NOW + DAY_MS)).await, Settled::Done, "{name}");
        let page = store.review_page("w", "a1").await.expect("a page").expect("there");
        assert_eq!(
            (page.state, page.item.kind, page.item.due_ms),
            (ReviewState::Open, ReviewKind::HandOff, NOW + DAY_MS),
            "{name}"
        );
        assert!(page.draft.is_none() && page.item.reason.contains("wrong facts"), "{name}: {}", page.item.reason);
        assert_eq!(page.lead.and_then(|lead| lead.owner).as_deref(), Some("jo@h.example"), "{name}");
        assert!(matches!(reject("a1", Some(NOW)).await, Settled::Already { .. }), "{name}: there is no draft any more");

        assert_eq!(reject("a2", None).await, Settled::Done, "{name}");
        let page = store.review_page("w", "a2").await.expect("a page").expect("there");
        assert_eq!(page.state, ReviewState::Rejected, "{name}");
        let later = store.due_enrollments(NOW + 99 * DAY_MS, 10).await.expect("due");
        assert!(later.is_empty(), "{name}: no answer wanted, so the sequence has ended");
        let timeline = store.timeline("w", "lead-a").await.expect("a timeline");
        assert!(timeline.iter().any(|entry| entry.words.contains("rejected the draft")), "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_gate_inside_the_claim_sees_a_reply_that_came_meanwhile() {
    for engine in engines().await {
        let (store, name) = (&engine.store, engine.name);
        fill(store).await;
        let due = store.due_enrollments(NOW, 1).await.expect("due").pop().expect("one");
        let planned = send(&due.lead_id, "send/one/1", Some((&due.id, 1)));
        assert!(store.plan_step(&due, &planned, Some(NOW + DAY_MS), NOW).await.expect("planned"), "{name}");
        let leased = store.claim_sends(NOW, 1000, 1).await.expect("claimed").pop().expect("one");
        accept(store, "a1", &reply("m1", &format!("{}@lead.example", due.lead_id))).await;
        let gate = |facts: &_| may_send(facts, &CAPS, NOW);
        let rule = |outcome: CommitOutcome| match outcome {
            CommitOutcome::Refused(Refusal { rule, .. }) => rule,
            other => format!("{other:?}"),
        };
        assert_eq!(
            rule(store.commit_send(&leased, gate, 1000, NOW).await.expect("asked")),
            "undecided_reply",
            "{name}"
        );

        // Decided as "wait": the step is withdrawn while paused and comes again when the sequence goes on.
        let wait = decision(Verdict::Wait, vec![Effect::ResumeEnrollments { at_ms: NOW + DAY_MS }]);
        assert!(commit(store, &claim_one(store).await, &wait, None).await, "{name}");
        let leased = store.claim_sends(NOW + 10_000, 1000, 1).await.expect("claimed").pop().expect("one");
        assert_eq!(rule(store.commit_send(&leased, gate, 1000, NOW).await.expect("asked")), "paused", "{name}");
        let paused = store.due_enrollments(NOW + DAY_MS, 10).await.expect("due");
        let paused = paused.iter().find(|enrollment| enrollment.id == due.id).expect("it waits");
        assert!(store.resume_enrollment(paused, NOW + DAY_MS).await.expect("resumed"), "{name}");
        let due = store
            .due_enrollments(NOW + DAY_MS, 10)
            .await
            .expect("due")
            .into_iter()
            .find(|each| each.id == due.id)
            .expect("due");
        assert_eq!(due.next_step, 1, "{name}: the step that was held back comes first");
        assert!(store.plan_step(&due, &planned, None, NOW).await.expect("planned"), "{name}");
        let leased = store.claim_sends(NOW + DAY_MS, 1000, 1).await.expect("claimed").pop().expect("one");
        assert_eq!(
            store.commit_send(&leased, gate, 1000, NOW).await.expect("asked"),
            CommitOutcome::Committed,
            "{name}"
        );
        store
            .record_send(&leased, &SendOutcome::Failed { why: "refused".to_owned(), address_dead: false }, &care(), NOW)
            .await
            .expect("recorded");
        let timeline = store.timeline("w", &due.lead_id).await.expect("a timeline");
        assert!(timeline.iter().any(|entry| entry.words == "Sending failed"), "{name}");
        let queue = store.review_queue("w", QueueFilter::HandOffs, NOW).await.expect("a queue");
        assert!(queue.items.iter().any(|item| item.reason.contains("could not be sent: refused")), "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_automatic_reply_does_not_restart_what_another_reply_has_paused() {
    for engine in engines().await {
        let (store, name) = (&engine.store, engine.name);
        fill(store).await;
        let wait = decision(Verdict::Wait, vec![Effect::ResumeEnrollments { at_ms: NOW + DAY_MS }]);
        // A question, decided; its sequence stays paused. Then the out-of-office notice that our answer triggers.
        accept(store, "a1", &reply("m1", "lead-a@lead.example")).await;
        let nothing = decision(Verdict::Review, vec![]);
        assert!(commit(store, &claim_one(store).await, &nothing, None).await, "{name}");
        accept(store, "a2", &reply("m2", "lead-a@lead.example")).await;
        assert!(commit(store, &claim_one(store).await, &wait, None).await, "{name}");
        // The notice first; before it is decided, a question arrives.
        accept(store, "b1", &reply("m3", "lead-b@lead.example")).await;
        let notice = claim_one(store).await;
        accept(store, "b2", &reply("m4", "lead-b@lead.example")).await;
        assert!(commit(store, &notice, &wait, None).await, "{name}");
        assert!(commit(store, &claim_one(store).await, &nothing, None).await, "{name}");
        let due = store.due_enrollments(NOW + 99 * DAY_MS, 10).await.expect("due");
        assert_eq!(due.iter().map(|due| due.lead_id.as_str()).collect::<Vec<_>>(), [""; 0], "{name}");
    }
}

fn care() -> Care {
    Care { owner: "jo@h.example".to_owned(), due_ms: NOW + 1 }
}

async fn put_passage(store: &Store) {
    let document = NewDocument {
        id: "d1".to_owned(),
        name: "facts.md".to_owned(),
        title: "Facts".to_owned(),
        kind: "fact_sheet".to_owned(),
        version: 1,
        body: "It works.".to_owned(),
        sha256: "1".to_owned(),
        passages: vec![NewPassage {
            id: "p1".to_owned(),
            heading: "H".to_owned(),
            body: "It works.".to_owned(),
            model: "m".to_owned(),
            embeddings: vec![0, 0, 0, 0],
        }],
    };
    assert!(store.put_document("w", &document, NOW).await.expect("stored"));
}

#[tokio::test(flavor = "multi_thread")]
async fn documents_have_versions_and_plugins_keys_and_people_are_kept() {
    for engine in engines().await {
        let (store, name) = (&engine.store, engine.name);
        fill(store).await;
        put_passage(store).await;
        let newest = store.newest_document("w", "facts.md").await.expect("read").expect("there");
        assert_eq!((newest.version, newest.sha256.as_str()), (1, "1"), "{name}");
        store.retire_documents("w", &["other.md"]).await.expect("retired");
        assert!(store.current_passages("w").await.expect("read").is_empty(), "{name}: it is gone from the folder");
        store.revive_document("w", &newest.id).await.expect("revived");
        store.retire_documents("w", &["facts.md"]).await.expect("nothing to retire");
        assert_eq!(store.current_passages("w").await.expect("read").len(), 1, "{name}: it is back");
        let second = NewDocument {
            id: "d2".to_owned(),
            name: "facts.md".to_owned(),
            title: "Facts".to_owned(),
            kind: "fact_sheet".to_owned(),
            version: 2,
            body: "It works well.".to_owned(),
            sha256: "2".to_owned(),
            passages: vec![NewPassage {
                id: "p2".to_owned(),
                heading: "H".to_owned(),
                body: "It works well.".to_owned(),
                model: "m".to_owned(),
                embeddings: vec![0, 0, 0, 0],
            }],
        };
        assert!(store.put_document("w", &second, NOW).await.expect("stored"), "{name}");
        assert!(
            !store.put_document("w", &second, NOW).await.expect("there"),
            "{name}: the same version twice changes nothing"
        );
        let current = store.current_passages("w").await.expect("read");
        assert_eq!(current.iter().map(|stored| stored.passage.id.as_str()).collect::<Vec<_>>(), ["p2"], "{name}");
        store.put_embeddings("p2", "n", &[1, 1, 1, 1]).await.expect("stored");
        assert_eq!(store.current_passages("w").await.expect("read")[0].model, "n", "{name}");
        let version = store.workspace("w").await.expect("read").expect("there").playbook_version;
        store.put_playbook("w", PLAYBOOK).await.expect("unchanged");
        assert_eq!(store.workspace("w").await.expect("read").expect("there").playbook_version, version, "{name}");
        store.put_playbook("w", "changed").await.expect("stored");
        assert_eq!(
            store.workspace_by_slug("w").await.expect("read").expect("there").playbook_version,
            version + 1,
            "{name}"
        );
        assert_eq!(store.workspaces().await.expect("read").len(), 1, "{name}");

        let plugin = |id, sha256| NewPlugin { id, name: "p", sha256, component: b"wasm", settings: "{}" };
        store.put_plugin("w", &plugin("i1", "s1"), NOW).await.expect("stored");
        store.put_plugin("w", &plugin("i2", "s2"), NOW).await.expect("stored");
        let active = store.active_plugins("w").await.expect("read");
        assert_eq!(active.iter().map(|plugin| plugin.sha256.as_str()).collect::<Vec<_>>(), ["s2"], "{name}");
        let renamed = NewPlugin { name: "q", ..plugin("i3", "s3") };
        store.put_plugin("w", &renamed, NOW).await.expect("stored");
        let active = store.active_plugins("w").await.expect("read");
        assert_eq!(
            active.iter().map(|plugin| plugin.name.as_str()).collect::<Vec<_>>(),
            ["q"],
            "{name}: under a new name"
        );
        store.deactivate_plugins("w").await.expect("done");
        assert!(store.active_plugins("w").await.expect("read").is_empty(), "{name}");
        assert_eq!(store.plugin_component("w", "s1").await.expect("read").as_deref(), Some(&b"wasm"[..]), "{name}");
        assert_eq!(store.plugin_component("other", "s1").await.expect("read"), None, "{name}");

        store.put_hook_key("w", "k1", HookKeyKind::Hmac, "first", b"one", NOW).await.expect("stored");
        store.put_hook_key("w", "k2", HookKeyKind::Hmac, "first", b"two", NOW).await.expect("replaced");
        assert_eq!(store.hook_keys("w", HookKeyKind::Hmac).await.expect("read"), [b"two".to_vec()], "{name}");
        assert!(store.hook_keys("w", HookKeyKind::ApiKey).await.expect("read").is_empty(), "{name}");

        store.put_user("w", "u1", "jo", "hash", "admin", NOW).await.expect("stored");
        assert_eq!(store.user_count("w").await.expect("read"), 1, "{name}");
        store.record_sign_in_failure("jo", 3, NOW + 5).await.expect("stored");
        store.record_sign_in_failure("jo", 4, NOW + 6).await.expect("stored");
        assert_eq!(store.sign_in_failures("jo").await.expect("read"), (4, NOW + 6), "{name}");
        store.start_session(b"token", "u1", "jo", NOW, NOW + 10).await.expect("started");
        assert_eq!(store.sign_in_failures("jo").await.expect("read"), (0, 0), "{name}: signing in forgives");
        assert_eq!(
            store.session(b"token", NOW).await.expect("read").map(|who| who.user_name).as_deref(),
            Some("jo"),
            "{name}"
        );
        assert_eq!(store.session(b"token", NOW + 10).await.expect("read"), None, "{name}: sessions end");
        store.end_session(b"token").await.expect("ended");
        assert_eq!(store.session(b"token", NOW).await.expect("read"), None, "{name}");
        store.start_session(b"token", "u1", "jo", NOW, NOW + 10).await.expect("started");
        assert!(store.put_user("w", "u9", "jo", "hash2", "admin", NOW).await.expect("a new password"), "{name}");
        assert_eq!(store.session(b"token", NOW).await.expect("read"), None, "{name}: a new password ends all sessions");
        assert_eq!(
            store.account("jo").await.expect("read").map(|account| account.password_hash).as_deref(),
            Some("hash2"),
            "{name}"
        );
        assert!(store.account("nobody").await.expect("read").is_none(), "{name}");
        store.ping().await.expect("it answers");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn many_replies_at_once_are_each_stored_and_claimed_once() {
    for engine in engines().await {
        let (store, name) = (&engine.store, engine.name);
        fill(store).await;
        let mut accepting = tokio::task::JoinSet::new();
        for number in 0..100 {
            let store = store.clone();
            accepting.spawn(async move {
                // Every message is delivered twice.
                let id = number / 2;
                let reply = reply(&format!("m{id}"), &format!("someone-{id}@elsewhere.example"));
                accept(&store, &format!("a{number}"), &reply).await.duplicate
            });
        }
        let duplicates = accepting.join_all().await.into_iter().filter(|duplicate| *duplicate).count();
        assert_eq!(duplicates, 50, "{name}");
        let mut claiming = tokio::task::JoinSet::new();
        for _ in 0..8 {
            let store = store.clone();
            claiming.spawn(async move { store.claim_arrivals(NOW, 60_000, 10).await.expect("claimed") });
        }
        let mut ids: Vec<String> = claiming.join_all().await.into_iter().flatten().map(|claimed| claimed.id).collect();
        ids.extend(claim_at(store, NOW).await);
        ids.sort_unstable();
        let all = ids.len();
        ids.dedup();
        assert_eq!((all, ids.len()), (50, 50), "{name}: none twice, none left");
    }
}
