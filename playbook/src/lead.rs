//! A lead as the core sees it: who it is and at which stage of the journey.
//! It must never hold an address that was not parsed.

use crate::address::EmailAddress;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Where a lead stands on the journey.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    Cold,
    Engaged,
    Warm,
    Opportunity,
    Won,
    Lost,
    Nurture,
    OptedOut,
}

impl Stage {
    pub const ALL: [Stage; 8] = [
        Stage::Cold,
        Stage::Engaged,
        Stage::Warm,
        Stage::Opportunity,
        Stage::Won,
        Stage::Lost,
        Stage::Nurture,
        Stage::OptedOut,
    ];

    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Stage::Cold => "cold",
            Stage::Engaged => "engaged",
            Stage::Warm => "warm",
            Stage::Opportunity => "opportunity",
            Stage::Won => "won",
            Stage::Lost => "lost",
            Stage::Nurture => "nurture",
            Stage::OptedOut => "opted_out",
        }
    }

    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|stage| stage.name() == name)
    }

    /// The stage after a reply that shows at least this much interest. A reply never moves a lead back.
    #[must_use]
    pub fn raised_to(self, at_least: Stage) -> Stage {
        match (self, at_least) {
            (Stage::Cold | Stage::Nurture, Stage::Engaged | Stage::Warm) | (Stage::Engaged, Stage::Warm) => at_least,
            _ => self,
        }
    }
}

/// A lead, with the fields a team keeps about it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lead {
    pub id: String,
    pub email: EmailAddress,
    pub first_name: String,
    pub last_name: String,
    pub company: String,
    /// IANA name, for example "America/Chicago".
    pub time_zone: String,
    pub stage: Stage,
    /// The person who has taken the conversation over, if one has.
    pub owner: Option<String>,
    /// Everything else, by name.
    pub fields: BTreeMap<String, String>,
}

impl Lead {
    #[must_use]
    pub fn name(&self) -> String {
        format!("{} {}", self.first_name, self.last_name).trim().to_owned()
    }

    /// Every field by name, those with a place of their own included: what templates and plugins are handed.
    #[must_use]
    pub fn all_fields(&self) -> BTreeMap<String, String> {
        let mut fields = self.fields.clone();
        for (name, value) in [
            ("first_name", self.first_name.as_str()),
            ("last_name", &self.last_name),
            ("company", &self.company),
            ("email", self.email.as_str()),
            ("time_zone", &self.time_zone),
        ] {
            fields.insert(name.to_owned(), value.to_owned());
        }
        fields
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn interest_raises_a_stage_and_never_lowers_it() {
        assert_eq!(Stage::Cold.raised_to(Stage::Engaged), Stage::Engaged);
        assert_eq!(Stage::Engaged.raised_to(Stage::Warm), Stage::Warm);
        for stage in [Stage::Opportunity, Stage::Won, Stage::Lost, Stage::OptedOut] {
            assert_eq!(stage.raised_to(Stage::Warm), stage);
        }
        assert_eq!(Stage::Warm.raised_to(Stage::Engaged), Stage::Warm);
    }

    #[test]
    fn stage_names_are_read_back() {
        for stage in Stage::ALL {
            assert_eq!(Stage::parse(stage.name()), Some(stage));
        }
    }
}
