//! What a setting is, and the macro that declares all of them.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

/// One setting, as help texts, files and the documentation show it.
#[derive(Debug, Clone)]
pub struct Setting {
    /// Its name: `amqp_port` here and in the file, `--amqp-port` as a flag, `LEVERET_AMQP_PORT` in
    /// the environment.
    pub name: &'static str,
    /// What it does.
    pub help: &'static str,
    /// What its value is, in one word.
    pub value_name: &'static str,
    /// Its default, as it would be written.
    pub default: String,
}

impl Setting {
    /// The flag.
    pub fn flag(&self) -> String {
        self.name.replace('_', "-")
    }

    /// The environment variable.
    pub fn variable(&self) -> String {
        format!("LEVERET_{}", self.name.to_uppercase())
    }
}

/// A setting cannot be used, or cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// A value is not of the setting's form.
    #[error("{origin}: {value:?} is not a valid {name}: {reason}")]
    Invalid {
        /// Where it was set.
        origin: String,
        /// The setting.
        name: &'static str,
        /// What was set.
        value: String,
        /// What is wrong with it.
        reason: String,
    },
    /// There is no such setting.
    #[error("{origin}: there is no setting {name:?}")]
    Unknown {
        /// Where it was set.
        origin: String,
        /// What it was called.
        name: String,
    },
    /// The configuration file cannot be read.
    #[error("{path}: {reason}")]
    File {
        /// The file.
        path: String,
        /// Why not.
        reason: String,
    },
}

/// A time in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Millis(pub Duration);

impl std::str::FromStr for Millis {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let millis = text.parse().map_err(|_| "expected a whole number of milliseconds")?;
        Ok(Millis(Duration::from_millis(millis)))
    }
}

impl std::fmt::Display for Millis {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.0.as_millis())
    }
}

/// What a setting can hold: it is read from a text and written as one.
pub(super) trait Value: Sized {
    fn parse(text: &str) -> Result<Self, String>;
    fn written(&self) -> String;
}

/// Values that are read and written by the traits of the standard library.
macro_rules! plain {
    ($($type:ty),+) => {
        $(impl Value for $type {
            fn parse(text: &str) -> Result<Self, String> {
                text.parse().map_err(|error| ToString::to_string(&error))
            }

            fn written(&self) -> String {
                self.to_string()
            }
        })+
    };
}

plain!(bool, u16, u32, String, Millis, super::ByteSize, super::SyncPolicy, super::FileMode);
plain!(super::Engine, super::Anonymous, super::LogLevel, super::Compat, super::Overlapping);
plain!(super::SubackRefusal, super::RefusedPublish, super::TlsVersion);
plain!(super::AuthBackends, super::HttpMethod, super::PortVhosts);
plain!(super::ClientCertificates, super::UserNameFrom);

impl Value for PathBuf {
    fn parse(text: &str) -> Result<Self, String> {
        Ok(PathBuf::from(text))
    }

    fn written(&self) -> String {
        self.display().to_string()
    }
}

impl Value for Vec<IpAddr> {
    fn parse(text: &str) -> Result<Self, String> {
        text.split(',')
            .map(|item| item.trim().parse().map_err(|_| item.to_owned()))
            .collect::<Result<_, _>>()
            .map_err(|item| format!("{item:?} is not an IP address"))
    }

    fn written(&self) -> String {
        self.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
    }
}

/// Lists of what is read and written by the traits of the standard library.
macro_rules! lists {
    ($($type:ty),+) => {
        $(impl Value for Vec<$type> {
            fn parse(text: &str) -> Result<Self, String> {
                let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
                items.map(str::parse).collect()
            }

            fn written(&self) -> String {
                self.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
            }
        })+
    };
}

lists!(super::Network, super::Listener);

impl Value for Vec<String> {
    fn parse(text: &str) -> Result<Self, String> {
        let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
        Ok(items.map(str::to_owned).collect())
    }

    fn written(&self) -> String {
        self.join(",")
    }
}

/// Declares the settings: fields of [`Config`], and the list [`Config::settings`].
macro_rules! settings {
    ($($(#[doc = $doc:literal])+ $name:ident : $type:ty = $default:expr, $value:literal;)+) => {
        /// The settings of a broker; see `docs/configuration.md`.
        #[derive(Debug, Clone)]
        pub struct Config {
            $($(#[doc = $doc])+ pub $name: $type,)+
        }

        impl Default for Config {
            fn default() -> Self {
                Config { $($name: $default,)+ }
            }
        }

        impl Config {
            /// All settings, in the order of the documentation.
            pub fn settings() -> Vec<Setting> {
                let defaults = Config::default();
                vec![$(Setting {
                    name: stringify!($name),
                    help: concat!($($doc),+).trim(),
                    value_name: $value,
                    default: setting::Value::written(&defaults.$name),
                },)+]
            }

            /// All settings with their values, as they would be written.
            pub fn values(&self) -> Vec<(&'static str, String)> {
                vec![$((stringify!($name), setting::Value::written(&self.$name)),)+]
            }

            /// Sets one setting by its name.
            ///
            /// # Errors
            /// If there is no such setting, or the value is not of its form.
            pub fn set(&mut self, name: &str, value: &str, origin: &str) -> Result<(), ConfigError> {
                match name {
                    $(stringify!($name) => {
                        let parsed = <$type as setting::Value>::parse(value);
                        self.$name = parsed.map_err(|reason| ConfigError::Invalid {
                            origin: origin.to_owned(),
                            name: stringify!($name),
                            value: value.to_owned(),
                            reason,
                        })?;
                        Ok(())
                    })+
                    _ => Err(ConfigError::Unknown { origin: origin.to_owned(), name: name.to_owned() }),
                }
            }
        }
    };
}
pub(super) use settings;

/// Makes an enum of words readable and printable.
macro_rules! words {
    ($type:ident { $($variant:ident = $word:literal),+ $(,)? }) => {
        impl std::str::FromStr for $type {
            type Err = String;

            fn from_str(text: &str) -> Result<Self, String> {
                match text {
                    $($word => Ok($type::$variant),)+
                    _ => Err(format!("expected one of {}", [$($word),+].join(", "))),
                }
            }
        }

        impl std::fmt::Display for $type {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(match self {
                    $($type::$variant => $word,)+
                })
            }
        }
    };
}
pub(super) use words;
