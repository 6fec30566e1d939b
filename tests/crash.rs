//! The real program, killed with SIGKILL between webhook and decision: nothing is lost, nothing is decided twice.
//! It must never be made to pass by waiting for the decision before the kill.

use crate::program::{Program, free_port};
use crate::server::{count, mail, outbox, sample, until};
use rejoinder::demo::REPLIES;

#[tokio::test(flavor = "multi_thread")]
async fn replies_survive_a_kill_between_webhook_and_decision_and_are_decided_once() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let database = folder.path().join("rejoinder.db");
    let mut caught = 0;
    let mut posted = 0;
    for round in 0..20 {
        let mut program = Program::serve(folder.path(), free_port()).await;
        let before = posted;
        // A burst, so that the kill finds most of them undecided.
        for (name, _) in REPLIES {
            let raw = String::from_utf8(sample(name))
                .expect("mail is ASCII")
                .replace("Message-ID: <", &format!("Message-ID: <round{round}."));
            let raw = raw.replace("Message-Id: <", &format!("Message-Id: <round{round}."));
            assert_eq!(program.post(raw.as_bytes()).await, 202);
            posted += 1;
        }
        program.kill();
        let arrivals = count(&database, "SELECT COUNT(*) FROM arrivals").await;
        assert_eq!(arrivals, posted, "every reply that was answered 202 is stored");
        caught = count(&database, "SELECT COUNT(*) FROM arrivals WHERE state <> 'decided'").await;
        assert!(posted > before);
        if caught > 0 {
            break;
        }
    }
    assert!(caught > 0, "no kill came between webhook and decision");

    let mut program = Program::serve(folder.path(), free_port()).await;
    until("every reply is decided", || async {
        (count(&database, "SELECT COUNT(*) FROM arrivals WHERE state <> 'decided'").await == 0).then_some(())
    })
    .await;
    assert_eq!(count(&database, "SELECT COUNT(*) FROM decisions").await, posted);
    assert_eq!(count(&database, "SELECT COUNT(*) FROM events WHERE kind = 'decided'").await, posted);
    assert_eq!(count(&database, "SELECT COUNT(*) - COUNT(DISTINCT arrival_id) FROM reviews").await, 0);
    program.kill();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_was_approved_before_a_kill_leaves_once() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let database = folder.path().join("rejoinder.db");
    let mut program = Program::serve(folder.path(), free_port()).await;
    assert_eq!(program.post(&sample("06-interested")).await, 202);
    until("a draft awaits review", || async {
        (count(&database, "SELECT COUNT(*) FROM reviews WHERE state = 'open'").await == 1).then_some(())
    })
    .await;
    program.approve_first().await;
    program.kill();
    let mut program = Program::serve(folder.path(), free_port()).await;
    until("the answer has left or is shown as unconfirmed", || async {
        let settled = "SELECT COUNT(*) FROM sends WHERE send_key LIKE 'reply/%' AND state IN ('sent', 'unconfirmed')";
        (count(&database, settled).await == 1).then_some(())
    })
    .await;
    let unconfirmed =
        count(&database, "SELECT COUNT(*) FROM sends WHERE send_key LIKE 'reply/%' AND state = 'unconfirmed'").await;
    let answers =
        outbox(&folder.path().join("outbox")).into_iter().filter(|(name, _)| name.starts_with("reply.")).count();
    assert!(answers == 1 || (answers == 0 && unconfirmed == 1), "{answers} answers, {unconfirmed} unconfirmed");
    program.kill();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_first_start_that_is_killed_while_it_fills_is_finished_by_the_next() {
    let folder = tempfile::tempdir().expect("a folder");
    let port = free_port();
    Program::kill_while_it_fills(folder.path(), port).await;
    let server = Program::serve(folder.path(), port).await;
    let database = folder.path().join("rejoinder.db");
    let whole = [
        ("documents", "SELECT COUNT(*) FROM documents", 11),
        ("leads", "SELECT COUNT(*) FROM leads", 20),
        ("enrollments", "SELECT COUNT(*) FROM enrollments", 20),
        ("admins", "SELECT COUNT(*) FROM users", 1),
    ];
    for (what, sql, expected) in whole {
        assert_eq!(count(&database, sql).await, expected, "{what}");
    }
    // The secrets that the first start has shown are still those that open.
    let raw = mail("ana.ruiz@cascadecold.example", "Re: docks", "Thanks, noted.", "after-the-kill", "");
    assert_eq!(server.post(&raw).await, 202);
}
