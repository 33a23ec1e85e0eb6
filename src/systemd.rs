//! What systemd and the broker tell each other: sockets that systemd has opened, and how the broker is.
//!
//! Everything is in the environment, as `sd_listen_fds(3)`, `sd_notify(3)` and `sd_watchdog_enabled(3)` have
//! it; without that, nothing here does anything. Any supervisor may do the same.

use std::io;
use std::os::fd::OwnedFd;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::sync::Arc;
use std::time::Duration;

/// Whoever has started the broker, and wants to know how it is.
#[derive(Debug, Clone, Default)]
pub struct Supervisor {
    socket: Option<Arc<(UnixDatagram, SocketAddr)>>,
    watchdog: Option<Duration>,
}

impl Supervisor {
    /// The one that the environment names, or nobody.
    ///
    /// # Errors
    /// If the environment names what cannot be.
    pub fn of_environment() -> io::Result<Self> {
        let var = |name: &str| std::env::var(name).ok();
        let Some(name) = var("NOTIFY_SOCKET") else { return Ok(Supervisor::default()) };
        let address = match name.strip_prefix('@') {
            Some(name) => SocketAddr::from_abstract_name(name)?,
            None => SocketAddr::from_pathname(name)?,
        };
        let own = std::process::id().to_string();
        let is_watched = var("WATCHDOG_PID").is_none_or(|pid| pid == own);
        let limit = var("WATCHDOG_USEC").and_then(|limit| limit.parse().ok());
        let watchdog = limit.filter(|&limit| is_watched && limit > 0).map(Duration::from_micros);
        Supervisor::at(address, watchdog)
    }

    fn at(address: SocketAddr, watchdog: Option<Duration>) -> io::Result<Self> {
        let socket = UnixDatagram::unbound()?;
        socket.set_write_timeout(Some(PATIENCE))?;
        Ok(Supervisor { socket: Some(Arc::new((socket, address))), watchdog })
    }

    /// Clients are served.
    pub fn ready(&self, status: &str) {
        self.tell(&format!("READY=1\nSTATUS={status}"));
    }

    /// What the broker does.
    pub fn status(&self, status: &str) {
        self.tell(&format!("STATUS={status}"));
    }

    /// Files are read again; [`Supervisor::ready`] says that this is done.
    pub fn reloading(&self) {
        let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
        let now = Duration::new(now.tv_sec.unsigned_abs(), now.tv_nsec as u32);
        self.tell(&format!("RELOADING=1\nMONOTONIC_USEC={}", now.as_micros()));
    }

    /// The broker takes leave of its clients.
    pub fn stopping(&self) {
        self.tell("STOPPING=1\nSTATUS=taking leave of clients");
    }

    /// The broker is well. To be said as often as [`Supervisor::beats_every`] has it.
    pub fn beat(&self) {
        self.tell("WATCHDOG=1");
    }

    /// How often the supervisor wants to hear of the broker: twice as often as it has to.
    pub fn beats_every(&self) -> Option<Duration> {
        self.watchdog.map(|limit| limit / 2)
    }

    /// A supervisor that does not listen is told in vain, after a moment.
    fn tell(&self, state: &str) {
        let Some((socket, address)) = self.socket.as_deref() else { return };
        if let Err(error) = socket.send_to_addr(state.as_bytes(), address) {
            tracing::warn!(%error, "the supervisor cannot be told: {state:?}");
        }
    }
}

/// Sockets that are listened on already, each by the name of what is to be spoken there; those that systemd
/// has opened. They are not inherited by others.
///
/// # Errors
/// If the environment says what cannot be.
pub fn sockets() -> io::Result<Vec<(String, OwnedFd)>> {
    let handed_over = sd_listen_fds::get().map_err(io::Error::other)?;
    let named = handed_over.into_iter();
    Ok(named.map(|(name, socket)| (name.unwrap_or_default(), socket.into_std())).collect())
}

/// The longest time that the broker waits for a supervisor that does not listen.
const PATIENCE: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_supervisor_that_does_not_listen_holds_nobody_up() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify");
        let listener = UnixDatagram::bind(&path).unwrap();
        let filler = UnixDatagram::unbound().unwrap();
        filler.set_nonblocking(true).unwrap();
        while filler.send_to(b"full", &path).is_ok() {}
        let supervisor = Supervisor::at(SocketAddr::from_pathname(&path).unwrap(), None).unwrap();
        supervisor.beat();
        listener.set_nonblocking(true).unwrap();
        let mut told = [0; 16];
        while let Ok(len) = listener.recv(&mut told) {
            assert_eq!(&told[..len], b"full");
        }
        supervisor.beat();
        let len = listener.recv(&mut told).unwrap();
        assert_eq!(&told[..len], b"WATCHDOG=1");
    }
}
