//! Definitions: saved to a file and loaded from one.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use super::Session;
use crate::args::Definitions;
use crate::client::Ask;
use crate::failure::Failure;
use crate::path::fill;

/// Saves or loads definitions.
pub fn run(session: &Session<'_>, what: &Definitions) -> Result<(), Failure> {
    let (path, about) = match session.named_vhost {
        Some(vhost) => {
            (fill("definitions/{vhost}", &[vhost]), format!("definitions of vhost '{vhost}'"))
        }
        None => ("definitions".to_owned(), "definitions".to_owned()),
    };
    match what {
        Definitions::Export { file } => {
            let exported = session.client.json(Ask::read(path, &about))?;
            let text = format!("{exported:#}\n");
            match file.as_deref().filter(|file| *file != Path::new("-")) {
                None => session.output.raw(text.as_bytes()),
                Some(file) => {
                    save(file, &text).map_err(|error| Failure::file(file, &error))?;
                    session.output.done(&format!("{about} are in {}", file.display()), "exported")
                }
            }
        }
        Definitions::Import { file } => {
            let definitions = load(file)?;
            session.client.send(Ask::post(path, &about, definitions))?;
            session.output.done(&format!("{about} are loaded"), "imported")
        }
    }
}

/// Whole or not at all, and for nobody else to read.
fn save(path: &Path, text: &str) -> io::Result<()> {
    let mut partial = path.as_os_str().to_owned();
    partial.push(".partial");
    let partial = Path::new(&partial);
    let mut options = OpenOptions::new();
    let written = options
        .write(true)
        .create_new(true)
        .mode(OWNER_ONLY)
        .open(partial)
        .and_then(|mut file| file.write_all(text.as_bytes()).and_then(|()| file.sync_all()));
    match written.and_then(|()| std::fs::rename(partial, path)) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            let text = format!("{} is there, from an export that did not end", partial.display());
            Err(io::Error::new(error.kind(), text))
        }
        Err(error) => {
            _ = std::fs::remove_file(partial);
            Err(error)
        }
        Ok(()) => Ok(()),
    }
}

fn load(path: &Path) -> Result<Vec<u8>, Failure> {
    let failed = |error| Failure::file(path, &error);
    let mut source: Box<dyn Read> = match path == Path::new("-") {
        true => Box::new(io::stdin().lock()),
        false => Box::new(File::open(path).map_err(failed)?),
    };
    let mut definitions = Vec::new();
    source
        .by_ref()
        .take(DEFINITIONS_BYTES_MAX + 1)
        .read_to_end(&mut definitions)
        .map_err(failed)?;
    match definitions.len() as u64 > DEFINITIONS_BYTES_MAX {
        true => Err(Failure::new(format!("{} is larger than 256 MiB", path.display()))),
        false => Ok(definitions),
    }
}

const OWNER_ONLY: u32 = 0o600;
const DEFINITIONS_BYTES_MAX: u64 = 256 * 1024 * 1024;
