//! Whether the process lives and whether it can work, for whoever watches it.
//! It must never tell a stranger more than that.

use crate::{engine::Engine, web::error::WebError};
use axum::extract::State;
use std::sync::Arc;

/// `GET /livez`: the process answers.
pub(crate) async fn alive() -> &'static str {
    "alive\n"
}

/// `GET /readyz`: the store answers too.
pub(crate) async fn ready(State(engine): State<Arc<Engine>>) -> Result<&'static str, WebError> {
    engine.store.ping().await?;
    Ok("ready\n")
}
