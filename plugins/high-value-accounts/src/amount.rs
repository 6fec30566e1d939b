//! A whole amount as people and spreadsheets write it: "1200", "1,200", "$1,200.00".
//! It must never guess: "1.200", "1,20", "about 300" and "2M" are no amounts.

use std::fmt;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Amount(u64);

impl Amount {
    /// None if the text is not plainly a whole, non-negative number. Cents are dropped.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let text = text.strip_prefix('$').unwrap_or(text).trim_start();
        let whole = match text.split_once('.') {
            // Two digits are cents. Three could be the thousands of a reader in Europe.
            Some((whole, cents)) if cents.len() <= 2 && is_digits(cents) => whole,
            Some(_) => return None,
            None => text,
        };
        let mut groups = whole.split([',', '\'', '_', ' ']);
        let first = groups.next()?;
        if !is_digits(first) {
            return None;
        }
        let mut digits = first.to_owned();
        for group in groups {
            if first.len() > 3 || group.len() != 3 || !is_digits(group) {
                return None;
            }
            digits.push_str(group);
        }
        digits.parse().ok().map(Amount)
    }
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

impl fmt::Display for Amount {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

#[cfg(test)]
mod tests {
    use super::Amount;

    #[test]
    fn amounts_as_people_write_them_are_read() {
        let table = [
            ("0", 0),
            ("1200", 1200),
            ("1,200", 1200),
            ("1 200", 1200),
            ("1_200_000", 1_200_000),
            ("1'200", 1200),
            ("$ 2,500,000.50", 2_500_000),
            ("007", 7),
        ];
        for (text, amount) in table {
            assert_eq!(Amount::parse(text), Some(Amount(amount)), "{text}");
        }
    }

    #[test]
    fn what_could_mean_two_things_is_not_read() {
        for text in [
            "",
            "-5",
            "1.200",
            "1,20",
            "1,,200",
            "1234,567",
            "2M",
            "about 300",
            "3e5",
            "10-50",
            "٣",
            ".5",
            "5.",
            "99999999999999999999999",
        ] {
            assert_eq!(Amount::parse(text), None, "{text}");
        }
    }
}
