//! The configuration: one TOML file and `REJOINDER_…` variables, checked whole before anything starts.
//! It must never start with a setting it does not know or cannot use, and never name only the first of several problems.

use crate::carrier::inbound::MailLimits;
use crate::sandbox::RuleLimits;
use crate::store::DatabaseUrl;
use rejoinder_models::ReaderLimits;
use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

const ENVIRONMENT_PREFIX: &str = "REJOINDER_";

/// Every setting: its name in the file and what it is. `REJOINDER_` and the name in capitals, dots as underscores, is its variable.
const SETTINGS: [(&str, &str); 25] = [
    ("listen", "address and port to listen on (127.0.0.1:8055)"),
    ("public_url", "how people and mail programs reach this server (http:// and `listen`)"),
    ("data_dir", "folder of the embedded database (data)"),
    ("database_url", "sqlite:PATH or postgres://… (sqlite:{data_dir}/rejoinder.db)"),
    ("weights", "file with the reader's weights (those in the program)"),
    ("carrier", "where e-mail goes: folder or smtp (folder)"),
    ("outbox_dir", "folder of the folder carrier ({data_dir}/outbox)"),
    ("smtp.host", "mail server, needed for carrier = \"smtp\""),
    ("smtp.port", "its port (587)"),
    ("smtp.security", "starttls, tls or none (starttls)"),
    ("smtp.username", "user name, if it asks for one"),
    ("smtp.password", "password; better in REJOINDER_SMTP_PASSWORD than in the file"),
    ("smtp.timeout_ms", "how long it may take to answer, milliseconds (20000)"),
    ("limits.mail_bytes_max", "largest message taken, bytes (10485760)"),
    ("limits.reader_queue_replies_max", "replies that may wait for the reader (256)"),
    ("limits.reader_batch_replies_max", "replies read at once (16)"),
    ("limits.reader_reply_tokens_max", "tokens of a reply that are read, at most 256 (256)"),
    ("limits.decisions_at_once_max", "replies decided at the same time (16)"),
    ("limits.decision_lease_ms", "after this a decision is taken over by another worker, milliseconds (30000)"),
    ("limits.send_lease_ms", "the same for a message being sent, milliseconds (60000)"),
    ("limits.plugin_memory_bytes_max", "memory of one plugin call, bytes (16777216)"),
    ("limits.plugin_call_ms_max", "time of one plugin call, milliseconds (50)"),
    ("limits.plugin_stack_bytes_max", "stack of one plugin call, bytes (524288)"),
    ("limits.plugin_result_bytes_max", "largest answer of a plugin, bytes (65536)"),
    ("limits.plugin_log_lines_max", "log lines of one plugin call (1000)"),
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SmtpSecurity {
    StartTls,
    Tls,
    /// No encryption; for a server on the same machine.
    None,
}

#[derive(Clone, PartialEq, Eq)]
pub struct SmtpSettings {
    pub host: String,
    pub port: u16,
    pub security: SmtpSecurity,
    pub credentials: Option<(String, String)>,
    pub timeout_ms: u64,
}

impl fmt::Debug for SmtpSettings {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("SmtpSettings")
            .field("host", &self.host)
            .field("port", &self.port)
            .finish_non_exhaustive()
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CarrierSettings {
    Folder(PathBuf),
    Smtp(SmtpSettings),
}

#[derive(Clone, Debug)]
pub struct Config {
    pub listen: SocketAddr,
    /// Without a slash at its end.
    pub public_url: String,
    pub data_dir: PathBuf,
    pub database_url: DatabaseUrl,
    pub weights: Option<PathBuf>,
    pub carrier: CarrierSettings,
    pub mail_limits: MailLimits,
    pub reader_limits: ReaderLimits,
    pub rule_limits: RuleLimits,
    pub decisions_at_once_max: usize,
    pub decision_lease_ms: i64,
    pub send_lease_ms: i64,
}

#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error("the configuration file {path} cannot be read: {source}")]
    Unreadable { path: PathBuf, source: std::io::Error },
    #[error("the configuration has {} problem(s):{}", .problems.len(), list(.problems))]
    Problems { problems: Vec<String> },
}

fn list(problems: &[String]) -> String {
    problems.iter().map(|problem| format!("\n  - {problem}")).collect()
}

/// What `--help` prints about settings.
#[must_use]
pub fn settings_help() -> String {
    let mut help = "Settings (in the TOML file; the variable in brackets wins over the file):\n".to_owned();
    for (name, what) in SETTINGS {
        help.push_str(&format!("  {name:<32} {what} [{}]\n", variable_of(name)));
    }
    help
}

fn variable_of(name: &str) -> String {
    format!("{ENVIRONMENT_PREFIX}{}", name.replace('.', "_").to_uppercase())
}

/// The settings as given, by name, and the problems found so far.
struct Given {
    values: BTreeMap<&'static str, String>,
    problems: Vec<String>,
}

impl Config {
    /// Reads the file, if one is named, and the variables.
    pub fn load(path: Option<&Path>, variables: impl Iterator<Item = (String, String)>) -> Result<Config, ConfigError> {
        let text = match path {
            None => String::new(),
            Some(path) => std::fs::read_to_string(path)
                .map_err(|source| ConfigError::Unreadable { path: path.to_path_buf(), source })?,
        };
        Config::parse(&text, variables)
    }

    /// The same from text.
    pub fn parse(text: &str, variables: impl Iterator<Item = (String, String)>) -> Result<Config, ConfigError> {
        let mut given = Given { values: BTreeMap::new(), problems: vec![] };
        match text.parse::<toml::Table>() {
            Ok(table) => given.take_table("", &table),
            Err(error) => {
                given.problems.push(format!("the file is no TOML: {}", error.to_string().trim().replace('\n', " ")))
            }
        }
        for (variable, value) in variables.filter(|(variable, _)| variable.starts_with(ENVIRONMENT_PREFIX)) {
            match SETTINGS.iter().find(|(name, _)| variable_of(name) == variable) {
                Some((name, _)) => {
                    given.values.insert(name, value);
                }
                None => {
                    given.problems.push(format!("the variable {variable} is no setting; see `rejoinder serve --help`"))
                }
            }
        }
        let config = given.config();
        if given.problems.is_empty() { Ok(config) } else { Err(ConfigError::Problems { problems: given.problems }) }
    }
}

impl Given {
    fn take_table(&mut self, prefix: &str, table: &toml::Table) {
        for (key, value) in table {
            let name = format!("{prefix}{key}");
            if let toml::Value::Table(inner) = value {
                self.take_table(&format!("{name}."), inner);
                continue;
            }
            let Some((known, _)) = SETTINGS.iter().find(|(known, _)| *known == name) else {
                self.problems.push(format!("`{name}` is no setting; see `rejoinder serve --help`"));
                continue;
            };
            let text = match value {
                toml::Value::String(text) => text.clone(),
                toml::Value::Integer(number) => number.to_string(),
                other => {
                    self.problems
                        .push(format!("`{name}` is a {}; text or a whole number is expected", other.type_str()));
                    continue;
                }
            };
            self.values.insert(known, text);
        }
    }

    fn text(&self, name: &'static str) -> Option<String> {
        self.values.get(name).map(|value| value.trim().to_owned()).filter(|value| !value.is_empty())
    }

    fn number<N: std::str::FromStr + PartialOrd + fmt::Display>(
        &mut self,
        name: &'static str,
        default: N,
        min: N,
        max: N,
    ) -> N {
        let Some(text) = self.text(name) else { return default };
        match text.parse::<N>() {
            Ok(number) if number >= min && number <= max => number,
            _ => {
                self.problems.push(format!("`{name}` is “{text}”; a whole number from {min} to {max} is expected"));
                default
            }
        }
    }

    fn config(&mut self) -> Config {
        let default_listen = SocketAddr::from(([127, 0, 0, 1], 8055));
        let listen = match self.text("listen") {
            None => default_listen,
            Some(text) => text.parse().unwrap_or_else(|_| {
                self.problems
                    .push(format!("`listen` is “{text}”; an address and port such as 127.0.0.1:8055 is expected"));
                default_listen
            }),
        };
        let public_url = self.text("public_url").unwrap_or_else(|| format!("http://{listen}"));
        if self.text("carrier").as_deref() == Some("smtp") && self.text("public_url").is_none() {
            let why = "`public_url` is missing; with carrier = \"smtp\" the unsubscribe links in real mail need it (https://…)";
            self.problems.push(why.to_owned());
        }
        if !(public_url.starts_with("http://") || public_url.starts_with("https://")) {
            self.problems.push(format!("`public_url` is “{public_url}”; it must begin with http:// or https://"));
        }
        let data_dir = PathBuf::from(self.text("data_dir").unwrap_or_else(|| "data".to_owned()));
        let database_url = match self.text("database_url") {
            None => DatabaseUrl::Sqlite(data_dir.join("rejoinder.db")),
            Some(text) => DatabaseUrl::parse(&text).unwrap_or_else(|| {
                self.problems.push(
                    "`database_url` must be sqlite:PATH or postgres://user:password@host:port/database".to_owned(),
                );
                DatabaseUrl::Sqlite(data_dir.join("rejoinder.db"))
            }),
        };
        let outbox_dir = self.text("outbox_dir").map_or_else(|| data_dir.join("outbox"), PathBuf::from);
        let smtp = self.smtp();
        let carrier = match self.text("carrier").as_deref() {
            None | Some("folder") => CarrierSettings::Folder(outbox_dir),
            Some("smtp") => {
                if smtp.host.is_empty() {
                    self.problems.push("`smtp.host` is missing; carrier = \"smtp\" needs a mail server".to_owned());
                }
                CarrierSettings::Smtp(smtp)
            }
            Some(other) => {
                self.problems.push(format!("`carrier` is “{other}”; folder or smtp is expected"));
                CarrierSettings::Folder(outbox_dir)
            }
        };
        let mail = MailLimits::default();
        let mail_bytes_max = self.number("limits.mail_bytes_max", mail.mail_bytes_max, 1024, 100 * 1024 * 1024);
        let reader = ReaderLimits::default();
        let rules = RuleLimits::default();
        let config = Config {
            listen,
            public_url: public_url.trim_end_matches('/').to_owned(),
            weights: self.text("weights").map(PathBuf::from),
            data_dir,
            database_url,
            carrier,
            mail_limits: MailLimits { mail_bytes_max, ..mail },
            reader_limits: ReaderLimits {
                queue_replies_max: self.number("limits.reader_queue_replies_max", reader.queue_replies_max, 1, 100_000),
                batch_replies_max: self.number("limits.reader_batch_replies_max", reader.batch_replies_max, 1, 256),
                reply_tokens_max: self.number("limits.reader_reply_tokens_max", reader.reply_tokens_max, 8, 256),
            },
            rule_limits: RuleLimits {
                memory_bytes_max: self.number(
                    "limits.plugin_memory_bytes_max",
                    rules.memory_bytes_max,
                    1 << 20,
                    1 << 30,
                ),
                call_ms_max: self.number("limits.plugin_call_ms_max", rules.call_ms_max, 5, 10_000),
                stack_bytes_max: self.number("limits.plugin_stack_bytes_max", rules.stack_bytes_max, 64 << 10, 1 << 20),
                result_bytes_max: self.number(
                    "limits.plugin_result_bytes_max",
                    rules.result_bytes_max,
                    1 << 10,
                    1 << 24,
                ),
                log_lines_max: self.number("limits.plugin_log_lines_max", rules.log_lines_max, 0, 100_000),
                ..rules
            },
            decisions_at_once_max: self.number("limits.decisions_at_once_max", 16, 1, 256),
            decision_lease_ms: self.number("limits.decision_lease_ms", 30_000, 1_000, 600_000),
            send_lease_ms: self.number("limits.send_lease_ms", 60_000, 1_000, 600_000),
        };
        self.problems.extend(config.rule_limits.problems());
        if let CarrierSettings::Smtp(smtp) = &config.carrier
            && i64::try_from(smtp.timeout_ms).unwrap_or(i64::MAX) >= config.send_lease_ms
        {
            self.problems.push(format!(
                "`smtp.timeout_ms` is {}; it must be less than `limits.send_lease_ms` ({}), or a slow delivery counts as not known",
                smtp.timeout_ms, config.send_lease_ms
            ));
        }
        config
    }

    fn smtp(&mut self) -> SmtpSettings {
        let security = match self.text("smtp.security").as_deref() {
            None | Some("starttls") => SmtpSecurity::StartTls,
            Some("tls") => SmtpSecurity::Tls,
            Some("none") => SmtpSecurity::None,
            Some(other) => {
                self.problems.push(format!("`smtp.security` is “{other}”; starttls, tls or none is expected"));
                SmtpSecurity::StartTls
            }
        };
        let credentials = match (self.text("smtp.username"), self.text("smtp.password")) {
            (Some(username), Some(password)) => Some((username, password)),
            (None, None) => None,
            _ => {
                self.problems
                    .push("`smtp.username` and `smtp.password` belong together; give both or neither".to_owned());
                None
            }
        };
        SmtpSettings {
            host: self.text("smtp.host").unwrap_or_default(),
            port: self.number("smtp.port", 587, 1, u16::MAX),
            security,
            credentials,
            timeout_ms: self.number("smtp.timeout_ms", 20_000, 100, 600_000),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str, variables: &[(&str, &str)]) -> Result<Config, ConfigError> {
        Config::parse(text, variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())))
    }

    #[test]
    fn nothing_given_is_a_sound_configuration() {
        let config = parse("", &[]).expect("defaults");
        assert_eq!(config.public_url, "http://127.0.0.1:8055");
        assert_eq!(config.database_url, DatabaseUrl::Sqlite("data/rejoinder.db".into()));
    }

    #[test]
    fn all_problems_are_named_at_once() {
        let text = "listen = \"here\"\ncarier = \"smtp\"\n[smtp]\nport = 0\nusername = \"u\"\n[limits]\nplugin_call_ms_max = \"soon\"\n";
        let error =
            parse(text, &[("REJOINDER_CARRIER", "smtp"), ("REJOINDER_COLOUR", "red")]).expect_err("many problems");
        let words = error.to_string();
        for expected in [
            "`listen`",
            "`carier`",
            "smtp.port",
            "belong together",
            "plugin_call_ms_max",
            "smtp.host",
            "REJOINDER_COLOUR",
        ] {
            assert!(words.contains(expected), "{expected} in {words}");
        }
    }

    #[test]
    fn a_variable_wins_over_the_file() {
        let config =
            parse("public_url = \"https://a.test/\"", &[("REJOINDER_PUBLIC_URL", "https://b.test/")]).expect("sound");
        assert_eq!(config.public_url, "https://b.test");
    }

    #[test]
    fn a_password_is_not_printed() {
        let text = "carrier = \"smtp\"\npublic_url = \"https://a.test\"\n[smtp]\nhost = \"h\"\nusername = \"u\"\npassword = \"hunter2\"\n";
        assert!(!format!("{:?}", parse(text, &[]).expect("sound")).contains("hunter2"));
    }
}
