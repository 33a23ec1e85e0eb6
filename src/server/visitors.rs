//! Where clients come from: how many an address has connected, and how fast they come.
//!
//! All addresses of an IPv6 network of 64 bits count as one: whoever has one of them has all. Nothing is
//! kept of an address that has no connection and did not come this second.

use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, MutexGuard};

use hashbrown::HashMap;

use super::usage::LimitReached;

/// See the module's documentation.
#[derive(Debug, Default)]
pub struct Visitors(Mutex<Visits>);

/// What an address may do; 0 is without limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VisitorLimits {
    /// Connections at a time.
    pub connections: u32,
    /// Connections in a second.
    pub rate: u32,
}

#[derive(Debug, Default)]
struct Visits {
    by_address: HashMap<IpAddr, Visit>,
    /// The second that the counts of arrivals are of.
    second: u64,
}

#[derive(Debug, Default)]
struct Visit {
    connected: u32,
    /// In this second.
    arrived: u32,
}

impl Visitors {
    /// A client has connected: whether it may stay. It is counted in any case, until it
    /// [leaves](Self::leave).
    ///
    /// # Errors
    /// If its address has as many connections as it may have, or makes them too fast.
    pub fn arrive(
        &self,
        address: IpAddr,
        limits: VisitorLimits,
        now_s: u64,
    ) -> Result<(), LimitReached> {
        let mut visits = self.lock();
        if visits.second != now_s {
            visits.second = now_s;
            visits.by_address.retain(|_, visit| {
                visit.arrived = 0;
                visit.connected > 0
            });
        }
        let visit = visits.by_address.entry(network(address)).or_default();
        visit.connected += 1;
        visit.arrived += 1;
        let VisitorLimits { connections, rate } = limits;
        if connections > 0 && visit.connected > connections {
            return Err(LimitReached::AddressConnections { max: connections });
        }
        if rate > 0 && visit.arrived > rate {
            return Err(LimitReached::AddressRate { max: rate });
        }
        Ok(())
    }

    /// A client has gone.
    pub fn leave(&self, address: IpAddr) {
        if let Some(visit) = self.lock().by_address.get_mut(&network(address)) {
            visit.connected = visit.connected.saturating_sub(1);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Visits> {
        self.0.lock().expect("nothing panics while it holds the visits")
    }
}

impl VisitorLimits {
    /// Whether there are any.
    pub fn are_set(&self) -> bool {
        (self.connections, self.rate) != (0, 0)
    }
}

fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => address.into(),
        IpAddr::V6(address) => {
            let network = address.to_bits() >> 64 << 64;
            Ipv6Addr::from_bits(network).into()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: VisitorLimits = VisitorLimits { connections: 2, rate: 3 };

    fn at(address: &str) -> IpAddr {
        address.parse().unwrap()
    }

    #[test]
    fn an_address_has_so_many_connections_and_no_more() {
        let (visitors, one) = (Visitors::default(), at("10.0.0.1"));
        assert!(visitors.arrive(one, LIMITS, 1).is_ok());
        assert!(visitors.arrive(one, LIMITS, 1).is_ok());
        let reached = visitors.arrive(one, LIMITS, 1).unwrap_err();
        assert_eq!(reached, LimitReached::AddressConnections { max: 2 });
        assert!(visitors.arrive(at("10.0.0.2"), LIMITS, 1).is_ok(), "others have their own");
        visitors.leave(one);
        visitors.leave(one);
        assert!(visitors.arrive(one, LIMITS, 2).is_ok());
    }

    #[test]
    fn an_address_makes_so_many_connections_in_a_second() {
        let (visitors, one) = (Visitors::default(), at("::ffff:10.0.0.1"));
        let come_and_go = |now_s| {
            let done = visitors.arrive(one, LIMITS, now_s);
            visitors.leave(one);
            done
        };
        assert!((0..3).all(|_| come_and_go(7).is_ok()));
        assert_eq!(come_and_go(7).unwrap_err(), LimitReached::AddressRate { max: 3 });
        assert!(come_and_go(8).is_ok());
        visitors.arrive(at("10.0.0.9"), LIMITS, 9).unwrap();
        assert_eq!(visitors.lock().by_address.len(), 1, "nothing is kept of who is gone");
    }

    #[test]
    fn an_ipv6_network_is_one_address() {
        let visitors = Visitors::default();
        assert!(visitors.arrive(at("2001:db8::1"), LIMITS, 1).is_ok());
        assert!(visitors.arrive(at("2001:db8::ffff:2"), LIMITS, 1).is_ok());
        assert!(visitors.arrive(at("2001:db8:0:0:8000::"), LIMITS, 1).is_err());
        assert!(visitors.arrive(at("2001:db8:0:1::"), LIMITS, 1).is_ok());
    }
}
