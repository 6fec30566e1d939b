//! A text as a vector of length one: near in meaning is near in direction.
//! Embeddings of different weights must never be compared; whoever stores one stores the model's name with it.

/// A text's embedding, of length one.
#[derive(Clone, Debug, PartialEq)]
pub struct Embedding(Vec<f32>);

impl Embedding {
    /// Brings `values` to length one; all zeros stay as they are.
    pub(crate) fn normalised(mut values: Vec<f32>) -> Self {
        let length = values.iter().map(|value| value * value).sum::<f32>().sqrt();
        if length > 0.0 {
            values.iter_mut().for_each(|value| *value /= length);
        }
        Self(values)
    }

    #[must_use]
    pub fn as_slice(&self) -> &[f32] {
        &self.0
    }

    /// The cosine of the angle between the two, in -1..=1.
    #[must_use]
    pub fn dot(&self, other: &Self) -> f32 {
        self.0.iter().zip(&other.0).map(|(a, b)| a * b).sum()
    }

    /// For the database: f32, little endian, one after the other.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        self.0.iter().flat_map(|value| value.to_le_bytes()).collect()
    }

    /// What `to_bytes` wrote; `None` if these bytes cannot be an embedding.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (values, rest) = bytes.as_chunks::<4>();
        let values: Vec<f32> = values.iter().map(|value| f32::from_le_bytes(*value)).collect();
        (rest.is_empty() && !values.is_empty() && values.iter().all(|value| value.is_finite())).then_some(Self(values))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_bring_the_same_embedding_back() {
        let embedding = Embedding::normalised(vec![3.0, -4.0]);
        assert_eq!(embedding.as_slice(), [0.6, -0.8]);
        assert_eq!(Embedding::from_bytes(&embedding.to_bytes()), Some(embedding));
    }

    #[test]
    fn bytes_that_are_no_embedding_are_refused() {
        assert_eq!(Embedding::from_bytes(&[]), None);
        assert_eq!(Embedding::from_bytes(&[0, 0, 128]), None);
        assert_eq!(Embedding::from_bytes(&f32::NAN.to_le_bytes()), None);
    }
}
