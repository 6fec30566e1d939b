//! Knows mail that no person wrote: auto-replies, bounces and complaints, by headers, MIME parts and wording.
//! It must never take a person for a machine because one word fits ("I will be out of the office on Friday, call me
//! Monday"): wording counts only when several signs agree. It decides nothing; suppressing and rescheduling are others' work.

mod auto_reply;
mod bounce;
mod bounce_reason;
mod complaint;

use serde::{Deserialize, Serialize};

/// What kind of machine wrote a mail, with what it says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Machine {
    AutoReply {
        why: String,
    },
    /// A mail of ours did not arrive. `hard` means that it never will at this address.
    Bounce {
        hard: bool,
        address: Option<String>,
        /// The enhanced status code, such as "5.1.1".
        status: Option<String>,
        why: String,
    },
    /// The recipient's provider passes on that the recipient marked a mail as spam.
    Complaint {
        /// The feedback type of RFC 5965, such as "abuse".
        feedback: String,
        address: Option<String>,
        why: String,
    },
}

/// A MIME part with its decoded text; for a nested message the text is its header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MailPart {
    /// Lower case, without parameters: "message/delivery-status".
    pub content_type: String,
    pub text: String,
}

/// All that is known about a mail when its author is to be judged.
#[derive(Clone, Copy, Debug)]
pub struct Evidence<'a> {
    /// Name and unfolded value, in the order of the mail.
    pub headers: &'a [(String, String)],
    /// The From header as shown: name and address.
    pub from: &'a str,
    pub subject: &'a str,
    /// The new text of the reply.
    pub new_text: &'a str,
    pub parts: &'a [MailPart],
}

impl Evidence<'_> {
    fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
    }

    fn part(&self, content_type: &str) -> Option<&MailPart> {
        self.parts.iter().find(|part| part.content_type == content_type)
    }
}

/// Complaints first, since they quote bounces and mails; auto-replies last, since bounces carry their headers too.
#[must_use]
pub fn detect(evidence: &Evidence<'_>) -> Option<Machine> {
    complaint::detect(evidence).or_else(|| bounce::detect(evidence)).or_else(|| auto_reply::detect(evidence))
}

/// Whether a mail server's refusal of a recipient says that there is no such mailbox or domain.
#[must_use]
pub fn refusal_is_hard(answer: &str) -> bool {
    bounce_reason::judge(answer, "", None).0
}

/// The value of a "Name: value" line, as reports hold them; continuation lines are joined.
fn field(text: &str, name: &str) -> Option<String> {
    let mut lines = text.lines().peekable();
    while let Some(line) = lines.next() {
        let Some((key, value)) = line.split_once(':') else { continue };
        if !key.trim().eq_ignore_ascii_case(name) {
            continue;
        }
        let mut value = value.trim().to_owned();
        while let Some(more) = lines.next_if(|next| next.starts_with([' ', '\t']) && !next.trim().is_empty()) {
            value.push(' ');
            value.push_str(more.trim());
        }
        return Some(value);
    }
    None
}

/// The first e-mail address in a piece of text, lower-cased.
fn first_address(text: &str) -> Option<String> {
    const CANDIDATES_MAX: usize = 50;
    text.split(|c: char| c.is_whitespace() || "<>()[]\",;:|".contains(c))
        .filter(|word| word.contains('@'))
        .take(CANDIDATES_MAX)
        .find_map(|word| crate::address::EmailAddress::parse(word.trim_matches(|c: char| !c.is_alphanumeric())).ok())
        .map(|address| address.as_str().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(
        headers: &[(&str, &str)],
        from: &str,
        subject: &str,
        text: &str,
        parts: &[(&str, &str)],
    ) -> Option<Machine> {
        let headers: Vec<(String, String)> =
            headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let parts: Vec<MailPart> = parts
            .iter()
            .map(|(kind, text)| MailPart { content_type: (*kind).to_owned(), text: (*text).to_owned() })
            .collect();
        detect(&Evidence { headers: &headers, from, subject, new_text: text, parts: &parts })
    }

    fn person(subject: &str, text: &str) -> Option<Machine> {
        judged(&[], "Dana Liu <dana@acme.test>", subject, text, &[])
    }

    #[test]
    fn headers_of_machines_are_enough() {
        for (name, value) in [
            ("Auto-Submitted", "auto-replied"),
            ("auto-submitted", "auto-generated; owner-email=\"x\""),
            ("X-Autoreply", "yes"),
            ("X-Autorespond", "vacation"),
            ("Precedence", "auto_reply"),
            ("X-POST-MessageClass", "9; Autoresponder"),
            ("Return-Path", "<>"),
        ] {
            let found = judged(&[(name, value)], "Dana <dana@acme.test>", "Hello", "Gone fishing.", &[]);
            assert!(matches!(found, Some(Machine::AutoReply { .. })), "{name}: {value}");
        }
    }

    #[test]
    fn headers_that_people_carry_too_are_not_enough() {
        for (name, value) in [
            ("Auto-Submitted", "no"),
            ("Precedence", "bulk"),
            ("Precedence", "list"),
            ("X-Auto-Response-Suppress", "OOF"),
            ("Return-Path", "<dana@acme.test>"),
            ("X-Autoreply", "no"),
        ] {
            assert_eq!(
                judged(&[(name, value)], "Dana <dana@acme.test>", "Re: Offer", "Tuesday at two works.", &[]),
                None,
                "{name}: {value}"
            );
        }
        let away = "I am out of the office.";
        let hinted = judged(&[("X-Auto-Response-Suppress", "All")], "Dana <dana@acme.test>", "Re: Offer", away, &[]);
        assert!(hinted.is_some(), "the header and the wording together are");
    }

    #[test]
    fn subjects_of_auto_replies_are_enough_unless_somebody_answers_them() {
        for subject in [
            "Automatic reply: Offer",
            "Out of Office: Offer",
            "Automatische Antwort: Angebot",
            "Abwesenheitsnotiz: Angebot",
            "Réponse automatique : Offre",
            "Respuesta automática: Oferta",
            "Risposta automatica: Offerta",
            "Automatisch antwoord: Offerte",
            "Autosvar: Offert",
        ] {
            assert!(person(subject, "Back on Monday.").is_some(), "{subject}");
        }
        for subject in [
            "Re: Automatic reply: Offer",
            "AW: Abwesenheitsnotiz",
            "Automatic gates for our car park",
            "Re: your vacation policy",
        ] {
            assert_eq!(person(subject, "Tell me more."), None, "{subject}");
        }
    }

    #[test]
    fn wording_counts_where_several_signs_agree() {
        for text in [
            "Thank you for your email. I am out of the office until Monday with limited access to email. For urgent matters contact sam@acme.test.",
            "This is an automated response. We have received your request.",
            "This mailbox is not monitored.",
            "Ich bin bis zum 5. Januar nicht im Büro. In dringenden Fällen wenden Sie sich bitte an Sam.",
            "Je suis actuellement absente du bureau. En cas d'urgence, merci de contacter Sam.",
            "Gracias por su mensaje. Estoy fuera de la oficina hasta el lunes. Para asuntos urgentes escriba a Sam.",
            "Your ticket #48213 has been created. Our team answers within two business days.",
        ] {
            assert!(matches!(person("Re: Offer", text), Some(Machine::AutoReply { .. })), "{text}");
        }
    }

    #[test]
    fn a_person_who_is_away_is_no_machine() {
        for text in [
            "I will be out of the office on Friday, call me Monday.",
            "I'm travelling this week, let's talk on Monday.",
            "I'm out of the office today but happy to talk tomorrow at three.",
            "Thanks for your email. Tuesday at two works.",
            "Thank you for the offer, we will get back to you when the budget is there.",
            "I'm on holiday next week, can we do the one after?",
            "The infrastructure mailbox is read by his deputy.",
            "My colleague is on parental leave, so I decide now.",
            "Urgent: please contact me today.",
        ] {
            assert_eq!(person("Re: Offer", text), None, "{text}");
        }
    }

    #[test]
    fn delivery_reports_say_hard_or_soft_with_the_address() {
        let report = |status: &str, diagnostic: &str, action: &str| {
            let text = format!(
                "Reporting-MTA: dns; mx.acme.test\n\nFinal-Recipient: rfc822; Dana@acme.test\nAction: {action}\nStatus: {status}\nDiagnostic-Code: smtp; {diagnostic}\n"
            );
            judged(
                &[],
                "MAILER-DAEMON@mx.acme.test",
                "Undelivered Mail Returned to Sender",
                "",
                &[("text/plain", "Sorry."), ("message/delivery-status", &text)],
            )
        };
        for (status, diagnostic, action, expected) in [
            ("5.1.1", "550 5.1.1 User unknown", "failed", true),
            ("5.0.0", "550 5.1.1 <dana@acme.test>: Recipient not found", "failed", true),
            ("5.1.2", "550 Host unknown", "failed", true),
            ("5.5.0", "550 Unknown user", "failed", true),
            ("5.4.1", "550 5.4.1 Recipient address rejected: Access denied", "failed", true),
            ("5.2.2", "552 5.2.2 Mailbox full", "failed", false),
            ("5.7.1", "554 5.7.1 Message refused as spam", "failed", false),
            ("5.7.26", "550 5.7.26 This mail is unauthenticated, DMARC", "failed", false),
            ("4.4.1", "connection timed out", "failed", false),
            ("5.3.4", "552 message too large", "failed", false),
            ("4.1.1", "450 4.1.1 User unknown", "failed", false),
            ("5.1.1", "550 User unknown", "delayed", false),
        ] {
            let Some(Machine::Bounce { hard, address, .. }) = report(status, diagnostic, action) else {
                panic!("a bounce: {diagnostic}")
            };
            assert_eq!(
                (hard, address.as_deref()),
                (expected, Some("dana@acme.test")),
                "{status} {diagnostic} {action}"
            );
        }
        assert!(
            matches!(report("2.0.0", "250 ok", "delivered"), Some(Machine::AutoReply { .. })),
            "a report of success is no bounce"
        );
    }

    #[test]
    fn free_forms_of_mail_servers_are_bounces() {
        let qmail = "Hi. This is the qmail-send program at mx.acme.test.\nI'm afraid I wasn't able to deliver your message to the following addresses.\n\n<dana@acme.test>:\n192.0.2.1 does not like recipient.\nRemote host said: 550 5.1.1 User unknown\n\n--- Below this line is a copy of the message.\n\nmailbox full";
        let found = judged(&[("Return-Path", "<>")], "MAILER-DAEMON@mx.acme.test", "failure notice", qmail, &[]);
        assert!(
            matches!(found, Some(Machine::Bounce { hard: true, address: Some(ref address), .. }) if address == "dana@acme.test"),
            "{found:?}"
        );
        let full = judged(
            &[("X-Failed-Recipients", "dana@acme.test")],
            "mailer-daemon@mx.acme.test",
            "Mail delivery failed",
            "The mailbox is full",
            &[],
        );
        assert!(matches!(full, Some(Machine::Bounce { hard: false, .. })));
    }

    #[test]
    fn a_person_who_talks_about_bounces_is_no_bounce() {
        for text in [
            "Your last mail bounced, please resend it to dana@acme.test.",
            "We see 550 5.1.1 user unknown errors with our current tool, does yours fix that?",
        ] {
            assert_eq!(person("Re: undelivered mail at our end", text), None, "{text}");
        }
    }

    #[test]
    fn complaints_are_told_from_other_reports() {
        let arf = |kind: &str| {
            let report =
                format!("Feedback-Type: {kind}\nUser-Agent: Test/1\nVersion: 1\nOriginal-Rcpt-To: <dana@acme.test>\n");
            judged(
                &[],
                "fbl@acme.test",
                "FW: Offer",
                "",
                &[
                    ("text/plain", "This is a report."),
                    ("message/feedback-report", &report),
                    ("message/rfc822", "To: dana@acme.test\n"),
                ],
            )
        };
        assert!(
            matches!(arf("abuse"), Some(Machine::Complaint { address: Some(ref address), .. }) if address == "dana@acme.test")
        );
        assert!(
            matches!(arf("auth-failure"), Some(Machine::AutoReply { .. })),
            "a report about our own domain is nobody's complaint"
        );
        let apple = judged(
            &[("X-Apple-Unsubscribe", "true"), ("Auto-Submitted", "auto-replied")],
            "Dana <dana@acme.test>",
            "unsubscribe",
            "",
            &[],
        );
        assert!(matches!(apple, Some(Machine::Complaint { ref feedback, .. }) if feedback == "opt-out"));
    }
}
