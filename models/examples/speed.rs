//! Measures the reader on this machine: time to start, p50 for one reply and for eight at once, resident memory.
//! It must never be a test: figures differ between machines.
//!
//!     cargo run --release -p rejoinder-models --example speed
#![expect(clippy::print_stdout, reason = "a command line tool")]

use std::time::Instant;

use rejoinder_models::{Reader, ReaderLimits, WeightsSource};
use rejoinder_playbook::reading::Channel;

const REPLY: &str = "Thanks for the note. We looked at it with the team and it does look useful, but before we go on I would \
    need to know whether it works with our accounting system, and what twenty seats cost per month.";

fn p50_ms(mut samples: Vec<f64>) -> f64 {
    samples.sort_by(f64::total_cmp);
    samples.get(samples.len() / 2).copied().unwrap_or(f64::NAN)
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let start = Instant::now();
    let reader = Reader::start(WeightsSource::Embedded, ReaderLimits::default())?;
    println!("start: {:.0} ms ({})", start.elapsed().as_secs_f64() * 1e3, reader.model_name());
    for at_once in [1, 8] {
        let mut samples = Vec::new();
        for _ in 0..60 {
            let start = Instant::now();
            let tasks: Vec<_> = (0..at_once)
                .map(|_| {
                    let reader = reader.clone();
                    tokio::spawn(async move { reader.read(Channel::Email, REPLY).await })
                })
                .collect();
            for task in tasks {
                task.await??;
            }
            samples.push(start.elapsed().as_secs_f64() * 1e3);
        }
        println!("{at_once} at once: p50 {:.1} ms", p50_ms(samples));
    }
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    for line in status.lines().filter(|line| line.starts_with("VmRSS") || line.starts_with("VmHWM")) {
        println!("{line}");
    }
    Ok(())
}
