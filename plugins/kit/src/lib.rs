//! What a plugin in Rust needs: the types of the contract, the trait to implement and the macro that exports it.
//! It must never hold a rule of its own, nor anything that is not in `wit/`, except ways to look values up.
//!
//! ```ignore
//! use rejoinder_kit::{Replies, ReplyFacts, Ruling};
//!
//! struct QuietFridays;
//!
//! impl Replies for QuietFridays {
//!     fn judge(facts: ReplyFacts) -> Ruling {
//!         match facts.lead("country") {
//!             Some("CH") => Ruling::Review("Swiss accounts are looked at first.".to_owned()),
//!             _ => Ruling::Proceed,
//!         }
//!     }
//! }
//!
//! rejoinder_kit::export!(QuietFridays);
//! ```
//!
//! Keep the rule itself in a function of its own: it then runs in an ordinary `cargo test`. `log` works only inside
//! the sandbox.

/// Generated from `wit/`, word for word.
pub mod bindings {
    wit_bindgen::generate!({
        path: "../../wit/0.1.0",
        world: "rules",
        default_bindings_module: "rejoinder_kit::bindings",
        pub_export_macro: true,
    });
}

pub use bindings::export;
pub use bindings::exports::rejoinder::rules::replies::Guest as Replies;
pub use bindings::rejoinder::rules::log::{Level, log};
pub use bindings::rejoinder::rules::types::{Channel, Field, HandOff, Intent, Reading, ReplyFacts, Ruling, Sentiment};

impl ReplyFacts {
    /// The lead's field of this name, trimmed. A field without text counts as absent.
    #[must_use]
    pub fn lead(&self, name: &str) -> Option<&str> {
        value(&self.lead, name)
    }

    /// The plugin's setting of this name, trimmed. A setting without text counts as absent.
    #[must_use]
    pub fn setting(&self, name: &str) -> Option<&str> {
        value(&self.settings, name)
    }
}

fn value<'a>(fields: &'a [Field], name: &str) -> Option<&'a str> {
    let field = fields.iter().find(|field| field.name == name)?;
    Some(field.value.trim()).filter(|value| !value.is_empty())
}

#[cfg(test)]
mod tests {
    use super::{Field, value};

    #[test]
    fn a_blank_value_is_an_absent_value() {
        let fields = [("seats", " 40 "), ("owner", "  ")]
            .map(|(name, value)| Field { name: name.to_owned(), value: value.to_owned() });
        assert_eq!(value(&fields, "seats"), Some("40"));
        assert_eq!(value(&fields, "owner"), None);
        assert_eq!(value(&fields, "stage"), None);
    }
}
