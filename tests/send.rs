//! What leaves: the bytes, the threading, the way out, and SMTP against a server that answers as it is told.
//! It must never accept a message that was not approved or planned.

use crate::server::{Server, mail, sample, starter};
use rejoinder::carrier::outbound::{Carrier, CarryError};
use rejoinder::config::CarrierSettings;
use rejoinder::config::{SmtpSecurity, SmtpSettings};
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpListener;

const ANA: &str = "ana.ruiz@cascadecold.example";

/// A mail server of one connection after the other that answers RCPT and the end of DATA as it is told.
struct Sink {
    port: u16,
    mails: Arc<Mutex<Vec<String>>>,
}

impl Sink {
    async fn start(recipient_answer: &'static str, data_answer: Option<&'static str>) -> Sink {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let mails = Arc::new(Mutex::new(vec![]));
        let kept = Arc::clone(&mails);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let _ = converse(stream, recipient_answer, data_answer, &kept).await;
            }
        });
        Sink { port, mails }
    }

    fn carrier(&self) -> Carrier {
        self.carrier_with(None)
    }

    fn carrier_with(&self, credentials: Option<(String, String)>) -> Carrier {
        Carrier::new(CarrierSettings::Smtp(SmtpSettings {
            host: "127.0.0.1".to_owned(),
            port: self.port,
            security: SmtpSecurity::None,
            credentials,
            timeout_ms: 5_000,
        }))
    }
}

async fn converse(
    stream: tokio::net::TcpStream,
    recipient_answer: &str,
    data_answer: Option<&str>,
    mails: &Mutex<Vec<String>>,
) -> std::io::Result<()> {
    let (read, mut write) = stream.into_split();
    let mut lines = BufReader::new(read).lines();
    write.write_all(b"220 sink ready\r\n").await?;
    while let Some(line) = lines.next_line().await? {
        let verb = line.split_whitespace().next().unwrap_or_default().to_uppercase();
        let answer = match verb.as_str() {
            "EHLO" => "250-sink\r\n250-AUTH PLAIN\r\n250 8BITMIME\r\n".to_owned(),
            "AUTH" => "535 wrong password\r\n".to_owned(),
            "RCPT" => format!("{recipient_answer}\r\n"),
            "DATA" => {
                write.write_all(b"354 go on\r\n").await?;
                let mut text = String::new();
                while let Some(line) = lines.next_line().await? {
                    if line == "." {
                        break;
                    }
                    text.push_str(line.strip_prefix('.').unwrap_or(&line));
                    text.push('\n');
                }
                mails.lock().expect("not poisoned").push(text);
                // None: the connection breaks after the final dot, and nobody can know.
                match data_answer {
                    Some(answer) => format!("{answer}\r\n"),
                    None => return Ok(()),
                }
            }
            "QUIT" => {
                write.write_all(b"221 bye\r\n").await?;
                return Ok(());
            }
            _ => "250 ok\r\n".to_owned(),
        };
        write.write_all(answer.as_bytes()).await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn every_answer_of_a_mail_server_has_its_consequence() {
    let deliver = async |sink: &Sink| {
        sink.carrier()
            .deliver("a@a.example", "b@b.example", "id@a.example", b"Subject: x\r\n\r\nhello\r\n.dot\r\n")
            .await
    };
    let good = Sink::start("250 ok", Some("250 queued as 7")).await;
    assert!(deliver(&good).await.is_ok_and(|receipt| receipt.contains("queued as 7")));
    assert!(good.mails.lock().expect("not poisoned")[0].contains("\n.dot\n"), "a leading dot survives");
    assert!(matches!(
        deliver(&Sink::start("550 no such user", Some("250 ok")).await).await,
        Err(CarryError::AddressRefused { .. })
    ));
    assert!(matches!(deliver(&Sink::start("250 ok", Some("554 no")).await).await, Err(CarryError::Failed { .. })));
    assert!(matches!(deliver(&Sink::start("451 later", Some("250 ok")).await).await, Err(CarryError::Retry { .. })));
    assert!(matches!(deliver(&Sink::start("250 ok", Some("452 full")).await).await, Err(CarryError::Retry { .. })));
    assert!(matches!(deliver(&Sink::start("250 ok", None).await).await, Err(CarryError::Unknown { .. })));
    let nobody = Sink { port: crate::program::free_port(), mails: Arc::default() };
    assert!(matches!(deliver(&nobody).await, Err(CarryError::Retry { .. })));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_password_is_no_fault_of_the_message() {
    let sink = Sink::start("250 ok", Some("250 queued")).await;
    let carrier = sink.carrier_with(Some(("maya".to_owned(), "wrong".to_owned())));
    let refused = carrier.deliver("a@a.example", "b@b.example", "id@a.example", b"Subject: x\r\n\r\nhello\r\n").await;
    assert!(matches!(&refused, Err(CarryError::Retry { why }) if why.contains("smtp.*")), "{refused:?}");
    assert!(sink.mails.lock().expect("not poisoned").is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn sequence_mail_leaves_by_smtp_with_a_way_out_and_a_threadable_id() {
    let sink = Sink::start("250 ok", Some("250 queued")).await;
    let settings = format!(
        "carrier = \"smtp\"\npublic_url = \"http://127.0.0.1:1\"\n[smtp]\nhost = \"127.0.0.1\"\nport = {}\nsecurity = \"none\"\n",
        sink.port
    );
    let server = Server::start_with(&starter(), &settings).await;
    server
        .until("20 e-mails have left", || async {
            (sink.mails.lock().expect("not poisoned").len() >= 20).then_some(())
        })
        .await;
    let mails = sink.mails.lock().expect("not poisoned").clone();
    let mail = mails.iter().find(|mail| mail.contains(ANA)).expect("one to Ana");
    for expected in [
        "Message-ID: <send.enrollment.harbourlight.lead-ana-ruiz.intro.1@harbourlight.example>",
        "List-Unsubscribe: <http://127.0.0.1",
        "List-Unsubscribe-Post: List-Unsubscribe=One-Click",
        "maya+harbourlight.lead-ana-ruiz.intro.1@harbourlight.example",
        "Lantern Wharf",
        "text/plain",
        "text/html",
    ] {
        assert!(mail.contains(expected), "{expected} in {mail}");
    }
    let mut ids: Vec<&str> =
        mails.iter().filter_map(|mail| mail.lines().find(|line| line.starts_with("Message-ID:"))).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 20, "one e-mail per lead");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_click_takes_the_lead_off_and_looking_at_the_link_does_not() {
    let server = Server::start().await;
    let (_, mail) = server.outbox().into_iter().find(|(_, mail)| mail.contains(ANA)).expect("one to Ana");
    let unfolded = mail.replace("\r\n ", " ");
    let link = unfolded
        .split("List-Unsubscribe: <")
        .nth(1)
        .and_then(|rest| rest.split('>').next())
        .expect("a link")
        .to_owned();
    let opted_out = "SELECT COUNT(*) FROM leads WHERE stage = 'opted_out'";
    assert_eq!(server.http.get(&link).send().await.expect("an answer").status().as_u16(), 200);
    assert_eq!(server.count(opted_out).await, 0, "GET changes nothing");
    for _ in 0..2 {
        let response =
            server.http.post(&link).form(&[("List-Unsubscribe", "One-Click")]).send().await.expect("an answer");
        assert_eq!(response.status().as_u16(), 200);
    }
    assert_eq!(server.count(opted_out).await, 1);
    let forged = link.replace("lead-ana-ruiz", "lead-marcus-webb");
    assert_eq!(server.http.post(&forged).send().await.expect("an answer").status().as_u16(), 404);
    assert_eq!(server.count(opted_out).await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_approved_answer_is_not_sent_to_a_lead_that_opts_out_meanwhile() {
    let server = Server::start().await;
    let (id, _) = server.decided(&sample("06-interested")).await;
    let workspace_id = server.workspace_id().await;
    let page = server.running.engine.store.review_page(&workspace_id, &id).await.expect("a page").expect("found");
    let lead = page.lead.expect("a lead");
    server.decided(&mail(&lead.email, "Re: docks", "STOP", "stop-now", "")).await;
    let admin = server.signed_in().await;
    let response = admin
        .post(server.url(&format!("/review/{id}/approve")))
        .form(&[("body", "Hello!")])
        .send()
        .await
        .expect("an answer");
    let text = response.text().await.expect("a page");
    assert!(text.contains("no more messages"), "{text}");
    assert_eq!(server.count("SELECT COUNT(*) FROM sends WHERE enrollment_id IS NULL").await, 0);
}
