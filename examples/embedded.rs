//! A broker inside a program: publish, receive, acknowledge, stop. Other programs can connect to the
//! address that it prints, meanwhile.

use leveret::{Broker, Config};

/// The whole program.
#[tokio::main]
pub async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let data_dir = tempfile::tempdir()?;
    let broker = Broker::start(Config::local(data_dir.path())).await?;
    println!("AMQP clients connect to {}", broker.amqp_address());

    let client = broker.client();
    let mut readings = client.subscribe("sensors/+/temp")?;
    client.publish_topic("sensors/7/temp", "21.5").await?;

    let reading = readings.next().await.ok_or("the broker has stopped")?;
    println!("{}: {}", reading.topic(), String::from_utf8_lossy(reading.body()));
    reading.ack();
    broker.shutdown().await?;
    Ok(())
}
