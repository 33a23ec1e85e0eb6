//! Collects the configuration: file, then environment, then flags.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use clap::{Arg, ArgAction, ArgMatches, Command};

use super::{Config, ConfigError, Setting};

/// A configuration and where it came from.
#[derive(Debug)]
pub struct Loaded {
    /// The settings.
    pub config: Config,
    /// The file that was read, if there was one.
    pub file: Option<PathBuf>,
    /// What is to be done.
    pub task: Task,
}

/// What the program is to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Task {
    /// Be a broker.
    Serve,
    /// Check a data directory.
    StorageCheck,
    /// Write the messages of a queue.
    StorageDump {
        /// The vhost of the queue.
        vhost: String,
        /// Its name.
        queue: String,
    },
    /// Make certificates for trying out.
    SelfSigned {
        /// Where to write them.
        directory: PathBuf,
        /// Further names of the machine.
        names: Vec<String>,
        /// The user of the client's.
        user: String,
    },
}

const FILE: &str = "leveret.toml";
const FILE_VARIABLE: &str = "LEVERET_CONFIG";

/// Reads the configuration from these flags, these environment variables and the file that they
/// name, or `leveret.toml` in the current directory if there is one.
///
/// # Errors
/// A [`clap::Error`] for a bad flag (and for `--help` and `--version`), else a [`ConfigError`].
pub fn load(
    flags: impl IntoIterator<Item = OsString>,
    environment: impl IntoIterator<Item = (String, String)>,
) -> Result<Loaded, LoadError> {
    let settings = Config::settings();
    let matches = command(&settings).try_get_matches_from(flags)?;
    let environment: Vec<(String, String)> =
        environment.into_iter().filter(|(name, _)| name.starts_with("LEVERET_")).collect();
    let file = file(&matches, &environment);
    let read = |mut config: Config| -> Result<Config, ConfigError> {
        if let Some(path) = &file {
            read_file(&mut config, path)?;
        }
        read_environment(&mut config, &settings, &environment)?;
        for setting in &settings {
            if let Some(value) = matches.get_one::<String>(setting.name) {
                config.set(setting.name, value, &format!("--{}", setting.flag()))?;
            }
        }
        Ok(config)
    };
    let compat = read(Config::default())?.mqtt_compat;
    let config = read(Config::compatible(compat))?;
    let task = task(&matches);
    Ok(Loaded { config, file, task })
}

fn task(matches: &ArgMatches) -> Task {
    let Some((group, matches)) = matches.subcommand() else { return Task::Serve };
    let Some((command, matches)) = matches.subcommand() else { return Task::Serve };
    let text = |name| matches.get_one::<String>(name).cloned().unwrap_or_default();
    match (group, command) {
        ("tls", _) => Task::SelfSigned {
            directory: text("dir").into(),
            names: matches.get_many("name").unwrap_or_default().cloned().collect(),
            user: text("user"),
        },
        (_, "dump") => Task::StorageDump { vhost: text("vhost"), queue: text("queue") },
        _ => Task::StorageCheck,
    }
}

/// Why there is no configuration.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoadError {
    /// The flags are wrong, or ask for help.
    #[error(transparent)]
    Flags(#[from] clap::Error),
    /// A setting is wrong.
    #[error(transparent)]
    Setting(#[from] ConfigError),
}

fn command(settings: &[Setting]) -> Command {
    let config = Arg::new("config")
        .long("config")
        .value_name("FILE")
        .help("Configuration file [env: LEVERET_CONFIG] [default: leveret.toml, if it exists]");
    Command::new("leveret")
        .version(env!("CARGO_PKG_VERSION"))
        .about("A message broker for AMQP 0.9.1 and MQTT")
        .after_help(
            "Every option can also be set in the configuration file, by its name with underscores,\n\
             and in the environment. Options win over the environment, the environment over the file.",
        )
        .subcommands([storage(), tls(), bench()])
        .arg(config.global(true))
        .args(settings.iter().map(|setting| {
            let help = format!(
                "{} [env: {}] [default: {}]",
                setting.help.trim_end_matches('.'),
                setting.variable(),
                setting.default
            );
            let arg = Arg::new(setting.name).long(setting.flag()).value_name(setting.value_name);
            // Commands of their own need few settings, and take all.
            arg.help(help).global(true)
        }))
}

fn storage() -> Command {
    let queue = Arg::new("queue").long("queue").value_name("NAME").required(true).help("The queue");
    let vhost =
        Arg::new("vhost").long("vhost").value_name("NAME").default_value("/").help("Its vhost");
    let dump = Command::new("dump")
        .about("Writes the messages of a queue, one JSON object a line")
        .args([queue, vhost]);
    let check = Command::new("check").about("Reports everything in it that is damaged");
    Command::new("storage")
        .about("Reads a data directory that no broker works in, and changes nothing")
        .subcommand_required(true)
        .subcommands([check, dump])
}

fn tls() -> Command {
    let directory = Arg::new("dir")
        .long("dir")
        .value_name("DIR")
        .default_value("tls")
        .help("Where to write them");
    let name = Arg::new("name").long("name").value_name("HOST").action(ArgAction::Append);
    let name = name.help("Name or address of this machine, beside localhost; may be repeated");
    let user = Arg::new("user").long("user").value_name("NAME").default_value("guest");
    let user = user.help("User that the client's certificate stands for");
    let self_signed = Command::new("self-signed")
        .about("Writes an authority's certificate, and a server's and a client's with their keys")
        .args([directory, name, user]);
    Command::new("tls")
        .about("Makes certificates for trying out")
        .subcommand_required(true)
        .subcommand(self_signed)
}

/// What `--help` says of the load generator. It has a command line of its own, for which it has to be
/// the first word: the settings of the broker are not its options.
fn bench() -> Command {
    Command::new("bench")
        .about("Puts load on a broker, this one or another, and measures it")
        .subcommand_required(true)
}

fn file(matches: &ArgMatches, environment: &[(String, String)]) -> Option<PathBuf> {
    let variable = || environment.iter().find(|(name, _)| name == FILE_VARIABLE).map(|(_, v)| v);
    match matches.get_one::<String>("config").or_else(variable) {
        Some(path) => Some(PathBuf::from(path)),
        None => Path::new(FILE).exists().then(|| PathBuf::from(FILE)),
    }
}

fn read_file(config: &mut Config, path: &Path) -> Result<(), ConfigError> {
    let failed = |reason: String| ConfigError::File { path: path.display().to_string(), reason };
    let text = std::fs::read_to_string(path).map_err(|error| failed(error.to_string()))?;
    let table: toml::Table = text.parse().map_err(|error| failed(one_line(&text, &error)))?;
    let origin = path.display().to_string();
    for (name, value) in &table {
        let value = match value {
            toml::Value::String(text) => text.clone(),
            toml::Value::Array(items) => items.iter().map(plain).collect::<Vec<_>>().join(","),
            other => plain(other),
        };
        config.set(name, &value, &origin)?;
    }
    Ok(())
}

/// What is wrong with a file, and in which line.
fn one_line(text: &str, error: &toml::de::Error) -> String {
    let line = error.span().map_or(1, |span| text[..span.start].lines().count().max(1));
    format!("line {line}: {}", error.message().replace('\n', " "))
}

fn plain(value: &toml::Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn read_environment(
    config: &mut Config,
    settings: &[Setting],
    environment: &[(String, String)],
) -> Result<(), ConfigError> {
    for (variable, value) in environment.iter().filter(|(name, _)| name != FILE_VARIABLE) {
        match settings.iter().find(|setting| setting.variable() == *variable) {
            Some(setting) => config.set(setting.name, value, variable)?,
            None => {
                let (origin, name) = ("environment".to_owned(), variable.clone());
                return Err(ConfigError::Unknown { origin, name });
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flags(words: &[&str]) -> Vec<OsString> {
        std::iter::once("leveret").chain(words.iter().copied()).map(OsString::from).collect()
    }

    fn variable(name: &str, value: &str) -> (String, String) {
        (name.to_owned(), value.to_owned())
    }

    #[test]
    fn flags_win_over_the_environment_and_the_environment_wins_over_the_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.toml");
        std::fs::write(&path, "amqp_port = 1\nmqtt_port = 1\nhttp_port = 1\n").unwrap();
        let environment = [variable("LEVERET_MQTT_PORT", "2"), variable("LEVERET_HTTP_PORT", "2")];
        let words = flags(&["--config", path.to_str().unwrap(), "--http-port", "3"]);
        let config = load(words, environment).unwrap().config;
        assert_eq!((config.amqp_port, config.mqtt_port, config.http_port), (1, 2, 3));
    }

    #[test]
    fn unknown_keys_are_errors_wherever_they_stand() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.toml");
        std::fs::write(&path, "amqp_prot = 1\n").unwrap();
        let file = load(flags(&["--config", path.to_str().unwrap()]), []).unwrap_err();
        assert!(file.to_string().contains("there is no setting \"amqp_prot\""), "{file}");
        let environment = load(flags(&[]), [variable("LEVERET_AMQP_PROT", "1")]).unwrap_err();
        assert!(environment.to_string().contains("LEVERET_AMQP_PROT"), "{environment}");
        assert!(matches!(load(flags(&["--amqp-prot", "1"]), []), Err(LoadError::Flags(_))));
    }

    #[test]
    fn the_load_generator_takes_no_settings() {
        for words in [&["--amqp-port", "1", "bench"][..], &["--amqp-port", "1", "bench", "amqp"]] {
            assert!(matches!(load(flags(words), []), Err(LoadError::Flags(_))), "{words:?}");
        }
    }

    #[test]
    fn a_bad_value_names_the_setting_and_where_it_was_set() {
        let error = load(flags(&["--amqp-port", "70000"]), []).unwrap_err().to_string();
        assert!(error.starts_with("--amqp-port: \"70000\" is not a valid amqp_port"), "{error}");
    }

    #[test]
    fn another_brokers_limits_are_defaults_that_every_setting_wins_over() {
        let words = flags(&["--mqtt-compat", "mosquitto", "--mqtt-receive-max", "7"]);
        let config = load(words, [variable("LEVERET_MQTT_QUEUED_MAX", "5")]).unwrap().config;
        assert_eq!((config.mqtt_topic_alias_max, config.mqtt_receive_max), (10, 7));
        assert_eq!((config.mqtt_packet_size_max.0, config.mqtt_queued_max), (2_000_000, 5));
    }

    #[test]
    fn a_list_may_be_written_as_a_toml_array() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.toml");
        std::fs::write(&path, "bind = ['127.0.0.1', '::1']\nstorage_sync = 50\n").unwrap();
        let config = load(flags(&["--config", path.to_str().unwrap()]), []).unwrap().config;
        assert_eq!(config.bind.len(), 2);
        assert_eq!(config.storage_sync.to_string(), "50");
    }
}
