//! Text in, reading out; texts in, embeddings out. The weights live here, and nothing else names candle.
//! It must never decide what follows from a reading, and never reach the network.

mod calibration;
mod embedding;
mod encoder;
mod heads;
mod model;
mod passages;
mod text;
mod weights;
mod worker;

pub use embedding::Embedding;
pub use passages::rank;
pub use weights::{WeightsError, WeightsSource};
pub use worker::{ReadError, Reader, ReaderLimits};
