//! Where the management API is, and who logs in there.

use std::ffi::OsString;
use std::fmt;
use std::fs;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use hyper::Uri;

use crate::args::Global;
use crate::ask;
use crate::failure::Failure;

/// Where the management API is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// A Unix socket.
    Socket(PathBuf),
    /// An address.
    Http {
        /// The host, without the brackets of IPv6.
        host: String,
        /// The port.
        port: u16,
        /// Host and port as they were named.
        authority: String,
        /// What stands before `/api`.
        prefix: String,
    },
}

/// A user who logs in.
#[derive(Clone, PartialEq, Eq)]
pub struct Login {
    /// The name.
    pub user: String,
    /// The password.
    pub password: String,
}

impl Target {
    /// The target that the options name, or the environment, or the one that is there.
    pub fn of(global: &Global) -> Result<Target, Failure> {
        if let Some(path) = &global.socket {
            return Ok(Target::Socket(path.clone()));
        }
        if let Some(url) = &global.url {
            return Target::parse(url);
        }
        if let Some(path) = variable("LEVERETCTL_SOCKET") {
            return Ok(Target::Socket(path.into()));
        }
        if let Some(url) = variable("LEVERETCTL_URL") {
            return Target::parse(&url.to_string_lossy());
        }
        found_socket().map_or_else(|| Target::parse(DEFAULT_URL), |path| Ok(Target::Socket(path)))
    }

    fn parse(url: &str) -> Result<Target, Failure> {
        let wrong = |why: &str| Failure::usage(format!("--url {url}: {why}"));
        let uri: Uri = url.parse().map_err(|_| wrong("expected http://HOST:PORT"))?;
        match uri.scheme_str() {
            Some("http") => {}
            Some("https") => {
                return Err(wrong(
                    "TLS is not supported; use http through a tunnel, or the socket",
                ));
            }
            _ => return Err(wrong("expected http://HOST:PORT")),
        }
        let authority = uri.authority().ok_or_else(|| wrong("expected http://HOST:PORT"))?;
        if authority.as_str().contains('@') {
            return Err(wrong("name the user with --user, and the password with --password-file"));
        }
        let prefix = uri.path().trim_end_matches('/');
        Ok(Target::Http {
            host: authority.host().trim_matches(['[', ']']).to_owned(),
            port: authority.port_u16().unwrap_or(HTTP_PORT),
            authority: authority.to_string(),
            prefix: prefix.strip_suffix("/api").unwrap_or(prefix).to_owned(),
        })
    }

    /// What stands before `/api` in a request.
    pub fn prefix(&self) -> &str {
        match self {
            Target::Socket(_) => "",
            Target::Http { prefix, .. } => prefix,
        }
    }

    /// The `Host` of a request.
    pub fn authority(&self) -> &str {
        match self {
            Target::Socket(_) => "localhost",
            Target::Http { authority, .. } => authority,
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Target::Socket(path) => write!(f, "the socket {}", path.display()),
            Target::Http { authority, prefix, .. } => write!(f, "http://{authority}{prefix}"),
        }
    }
}

impl Login {
    /// The login that the options name, or the environment; none at a socket if they name no user.
    pub fn of(global: &Global, target: &Target) -> Result<Option<Login>, Failure> {
        let text = |name| variable(name).map(|value| value.to_string_lossy().into_owned());
        let user = match (global.user.clone().or_else(|| text("LEVERETCTL_USER")), target) {
            (Some(user), _) => user,
            (None, Target::Socket(_)) => return Ok(None),
            (None, Target::Http { .. }) => GUEST.to_owned(),
        };
        let password = match (&global.password, &global.password_file) {
            (Some(password), _) => Some(password.clone()),
            (None, Some(path)) => Some(ask::password_in(path)?),
            (None, None) => text("LEVERETCTL_PASSWORD"),
        };
        let password = match password {
            Some(password) => password,
            None if user == GUEST => GUEST.to_owned(),
            None => ask::password(
                &format!("Password of {user}: "),
                "there is no terminal to ask for the password at: use --password-file or \
                 LEVERETCTL_PASSWORD",
            )?,
        };
        Ok(Some(Login { user, password }))
    }
}

/// A variable of the environment that is not empty.
fn variable(name: &str) -> Option<OsString> {
    std::env::var_os(name).filter(|value| !value.is_empty())
}

/// The socket of a broker that runs on this machine, if it is for us.
fn found_socket() -> Option<PathBuf> {
    let named = variable("LEVERET_DATA_DIR").map(PathBuf::from);
    let folders = match &named {
        Some(folder) => vec![(folder.as_path(), true)],
        None => vec![(Path::new(WORKING_DATA), false), (Path::new(SYSTEM_DATA), true)],
    };
    let sockets = folders.into_iter().map(|(folder, is_known)| (folder.join(NAME), is_known));
    sockets.filter(|(path, is_known)| is_for_us(path, *is_known)).map(|(path, _)| path).next()
}

/// Whether a broker listens on a socket and we may use it. Somebody else's that lies where we happen to
/// be is not trusted: it would hear what we say.
fn is_for_us(path: &Path, is_known: bool) -> bool {
    let Ok(metadata) = fs::symlink_metadata(path) else { return false };
    let is_ours = metadata.uid() == rustix::process::geteuid().as_raw();
    metadata.file_type().is_socket() && (is_known || is_ours) && UnixStream::connect(path).is_ok()
}

const GUEST: &str = "guest";
const DEFAULT_URL: &str = "http://127.0.0.1:15672";
const HTTP_PORT: u16 = 80;
/// The socket in a data directory.
const NAME: &str = "leveret.sock";
const WORKING_DATA: &str = "data";
const SYSTEM_DATA: &str = "/var/lib/leveret";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_a_host_a_port_and_perhaps_a_prefix() {
        let target = Target::parse("http://[::1]:15672/mq/api/").unwrap();
        assert_eq!(target.to_string(), "http://[::1]:15672/mq");
        let Target::Http { host, port, prefix, .. } = target else { panic!("no address") };
        assert_eq!((&*host, port, &*prefix), ("::1", 15672, "/mq"));
        assert!(matches!(Target::parse("http://h").unwrap(), Target::Http { port: 80, .. }));
    }

    #[test]
    fn what_is_no_address_is_refused_with_what_to_do() {
        for (url, hint) in [
            ("127.0.0.1:15672", "expected http://"),
            ("", "expected http://"),
            ("https://h", "TLS"),
            ("http://guest:guest@h", "--user"),
        ] {
            let failure = Target::parse(url).unwrap_err();
            assert_eq!(failure.exit_code(), 2);
            assert!(failure.text().contains(hint), "{}", failure.text());
        }
    }

    #[test]
    fn a_file_that_is_no_socket_and_one_nobody_listens_on_are_not_taken() {
        let folder = tempfile::tempdir().unwrap();
        let (file, stale, live) =
            (folder.path().join("f"), folder.path().join("s"), folder.path().join("l"));
        fs::write(&file, "").unwrap();
        drop(std::os::unix::net::UnixListener::bind(&stale).unwrap());
        let _listener = std::os::unix::net::UnixListener::bind(&live).unwrap();
        assert!(!is_for_us(&file, true) && !is_for_us(&stale, true) && is_for_us(&live, false));
    }
}
