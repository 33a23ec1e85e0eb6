//! Gives space back: deletes segments, and writes what is left of sparse ones into one.
//!
//! A rewrite is bounded in its share of the disk and never in the way of the writer. Until its file
//! has taken the name of the first segment nothing has changed; from then on the files of the other
//! segments are leftovers, which a start removes as well.

#![allow(clippy::disallowed_methods, reason = "it keeps to a rate of bytes written")]

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use leveret_core::Position;

use super::WINDOW_BYTES;
use super::journal::{Journal, Phase};
use crate::{Error, RewritePlan, Rewritten};

impl Journal {
    /// Deletes what may go. A file that stays is tried again by the next start.
    pub(super) fn delete_dead(&self) {
        for segment in self.segments.take_dead() {
            if let Err(error) = self.files.remove(segment.base.0) {
                tracing::warn!(%error, "a segment that nobody needs stays until the next start");
            }
        }
    }

    pub(super) fn rewrite(
        &self,
        plan: &RewritePlan,
        live: &[Position],
    ) -> Result<Rewritten, Error> {
        let Some(taken) = self.segments.take_plan(plan, self.end()) else {
            return Ok(Rewritten::default());
        };
        let range = plan.range();
        let live = live.iter().chain(&taken.retained).copied();
        let mut live: Vec<_> = live.filter(|at| range.contains(at)).collect();
        live.sort_unstable();
        live.dedup();
        let bytes_after = self.write_live(taken.base, range.end.0, &live)?;
        self.files.close(taken.base);
        let rewritten = self.segments.replace(&taken, plan, bytes_after);
        for base in taken.bases().filter(|base| *base != taken.base) {
            if let Err(error) = self.files.remove(base) {
                tracing::warn!(%error, "a rewritten segment stays until the next start");
            }
        }
        Ok(rewritten)
    }

    /// Writes the records into one file in the place of the segment at `base`; gives its length.
    fn write_live(&self, base: u64, end: u64, live: &[Position]) -> Result<u64, Error> {
        let (start, rate) = (Instant::now(), self.config.rewrite_bytes_per_second.max(1));
        let mut file = self.files.rewrite(base)?;
        let mut window = None;
        for at in live {
            let Some(from) = self.segments.base_of(*at) else { continue };
            match self.files.read_raw(from, *at, WINDOW_BYTES, &mut window) {
                Ok(raw) => {
                    let written = file.push(at.0, &raw.bytes)?;
                    self.pace(
                        start,
                        Duration::from_micros(written.saturating_mul(1_000_000) / rate),
                    )?;
                }
                Err(Error::Gone { .. }) => {}
                Err(error @ Error::Damaged { .. }) => {
                    tracing::error!(%error, "left out of the rewritten segment");
                    self.counters.damaged.fetch_add(1, Ordering::Relaxed);
                }
                Err(error) => return Err(error),
            }
        }
        file.finish(end)
    }

    /// Waits until so much time has passed.
    fn pace(&self, start: Instant, least: Duration) -> Result<(), Error> {
        while let Some(early) = least.checked_sub(start.elapsed()).filter(|early| *early > STEP) {
            self.running()?;
            std::thread::sleep(early.min(10 * STEP));
        }
        self.running()
    }

    /// Nothing is changed in the directory once the journal is closed or has failed.
    pub(super) fn running(&self) -> Result<(), Error> {
        match self.watermark.failed() {
            Some(error) => Err(Error::Failed(error)),
            None if self.phase() == Phase::Running => Ok(()),
            None => Err(Error::Closed),
        }
    }
}

/// The shortest wait that is worth it.
const STEP: Duration = Duration::from_millis(2);
