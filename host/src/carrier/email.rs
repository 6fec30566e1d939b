//! Builds the bytes of an e-mail once; they are frozen in the outbox and leave as they are.
//! It must never build a message without a postal address and a way out in it.

use lettre::message::header::{self, ContentTransferEncoding, ContentType, Header, HeaderName, HeaderValue};
use lettre::message::{Mailbox, MultiPart, SinglePart};
use lettre::{Address, Message};
use rejoinder_playbook::address::EmailAddress;
use rejoinder_playbook::playbook::Playbook;
use std::str::FromStr as _;
use std::time::{Duration, UNIX_EPOCH};

/// What goes into one e-mail.
#[derive(Clone, Debug)]
pub struct Email<'a> {
    pub playbook: &'a Playbook,
    pub to: &'a EmailAddress,
    pub to_name: &'a str,
    pub subject: &'a str,
    /// The text without the footer.
    pub body: &'a str,
    /// Without angle brackets.
    pub message_id: &'a str,
    /// Behind the plus sign of the address that answers come back to.
    pub reply_token: &'a str,
    /// The message this one answers, and those before it, without angle brackets, oldest first.
    pub references: &'a [String],
    /// Where the lead can get off; acts on POST without signing in.
    pub unsubscribe_url: &'a str,
    pub date_ms: i64,
}

#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum EmailError {
    #[error("the address {0} cannot be written into an e-mail; correct the lead's address")]
    Address(String),
    #[error("the e-mail cannot be built: {0}")]
    Build(String),
}

macro_rules! text_header {
    ($type:ident, $name:literal) => {
        #[derive(Clone, Debug)]
        struct $type(String);
        impl Header for $type {
            fn name() -> HeaderName {
                HeaderName::new_from_ascii_str($name)
            }
            fn parse(text: &str) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
                Ok(Self(text.to_owned()))
            }
            fn display(&self) -> HeaderValue {
                HeaderValue::new(Self::name(), self.0.clone())
            }
        }
    };
}

text_header!(ListUnsubscribe, "List-Unsubscribe");
text_header!(ListUnsubscribePost, "List-Unsubscribe-Post");

/// The bytes that leave.
pub fn build(email: &Email<'_>) -> Result<Vec<u8>, EmailError> {
    let playbook = email.playbook;
    let sender = &playbook.sender;
    let mailbox = |name: &str, address: &str| -> Result<Mailbox, EmailError> {
        let address = Address::from_str(address).map_err(|_| EmailError::Address(address.to_owned()))?;
        let name = single_line(name);
        Ok(Mailbox::new((!name.is_empty()).then_some(name), address))
    };
    let reply_to = format!("{}+{}@{}", sender.address.local_part(), email.reply_token, sender.address.domain());
    let seconds = u64::try_from(email.date_ms / 1000).unwrap_or_default();
    let mut builder = Message::builder()
        .from(mailbox(&sender.name, sender.address.as_str())?)
        .to(mailbox(email.to_name, email.to.as_str())?)
        .reply_to(mailbox(&sender.name, &reply_to)?)
        .subject(single_line(email.subject))
        .date(UNIX_EPOCH + Duration::from_secs(seconds))
        .message_id(Some(format!("<{}>", email.message_id)))
        .header(ListUnsubscribe(format!("<{}>", email.unsubscribe_url)))
        .header(ListUnsubscribePost("List-Unsubscribe=One-Click".to_owned()));
    if let Some(answered) = email.references.last() {
        let chain: Vec<String> = email.references.iter().map(|id| format!("<{id}>")).collect();
        builder = builder
            .header(header::InReplyTo::from(format!("<{answered}>")))
            .header(header::References::from(chain.join(" ")));
    }
    let footer = format!("{}\nYou can stop these e-mails here: {}", playbook.postal_address, email.unsubscribe_url);
    let text = format!("{}\n\n-- \n{footer}\n", email.body.trim_end());
    let message = builder
        .multipart(
            MultiPart::alternative()
                .singlepart(
                    SinglePart::builder()
                        .header(ContentType::TEXT_PLAIN)
                        .header(ContentTransferEncoding::QuotedPrintable)
                        .body(text),
                )
                .singlepart(
                    SinglePart::builder()
                        .header(ContentType::TEXT_HTML)
                        .header(ContentTransferEncoding::QuotedPrintable)
                        .body(html(email.body, playbook, email.unsubscribe_url)),
                ),
        )
        .map_err(|error| EmailError::Build(error.to_string()))?;
    Ok(message.formatted())
}

/// One line: what a header may hold.
fn single_line(text: &str) -> String {
    text.split(|character: char| character.is_control()).collect::<Vec<_>>().join(" ").trim().to_owned()
}

fn html(body: &str, playbook: &Playbook, unsubscribe_url: &str) -> String {
    let paragraphs: String = body
        .trim_end()
        .split("\n\n")
        .map(|paragraph| format!("<p>{}</p>\n", escape(paragraph).replace('\n', "<br>\n")))
        .collect();
    format!(
        "<!doctype html>\n<html><body>\n{paragraphs}<p><small>{}<br>\n<a href=\"{}\">Stop these e-mails</a></small></p>\n</body></html>\n",
        escape(&playbook.postal_address),
        escape(unsubscribe_url)
    )
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
