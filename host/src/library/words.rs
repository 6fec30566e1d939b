//! How many of a question's telling words a passage shares: what an embedding misses is often a name.
//! It must never count a word that stands in most passages, such as the company's own name.

use std::collections::{BTreeMap, BTreeSet};

/// Words are compared by their first letters, so that "integrate" and "integration" are one.
const STEM_CHARS: usize = 5;
const WORD_CHARS_MIN: usize = 3;
/// A word that stands in more than this share of the passages tells nothing.
const SHARE_MAX: f32 = 0.3;

/// How telling each word is among a set of passages.
#[derive(Clone, Debug, Default)]
pub struct Words {
    weights: BTreeMap<String, f32>,
    passages: usize,
}

impl Words {
    /// Weighs the words of all passages: the rarer, the heavier.
    #[must_use]
    pub fn of<'a>(passages: impl Iterator<Item = &'a str>) -> Self {
        let mut counts: BTreeMap<String, usize> = BTreeMap::new();
        let mut number = 0;
        for passage in passages {
            number += 1;
            for stem in stems(passage) {
                *counts.entry(stem).or_default() += 1;
            }
        }
        #[expect(clippy::cast_precision_loss, reason = "passages are counted in thousands")]
        let weigh = |count: usize| {
            let share = count as f32 / number as f32;
            if share > SHARE_MAX { 0.0 } else { -share.ln() }
        };
        Words { weights: counts.into_iter().map(|(stem, count)| (stem, weigh(count))).collect(), passages: number }
    }

    /// The share of the question's weight that the text covers, 0..=1. Words that stand in no passage count as rare ones,
    /// so that a question about something unknown stays far from everything.
    #[must_use]
    pub fn overlap(&self, question: &str, text: &str) -> f32 {
        let covered = stems(text);
        let (mut shared, mut all) = (0.0, 0.0);
        #[expect(clippy::cast_precision_loss, reason = "passages are counted in thousands")]
        let unknown = (self.passages.max(2) as f32).ln();
        for stem in stems(question) {
            let weight =
                self.weights.get(&stem).copied().unwrap_or(if COMMON.contains(&stem.as_str()) { 0.0 } else { unknown });
            all += weight;
            if covered.contains(&stem) {
                shared += weight;
            }
        }
        if all > 0.0 { shared / all } else { 0.0 }
    }
}

/// Words of questions that say nothing about what is asked, as stems.
const COMMON: [&str; 44] = [
    "the", "and", "you", "your", "for", "are", "can", "does", "what", "which", "how", "who", "when", "where", "why",
    "with", "have", "has", "had", "our", "that", "this", "there", "any", "would", "could", "shoul", "will", "from",
    "about", "not", "but", "was", "were", "quick", "quest", "pleas", "thank", "thanks", "hello", "just", "also", "get",
    "got",
];

fn stems(text: &str) -> BTreeSet<String> {
    text.split(|character: char| !character.is_alphanumeric())
        .filter(|word| word.chars().count() >= WORD_CHARS_MIN || word.chars().any(char::is_numeric))
        .map(|word| word.to_lowercase().chars().take(STEM_CHARS).collect())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSAGES: [&str; 5] = [
        "Harbourlight connects to Manhattan Active and SAP.",
        "Harbourlight speaks Spanish and German.",
        "Harbourlight stores data in Dallas.",
        "Harbourlight runs in a browser.",
        "Harbourlight costs 420 dollars.",
    ];

    #[test]
    fn a_name_that_few_passages_hold_decides() {
        let words = Words::of(PASSAGES.into_iter());
        let question = "Does Harbourlight have an integration for Manhattan Active?";
        let scores: Vec<f32> = PASSAGES.iter().map(|passage| words.overlap(question, passage)).collect();
        assert!(scores[0] > 0.4, "{scores:?}");
        assert!(scores[1..].iter().all(|score| *score < 0.01), "{scores:?}");
    }

    #[test]
    fn an_unknown_thing_is_covered_by_nothing() {
        let words = Words::of(PASSAGES.into_iter());
        assert!(words.overlap("Do you sell parking meters?", PASSAGES[0]) < 0.01);
        assert!(words.overlap("", PASSAGES[0]) < 0.01);
    }
}
