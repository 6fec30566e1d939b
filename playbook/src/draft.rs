//! Composes an answer from whole sentences of the team's passages and the team's own courtesies, and checks that it says
//! nothing else. It must never put a sentence into a draft that neither a cited passage nor the playbook contains.

use crate::playbook::Playbook;
use crate::reading::Intent;
use crate::sentence;
use crate::template::{self, TemplateError};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// At most this many sentences of passages answer one question.
const ANSWER_SENTENCES_MAX: usize = 3;
/// A sentence beside the best one is quoted too if its score is at most this much lower.
const NEIGHBOUR_SCORE_GAP_MAX: f32 = 0.12;

/// A passage of the library that may be quoted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Passage {
    pub id: String,
    pub document: String,
    pub version: i64,
    pub kind: String,
    pub heading: String,
    pub body: String,
}

/// A passage found for a question: how near it is as a whole and sentence by sentence (cosine, -1..=1).
#[derive(Clone, Debug, PartialEq)]
pub struct Candidate<'a> {
    pub passage: &'a Passage,
    pub score: f32,
    /// One score per sentence of the passage's body, in order.
    pub sentence_scores: Vec<f32>,
}

/// Something the lead asked (or the whole reply where it asks nothing), with the passages nearest to it, best first.
#[derive(Clone, Debug, PartialEq)]
pub struct Question<'a> {
    pub text: &'a str,
    pub candidates: Vec<Candidate<'a>>,
}

/// Why a sentence may stand in a draft.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "by", rename_all = "snake_case")]
pub enum Support {
    /// The passage contains it word for word.
    Passage { id: String },
    /// It is one of the playbook's courtesies, filled with the lead's fields.
    Courtesy,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DraftSentence {
    pub text: String,
    pub support: Support,
}

/// An answer for a person to approve.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Draft {
    pub subject: String,
    /// Paragraphs of sentences, greeting first, signature last.
    pub paragraphs: Vec<Vec<DraftSentence>>,
    /// Questions for which no passage was near enough.
    pub unanswered: Vec<String>,
}

impl Draft {
    /// The text as it would be sent, without the footer.
    #[must_use]
    pub fn body(&self) -> String {
        let paragraphs: Vec<String> = self
            .paragraphs
            .iter()
            .map(|sentences| sentences.iter().map(|sentence| sentence.text.as_str()).collect::<Vec<_>>().join(" "))
            .collect();
        paragraphs.join("\n\n")
    }

    /// The ids of the passages it cites, each once, in the order of citation.
    #[must_use]
    pub fn cited(&self) -> Vec<&str> {
        let mut cited = Vec::new();
        for sentence in self.paragraphs.iter().flatten() {
            if let Support::Passage { id } = &sentence.support
                && !cited.contains(&id.as_str())
            {
                cited.push(id.as_str());
            }
        }
        cited
    }
}

#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoDraft {
    #[error("the playbook has no passage that answers “{question}”")]
    Unanswered { question: String },
    #[error("the playbook has no courtesy for “{intent}”; add one to [courtesies.acknowledgement]")]
    NoCourtesy { intent: &'static str },
    #[error("the playbook's text for this answer cannot be filled: {0}")]
    Template(#[from] TemplateError),
    #[error("the draft says something no passage supports: “{sentence}”")]
    Unsupported { sentence: String },
}

/// All a draft is made from.
#[derive(Clone, Debug)]
pub struct DraftRequest<'a> {
    pub intent: Intent,
    pub subject: &'a str,
    pub playbook: &'a Playbook,
    pub fields: &'a BTreeMap<String, String>,
    pub questions: &'a [Question<'a>],
}

/// Whether answers to this intent need a passage, or whether courtesies alone may close it politely.
#[must_use]
pub fn needs_passage(intent: Intent) -> bool {
    matches!(
        intent,
        Intent::SimpleQuestion
            | Intent::ExpertQuestion
            | Intent::PriceObjection
            | Intent::Competitor
            | Intent::Interested
    )
}

/// Composes a draft and checks it. Everything in it is quoted from a passage or from the playbook's courtesies.
pub fn compose(request: &DraftRequest<'_>) -> Result<Draft, NoDraft> {
    let playbook = request.playbook;
    let courtesy = |text: &str| -> Result<DraftSentence, NoDraft> {
        Ok(DraftSentence { text: template::render(text, request.fields)?, support: Support::Courtesy })
    };
    let acknowledgement = playbook
        .courtesies
        .acknowledgement
        .get(request.intent.name())
        .and_then(|lines| lines.first())
        .ok_or(NoDraft::NoCourtesy { intent: request.intent.name() })?;

    let mut quoted: Vec<DraftSentence> = Vec::new();
    let mut answers = Vec::new();
    let mut unanswered = Vec::new();
    if needs_passage(request.intent) {
        // One sentence for the acknowledgement, one for the next step.
        let room = playbook.tone.sentences_max.saturating_sub(2).max(1);
        for question in request.questions {
            match answer(question, playbook.governance.support_min, &quoted, room.saturating_sub(quoted.len())) {
                Answer::Quoted(sentences) => {
                    quoted.extend(sentences.clone());
                    answers.push(sentences);
                }
                Answer::AlreadyGiven => {}
                // Somebody who is interested and asks nothing needs no answer, only a next step.
                Answer::None if request.intent == Intent::Interested && !question.text.contains('?') => {}
                Answer::None => unanswered.push(question.text.to_owned()),
            }
        }
        if quoted.is_empty() && (request.intent != Intent::Interested || !unanswered.is_empty()) {
            let question = unanswered.first().cloned().unwrap_or_default();
            return Err(NoDraft::Unanswered { question });
        }
    }

    let mut paragraphs = vec![vec![courtesy(&playbook.tone.greeting)?], vec![courtesy(acknowledgement)?]];
    paragraphs.extend(answers);
    let last = match request.intent {
        // Someone who said no is not asked again.
        Intent::NotInterested | Intent::NotNow => None,
        Intent::SimpleQuestion => playbook.courtesies.close.first(),
        _ => playbook.courtesies.next_step.first(),
    };
    if let Some(last) = last {
        paragraphs.push(vec![courtesy(last)?]);
    }
    paragraphs.push(vec![courtesy(&signature(playbook))?]);

    let draft = Draft { subject: reply_subject(request.subject), paragraphs, unanswered };
    let passages: Vec<&Passage> = request
        .questions
        .iter()
        .flat_map(|question| question.candidates.iter().map(|candidate| candidate.passage))
        .collect();
    check(&draft, playbook, request.fields, &passages)?;
    Ok(draft)
}

/// Closing and signature, line by line.
fn signature(playbook: &Playbook) -> String {
    let lines: Vec<&str> = playbook.tone.closing.iter().chain(&playbook.tone.signature).map(String::as_str).collect();
    lines.join("\n")
}

enum Answer {
    Quoted(Vec<DraftSentence>),
    AlreadyGiven,
    None,
}

/// The best sentence over all candidates, with its neighbours in the same passage where they are nearly as near.
fn answer(question: &Question<'_>, support_min: f32, quoted: &[DraftSentence], room: usize) -> Answer {
    let best = question
        .candidates
        .iter()
        .filter_map(|candidate| {
            let best = candidate.sentence_scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            best.is_finite().then_some((candidate, best, best.max(candidate.score)))
        })
        .max_by(|left, right| left.2.total_cmp(&right.2));
    let Some((candidate, best_sentence, nearness)) = best else { return Answer::None };
    if nearness < support_min {
        return Answer::None;
    }
    let mut chosen: Vec<(usize, f32)> = candidate
        .sentence_scores
        .iter()
        .copied()
        .enumerate()
        .filter(|(_, score)| *score >= best_sentence - NEIGHBOUR_SCORE_GAP_MAX)
        .collect();
    chosen.sort_by(|left, right| right.1.total_cmp(&left.1).then(left.0.cmp(&right.0)));
    chosen.truncate(ANSWER_SENTENCES_MAX.min(room));
    chosen.sort_by_key(|(position, _)| *position);
    let sentences = sentence::split(&candidate.passage.body);
    let answer: Vec<DraftSentence> = chosen
        .into_iter()
        .filter_map(|(position, _)| sentences.get(position))
        .filter(|text| !quoted.iter().any(|sentence| sentence.text == **text))
        .map(|text| DraftSentence {
            text: (*text).to_owned(),
            support: Support::Passage { id: candidate.passage.id.clone() },
        })
        .collect();
    if answer.is_empty() { Answer::AlreadyGiven } else { Answer::Quoted(answer) }
}

/// Everything passes through here: each sentence stands word for word in the passage it cites, or is a courtesy of the
/// playbook, and none holds a banned word. The first that fails is the error.
pub fn check(
    draft: &Draft,
    playbook: &Playbook,
    fields: &BTreeMap<String, String>,
    passages: &[&Passage],
) -> Result<(), NoDraft> {
    let courtesies = &playbook.courtesies;
    let signature = signature(playbook);
    let allowed: Vec<String> = [&playbook.tone.greeting, &signature]
        .into_iter()
        .chain(courtesies.thanks.iter().chain(&courtesies.close).chain(&courtesies.next_step))
        .chain(courtesies.acknowledgement.values().flatten())
        .map(|text| template::render(text, fields))
        .collect::<Result<_, TemplateError>>()?;
    for sentence in draft.paragraphs.iter().flatten() {
        let supported = match &sentence.support {
            Support::Courtesy => allowed.contains(&sentence.text),
            Support::Passage { id } => passages
                .iter()
                .any(|passage| passage.id == *id && sentence::split(&passage.body).contains(&sentence.text.as_str())),
        };
        let banned = playbook.tone.banned_words.iter().any(|word| contains_words(&sentence.text, word));
        if !supported || banned {
            return Err(NoDraft::Unsupported { sentence: sentence.text.clone() });
        }
    }
    Ok(())
}

/// Whether the phrase stands in the text as whole words, letter case ignored.
fn contains_words(text: &str, phrase: &str) -> bool {
    let words = |text: &str| -> String {
        let lower = text.to_lowercase();
        let words: Vec<&str> = lower
            .split(|character: char| !(character.is_alphanumeric() || character == '-'))
            .filter(|word| !word.is_empty())
            .collect();
        format!(" {} ", words.join(" "))
    };
    words(text).contains(&words(phrase))
}

/// "Re: " once, whatever the lead's client put there.
fn reply_subject(subject: &str) -> String {
    let bare = subject.trim();
    if bare.get(..3).is_some_and(|start| start.eq_ignore_ascii_case("re:")) {
        return bare.to_owned();
    }
    format!("Re: {bare}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::playbook::tests::sample;

    fn passage(id: &str, body: &str) -> Passage {
        Passage {
            id: id.to_owned(),
            document: "Fact sheet".to_owned(),
            version: 1,
            kind: "fact_sheet".to_owned(),
            heading: "Integrations".to_owned(),
            body: body.to_owned(),
        }
    }

    fn fields() -> BTreeMap<String, String> {
        BTreeMap::from([("first_name".to_owned(), "Ana".to_owned())])
    }

    fn request<'a>(
        playbook: &'a Playbook,
        fields: &'a BTreeMap<String, String>,
        intent: Intent,
        questions: &'a [Question<'a>],
    ) -> DraftRequest<'a> {
        DraftRequest { intent, subject: "Docks", playbook, fields, questions }
    }

    #[test]
    fn the_nearest_sentence_answers_and_is_cited() {
        let (playbook, fields) = (sample(), fields());
        let other = passage("p1", "Lanterns are red.");
        let right = passage("p2", "Harbourlight works with SAP. Set-up takes nine days. It rains in May.");
        let questions = [Question {
            text: "Does it work with SAP?",
            candidates: vec![
                Candidate { passage: &other, score: 0.2, sentence_scores: vec![0.2] },
                Candidate { passage: &right, score: 0.6, sentence_scores: vec![0.8, 0.3, 0.1] },
            ],
        }];
        let draft = compose(&request(&playbook, &fields, Intent::SimpleQuestion, &questions)).expect("a draft");
        assert_eq!(draft.cited(), ["p2"]);
        assert!(draft.body().contains("Harbourlight works with SAP."));
        assert!(!draft.body().contains("rains"));
        assert!(draft.body().starts_with("Hi Ana,"));
        assert_eq!(draft.subject, "Re: Docks");
    }

    #[test]
    fn two_questions_get_two_answers_and_no_sentence_twice() {
        let (playbook, fields) = (sample(), fields());
        let one = passage("p1", "It speaks German.");
        let two = passage("p2", "Set-up takes nine days.");
        let near = |passage| Candidate { passage, score: 0.7, sentence_scores: vec![0.9] };
        let questions = [
            Question { text: "German?", candidates: vec![near(&one)] },
            Question { text: "How long?", candidates: vec![near(&two)] },
            Question { text: "Really German?", candidates: vec![near(&one)] },
        ];
        let draft = compose(&request(&playbook, &fields, Intent::SimpleQuestion, &questions)).expect("a draft");
        assert_eq!(draft.cited(), ["p1", "p2"]);
        assert_eq!(draft.body().matches("It speaks German.").count(), 1);
    }

    #[test]
    fn a_question_no_passage_is_near_to_gets_no_draft() {
        let (playbook, fields) = (sample(), fields());
        let far = passage("p1", "Lanterns are red.");
        let questions = [Question {
            text: "Do you support SAP?",
            candidates: vec![Candidate { passage: &far, score: 0.1, sentence_scores: vec![0.1] }],
        }];
        let refused = compose(&request(&playbook, &fields, Intent::SimpleQuestion, &questions));
        assert_eq!(refused, Err(NoDraft::Unanswered { question: "Do you support SAP?".to_owned() }));
    }

    #[test]
    fn one_unanswered_question_among_two_is_named() {
        let (playbook, fields) = (sample(), fields());
        let near = passage("p1", "It speaks German.");
        let questions = [
            Question {
                text: "German?",
                candidates: vec![Candidate { passage: &near, score: 0.7, sentence_scores: vec![0.9] }],
            },
            Question { text: "Parking?", candidates: vec![] },
        ];
        let draft = compose(&request(&playbook, &fields, Intent::SimpleQuestion, &questions)).expect("a draft");
        assert_eq!(draft.unanswered, ["Parking?"]);
    }

    #[test]
    fn an_invented_sentence_does_not_pass_the_check() {
        let (playbook, fields) = (sample(), fields());
        let source = passage("p1", "It speaks German.");
        for (text, support) in [
            ("It speaks Klingon.", Support::Passage { id: "p1".to_owned() }),
            ("It speaks German.", Support::Passage { id: "p9".to_owned() }),
            ("You get 90 % off.", Support::Courtesy),
        ] {
            let draft = Draft {
                subject: String::new(),
                paragraphs: vec![vec![DraftSentence { text: text.to_owned(), support }]],
                unanswered: vec![],
            };
            assert_eq!(
                check(&draft, &playbook, &fields, &[&source]),
                Err(NoDraft::Unsupported { sentence: text.to_owned() })
            );
        }
    }

    #[test]
    fn somebody_interested_who_asks_nothing_is_offered_a_next_step() {
        let (playbook, fields) = (sample(), fields());
        let asks_nothing = [Question { text: "Sounds good.", candidates: vec![] }];
        let draft = compose(&request(&playbook, &fields, Intent::Interested, &asks_nothing)).expect("a draft");
        assert!(draft.body().contains("Shall I show you?"));
        let asks = [Question { text: "Sounds good. Parking?", candidates: vec![] }];
        assert!(compose(&request(&playbook, &fields, Intent::Interested, &asks)).is_err());
    }

    #[test]
    fn a_polite_close_needs_no_passage() {
        let (playbook, fields) = (sample(), fields());
        let draft = compose(&request(&playbook, &fields, Intent::NotInterested, &[])).expect("a draft");
        assert!(draft.cited().is_empty());
    }

    #[test]
    fn the_subject_gets_one_re() {
        assert_eq!(reply_subject("RE: Docks"), "RE: Docks");
        assert_eq!(reply_subject("Docks"), "Re: Docks");
        assert_eq!(reply_subject("é"), "Re: é");
    }
}
