//! Reads everything that is in a data directory and tells what is damaged.

use std::path::PathBuf;

use leveret_core::Position;

use super::Log;
use super::recover::Recovery;
use super::scan::{Hole, Item, Walk};
use crate::{Error, snapshot};

/// Something in a data directory that is not as it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Damage {
    /// The file.
    pub file: PathBuf,
    /// The positions of which nothing is known; empty if a whole file is meant that has none.
    pub from: Position,
    /// Behind the last of them.
    pub to: Position,
    /// What is wrong.
    pub what: &'static str,
}

/// What a check has found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Checked {
    /// Segments.
    pub segments: u64,
    /// Whole records, those that nobody needs any more included.
    pub records: u64,
    /// Bytes of all segments.
    pub bytes: u64,
    /// Damaged places.
    pub damaged: u64,
    /// Whether the last stop was clean. If not, the next start cuts off what a crash interrupted.
    pub clean: bool,
}

impl Log {
    /// Reads all segments and snapshots. `progress` is told how many bytes of how many have been
    /// read, `damage` of each damaged place.
    ///
    /// What is missing before the newest snapshot is not known here: segments that nobody needs are
    /// deleted.
    ///
    /// # Errors
    ///
    /// If a newer version has written the directory, or it cannot be listed.
    pub fn check(
        &self,
        progress: &mut dyn FnMut(u64, u64),
        damage: &mut dyn FnMut(Damage),
    ) -> Result<Checked, Error> {
        let files = &self.journal.files;
        let usage = self.journal.segments.usage(u64::MAX);
        let total = usage.iter().map(|segment| segment.bytes).sum();
        let clean = files.directory.clean_end()?.is_some() || usage.is_empty();
        let segments = usage.len() as u64;
        let mut checked = Checked { segments, bytes: total, clean, ..Checked::default() };
        let mut done = 0;
        for name in snapshot::damaged(&files.directory)? {
            let (file, what) = (files.directory.path(&name), "not a whole snapshot");
            damage(Damage { file, from: Position(0), to: Position(0), what });
            checked.damaged += 1;
        }
        let mut tell = |hole: Hole, what| {
            let base = self.journal.segments.base_of(Position(hole.from)).unwrap_or(hole.from);
            let file = files.path(base);
            damage(Damage { file, from: Position(hole.from), to: Position(hole.to), what });
        };
        let from = self.start.from;
        for segment in usage.iter().filter(|segment| segment.base.0 < from) {
            let base = [segment.base.0];
            let mut walk = Walk::new(files, &base, 0);
            while let Some(item) = walk.next()? {
                match item {
                    Item::Record { at, .. } | Item::Hole(Hole { from: at, .. }) if at >= from => {
                        break;
                    }
                    Item::Record { .. } => checked.records += 1,
                    Item::Hole(hole) => {
                        checked.damaged += 1;
                        tell(hole, "damaged");
                    }
                    Item::Unreadable(hole) => {
                        checked.damaged += 1;
                        tell(hole, "cannot be read");
                    }
                }
            }
            done += segment.bytes;
            progress(done, total);
        }
        let clean_end = files.directory.clean_end()?;
        let recovery = Recovery { files, start: self.start, clean_end };
        let rest = total - done;
        let mut read = 0;
        let found = recovery.visit_records(&recovery.bases()?, &mut |_, _, payload| {
            read += payload.len() as u64;
            progress((done + read).min(done + rest), total);
        })?;
        checked.records += found.report.records;
        checked.damaged += found.damage.len() as u64;
        found.damage.into_iter().for_each(|hole| tell(hole, "damaged or missing"));
        progress(total, total);
        Ok(checked)
    }
}
