//! The broker that conversations are held with.

use leveret::config::{ByteSize, Engine};
use leveret::{Broker, Config};

/// One in this process, without a disk.
pub async fn start() -> Broker {
    let config = Config {
        storage_engine: Engine::Memory,
        shards: 3,
        // Little, so that messages are put out of memory and windows are given back.
        message_memory: ByteSize::kib(64),
        consumer_window: ByteSize::kib(4),
        disk_free_min: ByteSize(0),
        memory_max: ByteSize(u64::MAX),
        ..Config::local("not-used")
    };
    Broker::start(config).await.expect("nothing is in its way")
}
