//! The plugins of each workspace, loaded once by their hash, and the asking of all of them about one reply.
//! It must never let a plugin that cannot be loaded or asked pass for one that agreed.

use crate::sandbox::{ReplyFacts, Rules, Sandbox};
use crate::store::Store;
use crate::store::plugin::ActivePlugin;
use rejoinder_playbook::ruling::RulingOutcome;
use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, PoisonError};

#[derive(Debug)]
pub(crate) struct ActiveRules {
    sandbox: Sandbox,
    by_hash: Mutex<HashMap<String, Rules>>,
}

impl ActiveRules {
    pub(crate) fn new(sandbox: Sandbox) -> Self {
        ActiveRules { sandbox, by_hash: Mutex::new(HashMap::new()) }
    }

    /// Asks every active plugin, each with its own settings.
    pub(crate) async fn ask_all(
        &self,
        store: &Store,
        workspace_id: &str,
        plugins: &[ActivePlugin],
        facts: &ReplyFacts,
    ) -> Vec<RulingOutcome> {
        let mut outcomes = Vec::with_capacity(plugins.len());
        for plugin in plugins {
            let unavailable = |why: String| RulingOutcome::Unavailable { plugin: plugin.name.clone(), why };
            let settings: BTreeMap<String, String> = match serde_json::from_str(&plugin.settings) {
                Ok(settings) => settings,
                Err(error) => {
                    outcomes.push(unavailable(format!("its settings cannot be read: {error}")));
                    continue;
                }
            };
            let facts = ReplyFacts { settings: settings.into_iter().collect(), ..facts.clone() };
            outcomes.push(match self.rules(store, workspace_id, plugin).await {
                Ok(rules) => rules.ask(facts).await,
                Err(why) => unavailable(why),
            });
        }
        outcomes
    }

    /// Loads every active plugin now, so that the first reply does not wait for a compiler.
    pub(crate) async fn warm_up(&self, store: &Store, workspace_id: &str, plugins: &[ActivePlugin]) {
        for plugin in plugins {
            if let Err(why) = self.rules(store, workspace_id, plugin).await {
                tracing::error!(plugin = plugin.name, why, "a plugin cannot be loaded; its replies go to a person");
            }
        }
    }

    async fn rules(&self, store: &Store, workspace_id: &str, plugin: &ActivePlugin) -> Result<Rules, String> {
        {
            let loaded = self.by_hash.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(rules) = loaded.get(&plugin.sha256) {
                return Ok(rules.clone());
            }
        }
        let component = store
            .plugin_component(workspace_id, &plugin.sha256)
            .await
            .map_err(|error| error.to_string())?
            .ok_or_else(|| "its component is not stored".to_owned())?;
        let (sandbox, name) = (self.sandbox.clone(), plugin.name.clone());
        let rules = tokio::task::spawn_blocking(move || sandbox.load(&name, &component))
            .await
            .map_err(|error| error.to_string())?
            .map_err(|error| error.to_string())?;
        let mut loaded = self.by_hash.lock().unwrap_or_else(PoisonError::into_inner);
        loaded.insert(plugin.sha256.clone(), rules.clone());
        Ok(rules)
    }
}
