//! Why a plugin gave no ruling, in words that mean something to the person who reads them beside the reply.
//! It must never quote the engine or the guest.

use super::call::{Call, Hit};
use super::limits::RuleLimits;
use wasmtime::{Store, Trap};

/// A plugin that did not rule. Each of these ends at a person.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RuleError {
    #[error("the plugin was stopped: it took longer than {ms} ms for one reply")]
    TimeLimit { ms: u64 },
    #[error("the plugin was stopped: it needed more than {fuel} steps for one reply")]
    WorkLimit { fuel: u64 },
    #[error("the plugin was stopped: it wanted more than {bytes} bytes of memory")]
    MemoryLimit { bytes: usize },
    #[error("the plugin was stopped: its calls were nested too deep, as in an endless recursion")]
    StackLimit,
    #[error("the plugin was stopped: it handed over more than {bytes} bytes at once")]
    ResultLimit { bytes: usize },
    #[error("the plugin was stopped: it wrote more than {lines} log lines for one reply")]
    LogLimit { lines: usize },
    #[error(
        "the plugin was not asked: the reply and its facts hold {bytes} bytes of text, and {bytes_max} are allowed"
    )]
    FactsLimit { bytes: usize, bytes_max: usize },
    #[error("the plugin failed: {words}")]
    Trapped { words: &'static str },
    #[error("the plugin answered with something that is not a ruling: {words}")]
    Nonsense { words: &'static str },
    #[error("the plugin was not asked: {calls} other calls were still running after {ms} ms")]
    Busy { calls: usize, ms: u64 },
    #[error("the plugin could not be started: {why}")]
    Start { why: String },
}

impl RuleError {
    /// From an error of the engine. The store knows of limits that the error does not tell.
    pub(super) fn of(error: &wasmtime::Error, store: &Store<Call>, limits: &RuleLimits) -> Self {
        match store.data().hit {
            Some(Hit::Memory) => return Self::MemoryLimit { bytes: limits.memory_bytes_max },
            Some(Hit::Log) => return Self::LogLimit { lines: limits.log_lines_max },
            None => {}
        }
        match error.downcast_ref::<Trap>() {
            Some(Trap::Interrupt) => Self::TimeLimit { ms: limits.call_ms_max },
            Some(Trap::OutOfFuel) => Self::WorkLimit { fuel: limits.call_fuel_max },
            Some(Trap::StackOverflow) => Self::StackLimit,
            Some(trap) => Self::Trapped { words: words(*trap) },
            None => Self::untold(&format!("{error:#}"), limits),
        }
    }

    /// The engine has no type for these that could be asked for; the hostile guest's tests guard the words.
    fn untold(text: &str, limits: &RuleLimits) -> Self {
        if text.contains("too much data is being copied") {
            Self::ResultLimit { bytes: limits.result_bytes_max }
        } else if text.contains("utf-8") {
            Self::Nonsense { words: "its text is not valid UTF-8" }
        } else {
            Self::Nonsense { words: "the answer does not fit the contract" }
        }
    }
}

fn words(trap: Trap) -> &'static str {
    match trap {
        Trap::UnreachableCodeReached => "it gave up by itself (a panic or a failed check in its code)",
        Trap::MemoryOutOfBounds | Trap::HeapMisaligned => {
            "it reached outside its own memory (a bug in its code, or a recursion with large values)"
        }
        Trap::IntegerOverflow | Trap::BadConversionToInteger => "a number in it grew too large",
        Trap::IntegerDivisionByZero => "it divided by zero",
        Trap::TableOutOfBounds | Trap::IndirectCallToNull | Trap::BadSignature | Trap::NullReference => {
            "it called a function that does not exist (a bug in its code or its compiler)"
        }
        Trap::AllocationTooLarge => "it asked for too much memory at once",
        _ => "it did something that the sandbox does not allow",
    }
}
