//! File descriptors: how many this process may have, and who is let in while few are left.
//!
//! The kernel gives the lowest number that is free, so the number of a new descriptor says how many are
//! open at least, and nothing has to be counted. Clients stop short of the limit: the journal needs
//! descriptors to go on, and operators to look.

use std::os::fd::{AsRawFd, BorrowedFd};

use rustix::process::{Resource, getrlimit};

/// The descriptors of the process.
#[derive(Debug, Clone, Copy)]
pub struct Files {
    max: u64,
    reserve: u64,
}

impl Files {
    /// As the process has them now, with a reserve that clients cannot have.
    pub fn new(reserve: u32) -> Self {
        Files::of(getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX), reserve.into())
    }

    /// Where there are few, the reserve is a quarter of them.
    fn of(max: u64, reserve: u64) -> Self {
        Files { max, reserve: reserve.min(max / 4) }
    }

    /// How many connections are let in, so that there is some room to tell more of them why not.
    pub fn room_for_clients(&self) -> u64 {
        self.max.saturating_sub(2 * self.reserve)
    }

    /// Whether clients have all descriptors that they can have, as one that has just come shows.
    pub fn are_short(&self, newest: BorrowedFd<'_>) -> bool {
        self.max.saturating_sub(number(newest)) <= self.reserve
    }

    /// Whether even HTTP clients are too many.
    pub fn are_very_short(&self, newest: BorrowedFd<'_>) -> bool {
        self.max.saturating_sub(number(newest)) <= self.reserve / 2
    }
}

fn number(descriptor: BorrowedFd<'_>) -> u64 {
    descriptor.as_raw_fd().unsigned_abs().into()
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;

    use super::*;

    #[test]
    fn the_number_of_a_descriptor_says_how_many_are_left() {
        let file = std::fs::File::open("/dev/null").unwrap();
        let newest = number(file.as_fd());
        let left = |left| Files::of(newest + left, 10);
        let states = [100, 11, 10, 6, 5, 0].map(|count| {
            let files = Files { reserve: 10, ..left(count) };
            (files.are_short(file.as_fd()), files.are_very_short(file.as_fd()))
        });
        let (no, short, very) = ((false, false), (true, false), (true, true));
        assert_eq!(states, [no, no, short, short, very, very]);
    }

    #[test]
    fn the_reserve_leaves_room_for_clients() {
        assert_eq!(Files::of(1024, 128).room_for_clients(), 768);
        assert_eq!(Files::of(64, 128).room_for_clients(), 32);
        assert!(Files::new(128).room_for_clients() > 0);
    }
}
