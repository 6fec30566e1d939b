//! MiniLM's encoder: token ids in, one vector per token out.
//! Texts of a batch lie end to end, nothing is padded; they must never see each other.

use candle_core::{CpuStorage, Device, Error, InplaceOp1, Layout, Tensor, bail};

use crate::weights::{Rows, WIDTH, Weights, WeightsError};

const INNER: usize = 4 * WIDTH;

/// Batches above this are encoded in parts, so that the memory for what lies between the layers stays bounded.
const PART_TOKENS_MAX: usize = 1024;

/// The encoder's weights.
#[derive(Debug)]
pub(crate) struct Encoder {
    word: Rows,
    position: Vec<f32>,
    norm: Norm,
    layers: Vec<Layer>,
    attention_heads: usize,
}

#[derive(Debug)]
struct Layer {
    qkv: Linear,
    out: Linear,
    norm1: Norm,
    up: Linear,
    down: Linear,
    norm2: Norm,
}

#[derive(Debug)]
struct Linear {
    /// Inputs by outputs.
    weight: Tensor,
    bias: Vec<f32>,
}

#[derive(Debug)]
struct Norm {
    weight: Vec<f32>,
    bias: Vec<f32>,
    epsilon: f32,
}

impl Encoder {
    pub(crate) fn new(weights: &Weights<'_>) -> Result<Self, WeightsError> {
        let settings = &weights.settings;
        let norm = |name: &str| {
            Ok::<_, WeightsError>(Norm {
                weight: weights.floats(&format!("{name}.weight"), &[WIDTH])?,
                bias: weights.floats(&format!("{name}.bias"), &[WIDTH])?,
                epsilon: settings.norm_epsilon,
            })
        };
        let linear = |name: &str, outputs: usize, inputs: usize| {
            let weight = Tensor::from_vec(weights.matrix(name, outputs, inputs)?, (outputs, inputs), &Device::Cpu)
                .and_then(|weight| weight.t())
                .map_err(|error| weights.damaged(error.to_string()))?;
            Ok::<_, WeightsError>(Linear { weight, bias: weights.floats(&format!("{name}.bias"), &[outputs])? })
        };
        let layer = |index: usize| {
            Ok::<_, WeightsError>(Layer {
                qkv: linear(&format!("layer.{index}.qkv"), 3 * WIDTH, WIDTH)?,
                out: linear(&format!("layer.{index}.out"), WIDTH, WIDTH)?,
                norm1: norm(&format!("layer.{index}.norm1"))?,
                up: linear(&format!("layer.{index}.up"), INNER, WIDTH)?,
                down: linear(&format!("layer.{index}.down"), WIDTH, INNER)?,
                norm2: norm(&format!("layer.{index}.norm2"))?,
            })
        };
        Ok(Self {
            word: weights.rows("word", WIDTH)?,
            position: weights.floats("position", &[settings.tokens_max, WIDTH])?,
            norm: norm("norm")?,
            layers: (0..settings.layers).map(layer).collect::<Result<_, _>>()?,
            attention_heads: settings.attention_heads,
        })
    }

    /// For each text, its tokens' vectors one after the other.
    pub(crate) fn encode(&self, texts: &[Vec<u32>]) -> Result<Vec<Vec<f32>>, Error> {
        let mut encoded = Vec::with_capacity(texts.len());
        let mut rest = texts;
        while !rest.is_empty() {
            let mut tokens = 0;
            let fitting = rest.iter().take_while(|ids| {
                tokens += ids.len();
                tokens <= PART_TOKENS_MAX
            });
            let (part, after) = rest.split_at(fitting.count().max(1));
            rest = after;
            let mut hidden = self.encode_part(part)?;
            for ids in part {
                let after = hidden.split_off(ids.len() * WIDTH);
                encoded.push(std::mem::replace(&mut hidden, after));
            }
        }
        Ok(encoded)
    }

    fn encode_part(&self, texts: &[Vec<u32>]) -> Result<Vec<f32>, Error> {
        let lengths: Vec<usize> = texts.iter().map(Vec::len).collect();
        let tokens = lengths.iter().sum::<usize>();
        let mut start = Vec::with_capacity(tokens * WIDTH);
        for ids in texts {
            for (id, position) in ids.iter().zip(self.position.chunks_exact(WIDTH)) {
                let mut row = position.to_vec();
                self.word.add_row(*id as usize, &mut row);
                start.append(&mut row);
            }
        }
        let mut hidden = Tensor::from_vec(start, (tokens, WIDTH), &Device::Cpu)?;
        each_row(&hidden, WIDTH, |row| self.norm.apply(row))?;
        for layer in &self.layers {
            let mixed = self.attention(&layer.qkv.forward(&hidden, |_| ())?, &lengths)?;
            let mixed = (layer.out.forward(&mixed, |_| ())? + &hidden)?;
            each_row(&mixed, WIDTH, |row| layer.norm1.apply(row))?;
            let wide = layer.up.forward(&mixed, |row| row.iter_mut().for_each(|value| *value = gelu(*value)))?;
            hidden = (layer.down.forward(&wide, |_| ())? + &mixed)?;
            each_row(&hidden, WIDTH, |row| layer.norm2.apply(row))?;
        }
        hidden.flatten_all()?.to_vec1()
    }

    /// Self-attention of each text over its own tokens.
    fn attention(&self, qkv: &Tensor, lengths: &[usize]) -> Result<Tensor, Error> {
        let size = WIDTH / self.attention_heads;
        let scale = (size as f32).sqrt().recip();
        let mut mixed = Vec::with_capacity(lengths.len());
        let mut start = 0;
        for length in lengths {
            let part = qkv.narrow(0, start, *length)?.reshape((*length, 3, self.attention_heads, size))?;
            let part = part.permute((1, 2, 0, 3))?;
            let (queries, keys, values) = (part.get(0)?, part.get(1)?, part.get(2)?);
            let attention = queries.matmul(&keys.transpose(1, 2)?)?;
            each_row(&attention, *length, |row| softmax_scaled(row, scale))?;
            mixed.push(attention.matmul(&values)?.transpose(0, 1)?.reshape((*length, WIDTH))?);
            start += length;
        }
        Tensor::cat(&mixed, 0)
    }
}

impl Linear {
    /// The product with the weight plus the bias, each row then passed through `then`.
    fn forward(&self, input: &Tensor, then: impl Fn(&mut [f32])) -> Result<Tensor, Error> {
        let output = input.matmul(&self.weight)?;
        each_row(&output, self.bias.len(), |row| {
            row.iter_mut().zip(&self.bias).for_each(|(value, bias)| *value += bias);
            then(row);
        })?;
        Ok(output)
    }
}

impl Norm {
    fn apply(&self, row: &mut [f32]) {
        let count = row.len() as f32;
        let mean = sum_of(row, |value| value) / count;
        let variance = sum_of(row, |value| (value - mean) * (value - mean)) / count;
        let scale = (variance + self.epsilon).sqrt().recip();
        for ((value, weight), bias) in row.iter_mut().zip(&self.weight).zip(&self.bias) {
            *value = (*value - mean) * scale * weight + bias;
        }
    }
}

/// Sums in eight lanes, which the compiler can turn into vector instructions.
fn sum_of(row: &[f32], each: impl Fn(f32) -> f32) -> f32 {
    let (chunks, rest) = row.as_chunks::<8>();
    let mut lanes = [0f32; 8];
    for chunk in chunks {
        lanes.iter_mut().zip(chunk).for_each(|(lane, value)| *lane += each(*value));
    }
    lanes.iter().sum::<f32>() + rest.iter().map(|value| each(*value)).sum::<f32>()
}

fn softmax_scaled(row: &mut [f32], scale: f32) {
    let highest = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    row.iter_mut().for_each(|value| *value = ((*value - highest) * scale).exp());
    let share = sum_of(row, |value| value).recip();
    row.iter_mut().for_each(|value| *value *= share);
}

fn gelu(value: f32) -> f32 {
    0.5 * value * (1.0 + erf(value * std::f32::consts::FRAC_1_SQRT_2))
}

/// The error function as a ratio of polynomials, good to about 1e-6 and free of branches.
fn erf(value: f32) -> f32 {
    let x = value.clamp(-3.9, 3.9);
    let square = x * x;
    let above =
        [-2.726_142_3e-10, 2.770_681_4e-8, -2.101_024e-6, -5.692_506_4e-5, -7.349_906e-4, -2.954_6e-3, -1.609_603_3e-2];
    let below = [-1.456_607_2e-5, -2.133_740_6e-4, -1.682_827e-3, -7.373_329e-3, -1.426_473_9e-2];
    let at = |factors: &[f32]| factors.iter().fold(0.0, |sum, factor| sum * square + factor);
    x * at(&above) / at(&below)
}

/// Runs over the rows of a tensor that nobody else holds, in place.
fn each_row(tensor: &Tensor, width: usize, run: impl Fn(&mut [f32])) -> Result<(), Error> {
    tensor.inplace_op1(&EachRow { width, run })
}

struct EachRow<F> {
    width: usize,
    run: F,
}

impl<F: Fn(&mut [f32])> InplaceOp1 for EachRow<F> {
    fn name(&self) -> &'static str {
        "each row"
    }

    fn cpu_fwd(&self, storage: &mut CpuStorage, layout: &Layout) -> Result<(), Error> {
        let CpuStorage::F32(values) = storage else { bail!("rows of f32 only") };
        let Some(values) = layout.contiguous_offsets().and_then(|(start, end)| values.get_mut(start..end)) else {
            bail!("contiguous rows only")
        };
        values.chunks_exact_mut(self.width).for_each(&self.run);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_error_function_is_near_its_known_values() {
        for (x, known) in
            [(0.0, 0.0), (0.1, 0.112_462_92), (0.5, 0.520_499_9), (1.0, 0.842_700_8), (2.0, 0.995_322_3), (9.0, 1.0)]
        {
            assert!((erf(x) - known).abs() < 2e-6, "erf({x}) = {}", erf(x));
            assert!((erf(-x) + known).abs() < 2e-6, "erf(-{x}) = {}", erf(-x));
        }
    }

    #[test]
    fn texts_in_a_batch_do_not_see_each_other() {
        let encoder = Encoder::new(&Weights::embedded().expect("the weights open")).expect("the encoder loads");
        let texts = vec![vec![101, 7592, 102], (1000..1900).map(|id| id % 30_000).take(250).collect(), vec![101, 102]];
        let together = encoder.encode(&texts).expect("it encodes");
        for (text, batched) in texts.iter().zip(&together) {
            let alone = encoder.encode(std::slice::from_ref(text)).expect("it encodes").remove(0);
            assert_eq!(alone.len(), text.len() * WIDTH);
            assert!(alone.iter().zip(batched).all(|(a, b)| (a - b).abs() < 1e-4));
        }
    }
}
