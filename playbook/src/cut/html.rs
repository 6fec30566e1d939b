//! The text of an HTML mail, without the elements that mail programs mark as earlier mail or signature, and with ">"
//! before the lines that they mark as quoted.
//! It must never recurse nor go back over what it has read: mail is written by strangers, and time must grow with
//! length only. It reads tags, not a document tree; what is not closed ends with the page.

use super::entity::character;
use super::{Part, Removed};

#[derive(Debug, Default)]
pub(super) struct Page {
    pub(super) text: String,
    pub(super) removed: Vec<Removed>,
}

const TAG_BYTES_MAX: usize = 16 * 1024;

/// What to do with an element.
enum Fate {
    Show,
    /// Its content is no text.
    Hide,
    Cut(Part, &'static str),
    /// From here on everything is earlier mail.
    CutToEnd(&'static str),
}

struct Skip {
    element: String,
    depth: usize,
    /// Where the cut text begins in `Page::text`, unless it is hidden altogether.
    cut: Option<(usize, Part, &'static str)>,
}

/// With `cutting` off, marked elements are shown like all others.
pub(super) fn text_of(source: &str, cutting: bool) -> Page {
    let mut page = Page::default();
    let mut skip: Option<Skip> = None;
    let mut preformatted = 0_usize;
    let mut rest = source;
    // Whether anything can be seen yet, and up to where that was looked at.
    let (mut any_shown, mut looked_at) = (false, 0);
    loop {
        let Some(open) = rest.find('<') else {
            push_text(&mut page.text, rest, preformatted > 0, skip.as_ref());
            break;
        };
        let (before, from_tag) = rest.split_at(open);
        push_text(&mut page.text, before, preformatted > 0, skip.as_ref());
        if let Some(comment) = from_tag.strip_prefix("<!--") {
            rest = comment.split_once("-->").map_or("", |(_, after)| after);
            continue;
        }
        let Some(end) = tag_end(from_tag) else {
            // "5 < 6" is text.
            push_text(&mut page.text, "<", preformatted > 0, skip.as_ref());
            rest = from_tag.get(1..).unwrap_or_default();
            continue;
        };
        let tag = from_tag.get(1..end).unwrap_or_default();
        rest = from_tag.get(end + 1..).unwrap_or_default();
        if tag.starts_with(['!', '?']) {
            continue;
        }
        let closing = tag.starts_with('/');
        let name: String = tag
            .trim_start_matches('/')
            .chars()
            .take_while(|c| c.is_ascii_alphanumeric() || *c == ':')
            .collect::<String>()
            .to_ascii_lowercase();
        if name == "pre" {
            preformatted = if closing { preformatted.saturating_sub(1) } else { preformatted + 1 };
        }
        if let Some(open) = &mut skip {
            if name == open.element && !tag.ends_with('/') {
                if closing {
                    open.depth -= 1;
                } else {
                    open.depth += 1;
                }
            }
            if open.cut.is_some() {
                lay_out(&mut page.text, &name, closing);
            }
            if open.depth == 0 {
                close(&mut page, skip.take());
            }
            continue;
        }
        if !closing {
            any_shown = any_shown || page.text.get(looked_at..).is_some_and(|text| !text.trim().is_empty());
            looked_at = page.text.len();
            match fate(&name, tag, cutting) {
                Fate::Show => {}
                Fate::Hide if name == "script" || name == "style" || name == "title" => {
                    // Their content is no markup: only their own end counts.
                    rest = after_closing(rest, &name);
                    continue;
                }
                Fate::Hide => {
                    skip = Some(Skip { element: name, depth: 1, cut: None });
                    continue;
                }
                Fate::Cut(part, why) => {
                    lay_out(&mut page.text, &name, closing);
                    skip = Some(Skip { element: name, depth: 1, cut: Some((page.text.len(), part, why)) });
                    continue;
                }
                // An earlier mail at the very top may be all there is: the rules for text decide about it.
                Fate::CutToEnd(_) if !any_shown => {}
                Fate::CutToEnd(why) => {
                    page.text.push('\n');
                    skip = Some(Skip {
                        element: "\u{0}".to_owned(),
                        depth: 1,
                        cut: Some((page.text.len(), Part::History, why)),
                    });
                    continue;
                }
            }
        }
        lay_out(&mut page.text, &name, closing);
    }
    close(&mut page, skip);
    page
}

fn close(page: &mut Page, skip: Option<Skip>) {
    let Some(Skip { cut: Some((start, part, why)), .. }) = skip else { return };
    let text = page.text.split_off(start.min(page.text.len()));
    let text = text.trim();
    if text.is_empty() {
        return;
    }
    if part == Part::Quote {
        for line in text.lines() {
            page.text.push_str("> ");
            page.text.push_str(line);
            page.text.push('\n');
        }
    } else {
        page.removed.push(Removed { part, text: text.to_owned(), why });
    }
    page.text.push('\n');
}

/// The byte at which the tag ends, respecting quoted attributes; nothing if this is no tag.
fn tag_end(from_tag: &str) -> Option<usize> {
    let mut bytes = from_tag.bytes().enumerate().skip(1).take(TAG_BYTES_MAX);
    let (_, first) = bytes.next()?;
    if !(first.is_ascii_alphabetic() || first == b'/' || first == b'!' || first == b'?') {
        return None;
    }
    let mut quote = None;
    let mut first_end = None;
    let mut after_equals = false;
    for (at, byte) in bytes {
        // A tag in a tag: the first was none, or its quote was never closed. Time stays linear this way.
        if byte == b'<' {
            break;
        }
        match quote {
            Some(open) if byte == open => quote = None,
            Some(_) if byte == b'>' => {
                first_end.get_or_insert(at);
            }
            Some(_) => {}
            None if byte == b'>' => return Some(at),
            // An apostrophe that opens no attribute value is only a character.
            None if (byte == b'"' || byte == b'\'') && after_equals => quote = Some(byte),
            None => {}
        }
        if !byte.is_ascii_whitespace() {
            after_equals = byte == b'=';
        }
    }
    // A quote that is never closed: the tag ended at its first ">".
    first_end
}

fn after_closing<'a>(rest: &'a str, name: &str) -> &'a str {
    let mut from = 0;
    while let Some(at) = rest.get(from..).and_then(|part| part.find("</")) {
        let start = from + at + 2;
        let found = rest
            .as_bytes()
            .get(start..start + name.len())
            .is_some_and(|bytes| bytes.eq_ignore_ascii_case(name.as_bytes()));
        if found {
            return rest.get(start..).and_then(|tail| tail.split_once('>')).map_or("", |(_, after)| after);
        }
        from = start;
    }
    ""
}

fn fate(name: &str, tag: &str, cutting: bool) -> Fate {
    if matches!(name, "script" | "style" | "title") {
        return Fate::Hide;
    }
    if !tag.contains(['=']) {
        return if cutting && name == "blockquote" { Fate::Cut(Part::Quote, "a quoted block") } else { Fate::Show };
    }
    let lower = tag.to_lowercase();
    let style: String = attribute(&lower, "style").unwrap_or_default().chars().filter(|c| !c.is_whitespace()).collect();
    if style.contains("display:none") && !is_void(name) {
        return Fate::Hide;
    }
    if !cutting || is_void(name) && name != "hr" {
        return Fate::Show;
    }
    let class = attribute(&lower, "class").unwrap_or_default();
    let id = attribute(&lower, "id").unwrap_or_default();
    let id = id.strip_prefix("x_").unwrap_or(id);
    let has_class =
        |wanted: &str| class.split_whitespace().any(|one| one == wanted || one.strip_prefix("x_") == Some(wanted));

    if name == "blockquote" {
        let only_indents = !lower.contains("cite") && style.contains("border:none") && !class.contains("quote");
        return if only_indents { Fate::Show } else { Fate::Cut(Part::Quote, "a quoted block") };
    }
    if [
        "divrplyfwdmsg",
        "appendonsend",
        "stopspelling",
        "mail-editor-reference-message-container",
        "olk_src_body_section",
        "orimsghtmlseperator",
    ]
    .contains(&id)
    {
        return Fate::CutToEnd("the mark of Outlook before an earlier mail");
    }
    if has_class("outlookmessageheader") {
        return Fate::CutToEnd("the header of an earlier mail in Outlook");
    }
    let line_above = style.contains("border-top:")
        && (style.contains("b5c4df")
            || style.contains("e1e1e1")
            || style.contains("rgb(225,225,225)")
            || style.contains("rgb(181,196,223)"));
    if name == "div" && line_above {
        return Fate::CutToEnd("the line of Outlook above an earlier mail");
    }
    if name == "hr" {
        return Fate::Show;
    }
    for wanted in [
        "yahoo_quoted",
        "protonmail_quote",
        "zmail_extra",
        "tutanota_quote",
        "ymail_android_quoted",
        "mcntyahoo_quoted",
    ] {
        if has_class(wanted) {
            return Fate::Cut(Part::Quote, "an element that a mail program marks as quoted");
        }
    }
    let signature = ["gmail_signature", "moz-signature", "protonmail_signature_block", "elementtoproof_signature"]
        .iter()
        .any(|wanted| has_class(wanted))
        || ["ms-outlook-mobile-signature", "signature", "applemailsignature"].contains(&id);
    if signature {
        return Fate::Cut(Part::Signature, "an element that a mail program marks as signature");
    }
    Fate::Show
}

/// The value of an attribute in a lower-cased tag.
fn attribute<'a>(tag: &'a str, name: &str) -> Option<&'a str> {
    tag.match_indices(name).find_map(|(at, _)| {
        let free_before = tag
            .get(..at)
            .and_then(|part| part.chars().next_back())
            .is_some_and(|c| c.is_whitespace() || c == '"' || c == '\'');
        let value = tag.get(at + name.len()..)?.trim_start().strip_prefix('=')?.trim_start();
        if !free_before {
            return None;
        }
        match value.chars().next()? {
            quote @ ('"' | '\'') => value.get(1..)?.split(quote).next(),
            _ => value.split(|c: char| c.is_whitespace() || c == '>').next(),
        }
    })
}

fn is_void(name: &str) -> bool {
    matches!(
        name,
        "area"
            | "base"
            | "br"
            | "col"
            | "embed"
            | "hr"
            | "img"
            | "input"
            | "link"
            | "meta"
            | "source"
            | "track"
            | "wbr"
    )
}

/// The white space that an element brings with it.
fn lay_out(text: &mut String, name: &str, closing: bool) {
    match name {
        "br" => text.push('\n'),
        "p" | "h1" | "h2" | "h3" | "h4" | "h5" | "h6" | "table" | "ul" | "ol" | "pre" => end_paragraph(text),
        "li" if !closing => {
            end_line(text);
            text.push_str("- ");
        }
        "div" | "tr" | "li" | "blockquote" | "section" | "article" | "header" | "footer" | "hr" | "center" | "form"
        | "dd" | "dt" | "dl" | "body" | "head" | "address" => {
            end_line(text);
        }
        "td" | "th" if closing => text.push(' '),
        _ => {}
    }
}

fn end_line(text: &mut String) {
    let end = text.trim_end_matches(' ').len();
    text.truncate(end);
    if !text.is_empty() && !text.ends_with('\n') {
        text.push('\n');
    }
}

fn end_paragraph(text: &mut String) {
    end_line(text);
    if !text.is_empty() && !text.ends_with("\n\n") {
        text.push('\n');
    }
}

fn push_text(text: &mut String, raw: &str, preformatted: bool, skip: Option<&Skip>) {
    if raw.is_empty() || skip.is_some_and(|skip| skip.cut.is_none()) {
        return;
    }
    let mut rest = raw;
    while !rest.is_empty() {
        let Some(at) = rest.find('&') else {
            push_plain(text, rest, preformatted);
            return;
        };
        let (before, entity) = rest.split_at(at);
        push_plain(text, before, preformatted);
        let name_end = entity
            .char_indices()
            .skip(1)
            .take(12)
            .find(|(_, c)| !c.is_ascii_alphanumeric() && *c != '#')
            .map_or(entity.len().min(12), |(at, _)| at);
        let name = entity.get(1..name_end).unwrap_or_default();
        match character(name) {
            Some('\u{a0}') => text.push(' '),
            Some(c) => text.push(c),
            None => {
                text.push('&');
                rest = entity.get(1..).unwrap_or_default();
                continue;
            }
        }
        let after = entity.get(name_end..).unwrap_or_default();
        rest = after.strip_prefix(';').unwrap_or(after);
    }
}

fn push_plain(text: &mut String, plain: &str, preformatted: bool) {
    if preformatted {
        text.push_str(plain);
        return;
    }
    for c in plain.chars() {
        if c == '\n' || c == '\r' || c == '\t' || c == ' ' {
            if !text.is_empty() && !text.ends_with(['\n', ' ']) {
                text.push(' ');
            }
        } else {
            text.push(c);
        }
    }
}
