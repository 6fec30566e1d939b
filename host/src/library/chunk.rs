//! A Markdown document with a small front matter becomes passages: one per paragraph, under its heading.
//! It must never join paragraphs: each is cited alone.

use std::collections::BTreeMap;

/// Bytes a document may have.
pub const DOCUMENT_BYTES_MAX: usize = 2 * 1024 * 1024;
/// Passages a document may become.
const PASSAGES_MAX: usize = 5_000;
const KINDS: [&str; 7] = ["template", "transcript", "objection", "case_study", "fact_sheet", "price_list", "tone"];

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Document {
    pub title: String,
    pub kind: String,
    pub version: i64,
    pub passages: Vec<Chunk>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chunk {
    pub heading: String,
    pub body: String,
}

#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum DocumentError {
    #[error("the document is larger than {DOCUMENT_BYTES_MAX} bytes; split it")]
    TooLarge,
    #[error("the document must begin with front matter: a line ---, then title, kind and version, then a line ---")]
    NoFrontMatter,
    #[error("the front matter lacks `{0}`")]
    Missing(&'static str),
    #[error("`kind` is “{0}”; it must be one of {kinds}", kinds = KINDS.join(", "))]
    Kind(String),
    #[error("`version` is “{0}”; a whole number from 1 on is expected")]
    Version(String),
    #[error("the document has no paragraph to cite")]
    Empty,
    #[error("the document has more than {PASSAGES_MAX} paragraphs; split it")]
    TooManyPassages,
}

/// Whether drafts may quote passages of this kind. Transcripts and templates are examples to learn from, not facts.
#[must_use]
pub fn is_quotable(kind: &str) -> bool {
    !matches!(kind, "transcript" | "template" | "tone")
}

/// Reads a document.
pub fn parse(text: &str) -> Result<Document, DocumentError> {
    if text.len() > DOCUMENT_BYTES_MAX {
        return Err(DocumentError::TooLarge);
    }
    let text = text.replace("\r\n", "\n");
    let rest = text.trim_start_matches('\u{feff}').strip_prefix("---\n").ok_or(DocumentError::NoFrontMatter)?;
    let (front, body) = rest.split_once("\n---\n").ok_or(DocumentError::NoFrontMatter)?;
    let front: BTreeMap<&str, &str> = front
        .lines()
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.trim(), value.trim().trim_matches('"')))
        .collect();
    let field = |name: &'static str| {
        front.get(name).copied().filter(|value| !value.is_empty()).ok_or(DocumentError::Missing(name))
    };
    let kind = field("kind")?;
    if !KINDS.contains(&kind) {
        return Err(DocumentError::Kind(kind.to_owned()));
    }
    let version = field("version")?;
    let number = version.parse().ok().filter(|version| *version >= 1);
    let version = number.ok_or_else(|| DocumentError::Version(version.to_owned()))?;
    let passages = passages(body);
    match passages.len() {
        0 => return Err(DocumentError::Empty),
        count if count > PASSAGES_MAX => return Err(DocumentError::TooManyPassages),
        _ => {}
    }
    Ok(Document { title: field("title")?.to_owned(), kind: kind.to_owned(), version, passages })
}

fn passages(body: &str) -> Vec<Chunk> {
    let mut passages = Vec::new();
    let mut heading = String::new();
    let mut paragraph: Vec<&str> = Vec::new();
    for line in body.lines().chain([""]) {
        let title = line.trim_start_matches('#');
        let is_heading = title.len() < line.len() && title.starts_with(' ');
        if line.trim().is_empty() || is_heading {
            if !paragraph.is_empty() {
                passages.push(Chunk { heading: heading.clone(), body: paragraph.join(" ") });
                paragraph.clear();
            }
            if is_heading {
                heading = title.trim().to_owned();
            }
        } else {
            paragraph.push(line.trim());
        }
    }
    passages
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "---\ntitle: \"Facts: all\"\nkind: fact_sheet\nversion: 2\n---\n\n# Facts\n\n## SAP\nHarbourlight works\nwith SAP.\n\nSet-up takes nine days.\n";

    #[test]
    fn paragraphs_stand_under_their_headings() {
        let document = parse(TEXT).expect("sound");
        assert_eq!((document.title.as_str(), document.version), ("Facts: all", 2));
        let passages: Vec<(&str, &str)> =
            document.passages.iter().map(|passage| (passage.heading.as_str(), passage.body.as_str())).collect();
        assert_eq!(passages, [("SAP", "Harbourlight works with SAP."), ("SAP", "Set-up takes nine days.")]);
    }

    #[test]
    fn faults_are_named() {
        for (text, expected) in [
            ("no front matter".to_owned(), DocumentError::NoFrontMatter),
            (TEXT.replace("kind: fact_sheet\n", ""), DocumentError::Missing("kind")),
            (TEXT.replace("fact_sheet", "poem"), DocumentError::Kind("poem".to_owned())),
            (TEXT.replace("version: 2", "version: two"), DocumentError::Version("two".to_owned())),
            ("---\ntitle: a\nkind: tone\nversion: 1\n---\n# Only a heading\n".to_owned(), DocumentError::Empty),
            ("x".repeat(DOCUMENT_BYTES_MAX + 1), DocumentError::TooLarge),
        ] {
            assert_eq!(parse(&text), Err(expected));
        }
    }
}
