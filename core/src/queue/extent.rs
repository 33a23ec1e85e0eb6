//! Sums over entries.

use std::ops::{AddAssign, SubAssign};

/// How many entries there are, and how large.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Extent {
    pub len: u64,
    /// What the messages cost in memory.
    pub size_bytes: u64,
    /// Their bodies alone.
    pub body_bytes: u64,
}

impl AddAssign for Extent {
    fn add_assign(&mut self, other: Extent) {
        self.len += other.len;
        self.size_bytes += other.size_bytes;
        self.body_bytes += other.body_bytes;
    }
}

/// Sizes of pages are cut to 32 bits, so what is left may be less than what goes.
impl SubAssign for Extent {
    fn sub_assign(&mut self, other: Extent) {
        self.len = self.len.saturating_sub(other.len);
        self.size_bytes = self.size_bytes.saturating_sub(other.size_bytes);
        self.body_bytes = self.body_bytes.saturating_sub(other.body_bytes);
    }
}

/// An [`Extent`] in few bytes: sizes are cut.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct PageExtent {
    len: u32,
    size_bytes: u32,
    body_bytes: u32,
}

impl From<Extent> for PageExtent {
    fn from(extent: Extent) -> Self {
        let cut = |size: u64| size.try_into().unwrap_or(u32::MAX);
        PageExtent {
            len: cut(extent.len),
            size_bytes: cut(extent.size_bytes),
            body_bytes: cut(extent.body_bytes),
        }
    }
}

impl From<PageExtent> for Extent {
    fn from(extent: PageExtent) -> Self {
        Extent {
            len: extent.len.into(),
            size_bytes: extent.size_bytes.into(),
            body_bytes: extent.body_bytes.into(),
        }
    }
}
