//! From the bytes of a file to rules that can be asked, or a sentence that says what to do about the file.
//! It must never run a plugin that it has not checked, and never compile on the caller's thread.

use super::contract::{HOOKS, IMPORTS, PACKAGE, VERSION, WorldPre};
use super::failure::RuleError;
use super::rules::{Loaded, Rules};
use super::{Core, Sandbox};
use sha2::{Digest, Sha256};
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;
use wasmtime::component::Component;
use wasmtime::component::types::ComponentItem;

/// Why a file is no plugin.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LoadError {
    #[error("the file has {bytes} bytes and {bytes_max} are allowed; build it for size, or raise component_bytes_max")]
    TooBig { bytes: usize, bytes_max: usize },
    #[error("this is not a WebAssembly file; give the .wasm file that building the plugin makes")]
    NotWasm,
    #[error(
        "this is a core WebAssembly module, and a plugin is a component; build it with plugins/build, or wrap it with \
         `wasm-tools component new`"
    )]
    CoreModule,
    #[error(
        "this is WebAssembly of a kind that is not known here (its header is {header}); build it with plugins/build"
    )]
    OtherKind { header: String },
    #[error(
        "the plugin imports {}, and a plugin may only import {PACKAGE}/log; build it without WASI (for Rust: target \
         wasm32-unknown-unknown)", names.join(", ")
    )]
    Imports { names: Vec<String> },
    #[error(
        "the plugin was built for {found}, and this server speaks {PACKAGE}@{VERSION}; build it against wit/{VERSION}"
    )]
    Version { found: String },
    #[error(
        "the plugin exports no hook that is known here (it exports {}); it must export {PACKAGE}/replies@{VERSION}",
        if exports.is_empty() { "nothing".to_owned() } else { exports.join(", ") }
    )]
    NoHook { exports: Vec<String> },
    #[error("the plugin does not compile: {why}; the file may be damaged or cut short, so build it again")]
    Compile { why: String },
    #[error("the plugin needs more room than it may have: {why}; make it smaller, or raise memory_bytes_max")]
    Room { why: String },
    #[error("compiling the plugin took longer than {ms} ms; make it smaller, or raise compile_ms_max")]
    CompileTime { ms: u64 },
    #[error("another plugin was still being loaded after {ms} ms; try again when that is done")]
    Loading { ms: u64 },
    #[error("the plugin has the right names but not the right types: {why}; build it against wit/{VERSION}")]
    Types { why: String },
    #[error("the plugin does not start: {0}")]
    Start(RuleError),
}

impl Sandbox {
    /// Checks, compiles and starts a plugin once. It blocks until that is done or `compile_ms_max` is over.
    /// One plugin is loaded at a time.
    ///
    /// # Errors
    /// When the file is not a plugin that can be used here; the error says why and what to do.
    pub fn load(&self, name: &str, bytes: &[u8]) -> Result<Rules, LoadError> {
        let limits = &self.core.limits;
        header(bytes, limits.component_bytes_max)?;
        let loading = Loading::begin(&self.core)?;
        let core = Arc::clone(&self.core);
        let (name, bytes) = (name.to_owned(), bytes.to_vec());
        let (send, receive) = sync_channel(1);
        let thread = std::thread::Builder::new().name("plugin-compiler".to_owned()).spawn(move || {
            let rules = prepare(core, name, &bytes);
            drop(loading);
            // Nobody listens any more if it took too long.
            let _ = send.send(rules);
        });
        thread.map_err(|error| LoadError::Compile { why: format!("no thread to compile on: {error}") })?;
        match receive.recv_timeout(Duration::from_millis(limits.compile_ms_max)) {
            Ok(rules) => rules,
            Err(RecvTimeoutError::Timeout) => Err(LoadError::CompileTime { ms: limits.compile_ms_max }),
            Err(RecvTimeoutError::Disconnected) => Err(LoadError::Compile { why: "the compiler gave up".to_owned() }),
        }
    }
}

/// Held while a plugin is loaded, by the thread that does it. Compiling cannot be stopped: a file that takes too long
/// is not waited for, but it keeps the only place until it is done, and a second such file does not get in beside it.
struct Loading(Arc<Place>);

/// The one place for loading: taken or not.
#[derive(Debug, Default)]
pub(super) struct Place {
    taken: Mutex<bool>,
    freed: Condvar,
}

impl Loading {
    /// Waits for the place. Two callers that load one plugin at the same moment both get it.
    fn begin(core: &Core) -> Result<Self, LoadError> {
        let wait = Duration::from_millis(core.limits.compile_ms_max);
        let taken = core.loading.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let (mut taken, waited) =
            core.loading.freed.wait_timeout_while(taken, wait, |taken| *taken).unwrap_or_else(PoisonError::into_inner);
        if waited.timed_out() {
            return Err(LoadError::Loading { ms: core.limits.compile_ms_max });
        }
        *taken = true;
        Ok(Self(Arc::clone(&core.loading)))
    }
}

impl Drop for Loading {
    fn drop(&mut self) {
        *self.0.taken.lock().unwrap_or_else(PoisonError::into_inner) = false;
        self.0.freed.notify_one();
    }
}

fn prepare(core: Arc<Core>, name: String, bytes: &[u8]) -> Result<Rules, LoadError> {
    let component = Component::new(&core.engine, bytes).map_err(|error| {
        let why = format!("{error:#}");
        // The engine has no type for this that could be asked for.
        if why.contains("pooling allocator") { LoadError::Room { why } } else { LoadError::Compile { why } }
    })?;
    let (imports, hooks) = names(&core, &component)?;
    let world = core
        .linker
        .instantiate_pre(&component)
        .and_then(WorldPre::new)
        .map_err(|error| LoadError::Types { why: format!("{error:#}") })?;
    let sha256 = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    let rules = Rules::new(Loaded { name, sha256, size_bytes: bytes.len(), imports, hooks, world, core });
    rules.start_once()?;
    Ok(rules)
}

/// The first eight bytes tell a component from a module.
fn header(bytes: &[u8], bytes_max: usize) -> Result<(), LoadError> {
    const COMPONENT: [u8; 4] = [0x0d, 0, 1, 0];
    const MODULE: [u8; 4] = [1, 0, 0, 0];
    if bytes.len() > bytes_max {
        return Err(LoadError::TooBig { bytes: bytes.len(), bytes_max });
    }
    let Some((magic, rest)) = bytes.split_first_chunk::<4>() else { return Err(LoadError::NotWasm) };
    let Some((kind, _)) = rest.split_first_chunk::<4>() else { return Err(LoadError::NotWasm) };
    match *kind {
        _ if magic != b"\0asm" => Err(LoadError::NotWasm),
        COMPONENT => Ok(()),
        MODULE => Err(LoadError::CoreModule),
        other => Err(LoadError::OtherKind { header: format!("{other:02x?}") }),
    }
}

/// A name such as `rejoinder:rules/replies@0.1.0` in its parts, if it is of our package.
fn ours(name: &str) -> Option<(&str, &str)> {
    let (interface, version) = name.strip_prefix(PACKAGE)?.strip_prefix('/')?.split_once('@')?;
    Some((interface, version))
}

/// What the component imports and which hooks it has, once both are found to be ours.
fn names(core: &Core, component: &Component) -> Result<(Vec<String>, Vec<String>), LoadError> {
    let component = component.component_type();
    let imports: Vec<String> = component.imports(&core.engine).map(|(name, _)| name.to_owned()).collect();
    let mut foreign = Vec::new();
    for name in &imports {
        match ours(name) {
            Some((interface, version)) if IMPORTS.contains(&interface) => speaks(version)?,
            _ => foreign.push(name.clone()),
        }
    }
    if !foreign.is_empty() {
        return Err(LoadError::Imports { names: foreign });
    }
    let mut exports = Vec::new();
    let mut hooks = Vec::new();
    for (name, export) in component.exports(&core.engine) {
        exports.push(name.to_owned());
        if let (Some((interface, version)), ComponentItem::ComponentInstance(_)) = (ours(name), export.ty)
            && HOOKS.contains(&interface)
        {
            speaks(version)?;
            hooks.push(interface.to_owned());
        }
    }
    if hooks.is_empty() { Err(LoadError::NoHook { exports }) } else { Ok((imports, hooks)) }
}

fn speaks(version: &str) -> Result<(), LoadError> {
    if version == VERSION { Ok(()) } else { Err(LoadError::Version { found: format!("{PACKAGE}@{version}") }) }
}

#[cfg(test)]
mod tests {
    use super::super::{RuleLimits, Sandbox};
    use super::{LoadError, Loading};

    const HOSTILE: &[u8] = include_bytes!("../../../plugins/built/hostile.wasm");

    fn error(bytes: &[u8]) -> LoadError {
        let sandbox = Sandbox::new(RuleLimits::default()).expect("the sandbox starts");
        sandbox.load("tested", bytes).expect_err("it is no plugin")
    }

    /// The plugin with one name exchanged for another of the same length, wherever it stands.
    fn exchanged(from: &str, to: &str) -> Vec<u8> {
        assert_eq!(from.len(), to.len());
        let mut bytes = HOSTILE.to_vec();
        let places: Vec<usize> = bytes
            .windows(from.len())
            .enumerate()
            .filter(|(_, window)| *window == from.as_bytes())
            .map(|(place, _)| place)
            .collect();
        assert!(!places.is_empty(), "{from} does not stand in the plugin");
        for place in places {
            bytes.splice(place..place + from.len(), to.bytes());
        }
        bytes
    }

    #[test]
    fn what_is_no_component_is_told_apart_by_its_header() {
        for bytes in [&b""[..], b"\0asm", b"(component)", b"#!/bin/sh\nexit 0"] {
            assert_eq!(error(bytes), LoadError::NotWasm, "{bytes:?}");
        }
        assert_eq!(error(b"\0asm\x01\0\0\0"), LoadError::CoreModule);
        assert!(matches!(error(b"\0asm\x0a\0\x01\0"), LoadError::OtherKind { .. }));
    }

    #[test]
    fn a_file_beyond_the_limit_is_not_even_looked_at() {
        let bytes = vec![0; RuleLimits::default().component_bytes_max + 1];
        assert!(matches!(error(&bytes), LoadError::TooBig { .. }));
    }

    #[test]
    fn a_file_that_is_cut_short_does_not_compile() {
        for length in [9, 100, HOSTILE.len() / 2, HOSTILE.len() - 1] {
            let (part, _) = HOSTILE.split_at(length);
            assert!(matches!(error(part), LoadError::Compile { .. }), "{length} bytes gave {:?}", error(part));
        }
    }

    #[test]
    fn a_component_without_a_hook_is_told_what_to_export() {
        assert_eq!(error(b"\0asm\x0d\0\x01\0"), LoadError::NoHook { exports: Vec::new() });
        let other = exchanged("rejoinder:rules/replies@0.1.0", "rejoinder:rules/reprise@0.1.0");
        let error = error(&other);
        assert_eq!(error, LoadError::NoHook { exports: vec!["rejoinder:rules/reprise@0.1.0".to_owned()] });
        assert!(error.to_string().contains("it must export rejoinder:rules/replies@0.1.0"), "{error}");
    }

    #[test]
    fn imports_that_are_not_offered_are_named() {
        let error = error(&exchanged("rejoinder:rules/log@0.1.0", "wasi:filesystem/log@0.2.0"));
        assert_eq!(error, LoadError::Imports { names: vec!["wasi:filesystem/log@0.2.0".to_owned()] });
        assert!(error.to_string().contains("build it without WASI"), "{error}");
    }

    #[test]
    fn another_version_is_refused_with_both_versions() {
        for interface in ["replies", "log"] {
            let name = format!("rejoinder:rules/{interface}@");
            let error = error(&exchanged(&format!("{name}0.1.0"), &format!("{name}0.2.0")));
            let words = error.to_string();
            assert!(words.contains("rejoinder:rules@0.2.0") && words.contains("rejoinder:rules@0.1.0"), "{words}");
        }
    }

    #[test]
    fn a_ruling_of_other_cases_is_refused_before_any_call() {
        let error = error(&exchanged("hand-off", "hand-out"));
        assert!(matches!(error, LoadError::Types { .. }), "{error:?}");
    }

    #[test]
    fn a_plugin_that_needs_more_memory_than_there_is_does_not_load() {
        let limits = RuleLimits { memory_bytes_max: 1 << 20, ..RuleLimits::default() };
        let sandbox = Sandbox::new(limits).expect("the sandbox starts");
        let error = sandbox.load("tested", HOSTILE).expect_err("it needs more");
        assert!(matches!(error, LoadError::Room { .. }), "{error}");
    }

    #[test]
    fn a_plugin_does_not_load_beside_one_that_never_ends() {
        let limits = RuleLimits { compile_ms_max: 100, ..RuleLimits::default() };
        let sandbox = Sandbox::new(limits).expect("the sandbox starts");
        let _loading = Loading::begin(&sandbox.core).expect("nothing else is loading");
        assert_eq!(sandbox.load("tested", HOSTILE).map(|_| ()), Err(LoadError::Loading { ms: 100 }));
    }

    #[test]
    fn all_who_load_at_once_get_their_rules() {
        let sandbox = Sandbox::new(RuleLimits::default()).expect("the sandbox starts");
        std::thread::scope(|scope| {
            let loads: Vec<_> = (0..4).map(|_| scope.spawn(|| sandbox.load("tested", HOSTILE).map(|_| ()))).collect();
            for load in loads {
                assert_eq!(load.join().expect("no thread panics"), Ok(()));
            }
        });
    }

    #[test]
    fn rules_outlive_the_sandbox_that_loaded_them() {
        let sandbox = Sandbox::new(RuleLimits::default()).expect("the sandbox starts");
        let rules = sandbox.load("tested", HOSTILE).expect("the plugin loads");
        drop(sandbox);
        assert!(rules.judge(&super::super::ReplyFacts::sample()).is_ok());
    }
}
