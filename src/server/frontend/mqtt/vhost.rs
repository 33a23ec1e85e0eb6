//! The virtual host of a client.
//!
//! A user name may begin with one, as in RabbitMQ: `factory:sensor`. Else it is that of the port that the
//! client came to, else the setting `mqtt_vhost`.

use super::Mqtt;

impl Mqtt {
    /// Finds the client's virtual host, and gives the rest of its user name.
    pub(super) fn choose_vhost<'a>(&mut self, named: Option<&'a str>) -> Option<&'a str> {
        let topology = self.node.topology();
        let config = &self.node.config;
        if let Some((vhost, user)) = named.and_then(|named| named.rsplit_once(':'))
            && topology.has_vhost(vhost)
        {
            self.vhost = topology.vhost_name(vhost);
            return Some(user);
        }
        let of_port = config.mqtt_port_vhosts.of(self.peer.link.local.port());
        self.vhost = topology.vhost_name(of_port.unwrap_or(&config.mqtt_vhost));
        named
    }
}
