//! Fills a workspace from a playbook folder: settings, documents, plugin, leads, sequences; and makes the first keys and
//! password. It must never overwrite what a lead's record already says, and never show a secret twice.

use super::passages::{PassagesError, embed_passage, pack};
use super::sign_in::{PasswordError, hash_password};
use super::{Engine, stored_playbook};
use crate::library::chunk::{self, DocumentError};
use crate::store::StoreError;
use crate::store::workspace::{HookKeyKind, NewDocument, NewEnrollment, NewPassage, NewPlugin, NewSequence, Workspace};
use rejoinder_models::ReadError;
use rejoinder_playbook::address::{AddressError, EmailAddress};
use rejoinder_playbook::lead::{Lead, Stage};
use rejoinder_playbook::playbook::{Playbook, PlaybookError};
use rejoinder_playbook::sequence::{Sequence, SequenceError};
use serde::Deserialize;
use sha2::{Digest as _, Sha256};
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

#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    #[error("{path} cannot be read: {source}")]
    Unreadable { path: String, source: std::io::Error },
    #[error("{file}: {source}")]
    Playbook { file: String, source: PlaybookError },
    #[error("{file}: {source}")]
    Sequence { file: String, source: SequenceError },
    #[error("{file}: {source}")]
    Document { file: String, source: DocumentError },
    #[error("{file}: {words}")]
    File { file: String, words: String },
    #[error("{file}: lead {lead}: {source}")]
    Lead { file: String, lead: String, source: AddressError },
    #[error("plugin.toml names the plugin {name}, but there is no {name}.wasm in the folder's plugins/")]
    NoComponent { name: String },
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Passages(#[from] PassagesError),
    #[error("the documents could not be embedded: {0}")]
    Read(#[from] ReadError),
    #[error(transparent)]
    Password(#[from] PasswordError),
}

/// What somebody must be told once.
#[derive(Clone, PartialEq, Eq)]
pub struct FirstSecrets {
    pub user_name: String,
    pub password: String,
    pub hook_secret: String,
    pub api_key: String,
}

impl std::fmt::Debug for FirstSecrets {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("FirstSecrets").field("user_name", &self.user_name).finish_non_exhaustive()
    }
}

/// What was new.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Filled {
    pub documents: usize,
    pub passages: usize,
    pub leads: u64,
    pub enrollments: u64,
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
struct PluginFile {
    plugin: String,
    settings: BTreeMap<String, String>,
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

/// Creates the workspace with a first admin and first keys, unless it is there.
pub async fn create_workspace(
    engine: &Engine,
    slug: &str,
    folder: &PlaybookFolder,
) -> Result<Option<FirstSecrets>, SetupError> {
    let playbook = parse_playbook(folder)?;
    let now_ms = engine.clock.now_ms();
    let workspace = Workspace {
        id: engine.clock.new_id(),
        slug: slug.to_owned(),
        name: playbook.company,
        playbook_toml: folder.playbook.clone(),
        playbook_version: 1,
        link_secret: engine.clock.secret().to_vec(),
    };
    engine.store.create_workspace(&workspace, now_ms).await?;
    let Some(workspace) = engine.store.workspace_by_slug(slug).await? else { return Ok(None) };
    if engine.store.user_count(&workspace.id).await? > 0 {
        return Ok(None);
    }
    let secrets = FirstSecrets {
        user_name: "admin".to_owned(),
        password: new_password(engine),
        hook_secret: format!("rjs_{}", hex(&engine.clock.secret())),
        api_key: format!("rjk_{}", hex(&engine.clock.secret())),
    };
    let store = &engine.store;
    let key_hash = Sha256::digest(secrets.api_key.as_bytes());
    let secret = secrets.hook_secret.as_bytes();
    store.put_hook_key(&workspace.id, &engine.clock.new_id(), HookKeyKind::Hmac, "first", secret, now_ms).await?;
    store.put_hook_key(&workspace.id, &engine.clock.new_id(), HookKeyKind::ApiKey, "first", &key_hash, now_ms).await?;
    set_password(engine, &workspace.id, &secrets.user_name, &secrets.password).await?;
    Ok(Some(secrets))
}

/// Gives a person a password; all their sessions end.
pub async fn set_password(engine: &Engine, workspace_id: &str, name: &str, password: &str) -> Result<(), SetupError> {
    let hash = hash_password(password, &engine.clock.secret())?;
    let id = engine.clock.new_id();
    Ok(engine.store.put_user(workspace_id, &id, name, &hash, "admin", engine.clock.now_ms()).await?)
}

/// A password that is hard to guess and possible to type.
#[must_use]
pub fn new_password(engine: &Engine) -> String {
    const LETTERS: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";
    let letters: Vec<char> = engine
        .clock
        .secret()
        .iter()
        .take(20)
        .filter_map(|byte| LETTERS.get(usize::from(byte % 32)))
        .map(|letter| char::from(*letter))
        .collect();
    letters.chunks(5).map(|chunk| chunk.iter().collect::<String>()).collect::<Vec<_>>().join("-")
}

/// Puts a folder's contents into the workspace. What is there already stays; safe to repeat at every start.
pub async fn fill(engine: &Engine, slug: &str, folder: &PlaybookFolder) -> Result<Filled, SetupError> {
    let playbook = parse_playbook(folder)?;
    let workspace = engine
        .store
        .workspace_by_slug(slug)
        .await?
        .ok_or_else(|| StoreError::Corrupt(format!("workspace {slug} is not there")))?;
    let now_ms = engine.clock.now_ms();
    engine.store.put_playbook(&workspace.id, &folder.playbook).await?;
    let mut filled = Filled::default();
    for (file, text) in &folder.documents {
        let passages = put_document(engine, &workspace.id, file, text).await?;
        filled.passages += passages;
        filled.documents += usize::from(passages > 0);
    }
    if let Some(plugin) = &folder.plugin {
        put_plugin(engine, &workspace.id, folder, plugin).await?;
    }
    let leads = match &folder.leads {
        Some(leads) => parse_leads(leads, &playbook)?,
        None => vec![],
    };
    filled.leads = engine.store.add_leads(&workspace.id, &leads, now_ms).await?;
    for (file, text) in &folder.sequences {
        let sequence = Sequence::parse(text, &playbook.caps)
            .map_err(|source| SetupError::Sequence { file: format!("sequences/{file}"), source })?;
        let new = NewSequence {
            id: format!("{slug}/{}/{}", sequence.id, sequence.version),
            name: sequence.name.clone(),
            version: sequence.version,
            body_toml: text.clone(),
        };
        let enrollments: Vec<NewEnrollment> = leads
            .iter()
            .filter(|lead| lead.fields.get("source").is_some_and(|source| sequence.trigger.events.contains(source)))
            .map(|lead| NewEnrollment {
                id: format!("enrollment.{}.{}", lead.id, sequence.id),
                lead_id: lead.id.clone(),
                sequence_id: new.id.clone(),
                due_ms: now_ms,
            })
            .collect();
        filled.enrollments += engine.store.start_sequence(&workspace.id, &new, &enrollments, now_ms).await?;
    }
    engine.sends.notify_one();
    Ok(filled)
}

/// Loads plugins and passages of every workspace, so that the first reply is as fast as the next.
pub async fn warm_up(engine: &Engine) -> Result<(), SetupError> {
    for workspace in engine.store.workspaces().await? {
        stored_playbook(&workspace.playbook_toml)?;
        let plugins = engine.store.active_plugins(&workspace.id).await?;
        engine.rules.warm_up(&engine.store, &workspace.id, &plugins).await;
        engine.passages.get(&engine.store, &engine.reader, &workspace.id, workspace.playbook_version).await?;
    }
    Ok(())
}

fn parse_playbook(folder: &PlaybookFolder) -> Result<Playbook, SetupError> {
    Playbook::parse(&folder.playbook)
        .map_err(|source| SetupError::Playbook { file: "playbook.toml".to_owned(), source })
}

/// Says how many passages are new; none when this version is there already.
async fn put_document(engine: &Engine, workspace_id: &str, file: &str, text: &str) -> Result<usize, SetupError> {
    let parsed =
        chunk::parse(text).map_err(|source| SetupError::Document { file: format!("documents/{file}"), source })?;
    let sha256 = hex(&Sha256::digest(text.as_bytes()));
    if engine.store.has_document(workspace_id, file, &sha256).await? {
        return Ok(0);
    }
    let mut passages = Vec::with_capacity(parsed.passages.len());
    for passage in parsed.passages {
        let embeddings = embed_passage(&engine.reader, &passage.heading, &passage.body).await?;
        passages.push(NewPassage {
            id: engine.clock.new_id(),
            heading: passage.heading,
            body: passage.body,
            model: engine.reader.model_name().to_owned(),
            embeddings: pack(&embeddings),
        });
    }
    let document = NewDocument {
        id: engine.clock.new_id(),
        name: file.to_owned(),
        title: parsed.title,
        kind: parsed.kind,
        version: parsed.version,
        body: text.to_owned(),
        sha256,
        passages,
    };
    if !engine.store.put_document(workspace_id, &document, engine.clock.now_ms()).await? {
        let words = format!("it has changed but its version is still {}; count it up", document.version);
        return Err(SetupError::File { file: format!("documents/{file}"), words });
    }
    Ok(document.passages.len())
}

async fn put_plugin(
    engine: &Engine,
    workspace_id: &str,
    folder: &PlaybookFolder,
    text: &str,
) -> Result<(), SetupError> {
    let wrong = |error: toml::de::Error| SetupError::File {
        file: "plugin.toml".to_owned(),
        words: error.to_string().trim().replace('\n', " "),
    };
    let plugin: PluginFile = toml::from_str(text).map_err(wrong)?;
    let component =
        folder.components.get(&plugin.plugin).ok_or_else(|| SetupError::NoComponent { name: plugin.plugin.clone() })?;
    let sha256 = hex(&Sha256::digest(component));
    let settings = serde_json::to_string(&plugin.settings)
        .map_err(|error| SetupError::File { file: "plugin.toml".to_owned(), words: error.to_string() })?;
    let new =
        NewPlugin { id: &engine.clock.new_id(), name: &plugin.plugin, sha256: &sha256, component, settings: &settings };
    Ok(engine.store.put_plugin(workspace_id, &new, engine.clock.now_ms()).await?)
}

fn parse_leads(text: &str, playbook: &Playbook) -> Result<Vec<Lead>, SetupError> {
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

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
