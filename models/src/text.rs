//! Text to token ids, cut to a length. It must never refuse a text, however long or odd.

use tokenizers::Tokenizer;

use crate::weights::{Weights, WeightsError};

const START: u32 = 101;
const END: u32 = 102;

/// A longer text is cut to this many bytes of its beginning and of its end before it is split into tokens,
/// so that splitting costs no more than the few tokens kept of it are worth.
const START_BYTES_MAX: usize = 12 * 1024;
const END_BYTES_MAX: usize = 4 * 1024;

/// Cuts texts into tokens.
#[derive(Debug)]
pub(crate) struct Splitter {
    tokenizer: Tokenizer,
    tokens_max: usize,
    tail_tokens: usize,
}

impl Splitter {
    pub(crate) fn new(weights: &Weights<'_>, reply_tokens_max: usize) -> Result<Self, WeightsError> {
        let tokenizer = Tokenizer::from_bytes(weights.tokenizer()?)
            .map_err(|error| weights.damaged(format!("its tokenizer does not parse, {error}")))?;
        let settings = &weights.settings;
        let tokens_max = reply_tokens_max.clamp(settings.tail_tokens + 3, settings.tokens_max);
        Ok(Self { tokenizer, tokens_max, tail_tokens: settings.tail_tokens })
    }

    /// The ids of a text, between the start and the end token. Of a long text the beginning and the last tokens are
    /// kept: a request to stop often comes last.
    pub(crate) fn token_ids(&self, text: &str) -> Result<Vec<u32>, String> {
        let encoding =
            self.tokenizer.encode_fast(shortened(text).as_ref(), false).map_err(|error| error.to_string())?;
        let ids = encoding.get_ids();
        let room = self.tokens_max - 2;
        let (head, tail) = match ids.len().checked_sub(room) {
            None | Some(0) => (ids, [].as_slice()),
            Some(_) => {
                let (head, _) = ids.split_at_checked(room - self.tail_tokens).unwrap_or((ids, &[]));
                let (_, tail) = ids.split_at_checked(ids.len() - self.tail_tokens).unwrap_or((ids, &[]));
                (head, tail)
            }
        };
        Ok([START].into_iter().chain(head.iter().copied()).chain(tail.iter().copied()).chain([END]).collect())
    }
}

fn shortened(text: &str) -> std::borrow::Cow<'_, str> {
    if text.len() <= START_BYTES_MAX + END_BYTES_MAX {
        return text.into();
    }
    let (start, _) = text.split_at(text.floor_char_boundary(START_BYTES_MAX));
    let (_, end) = text.split_at(text.ceil_char_boundary(text.len() - END_BYTES_MAX));
    format!("{start} {end}").into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn splitter(reply_tokens_max: usize) -> Splitter {
        Splitter::new(&Weights::embedded().expect("the embedded weights open"), reply_tokens_max).expect("it starts")
    }

    #[test]
    fn case_and_accents_do_not_matter() {
        let splitter = splitter(256);
        assert_eq!(splitter.token_ids("Café NOW"), splitter.token_ids("cafe now"));
        assert_eq!(splitter.token_ids("hello"), Ok(vec![START, 7592, END]));
    }

    #[test]
    fn a_long_text_keeps_its_beginning_and_its_end() {
        let splitter = splitter(256);
        let ids = splitter.token_ids(&format!("stop {} hello", "and so on ".repeat(300))).expect("it splits");
        assert_eq!(ids.len(), 256);
        assert_eq!(ids[1], splitter.token_ids("stop").expect("it splits")[1]);
        assert_eq!(ids[254], 7592);
    }

    #[test]
    fn a_huge_text_is_shortened_between_characters() {
        let text = "é".repeat(400_000);
        assert!(shortened(&text).len() <= START_BYTES_MAX + END_BYTES_MAX + 1);
        assert!(splitter(0).token_ids(&text).expect("it splits").len() <= 256);
    }
}
