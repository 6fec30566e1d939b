//! Complaints in the Abuse Reporting Format (RFC 5965).
//! It must never take a report about our own authentication (DMARC) for a lead's complaint.

use super::{Evidence, Machine, field, first_address};

pub(super) fn detect(evidence: &Evidence<'_>) -> Option<Machine> {
    if evidence.header("X-Apple-Unsubscribe").is_some_and(|value| value.eq_ignore_ascii_case("true")) {
        let why = "Apple Mail asks to unsubscribe for its user".to_owned();
        return Some(Machine::Complaint { feedback: "opt-out".to_owned(), address: first_address(evidence.from), why });
    }
    let report = evidence.part("message/feedback-report").map(|part| part.text.as_str());
    let Some(report) = report else { return without_report(evidence) };
    let feedback = field(report, "Feedback-Type").map_or_else(|| "abuse".to_owned(), |kind| kind.to_lowercase());
    let address = ["Original-Rcpt-To", "Removal-Recipient", "Redacted-Address"]
        .iter()
        .find_map(|name| field(report, name))
        .and_then(|value| first_address(&value))
        .or_else(|| returned_recipient(evidence));
    let why = match feedback.as_str() {
        "auth-failure" => "a report about failed authentication (RFC 6591)",
        "not-spam" => "a report that a mail was no spam",
        "opt-out" | "opt-out-list" => "the provider passes on that the recipient wants no more mail",
        _ => "a feedback report (RFC 5965): the recipient marked a mail as spam",
    };
    if matches!(feedback.as_str(), "auth-failure" | "not-spam") {
        return Some(Machine::AutoReply { why: why.to_owned() });
    }
    Some(Machine::Complaint { feedback, address, why: why.to_owned() })
}

/// Some providers send the text of a report without its part.
fn without_report(evidence: &Evidence<'_>) -> Option<Machine> {
    let says_so = ["this is an email abuse report", "this is an e-mail abuse report", "complaint about message from"];
    let text = evidence
        .parts
        .iter()
        .find(|part| part.content_type == "text/plain")
        .map_or(evidence.new_text, |part| part.text.as_str());
    let start: String = text.chars().take(600).collect::<String>().to_lowercase();
    let subject = evidence.subject.to_lowercase();
    let returned = evidence.part("message/rfc822").is_some() || evidence.part("text/rfc822-headers").is_some();
    let told = says_so.iter().any(|words| start.contains(words) || subject.contains(words));
    (told && returned).then(|| Machine::Complaint {
        feedback: "abuse".to_owned(),
        address: returned_recipient(evidence),
        why: "a report of abuse with the mail it is about".to_owned(),
    })
}

fn returned_recipient(evidence: &Evidence<'_>) -> Option<String> {
    let returned = evidence.part("message/rfc822").or_else(|| evidence.part("text/rfc822-headers"))?;
    field(&returned.text, "To").and_then(|value| first_address(&value))
}
