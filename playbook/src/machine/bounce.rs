//! Bounces: delivery status notifications (RFC 3464) and the free forms of mail servers, with the address that failed.
//! It must never take a person's mail for a bounce because one word fits, and never name an address of ours as the one
//! that failed.

use std::sync::LazyLock;

use regex::Regex;

use super::bounce_reason::judge;
use super::{Evidence, Machine, field, first_address};

const NOTICE_CHARS_MAX: usize = 20_000;

const DAEMONS: &[&str] = &[
    "mailer-daemon",
    "mailer daemon",
    "mailerdaemon",
    "postmaster",
    "mail delivery",
    "mail.delivery.system",
    "maildelivery",
    "delivery subsystem",
    "mail administrator",
    "mail system",
    "mailsystem",
    "bounce@",
    "bounces@",
    "mailer_daemon",
    "mdaemon",
    "system administrator",
    "systemadministrator",
];

const SUBJECTS: &[&str] = &[
    "undeliver",
    "undelivered",
    "delivery status notification",
    "delivery failure",
    "delivery failed",
    "delivery has failed",
    "delivery notification",
    "mail delivery fail",
    "failure notice",
    "failure delivery",
    "returned mail",
    "returned to sender",
    "return to sender",
    "delivery report",
    "mail could not be delivered",
    "message could not be delivered",
    "non-deliver",
    "nondeliver",
    "not delivered",
    "cannot deliver",
    "could not send message",
    "failed to deliver",
    "delivery problem",
    "delivery error",
    "error sending",
    "mail system error",
    "message delivery failure",
    "warning: message",
    "delayed mail",
    "delivery delayed",
    "delivery status",
    "rejected mail",
    "mail rejected",
    "bounced mail",
    "user unknown",
    "unzustellbar",
    "nicht zugestellt",
    "unzustellbarkeitsbericht",
    "fehlgeschlagen",
    "zustellung",
    "non remis",
    "non délivré",
    "échec de la remise",
    "echec de remise",
    "échec de",
    "no se puede entregar",
    "no se ha podido entregar",
    "no entregado",
    "error de entrega",
    "mancato recapito",
    "impossibile recapitare",
    "niet bezorgd",
    "onbestelbaar",
    "não entregue",
    "niedostarczon",
    "kunde inte levereras",
    "kunne ikke leveres",
    "не доставлено",
    "недоставленное",
    "メールエラー",
    "配信",
    "失敗",
    "エラー",
    "永久失败",
    "退信",
    "postmaster notify",
    "deferred mail",
    "message status",
    "considered unsolicited bulk",
    "banned contents",
    "email not sent",
    "message blocked",
    "mail not delivered",
];

const BODIES: &[&str] = &[
    "could not be delivered",
    "couldn't be delivered",
    "was not delivered",
    "wasn't delivered",
    "not been delivered",
    "unable to deliver",
    "wasn't able to deliver",
    "was not able to deliver",
    "cannot be delivered",
    "can't be delivered",
    "failed to deliver",
    "delivery to the following",
    "delevery to the following",
    "delivery failed",
    "delivery has failed",
    "undeliverable",
    "undelivered",
    "did not reach the following",
    "permanent fatal error",
    "permanent error",
    "could not deliver",
    "could not be sent",
    "did not like our",
    "error delivering your mail",
    "returned to you",
    "returned to sender",
    "user unknown",
    "mailbox is full",
    "mailbox full",
    "no such user",
    "address rejected",
    "unknown user",
    "invalid recipient",
    "invalid address",
    "account is disabled",
    "recipients failed",
    "following addresses",
    "following address",
    "following recipients",
    "transcript of session",
    "permission to post messages to the group",
    "delayed",
    "not accept",
    "message was rejected",
    "has been rejected",
    "was blocked",
    "konnte nicht zugestellt",
    "nicht zugestellt werden",
    "n'a pas pu être remis",
    "n'a pas pu être délivré",
    "no se ha podido entregar",
    "no se pudo entregar",
    "non è stato possibile recapitare",
    "kon niet worden bezorgd",
    "не может быть доставлено",
    "送信できませんでした",
    "送信に失敗",
    "配信できません",
    "配信されません",
    "ありませんでした",
    "doesn't have a",
    "reason:",
    "failure reasons",
    "unrouteable",
];

/// Where the mail that comes back begins; what stands below is our own text.
const RETURNED: &[&str] = &[
    "--- below this line is a copy",
    "------ this is a copy",
    "----- original message",
    "--- original message",
    "----- message header follows",
    "message headers follow",
    "----- unsent message follows",
    "--- the header of the original",
    "------- returned message",
    "-------original message",
    "--- returned",
    "original message follows",
    "\nreceived: from ",
    "\nreceived: by ",
    "\nreceived:from ",
    "\nreturn-path: ",
    "------ forwarded message",
    "--- the headers of the original",
    "--- undelivered message",
    "----- header of",
    "\ndkim-signature:",
];

static STATUS: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"(?:^|[^\d.])([45]\.\d{1,2}\.\d{1,3})(?:[^\d.]|\.(?:\D|$)|$)")
        .expect("the pattern of status codes is valid")
});
static REPLY: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"(?:^|[\s:(<\[>])([45]\d\d)[ \-:]").expect("the pattern of reply codes is valid"));

pub(super) fn detect(evidence: &Evidence<'_>) -> Option<Machine> {
    let notice = notice(evidence);
    if let Some(found) = by_report(evidence, &notice) {
        return Some(found);
    }
    by_wording(evidence, &notice)
}

/// The words of the server, without the mail that comes back.
fn notice(evidence: &Evidence<'_>) -> String {
    let told = evidence
        .parts
        .iter()
        .filter(|part| {
            part.content_type == "text/plain"
                || part.content_type == "text/html"
                || part.content_type.starts_with("multipart/")
        })
        .map(|part| part.text.as_str())
        .take(2)
        .collect::<Vec<_>>()
        .join("\n");
    let told = if told.trim().is_empty() { evidence.new_text } else { &told };
    let lower = told.chars().take(NOTICE_CHARS_MAX).collect::<String>().to_lowercase().replace('’', "'");
    let end = RETURNED.iter().filter_map(|mark| lower.find(mark)).min().unwrap_or(lower.len());
    let own = lower.get(..end).unwrap_or_default();
    // A notice that begins with the returned mail says nothing before it.
    if own.trim().len() < 20 { lower } else { own.to_owned() }
}

fn by_report(evidence: &Evidence<'_>, notice: &str) -> Option<Machine> {
    // Where a mail server broke the boundaries, the report stands in the middle of a text.
    let report = evidence
        .part("message/delivery-status")
        .or_else(|| evidence.part("message/global-delivery-status"))
        .or_else(|| {
        evidence.parts.iter().find(|part| {
            !part.content_type.starts_with("message/")
                && part.text.contains("\nFinal-Recipient:")
                && part.text.contains("\nAction:")
        })
    })?;
    let mut delayed = None;
    let mut arrived = false;
    for group in groups(&report.text) {
        let recipient =
            ["Final-Recipient", "Original-Recipient", "X-Actual-Recipient"].iter().find_map(|name| field(group, name));
        let action = field(group, "Action").unwrap_or_default().to_lowercase();
        let status = field(group, "Status").and_then(|value| status_in(&value));
        let diagnostic = field(group, "Diagnostic-Code").unwrap_or_default();
        if recipient.is_none() && action.is_empty() && status.is_none() {
            continue;
        }
        if action.starts_with("delivered") || action.starts_with("relayed") || action.starts_with("expanded") {
            arrived = true;
            continue;
        }
        let address = recipient
            .as_deref()
            .map(|value| value.rsplit(';').next().unwrap_or(value))
            .and_then(first_address)
            .or_else(|| address_in(evidence, notice));
        let in_diagnostic = status_in(&diagnostic);
        // "5.0.0" and "4.0.0" say nothing; the diagnostic often does.
        let status = match (status, in_diagnostic) {
            (Some(given), Some(better)) if given.ends_with(".0.0") => Some(better),
            (Some(given), _) => Some(given),
            (None, other) => other,
        };
        let late = action.starts_with("delayed");
        let (hard, why) = judge(&diagnostic.to_lowercase(), notice, status.as_deref());
        let hard = hard && !late;
        let why = if late { "delivery is delayed".to_owned() } else { why };
        let found = Machine::Bounce { hard, address, status, why };
        if !late {
            return Some(found);
        }
        delayed.get_or_insert(found);
    }
    if delayed.is_some() {
        return delayed;
    }
    if arrived {
        return Some(Machine::AutoReply { why: "a report that our mail arrived (RFC 3464)".to_owned() });
    }
    let (hard, why) = judge("", notice, status_in(notice).as_deref());
    Some(Machine::Bounce { hard, address: address_in(evidence, notice), status: status_in(notice), why })
}

/// The groups of fields in a report, separated by empty lines.
fn groups(report: &str) -> impl Iterator<Item = &str> {
    let blank_lines = if report.contains("\r\n\r\n") { "\r\n\r\n" } else { "\n\n" };
    report.split(blank_lines).filter(|group| !group.trim().is_empty())
}

fn by_wording(evidence: &Evidence<'_>, notice: &str) -> Option<Machine> {
    let from = evidence.from.to_lowercase();
    let subject = evidence.subject.to_lowercase();
    let daemon = DAEMONS.iter().any(|name| from.contains(name));
    let null_sender = evidence.header("Return-Path").is_some_and(|value| value.replace(' ', "") == "<>");
    let failed_header = evidence.header("X-Failed-Recipients").is_some();
    let about = SUBJECTS.iter().any(|words| subject.contains(words));
    let told = BODIES.iter().any(|words| notice.contains(words));
    let coded = status_in(notice).is_some() || REPLY.is_match(notice);
    let answers_a_person = subject.starts_with("re:")
        || subject.starts_with("aw:")
        || evidence.header("Auto-Submitted").is_some_and(|value| value.to_lowercase().starts_with("auto-replied"));
    let bounced = failed_header
        || (daemon && (about || told || coded))
        || (null_sender && about && (told || coded))
        || (about && told && coded && !answers_a_person)
        || (about && told && evidence.part("message/rfc822").is_some());
    if !bounced || (answers_a_person && !daemon && !failed_header) {
        return None;
    }
    let status = status_in(notice);
    let (hard, why) = judge("", notice, status.as_deref());
    Some(Machine::Bounce { hard, address: address_in(evidence, notice), status, why })
}

fn status_in(text: &str) -> Option<String> {
    STATUS.captures(text).and_then(|found| found.get(1)).map(|code| code.as_str().to_owned())
}

fn address_in(evidence: &Evidence<'_>, notice: &str) -> Option<String> {
    if let Some(address) = evidence.header("X-Failed-Recipients").and_then(first_address) {
        return Some(address);
    }
    let from = first_address(evidence.from);
    let to = evidence.header("To").and_then(first_address);
    let returned_to = evidence
        .part("message/rfc822")
        .or_else(|| evidence.part("text/rfc822-headers"))
        .and_then(|part| field(&part.text, "To"))
        .and_then(|value| first_address(&value));
    let in_notice = notice
        .split(|c: char| c.is_whitespace() || c == '<' || c == '>' || c == ':' || c == ',')
        .filter(|word| word.contains('@'))
        .take(20)
        .filter_map(first_address)
        .find(|address| {
            Some(address) != from.as_ref()
                && Some(address) != to.as_ref()
                && !address.starts_with("postmaster@")
                && !address.starts_with("mailer-daemon@")
        });
    in_notice.or(returned_to)
}
