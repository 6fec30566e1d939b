//! What `rejoinder plugin check` says about a plugin: what it is made of, and what came of one call.
//! It must never stand in for the ruling on a real reply: its call is a dry one.

use super::facts::ReplyFacts;
use super::limits::RuleLimits;
use super::rules::{Rules, Trial};
use rejoinder_playbook::ruling::Ruling;
use std::fmt;
use std::time::{Duration, Instant};

#[derive(Clone, Debug)]
pub struct CheckReport {
    pub name: String,
    pub size_bytes: usize,
    pub sha256: String,
    pub imports: Vec<String>,
    /// The hooks it answers ("replies").
    pub hooks: Vec<String>,
    pub dry_run: Trial,
    /// How long the dry call took.
    pub call_us: u128,
    pub limits: RuleLimits,
}

impl Rules {
    /// Calls the plugin once with these facts (`ReplyFacts::sample` if there are no better ones) and reports. It blocks.
    #[must_use]
    pub fn check(&self, facts: &ReplyFacts) -> CheckReport {
        // The first call pays for pages that later calls find ready; only the second is worth telling.
        let _ = self.try_out(facts);
        let (dry_run, took) = timed(|| self.try_out(facts));
        let loaded = self.loaded();
        CheckReport {
            name: loaded.name.clone(),
            size_bytes: loaded.size_bytes,
            sha256: loaded.sha256.clone(),
            imports: loaded.imports.clone(),
            hooks: loaded.hooks.clone(),
            dry_run,
            call_us: took.as_micros(),
            limits: loaded.core.limits.clone(),
        }
    }

    /// How long `calls` calls took, from the shortest to the longest: each with a fresh store, an instance, the
    /// call and the drop. For benchmarks.
    #[must_use]
    pub fn measure(&self, facts: &ReplyFacts, calls: usize) -> Vec<Duration> {
        let mut took: Vec<Duration> = (0..calls).map(|_| timed(|| self.try_out(facts)).1).collect();
        took.sort_unstable();
        took
    }
}

fn timed<T>(work: impl FnOnce() -> T) -> (T, Duration) {
    let start = Instant::now();
    let done = work();
    (done, start.elapsed())
}

impl fmt::Display for CheckReport {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let imports = if self.imports.is_empty() { "nothing".to_owned() } else { self.imports.join(", ") };
        writeln!(formatter, "plugin   {}", self.name)?;
        writeln!(formatter, "size     {} bytes of {}", self.size_bytes, self.limits.component_bytes_max)?;
        writeln!(formatter, "sha256   {}", self.sha256)?;
        writeln!(formatter, "imports  {imports}")?;
        writeln!(formatter, "hooks    {}", self.hooks.join(", "))?;
        for line in &self.dry_run.log {
            writeln!(formatter, "log      {}", line.message)?;
        }
        match &self.dry_run.ruling {
            Ok(Ruling::Proceed) => writeln!(formatter, "dry run  proceed")?,
            Ok(Ruling::Review { reason }) => writeln!(formatter, "dry run  review: {reason}")?,
            Ok(Ruling::HandOff { reason, to }) => {
                writeln!(formatter, "dry run  hand off to {}: {reason}", to.as_deref().unwrap_or("anyone"))?;
            }
            Ok(Ruling::Suppress { reason }) => writeln!(formatter, "dry run  suppress: {reason}")?,
            Err(error) => writeln!(formatter, "dry run  failed: {error}")?,
        }
        writeln!(formatter, "time     {} µs of {} ms", self.call_us, self.limits.call_ms_max)?;
        writeln!(formatter, "work     {} steps of {}", self.dry_run.usage.fuel, self.limits.call_fuel_max)?;
        write!(formatter, "memory   {} bytes of {}", self.dry_run.usage.memory_bytes, self.limits.memory_bytes_max)
    }
}
