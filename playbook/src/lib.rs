//! What Rejoinder believes: types and decisions of automated follow-up, as pure functions.
//! It must never do I/O, read a clock, draw randomness or be async: time and chance are arguments.

pub mod address;
pub mod call_back;
pub mod cut;
pub mod decision;
pub mod draft;
pub mod effect;
pub mod lead;
pub mod machine;
pub mod opt_out;
pub mod permit;
pub mod playbook;
pub mod reading;
pub mod reply;
pub mod retry;
pub mod ruling;
pub mod sentence;
pub mod sequence;
pub mod template;
