//! What the host keeps for one call of a plugin: what it has used so far, and the lines it logged.
//! It must never be used for a second call.

use super::contract;
use super::limits::RuleLimits;
use super::plain::plain;
use serde::{Deserialize, Serialize};
use wasmtime::{ResourceLimiter, format_err};

/// One table holds references to functions; no honest plugin comes near this.
pub(super) const TABLE_ELEMENTS_MAX: usize = 20_000;

/// A line that a plugin logged, made plain and cut to its limit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogLine {
    pub level: LogLevel,
    pub message: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogLevel {
    Debug,
    Info,
    Warn,
    Error,
}

/// A limit that the host itself watches. The engine reports the others as traps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Hit {
    Memory,
    Log,
}

#[derive(Debug)]
pub(super) struct Call {
    pub(super) log: Vec<LogLine>,
    pub(super) hit: Option<Hit>,
    /// Granted so far, over all memories.
    pub(super) memory_bytes: usize,
    memory_bytes_max: usize,
    log_lines_max: usize,
    log_line_bytes_max: usize,
}

impl Call {
    pub(super) fn new(limits: &RuleLimits) -> Self {
        Self {
            log: Vec::new(),
            hit: None,
            memory_bytes: 0,
            memory_bytes_max: limits.memory_bytes_max,
            log_lines_max: limits.log_lines_max,
            log_line_bytes_max: limits.log_line_bytes_max,
        }
    }
}

impl contract::types::Host for Call {}

impl contract::log::Host for Call {
    fn log(&mut self, level: contract::log::Level, message: String) -> wasmtime::Result<()> {
        if self.log.len() >= self.log_lines_max {
            self.hit = Some(Hit::Log);
            return Err(format_err!("too many log lines"));
        }
        let level = match level {
            contract::log::Level::Debug => LogLevel::Debug,
            contract::log::Level::Info => LogLevel::Info,
            contract::log::Level::Warn => LogLevel::Warn,
            contract::log::Level::Error => LogLevel::Error,
        };
        self.log.push(LogLine { level, message: plain(&message, self.log_line_bytes_max) });
        Ok(())
    }
}

impl ResourceLimiter for Call {
    fn memory_growing(&mut self, current: usize, desired: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        let wanted = self.memory_bytes.saturating_add(desired.saturating_sub(current));
        if wanted > self.memory_bytes_max {
            // A trap, not a refusal: a guest that is refused memory aborts in a way that nobody could tell from a bug.
            self.hit = Some(Hit::Memory);
            return Err(format_err!("too much memory"));
        }
        self.memory_bytes = wanted;
        Ok(true)
    }

    fn table_growing(&mut self, _: usize, desired: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        Ok(desired <= TABLE_ELEMENTS_MAX)
    }
}
