//! Octets that nobody should send, for everything that reads octets. What has to hold for each is in
//! `targets`; `fuzz/` gives the same functions to a fuzzer. Here they get the octets of `fuzz/seeds`,
//! findings of the fuzzer among them, and a number of changes of these, the same ones every time.
//!
//! `FUZZ_SECONDS=60` goes on for so long with each target, and `FUZZ_SEED=17` makes other changes.
//! The octets that something goes wrong with are left in a file, which is named.

#![allow(clippy::unwrap_used, reason = "a test stops where it is surprised")]
#![allow(clippy::disallowed_methods, reason = "how long a test takes")]

mod engine;
mod targets;

#[test]
fn an_amqp_connection_is_the_same_whatever_pieces_its_octets_come_in() {
    engine::run("amqp_connection", 6000, targets::amqp_connection::run);
}

#[test]
fn an_mqtt_connection_is_the_same_whatever_pieces_its_octets_come_in() {
    engine::run("mqtt_connection", 8000, targets::mqtt_connection::run);
}

#[test]
fn tables_and_properties_of_amqp_are_what_they_were_when_they_are_written_again() {
    engine::run("amqp_table", 20_000, targets::amqp_table::run);
}

#[test]
fn properties_of_mqtt_are_what_they_were_when_they_are_written_again() {
    engine::run("mqtt_properties", 20_000, targets::mqtt_properties::run);
}

#[test]
fn patterns_match_in_a_trie_what_they_match_alone() {
    engine::run("topics", 5000, targets::topics::run);
}

#[test]
fn patterns_of_names_take_little_memory_and_mean_the_same_when_they_are_read_again() {
    engine::run("name_pattern", 300, targets::name_pattern::run);
}

#[test]
fn records_that_nobody_wrote_are_harmless() {
    engine::run("record", 4000, targets::record::run);
}

#[test]
fn a_log_gives_every_record_that_is_not_damaged_and_goes_on() {
    engine::run("log", 250, targets::log::run);
}

#[test]
fn a_broker_starts_with_what_it_can_use_of_a_journal() {
    engine::run("recovery", 60, targets::recovery::run);
}

#[test]
fn a_header_of_a_proxy_takes_nothing_that_is_behind_it() {
    engine::run("proxy_header", 20_000, targets::proxy_header::run);
}

#[test]
fn frames_of_a_websocket_are_the_same_whatever_pieces_they_come_in() {
    engine::run("websocket_frames", 10_000, targets::websocket_frames::run);
}

#[test]
fn nobody_logs_in_by_scram_without_the_password() {
    engine::run("scram", 3000, targets::scram::run);
}

#[test]
fn no_request_of_any_kind_is_too_much_for_the_http_server() {
    engine::run("http", 250, targets::http::run);
}

#[test]
fn definitions_are_taken_as_a_whole_or_not_at_all_and_come_out_as_they_went_in() {
    engine::run("definitions", 200, targets::definitions::run);
}
