//! The sandbox: loads a team's own rules and asks them about one reply.
//! A plugin must never reach anything but the facts it is handed, never outlive its call, and never decide more than
//! "be more careful". Whatever goes wrong in here ends at a person.

mod call;
mod check;
mod contract;
mod facts;
mod failure;
mod limits;
mod load;
mod plain;
mod rules;
mod ticker;

pub use call::{LogLevel, LogLine};
pub use check::CheckReport;
pub use facts::ReplyFacts;
pub use failure::RuleError;
pub use limits::RuleLimits;
pub use load::LoadError;
pub use rules::{Judged, Rules, Trial, Usage};

use call::Call;
use std::sync::Arc;
use ticker::Ticker;
use tokio::sync::Semaphore;
use wasmtime::component::{HasSelf, Linker};
use wasmtime::{Config, Engine, PoolingAllocationConfig};

/// Where plugins run. One is enough for a server; dropping it and the last `Rules` loaded by it ends its thread.
#[derive(Clone, Debug)]
pub struct Sandbox {
    core: Arc<Core>,
}

#[derive(Debug, thiserror::Error)]
pub enum SandboxError {
    #[error("the plugin limits cannot be used: {}", problems.join("; "))]
    Limits { problems: Vec<String> },
    #[error(
        "the plugin engine does not start: {why}. If the address space of the process is limited (ulimit -v), raise \
         that limit or lower calls_at_once_max or memory_bytes_max"
    )]
    Engine { why: String },
}

/// What every loaded plugin shares.
struct Core {
    engine: Engine,
    linker: Linker<Call>,
    limits: RuleLimits,
    ticker: Ticker,
    /// One permit per call that may run at once; the pool below is made for that many.
    gate: Arc<Semaphore>,
    /// One plugin is loaded at a time.
    loading: Arc<load::Place>,
}

impl std::fmt::Debug for Core {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Core").field("limits", &self.limits).finish_non_exhaustive()
    }
}

impl Sandbox {
    /// Starts the engine and its ticker thread.
    ///
    /// # Errors
    /// When a limit is out of range or the system does not give the address space.
    pub fn new(limits: RuleLimits) -> Result<Self, SandboxError> {
        let problems = limits.problems();
        if !problems.is_empty() {
            return Err(SandboxError::Limits { problems });
        }
        let engine =
            Engine::new(&config(&limits)).map_err(|error| SandboxError::Engine { why: format!("{error:#}") })?;
        let mut linker = Linker::new(&engine);
        contract::log::add_to_linker::<_, HasSelf<_>>(&mut linker, |call: &mut Call| call)
            .map_err(|error| SandboxError::Engine { why: format!("{error:#}") })?;
        let ticker = Ticker::start(engine.clone()).map_err(|error| SandboxError::Engine { why: error.to_string() })?;
        let gate = Arc::new(Semaphore::new(limits.calls_at_once_max));
        let loading = Arc::default();
        Ok(Self { core: Arc::new(Core { engine, linker, limits, ticker, gate, loading }) })
    }

    #[must_use]
    pub fn limits(&self) -> &RuleLimits {
        &self.core.limits
    }
}

/// Room for the guests of languages with a runtime of their own too: those bring many small modules.
const MODULES_PER_PLUGIN_MAX: u32 = 40;
const MEMORIES_PER_PLUGIN_MAX: u32 = 8;
const TABLES_PER_PLUGIN_MAX: u32 = 40;

fn config(limits: &RuleLimits) -> Config {
    // `problems` keeps it far below u32::MAX. One slot more is for trying a plugin out while others run.
    let slots = u32::try_from(limits.calls_at_once_max).unwrap_or(u32::MAX >> 8) + 1;
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(slots)
        .total_core_instances(slots * MODULES_PER_PLUGIN_MAX)
        .max_core_instances_per_component(MODULES_PER_PLUGIN_MAX)
        .total_memories(slots * MEMORIES_PER_PLUGIN_MAX)
        .max_memories_per_component(MEMORIES_PER_PLUGIN_MAX)
        .max_memory_size(limits.memory_bytes_max)
        .total_tables(slots * TABLES_PER_PLUGIN_MAX)
        .max_tables_per_component(TABLES_PER_PLUGIN_MAX)
        .table_elements(call::TABLE_ELEMENTS_MAX)
        // A small table is wiped rather than given back to the system and fetched again at the next call.
        .table_keep_resident(1 << 14);
    let mut config = Config::new();
    config
        .allocation_strategy(pool)
        // Room for what a memory may grow to and not for the 4 GiB it could address: the whole pool stays small
        // enough for a process whose address space is limited.
        .memory_reservation(u64::try_from(limits.memory_bytes_max).unwrap_or(u64::MAX))
        .memory_guard_size(1 << 16)
        .max_wasm_stack(limits.stack_bytes_max)
        .epoch_interruption(true)
        .consume_fuel(true)
        // The same facts give the same ruling on every machine.
        .cranelift_nan_canonicalization(true)
        .relaxed_simd_deterministic(true)
        .wasm_memory64(false);
    config
}

#[cfg(test)]
mod tests {
    use super::{RuleLimits, Sandbox};

    #[test]
    fn limits_out_of_range_are_all_named() {
        let limits = RuleLimits { call_ms_max: 0, wait_ms_max: 0, ..RuleLimits::default() };
        let words = Sandbox::new(limits).expect_err("the limits are out of range").to_string();
        assert!(words.contains("call_ms_max is 0") && words.contains("wait_ms_max is 0"), "{words}");
    }
}
