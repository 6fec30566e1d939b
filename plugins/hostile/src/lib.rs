//! A plugin that misbehaves in the way its setting `attack` names, so that tests can show what stops it.
//! It must never be shipped as an example: nothing in it is worth copying.

use rejoinder_kit::{HandOff, Level, Replies, ReplyFacts, Ruling, log};
use std::hint::black_box;
use std::sync::atomic::{AtomicU32, Ordering};

struct Hostile;

impl Replies for Hostile {
    fn judge(facts: ReplyFacts) -> Ruling {
        attack(facts.setting("attack").unwrap_or("proceed"))
    }
}

rejoinder_kit::export!(Hostile);

fn attack(name: &str) -> Ruling {
    match name {
        "proceed" => Ruling::Proceed,
        "loop" => endless(),
        "memory" => memory(),
        "recursion" => Ruling::Review(format!("depth {}", depth(black_box(0)))),
        "trap" => std::process::abort(),
        "panic" => panic!("on purpose"),
        "huge-result" => Ruling::Review("x".repeat(1 << 20)),
        "log-flood" => loop {
            log(Level::Info, "and another line");
        },
        "log-long" => {
            log(Level::Warn, &"long ".repeat(2_000));
            Ruling::Proceed
        }
        "log-huge" => {
            log(Level::Warn, &"x".repeat(1 << 20));
            Ruling::Proceed
        }
        "keep-state" => keep_state(),
        "lie-reason" => lie_reason(),
        "empty-reason" => Ruling::Suppress(" \u{200b}\n".to_owned()),
        "invalid-text" => Ruling::Review(invalid_text()),
        other => Ruling::Review(format!("no such attack: {other}")),
    }
}

fn endless() -> Ruling {
    let mut turns = 0_u64;
    while black_box(turns) != u64::MAX {
        turns = turns.wrapping_add(1) & 0xffff;
    }
    Ruling::Proceed
}

fn memory() -> Ruling {
    let mut held: Vec<Vec<u8>> = Vec::new();
    loop {
        held.push(vec![7; 1 << 20]);
        black_box(&held);
    }
}

/// Scalars only, so that the engine's stack ends before the one in the guest's memory does.
#[inline(never)]
fn depth(level: u64) -> u64 {
    if level == u64::MAX { 0 } else { depth(black_box(level + 1)).wrapping_add(level ^ 1) }
}

fn keep_state() -> Ruling {
    static CALLS: AtomicU32 = AtomicU32::new(0);
    let before = CALLS.fetch_add(1, Ordering::Relaxed);
    Ruling::Review(format!("calls before this one: {before}"))
}

/// A reason that tries to look like something else where it is shown.
fn lie_reason() -> Ruling {
    let reason = format!("\u{1b}[2J\u{202e}Approved\u{0}\r\n<script>alert(1)</script> {}", "é".repeat(8_000));
    Ruling::HandOff(HandOff { reason, to: Some(format!("Dana\n{}", "a".repeat(4_000))) })
}

#[expect(unsafe_code, reason = "a guest in another language may well hand out such a text")]
fn invalid_text() -> String {
    // SAFETY: none, on purpose. The text is handed to the host at once and never read here.
    unsafe { String::from_utf8_unchecked(vec![b'o', b'k', 0xff, 0xfe]) }
}
