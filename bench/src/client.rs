//! A connection of either protocol.

use crate::amqp;
use crate::error::Error;
use crate::mqtt;
use crate::socket::Socket;

/// A connection.
#[derive(Debug)]
pub enum Client {
    /// To an AMQP broker.
    Amqp(amqp::client::Client),
    /// To an MQTT broker.
    Mqtt(mqtt::client::Client),
}

impl Client {
    /// Its socket.
    pub fn socket(&mut self) -> &mut Socket {
        match self {
            Client::Amqp(client) => &mut client.socket,
            Client::Mqtt(client) => &mut client.socket,
        }
    }

    /// Whether it is still there, while nothing is asked of it.
    pub fn check(&mut self) -> Result<(), Error> {
        self.socket().try_receive()?;
        match self {
            Client::Amqp(client) => client.check(),
            Client::Mqtt(client) => client.check(),
        }
    }

    /// Ends it. When this returns, the broker has done everything that was sent.
    pub async fn close(self) -> Result<(), Error> {
        match self {
            Client::Amqp(client) => client.close().await,
            Client::Mqtt(client) => client.close().await,
        }
    }
}
