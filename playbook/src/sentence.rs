//! Splits text into sentences, so that drafts can quote whole ones and questions can be found.
//! It must never change a character of what it splits: every sentence is a slice of the text.

/// Abbreviations after which a full stop does not end a sentence.
const ABBREVIATIONS: [&str; 22] = [
    "mr", "mrs", "ms", "dr", "prof", "st", "vs", "etc", "e.g", "i.e", "approx", "no", "inc", "ltd", "co", "dept",
    "fig", "jr", "sr", "a.m", "p.m", "u.s",
];

/// The sentences of a text, trimmed, in order; line breaks that start a new paragraph or list item end one too.
#[must_use]
pub fn split(text: &str) -> Vec<&str> {
    let mut sentences = Vec::new();
    for block in text.split('\n') {
        let mut start = 0;
        let mut characters = block.char_indices().peekable();
        while let Some((at, character)) = characters.next() {
            if !matches!(character, '.' | '!' | '?' | '…') {
                continue;
            }
            let mut end = at + character.len_utf8();
            while let Some((next_at, next)) = characters.peek().copied() {
                if !matches!(next, '.' | '!' | '?' | '"' | '\'' | ')' | '”' | '’') {
                    break;
                }
                end = next_at + next.len_utf8();
                characters.next();
            }
            let followed_by_space = characters.peek().is_none_or(|(_, next)| next.is_whitespace());
            let before = block.get(start..at).unwrap_or_default();
            if !followed_by_space || (character == '.' && ends_with_abbreviation(before)) {
                continue;
            }
            push(&mut sentences, block.get(start..end));
            start = end;
        }
        push(&mut sentences, block.get(start..));
    }
    sentences
}

/// The sentences that ask something.
#[must_use]
pub fn questions(text: &str) -> Vec<&str> {
    split(text)
        .into_iter()
        .filter(|sentence| sentence.trim_end_matches(['"', '\'', ')', '”', '’']).ends_with('?'))
        .collect()
}

fn push<'a>(sentences: &mut Vec<&'a str>, sentence: Option<&'a str>) {
    if let Some(sentence) = sentence.map(str::trim)
        && sentence.chars().any(char::is_alphanumeric)
    {
        sentences.push(sentence);
    }
}

fn ends_with_abbreviation(before: &str) -> bool {
    let word =
        before.rsplit(|character: char| character.is_whitespace() || character == '(').next().unwrap_or_default();
    let lower = word.to_lowercase();
    let single_initial =
        word.chars().count() == 1 && word.chars().all(|character| character.is_uppercase() && character != 'I');
    single_initial || ABBREVIATIONS.contains(&lower.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_links_and_abbreviations_do_not_end_a_sentence() {
        assert_eq!(
            split("It costs $4.50 per dock, e.g. for Dr. Lee. See https://a.test/b.html today! Fine?"),
            ["It costs $4.50 per dock, e.g. for Dr. Lee.", "See https://a.test/b.html today!", "Fine?"]
        );
    }

    #[test]
    fn lines_end_sentences_and_nothing_is_no_sentence() {
        assert_eq!(split("One line\n\n- another one\n ... \n"), ["One line", "- another one"]);
        assert!(split("").is_empty());
    }

    #[test]
    fn questions_are_found_among_statements() {
        assert_eq!(
            questions("Thanks. Does it work with SAP? We use it.\nAnd \"French?\""),
            ["Does it work with SAP?", "And \"French?\""]
        );
    }
}
