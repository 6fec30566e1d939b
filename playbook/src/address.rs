//! An e-mail address that has been checked once, at the door.
//! It must never hold a line break, a space or a second "@" outside quotes: it is put into mail headers and SMTP commands.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The longest address SMTP can carry (RFC 5321: a path has 256 characters, two of them angle brackets).
pub const ADDRESS_CHARS_MAX: usize = 254;
const LOCAL_CHARS_MAX: usize = 64;
const LABEL_CHARS_MAX: usize = 63;

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    #[error("the e-mail address is empty; write it as name@example.com")]
    Empty,
    #[error("the e-mail address is longer than {ADDRESS_CHARS_MAX} characters; check it for pasted text")]
    TooLong,
    #[error("the e-mail address must have exactly one \"@\" with text on both sides, as in name@example.com")]
    At,
    #[error("the part before the \"@\" holds a character that mail servers refuse; use letters, digits and . _ + -")]
    Local,
    #[error("the part after the \"@\" is not a domain name such as example.com")]
    Domain,
}

/// A lower-cased, validated address. Two spellings of one mailbox that differ in case are equal.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct EmailAddress(String);

impl EmailAddress {
    /// Takes a bare address or one in angle brackets ("<name@example.com>"), not a display name.
    pub fn parse(text: &str) -> Result<Self, AddressError> {
        let text = text.trim();
        let text = text.strip_prefix('<').and_then(|inner| inner.strip_suffix('>')).unwrap_or(text).trim();
        if text.is_empty() {
            return Err(AddressError::Empty);
        }
        let address = text.to_lowercase();
        if address.chars().count() > ADDRESS_CHARS_MAX {
            return Err(AddressError::TooLong);
        }
        let (local, domain) = address.rsplit_once('@').ok_or(AddressError::At)?;
        if local.is_empty() || domain.is_empty() || local.contains('@') {
            return Err(AddressError::At);
        }
        if !is_local_part(local) {
            return Err(AddressError::Local);
        }
        if !is_domain(domain) {
            return Err(AddressError::Domain);
        }
        Ok(Self(address))
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    #[must_use]
    pub fn local_part(&self) -> &str {
        self.0.rsplit_once('@').map_or("", |(local, _)| local)
    }

    #[must_use]
    pub fn domain(&self) -> &str {
        self.0.rsplit_once('@').map_or("", |(_, domain)| domain)
    }

    /// What stands after the first "+" of the local part, as in `replies+token@example.com`.
    #[must_use]
    pub fn plus_token(&self) -> Option<&str> {
        let (_, token) = self.local_part().split_once('+')?;
        (!token.is_empty()).then_some(token)
    }
}

fn is_local_part(local: &str) -> bool {
    local.chars().count() <= LOCAL_CHARS_MAX
        && !local.starts_with('.')
        && !local.ends_with('.')
        && !local.contains("..")
        && local.chars().all(|c| {
            c.is_ascii_alphanumeric() || "!#$%&'*+-/=?^_`{|}~.".contains(c) || (!c.is_ascii() && c.is_alphanumeric())
        })
}

fn is_domain(domain: &str) -> bool {
    let mut labels = domain.split('.');
    let well_formed = labels.all(|label| {
        !label.is_empty()
            && label.chars().count() <= LABEL_CHARS_MAX
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_' || (!c.is_ascii() && c.is_alphanumeric()))
    });
    well_formed && domain.contains('.')
}

impl fmt::Display for EmailAddress {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl TryFrom<String> for EmailAddress {
    type Error = AddressError;

    fn try_from(text: String) -> Result<Self, AddressError> {
        Self::parse(&text)
    }
}

impl From<EmailAddress> for String {
    fn from(address: EmailAddress) -> String {
        address.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_lower_cased_and_lose_their_brackets() {
        for (text, expected) in [
            ("Dana@Acme.TEST", "dana@acme.test"),
            ("  <dana@acme.test> ", "dana@acme.test"),
            ("o'brien+x@sub.acme.test", "o'brien+x@sub.acme.test"),
            ("müller@bücher.example", "müller@bücher.example"),
            ("a_b-c=d/e@x-y.test", "a_b-c=d/e@x-y.test"),
        ] {
            assert_eq!(EmailAddress::parse(text).map(|a| a.as_str().to_owned()), Ok(expected.to_owned()), "{text}");
        }
    }

    #[test]
    fn what_could_break_a_header_or_a_command_is_refused() {
        for (text, expected) in [
            ("", AddressError::Empty),
            ("<>", AddressError::Empty),
            ("dana", AddressError::At),
            ("@acme.test", AddressError::At),
            ("dana@", AddressError::At),
            ("a@b@acme.test", AddressError::At),
            ("da na@acme.test", AddressError::Local),
            ("dana\r\nrcpt to:<x>@acme.test", AddressError::Local),
            (".dana@acme.test", AddressError::Local),
            ("da..na@acme.test", AddressError::Local),
            ("\"dana\"@acme.test", AddressError::Local),
            ("dana@acme", AddressError::Domain),
            ("dana@-acme.test", AddressError::Domain),
            ("dana@acme..test", AddressError::Domain),
            ("dana@[127.0.0.1]", AddressError::Domain),
        ] {
            assert_eq!(EmailAddress::parse(text), Err(expected), "{text:?}");
        }
        assert_eq!(EmailAddress::parse(&format!("{}@acme.test", "a".repeat(300))), Err(AddressError::TooLong));
        assert_eq!(EmailAddress::parse(&format!("{}@acme.test", "a".repeat(65))), Err(AddressError::Local));
    }

    #[test]
    fn the_token_is_what_follows_the_first_plus() {
        let token = |text: &str| EmailAddress::parse(text).expect("valid").plus_token().map(str::to_owned);
        assert_eq!(token("replies+abc@acme.test"), Some("abc".to_owned()));
        assert_eq!(token("replies+a+b@acme.test"), Some("a+b".to_owned()));
        assert_eq!(token("replies+@acme.test"), None);
        assert_eq!(token("replies@acme.test"), None);
    }

    #[test]
    fn an_address_travels_as_a_plain_string_and_is_checked_on_the_way_in() {
        let address: EmailAddress = serde_json::from_str("\"Dana@Acme.test\"").expect("valid");
        assert_eq!(serde_json::to_string(&address).expect("serialises"), "\"dana@acme.test\"");
        assert!(serde_json::from_str::<EmailAddress>("\"not an address\"").is_err());
    }
}
