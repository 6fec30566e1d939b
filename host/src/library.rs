//! What a team uploads, cut into passages.
//! It must never change a word: passages are quoted as they stand.

pub mod chunk;
pub mod words;
