//! What has to hold for any octets: functions that panic if it does not. Shared by tests and fuzzers.

pub mod amqp_connection;
pub mod amqp_table;
pub mod definitions;
pub mod http;
pub mod log;
pub mod mqtt_connection;
pub mod mqtt_properties;
pub mod name_pattern;
pub mod proxy_header;
pub mod record;
pub mod recovery;
pub mod scram;
mod site;
pub mod topics;
pub mod websocket_frames;

/// Carries something out, which may take so much memory of this thread at a time.
fn within<T>(bytes_max: usize, run: impl FnOnce() -> T) -> T {
    let mut done = None;
    let taken = allocation_counter::measure(|| done = Some(run()));
    assert!(taken.bytes_max <= bytes_max as u64, "{} of {bytes_max} bytes", taken.bytes_max);
    done.expect("it was carried out")
}

/// Octets in two parts, the first one as long as its first octet says, as far as there are so many.
fn cut(octets: &[u8]) -> (&[u8], &[u8]) {
    let Some((&at, rest)) = octets.split_first() else { return (&[], &[]) };
    rest.split_at(usize::from(at).min(rest.len()))
}

const KIB: usize = 1024;
