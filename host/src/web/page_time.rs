//! Times as a page shows them: in the lead's time zone, and relative to now.
//! It must never read a clock: the present moment is handed in.

use jiff::{Timestamp, tz::TimeZone};

const SECOND_MS: i64 = 1_000;
const MINUTE_MS: i64 = 60 * SECOND_MS;
const HOUR_MS: i64 = 60 * MINUTE_MS;
const DAY_MS: i64 = 24 * HOUR_MS;

/// The moment a page is drawn and the zone it speaks in.
#[derive(Clone, Debug)]
pub(crate) struct PageTime {
    now_ms: i64,
    zone: TimeZone,
}

impl PageTime {
    /// Times in UTC.
    pub(crate) fn utc(now_ms: i64) -> Self {
        PageTime { now_ms, zone: TimeZone::UTC }
    }

    /// Times in the zone of that IANA name, or in UTC when there is no such zone.
    pub(crate) fn in_zone(now_ms: i64, name: &str) -> Self {
        PageTime { now_ms, zone: TimeZone::get(name).unwrap_or(TimeZone::UTC) }
    }

    /// "Tue 24 Nov 2026, 14:05 CET"
    pub(crate) fn full(&self, at_ms: &i64) -> String {
        self.formatted(*at_ms, "%a %-d %b %Y, %H:%M %Z")
    }

    /// "14:05 CET today", for the wall clock of the zone.
    pub(crate) fn wall_clock(&self) -> String {
        self.formatted(self.now_ms, "%a %H:%M %Z")
    }

    /// For the `datetime` attribute.
    pub(crate) fn machine(&self, at_ms: &i64) -> String {
        Timestamp::from_millisecond(*at_ms).map(|at| at.to_string()).unwrap_or_default()
    }

    /// "just now", "3 min ago", "in 2 h"
    pub(crate) fn relative(&self, at_ms: &i64) -> String {
        let distance_ms = at_ms.saturating_sub(self.now_ms);
        match distance_ms {
            -44_999..45_000 => "just now".to_owned(),
            i64::MIN..-44_999 => format!("{} ago", length(distance_ms.saturating_neg())),
            _ => format!("in {}", length(distance_ms)),
        }
    }

    /// "due in 2 h", "due now", "3 h overdue"
    pub(crate) fn due(&self, due_ms: &i64) -> String {
        let left_ms = due_ms.saturating_sub(self.now_ms);
        match left_ms {
            -44_999..45_000 => "due now".to_owned(),
            i64::MIN..-44_999 => format!("{} overdue", length(left_ms.saturating_neg())),
            _ => format!("due in {}", length(left_ms)),
        }
    }

    pub(crate) fn is_overdue(&self, due_ms: &i64) -> bool {
        *due_ms < self.now_ms
    }

    fn formatted(&self, at_ms: i64, format: &str) -> String {
        match Timestamp::from_millisecond(at_ms) {
            Ok(at) => at.to_zoned_datetime(self.zone.clone()).strftime(format).to_string(),
            Err(_) => "unknown time".to_owned(),
        }
    }
}

/// A length of time in its largest fitting unit, rounded to the nearest.
pub(crate) fn length(length_ms: i64) -> String {
    let rounded = |unit_ms: i64| length_ms.saturating_add(unit_ms / 2) / unit_ms;
    if length_ms < MINUTE_MS {
        format!("{} s", rounded(SECOND_MS).max(1))
    } else if rounded(MINUTE_MS) < 60 {
        format!("{} min", rounded(MINUTE_MS))
    } else if rounded(HOUR_MS) < 24 {
        format!("{} h", rounded(HOUR_MS))
    } else if rounded(DAY_MS) == 1 {
        "1 day".to_owned()
    } else {
        format!("{} days", rounded(DAY_MS))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOON_MS: i64 = 1_795_521_600_000; // 2026-11-24T12:00:00Z

    #[test]
    fn the_past_and_the_future_are_said_in_words() {
        let time = PageTime::utc(NOON_MS);
        for (distance_ms, words) in [
            (0, "just now"),
            (-30 * SECOND_MS, "just now"),
            (-50 * SECOND_MS, "50 s ago"),
            (-3 * MINUTE_MS, "3 min ago"),
            (-89 * MINUTE_MS, "1 h ago"),
            (-91 * MINUTE_MS, "2 h ago"),
            (-26 * HOUR_MS, "1 day ago"),
            (-49 * HOUR_MS, "2 days ago"),
            (2 * HOUR_MS, "in 2 h"),
        ] {
            assert_eq!(time.relative(&(NOON_MS + distance_ms)), words);
        }
    }

    #[test]
    fn a_deadline_says_how_long_is_left_or_how_late_it_is() {
        let time = PageTime::utc(NOON_MS);
        assert_eq!(time.due(&(NOON_MS + 2 * HOUR_MS)), "due in 2 h");
        assert_eq!(time.due(&(NOON_MS + 10 * SECOND_MS)), "due now");
        assert_eq!(time.due(&(NOON_MS - 3 * HOUR_MS)), "3 h overdue");
        assert!(time.is_overdue(&(NOON_MS - 1)));
        assert!(!time.is_overdue(&NOON_MS));
    }

    #[test]
    fn a_lead_s_zone_is_used_and_an_unknown_zone_means_utc() {
        assert_eq!(PageTime::in_zone(NOON_MS, "America/Chicago").full(&NOON_MS), "Tue 24 Nov 2026, 06:00 CST");
        assert_eq!(PageTime::in_zone(NOON_MS, "Mars/Olympus").full(&NOON_MS), "Tue 24 Nov 2026, 12:00 UTC");
        assert_eq!(PageTime::utc(NOON_MS).machine(&NOON_MS), "2026-11-24T12:00:00Z");
        assert_eq!(PageTime::in_zone(NOON_MS, "Europe/Berlin").wall_clock(), "Tue 13:00 CET");
    }

    #[test]
    fn a_time_out_of_range_is_said_to_be_unknown_and_breaks_nothing() {
        let time = PageTime::utc(NOON_MS);
        assert_eq!(time.full(&i64::MAX), "unknown time");
        assert_eq!(time.machine(&i64::MIN), "");
        assert!(time.relative(&i64::MIN).ends_with(" days ago"));
        assert!(time.relative(&i64::MAX).ends_with(" days"));
    }
}
