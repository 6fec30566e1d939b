//! Numbers the passages of a draft the way a reader meets them, so that every sentence shows what supports it.
//! It must never drop a sentence or a passage: what is not cited is listed as not cited.

use crate::store::view::{DraftView, PassageView};

/// A draft and its passages, numbered.
#[derive(Debug, Default)]
pub(crate) struct Cited<'a> {
    pub(crate) paragraphs: Vec<Vec<CitedSentence<'a>>>,
    /// In the order in which the draft first leans on them: the first is [1].
    pub(crate) cited: Vec<&'a PassageView>,
    /// Found for the reply, but no sentence leans on them.
    pub(crate) uncited: Vec<&'a PassageView>,
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) struct CitedSentence<'a> {
    pub(crate) text: &'a str,
    /// The number of the passage, counted from 1; none for a courtesy.
    pub(crate) number: Option<usize>,
}

impl<'a> Cited<'a> {
    pub(crate) fn of(draft: Option<&'a DraftView>, passages: &'a [PassageView]) -> Self {
        let mut order: Vec<usize> = Vec::new();
        let mut paragraphs: Vec<(usize, Vec<CitedSentence<'a>>)> = Vec::new();
        for sentence in draft.map_or(&[][..], |draft| &draft.sentences) {
            let number = sentence.passage.filter(|index| *index < passages.len()).map(|index| {
                order.iter().position(|known| *known == index).unwrap_or_else(|| {
                    order.push(index);
                    order.len() - 1
                }) + 1
            });
            let sentence_shown = CitedSentence { text: &sentence.text, number };
            match paragraphs.last_mut() {
                Some((paragraph, sentences)) if *paragraph == sentence.paragraph => sentences.push(sentence_shown),
                _ => paragraphs.push((sentence.paragraph, vec![sentence_shown])),
            }
        }
        Cited {
            paragraphs: paragraphs.into_iter().map(|(_, sentences)| sentences).collect(),
            cited: order.iter().filter_map(|index| passages.get(*index)).collect(),
            uncited: passages
                .iter()
                .enumerate()
                .filter(|(index, _)| !order.contains(index))
                .map(|(_, each)| each)
                .collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::view::SentenceView;

    fn passage(id: &str) -> PassageView {
        PassageView {
            id: id.to_owned(),
            document: "facts.md".to_owned(),
            version: 1,
            heading: String::new(),
            body: String::new(),
            score: 0.5,
        }
    }

    fn sentence(text: &str, paragraph: usize, passage: Option<usize>) -> SentenceView {
        SentenceView { text: text.to_owned(), paragraph, passage }
    }

    #[test]
    fn passages_are_numbered_in_the_order_the_draft_leans_on_them() {
        let passages = [passage("a"), passage("b"), passage("c")];
        let draft = DraftView {
            subject: String::new(),
            body: String::new(),
            sentences: vec![
                sentence("Hi Ana,", 0, None),
                sentence("It does.", 1, Some(2)),
                sentence("It costs 4.", 1, Some(0)),
                sentence("Really.", 2, Some(2)),
            ],
        };
        let cited = Cited::of(Some(&draft), &passages);
        let numbers: Vec<Vec<Option<usize>>> =
            cited.paragraphs.iter().map(|sentences| sentences.iter().map(|each| each.number).collect()).collect();
        assert_eq!(numbers, [vec![None], vec![Some(1), Some(2)], vec![Some(1)]]);
        assert_eq!(cited.cited.iter().map(|each| each.id.as_str()).collect::<Vec<_>>(), ["c", "a"]);
        assert_eq!(cited.uncited.iter().map(|each| each.id.as_str()).collect::<Vec<_>>(), ["b"]);
    }

    #[test]
    fn a_citation_of_nothing_is_shown_as_none_and_without_a_draft_all_passages_stay() {
        let passages = [passage("a")];
        let draft = DraftView {
            subject: String::new(),
            body: String::new(),
            sentences: vec![sentence("It does.", 0, Some(7))],
        };
        let cited = Cited::of(Some(&draft), &passages);
        assert_eq!(cited.paragraphs, [[CitedSentence { text: "It does.", number: None }]]);
        assert_eq!(Cited::of(None, &passages).uncited.len(), 1);
    }
}
