//! Text from a guest made fit for a person's eyes: one line, no control characters, no longer than a limit.
//! It must never be taken for escaping: whoever writes it into a page or a log still escapes it there.

/// One line without characters that act on the text around them. A long text ends with "…".
pub(super) fn plain(text: &str, bytes_max: usize) -> String {
    const MORE: &str = "…";
    let mut line = String::with_capacity(text.len().min(bytes_max));
    // Where to cut if the text turns out to be too long.
    let mut fits = 0;
    let mut space = false;
    for character in text.chars() {
        if character.is_whitespace() || character.is_control() {
            space = !line.is_empty();
            continue;
        }
        if acts_unseen(character) {
            continue;
        }
        if line.len() + usize::from(space) + character.len_utf8() > bytes_max {
            line.truncate(fits);
            line.push_str(MORE);
            return line;
        }
        if space {
            line.push(' ');
            space = false;
        }
        line.push(character);
        if line.len() + MORE.len() <= bytes_max {
            fits = line.len();
        }
    }
    line
}

/// Characters without a shape of their own that hide text, join it or turn its direction.
fn acts_unseen(character: char) -> bool {
    matches!(
        character,
        '\u{ad}'
            | '\u{61c}'
            | '\u{180e}'
            | '\u{200b}'..='\u{200f}'
            | '\u{202a}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{feff}'
            | '\u{fff9}'..='\u{fffb}'
            | '\u{e0000}'..='\u{e0fff}'
    )
}

#[cfg(test)]
mod tests {
    use super::plain;

    #[test]
    fn only_what_can_be_seen_is_left() {
        let table = [
            ("plain words", "plain words"),
            ("  two\r\n lines\t", "two lines"),
            ("\u{1b}[31mred\u{0}", "[31mred"),
            ("\u{202e}evil\u{202c} \u{200b}text", "evil text"),
            ("\u{2028}", ""),
            ("<b>Größe 漢字</b>", "<b>Größe 漢字</b>"),
        ];
        for (text, shown) in table {
            assert_eq!(plain(text, 100), shown, "{text:?}");
        }
    }

    #[test]
    fn a_long_text_is_cut_between_characters() {
        assert_eq!(plain("abcdef", 6), "abcdef");
        assert_eq!(plain("abcdefg", 6), "abc…");
        assert_eq!(plain(&"é".repeat(10), 8), "éé…");
        for bytes_max in 3..40 {
            let cut = plain(&"a é 漢 ".repeat(20), bytes_max);
            assert!(cut.len() <= bytes_max, "{cut:?} is longer than {bytes_max}");
        }
    }
}
