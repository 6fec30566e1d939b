//! The rules of the house that packages cannot enforce: who may import whom, who sends, how files open.
//! It must never be satisfied by a list of exceptions that grows.

use crate::server::root;
use std::path::{Path, PathBuf};

/// Lines before a file's tests.
const LINES_BEFORE_TESTS_MAX: usize = 400;

fn rust_files(folder: &str) -> Vec<(String, String)> {
    fn walk(folder: &Path, files: &mut Vec<PathBuf>) {
        for entry in std::fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path()) {
            if entry.is_dir() && !entry.ends_with("target") {
                walk(&entry, files);
            } else if entry.extension().is_some_and(|extension| extension == "rs") {
                files.push(entry);
            }
        }
    }
    let mut files = vec![];
    walk(&root().join(folder), &mut files);
    assert!(!files.is_empty(), "{folder} has files");
    let name = |path: &Path| path.strip_prefix(root()).expect("inside").display().to_string();
    files.into_iter().map(|path| (name(&path), std::fs::read_to_string(&path).expect("text"))).collect()
}

/// The code before the tests of a file, without comments.
fn code(text: &str) -> String {
    let before = text.split("#[cfg(test)]").next().unwrap_or_default();
    before.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n")
}

fn inside(name: &str, places: &[&str]) -> bool {
    places.iter().any(|place| name.starts_with(&format!("{place}.rs")) || name.starts_with(&format!("{place}/")))
}

#[test]
fn a_dependency_with_a_fence_is_named_behind_it_only() {
    for (word, place) in [
        ("sqlx", "host/src/store"),
        ("wasmtime::", "host/src/sandbox"),
        ("candle", "models/src"),
        ("axum", "host/src/web"),
        ("lettre", "host/src/carrier"),
        ("mail_parser", "host/src/carrier"),
    ] {
        for folder in ["host/src", "playbook/src", "models/src"] {
            for (name, text) in rust_files(folder) {
                // The program as a whole starts the web server; it names axum for that alone.
                let allowed = inside(&name, &[place]) || (word == "axum" && name == "host/src/app.rs");
                assert!(allowed || !code(&text).contains(word), "{name} names {word}, which belongs in {place}");
            }
        }
    }
}

#[test]
fn imports_point_in_the_directions_of_the_architecture() {
    for (place, forbidden) in [
        ("host/src/store", &["web", "engine", "sandbox", "carrier", "library", "app"][..]),
        ("host/src/sandbox", &["web", "engine", "store", "carrier", "library", "app"]),
        ("host/src/carrier", &["web", "engine", "store", "sandbox", "library", "app"]),
        ("host/src/library", &["web", "engine", "store", "sandbox", "carrier", "app", "config"]),
        ("host/src/engine", &["web", "app"]),
        ("host/src/clock", &["web", "engine", "store", "sandbox", "carrier", "library", "app", "config"]),
    ] {
        for (name, text) in rust_files("host/src").into_iter().filter(|(name, _)| inside(name, &[place])) {
            for module in forbidden {
                assert!(!code(&text).contains(&format!("crate::{module}::")), "{name} imports {module}");
                assert!(!code(&text).contains(&format!("use crate::{module};")), "{name} imports {module}");
            }
        }
    }
    for (name, text) in rust_files("playbook/src") {
        for word in ["tokio", "std::fs", "std::net", "async fn", "SystemTime", "Instant::now", "println!"] {
            assert!(!code(&text).contains(word), "{name} is pure and names {word}");
        }
    }
}

#[test]
fn one_file_alone_gives_bytes_to_a_carrier() {
    let senders: Vec<String> = rust_files("host/src")
        .into_iter()
        .filter(|(name, text)| !inside(name, &["host/src/carrier"]) && code(text).contains(".deliver("))
        .map(|(name, _)| name)
        .collect();
    assert_eq!(senders, ["host/src/engine/perform.rs"]);
}

#[test]
fn every_file_says_what_it_is_and_keeps_to_one_concept() {
    for folder in ["host", "playbook", "models", "tests", "plugins"] {
        for (name, text) in rust_files(folder) {
            assert!(text.starts_with("//!"), "{name} does not open with what it is");
            let lines = text.split("#[cfg(test)]").next().unwrap_or_default().lines().count();
            let is_test = name.starts_with("tests/");
            assert!(is_test || lines <= LINES_BEFORE_TESTS_MAX, "{name} has {lines} lines before its tests");
        }
    }
}

#[test]
fn both_engines_have_the_same_migrations() {
    let names = |engine: &str| -> Vec<String> {
        let folder = root().join("host/migrations").join(engine);
        let mut names: Vec<String> = std::fs::read_dir(folder)
            .expect("migrations")
            .map(|entry| entry.expect("an entry").file_name().into_string().expect("a name"))
            .collect();
        names.sort();
        names
    };
    assert_eq!(names("sqlite"), names("postgres"));
}
