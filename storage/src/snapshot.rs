//! Snapshot files: the newest one, and the one before it in case the newest is damaged.
//!
//! ```text
//! 0        8         12      16   24       32
//! | magic  | version | crc   | at | length | state |
//! ```
//!
//! `crc` covers everything behind it. Numbers are little-endian.

use crc32fast::Hasher;
use leveret_core::Position;

use crate::Error;
use crate::directory::Directory;
use crate::log::{u32_at, u64_at};

/// The newest snapshot that is whole.
pub(crate) fn load(directory: &Directory) -> Result<Option<(Position, Vec<u8>)>, Error> {
    for at in directory.positions(SUFFIX)?.into_iter().rev() {
        let name = name(at);
        let Some(mut bytes) = directory.read(&name)? else { continue };
        let version = bytes.get(8..12).map_or(0, |bytes| u32_at(bytes, 0));
        if bytes.starts_with(&MAGIC) && version > VERSION {
            let path = directory.path(&name);
            return Err(Error::NewerFormat { path, found: version, supported: VERSION });
        }
        if is_whole(&bytes, at) {
            bytes.drain(..HEADER_BYTES);
            return Ok(Some((Position(at), bytes)));
        }
        tracing::error!(file = %directory.path(&name).display(), "snapshot is damaged, skipped");
    }
    Ok(None)
}

/// Stores a snapshot and forgets all but the newest two.
pub(crate) fn store(directory: &Directory, at: Position, state: &[u8]) -> Result<(), Error> {
    directory.store(&name(at.0), &[&header(at.0, state), state])?;
    let stored = directory.positions(SUFFIX)?;
    let old = stored.len().saturating_sub(2);
    stored[..old].iter().try_for_each(|at| directory.remove(&name(*at)))
}

fn header(at: u64, state: &[u8]) -> [u8; HEADER_BYTES] {
    let mut bytes = [0; HEADER_BYTES];
    bytes[0..8].copy_from_slice(&MAGIC);
    bytes[8..12].copy_from_slice(&VERSION.to_le_bytes());
    bytes[16..24].copy_from_slice(&at.to_le_bytes());
    bytes[24..32].copy_from_slice(&(state.len() as u64).to_le_bytes());
    let crc = checksum(&bytes[16..], state);
    bytes[12..16].copy_from_slice(&crc.to_le_bytes());
    bytes
}

fn is_whole(bytes: &[u8], at: u64) -> bool {
    let Some((header, state)) = bytes.split_at_checked(HEADER_BYTES) else { return false };
    header[..8] == MAGIC
        && u64_at(header, 16) == at
        && u64_at(header, 24) == state.len() as u64
        && u32_at(header, 12) == checksum(&header[16..], state)
}

fn checksum(fields: &[u8], state: &[u8]) -> u32 {
    let mut crc = Hasher::new();
    crc.update(fields);
    crc.update(state);
    crc.finalize()
}

fn name(at: u64) -> String {
    format!("{at:016x}{SUFFIX}")
}

const SUFFIX: &str = ".snapshot";
const HEADER_BYTES: usize = 32;
const MAGIC: [u8; 8] = *b"leveret\x02";
const VERSION: u32 = 1;
