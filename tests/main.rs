//! The one test binary: the real program, the real store on both engines, real plugins, a real browser.
//! It must never hold a stand-in where the product has a real part.
#![expect(clippy::indexing_slicing, reason = "a test may fail by panicking")]

mod browser;
mod crash;
mod decisions;
mod docs;
mod guests;
mod hook;
mod postgres;
mod program;
mod review;
mod send;
mod server;
mod store;
mod tidy;
