//! What a plugin may use up, each limit with a name, a unit and a range that makes sense.
//! It must never be set by a plugin: limits belong to whoever runs the server.

use serde::{Deserialize, Serialize};

/// Limits for loading a plugin and for one call of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RuleLimits {
    /// All linear memories of one call together.
    pub memory_bytes_max: usize,
    /// Wall time of one call. A call that ends later than this and one tick of 5 ms has been stopped.
    pub call_ms_max: u64,
    /// Work of one call, counted in wasm instructions. It makes the same call end at the same place on every machine.
    pub call_fuel_max: u64,
    /// The engine's stack; a guest's own stack lies in its memory.
    pub stack_bytes_max: usize,
    /// What a call may hand over at once, as a ruling or as a log line.
    pub result_bytes_max: usize,
    /// Text in the facts of one call. Facts are never cut: a rule that sees half a reply could miss what matters.
    pub facts_bytes_max: usize,
    /// A reason, or the name of an owner, as people are shown it. Longer ones are cut.
    pub reason_bytes_max: usize,
    pub log_lines_max: usize,
    /// Longer lines are cut.
    pub log_line_bytes_max: usize,
    /// The file of a plugin.
    pub component_bytes_max: usize,
    /// Compiling a plugin.
    pub compile_ms_max: u64,
    pub calls_at_once_max: usize,
    /// How long a call waits for its turn before the plugin counts as unavailable.
    pub wait_ms_max: u64,
}

impl Default for RuleLimits {
    fn default() -> Self {
        Self {
            memory_bytes_max: 16 * MIB,
            call_ms_max: 50,
            call_fuel_max: 100_000_000,
            stack_bytes_max: 512 * KIB,
            result_bytes_max: 64 * KIB,
            facts_bytes_max: MIB,
            reason_bytes_max: 500,
            log_lines_max: 1_000,
            log_line_bytes_max: 2_000,
            component_bytes_max: 16 * MIB,
            compile_ms_max: 20_000,
            calls_at_once_max: 4,
            wait_ms_max: 5_000,
        }
    }
}

const KIB: usize = 1 << 10;
const MIB: usize = 1 << 20;

impl RuleLimits {
    /// Every limit that is out of range, each with its name and range. Empty if all is well.
    #[must_use]
    pub fn problems(&self) -> Vec<String> {
        // Wider than any limit, so that no value is bent on its way into the table.
        let size = |value: usize| u64::try_from(value).unwrap_or(u64::MAX);
        let (kib, mib) = (size(KIB), size(MIB));
        let ranges = [
            ("memory_bytes_max", size(self.memory_bytes_max), mib, 1024 * mib),
            ("call_ms_max", self.call_ms_max, 1, 10_000),
            ("call_fuel_max", self.call_fuel_max, 10_000, 1_000_000_000_000),
            // The threads that call plugins have 2 MiB of stack, and the host needs some of it.
            ("stack_bytes_max", size(self.stack_bytes_max), 64 * kib, mib),
            ("result_bytes_max", size(self.result_bytes_max), kib, 16 * mib),
            ("facts_bytes_max", size(self.facts_bytes_max), kib, 64 * mib),
            ("reason_bytes_max", size(self.reason_bytes_max), 40, 64 * kib),
            ("log_lines_max", size(self.log_lines_max), 0, 100_000),
            ("log_line_bytes_max", size(self.log_line_bytes_max), 40, 64 * kib),
            ("component_bytes_max", size(self.component_bytes_max), kib, 256 * mib),
            ("compile_ms_max", self.compile_ms_max, 100, 600_000),
            ("calls_at_once_max", size(self.calls_at_once_max), 1, 256),
            ("wait_ms_max", self.wait_ms_max, 1, 600_000),
        ];
        ranges
            .into_iter()
            .filter(|(_, value, least, most)| !(least..=most).contains(&value))
            .map(|(name, value, least, most)| format!("{name} is {value}; it must be from {least} to {most}"))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::RuleLimits;

    #[test]
    fn the_defaults_are_in_range() {
        assert_eq!(RuleLimits::default().problems(), Vec::<String>::new());
    }

    #[test]
    fn every_limit_out_of_range_is_named_at_once() {
        let limits =
            RuleLimits { call_ms_max: 0, stack_bytes_max: 8 << 20, calls_at_once_max: 0, ..RuleLimits::default() };
        let problems = limits.problems().join("\n");
        assert_eq!(
            problems,
            "call_ms_max is 0; it must be from 1 to 10000\n\
             stack_bytes_max is 8388608; it must be from 65536 to 1048576\n\
             calls_at_once_max is 0; it must be from 1 to 256"
        );
    }

    #[test]
    fn a_limit_that_is_not_set_keeps_its_default() {
        let limits: RuleLimits = toml::from_str("call_ms_max = 10").expect("a part of the limits is enough");
        assert_eq!(limits, RuleLimits { call_ms_max: 10, ..RuleLimits::default() });
    }

    #[test]
    fn a_misspelt_limit_is_refused() {
        assert!(toml::from_str::<RuleLimits>("call_ms = 10").is_err());
    }
}
