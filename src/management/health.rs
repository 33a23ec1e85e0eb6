//! Health checks: 200 if all is well, 503 with a reason if not.

use std::collections::BTreeSet;

use regex::RegexBuilder;
use serde_json::{Value, json};

use super::call::{Answer, Call};
use super::error::Refusal;
use super::node;
use super::reply::Reply;
use crate::server::{Node, clock};

/// `GET /healthchecks/node`, with or without the name of the node: an old one that says little.
pub fn node(call: &Call) -> Answer {
    call.check_node()?;
    match call.node().out_of_service() {
        None => Ok(fine(json!({}))),
        Some(reason) => Ok(failed(reason, json!({}))),
    }
}

/// A check that cannot fail while somebody is there to answer: virtual hosts and what describes them
/// are in memory before the first client is let in, and one node is the whole cluster.
pub fn ok(_: &Call) -> Answer {
    Ok(fine(json!({})))
}

/// `GET …/alarms`.
pub fn alarms(call: &Call) -> Answer {
    answer_alarms(call, "There are alarms in effect in the cluster")
}

/// `GET …/local-alarms`.
pub fn local_alarms(call: &Call) -> Answer {
    answer_alarms(call, "There are alarms in effect on the node")
}

fn answer_alarms(call: &Call, reason: &str) -> Answer {
    let state = call.node().alarms.state();
    let both = [("disk", state.disk_alarm), ("memory", state.memory_alarm)];
    let in_effect = both.iter().filter(|(_, is_on)| *is_on);
    let alarms: Vec<Value> = in_effect
        .map(|(resource, _)| json!({ "node": node::name(), "resource": resource }))
        .collect();
    Ok(match alarms.is_empty() {
        true => fine(json!({})),
        false => failed(reason, json!({ "alarms": alarms })),
    })
}

/// `GET …/certificate-expiration/:within/:unit`.
pub fn certificates(call: &Call) -> Answer {
    let within: Option<u32> = call.part("within").parse().ok();
    let within = within.ok_or_else(|| Refusal::bad_request("Invalid expiration"))?;
    let days = match call.part("unit") {
        "day" | "days" => 1,
        "week" | "weeks" => 7,
        "month" | "months" => 30,
        "year" | "years" => 365,
        _ => return Err(Refusal::bad_request("Time unit not recognised")),
    };
    let until_s = clock::now_ms() / 1000 + u64::from(within) * days * 24 * 60 * 60;
    let expired = expiring(call.node(), until_s as i64);
    Ok(match expired.is_empty() {
        true => fine(json!({})),
        false => failed("Certificates expiring", json!({ "expired": expired })),
    })
}

/// What listens with certificates that are no longer good at a time, in seconds since the Unix epoch.
fn expiring(node: &Node, until_s: i64) -> Vec<Value> {
    let Some(tls) = node.tls.get() else { return Vec::new() };
    let expiring = tls.expiring(until_s);
    let open = node.listening().clone();
    let secure = open.iter().filter(|(protocol, _)| protocol.is_secure());
    secure
        .flat_map(|(protocol, address)| {
            expiring.iter().map(move |(path, at)| {
                json!({
                    "node": node::name(),
                    "protocol": protocol.name(),
                    "interface": address.host(),
                    "port": address.port(),
                    "certfile": path.display().to_string(),
                    "certfile_expires_on": [humantime::format_rfc3339_seconds(*at).to_string()],
                })
            })
        })
        .collect()
}

/// `GET …/port-listener/:port`.
pub fn port_listener(call: &Call) -> Answer {
    let port: u16 = call.part("port").parse().map_err(|_| Refusal::bad_request("Invalid port"))?;
    let open: BTreeSet<u16> =
        call.node().listening().iter().map(|(_, address)| address.port()).collect();
    let ports: Vec<u16> = open.into_iter().filter(|port| *port > 0).collect();
    Ok(match ports.contains(&port) {
        true => fine(json!({ "port": port })),
        false => failed("No active listener", json!({ "missing": port, "ports": ports })),
    })
}

/// `GET …/protocol-listener/:protocols`, with commas between them.
pub fn protocol_listener(call: &Call) -> Answer {
    let open: BTreeSet<&str> =
        call.node().listening().iter().map(|(protocol, _)| protocol.name()).collect();
    let wanted: Vec<String> = call.part("protocols").split(',').map(protocol_name).collect();
    let missing: Vec<&String> = wanted.iter().filter(|name| !open.contains(&***name)).collect();
    Ok(match missing.is_empty() {
        true => fine(json!({ "protocols": wanted })),
        false => failed("No active listener", json!({ "missing": missing, "protocols": open })),
    })
}

/// What a protocol is called in lists of listeners; people know it by other names as well.
fn protocol_name(given: &str) -> String {
    let given = given.trim().to_lowercase();
    let known = match &*given {
        "amqps" | "amqp+tls" | "amqp+ssl" => "amqp/ssl",
        "mqtts" | "mqtt+tls" | "mqtt+ssl" => "mqtt/ssl",
        "web-mqtt" | "web_mqtt" | "ws" => "http/web-mqtt",
        "wss" => "https/web-mqtt",
        "management" => "http",
        "prometheus" => "http/prometheus",
        name if is_version_of(name, "amqp") => "amqp",
        name if is_version_of(name, "mqtt") => "mqtt",
        name => name,
    };
    known.to_owned()
}

/// Whether a name is that of a protocol with a version behind it: `amqp091`, `mqtt3.1.1`.
fn is_version_of(name: &str, protocol: &str) -> bool {
    let version = name.strip_prefix(protocol);
    version.is_some_and(|version| version.bytes().all(|b| b.is_ascii_digit() || b"-.".contains(&b)))
}

/// `GET …/node-is-quorum-critical`.
pub fn quorum_critical(_: &Call) -> Answer {
    Ok(fine(json!({ "reason": "single node cluster" })))
}

/// `GET …/quorum-queues-without-elected-leaders/…`: this node leads all queues.
pub fn leaders(call: &Call) -> Answer {
    call.vhosts()?;
    let pattern = call.part("pattern");
    let read = RegexBuilder::new(pattern).size_limit(REGEX_BYTES_MAX).build();
    match read {
        Ok(_) => Ok(fine(json!({}))),
        Err(_) => Err(Refusal::bad_request(format!("invalid regular expression: {pattern}"))),
    }
}

/// `GET …/metadata-store/initialized/with-data`.
pub fn has_data(call: &Call) -> Answer {
    match call.node().topology().vhosts().next() {
        Some(_) => Ok(fine(json!({}))),
        None => Ok(failed("Metadata store has no data", json!({}))),
    }
}

/// `GET …/is-in-service`.
pub fn in_service(call: &Call) -> Answer {
    Ok(match call.node().out_of_service() {
        None => fine(json!({})),
        Some(_) => failed("this rabbit node is not currently available to serve", json!({})),
    })
}

/// `GET …/ready-to-serve-clients`.
pub fn ready(call: &Call) -> Answer {
    match call.node().out_of_service() {
        None => below_connection_limit(call),
        Some(reason) => Ok(failed(reason, json!({}))),
    }
}

/// `GET …/below-node-connection-limit`.
pub fn below_connection_limit(call: &Call) -> Answer {
    let node = call.node();
    let max = node.connections_max() as usize;
    Ok(match node.connections.len() < max {
        true => fine(json!({})),
        false => failed("node connection limit is reached", json!({ "limit": max })),
    })
}

fn fine(mut body: Value) -> Reply {
    body["status"] = json!("ok");
    Reply::json(&body)
}

fn failed(reason: &str, mut body: Value) -> Reply {
    body["status"] = json!("failed");
    body["reason"] = json!(reason);
    Reply::failed(&body)
}

/// The size of a compiled pattern.
const REGEX_BYTES_MAX: usize = 1024 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn protocols_have_many_names() {
        for (given, name) in [
            ("AMQP", "amqp"),
            ("amqp091", "amqp"),
            ("amqp0-9-1", "amqp"),
            ("amqp1.0", "amqp"),
            ("amqps", "amqp/ssl"),
            ("mqtt3.1.1", "mqtt"),
            ("mqtt+tls", "mqtt/ssl"),
            ("https", "https"),
            ("http/web-mqtt", "http/web-mqtt"),
            ("amqpx", "amqpx"),
        ] {
            assert_eq!(protocol_name(given), name);
        }
    }
}
