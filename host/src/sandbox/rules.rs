//! Asks one loaded plugin about one reply, in a fresh instance that ends with the call.
//! It must never keep anything from one call for the next, and never turn a failure into "proceed".

use super::Core;
use super::call::{Call, LogLine};
use super::contract::{self, World, WorldPre};
use super::facts::ReplyFacts;
use super::failure::RuleError;
use super::load::LoadError;
use super::ticker::ticks;
use rejoinder_playbook::ruling::{Ruling, RulingOutcome};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::Duration;
use wasmtime::Store;

/// A plugin that was loaded and found able to rule. A clone is the same plugin.
#[derive(Clone, Debug)]
pub struct Rules {
    loaded: Arc<Loaded>,
}

pub(super) struct Loaded {
    pub(super) name: String,
    pub(super) sha256: String,
    pub(super) size_bytes: usize,
    pub(super) imports: Vec<String>,
    pub(super) hooks: Vec<String>,
    pub(super) world: WorldPre<Call>,
    pub(super) core: Arc<Core>,
}

impl std::fmt::Debug for Loaded {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Loaded").field("name", &self.name).field("sha256", &self.sha256).finish_non_exhaustive()
    }
}

/// A ruling and what it took.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Judged {
    pub ruling: Ruling,
    pub log: Vec<LogLine>,
    pub usage: Usage,
}

/// A call with its log, whether it came to a ruling or not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trial {
    pub ruling: Result<Ruling, RuleError>,
    pub log: Vec<LogLine>,
    pub usage: Usage,
}

/// What a call used up, to be set beside its limits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    pub fuel: u64,
    pub memory_bytes: usize,
}

impl Rules {
    pub(super) fn new(loaded: Loaded) -> Self {
        Self { loaded: Arc::new(loaded) }
    }

    #[must_use]
    pub fn name(&self) -> &str {
        &self.loaded.name
    }

    /// Of the component's bytes, in lower-case hexadecimal.
    #[must_use]
    pub fn sha256(&self) -> &str {
        &self.loaded.sha256
    }

    pub(super) fn loaded(&self) -> &Loaded {
        &self.loaded
    }

    /// Asks the plugin. It blocks for as long as the call takes: keep it off async threads, or use `ask`.
    ///
    /// # Errors
    /// When the plugin hits a limit, traps or answers nonsense, or when all places for calls are taken.
    pub fn judge(&self, facts: &ReplyFacts) -> Result<Judged, RuleError> {
        let Trial { ruling, log, usage } = self.try_out(facts);
        ruling.map(|ruling| Judged { ruling, log, usage })
    }

    /// As `judge`, and keeps the log of a call that failed.
    #[must_use]
    pub fn try_out(&self, facts: &ReplyFacts) -> Trial {
        let limits = &self.loaded.core.limits;
        match self.loaded.core.gate.try_acquire() {
            Ok(_permit) => self.call(facts),
            Err(_) => Trial {
                ruling: Err(RuleError::Busy { calls: limits.calls_at_once_max, ms: 0 }),
                log: Vec::new(),
                usage: Usage::default(),
            },
        }
    }

    /// Asks the plugin from async code: waits for a place, runs the call on a blocking thread, and makes every
    /// failure an outcome that leads to a person.
    pub async fn ask(&self, facts: ReplyFacts) -> RulingOutcome {
        match self.ask_in_turn(facts).await {
            Ok(ruling) => RulingOutcome::Ruled { plugin: self.name().to_owned(), ruling },
            Err(error) => {
                tracing::warn!(plugin = self.name(), %error, "a plugin gave no ruling");
                RulingOutcome::Unavailable { plugin: self.name().to_owned(), why: error.to_string() }
            }
        }
    }

    async fn ask_in_turn(&self, facts: ReplyFacts) -> Result<Ruling, RuleError> {
        let limits = &self.loaded.core.limits;
        let gate = Arc::clone(&self.loaded.core.gate);
        let Ok(Ok(permit)) =
            tokio::time::timeout(Duration::from_millis(limits.wait_ms_max), gate.acquire_owned()).await
        else {
            return Err(RuleError::Busy { calls: limits.calls_at_once_max, ms: limits.wait_ms_max });
        };
        let rules = self.clone();
        // The permit goes with the call: if the caller gives up waiting, the call still holds its place until it ends.
        let call = tokio::task::spawn_blocking(move || {
            let trial = rules.call(&facts);
            drop(permit);
            trial.ruling
        });
        call.await.unwrap_or_else(|_| Err(RuleError::Start { why: "its thread ended early".to_owned() }))
    }

    fn call(&self, facts: &ReplyFacts) -> Trial {
        let limits = &self.loaded.core.limits;
        let bytes = facts.text_bytes();
        if bytes > limits.facts_bytes_max {
            let error = RuleError::FactsLimit { bytes, bytes_max: limits.facts_bytes_max };
            return Trial { ruling: Err(error), log: Vec::new(), usage: Usage::default() };
        }
        let mut store = self.store();
        let beating = self.loaded.core.ticker.beat();
        let ruling = self
            .loaded
            .world
            .instantiate(&mut store)
            .map_err(|error| self.no_start(&error, &store))
            .and_then(|world| {
                contract::lend(facts, |facts| world.rejoinder_rules_replies().call_judge(&mut store, facts))
                    .map_err(|error| RuleError::of(&error, &store, limits))
            })
            .map(|ruling| contract::ruling(ruling, limits));
        drop(beating);
        let fuel = limits.call_fuel_max.saturating_sub(store.get_fuel().unwrap_or(0));
        let call = store.into_data();
        Trial { ruling, log: call.log, usage: Usage { fuel, memory_bytes: call.memory_bytes } }
    }

    /// Starts an instance and lets it go: what a plugin must survive before it is used.
    pub(super) fn start_once(&self) -> Result<(), LoadError> {
        let mut store = self.store();
        let _beating = self.loaded.core.ticker.beat();
        let instance = self.loaded.world.instance_pre().instantiate(&mut store);
        let instance = instance.map_err(|error| LoadError::Start(self.no_start(&error, &store)))?;
        World::new(&mut store, &instance).map(|_| ()).map_err(|error| LoadError::Types { why: format!("{:#}", error) })
    }

    fn no_start(&self, error: &wasmtime::Error, store: &Store<Call>) -> RuleError {
        match RuleError::of(error, store, &self.loaded.core.limits) {
            // No guest code has spoken yet, so what the engine says is about the plugin's file or the pool.
            RuleError::Nonsense { .. } => RuleError::Start { why: format!("{error:#}") },
            told => told,
        }
    }

    fn store(&self) -> Store<Call> {
        let limits = &self.loaded.core.limits;
        let mut store = Store::new(&self.loaded.core.engine, Call::new(limits));
        store.limiter(|call| call);
        store.set_epoch_deadline(ticks(limits.call_ms_max));
        store.set_fuel(limits.call_fuel_max).expect("the engine counts fuel");
        store.set_hostcall_fuel(limits.result_bytes_max);
        store
    }
}

#[cfg(test)]
mod tests {
    use super::super::{LogLevel, ReplyFacts, RuleError, RuleLimits, Sandbox};
    use super::{Rules, Trial};
    use rejoinder_playbook::ruling::{Ruling, RulingOutcome};

    const HOSTILE: &[u8] = include_bytes!("../../../plugins/built/hostile.wasm");
    const HIGH_VALUE: &[u8] = include_bytes!("../../../plugins/built/high_value_accounts.wasm");

    fn rules(bytes: &[u8], limits: RuleLimits) -> Rules {
        let sandbox = Sandbox::new(limits).expect("the sandbox starts");
        sandbox.load("tested", bytes).expect("the plugin loads")
    }

    fn facts(settings: &[(&str, &str)]) -> ReplyFacts {
        let settings = settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        ReplyFacts { settings, ..ReplyFacts::sample() }
    }

    fn attack(rules: &Rules, name: &str) -> Trial {
        rules.try_out(&facts(&[("attack", name)]))
    }

    /// Time is tested on its own, with so much fuel that it cannot end first.
    #[test]
    fn an_endless_loop_ends_at_its_time_limit() {
        let limits = RuleLimits { call_ms_max: 10, call_fuel_max: 1_000_000_000_000, ..RuleLimits::default() };
        let rules = rules(HOSTILE, limits);
        assert_eq!(attack(&rules, "loop").ruling, Err(RuleError::TimeLimit { ms: 10 }));
        assert_eq!(attack(&rules, "proceed").ruling, Ok(Ruling::Proceed));
    }

    /// And fuel with so much time that it cannot end first.
    #[test]
    fn every_attack_ends_in_words_and_leaves_the_sandbox_usable() {
        let limits = RuleLimits { call_ms_max: 10_000, log_lines_max: 20, ..RuleLimits::default() };
        let rules = rules(HOSTILE, limits.clone());
        let table = [
            ("loop", RuleError::WorkLimit { fuel: limits.call_fuel_max }),
            ("memory", RuleError::MemoryLimit { bytes: limits.memory_bytes_max }),
            ("recursion", RuleError::StackLimit),
            ("trap", RuleError::Trapped { words: "it gave up by itself (a panic or a failed check in its code)" }),
            ("panic", RuleError::Trapped { words: "it gave up by itself (a panic or a failed check in its code)" }),
            ("huge-result", RuleError::ResultLimit { bytes: limits.result_bytes_max }),
            ("log-flood", RuleError::LogLimit { lines: 20 }),
            ("log-huge", RuleError::ResultLimit { bytes: limits.result_bytes_max }),
            ("invalid-text", RuleError::Nonsense { words: "its text is not valid UTF-8" }),
        ];
        for (name, error) in table {
            assert_eq!(attack(&rules, name).ruling, Err(error), "{name}");
            assert_eq!(attack(&rules, "proceed").ruling, Ok(Ruling::Proceed), "after {name}");
        }
    }

    #[test]
    fn the_lines_of_a_call_that_failed_are_kept() {
        let rules = rules(HOSTILE, RuleLimits { log_lines_max: 3, ..RuleLimits::default() });
        let trial = attack(&rules, "log-flood");
        assert!(trial.ruling.is_err());
        assert_eq!(trial.log.len(), 3);
        assert!(trial.log.iter().all(|line| line.level == LogLevel::Info && line.message == "and another line"));
    }

    #[test]
    fn a_long_log_line_is_cut() {
        let rules = rules(HOSTILE, RuleLimits { log_line_bytes_max: 60, ..RuleLimits::default() });
        let trial = attack(&rules, "log-long");
        assert_eq!(trial.ruling, Ok(Ruling::Proceed));
        let lengths: Vec<_> = trial.log.iter().map(|line| line.message.len()).collect();
        assert!(matches!(lengths[..], [length] if length <= 60), "{lengths:?}");
    }

    #[test]
    fn a_call_sees_nothing_of_earlier_calls() {
        let rules = rules(HOSTILE, RuleLimits::default());
        for _ in 0..3 {
            let ruling = attack(&rules, "keep-state").ruling.expect("it rules");
            assert_eq!(ruling, Ruling::Review { reason: "calls before this one: 0".to_owned() });
        }
    }

    #[test]
    fn a_reason_is_cut_and_made_plain() {
        let limits = RuleLimits::default();
        let rules = rules(HOSTILE, limits.clone());
        let Ok(Ruling::HandOff { reason, to: Some(to) }) = attack(&rules, "lie-reason").ruling else {
            panic!("it hands off");
        };
        assert!(reason.starts_with("[2JApproved <script>alert(1)</script> éé"), "{reason}");
        assert!(reason.len() <= limits.reason_bytes_max && reason.ends_with('…'), "{reason}");
        assert!(to.starts_with("Dana aaa") && to.len() <= limits.reason_bytes_max, "{to}");
        let ruling = attack(&rules, "empty-reason").ruling;
        assert_eq!(ruling, Ok(Ruling::Suppress { reason: "The plugin gave no reason.".to_owned() }));
    }

    #[test]
    fn the_same_facts_take_the_same_work() {
        let rules = rules(HIGH_VALUE, RuleLimits::default());
        let facts = facts(&[("seats_min", "30")]);
        assert_eq!(rules.judge(&facts), rules.judge(&facts));
    }

    #[test]
    fn facts_beyond_their_limit_are_not_cut_but_refused() {
        let rules = rules(HIGH_VALUE, RuleLimits { facts_bytes_max: 1_024, ..RuleLimits::default() });
        let facts = ReplyFacts { text: "a".repeat(2_000), ..ReplyFacts::sample() };
        assert!(matches!(rules.judge(&facts), Err(RuleError::FactsLimit { bytes_max: 1_024, .. })));
    }

    #[test]
    fn a_reply_of_the_longest_length_is_judged() {
        let limits = RuleLimits::default();
        let rules = rules(HIGH_VALUE, limits.clone());
        let mut facts = facts(&[("seats_min", "41")]);
        facts.text = "a".repeat(limits.facts_bytes_max - 1_000);
        assert_eq!(rules.judge(&facts).map(|judged| judged.ruling), Ok(Ruling::Proceed));
    }

    #[test]
    fn large_accounts_go_to_their_owner_whatever_the_reading() {
        let rules = rules(HIGH_VALUE, RuleLimits::default());
        let owner = ("owner", "Dana Ruiz");
        let handed = |reason: &str| Ruling::HandOff { reason: reason.to_owned(), to: Some("Dana Ruiz".to_owned()) };
        // The sample's lead has 40 seats and 4,200,000 USD.
        let table = [
            (vec![("seats_min", "40"), owner], handed("High-value account: 40 seats, handed over from 40.")),
            (vec![("seats_min", "41"), owner], Ruling::Proceed),
            (
                vec![("seats_min", "41"), ("annual_revenue_usd_min", "$4,000,000"), owner],
                handed("High-value account: 4200000 USD annual revenue, handed over from 4000000."),
            ),
            (
                vec![("seats_min", "forty"), owner],
                Ruling::Review {
                    reason: "The setting seats_min is not a number: \"forty\". Enter it in digits.".to_owned(),
                },
            ),
        ];
        for (settings, ruling) in table {
            let mut facts = facts(&settings);
            assert_eq!(rules.judge(&facts).map(|judged| judged.ruling), Ok(ruling.clone()), "{settings:?}");
            facts.reading = None;
            assert_eq!(rules.judge(&facts).map(|judged| judged.ruling), Ok(ruling), "{settings:?}, not read");
        }
    }

    #[tokio::test]
    async fn more_replies_than_places_all_get_their_ruling() {
        let rules = rules(HIGH_VALUE, RuleLimits { calls_at_once_max: 2, ..RuleLimits::default() });
        let mut asked = tokio::task::JoinSet::new();
        for _ in 0..200 {
            let rules = rules.clone();
            asked.spawn(async move { rules.ask(facts(&[("seats_min", "41")])).await });
        }
        let ruled = RulingOutcome::Ruled { plugin: "tested".to_owned(), ruling: Ruling::Proceed };
        assert!(asked.join_all().await.iter().all(|outcome| *outcome == ruled));
    }

    #[tokio::test]
    async fn a_plugin_that_fails_is_unavailable_and_never_proceeds() {
        let rules = rules(HOSTILE, RuleLimits::default());
        for name in ["loop", "memory", "recursion", "trap", "huge-result", "log-flood", "invalid-text"] {
            let outcome = rules.ask(facts(&[("attack", name)])).await;
            let RulingOutcome::Unavailable { plugin, why } = outcome else { panic!("{name} gave {outcome:?}") };
            assert_eq!(plugin, "tested");
            assert!(why.starts_with("the plugin "), "{why}");
        }
    }

    #[test]
    fn a_check_tells_what_a_plugin_is_and_does() {
        let report = rules(HIGH_VALUE, RuleLimits::default()).check(&facts(&[("seats_min", "30")]));
        assert_eq!(report.hooks, ["replies"]);
        assert_eq!(report.size_bytes, HIGH_VALUE.len());
        assert!(report.dry_run.ruling.is_ok());
        assert!(report.to_string().contains("dry run  hand off to anyone: High-value account: 40 seats"), "{report}");
    }

    /// Not a claim: prints what a call costs here. `cargo test --release -p rejoinder call_cost -- --ignored --nocapture`
    #[test]
    #[ignore = "a measurement"]
    #[expect(clippy::print_stdout, reason = "it is there to be read")]
    fn call_cost() {
        let rules = rules(HIGH_VALUE, RuleLimits::default());
        let facts = facts(&[("seats_min", "30"), ("owner", "Dana Ruiz")]);
        let _warm = rules.measure(&facts, 1_000);
        let took = rules.measure(&facts, 20_000);
        let at = |share: usize| took.get(took.len() * share / 1_000).copied().unwrap_or_default();
        println!("store, instance, call and drop: p50 {:?}, p99 {:?}, p99.9 {:?}", at(500), at(990), at(999));
    }
}
