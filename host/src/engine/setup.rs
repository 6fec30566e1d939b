//! Fills a workspace from a playbook folder: settings, documents, plugin, leads, sequences; and makes the first keys and
//! password. It must never overwrite what a lead's record already says, and never show a secret twice.

use super::folder::{PlaybookFolder, parse_leads, parse_plugin};
use super::passages::{PassagesError, embed_passage, pack};
use super::sign_in::{PasswordError, hash_password};
use super::{Engine, stored_playbook};
use crate::carrier::inbound;
use crate::library::chunk::{self, DocumentError};
use crate::store::StoreError;
use crate::store::document::{NewDocument, NewPassage};
use crate::store::enrollment::{NewEnrollment, NewSequence};
use crate::store::plugin::NewPlugin;
use crate::store::workspace::{HookKeyKind, Workspace};
use rejoinder_models::ReadError;
use rejoinder_playbook::address::AddressError;
use rejoinder_playbook::opt_out;
use rejoinder_playbook::playbook::{Playbook, PlaybookError};
use rejoinder_playbook::reading::Channel;
use rejoinder_playbook::sequence::{Sequence, SequenceError};
use sha2::{Digest as _, Sha256};

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
    #[error("the name {name} belongs to somebody of another workspace; choose another")]
    NameTaken { name: String },
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
    let (hook_secret, api_key) = new_keys(engine, &workspace.id).await?;
    // Names are one person's across all workspaces, so only the first workspace's admin is plainly that.
    let user_name = match engine.store.account("admin").await? {
        None => "admin".to_owned(),
        Some(_) => format!("admin-{slug}"),
    };
    let secrets = FirstSecrets { user_name, password: new_password(engine), hook_secret, api_key };
    set_password(engine, &workspace.id, &secrets.user_name, &secrets.password).await?;
    Ok(Some(secrets))
}

/// Makes a webhook secret and an API key; those made before end.
pub async fn new_keys(engine: &Engine, workspace_id: &str) -> Result<(String, String), SetupError> {
    let now_ms = engine.clock.now_ms();
    let hook_secret = format!("rjs_{}", hex(&engine.clock.secret()));
    let api_key = format!("rjk_{}", hex(&engine.clock.secret()));
    let key_hash = Sha256::digest(api_key.as_bytes());
    let store = &engine.store;
    let (secret_id, key_id) = (engine.clock.new_id(), engine.clock.new_id());
    store.put_hook_key(workspace_id, &secret_id, HookKeyKind::Hmac, "first", hook_secret.as_bytes(), now_ms).await?;
    store.put_hook_key(workspace_id, &key_id, HookKeyKind::ApiKey, "first", &key_hash, now_ms).await?;
    Ok((hook_secret, api_key))
}

/// Gives a person a password; all their sessions end.
pub async fn set_password(engine: &Engine, workspace_id: &str, name: &str, password: &str) -> Result<(), SetupError> {
    let hash = hash_password(password, &engine.clock.secret())?;
    let id = engine.clock.new_id();
    if engine.store.put_user(workspace_id, &id, name, &hash, "admin", engine.clock.now_ms()).await? {
        return Ok(());
    }
    Err(SetupError::NameTaken { name: name.to_owned() })
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

/// Puts a folder's contents into the workspace: settings and plugin are replaced, documents get new versions and those
/// that are gone from the folder are cited no more, leads and enrollments that are there stay as they are. Safe to repeat at every start.
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
    let named: Vec<&str> = folder.documents.iter().map(|(file, _)| file.as_str()).collect();
    engine.store.retire_documents(&workspace.id, &named).await?;
    match &folder.plugin {
        Some(plugin) => put_plugin(engine, &workspace.id, folder, plugin).await?,
        None => engine.store.deactivate_plugins(&workspace.id).await?,
    }
    let mut leads = match &folder.leads {
        Some(leads) => parse_leads(leads, &playbook)?,
        None => vec![],
    };
    // Two workspaces may have a lead of the same short name.
    for lead in &mut leads {
        lead.id = format!("{slug}.{}", lead.id);
    }
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
        filled.enrollments +=
            engine.store.start_sequence(&workspace.id, &new, &enrollments, now_ms).await?.ok_or_else(|| {
                let words = format!("it has changed but its version is still {}; count it up", new.version);
                SetupError::File { file: format!("sequences/{file}"), words }
            })?;
    }
    engine.sends.notify_one();
    Ok(filled)
}

/// Loads plugins and passages of every workspace, so that the first reply is as fast as the next.
pub async fn warm_up(engine: &Engine) -> Result<(), SetupError> {
    // The patterns that take mail apart are compiled at their first use.
    const MAIL: &[u8] = b"From: a@b.test\r\nSubject: Re: a\r\n\r\nYes.\r\n\r\nOn Mon, A wrote:\r\n> b\r\n";
    if let Ok(mail) = inbound::parse(MAIL, &engine.config.mail_limits) {
        let _ = opt_out::find(Channel::Email, &mail.new_text);
    }
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
    if let Some(newest) = engine.store.newest_document(workspace_id, file).await? {
        if newest.sha256 == sha256 {
            engine.store.revive_document(workspace_id, &newest.id).await?;
            return Ok(0);
        }
        if parsed.version <= newest.version {
            let words = format!(
                "it has changed but its version is {}, and version {} is on record; count it up to {}",
                parsed.version,
                newest.version,
                newest.version.saturating_add(1)
            );
            return Err(SetupError::File { file: format!("documents/{file}"), words });
        }
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
    let plugin = parse_plugin(text)?;
    let component =
        folder.components.get(&plugin.plugin).ok_or_else(|| SetupError::NoComponent { name: plugin.plugin.clone() })?;
    let sha256 = hex(&Sha256::digest(component));
    let settings = serde_json::to_string(&plugin.settings)
        .map_err(|error| SetupError::File { file: "plugin.toml".to_owned(), words: error.to_string() })?;
    let new =
        NewPlugin { id: &engine.clock.new_id(), name: &plugin.plugin, sha256: &sha256, component, settings: &settings };
    Ok(engine.store.put_plugin(workspace_id, &new, engine.clock.now_ms()).await?)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
