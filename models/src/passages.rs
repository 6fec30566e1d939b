//! Which passages of the library are nearest to a question.
//! It must never judge whether a passage answers the question, only how near it is.

use crate::Embedding;

/// The `top` passages nearest to the question, nearest first, equally near ones by index.
/// Each comes back as (its index, cosine).
#[must_use]
pub fn rank(question: &Embedding, passages: &[(usize, &Embedding)], top: usize) -> Vec<(usize, f32)> {
    let mut ranked: Vec<(usize, f32)> =
        passages.iter().map(|(index, passage)| (*index, question.dot(passage))).collect();
    ranked.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
    ranked.truncate(top);
    ranked
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_come_first_and_ties_go_by_index() {
        let across = Embedding::normalised(vec![1.0, 0.0]);
        let up = Embedding::normalised(vec![0.0, 1.0]);
        let between = Embedding::normalised(vec![1.0, 1.0]);
        let passages = [(4, &up), (3, &across), (1, &across), (2, &between)];
        let order: Vec<usize> = rank(&across, &passages, 3).into_iter().map(|(index, _)| index).collect();
        assert_eq!(order, [1, 3, 2]);
        assert!(rank(&across, &[], 3).is_empty());
    }
}
