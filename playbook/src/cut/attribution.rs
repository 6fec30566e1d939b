//! Finds where an earlier mail begins: above all the line that says who wrote what when, in the languages of the common
//! mail programs.
//! It must never claim a line that only mentions a date or a sender: each rule wants two signs at once.

use super::header_block::{Label, divider, header_block, label_of};

/// Attributions are broken over a few short lines, never over a page.
const ATTRIBUTION_LINES_MAX: usize = 4;
const ATTRIBUTION_BYTES_MAX: usize = 600;

/// "wrote", as mail programs say it. Compared with lower-cased text.
const VERBS: &[&str] = &[
    "wrote",
    "writes",
    "schrieb",
    "schrieb folgendes",
    "geschrieben",
    "a écrit",
    "a ecrit",
    "escribió",
    "escribio",
    "ha scritto",
    "schreef",
    "het volgende geschreven",
    "escreveu",
    "napisał",
    "napisał(a)",
    "napisała",
    "napisal(a)",
    "pisze",
    "skrev",
    "skrev følgende",
    "skrev följande",
    "kirjoitti",
    "написал",
    "написал(а)",
    "написала",
    "пишет",
    "писал",
    "писал(а)",
    "пише",
    "написав",
    "napsal",
    "napsal(a)",
    "napsala",
    "napísal",
    "napísal(a)",
    "írta",
    "a scris",
    "έγραψε",
    "yazdı",
    "şunları yazdı",
    "va escriure",
    "je napisao",
    "je napisala",
    "je napisao/la",
    "je napisal",
    "je napisal/a",
    "kirjutas",
    "rakstīja",
    "rašė",
    "đã viết",
    "menulis",
    "写道",
    "寫道",
    "のメッセージ",
    "さんは書きました",
    "님이 작성",
    "כתב",
    "כתב/ה",
    "كتب",
];

/// How an attribution begins, before the date.
const OPENERS: &[&str] = &[
    "on ",
    "am ",
    "le ",
    "el ",
    "il ",
    "in data ",
    "op ",
    "em ",
    "no dia ",
    "a ",
    "w dniu ",
    "dnia ",
    "den ",
    "på ",
    "d. ",
    "dne ",
    "dňa ",
    "pe ",
    "ma ",
    "ti ",
    "ke ",
    "to ",
    "la ",
    "su ",
    "στις ",
    "την ",
    "ngày ",
    "pada ",
    "în ",
    "na ",
    "u ",
    "у ",
    "в ",
    "za ",
    "mon",
    "tue",
    "wed",
    "thu",
    "fri",
    "sat",
    "sun",
    "lun",
    "mar",
    "mer",
    "jeu",
    "ven",
    "sam",
    "dim",
    "mo",
    "di",
    "mi",
    "do",
    "fr",
    "sa",
    "so",
    "man",
    "tir",
    "ons",
    "tor",
    "fre",
    "lør",
    "søn",
    "mån",
    "tis",
    "lör",
    "sön",
    "пн",
    "вт",
    "ср",
    "чт",
    "пт",
    "сб",
    "вс",
];

/// A run of lines that introduces an earlier mail: `start..end`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Introduction {
    pub(super) start: usize,
    pub(super) end: usize,
    pub(super) why: &'static str,
    pub(super) forwarded: bool,
}

/// The first introduction at or after line `from`. `quoted` says which lines begin with ">": they introduce nothing.
pub(super) fn next_introduction(lines: &[&str], quoted: &[bool], from: usize) -> Option<Introduction> {
    (from..lines.len()).find_map(|at| {
        let line = lines.get(at)?.trim();
        if line.is_empty() || quoted.get(at).copied().unwrap_or(false) {
            return None;
        }
        divider(lines, at).or_else(|| header_block(lines, quoted, at)).or_else(|| attribution(lines, quoted, at, from))
    })
}

/// "On …, … wrote:" in its languages, and the forms without a verb. `at` is the line on which it ends.
fn attribution(lines: &[&str], quoted: &[bool], at: usize, from: usize) -> Option<Introduction> {
    let last = closing_part(lines.get(at)?);
    let colon = last.ends_with([':', '：']);
    let stem = last.trim_end_matches([':', '：', ' ', ',']);
    let verb_ends = VERBS.iter().any(|verb| ends_with_word(stem, verb));
    if !colon && !verb_ends {
        return None;
    }
    let quote_follows = (at + 1..lines.len())
        .find(|next| lines.get(*next).is_some_and(|line| !line.trim().is_empty()))
        .is_some_and(|next| quoted.get(next).copied().unwrap_or(false));

    let mut shortest = None;
    for length in 1..=ATTRIBUTION_LINES_MAX {
        let Some(start) = (at + 1).checked_sub(length).filter(|start| *start >= from) else { break };
        let first = lines.get(start).copied().unwrap_or_default().trim();
        if first.is_empty() || quoted.get(start).copied().unwrap_or(false) || label_of(first) == Some(Label::Subject) {
            break;
        }
        let span = lines.get(start..=at)?.iter().map(|line| line.trim()).collect::<Vec<_>>().join(" ");
        if span.len() > ATTRIBUTION_BYTES_MAX {
            break;
        }
        if !quote_follows && !span.bytes().any(|byte| byte.is_ascii_digit()) {
            continue;
        }
        let lower = closing_part(&span);
        let stem = lower.trim_end_matches([':', '：', ' ', ',']);
        let address = holds_address(&lower);
        let (time, year, date) = (holds_time(&lower), holds_year(&lower), holds_numeric_date(&lower));
        let verb_inside = VERBS.iter().any(|verb| contains_word(stem, verb));
        let dated = time || year || date;
        let opened = opens(&lower) && first.chars().any(|c| c.is_ascii_digit());
        let earlier_text = length > 1 && first.ends_with(['.', '!', '?']);
        let matches = (verb_ends && dated && (address || opened))
            || (verb_ends && address && opened)
            || (colon && address && dated)
            || (colon && verb_inside && dated && (time || date) && !stem.contains(". "))
            || (quote_follows && verb_ends && colon && span.len() <= 120)
            || (quote_follows && colon && address && span.len() <= 120);
        if !matches || earlier_text {
            continue;
        }
        if opened {
            return Some(Introduction {
                start,
                end: at + 1,
                why: "a line that says who wrote and when",
                forwarded: false,
            });
        }
        shortest.get_or_insert(start);
    }
    shortest.map(|start| Introduction {
        start,
        end: at + 1,
        why: "a line that says who wrote and when",
        forwarded: false,
    })
}

/// Lower-cased, without the dashes that some programs put around the whole line.
fn closing_part(line: &str) -> String {
    line.trim().trim_matches(|c: char| c == '-' || c == '*' || c == '_' || c.is_whitespace()).to_lowercase()
}

fn opens(lower: &str) -> bool {
    let start = lower.trim_start_matches(['-', '*', ' ', '"', '[']);
    start.starts_with(|c: char| c.is_ascii_digit())
        || OPENERS
            .iter()
            .any(|opener| start.strip_prefix(opener).is_some_and(|rest| opener.ends_with(' ') || !rest.is_empty()))
}

fn ends_with_word(text: &str, word: &str) -> bool {
    text.strip_suffix(word).is_some_and(|before| {
        // "<…>wrote" stands without a space in some programs; languages without spaces have none at all.
        before.chars().next_back().is_none_or(|c| !c.is_alphanumeric() || !word.is_ascii() && !c.is_ascii())
    })
}

fn contains_word(text: &str, word: &str) -> bool {
    text.match_indices(word).any(|(at, found)| {
        let before = text.get(..at).and_then(|part| part.chars().next_back());
        let after = text.get(at + found.len()..).and_then(|part| part.chars().next());
        before.is_none_or(|c| !c.is_alphanumeric()) && after.is_none_or(|c| !c.is_alphanumeric())
    })
}

pub(super) fn holds_address(text: &str) -> bool {
    text.match_indices('@').any(|(at, _)| {
        let before = text.get(..at).and_then(|part| part.chars().next_back());
        let after = text.get(at + 1..).unwrap_or_default();
        let domain_end = after.find(|c: char| !(c.is_alphanumeric() || c == '-' || c == '.')).unwrap_or(after.len());
        before.is_some_and(|c| c.is_alphanumeric() || "._-+=".contains(c))
            && after.get(..domain_end).is_some_and(|domain| domain.trim_matches('.').contains('.'))
    })
}

/// The words of a text that begin with a digit, without what surrounds them.
fn numbers(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| c.is_whitespace() || c == ',' || c == '(' || c == ')' || c == '年')
        .map(|word| word.trim_matches(|c: char| !c.is_alphanumeric()))
        .filter(|word| word.starts_with(|c: char| c.is_ascii_digit()))
}

fn holds_time(text: &str) -> bool {
    numbers(text).any(|word| {
        let mut fields = word.split([':', '.', 'h']);
        let short = |field: Option<&str>| {
            field.is_some_and(|f| (1..=2).contains(&f.len()) && f.bytes().all(|b| b.is_ascii_digit()))
        };
        let hours = short(fields.next());
        hours && fields.next().is_some_and(|f| f.len() >= 2 && f.bytes().take(2).all(|b| b.is_ascii_digit()))
    })
}

fn holds_year(text: &str) -> bool {
    numbers(text).any(|word| {
        let digits = word.bytes().take_while(u8::is_ascii_digit).count();
        digits == 4 && (word.starts_with("19") || word.starts_with("20"))
    })
}

pub(super) fn holds_numeric_date(text: &str) -> bool {
    numbers(text).any(|word| {
        let fields: Vec<&str> = word.split(['.', '/', '-']).collect();
        fields.len() >= 3
            && fields.iter().take(3).all(|field| !field.is_empty() && field.bytes().all(|b| b.is_ascii_digit()))
    })
}
