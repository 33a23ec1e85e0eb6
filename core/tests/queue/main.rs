//! Queues and their shard against a naive model, through restarts, and replayed from any prefix of
//! what they have recorded.

#![allow(clippy::unwrap_used, reason = "a test stops where it is surprised")]

mod executor;
mod model;
mod replay;
mod steps;
mod window;
mod world;

use proptest::collection::vec;
use proptest::prelude::*;
use steps::steps;
use world::World;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn a_shard_does_what_the_model_allows(
        budget_bytes in prop_oneof![Just(0), Just(30_000), Just(1 << 30)],
        steps in vec(steps(), 0..150),
    ) {
        let mut world = World::new(budget_bytes);
        steps.iter().for_each(|step| world.take(step));
        world.finish();
    }
}
