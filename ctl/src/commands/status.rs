//! How the broker does.

use serde_json::{Value, json};

use super::Session;
use crate::client::Ask;
use crate::failure::Failure;
use crate::path::encoded;

/// Shows what the broker is, what it holds and what it lacks.
pub fn status(session: &Session<'_>) -> Result<(), Failure> {
    let overview = session.client.json(Ask::read("overview", "the overview"))?;
    let nodes = session.client.json(Ask::read("nodes", "the nodes"))?;
    session.output.object(&summary(&overview, &nodes[0]))
}

/// The few numbers that are looked at first; both answers have many more.
fn summary(overview: &Value, node: &Value) -> Value {
    let of = |from: &Value, names: &[&str]| -> Value {
        let found = names.iter().filter(|name| !from[**name].is_null());
        found.map(|name| ((*name).to_owned(), from[*name].clone())).collect()
    };
    let listeners = overview["listeners"].as_array().into_iter().flatten().map(|it| {
        let text = |name: &str| it[name].as_str().unwrap_or_default().to_owned();
        let port = it["port"].as_u64().filter(|port| *port != 0);
        let port = port.map_or(String::new(), |port| format!(" {port}"));
        format!("{} {}{port}", text("protocol"), text("ip_address"))
    });
    json!({
        "broker": of(overview, &["product_name", "product_version", "cluster_name"]),
        "node": of(node, &[
            "name", "uptime", "mem_used", "mem_limit", "mem_alarm", "disk_free", "disk_free_limit",
            "disk_free_alarm", "fd_used", "fd_total",
        ]),
        "objects": overview["object_totals"],
        "messages": of(&overview["queue_totals"], &[
            "messages", "messages_ready", "messages_unacknowledged",
        ]),
        "listeners": listeners.collect::<Vec<_>>(),
    })
}

/// Makes health checks; fails if one does.
pub fn health(session: &Session<'_>, check: &[String]) -> Result<(), Failure> {
    let named = [check.iter().map(|part| encoded(part)).collect::<Vec<_>>().join("/")];
    let usual = USUAL_CHECKS.map(str::to_owned);
    let checks = if check.is_empty() { &usual[..] } else { &named[..] };
    let mut rows = session.output.rows(&["check", "status", "reason"]);
    let mut failed = 0;
    for check in checks {
        let about = format!("health check '{check}'");
        let answer =
            session.client.send_any(Ask::read(format!("health/checks/{check}"), &about))?;
        if !matches!(answer.status, 200 | 503) {
            return Err(session.client.refused(&answer, &about));
        }
        let mut row = answer.json()?;
        row["check"] = json!(check);
        failed += usize::from(answer.status == 503);
        rows.add(&row)?;
    }
    rows.end()?;
    match failed {
        0 => Ok(()),
        1 => Err(Failure::new("a health check failed")),
        _ => Err(Failure::new(format!("{failed} health checks failed"))),
    }
}

/// What has to be well for clients to work.
const USUAL_CHECKS: [&str; 4] =
    ["is-in-service", "ready-to-serve-clients", "alarms", "virtual-hosts"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_summary_leaves_out_what_nobody_has_measured() {
        let overview = json!({
            "product_name": "Leveret", "object_totals": {"queues": 2},
            "queue_totals": {"messages": 3}, "listeners": [
                {"protocol": "amqp", "ip_address": "::", "port": 5672},
                {"protocol": "http", "ip_address": "unix:/s", "port": 0},
            ],
        });
        let summary = summary(&overview, &json!({"name": "n", "mem_alarm": false}));
        assert_eq!(summary["broker"], json!({"product_name": "Leveret"}));
        assert_eq!(summary["node"], json!({"name": "n", "mem_alarm": false}));
        assert_eq!(summary["messages"], json!({"messages": 3}));
        assert_eq!(summary["listeners"], json!(["amqp :: 5672", "http unix:/s"]));
    }
}
