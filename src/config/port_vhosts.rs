//! Which ports belong to which virtual hosts.

use std::str::FromStr;

/// Virtual hosts of MQTT clients by the port that they connect to; written `1884=factory,8883=field`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PortVhosts(Vec<(u16, String)>);

impl PortVhosts {
    /// The virtual host of a port, if it has one of its own.
    pub fn of(&self, port: u16) -> Option<&str> {
        let found = self.0.iter().find(|(known, _)| *known == port);
        found.map(|(_, vhost)| vhost.as_str())
    }

    /// The ports.
    pub fn ports(&self) -> impl Iterator<Item = u16> {
        self.0.iter().map(|(port, _)| *port)
    }
}

impl FromStr for PortVhosts {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
        let mut found = PortVhosts::default();
        for item in items {
            let (port, vhost) = item
                .split_once('=')
                .and_then(|(port, vhost)| Some((port.trim().parse::<u16>().ok()?, vhost.trim())))
                .filter(|(port, vhost)| *port > 0 && !vhost.is_empty())
                .ok_or_else(|| format!("{item:?} is not PORT=VHOST"))?;
            if found.of(port).is_some() {
                return Err(format!("port {port} is there twice"));
            }
            found.0.push((port, vhost.to_owned()));
        }
        Ok(found)
    }
}

impl std::fmt::Display for PortVhosts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let items: Vec<_> = self.0.iter().map(|(port, vhost)| format!("{port}={vhost}")).collect();
        f.write_str(&items.join(","))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_have_virtual_hosts() {
        let found: PortVhosts = "1884=factory, 8883=/".parse().unwrap();
        assert_eq!((found.of(1884), found.of(8883)), (Some("factory"), Some("/")));
        assert_eq!(found.of(1883), None);
        assert_eq!(found.to_string(), "1884=factory,8883=/");
        assert_eq!("".parse(), Ok(PortVhosts::default()));
    }

    #[test]
    fn what_is_no_port_with_a_virtual_host_is_refused() {
        for wrong in ["1884", "1884=", "=a", "0=a", "70000=a", "1884=a,1884=b"] {
            assert!(wrong.parse::<PortVhosts>().is_err(), "{wrong}");
        }
    }
}
