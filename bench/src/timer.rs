//! A timer that is more precise than tokio's, which counts in milliseconds: a message that leaves up
//! to a millisecond late would hide the latency of a fast broker behind that of this program.

use std::io;

use crate::clock::{Clock, Moment};

/// A timer for one task.
#[derive(Debug)]
pub struct Timer {
    clock: Clock,
    /// What is read as a timer goes off. A timer of Linux is read like a pipe, and this owns its
    /// descriptor, which `AsyncFd` takes on trust.
    #[cfg(target_os = "linux")]
    expiry: tokio::net::unix::pipe::Receiver,
}

#[cfg(target_os = "linux")]
impl Timer {
    /// A timer by this clock.
    pub fn new(clock: Clock) -> io::Result<Timer> {
        use rustix::time::{TimerfdClockId, TimerfdFlags, timerfd_create};
        let flags = TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC;
        let descriptor = timerfd_create(TimerfdClockId::Monotonic, flags)?;
        let expiry = tokio::net::unix::pipe::Receiver::from_owned_fd_unchecked(descriptor)?;
        Ok(Timer { clock, expiry })
    }

    /// Waits until this moment.
    ///
    /// # Cancel safety
    /// The next call sets the timer anew.
    pub async fn until(&self, moment: Moment) -> io::Result<()> {
        use rustix::time::{Itimerspec, TimerfdTimerFlags, Timespec, timerfd_settime};
        loop {
            let left = moment.since(self.clock.now());
            if left.is_zero() {
                return Ok(());
            }
            let zero = Timespec { tv_sec: 0, tv_nsec: 0 };
            let seconds = i64::try_from(left.as_secs()).unwrap_or(i64::MAX);
            let value = Timespec { tv_sec: seconds, tv_nsec: left.subsec_nanos().into() };
            let timer = Itimerspec { it_interval: zero, it_value: value };
            timerfd_settime(&self.expiry, TimerfdTimerFlags::empty(), &timer)?;
            self.expiry.readable().await?;
            match self.expiry.try_read(&mut [0; size_of::<u64>()]) {
                Err(error) if error.kind() != io::ErrorKind::WouldBlock => return Err(error),
                _ => {}
            }
        }
    }
}

#[cfg(not(target_os = "linux"))]
impl Timer {
    /// A timer by this clock.
    pub fn new(clock: Clock) -> io::Result<Timer> {
        Ok(Timer { clock })
    }

    /// Waits until this moment, or up to a millisecond longer.
    pub async fn until(&self, moment: Moment) -> io::Result<()> {
        tokio::time::sleep(moment.since(self.clock.now())).await;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn a_timer_waits_and_not_for_what_is_past() {
        let clock = Clock::start();
        let timer = Timer::new(clock).unwrap();
        for milliseconds in [0, 3, 2, 5] {
            let moment = Moment(milliseconds * 1_000_000);
            timer.until(moment).await.unwrap();
            assert!(clock.now() >= moment);
        }
        // A wait that was given up does not lengthen the next one.
        let soon = Moment(clock.now().0 + 1_000_000_000);
        let given_up = tokio::time::timeout(Duration::ZERO, timer.until(soon)).await;
        assert!(given_up.is_err());
        let later = Moment(clock.now().0 + 5_000_000);
        timer.until(later).await.unwrap();
        assert!(clock.now() >= later && clock.now() < soon);
    }
}
