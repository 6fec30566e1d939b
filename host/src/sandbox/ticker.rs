//! The beat that ends calls which run too long: while a call runs, the engine's epoch moves on every few milliseconds.
//! It must never run while nothing is called, and must never outlive its owner.

use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;
use wasmtime::Engine;

pub(super) const TICK_MS: u64 = 5;

#[derive(Debug)]
pub(super) struct Ticker {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    calls: usize,
    ended: bool,
    /// The thread waits for the next call. Only then is it worth a system call to wake it.
    waiting: bool,
}

/// The beat goes on while one of these lives.
#[derive(Debug)]
pub(super) struct Beating<'a>(&'a Shared);

impl Ticker {
    pub(super) fn start(engine: Engine) -> std::io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let beat = Arc::clone(&shared);
        let thread = std::thread::Builder::new().name("plugin-ticker".to_owned()).spawn(move || beat.run(&engine))?;
        Ok(Self { shared, thread: Some(thread) })
    }

    pub(super) fn beat(&self) -> Beating<'_> {
        self.shared.change(|state| state.calls += 1);
        Beating(&self.shared)
    }
}

/// How many ticks a call may see. The first tick may come at once, so one more is granted than the time holds.
pub(super) fn ticks(ms: u64) -> u64 {
    ms.div_ceil(TICK_MS).saturating_add(1)
}

impl Shared {
    fn change(&self, change: impl FnOnce(&mut State)) {
        // The lock is held for plain counting only, so a poisoned one still holds a true count.
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut state);
        if state.waiting && (state.calls > 0 || state.ended) {
            self.changed.notify_all();
        }
    }

    fn run(&self, engine: &Engine) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        while !state.ended {
            if state.calls == 0 {
                state.waiting = true;
                state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
                state.waiting = false;
            } else {
                drop(state);
                std::thread::sleep(Duration::from_millis(TICK_MS));
                engine.increment_epoch();
                state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            }
        }
    }
}

impl Drop for Beating<'_> {
    fn drop(&mut self) {
        self.0.change(|state| state.calls = state.calls.saturating_sub(1));
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        self.shared.change(|state| state.ended = true);
        if let Some(thread) = self.thread.take() {
            // A panic in the ticker has been reported by its thread; there is nothing to add here.
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Ticker, ticks};
    use std::sync::Arc;
    use wasmtime::Engine;

    #[test]
    fn a_call_is_given_at_least_its_time() {
        assert_eq!([ticks(1), ticks(5), ticks(6), ticks(50)], [2, 2, 3, 11]);
    }

    #[test]
    fn the_ticker_ends_with_its_owner() {
        let ticker = Ticker::start(Engine::default()).expect("a thread starts");
        let shared = Arc::downgrade(&ticker.shared);
        let beating = ticker.beat();
        drop(beating);
        drop(ticker);
        assert!(shared.upgrade().is_none(), "the thread still holds its state");
    }
}
