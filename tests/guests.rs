//! The plugins that are kept in the repository rule exactly as those built from their source now.
//! It must never compare a file with itself.

use crate::server::root;
use rejoinder::sandbox::{ReplyFacts, RuleLimits, Sandbox};
use rejoinder_playbook::reading::{Channel, Intent, Reading, Sentiment};
use std::process::Command;

/// Facts that differ in everything the starter plugin looks at, and in much that it does not.
fn many_facts() -> Vec<ReplyFacts> {
    let mut all = vec![];
    let amounts = ["", "0", "499", "500", "1 400", "12,000", "many", "-5", "99999999999999999999", "500.5"];
    for (number, seats) in amounts.iter().enumerate() {
        for revenue in ["", "99999999", "100000000", "$250,000,000", "lots"] {
            for owner in ["", "priya@harbourlight.example"] {
                for intent in [Some(Intent::SimpleQuestion), Some(Intent::Complaint), None] {
                    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
                    let mut facts = ReplyFacts::sample();
                    facts.channel = if number % 2 == 0 { Channel::Email } else { Channel::Sms };
                    facts.lead = vec![pair("seats", seats), pair("annual_revenue_usd", revenue), pair("industry", "x")];
                    facts.settings = vec![
                        pair("seats_min", "500"),
                        pair("annual_revenue_usd_min", "100000000"),
                        pair("owner", owner),
                    ];
                    facts.reading = intent.map(|intent| Reading {
                        intent,
                        also: vec![],
                        sentiment: Sentiment::Neutral,
                        confidence: 0.8,
                        unsure: false,
                        probabilities: vec![],
                        model: "t".to_owned(),
                    });
                    all.push(facts);
                }
            }
        }
    }
    all
}

#[test]
fn the_kept_plugins_rule_exactly_as_freshly_built_ones() {
    if std::env::var_os("REJOINDER_TEST_GUESTS").is_none() {
        eprintln!("left out: no toolchain that builds guests; run ./test, which gets it where it can");
        return;
    }
    let fresh = tempfile::tempdir().expect("a temporary folder");
    // Another target folder too: nothing that was built before can pass for new.
    let built = Command::new(root().join("plugins/build"))
        .arg("--out")
        .arg(fresh.path())
        .env("CARGO_TARGET_DIR", fresh.path().join("target"))
        .output()
        .expect("plugins/build runs");
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    let sandbox = Sandbox::new(RuleLimits::default()).expect("a sandbox");
    for name in ["high_value_accounts", "hostile"] {
        let load = |folder: &std::path::Path| {
            let bytes = std::fs::read(folder.join(format!("{name}.wasm"))).expect("a component");
            sandbox.load(name, &bytes).expect("it loads")
        };
        let (kept, new) = (load(&root().join("plugins/built")), load(fresh.path()));
        let mut distinct = std::collections::BTreeSet::new();
        let mut facts = many_facts();
        if name == "hostile" {
            facts.truncate(1);
            facts.extend(["keep-state", "lie-reason", "proceed", "trap"].map(|attack| {
                let mut facts = ReplyFacts::sample();
                facts.settings = vec![("attack".to_owned(), attack.to_owned())];
                facts
            }));
        }
        for facts in &facts {
            let say = |rules: &rejoinder::sandbox::Rules| match rules.judge(facts) {
                Ok(judged) => format!("{:?}", judged.ruling),
                Err(error) => format!("error: {error}"),
            };
            let (kept, new) = (say(&kept), say(&new));
            assert_eq!(kept, new, "{name}: {facts:?}");
            distinct.insert(kept);
        }
        assert!(distinct.len() > 2, "{name} says more than one thing: {distinct:?}");
    }
}
