//! Reads one raw mail (RFC 5322) into what the engine needs: who wrote, in which thread, and the new text.
//! It must never panic, touch the network or trust a length: mail is written by strangers. It matches nothing and decides
//! nothing; of a mail that it cannot take apart it gives what its header says, and why a person must read the rest.

use std::collections::HashSet;
use std::fmt::Write as _;
use std::panic::{AssertUnwindSafe, catch_unwind};

use super::mail_parts::{body, machine_parts, shortened};
use mail_parser::{Address, HeaderValue, Message, MessageParser};
use rejoinder_playbook::address::EmailAddress;
use rejoinder_playbook::cut::{self, Removed, Whole};
use rejoinder_playbook::machine::{self, Evidence, Machine};
use serde::Serialize;
use sha2::{Digest, Sha256};

/// What a mail may cost. Everything above is refused or shortened, never read in full.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MailLimits {
    pub mail_bytes_max: usize,
    pub header_bytes_max: usize,
    /// Parts that name a content type, nested mails included: it bounds the depth too.
    pub mime_parts_max: usize,
    pub recipients_max: usize,
    pub references_max: usize,
    pub subject_chars_max: usize,
    /// Longer text is shortened, which the mail says.
    pub text_chars_max: usize,
}

impl Default for MailLimits {
    fn default() -> Self {
        Self {
            mail_bytes_max: 10 * 1024 * 1024,
            header_bytes_max: 256 * 1024,
            mime_parts_max: 500,
            recipients_max: 200,
            references_max: 100,
            subject_chars_max: 1_000,
            text_chars_max: 200_000,
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error, Serialize)]
pub enum MailError {
    #[error("the mail is empty; post the whole message as the body of the request")]
    Empty,
    #[error("the mail has {bytes} bytes and the limit is {limit}; raise mail_bytes_max or have the sender use a link")]
    TooLarge { bytes: usize, limit: usize },
    #[error(
        "the header of the mail is longer than {limit} bytes; look at the raw mail before you raise header_bytes_max"
    )]
    HeaderTooLarge { limit: usize },
    #[error(
        "the mail has {parts} MIME parts and the limit is {limit}; look at the raw mail before you raise mime_parts_max"
    )]
    TooManyParts { parts: usize, limit: usize },
    #[error(
        "this is no mail: it has no From, To, Subject or Date; post the message as message/rfc822, not as JSON or a form"
    )]
    NotMail,
    #[error("the mail names no sender that one could answer; read the raw mail and answer by hand")]
    NoSender,
    #[error("the mail is built so that it cannot be taken apart; read the raw mail by hand")]
    Unreadable,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct InboundMail {
    /// Without angle brackets; only if it can serve as a name for the mail.
    pub message_id: Option<String>,
    pub in_reply_to: Vec<String>,
    pub references: Vec<String>,
    /// Only machines may lack one ("MAILER-DAEMON" without a domain).
    pub from: Option<EmailAddress>,
    pub from_name: Option<String>,
    /// To, Cc, Delivered-To, X-Original-To and their kin, each once, what the server noted first.
    pub to: Vec<EmailAddress>,
    /// From the first address of the form `local+token@domain`, as written.
    pub plus_token: Option<String>,
    pub subject: String,
    pub date_ms: Option<i64>,
    /// Name and unfolded value, in the order of the mail.
    pub headers: Vec<(String, String)>,
    pub body_text: String,
    pub body_text_shortened: bool,
    pub new_text: String,
    pub removed: Vec<Removed>,
    pub whole: Whole,
    pub machine: Option<Machine>,
    pub attachments: u32,
    /// Why a person must read the raw mail, if so: `new_text` is then the best guess at what was written.
    pub unreadable: Option<MailError>,
}

impl InboundMail {
    /// The name under which a mail is stored once, however often it is delivered: its Message-ID, else a hash of its bytes.
    #[must_use]
    pub fn provider_id(&self, raw: &[u8]) -> String {
        self.message_id.clone().unwrap_or_else(|| raw_id(raw))
    }
}

/// The name of a mail that has no usable Message-ID, or that could not be read at all.
#[must_use]
pub fn raw_id(raw: &[u8]) -> String {
    Sha256::digest(raw).iter().fold("sha256:".to_owned(), |mut name, byte| {
        // Writing to a string cannot fail.
        let _ = write!(name, "{byte:02x}");
        name
    })
}

/// Takes a raw mail apart. Pure; the time grows with its length only. An error means that there is nothing to keep;
/// what cannot be taken apart is an `InboundMail` that says so in `unreadable`.
pub fn parse(raw: &[u8], limits: &MailLimits) -> Result<InboundMail, MailError> {
    if raw.iter().all(u8::is_ascii_whitespace) {
        return Err(MailError::Empty);
    }
    if raw.len() > limits.mail_bytes_max {
        return Err(MailError::TooLarge { bytes: raw.len(), limit: limits.mail_bytes_max });
    }
    let unified = with_line_feeds(raw);
    let raw = unified.as_deref().unwrap_or(raw);
    let parts = named_parts(raw);
    let why = if header_bytes(raw) > limits.header_bytes_max {
        MailError::HeaderTooLarge { limit: limits.header_bytes_max }
    } else if parts > limits.mime_parts_max {
        MailError::TooManyParts { parts, limit: limits.mime_parts_max }
    } else {
        // The parser promises not to panic; a promise of somebody else's is not what the webhook rests on.
        match catch_unwind(AssertUnwindSafe(|| read(raw, limits))) {
            Ok(Some(mail)) => return Ok(mail),
            Ok(None) => MailError::NotMail,
            Err(_) => MailError::Unreadable,
        }
    };
    Ok(header_only(raw, limits, why))
}

/// What the header of a mail says that cannot be taken apart as a whole, so that its lead is found all the same; its body
/// as it stands counts as the text, so that a request to stop in it is seen.
fn header_only(raw: &[u8], limits: &MailLimits, why: MailError) -> InboundMail {
    let end = header_bytes(raw);
    let (header, body) = raw.split_at_checked(end).unwrap_or((raw, &[]));
    // Of a header that is too long the beginning, up to the end of a line.
    let kept = header.get(..limits.header_bytes_max.min(header.len())).unwrap_or_default();
    let kept = match kept.iter().rposition(|byte| *byte == b'\n') {
        Some(line_end) if kept.len() < header.len() => kept.get(..line_end).unwrap_or_default(),
        _ => kept,
    };
    let header = [kept, b"\n\n"].concat();
    let text = String::from_utf8_lossy(if why == MailError::NotMail { raw } else { body }).replace('\0', "\u{fffd}");
    let (text, body_text_shortened) = shortened(&text, limits.text_chars_max);
    let body_text = text.trim().to_owned();
    let cut = cut::cut(&body_text);
    let known = catch_unwind(AssertUnwindSafe(|| read(&header, limits))).ok().flatten();
    let known = known.unwrap_or_else(|| InboundMail {
        message_id: None,
        in_reply_to: vec![],
        references: vec![],
        from: None,
        from_name: None,
        to: vec![],
        plus_token: None,
        subject: String::new(),
        date_ms: None,
        headers: vec![],
        body_text: String::new(),
        body_text_shortened: false,
        new_text: String::new(),
        removed: vec![],
        whole: cut.whole,
        machine: None,
        attachments: 0,
        unreadable: None,
    });
    InboundMail {
        body_text,
        body_text_shortened,
        new_text: cut.new_text,
        removed: cut.removed,
        whole: cut.whole,
        unreadable: Some(why),
        ..known
    }
}

/// `None`: this is no mail.
fn read(raw: &[u8], limits: &MailLimits) -> Option<InboundMail> {
    let message = MessageParser::default().parse(raw)?;
    let headers = headers_of(&message, raw);
    let known = ["from", "to", "subject", "date", "message-id", "return-path", "sender", "reply-to"];
    if !headers.iter().any(|(name, _)| known.contains(&name.to_ascii_lowercase().as_str())) {
        return None;
    }

    let (from, from_name) = sender(&message, &headers);
    let to = recipients(&message, &headers, limits);
    let subject = clean_line(message.subject().unwrap_or_default(), limits.subject_chars_max);
    let (body_text, body_text_shortened, cut) = body(&message, limits);
    let parts = machine_parts(&message, limits);
    let shown_from =
        headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("from")).map_or("", |(_, value)| value.as_str());
    let evidence =
        Evidence { headers: &headers, from: shown_from, subject: &subject, new_text: &cut.new_text, parts: &parts };
    let machine = machine::detect(&evidence);
    let unreadable = (from.is_none() && machine.is_none()).then_some(MailError::NoSender);

    Some(InboundMail {
        message_id: message.message_id().and_then(plausible_id),
        in_reply_to: ids(message.in_reply_to(), limits),
        references: ids(message.references(), limits),
        from,
        from_name,
        plus_token: to.iter().find_map(|address| address.plus_token().map(str::to_owned)),
        to,
        subject,
        date_ms: message.date().filter(|date| date.is_valid()).and_then(|date| date.to_timestamp().checked_mul(1_000)),
        headers,
        body_text,
        body_text_shortened,
        new_text: cut.new_text,
        removed: cut.removed,
        whole: cut.whole,
        machine,
        attachments: u32::try_from(message.attachment_count()).unwrap_or(u32::MAX),
        unreadable,
    })
}

/// Old Macintosh line ends; mail parsers know only the two others.
fn with_line_feeds(raw: &[u8]) -> Option<Vec<u8>> {
    (raw.contains(&b'\r') && !raw.contains(&b'\n'))
        .then(|| raw.iter().map(|byte| if *byte == b'\r' { b'\n' } else { *byte }).collect())
}

/// The bytes up to the first empty line.
fn header_bytes(raw: &[u8]) -> usize {
    let mut line_start = 0;
    for (at, byte) in raw.iter().enumerate() {
        if *byte == b'\n' {
            let line = raw.get(line_start..at).unwrap_or_default();
            if line.is_empty() || line == b"\r" {
                return at;
            }
            line_start = at + 1;
        }
    }
    raw.len()
}

/// How often a content type is named: each part and each nested mail with parts must name one.
fn named_parts(raw: &[u8]) -> usize {
    const NAME: &[u8] = b"content-type";
    raw.windows(NAME.len())
        .filter(|window| window.first().is_some_and(|byte| byte | 0x20 == b'c') && window.eq_ignore_ascii_case(NAME))
        .count()
}

fn headers_of(message: &Message<'_>, raw: &[u8]) -> Vec<(String, String)> {
    let Some(root) = message.parts.first() else { return Vec::new() };
    root.headers
        .iter()
        .map(|header| {
            let value = raw.get(header.offset_start as usize..header.offset_end as usize).unwrap_or_default();
            (header.name.as_str().to_owned(), clean_line(&String::from_utf8_lossy(value), usize::MAX))
        })
        .collect()
}

/// One line, whatever was folded, smuggled or binary in it.
fn clean_line(text: &str, chars_max: usize) -> String {
    let spaced: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(chars_max).collect();
    spaced.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn sender(message: &Message<'_>, headers: &[(String, String)]) -> (Option<EmailAddress>, Option<String>) {
    const NAME_CHARS_MAX: usize = 200;
    for list in [message.from(), message.sender(), message.reply_to()].into_iter().flatten() {
        for one in addresses(list) {
            if let Some(address) = one.address.as_deref().and_then(|text| EmailAddress::parse(text).ok()) {
                let name =
                    one.name.as_deref().map(|name| clean_line(name, NAME_CHARS_MAX)).filter(|name| !name.is_empty());
                return (Some(address), name);
            }
        }
    }
    let return_path = headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("return-path"));
    (return_path.and_then(|(_, value)| EmailAddress::parse(value).ok()), None)
}

fn addresses<'a>(list: &'a Address<'a>) -> Box<dyn Iterator<Item = &'a mail_parser::Addr<'a>> + 'a> {
    match list {
        Address::List(list) => Box::new(list.iter()),
        Address::Group(groups) => Box::new(groups.iter().flat_map(|group| group.addresses.iter())),
    }
}

/// What the receiving server noted comes first: it knows to which address the mail really went.
fn recipients(message: &Message<'_>, headers: &[(String, String)], limits: &MailLimits) -> Vec<EmailAddress> {
    const NOTED: &[&str] =
        &["delivered-to", "x-original-to", "envelope-to", "x-envelope-to", "x-delivered-to", "x-forwarded-to"];
    let noted = headers
        .iter()
        .filter(|(name, _)| NOTED.contains(&name.to_ascii_lowercase().as_str()))
        .flat_map(|(_, value)| value.split(','))
        .filter_map(|value| EmailAddress::parse(value).ok());
    let named = [message.to(), message.cc()]
        .into_iter()
        .flatten()
        .flat_map(addresses)
        .filter_map(|one| one.address.as_deref().and_then(|text| EmailAddress::parse(text).ok()));
    let mut seen = HashSet::new();
    noted.chain(named).filter(|address| seen.insert(address.clone())).take(limits.recipients_max).collect()
}

fn ids(value: &HeaderValue<'_>, limits: &MailLimits) -> Vec<String> {
    let listed: Vec<&str> = match value {
        HeaderValue::Text(text) => vec![text],
        HeaderValue::TextList(list) => list.iter().map(AsRef::as_ref).collect(),
        _ => Vec::new(),
    };
    // The last ones are the nearest in the thread.
    let skipped = listed.len().saturating_sub(limits.references_max);
    listed.into_iter().skip(skipped).filter_map(plausible_id).collect()
}

/// A Message-ID that may serve as a name: one word with an "@" inside, of a sane length.
fn plausible_id(text: &str) -> Option<String> {
    const ID_BYTES: std::ops::RangeInclusive<usize> = 5..=500;
    let id = text.trim().trim_start_matches('<').trim_end_matches('>');
    let (left, right) = id.split_once('@')?;
    let plausible = ID_BYTES.contains(&id.len())
        && !left.is_empty()
        && !right.is_empty()
        && !id.chars().any(|c| c.is_whitespace() || c.is_control() || c == '<' || c == '>');
    plausible.then(|| id.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(raw: &str) -> Result<InboundMail, MailError> {
        parse(raw.as_bytes(), &MailLimits::default())
    }

    fn mail(raw: &str) -> InboundMail {
        read(raw).expect("a mail that can be read")
    }

    const ORDINARY: &str = "Return-Path: <dana@acme.test>\r\nDelivered-To: replies+tok-1@rep.test\r\nMessage-ID: <abc@acme.test>\r\nIn-Reply-To: <send-1@rep.test>\r\nReferences: <send-0@rep.test>\r\n <send-1@rep.test>\r\nFrom: \"Liu, Dana\" <Dana@Acme.test>\r\nTo: Rep <rep@rep.test>, Dana <dana@acme.test>\r\nCc: rep@rep.test\r\nSubject: =?utf-8?Q?Re:_Gr=C3=B6=C3=9Fe?=\r\nDate: Mon, 23 Nov 2026 09:00:00 +0100\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nTuesday at two works.\r\n\r\nOn Sun, Nov 22, 2026 at 9:00 AM Rep <rep@rep.test> wrote:\r\n> When?\r\n";

    #[test]
    fn an_ordinary_reply_is_read_whole() {
        let mail = mail(ORDINARY);
        assert_eq!(mail.message_id.as_deref(), Some("abc@acme.test"));
        assert_eq!(mail.in_reply_to, ["send-1@rep.test"]);
        assert_eq!(mail.references, ["send-0@rep.test", "send-1@rep.test"]);
        assert_eq!(mail.from.as_ref().map(EmailAddress::as_str), Some("dana@acme.test"));
        assert_eq!(mail.from_name.as_deref(), Some("Liu, Dana"));
        let to: Vec<&str> = mail.to.iter().map(EmailAddress::as_str).collect();
        assert_eq!(to, ["replies+tok-1@rep.test", "rep@rep.test", "dana@acme.test"]);
        assert_eq!(mail.plus_token.as_deref(), Some("tok-1"));
        assert_eq!(mail.subject, "Re: Größe");
        assert_eq!(mail.date_ms, Some(1_795_420_800_000));
        assert_eq!(mail.new_text, "Tuesday at two works.");
        assert!(mail.body_text.contains("> When?"));
        assert_eq!(mail.machine, None);
        assert_eq!(mail.attachments, 0);
        assert_eq!(mail.provider_id(ORDINARY.as_bytes()), "abc@acme.test");
    }

    #[test]
    fn a_mail_without_a_usable_id_is_named_by_its_bytes() {
        for id in [
            "",
            "Message-ID: <>\r\n",
            "Message-ID: nonsense\r\n",
            "Message-ID: <a b@c>\r\n",
            &format!("Message-ID: <{}@c.test>\r\n", "a".repeat(600)),
        ] {
            let raw = format!("{id}From: dana@acme.test\r\n\r\nHello\r\n");
            let name = mail(&raw).provider_id(raw.as_bytes());
            assert!(name.starts_with("sha256:") && name.len() == 71, "{id}: {name}");
            assert_eq!(name, raw_id(raw.as_bytes()), "the same bytes have the same name");
        }
    }

    #[test]
    fn html_is_read_where_there_is_no_plain_text_and_where_only_it_shows_the_quote() {
        let only_html = "From: dana@acme.test\r\nContent-Type: text/html; charset=utf-8\r\n\r\n<div>Yes &amp; no</div><blockquote type=\"cite\">old</blockquote>";
        assert_eq!(mail(only_html).new_text, "Yes & no");
        let both = "From: dana@acme.test\r\nMIME-Version: 1.0\r\nContent-Type: multipart/alternative; boundary=b\r\n\r\n--b\r\nContent-Type: text/plain\r\n\r\nYes\r\n\r\nold\r\n--b\r\nContent-Type: text/html\r\n\r\n<div>Yes</div><blockquote type=\"cite\">old</blockquote>\r\n--b--\r\n";
        assert_eq!(mail(both).new_text, "Yes");
        let blank = "From: dana@acme.test\r\nContent-Type: multipart/alternative; boundary=b\r\n\r\n--b\r\nContent-Type: text/plain\r\n\r\n \r\n--b\r\nContent-Type: text/html\r\n\r\n<p>Yes</p>\r\n--b--\r\n";
        assert_eq!(mail(blank).new_text, "Yes");
    }

    #[test]
    fn attachments_are_counted_and_not_read() {
        let raw = "From: dana@acme.test\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: text/plain\r\n\r\nSee the file.\r\n--b\r\nContent-Type: application/pdf\r\nContent-Disposition: attachment; filename=a.pdf\r\nContent-Transfer-Encoding: base64\r\n\r\nSGVsbG8=\r\n--b--\r\n";
        let mail = mail(raw);
        assert_eq!((mail.attachments, mail.new_text.as_str()), (1, "See the file."));
    }

    #[test]
    fn what_is_no_mail_is_refused_with_what_to_do() {
        let limits =
            MailLimits { mail_bytes_max: 2_000, header_bytes_max: 500, mime_parts_max: 5, ..MailLimits::default() };
        let long_header = format!("From: dana@acme.test\r\nX-A: {}\r\n\r\nHi", "a".repeat(600));
        let many_parts = format!("From: dana@acme.test\r\n\r\n{}", "Content-Type: message/rfc822\r\n\r\n".repeat(6));
        for (raw, expected) in [
            (String::new(), MailError::Empty),
            (" \r\n\t".to_owned(), MailError::Empty),
            ("a".repeat(2_001), MailError::TooLarge { bytes: 2_001, limit: 2_000 }),
            (long_header, MailError::HeaderTooLarge { limit: 500 }),
            (many_parts, MailError::TooManyParts { parts: 6, limit: 5 }),
            ("{\"from\": \"dana@acme.test\"}".to_owned(), MailError::NotMail),
            ("just some words".to_owned(), MailError::NotMail),
            ("\u{0}\u{0}\u{0}".to_owned(), MailError::NotMail),
            ("To: rep@rep.test\r\n\r\nHello".to_owned(), MailError::NoSender),
            ("From: Dana\r\nTo: rep@rep.test\r\n\r\nHello".to_owned(), MailError::NoSender),
            ("From: <a@b@c>\r\n\r\nHello".to_owned(), MailError::NoSender),
        ] {
            let found = match parse(raw.as_bytes(), &limits) {
                Ok(mail) => mail.unreadable,
                Err(error) => Some(error),
            };
            assert_eq!(found.as_ref(), Some(&expected), "{raw:?}");
            assert!(expected.to_string().contains("; "), "an error says what to do: {expected}");
        }
    }

    #[test]
    fn of_a_mail_that_cannot_be_taken_apart_the_thread_and_the_words_are_kept() {
        let limits = MailLimits { header_bytes_max: 300, mime_parts_max: 5, ..MailLimits::default() };
        let head = "Message-ID: <m@acme.test>\r\nIn-Reply-To: <send-1@rep.test>\r\nTo: replies+tok@rep.test\r\n";
        for raw in [
            format!("{head}Subject: no sender\r\n\r\nPlease stop.\r\n\r\n> old\r\n"),
            format!("{head}From: dana@acme.test\r\nX-A: {}\r\n\r\nPlease stop.\r\n\r\n> old\r\n", "a".repeat(400)),
            format!("{head}From: dana@acme.test\r\n\r\nPlease stop.\r\n\r\n{}", "> Content-Type: a/b\r\n".repeat(6)),
        ] {
            let mail = parse(raw.as_bytes(), &limits).expect("kept");
            assert!(mail.unreadable.is_some(), "{raw}");
            assert_eq!(mail.in_reply_to, ["send-1@rep.test"], "{raw}");
            assert_eq!(mail.plus_token.as_deref(), Some("tok"), "{raw}");
            assert_eq!(mail.message_id.as_deref(), Some("m@acme.test"), "{raw}");
            assert_eq!(mail.new_text, "Please stop.", "{raw}");
        }
    }

    #[test]
    fn malformed_mail_is_read_as_well_as_it_can_be() {
        for (raw, new_text) in [
            // Line ends: old Macintosh, bare line feeds, mixed.
            (b"From: dana@acme.test\rSubject: x\r\rHello\r".to_vec(), "Hello"),
            (b"From: dana@acme.test\nSubject: x\n\nHello\n".to_vec(), "Hello"),
            (b"From: dana@acme.test\r\nSubject: x\n\r\nHello\r\n".to_vec(), "Hello"),
            // NUL and other controls.
            (b"From: dana@acme.test\r\n\r\nHel\0lo\x07".to_vec(), "Hel lo"),
            // Character sets: unknown, wrong, none.
            (b"From: dana@acme.test\r\nContent-Type: text/plain; charset=klingon\r\n\r\nHello".to_vec(), "Hello"),
            (
                b"From: dana@acme.test\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nGr\xfc\xdfe".to_vec(),
                "Gr\u{fffd}\u{fffd}e",
            ),
            (
                b"From: dana@acme.test\r\nContent-Type: text/plain; charset=iso-8859-1\r\n\r\nGr\xfc\xdfe".to_vec(),
                "Gr\u{fc}\u{df}e",
            ),
            // Encodings: broken quoted-printable, unknown.
            (
                b"From: dana@acme.test\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\nHello=\r\n there".to_vec(),
                "Hello there",
            ),
            (b"From: dana@acme.test\r\nContent-Transfer-Encoding: rot13\r\n\r\nHello".to_vec(), "Hello"),
            // A boundary that never comes, and one that never ends.
            (b"From: dana@acme.test\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\nHello".to_vec(), "Hello"),
            (
                b"From: dana@acme.test\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nHello".to_vec(),
                "Hello",
            ),
            // A header that smuggles another.
            (b"From: dana@acme.test\r\nSubject: =?utf-8?Q?x=0D=0ABcc:_eve@evil.test?=\r\n\r\nHello".to_vec(), "Hello"),
            // No empty line, no body.
            (b"From: dana@acme.test\r\nSubject: x".to_vec(), ""),
            (b"From: dana@acme.test\r\n\r\n".to_vec(), ""),
            // Two senders: the first that is one.
            (b"From: nobody, dana@acme.test\r\n\r\nHello".to_vec(), "Hello"),
            (b"From: Dana\r\nReply-To: dana@acme.test\r\n\r\nHello".to_vec(), "Hello"),
        ] {
            let shown = String::from_utf8_lossy(&raw).into_owned();
            let mail = parse(&raw, &MailLimits::default()).expect("readable");
            assert_eq!(mail.new_text, new_text, "{shown:?}");
            assert_eq!(mail.from.as_ref().map(EmailAddress::as_str), Some("dana@acme.test"), "{shown:?}");
            assert!(!mail.subject.contains(['\r', '\n']), "{shown:?}");
        }
    }

    #[test]
    fn every_beginning_of_a_mail_is_survived() {
        let nested = "From: dana@acme.test\r\nContent-Type: multipart/mixed; boundary=\"a\"\r\n\r\n--a\r\nContent-Type: message/rfc822\r\n\r\nFrom: x@y.test\r\nContent-Type: multipart/digest; boundary=b\r\n\r\n--b\r\n\r\nFrom: z@y.test\r\n\r\nHi\r\n--b--\r\n--a\r\nContent-Type: text/html\r\nContent-Transfer-Encoding: base64\r\n\r\nPGI+SGk8L2I+\r\n--a--\r\n";
        for whole in [ORDINARY, nested] {
            for end in 0..whole.len() {
                let _ = parse(whole.as_bytes().get(..end).unwrap_or_default(), &MailLimits::default());
            }
        }
    }

    #[test]
    fn deep_long_and_wide_mail_is_survived() {
        let limits = MailLimits::default();
        let deep = format!(
            "From: dana@acme.test\r\n{}Hello",
            "Content-Type: message/rfc822\r\n\r\n".repeat(limits.mime_parts_max)
        );
        assert!(parse(deep.as_bytes(), &limits).is_ok());
        let mut digest = "From: dana@acme.test\r\n".to_owned();
        for level in 0..limits.mime_parts_max {
            let _ = write!(digest, "Content-Type: multipart/digest; boundary=b{level}\r\n\r\n--b{level}\r\n\r\n");
        }
        let _ = parse(digest.as_bytes(), &limits);
        let long = format!(
            "From: dana@acme.test\r\n\r\n{}",
            "a line of an ordinary length that says little:\r\n".repeat(10_000)
        );
        let mail = parse(long.as_bytes(), &limits).expect("readable");
        assert!(mail.body_text_shortened && mail.body_text.chars().count() <= limits.text_chars_max);
        let wide = format!(
            "From: dana@acme.test\r\nTo: {}\r\n\r\nHello",
            (0..5_000).map(|at| format!("p{at}@acme.test")).collect::<Vec<_>>().join(", ")
        );
        assert_eq!(parse(wide.as_bytes(), &limits).expect("readable").to.len(), limits.recipients_max);
    }

    #[test]
    fn machines_without_an_address_are_read_too() {
        let raw = "From: MAILER-DAEMON\r\nSubject: failure notice\r\n\r\n<dana@acme.test>:\r\nRemote host said: 550 5.1.1 User unknown\r\n";
        let mail = mail(raw);
        assert_eq!(mail.from, None);
        assert!(matches!(mail.machine, Some(Machine::Bounce { hard: true, .. })), "{:?}", mail.machine);
    }

    /// Mails of real machines; where they come from and under which licence stands beside them.
    #[test]
    fn real_machine_mail_is_told_apart() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/data/machines/sisimai");
        for (file, expected) in [
            ("arf-01.eml", "complaint"),
            ("lhost-dragonfly-12.eml", "soft"),
            ("lhost-exchange2007-01.eml", "hard"),
            ("lhost-exim-01.eml", "soft"),
            ("lhost-gmail-16.eml", "soft"),
            ("lhost-office365-01.eml", "hard"),
            ("lhost-postfix-28.eml", "soft"),
            ("lhost-qmail-16.eml", "hard"),
            ("lhost-sendmail-10.eml", "soft"),
            ("rfc3834-01.eml", "auto_reply"),
        ] {
            let raw = std::fs::read(folder.join(file)).expect("the file is in the repository");
            let found = match parse(&raw, &MailLimits::default()).expect("readable").machine {
                Some(Machine::Bounce { hard, address, .. }) => {
                    assert!(address.is_some(), "{file} names the address");
                    if hard { "hard" } else { "soft" }
                }
                Some(Machine::Complaint { .. }) => "complaint",
                Some(Machine::AutoReply { .. }) => "auto_reply",
                None => "a person",
            };
            assert_eq!(found, expected, "{file}");
        }
    }
}
