//! MQTT clients that send anything in any order: the broker does not panic, answers who is still
//! there, sends well-formed packets and no more of them than it may, and works for others as before.
//!
//! `CONVERSATION_SEED=17 cargo test --test mqtt_conversations` runs one seed, `CONVERSATION_SEEDS=5000`
//! many. `fuzz/` has the same for a fuzzer.

#![allow(clippy::unwrap_used, reason = "a test stops where it is surprised")]
#![allow(clippy::disallowed_methods, reason = "a deadline of a test")]

mod arbitrary;
#[path = "../conversations/seeds.rs"]
mod seeds;

use arbitrary::World;

#[test]
fn conversations_of_all_kinds_leave_the_broker_sound() {
    seeds::watch_panics();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let mut world = World::start().await;
        for seed in seeds::all() {
            world.run(&seeds::octets(seed)).await;
            seeds::assert_no_panic();
        }
    });
}
