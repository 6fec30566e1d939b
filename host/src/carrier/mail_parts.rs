//! The parts of a mail: which of them is the text that a reader sees, and what the recognition of machines gets to see.
//! It must never read an attachment, and never take more text than the limits allow.

use super::inbound::MailLimits;
use mail_parser::{Message, MessagePart, MimeHeaders, PartType};
use rejoinder_playbook::cut::{self, Cut};
use rejoinder_playbook::machine::MailPart;

/// The text that a reader sees, whether it was shortened, and its cut. Plain text is preferred; HTML is taken where there
/// is no plain text, or where only it shows what is quoted.
pub(super) fn body(message: &Message<'_>, limits: &MailLimits) -> (String, bool, Cut) {
    let part = |id: &u32| message.parts.get(*id as usize);
    let joined = |pieces: Vec<&str>| pieces.join("\n");
    let plain = joined(
        message
            .text_body
            .iter()
            .filter_map(part)
            .filter_map(|part| if let PartType::Text(text) = &part.body { Some(text.as_ref()) } else { None })
            .collect(),
    );
    let html = joined(
        message
            .html_body
            .iter()
            .filter_map(part)
            .filter_map(|part| if let PartType::Html(text) = &part.body { Some(text.as_ref()) } else { None })
            .collect(),
    );
    // Where boundaries are broken the text stands in parts that count as no body, or in no part at all.
    let stray = message.parts.iter().find_map(|part| match &part.body {
        PartType::Text(text) if !part.content_disposition().is_some_and(|kind| kind.is_attachment()) => {
            Some(text.as_ref()).filter(|text| !text.trim().is_empty())
        }
        _ => None,
    });
    let plain = match stray {
        Some(stray) if plain.trim().is_empty() && html.trim().is_empty() => stray.to_owned(),
        _ => plain,
    };
    let (plain, plain_shortened) = shortened(&plain, limits.text_chars_max);
    // Tags take room: the same text needs several times its length in HTML.
    let (html, html_shortened) = shortened(&html, limits.text_chars_max.saturating_mul(5));

    let from_html = || (cut::text_of_html(html), html_shortened, cut::cut_html(html));
    if plain.trim().is_empty() && !html.trim().is_empty() {
        return from_html();
    }
    let cut = cut::cut(plain);
    if !cut.found_history() && !html.trim().is_empty() {
        let other = cut::cut_html(html);
        if other.found_history() && !other.new_text.is_empty() {
            return (plain.trim().to_owned(), plain_shortened, other);
        }
    }
    (plain.trim().to_owned(), plain_shortened, cut)
}

pub(super) fn shortened(text: &str, chars_max: usize) -> (&str, bool) {
    match text.char_indices().nth(chars_max) {
        Some((end, _)) => (text.get(..end).unwrap_or_default(), true),
        None => (text, false),
    }
}

/// The parts as the recognition of machines wants them; of a nested mail only the header.
pub(super) fn machine_parts(message: &Message<'_>, limits: &MailLimits) -> Vec<MailPart> {
    const PARTS_MAX: usize = 20;
    message.parts.iter().take(PARTS_MAX).filter_map(|part| machine_part(part, limits)).collect()
}

fn machine_part(part: &MessagePart<'_>, limits: &MailLimits) -> Option<MailPart> {
    let declared = part.content_type().map(|kind| match kind.subtype() {
        Some(subtype) => format!("{}/{subtype}", kind.ctype()).to_lowercase(),
        None => kind.ctype().to_lowercase(),
    });
    let (fallback, text) = match &part.body {
        PartType::Text(text) => ("text/plain", shortened(text, limits.text_chars_max).0.to_owned()),
        PartType::Html(text) => ("text/html", cut::text_of_html(shortened(text, limits.text_chars_max).0)),
        PartType::Binary(bytes) | PartType::InlineBinary(bytes) => {
            // Reports are text under the name "message"; pictures are of no use here.
            let kind = declared.as_deref().unwrap_or_default();
            if !(kind.starts_with("message/") || kind.starts_with("text/")) {
                return None;
            }
            ("text/plain", shortened(&String::from_utf8_lossy(bytes), limits.text_chars_max).0.to_owned())
        }
        PartType::Message(nested) => {
            let root = nested.parts.first()?;
            let header =
                nested.raw_message.get(root.offset_header as usize..root.offset_body as usize).unwrap_or_default();
            ("message/rfc822", String::from_utf8_lossy(header).into_owned())
        }
        PartType::Multipart(_) => return None,
    };
    Some(MailPart { content_type: declared.unwrap_or_else(|| fallback.to_owned()), text })
}
