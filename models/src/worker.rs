//! The reader: a handle that many tasks hold, and one thread that owns the model and reads what waits in batches.
//! It must never make anybody wait for a place in the queue: a full queue is an error at once.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, TrySendError, sync_channel};
use std::thread::{Builder, JoinHandle};

use rejoinder_playbook::reading::{Channel, Reading};
use tokio::sync::oneshot;

use crate::model::Model;
use crate::weights::{Weights, bytes_of};
use crate::{Embedding, WeightsError, WeightsSource};

/// How much the reader takes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReaderLimits {
    /// Replies that may wait; one more is refused with `ReadError::Overloaded`.
    pub queue_replies_max: usize,
    /// Replies read in one go.
    pub batch_replies_max: usize,
    /// Tokens of one reply; of a longer one the beginning and the end are read. The weights allow at most 256.
    pub reply_tokens_max: usize,
}

impl Default for ReaderLimits {
    fn default() -> Self {
        Self { queue_replies_max: 256, batch_replies_max: 16, reply_tokens_max: 256 }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    #[error("the reader has as many replies waiting as it may; try again shortly, or hand the reply to a person")]
    Overloaded,
    #[error("the reader has stopped; restart the server, and hand the reply to a person until then")]
    Stopped,
    #[error("the reader failed on this text ({0}); hand the reply to a person")]
    Failed(String),
}

/// A handle to the reader. Its thread ends when the last handle is dropped.
#[derive(Clone, Debug)]
pub struct Reader {
    queue: SyncSender<Job>,
    batch_replies_max: usize,
    model: Arc<str>,
}

#[derive(Debug)]
enum Job {
    Read { text: String, answer: oneshot::Sender<Result<Reading, ReadError>> },
    Embed { texts: Vec<String>, answer: oneshot::Sender<Result<Vec<Embedding>, ReadError>> },
}

impl Reader {
    /// Loads the weights and starts the reader's thread.
    pub fn start(source: WeightsSource<'_>, limits: ReaderLimits) -> Result<Self, WeightsError> {
        let model = match source {
            WeightsSource::Embedded => Model::new(&Weights::embedded()?, limits.reply_tokens_max)?,
            WeightsSource::File(path) => {
                let bytes = bytes_of(path)?;
                Model::new(&Weights::from_bytes(path.display().to_string(), &bytes)?, limits.reply_tokens_max)?
            }
        };
        Ok(Self::spawn(model, limits)?.0)
    }

    fn spawn(model: Model, limits: ReaderLimits) -> Result<(Self, JoinHandle<()>), WeightsError> {
        let (reader, jobs) = Self::with_queue(model.calibration.model(), limits);
        let batch_replies_max = reader.batch_replies_max;
        let thread = Builder::new()
            .name("reader".to_owned())
            .spawn(move || work(&model, &jobs, batch_replies_max))
            .map_err(|error| WeightsError::NotStarted { reason: error.to_string() })?;
        Ok((reader, thread))
    }

    fn with_queue(model: Arc<str>, limits: ReaderLimits) -> (Self, Receiver<Job>) {
        let (queue, jobs) = sync_channel(limits.queue_replies_max.max(1));
        (Self { queue, batch_replies_max: limits.batch_replies_max.max(1), model }, jobs)
    }

    /// Reads the new text of one reply. These weights read every channel alike.
    pub async fn read(&self, _channel: Channel, text: &str) -> Result<Reading, ReadError> {
        self.ask_to_read(text)?.await.unwrap_or(Err(ReadError::Stopped))
    }

    /// The same for callers outside an async runtime, such as the command line; inside one it panics.
    pub fn read_blocking(&self, _channel: Channel, text: &str) -> Result<Reading, ReadError> {
        self.ask_to_read(text)?.blocking_recv().unwrap_or(Err(ReadError::Stopped))
    }

    /// The embeddings of passages or questions, in their order. Many are embedded in several goes, so that replies
    /// get their turn in between.
    pub async fn embed(&self, texts: Vec<String>) -> Result<Vec<Embedding>, ReadError> {
        let mut embeddings = Vec::with_capacity(texts.len());
        let mut rest = texts;
        while !rest.is_empty() {
            let after = rest.split_off(rest.len().min(self.batch_replies_max));
            let (answer, waiting) = oneshot::channel();
            self.enqueue(Job::Embed { texts: std::mem::replace(&mut rest, after), answer })?;
            embeddings.append(&mut waiting.await.unwrap_or(Err(ReadError::Stopped))?);
        }
        Ok(embeddings)
    }

    /// "sha256:" and the first 12 hex digits of the weights.
    #[must_use]
    pub fn model_name(&self) -> &str {
        &self.model
    }

    fn ask_to_read(&self, text: &str) -> Result<oneshot::Receiver<Result<Reading, ReadError>>, ReadError> {
        let (answer, waiting) = oneshot::channel();
        self.enqueue(Job::Read { text: text.to_owned(), answer })?;
        Ok(waiting)
    }

    fn enqueue(&self, job: Job) -> Result<(), ReadError> {
        self.queue.try_send(job).map_err(|error| match error {
            TrySendError::Full(_) => ReadError::Overloaded,
            TrySendError::Disconnected(_) => ReadError::Stopped,
        })
    }
}

impl Job {
    fn texts(&self) -> &[String] {
        match self {
            Job::Read { text, .. } => std::slice::from_ref(text),
            Job::Embed { texts, .. } => texts,
        }
    }

    fn nobody_waits(&self) -> bool {
        match self {
            Job::Read { answer, .. } => answer.is_closed(),
            Job::Embed { answer, .. } => answer.is_closed(),
        }
    }
}

/// Reads until every handle is gone.
fn work(model: &Model, jobs: &Receiver<Job>, batch_replies_max: usize) {
    while let Some(batch) = next_batch(jobs, batch_replies_max) {
        answer(model, batch);
    }
}

/// Waits for one job, then takes what else is waiting until the batch is full. `None` when no more can come.
fn next_batch(jobs: &Receiver<Job>, batch_replies_max: usize) -> Option<Vec<Job>> {
    let mut batch = vec![jobs.recv().ok()?];
    let mut replies = batch.iter().map(|job| job.texts().len()).sum::<usize>();
    while replies < batch_replies_max {
        match jobs.try_recv() {
            Ok(job) => {
                replies += job.texts().len();
                batch.push(job);
            }
            Err(TryRecvError::Empty | TryRecvError::Disconnected) => break,
        }
    }
    Some(batch)
}

fn answer(model: &Model, mut batch: Vec<Job>) {
    batch.retain(|job| !job.nobody_waits());
    let texts: Vec<&str> = batch.iter().flat_map(Job::texts).map(String::as_str).collect();
    let scored = model.scores(&texts);
    let failed = scored.as_ref().err().cloned().map(ReadError::Failed);
    let mut scores = scored.unwrap_or_default().into_iter();
    for job in batch {
        // Whoever has stopped waiting meanwhile needs no answer.
        match (job, &failed) {
            (Job::Read { answer, .. }, Some(error)) => drop(answer.send(Err(error.clone()))),
            (Job::Embed { answer, .. }, Some(error)) => drop(answer.send(Err(error.clone()))),
            (Job::Read { text, answer }, None) => {
                let reading = scores.next().map(|scores| model.reading(&text, &scores));
                drop(answer.send(reading.ok_or_else(|| ReadError::Failed("no scores".to_owned()))));
            }
            (Job::Embed { texts, answer }, None) => {
                let embeddings = scores.by_ref().take(texts.len()).map(|scores| scores.embedding).collect();
                drop(answer.send(Ok(embeddings)));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use rejoinder_playbook::reading::Intent;

    use super::*;

    fn limits(queue_replies_max: usize, batch_replies_max: usize) -> ReaderLimits {
        ReaderLimits { queue_replies_max, batch_replies_max, ..ReaderLimits::default() }
    }

    fn model() -> Model {
        Model::new(&Weights::embedded().expect("the weights open"), 256).expect("the model loads")
    }

    #[tokio::test]
    async fn a_plain_request_to_stop_is_read_as_one() {
        let reader = Reader::start(WeightsSource::Embedded, ReaderLimits::default()).expect("it starts");
        let reading = reader.read(Channel::Email, "Please remove me from your mailing list.").await.expect("it reads");
        assert_eq!(reading.intent, Intent::Unsubscribe);
        assert_eq!(reading.model, reader.model_name());
    }

    #[tokio::test]
    async fn more_texts_than_a_batch_come_back_in_their_order() {
        let reader = Reader::start(WeightsSource::Embedded, limits(4, 2)).expect("it starts");
        let texts: Vec<String> = ["price", "price", "holiday", "integration", "price"].map(str::to_owned).to_vec();
        let embeddings = reader.embed(texts).await.expect("it embeds");
        assert_eq!(embeddings.len(), 5);
        assert!(embeddings[0].dot(&embeddings[4]) > 0.999 && embeddings[0].dot(&embeddings[2]) < 0.9);
    }

    #[tokio::test]
    async fn a_full_queue_refuses_at_once() {
        let (reader, jobs) = Reader::with_queue("none".into(), limits(2, 1));
        let first = reader.ask_to_read("one").expect("there is room");
        let _second = reader.ask_to_read("two").expect("there is room");
        assert_eq!(reader.read(Channel::Sms, "three").await, Err(ReadError::Overloaded));
        drop(jobs);
        assert!(first.await.is_err());
        assert_eq!(reader.read(Channel::Sms, "four").await, Err(ReadError::Stopped));
    }

    #[test]
    fn what_waits_is_taken_up_to_the_batch_limit() {
        let (reader, jobs) = Reader::with_queue("none".into(), limits(8, 3));
        let _waiting: Vec<_> = (0..5).map(|_| reader.ask_to_read("hello").expect("there is room")).collect();
        assert_eq!(next_batch(&jobs, 3).map(|batch| batch.len()), Some(3));
        assert_eq!(next_batch(&jobs, 3).map(|batch| batch.len()), Some(2));
        drop(reader);
        assert!(next_batch(&jobs, 3).is_none());
    }

    #[test]
    fn the_thread_ends_when_the_last_handle_is_dropped() {
        let (reader, thread) = Reader::spawn(model(), ReaderLimits::default()).expect("it starts");
        let other = reader.clone();
        drop(reader);
        assert!(other.read_blocking(Channel::Voice, "who is this?").is_ok());
        drop(other);
        thread.join().expect("the thread ends in peace");
    }
}
