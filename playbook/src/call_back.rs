//! The time at which a lead wants to be called, as the lead wrote it.
//! It must never resolve a time: "Tuesday at 2" is quoted, and the reviewer knows which Tuesday.

use crate::sentence;

const TIME_WORDS: [&str; 15] = [
    "monday",
    "tuesday",
    "wednesday",
    "thursday",
    "friday",
    "saturday",
    "sunday",
    "tomorrow",
    "today",
    "tonight",
    "noon",
    "morning",
    "afternoon",
    "evening",
    "o'clock",
];

/// The sentence in which the lead names a time, quoted as it stands; resolving it is the reviewer's.
#[must_use]
pub fn quoted_time(text: &str) -> Option<&str> {
    sentence::split(text).into_iter().find(|sentence| {
        let lower = sentence.to_lowercase().replace('’', "'");
        let words: Vec<&str> = lower
            .split(|character: char| !(character.is_alphanumeric() || matches!(character, ':' | '\'' | '.')))
            .collect();
        words.iter().any(|word| {
            let word = word.trim_matches(['.', ':', '\'']);
            TIME_WORDS.contains(&word) || TIME_WORDS.contains(&word.trim_end_matches('s')) || is_clock_time(word)
        })
    })
}

/// "2pm", "14:30", "10.30am".
fn is_clock_time(word: &str) -> bool {
    let bare = word.trim_end_matches(['.', 'm']).trim_end_matches(['a', 'p']).trim_end_matches('.');
    let with_suffix = bare.len() < word.len();
    let mut parts = bare.split([':', '.']);
    let is_number =
        |part: Option<&str>, max: u32| part.and_then(|part| part.parse::<u32>().ok()).is_some_and(|n| n <= max);
    let hour = is_number(parts.next(), 24);
    match parts.next() {
        None => hour && with_suffix && (word.ends_with("am") || word.ends_with("pm")),
        Some(minutes) => {
            hour && minutes.len() == 2 && is_number(Some(minutes), 59) && (word.contains(':') || with_suffix)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_a_lead_names_is_quoted() {
        assert_eq!(quoted_time("Hi Maya. Call me Tuesday at 2. Thanks"), Some("Call me Tuesday at 2."));
        assert_eq!(quoted_time("Ring me at 2:30pm"), Some("Ring me at 2:30pm"));
        assert_eq!(quoted_time("Try after 14:00, please"), Some("Try after 14:00, please"));
        assert_eq!(quoted_time("We have 12 doors and 3 sites"), None);
    }
}
