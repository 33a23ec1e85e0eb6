//! Snapshot files: the newest one, and the one before it in case the newest is damaged.
//!
//! ```text
//! 0        8         12    16     24       32        40
//! | magic  | version | crc | from | length | through | state       version 2
//! | magic  | version | crc | at   | length | state                 version 1
//! ```
//!
//! `crc` covers everything behind it. Numbers are little-endian. The name is `from`, or `at`. Version 1
//! holds a state without messages, so that the whole journal is to be replayed.

use crc32fast::Hasher;
use leveret_core::Position;

use crate::directory::Directory;
use crate::log::{u32_at, u64_at};
use crate::{Error, Snapshot};

/// A snapshot as it was stored.
#[derive(Debug)]
pub(crate) struct Stored {
    pub(crate) snapshot: Snapshot,
    /// Everything before it was on the disk.
    pub(crate) through: u64,
}

/// The newest snapshot that is whole.
pub(crate) fn load(directory: &Directory) -> Result<Option<Stored>, Error> {
    for at in directory.positions(SUFFIX)?.into_iter().rev() {
        let name = name(at);
        let bytes = match directory.read(&name) {
            Ok(Some(bytes)) => bytes,
            Ok(None) => continue,
            Err(error) => {
                tracing::error!(%error, "snapshot cannot be read, skipped");
                continue;
            }
        };
        let version = bytes.get(8..12).map_or(0, |bytes| u32_at(bytes, 0));
        if bytes.starts_with(&MAGIC) && version > VERSION {
            let path = directory.path(&name);
            return Err(Error::NewerFormat { path, found: version, supported: VERSION });
        }
        if let Some(stored) = decode(bytes, version, at) {
            return Ok(Some(stored));
        }
        tracing::error!(file = %directory.path(&name).display(), "snapshot is damaged, skipped");
    }
    Ok(None)
}

/// The files that are no whole snapshots.
pub(crate) fn damaged(directory: &Directory) -> Result<Vec<String>, Error> {
    let mut damaged = directory.positions(SUFFIX)?;
    damaged.retain(|at| {
        let bytes = directory.read(&name(*at)).ok().flatten().unwrap_or_default();
        let version = bytes.get(8..12).map_or(0, |bytes| u32_at(bytes, 0));
        decode(bytes, version, *at).is_none()
    });
    Ok(damaged.into_iter().map(name).collect())
}

/// Stores a snapshot and forgets all but the newest two.
pub(crate) fn store(
    directory: &Directory,
    from: Position,
    through: Position,
    state: &[u8],
) -> Result<(), Error> {
    directory.store(&name(from.0), &[&header(from.0, through.0, state), state])?;
    let stored = directory.positions(SUFFIX)?;
    let old = stored.len().saturating_sub(2);
    stored[..old].iter().try_for_each(|at| directory.remove(&name(*at)))
}

fn header(from: u64, through: u64, state: &[u8]) -> [u8; HEADER_BYTES] {
    let mut bytes = [0; HEADER_BYTES];
    bytes[0..8].copy_from_slice(&MAGIC);
    bytes[8..12].copy_from_slice(&VERSION.to_le_bytes());
    bytes[16..24].copy_from_slice(&from.to_le_bytes());
    bytes[24..32].copy_from_slice(&(state.len() as u64).to_le_bytes());
    bytes[32..40].copy_from_slice(&through.to_le_bytes());
    let crc = checksum(&bytes[16..], state);
    bytes[12..16].copy_from_slice(&crc.to_le_bytes());
    bytes
}

fn decode(mut bytes: Vec<u8>, version: u32, at: u64) -> Option<Stored> {
    let header_bytes = if version == 1 { HEADER_BYTES_1 } else { HEADER_BYTES };
    let (header, state) = bytes.split_at_checked(header_bytes)?;
    let is_whole = header[..8] == MAGIC
        && u64_at(header, 16) == at
        && u64_at(header, 24) == state.len() as u64
        && u32_at(header, 12) == checksum(&header[16..], state);
    if !is_whole {
        return None;
    }
    let (from, through) = if version == 1 { (0, at) } else { (at, u64_at(header, 32)) };
    bytes.drain(..header_bytes);
    let snapshot = Snapshot { at: Position(at), from: Position(from), state: bytes };
    Some(Stored { snapshot, through })
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
const HEADER_BYTES: usize = 40;
const HEADER_BYTES_1: usize = 32;
const MAGIC: [u8; 8] = *b"leveret\x02";
const VERSION: u32 = 2;
