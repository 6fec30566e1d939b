//! How messages come in and go out, channel by channel.
//! It must never decide whether something is sent, nor touch the store: it is handed what to carry.

pub mod email;
pub mod inbound;
mod mail_parts;
pub mod outbound;
