//! A playbook folder as a team keeps it: settings, documents, sequences, leads and a plugin, each in its own file.
//! It must never store anything: it reads files and says what is wrong with them.

use super::setup::SetupError;
use rejoinder_playbook::address::EmailAddress;
use rejoinder_playbook::lead::{Lead, Stage};
use rejoinder_playbook::playbook::Playbook;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::Path;

/// A playbook folder in memory, by file name.
#[derive(Clone, Debug, Default)]
pub struct PlaybookFolder {
    pub playbook: String,
    pub documents: Vec<(String, String)>,
    pub sequences: Vec<(String, String)>,
    pub leads: Option<String>,
    pub plugin: Option<String>,
    /// Components by plugin name.
    pub components: BTreeMap<String, Vec<u8>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LeadsFile {
    leads: Vec<LeadEntry>,
}

#[derive(Deserialize)]
struct LeadEntry {
    id: String,
    first_name: String,
    last_name: String,
    email: String,
    company: String,
    time_zone: Option<String>,
    /// Whose account it is; that does not mean that a person has taken the conversation over.
    owner: Option<String>,
    #[serde(flatten)]
    fields: BTreeMap<String, toml::Value>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PluginFile {
    pub(super) plugin: String,
    pub(super) settings: BTreeMap<String, String>,
}

macro_rules! starter {
    ($($name:literal),* $(,)?) => {
        [$(($name, include_str!(concat!("../../../playbook/default/documents/", $name)))),*]
    };
}

impl PlaybookFolder {
    /// The starter playbook that is part of the program.
    #[must_use]
    pub fn starter() -> Self {
        let documents = starter![
            "case-study-bluestem-foods.md",
            "case-study-northmoor-home.md",
            "discovery-call.md",
            "fact-sheet.md",
            "faq.md",
            "objection-not-now.md",
            "objection-too-expensive.md",
            "objection-we-have-something.md",
            "price-list.md",
            "security-and-data.md",
            "winning-emails.md",
        ];
        let owned = |(name, text): (&str, &str)| (name.to_owned(), text.to_owned());
        PlaybookFolder {
            playbook: include_str!("../../../playbook/default/playbook.toml").to_owned(),
            documents: documents.into_iter().map(owned).collect(),
            sequences: vec![owned(("intro.toml", include_str!("../../../playbook/default/sequences/intro.toml")))],
            leads: Some(include_str!("../../../playbook/default/leads.toml").to_owned()),
            plugin: Some(include_str!("../../../playbook/default/plugin.toml").to_owned()),
            components: BTreeMap::from([(
                "high_value_accounts".to_owned(),
                include_bytes!("../../../plugins/built/high_value_accounts.wasm").to_vec(),
            )]),
        }
    }

    /// Reads a folder laid out as `playbook/default` is; components lie in its `plugins/`.
    pub fn read(folder: &Path) -> Result<Self, SetupError> {
        let text = |path: &Path| {
            std::fs::read_to_string(path)
                .map_err(|source| SetupError::Unreadable { path: path.display().to_string(), source })
        };
        let optional = |name: &str| {
            let path = folder.join(name);
            path.exists().then(|| text(&path)).transpose()
        };
        let all = |name: &str, extension: &str| -> Result<Vec<(String, std::path::PathBuf)>, SetupError> {
            let inner = folder.join(name);
            if !inner.exists() {
                return Ok(vec![]);
            }
            let unreadable = |source| SetupError::Unreadable { path: inner.display().to_string(), source };
            let mut files = Vec::new();
            for entry in std::fs::read_dir(&inner).map_err(unreadable)? {
                let path = entry.map_err(unreadable)?.path();
                if path.extension().is_some_and(|found| found == extension)
                    && let Some(name) = path.file_name().and_then(|name| name.to_str())
                {
                    files.push((name.to_owned(), path.clone()));
                }
            }
            files.sort();
            Ok(files)
        };
        let texts = |name: &str, extension: &str| -> Result<Vec<(String, String)>, SetupError> {
            all(name, extension)?.into_iter().map(|(name, path)| Ok((name, text(&path)?))).collect()
        };
        let mut components = BTreeMap::new();
        for (name, path) in all("plugins", "wasm")? {
            let bytes = std::fs::read(&path)
                .map_err(|source| SetupError::Unreadable { path: path.display().to_string(), source })?;
            components.insert(name.trim_end_matches(".wasm").to_owned(), bytes);
        }
        Ok(PlaybookFolder {
            playbook: text(&folder.join("playbook.toml"))?,
            documents: texts("documents", "md")?,
            sequences: texts("sequences", "toml")?,
            leads: optional("leads.toml")?,
            plugin: optional("plugin.toml")?,
            components,
        })
    }

    /// Without leads and sequences: nobody is written to.
    #[must_use]
    pub fn without_leads(self) -> Self {
        PlaybookFolder { sequences: vec![], leads: None, ..self }
    }
}

pub(super) fn parse_plugin(text: &str) -> Result<PluginFile, SetupError> {
    toml::from_str(text).map_err(|error| SetupError::File {
        file: "plugin.toml".to_owned(),
        words: error.to_string().trim().replace('\n', " "),
    })
}

pub(super) fn parse_leads(text: &str, playbook: &Playbook) -> Result<Vec<Lead>, SetupError> {
    let file = || "leads.toml".to_owned();
    let parsed: LeadsFile = toml::from_str(text)
        .map_err(|error| SetupError::File { file: file(), words: error.to_string().trim().replace('\n', " ") })?;
    let mut leads = Vec::with_capacity(parsed.leads.len());
    for entry in parsed.leads {
        let is_id = |id: &str| {
            !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
        };
        if !is_id(&entry.id) {
            let words = format!("the lead id “{}” must be lower-case letters, digits and hyphens", entry.id);
            return Err(SetupError::File { file: file(), words });
        }
        if leads.iter().any(|lead: &Lead| lead.id == entry.id || lead.email.as_str() == entry.email.to_lowercase()) {
            let words = format!("lead {}: this id or the address {} stands in the file twice", entry.id, entry.email);
            return Err(SetupError::File { file: file(), words });
        }
        let time_zone = entry.time_zone.unwrap_or_else(|| playbook.time_zone.clone());
        if jiff::tz::TimeZone::get(&time_zone).is_err() {
            let words = format!("lead {}: “{time_zone}” is not an IANA time zone such as America/Chicago", entry.id);
            return Err(SetupError::File { file: file(), words });
        }
        let email = EmailAddress::parse(&entry.email).map_err(|source| SetupError::Lead {
            file: file(),
            lead: entry.id.clone(),
            source,
        })?;
        let mut fields = BTreeMap::new();
        for (name, value) in entry.fields {
            let text = match value {
                toml::Value::String(text) => text,
                toml::Value::Integer(number) => number.to_string(),
                toml::Value::Float(number) => number.to_string(),
                toml::Value::Boolean(yes) => yes.to_string(),
                toml::Value::Datetime(date) => date.to_string(),
                toml::Value::Array(_) | toml::Value::Table(_) => {
                    let words = format!("lead {}: `{name}` must be text, a number, a date, true or false", entry.id);
                    return Err(SetupError::File { file: file(), words });
                }
            };
            fields.insert(name, text);
        }
        if let Some(owner) = entry.owner {
            fields.insert("account_owner".to_owned(), owner);
        }
        leads.push(Lead {
            id: entry.id,
            email,
            first_name: entry.first_name,
            last_name: entry.last_name,
            company: entry.company,
            time_zone,
            stage: Stage::Cold,
            owner: None,
            fields,
        });
    }
    Ok(leads)
}
