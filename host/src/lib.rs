//! The server: doors, engine, store, sandbox, carriers, pages. `main.rs` is the command line over it.
//! It must never decide what the pure core decides, and never let anything but `engine::perform` send to a lead.

pub mod app;
pub mod bench;
pub mod carrier;
pub mod clock;
pub mod config;
pub mod demo;
pub mod engine;
pub mod library;
pub mod read;
pub mod sandbox;
pub mod store;
pub mod web;
