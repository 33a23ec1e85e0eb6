//! What is asked of the person at the terminal, and secrets from files.

use std::fs::File;
use std::io::{self, BufRead as _, BufReader, IsTerminal as _, Read as _, Write as _};
use std::path::Path;

use crate::failure::Failure;

/// Goes on only if the person at the terminal says so, or has said it with `--yes`.
pub fn confirm(yes: bool, what: &str) -> Result<(), Failure> {
    if yes {
        return Ok(());
    }
    if !is_interactive() {
        return Err(Failure::usage(format!("this would {what}: say --yes if it shall")));
    }
    eprint!("This will {what}. Go on? [y/N] ");
    _ = io::stderr().flush();
    let mut answer = String::new();
    let read = io::stdin().lock().take(LINE_BYTES_MAX).read_line(&mut answer);
    match read.is_ok() && matches!(answer.trim(), "y" | "Y" | "yes") {
        true => Ok(()),
        false => Err(Failure::new("nothing was done")),
    }
}

/// A password that is typed without being shown.
pub fn password(prompt: &str, otherwise: &str) -> Result<String, Failure> {
    if !is_interactive() {
        return Err(Failure::usage(otherwise));
    }
    rpassword::prompt_password(prompt)
        .map_err(|error| Failure::new(format!("cannot read the password: {error}")))
}

/// A new password, typed twice.
pub fn new_password(user: &str) -> Result<String, Failure> {
    let otherwise = "there is no terminal to ask for the new password at: use --new-password-file";
    let password = password(&format!("New password of {user}: "), otherwise)?;
    match password == self::password("Once more: ", otherwise)? {
        true => Ok(password),
        false => Err(Failure::new("the two differ; nothing was done")),
    }
}

/// The first line of a file.
pub fn password_in(path: &Path) -> Result<String, Failure> {
    let failed = |error| Failure::file(path, &error);
    let file = File::open(path).map_err(failed)?;
    let mut line = String::new();
    BufReader::new(file.take(LINE_BYTES_MAX)).read_line(&mut line).map_err(failed)?;
    Ok(line.trim_end_matches(['\r', '\n']).to_owned())
}

fn is_interactive() -> bool {
    io::stdin().is_terminal() && io::stderr().is_terminal()
}

/// The longest line that is read.
const LINE_BYTES_MAX: u64 = 64 * 1024;
