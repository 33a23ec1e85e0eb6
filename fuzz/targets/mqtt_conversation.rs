//! `tests/mqtt_conversations`, with octets that a fuzzer makes.

#![no_main]

#[path = "../../tests/mqtt_conversations/arbitrary/mod.rs"]
mod arbitrary;

use std::cell::RefCell;

use arbitrary::World;
use libfuzzer_sys::fuzz_target;
use tokio::runtime::{Builder, Runtime};
use tokio::signal::unix::{SignalKind, signal};

thread_local! {
    /// One broker for all of them: what one leaves behind, the next one meets.
    static BROKER: RefCell<(Runtime, World)> = RefCell::new(start());
}

fuzz_target!(|octets: &[u8]| {
    BROKER.with_borrow_mut(|(runtime, world)| runtime.block_on(world.run(octets)));
});

fn start() -> (Runtime, World) {
    let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime starts");
    let world = runtime.block_on(async {
        // Without a `main` of Rust's, it would end the process.
        _ = signal(SignalKind::pipe()).expect("a signal can be handled");
        World::start().await
    });
    (runtime, world)
}
