//! Clients that do anything in any order: the broker does not panic, answers, keeps what it has taken,
//! in order, gives it to somebody, and keeps nothing of who has gone.
//!
//! `CONVERSATION_SEED=17 cargo test --test conversations` runs one seed, `CONVERSATION_SEEDS=5000` many.
//! `fuzz/` has the same for a fuzzer.

#![allow(clippy::unwrap_used, reason = "a test stops where it is surprised")]
#![allow(clippy::disallowed_methods, reason = "a deadline of a test")]

mod arbitrary;
mod seeds;

use arbitrary::{World, script};

#[test]
fn conversations_of_all_kinds_leave_the_broker_sound() {
    seeds::watch_panics();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let mut world = World::start().await;
        for seed in seeds::all() {
            world.run(&script(&seeds::octets(seed))).await;
            seeds::assert_no_panic();
        }
    });
}
