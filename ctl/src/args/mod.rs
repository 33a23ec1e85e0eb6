//! The command line: what a user can say, and nothing about how it is done.

mod declare;
mod delete;

use std::path::PathBuf;

use clap::builder::PossibleValuesParser;
use clap::{ArgAction, ArgGroup, Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;

pub use declare::{Declare, Pair, Rules, UserSpec};
pub use delete::Delete;

use crate::noun;

/// What was said.
#[derive(Debug, Parser)]
#[command(
    name = "leveretctl",
    about = "Looks at a Leveret message broker and changes what is in it",
    after_help = EXIT_CODES,
    version,
    disable_version_flag = true,
    propagate_version = false
)]
pub struct Line {
    /// Options that every command takes.
    #[command(flatten)]
    pub global: Global,
    /// What is to be done.
    #[command(subcommand)]
    pub command: Command,
}

/// Options that every command takes.
#[derive(Debug, Args)]
#[command(next_help_heading = "Options of every command")]
pub struct Global {
    /// Address of the management API, as http://host:15672 [env: LEVERETCTL_URL]
    #[arg(long, value_name = "URL", conflicts_with = "socket", global = true)]
    pub url: Option<String>,
    /// Unix socket of the management API, instead of an address; needs no login for root and the user
    /// that the broker runs as [env: LEVERETCTL_SOCKET]
    #[arg(long, value_name = "PATH", global = true)]
    pub socket: Option<PathBuf>,
    /// User who logs in; by default guest at an address, and nobody at a socket [env: LEVERETCTL_USER]
    #[arg(short, long, value_name = "NAME", global = true)]
    pub user: Option<String>,
    /// Password; other users of the machine see it here, so better --password-file or the variable, or
    /// wait to be asked [env: LEVERETCTL_PASSWORD]
    #[arg(long, value_name = "TEXT", global = true)]
    pub password: Option<String>,
    /// File whose first line is the password
    #[arg(long, value_name = "PATH", conflicts_with = "password", global = true)]
    pub password_file: Option<PathBuf>,
    /// Virtual host; lists are of all of them if none is named, other commands are about /
    #[arg(short = 'V', long, value_name = "NAME", global = true)]
    pub vhost: Option<String>,
    /// How answers are shown
    #[arg(short, long, value_enum, value_name = "FORMAT", default_value_t = Format::Table, global = true)]
    pub format: Format,
    /// Do not say what was done
    #[arg(short, long, global = true)]
    pub quiet: bool,
    /// Time for one request, in seconds
    #[arg(
        long,
        value_name = "SECONDS",
        default_value_t = 30,
        value_parser = clap::value_parser!(u32).range(1..=86_400),
        global = true
    )]
    pub timeout: u32,
    /// Show the version
    #[arg(long, action = ArgAction::Version)]
    version: Option<bool>,
}

/// How answers are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people.
    Table,
    /// For programs.
    Json,
}

/// What is to be done.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Show how the broker does
    Status,
    /// Check the broker's health; fails if something is wrong
    Health {
        /// A check and its parameters, as port-listener 5672; the usual ones if there is none
        check: Vec<String>,
    },
    /// List what there is of a kind
    List(List),
    /// Show all of one thing
    Show {
        /// Its kind
        #[arg(value_name = "KIND", value_parser = PossibleValuesParser::new(noun::singulars()))]
        kind: String,
        /// Its name, or its names: show parameter COMPONENT NAME
        #[arg(required = true)]
        names: Vec<String>,
    },
    /// Make something, or change it
    #[command(subcommand)]
    Declare(Declare),
    /// Delete something
    #[command(subcommand)]
    Delete(Delete),
    /// Throw away the messages that are ready in a queue
    Purge {
        /// The queue
        queue: String,
    },
    /// Look at the first messages of a queue and leave them there
    Peek(Messages),
    /// Take the first messages out of a queue
    Get(Messages),
    /// Publish a message; fails if no queue takes it
    Publish(Publish),
    /// Close connections of clients
    #[command(subcommand)]
    Close(Close),
    /// Save and load users, queues and everything else that was declared
    #[command(subcommand)]
    Definitions(Definitions),
    /// Add, change and delete users
    #[command(subcommand)]
    User(User),
    /// Write the completions for a shell to standard output
    Completions {
        /// The shell
        shell: Shell,
    },
}

/// Which list, and what of it.
#[derive(Debug, Args)]
pub struct List {
    /// What is listed
    #[arg(value_name = "KIND", value_parser = PossibleValuesParser::new(noun::plurals()))]
    pub kind: String,
    /// Columns, separated by commas; those in an inner object as message_stats.publish
    #[arg(short, long, value_name = "NAMES", value_delimiter = ',')]
    pub columns: Vec<String>,
    /// Only those with this text in their name; capitals do not matter
    #[arg(long, value_name = "TEXT")]
    pub filter: Option<String>,
    /// Column to sort by
    #[arg(long, value_name = "NAME")]
    pub sort: Option<String>,
    /// Sort the other way around
    #[arg(long, requires = "sort")]
    pub reverse: bool,
}

/// Which messages.
#[derive(Debug, Args)]
pub struct Messages {
    /// The queue
    pub queue: String,
    /// How many
    #[arg(short = 'n', long, value_name = "N", default_value_t = 1)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=1_000))]
    pub count: u32,
    /// Show no more than this of each payload, in bytes; a table shows 200 if nothing is said
    #[arg(long, value_name = "BYTES")]
    pub truncate: Option<u32>,
}

/// A message.
#[derive(Debug, Args)]
pub struct Publish {
    /// Routing key; at the default exchange the name of a queue
    pub routing_key: String,
    /// The payload; standard input if there is none
    pub payload: Option<String>,
    /// Exchange; the default one if there is none
    #[arg(short, long, value_name = "NAME", default_value = "amq.default")]
    pub exchange: String,
    /// Keep it on disk if the queue is durable
    #[arg(long)]
    pub persistent: bool,
    /// Property, as content_type=text/plain or priority=5
    #[arg(long = "property", value_name = "NAME=VALUE")]
    pub properties: Vec<Pair>,
    /// Header
    #[arg(long = "header", value_name = "NAME=VALUE")]
    pub headers: Vec<Pair>,
}

/// What is closed.
#[derive(Debug, Subcommand)]
pub enum Close {
    /// Close one connection, those of a user, or all
    Connection(CloseConnection),
}

/// Which connections.
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("which").required(true).args(["name", "of_user", "all"]))]
pub struct CloseConnection {
    /// The connection, as list connections shows it
    pub name: Option<String>,
    /// All connections of this user
    #[arg(long, value_name = "NAME")]
    pub of_user: Option<String>,
    /// All connections, or those in the virtual host that --vhost names
    #[arg(long)]
    pub all: bool,
    /// What their clients are told
    #[arg(long, value_name = "TEXT")]
    pub reason: Option<String>,
    /// Do not ask
    #[arg(short, long)]
    pub yes: bool,
}

/// What is done with definitions.
#[derive(Debug, Subcommand)]
pub enum Definitions {
    /// Save the definitions, of all or of the virtual host that --vhost names; they hold hashes of
    /// passwords, so that nobody else may read the file
    Export {
        /// Where to; standard output if there is none, or it is -
        file: Option<PathBuf>,
    },
    /// Load definitions, those of RabbitMQ as well; what is there already stays
    Import {
        /// Where from; standard input if it is -
        file: PathBuf,
    },
}

/// What is done with users.
#[derive(Debug, Subcommand)]
pub enum User {
    /// Make a user, or change one
    Add(UserSpec),
    /// Delete a user and close its connections
    Delete {
        /// The user
        name: String,
    },
    /// Change the password of a user
    Passwd {
        /// The user
        name: String,
        /// File whose first line is the new password; it is asked for if there is none
        #[arg(long, value_name = "PATH")]
        new_password_file: Option<PathBuf>,
    },
    /// Set the tags of a user: administrator, monitoring, policymaker, management or others
    Tags {
        /// The user
        name: String,
        /// The tags; without any, the user has none
        tags: Vec<String>,
    },
}

const EXIT_CODES: &str = "Without --url and --socket, the socket of a broker on this machine is taken \
    if it is there, and http://127.0.0.1:15672 with the user guest if not.\n\n\
    The exit code is 0 if all went well, 1 if not, and 2 if the command line is wrong.";

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_makes_sense() {
        Line::command().debug_assert();
    }

    #[test]
    fn the_page_has_an_example_of_every_command_and_all_of_them_are_understood() {
        let page = include_str!("../../../docs/leveretctl.md");
        let lines: Vec<Vec<String>> = page.lines().filter_map(words).collect();
        for line in &lines {
            assert!(Line::try_parse_from(line).is_ok(), "{line:?}");
        }
        let shown = |path: &[&str]| lines.iter().any(|line| line[1..].starts_with(&path_of(path)));
        for command in Line::command().get_subcommands() {
            let name = command.get_name();
            assert!(shown(&[name]), "{name} has no example");
            for inner in command.get_subcommands() {
                assert!(
                    shown(&[name, inner.get_name()]),
                    "{name} {} has no example",
                    inner.get_name()
                );
            }
        }
    }

    fn path_of(path: &[&str]) -> Vec<String> {
        path.iter().map(|name| (*name).to_owned()).collect()
    }

    /// The words of a line of the page that runs the program, without its comment and other programs.
    fn words(line: &str) -> Option<Vec<String>> {
        let line = line.strip_prefix("leveretctl ")?.split("  #").next()?;
        let line = [" | ", " > ", " < "]
            .iter()
            .fold(line, |line, end| line.split(end).next().unwrap_or(line));
        let mut words = vec!["leveretctl".to_owned()];
        for (n, part) in line.split('\'').enumerate() {
            match n % 2 {
                0 => words.extend(part.split_whitespace().map(str::to_owned)),
                _ => words.push(part.to_owned()),
            }
        }
        Some(words)
    }

    #[test]
    fn a_connection_is_closed_by_one_way_of_naming_it() {
        let parse = |line: &str| Line::try_parse_from(line.split(' '));
        assert!(parse("leveretctl close connection a").is_ok());
        assert!(parse("leveretctl close connection --all -V v").is_ok());
        assert!(parse("leveretctl close connection").is_err());
        assert!(parse("leveretctl close connection a --all").is_err());
    }
}
