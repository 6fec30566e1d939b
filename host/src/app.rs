//! Puts the server together, runs it, and ends it cleanly.
//! It must never accept a reply before the store is open and the workers run.

use crate::config::Config;
use crate::engine::{Engine, arrived, outbox, setup};
use crate::sandbox::{Sandbox, SandboxError};
use crate::store::{DatabaseUrl, Store, StoreError};
use crate::web;
use rejoinder_models::{Reader, WeightsError, WeightsSource};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// How long each part of the server may take to end.
const STOP_WAIT_MS_MAX: u64 = 10_000;

#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error(
        "the data folder {path} cannot be made: {source}. Choose another with `data_dir`, or give this user the right to write there"
    )]
    DataFolder { path: PathBuf, source: std::io::Error },
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Weights(#[from] WeightsError),
    #[error(transparent)]
    Sandbox(#[from] SandboxError),
    #[error(
        "{address} is taken: another program listens there. Stop it, or choose another address with `listen` (REJOINDER_LISTEN)"
    )]
    Taken { address: SocketAddr },
    #[error("cannot listen on {address}: {source}. Choose another address with `listen` (REJOINDER_LISTEN)")]
    Listen { address: SocketAddr, source: std::io::Error },
    #[error(transparent)]
    Setup(#[from] setup::SetupError),
}

/// A server that runs.
#[derive(Debug)]
pub struct Running {
    pub engine: Arc<Engine>,
    pub address: SocketAddr,
    stop: watch::Sender<bool>,
    tasks: Vec<JoinHandle<()>>,
}

/// Opens the store and loads the models and the sandbox, without listening.
pub async fn open(config: Config) -> Result<Arc<Engine>, StartError> {
    let store = open_store(&config).await?;
    let weights = config.weights.clone();
    let limits = config.reader_limits;
    let reader = tokio::task::spawn_blocking(move || {
        Reader::start(weights.as_deref().map_or(WeightsSource::Embedded, WeightsSource::File), limits)
    })
    .await
    .expect("the thread that loads the weights does not panic")?;
    let sandbox = Sandbox::new(config.rule_limits.clone())?;
    Ok(Engine::new(config, store, reader, sandbox))
}

/// Opens the store alone, its tables up to date.
pub async fn open_store(config: &Config) -> Result<Store, StartError> {
    make_data_folder(config)?;
    Ok(Store::open(&config.database_url).await?)
}

/// Takes the address, before anything is promised to anybody.
pub async fn listen(config: &mut Config) -> Result<TcpListener, StartError> {
    let address = config.listen;
    let listener = TcpListener::bind(address).await.map_err(|source| match source.kind() {
        std::io::ErrorKind::AddrInUse => StartError::Taken { address },
        _ => StartError::Listen { address, source },
    })?;
    let bound = listener.local_addr().map_err(|source| StartError::Listen { address, source })?;
    if config.public_url == format!("http://{address}") {
        config.public_url = format!("http://{bound}");
    }
    config.listen = bound;
    Ok(listener)
}

/// Starts the workers and the web server.
pub async fn run(engine: Arc<Engine>, listener: TcpListener) -> Result<Running, StartError> {
    setup::warm_up(&engine).await?;
    let (stop, stopped) = watch::channel(false);
    let router = web::router(Arc::clone(&engine));
    let mut web_stop = stopped.clone();
    let address = engine.config.listen;
    let web = tokio::spawn(async move {
        let until = async move {
            let _ = web_stop.wait_for(|stop| *stop).await;
        };
        if let Err(error) = axum::serve(listener, router).with_graceful_shutdown(until).await {
            tracing::error!(%error, "the web server ended");
        }
    });
    let tasks = vec![
        web,
        tokio::spawn(arrived::run(Arc::clone(&engine), stopped.clone())),
        tokio::spawn(outbox::run(Arc::clone(&engine), stopped)),
    ];
    Ok(Running { engine, address, stop, tasks })
}

impl Running {
    /// Lets what is in hand finish, then closes the database.
    pub async fn stop(self) {
        let _ = self.stop.send(true);
        for task in self.tasks {
            // A client that never finishes its request must not keep the server from ending.
            let _ = tokio::time::timeout(Duration::from_millis(STOP_WAIT_MS_MAX), task).await;
        }
        self.engine.store.close().await;
    }
}

/// Ends cleanly, or at once when asked a second time: what was not finished is taken up at the next start.
pub async fn stop_or_second_ctrl_c(running: Running) {
    tokio::select! {
        () = running.stop() => {}
        () = wait_for_ctrl_c() => tracing::warn!("ended at once; what was in hand is taken up at the next start"),
    }
}

/// Returns on Ctrl-C or a request to terminate.
pub async fn wait_for_ctrl_c() {
    let interrupt = tokio::signal::ctrl_c();
    #[cfg(unix)]
    {
        let terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate());
        match terminate {
            Ok(mut terminate) => tokio::select! {
                _ = interrupt => {}
                _ = terminate.recv() => {}
            },
            Err(_) => {
                let _ = interrupt.await;
            }
        }
    }
    #[cfg(not(unix))]
    {
        let _ = interrupt.await;
    }
}

/// Only the user who runs the server may look into the data.
fn make_data_folder(config: &Config) -> Result<(), StartError> {
    let mut folders: Vec<&Path> = vec![&config.data_dir];
    if let DatabaseUrl::Sqlite(path) = &config.database_url
        && let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty())
    {
        folders.push(parent);
    }
    for folder in folders {
        if folder.exists() {
            continue;
        }
        make_private_folder(folder).map_err(|source| StartError::DataFolder { path: folder.to_path_buf(), source })?;
    }
    Ok(())
}

/// A folder, and those above it that are missing, into which only this user may look.
pub(crate) fn make_private_folder(folder: &Path) -> std::io::Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::DirBuilderExt as _;
        builder.mode(0o700);
    }
    builder.create(folder)
}
