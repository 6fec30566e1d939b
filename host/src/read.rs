//! `rejoinder read`: JSON lines in, one reading per line out, in order, streaming.
//! It must never stop at a bad line: that one gets an error with its number, the others go on.

use rejoinder_models::{ReadError, Reader};
use rejoinder_playbook::reading::{Channel, Intent, Reading};
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::VecDeque;
use tokio::io::{AsyncBufRead, AsyncBufReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::task::JoinHandle;

/// Lines read at the same time, so that the reader's batches fill.
const LINES_AT_ONCE_MAX: usize = 32;
/// The longest line taken.
pub const LINE_BYTES_MAX: usize = 4 * 1024 * 1024;

#[derive(Deserialize)]
struct Line {
    channel: String,
    text: String,
}

/// Lines that could be read, and lines that could not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    pub read: u64,
    pub bad: u64,
}

/// Reads every line of `input`. Memory does not grow with its length.
pub async fn read_lines(
    reader: &Reader,
    mut input: impl AsyncBufRead + Unpin,
    mut output: impl AsyncWrite + Unpin,
    mut progress: impl FnMut(Counts),
) -> std::io::Result<Counts> {
    let mut counts = Counts::default();
    let mut waiting: VecDeque<JoinHandle<Value>> = VecDeque::new();
    let mut number = 0_u64;
    let mut bytes = Vec::new();
    loop {
        bytes.clear();
        let more = input.read_until(b'\n', &mut bytes).await? > 0;
        if more {
            number += 1;
            if bytes.iter().all(u8::is_ascii_whitespace) {
                continue;
            }
            let parsed = parse(&bytes);
            let reader = reader.clone();
            waiting.push_back(tokio::spawn(async move {
                match parsed {
                    Ok((channel, text)) => read_one(&reader, channel, &text, number).await,
                    Err(why) => bad(number, &why),
                }
            }));
        }
        while waiting.len() >= LINES_AT_ONCE_MAX || (!more && !waiting.is_empty()) {
            let Some(next) = waiting.pop_front() else { break };
            let value = next.await.unwrap_or_else(|error| bad(number, &error.to_string()));
            if value.get("error").is_some() {
                counts.bad += 1;
            } else {
                counts.read += 1;
            }
            output.write_all(value.to_string().as_bytes()).await?;
            output.write_all(b"\n").await?;
            progress(counts);
        }
        if !more {
            break;
        }
    }
    output.flush().await?;
    Ok(counts)
}

fn parse(bytes: &[u8]) -> Result<(Channel, String), String> {
    if bytes.len() > LINE_BYTES_MAX {
        return Err(format!("the line has more than {LINE_BYTES_MAX} bytes; shorten the text"));
    }
    let line: Line = serde_json::from_slice(bytes)
        .map_err(|error| format!("not a line of the form {{\"channel\": \"email\", \"text\": \"…\"}}: {error}"))?;
    let channel = Channel::parse(&line.channel)
        .ok_or_else(|| format!("`channel` is “{}”; email, sms or voice is expected", line.channel))?;
    Ok((channel, line.text))
}

async fn read_one(reader: &Reader, channel: Channel, text: &str, number: u64) -> Value {
    loop {
        match reader.read(channel, text).await {
            Ok(reading) => return reading_json(&reading),
            // Others use the same reader; a stream can wait.
            Err(ReadError::Overloaded) => tokio::task::yield_now().await,
            Err(error) => return bad(number, &error.to_string()),
        }
    }
}

/// A reading as `rejoinder read` prints it.
#[must_use]
pub fn reading_json(reading: &Reading) -> Value {
    let probabilities: serde_json::Map<String, Value> = Intent::ALL
        .into_iter()
        .zip(&reading.probabilities)
        .map(|(intent, probability)| (intent.name().to_owned(), json!(probability)))
        .collect();
    json!({
        "intent": reading.intent,
        "also": reading.also,
        "sentiment": reading.sentiment,
        "confidence": reading.confidence,
        "unsure": reading.unsure,
        "probabilities": probabilities,
    })
}

fn bad(number: u64, why: &str) -> Value {
    json!({ "error": why, "line": number })
}
