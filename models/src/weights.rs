//! The weights file: opened, checked, and handed out tensor by tensor.
//! It must never hand out a tensor of another shape than asked for, nor guess what a file that is not ours means.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use rejoinder_playbook::reading::{Intent, Sentiment};
use safetensors::{Dtype, SafeTensors};
use serde::Deserialize;
use sha2::{Digest, Sha256};

const FORMAT: &str = "rejoinder-reader-1";

/// The width of the encoder: the values per token and per embedding.
pub(crate) const WIDTH: usize = 384;

static EMBEDDED: &[u8] = include_bytes!("../weights.safetensors");

/// Where the weights come from.
#[derive(Clone, Copy, Debug)]
pub enum WeightsSource<'a> {
    /// Those built into the program.
    Embedded,
    /// A file in the same format, for example of a newer training.
    File(&'a Path),
}

#[derive(Debug, thiserror::Error)]
pub enum WeightsError {
    #[error(
        "there is no weights file at {path}; set the path to a weights.safetensors, or leave it out to use the one built in"
    )]
    Missing { path: PathBuf },
    #[error("the weights file at {path} cannot be read: {reason}; check its permissions")]
    Unreadable { path: PathBuf, reason: std::io::Error },
    #[error(
        "the weights in {name} are cut off or damaged ({reason}); copy the file again and compare its SHA-256 with card.toml"
    )]
    Damaged { name: String, reason: String },
    #[error(
        "the weights in {name} are not for this reader: {reason}; use a file that this version's models/train wrote"
    )]
    WrongKind { name: String, reason: String },
    #[error("the reader could not be started: {reason}; free memory or raise the thread limit and start again")]
    NotStarted { reason: String },
}

/// What the file says about itself.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Settings {
    format: String,
    intents: Vec<String>,
    sentiments: Vec<String>,
    pub(crate) layers: usize,
    pub(crate) attention_heads: usize,
    pub(crate) tokens_max: usize,
    pub(crate) tail_tokens: usize,
    pub(crate) norm_epsilon: f32,
    pub(crate) temperature: f32,
    /// From this confidence on a reading counts as sure.
    pub(crate) sure_confidence: f32,
    /// From this probability on another intent counts as present, one bound per intent.
    pub(crate) also_probability: Vec<f32>,
    /// A text whose nearest training reply is less near than this is unlike anything known.
    pub(crate) familiar_cosine: f32,
}

/// A matrix of int8 with one scale per row.
#[derive(Debug)]
pub(crate) struct Rows {
    bytes: Cow<'static, [u8]>,
    scales: Vec<f32>,
    columns: usize,
}

impl Rows {
    /// Adds one row, scaled back, to `target`; an index beyond the last row adds nothing.
    pub(crate) fn add_row(&self, index: usize, target: &mut [f32]) {
        let row = self.bytes.get(index * self.columns..(index + 1) * self.columns);
        if let (Some(row), Some(scale)) = (row, self.scales.get(index)) {
            for (value, byte) in target.iter_mut().zip(row) {
                *value += f32::from(byte.cast_signed()) * scale;
            }
        }
    }

    /// The product of every row with `vector`, in the rows' order.
    pub(crate) fn products(&self, vector: &[f32]) -> impl Iterator<Item = f32> {
        self.bytes.chunks_exact(self.columns).zip(&self.scales).map(move |(row, scale)| {
            row.iter().zip(vector).map(|(byte, value)| f32::from(byte.cast_signed()) * value).sum::<f32>() * scale
        })
    }
}

/// An opened and checked weights file.
pub(crate) struct Weights<'a> {
    name: String,
    /// "sha256:" and the first 12 hex digits of the whole file.
    pub(crate) fingerprint: String,
    pub(crate) settings: Settings,
    tensors: SafeTensors<'a>,
    keep: fn(&'a [u8]) -> Cow<'static, [u8]>,
}

impl std::fmt::Debug for Weights<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Weights")
            .field("name", &self.name)
            .field("fingerprint", &self.fingerprint)
            .finish_non_exhaustive()
    }
}

/// Reads a weights file whole.
pub(crate) fn bytes_of(path: &Path) -> Result<Vec<u8>, WeightsError> {
    std::fs::read(path).map_err(|reason| match reason.kind() {
        std::io::ErrorKind::NotFound => WeightsError::Missing { path: path.to_owned() },
        _ => WeightsError::Unreadable { path: path.to_owned(), reason },
    })
}

impl Weights<'static> {
    pub(crate) fn embedded() -> Result<Self, WeightsError> {
        // The rows stay where they are in the program; a copy would only take memory.
        Self::open("the program".to_owned(), EMBEDDED, Cow::Borrowed)
    }
}

impl<'a> Weights<'a> {
    pub(crate) fn from_bytes(name: String, bytes: &'a [u8]) -> Result<Self, WeightsError> {
        Self::open(name, bytes, |bytes| Cow::Owned(bytes.to_vec()))
    }

    fn open(name: String, bytes: &'a [u8], keep: fn(&'a [u8]) -> Cow<'static, [u8]>) -> Result<Self, WeightsError> {
        let damaged = |reason: String| WeightsError::Damaged { name: name.clone(), reason };
        let wrong = |reason: String| WeightsError::WrongKind { name: name.clone(), reason };
        let tensors = SafeTensors::deserialize(bytes).map_err(|error| damaged(error.to_string()))?;
        let (_, header) = SafeTensors::read_metadata(bytes).map_err(|error| damaged(error.to_string()))?;
        let text = header.metadata().as_ref().and_then(|entries| entries.get("rejoinder"));
        let text = text.ok_or_else(|| wrong("it is a safetensors file without the entry \"rejoinder\"".to_owned()))?;
        let settings: Settings =
            serde_json::from_str(text).map_err(|error| wrong(format!("its settings do not parse, {error}")))?;
        if settings.format != FORMAT {
            return Err(wrong(format!("its format is {:?}, this program reads {FORMAT:?}", settings.format)));
        }
        if !settings.intents.iter().map(String::as_str).eq(Intent::ALL.map(Intent::name)) {
            return Err(wrong("its intents are not those of the playbook".to_owned()));
        }
        if !settings.sentiments.iter().map(String::as_str).eq(Sentiment::ALL.map(Sentiment::name)) {
            return Err(wrong("its sentiments are not those of the playbook".to_owned()));
        }
        let in_range = |value: f32| (0.0..=1.0).contains(&value);
        let thresholds_fit = settings.also_probability.len() == Intent::ALL.len()
            && settings.also_probability.iter().all(|bound| in_range(*bound))
            && in_range(settings.sure_confidence)
            && settings.temperature > 0.0
            && settings.tail_tokens + 2 < settings.tokens_max
            && settings.attention_heads > 0
            && WIDTH.is_multiple_of(settings.attention_heads);
        if !thresholds_fit {
            return Err(wrong("its thresholds or sizes are out of range".to_owned()));
        }
        let mut fingerprint = "sha256:".to_owned();
        for byte in Sha256::digest(bytes).iter().take(6) {
            write!(fingerprint, "{byte:02x}").expect("writing to a String does not fail");
        }
        Ok(Self { name, fingerprint, settings, tensors, keep })
    }

    fn data(&self, tensor: &str, kind: Dtype, shape: Option<&[usize]>) -> Result<(&'a [u8], Vec<usize>), WeightsError> {
        let wrong = |reason: String| WeightsError::WrongKind { name: self.name.clone(), reason };
        let view = self.tensors.tensor(tensor).map_err(|_| wrong(format!("the tensor {tensor} is missing")))?;
        if view.dtype() != kind || shape.is_some_and(|shape| shape != view.shape()) {
            return Err(wrong(format!(
                "the tensor {tensor} is {:?} {:?}, not {kind:?} {shape:?}",
                view.dtype(),
                view.shape()
            )));
        }
        Ok((view.data(), view.shape().to_vec()))
    }

    /// The tokenizer's own JSON.
    pub(crate) fn tokenizer(&self) -> Result<&'a [u8], WeightsError> {
        Ok(self.data("tokenizer", Dtype::U8, None)?.0)
    }

    pub(crate) fn floats(&self, tensor: &str, shape: &[usize]) -> Result<Vec<f32>, WeightsError> {
        let (bytes, _) = self.data(tensor, Dtype::F32, Some(shape))?;
        let values: Vec<f32> = bytes.as_chunks::<4>().0.iter().map(|value| f32::from_le_bytes(*value)).collect();
        if values.iter().all(|value| value.is_finite()) {
            return Ok(values);
        }
        Err(self.damaged(format!("the tensor {tensor} holds values that are no numbers")))
    }

    /// An int8 matrix of any number of rows, left as int8.
    pub(crate) fn rows(&self, tensor: &str, columns: usize) -> Result<Rows, WeightsError> {
        let (bytes, shape) = self.data(tensor, Dtype::I8, None)?;
        match shape.as_slice() {
            [rows, found] if *found == columns && *rows > 0 => {
                let scales = self.floats(&format!("{tensor}.scale"), &[*rows])?;
                Ok(Rows { bytes: (self.keep)(bytes), scales, columns })
            }
            _ => Err(WeightsError::WrongKind {
                name: self.name.clone(),
                reason: format!("the tensor {tensor} is {shape:?}, not rows of {columns}"),
            }),
        }
    }

    /// An int8 matrix as f32, row by row.
    pub(crate) fn matrix(&self, tensor: &str, rows: usize, columns: usize) -> Result<Vec<f32>, WeightsError> {
        let (bytes, _) = self.data(tensor, Dtype::I8, Some(&[rows, columns]))?;
        let scales = self.floats(&format!("{tensor}.scale"), &[rows])?;
        let scaled = bytes.chunks_exact(columns).zip(scales);
        Ok(scaled.flat_map(|(row, scale)| row.iter().map(move |byte| f32::from(byte.cast_signed()) * scale)).collect())
    }

    pub(crate) fn damaged(&self, reason: String) -> WeightsError {
        WeightsError::Damaged { name: self.name.clone(), reason }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cut_off_file_says_that_it_is_damaged() {
        for length in [0, 7, 100, EMBEDDED.len() / 2, EMBEDDED.len() - 1] {
            let error =
                Weights::from_bytes("half.safetensors".to_owned(), &EMBEDDED[..length]).expect_err("must refuse");
            assert!(matches!(error, WeightsError::Damaged { .. }), "{length}: {error}");
            assert!(error.to_string().contains("half.safetensors"), "{error}");
        }
    }

    #[test]
    fn a_missing_file_is_named() {
        let error = bytes_of(Path::new("/nowhere/weights.safetensors")).expect_err("must refuse");
        assert!(error.to_string().contains("there is no weights file at /nowhere/weights.safetensors"), "{error}");
    }

    #[test]
    fn another_models_weights_are_refused() {
        let header = br#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}"#;
        let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
        bytes.extend_from_slice(header);
        bytes.extend_from_slice(&1f32.to_le_bytes());
        let error = Weights::from_bytes("other.safetensors".to_owned(), &bytes).expect_err("must refuse");
        assert!(matches!(error, WeightsError::WrongKind { .. }), "{error}");
    }

    #[test]
    fn a_tensor_of_another_shape_is_refused() {
        let weights = Weights::embedded().expect("the embedded weights open");
        assert!(matches!(weights.floats("norm.weight", &[WIDTH + 1]), Err(WeightsError::WrongKind { .. })));
        assert!(matches!(weights.floats("norm.no", &[WIDTH]), Err(WeightsError::WrongKind { .. })));
    }

    #[test]
    fn the_card_describes_the_embedded_weights() {
        let card: toml::Table = include_str!("../card.toml").parse().expect("the card is TOML");
        let digest: String = Sha256::digest(EMBEDDED).iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(card["weights_sha256"].as_str(), Some(digest.as_str()));
        let weights = Weights::embedded().expect("the embedded weights open");
        assert_eq!(weights.fingerprint, format!("sha256:{}", &digest[..12]));
        assert!(EMBEDDED.len() <= 30_000_000, "the weights must stay under 30 MB");
    }
}
