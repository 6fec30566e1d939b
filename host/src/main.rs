//! The command line. It parses, calls the library, prints; errors end here in words and an exit code.
//! It must never do anything that a test could not reach through the library.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "this is the command line")]

use anyhow::{Context as _, Result, bail};
use clap::{Parser, Subcommand};
use rejoinder::config::{Config, settings_help};
use rejoinder::engine::folder::PlaybookFolder;
use rejoinder::engine::setup::{self, FirstSecrets};
use rejoinder::sandbox::{ReplyFacts, Sandbox};
use rejoinder::{app, bench, demo, read};
use rejoinder_models::{Reader, WeightsSource};
use std::io::{IsTerminal as _, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

/// The workspace that `serve` makes at its first start.
const FIRST_WORKSPACE: &str = "main";

/// Automated sales follow-up with a human in the loop, on your own machine.
#[derive(Parser)]
#[command(
    name = "rejoinder",
    version,
    about,
    after_help = "Start with `rejoinder demo`. The settings: `rejoinder serve --help`. REJOINDER_LOG=debug says more."
)]
struct Arguments {
    /// TOML file with settings; REJOINDER_… variables win over it
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run the server
    #[command(after_help = settings_help())]
    Serve {
        /// Folder laid out like playbook/default: settings, documents, leads, sequences, plugin. Read again at each start
        #[arg(long, value_name = "FOLDER")]
        playbook: Option<PathBuf>,
    },
    /// Show it at work: an invented company, 20 leads, ten replies through the webhook, decisions with reasons
    Demo {
        /// Folder of the demo's own; cleared at each start
        #[arg(long, value_name = "FOLDER", default_value = "data/demo")]
        data: PathBuf,
        /// End after printing the decisions instead of serving the review page
        #[arg(long)]
        exit: bool,
    },
    /// Bring the database's tables up to date, then end
    Migrate,
    /// Read replies: JSON lines {"channel", "text"} from standard input, one reading a line to standard output
    Read,
    /// Plugins: WebAssembly components with a team's own rules
    Plugin {
        #[command(subcommand)]
        command: PluginCommand,
    },
    /// Give a user a new password, which is printed once
    Password {
        #[arg(long, default_value = FIRST_WORKSPACE)]
        workspace: String,
        #[arg(long, default_value = "admin")]
        name: String,
    },
    /// Make a new webhook secret and API key, which are printed once; the old ones end
    Key {
        #[arg(long, default_value = FIRST_WORKSPACE)]
        workspace: String,
    },
    /// Measure: webhook to decision, start, memory
    Bench {
        /// Replies to post for each figure
        #[arg(long, default_value_t = 300)]
        replies: usize,
        /// Folder of the bench's own; cleared at each start
        #[arg(long, value_name = "FOLDER", default_value = "data/bench")]
        data: PathBuf,
    },
}

#[derive(Subcommand)]
enum PluginCommand {
    /// Check a component: what it imports and answers, and a dry call with sample facts
    Check {
        file: PathBuf,
        /// A setting to hand to the plugin, NAME=VALUE; may be repeated
        #[arg(long = "set", value_name = "NAME=VALUE")]
        settings: Vec<String>,
    },
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let quiet = matches!(arguments.command, Command::Demo { .. } | Command::Bench { .. } | Command::Read);
    let filter = std::env::var("REJOINDER_LOG").unwrap_or_else(|_| if quiet { "error".into() } else { "info".into() });
    tracing_subscriber::fmt()
        .with_env_filter(tracing_subscriber::EnvFilter::try_new(&filter).unwrap_or_else(|_| "info".into()))
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .init();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("error: the runtime does not start: {error}");
            return ExitCode::FAILURE;
        }
    };
    match runtime.block_on(run(arguments)) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: Arguments) -> Result<ExitCode> {
    // These are about this process, the building of plugins and the tests; no settings of the server.
    let is_setting =
        |name: &str| !matches!(name, "REJOINDER_LOG" | "REJOINDER_GUEST_RUST") && !name.starts_with("REJOINDER_TEST_");
    let variables = std::env::vars().filter(|(name, _)| is_setting(name));
    let config = Config::load(arguments.config.as_deref(), variables)?;
    match arguments.command {
        Command::Serve { playbook } => serve(config, playbook).await?,
        Command::Demo { data, exit } => {
            let shown = demo::run(config, &data).await?;
            print!("{}", demo::report(&shown));
            std::io::stdout().flush()?;
            if !exit {
                app::wait_for_ctrl_c().await;
            }
            shown.running.stop().await;
        }
        Command::Migrate => {
            let engine = app::open(config).await?;
            println!("The tables are up to date.");
            engine.store.close().await;
        }
        Command::Read => return read_standard_input(&config).await,
        Command::Plugin { command: PluginCommand::Check { file, settings } } => {
            return check_plugin(&config, &file, &settings);
        }
        Command::Password { workspace, name } => {
            let engine = app::open(config).await?;
            let Some(found) = engine.store.workspace_by_slug(&workspace).await? else {
                bail!("there is no workspace “{workspace}”; name one with --workspace");
            };
            if engine.store.account(&name).await?.is_none() {
                bail!("there is no user “{name}”; name one with --name");
            }
            let password = setup::new_password(&engine);
            setup::set_password(&engine, &found.id, &name, &password).await?;
            println!("{name}: {password}");
            engine.store.close().await;
        }
        Command::Key { workspace } => {
            let engine = app::open(config).await?;
            let Some(found) = engine.store.workspace_by_slug(&workspace).await? else {
                bail!("there is no workspace “{workspace}”; name one with --workspace");
            };
            let (hook_secret, api_key) = setup::new_keys(&engine, &found.id).await?;
            println!("webhook secret  {hook_secret}\nAPI key         {api_key}");
            engine.store.close().await;
        }
        Command::Bench { replies, data } => {
            let figures = bench::run(config, &data, replies.max(1)).await?;
            print_figures(&figures);
        }
    }
    Ok(ExitCode::SUCCESS)
}

async fn serve(mut config: Config, playbook: Option<PathBuf>) -> Result<()> {
    let listener = app::listen(&mut config).await?;
    let engine = app::open(config).await?;
    // Without a folder of one's own nobody is written to: the invented company's leads stay in the demo.
    let folder = match &playbook {
        Some(path) => PlaybookFolder::read(path)?,
        None => PlaybookFolder::starter().without_leads(),
    };
    // Printed before anything else can fail: they are not shown again.
    if let Some(secrets) = setup::create_workspace(&engine, FIRST_WORKSPACE, &folder).await? {
        print_secrets(&secrets, &engine.config.public_url);
    }
    let filled = setup::fill(&engine, FIRST_WORKSPACE, &folder).await?;
    tracing::info!(?filled, "the playbook is in place");
    let running = app::run(engine, listener).await?;
    let engine = &running.engine;
    tracing::info!(address = %running.address, reader = engine.reader_name(), "listening; {}", engine.carrier_words());
    println!("Review page: {}/review", engine.config.public_url);
    app::wait_for_ctrl_c().await;
    tracing::info!("ending; what is in hand is finished first");
    running.stop().await;
    Ok(())
}

fn print_secrets(secrets: &FirstSecrets, public_url: &str) {
    println!(
        "First start. Keep these; they are not shown again (`rejoinder password` and `rejoinder key` make new ones):"
    );
    println!("  sign in as      {} with {}", secrets.user_name, secrets.password);
    println!("  webhook         {public_url}/hooks/{FIRST_WORKSPACE}/email/raw");
    println!("  webhook secret  {}", secrets.hook_secret);
    println!("  API key         {}", secrets.api_key);
}

async fn read_standard_input(config: &Config) -> Result<ExitCode> {
    let weights = config.weights.as_deref().map_or(WeightsSource::Embedded, WeightsSource::File);
    let reader = Reader::start(weights, config.reader_limits)?;
    let input = tokio::io::BufReader::new(tokio::io::stdin());
    let shows_progress = std::io::stderr().is_terminal() && !std::io::stdout().is_terminal();
    let counts = read::read_lines(&reader, input, tokio::io::stdout(), |counts| {
        if shows_progress {
            eprint!("\r{} read, {} bad lines", counts.read, counts.bad);
        }
    })
    .await
    .context("standard input or output broke")?;
    if shows_progress {
        eprintln!();
    }
    Ok(if counts.bad == 0 { ExitCode::SUCCESS } else { ExitCode::from(2) })
}

fn check_plugin(config: &Config, file: &std::path::Path, settings: &[String]) -> Result<ExitCode> {
    let bytes = std::fs::read(file).with_context(|| format!("{} cannot be read", file.display()))?;
    let mut facts = ReplyFacts::sample();
    for setting in settings {
        let Some((name, value)) = setting.split_once('=') else { bail!("--set {setting}: write NAME=VALUE") };
        facts.settings.push((name.to_owned(), value.to_owned()));
    }
    let name = file.file_stem().and_then(|name| name.to_str()).unwrap_or("plugin");
    let sandbox = Sandbox::new(config.rule_limits.clone())?;
    let rules = sandbox.load(name, &bytes).with_context(|| file.display().to_string())?;
    let report = rules.check(&facts);
    print!("{report}");
    Ok(if report.dry_run.ruling.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn print_figures(figures: &bench::Figures) {
    println!("start to listening        {:>8.0} ms", figures.listening_ms);
    println!("start to first decision   {:>8.0} ms", figures.first_decision_ms);
    match figures.resident_mib {
        Some(mib) => println!("resident memory           {mib:>8.0} MiB"),
        None => println!("resident memory           not known on this system"),
    }
    for latency in &figures.latencies {
        println!(
            "{:>2} at once, {} replies: accepted p50 {:.1} ms, p99 {:.1} ms; decided p50 {:.1} ms, p99 {:.1} ms; {:.0} replies/s",
            latency.at_once,
            latency.replies,
            latency.accepted_p50_ms,
            latency.accepted_p99_ms,
            latency.decided_p50_ms,
            latency.decided_p99_ms,
            latency.replies_per_s
        );
    }
}
