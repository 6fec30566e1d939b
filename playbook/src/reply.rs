//! A reply in the one form all channels end in, whichever door it came through.
//! It must never lose what the lead wrote: the whole text is kept beside the new text.

use crate::address::EmailAddress;
use crate::machine::Machine;
use crate::reading::Channel;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use std::fmt::Write as _;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Reply {
    pub channel: Channel,
    /// The sender's own id of the message, or a hash of it: the same id is stored once.
    pub provider_id: String,
    pub from: Option<EmailAddress>,
    pub from_name: Option<String>,
    pub subject: String,
    /// The whole text, quoted history included.
    pub body_text: String,
    /// What the lead wrote this time.
    pub new_text: String,
    /// What was cut off and why, in words.
    pub removed: Vec<String>,
    /// Message-ID of the reply, without angle brackets.
    pub message_id: Option<String>,
    /// Ids of messages it answers, nearest first.
    pub answers: Vec<String>,
    /// The token behind the plus sign of the address it was sent to.
    pub plus_token: Option<String>,
    pub machine: Option<Machine>,
    /// The words of a deterministic opt-out.
    pub opt_out: Option<String>,
    /// Why the message could not be read, if so; a person looks at the raw message.
    pub unreadable: Option<String>,
}

impl Reply {
    /// The name of a mail whose `provider_id` another mail has already: the same sender and words have the same name again.
    #[must_use]
    pub fn distinct_id(&self) -> String {
        let sender = self.from.as_ref().map_or("", |from| from.as_str());
        let digest = Sha256::new().chain_update(sender).chain_update([0]).chain_update(&self.body_text).finalize();
        digest.iter().fold(format!("{}#sha256:", self.provider_id), |mut name, byte| {
            // Writing to a string cannot fail.
            let _ = write!(name, "{byte:02x}");
            name
        })
    }
}
