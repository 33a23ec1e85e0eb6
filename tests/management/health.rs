//! Health checks.

use serde_json::json;

use crate::support::Api;

#[test]
fn a_healthy_node_passes_all_checks() {
    let api = Api::start();
    for check in [
        "alarms",
        "local-alarms",
        "certificate-expiration/1/weeks",
        "virtual-hosts",
        "node-is-quorum-critical",
        "quorum-queues-without-elected-leaders/all-vhosts",
        "quorum-queues-without-elected-leaders/all-vhosts/pattern/%5Eorders",
        "quorum-queues-without-elected-leaders/vhost/%2F",
        "quorum-queues-without-elected-leaders/vhost/%2F/pattern/%5Eorders",
        "metadata-store/initialized",
        "metadata-store/initialized/with-data",
        "is-in-service",
        "ready-to-serve-clients",
        "below-node-connection-limit",
        "reached-target-cluster-size",
    ] {
        let answer = api.get(&format!("health/checks/{check}"));
        assert_eq!((answer.status, &answer.json()["status"]), (200, &json!("ok")), "{check}");
    }
    assert_eq!(api.read("aliveness-test/%2F"), json!({"status": "ok"}));
    assert_eq!(api.read("aliveness-test/%2F"), json!({"status": "ok"}));
    assert_eq!(api.read("healthchecks/node"), json!({"status": "ok"}));
}

#[test]
fn what_is_no_check_is_refused() {
    let api = Api::start();
    for (path, status) in [
        ("health/checks/certificate-expiration/x/weeks", 400),
        ("health/checks/certificate-expiration/1/fortnights", 400),
        ("health/checks/port-listener/x", 400),
        ("health/checks/quorum-queues-without-elected-leaders/all-vhosts/pattern/%28", 400),
        ("health/checks/quorum-queues-without-elected-leaders/vhost/absent", 404),
        ("healthchecks/node/other", 404),
        ("aliveness-test/absent", 404),
    ] {
        assert_eq!(api.get(path).status, status, "{path}");
    }
}

#[test]
fn listeners_are_those_that_are_open() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("amqp.sock");
    let api = Api::start_with(|config| config.amqp_unix_path = socket.clone());
    let port = api.broker.mqtt_address().port();
    let path = format!("health/checks/port-listener/{port}");
    assert_eq!(api.read(&path), json!({"status": "ok", "port": port}));
    let answer = api.get("health/checks/port-listener/1");
    assert_eq!(answer.status, 503);
    let failed = answer.json();
    assert_eq!((&failed["status"], &failed["missing"]), (&json!("failed"), &json!(1)));
    assert!(failed["ports"].as_array().unwrap().contains(&json!(port)));
    let answer = api.read("health/checks/protocol-listener/AMQP091,mqtt,http");
    assert_eq!(answer, json!({"status": "ok", "protocols": ["amqp", "mqtt", "http"]}));
    let answer = api.get("health/checks/protocol-listener/amqp,amqps");
    assert_eq!((answer.status, &answer.json()["missing"]), (503, &json!(["amqp/ssl"])));
    let listeners = api.read("overview")["listeners"].clone();
    let has = |protocol: &str, address: &str, port: u16| {
        listeners.as_array().unwrap().iter().any(|it| {
            it["protocol"] == protocol && it["ip_address"] == address && it["port"] == port
        })
    };
    assert!(has("http", "127.0.0.1", api.address.port()), "{listeners}");
    assert!(has("mqtt", "127.0.0.1", port), "{listeners}");
    assert!(has("amqp", &format!("unix:{}", socket.display()), 0), "{listeners}");
}

#[test]
fn an_alarm_fails_the_checks_for_alarms_and_nothing_else() {
    let api = Api::start_with(|config| config.memory_max = leveret::config::ByteSize(1));
    api.wait_for("nodes", |nodes| nodes[0]["mem_alarm"] == true);
    let answer = api.get("health/checks/local-alarms");
    assert_eq!(answer.status, 503);
    let failed = answer.json();
    assert_eq!(failed["reason"], "There are alarms in effect on the node");
    assert_eq!(failed["alarms"][0]["resource"], "memory");
    assert_eq!(api.get("health/checks/alarms").status, 503);
    assert_eq!(api.get("health/checks/is-in-service").status, 200);
}

#[test]
fn a_full_node_is_not_ready() {
    let api = Api::start_with(|config| config.connections_max = 0);
    for check in ["ready-to-serve-clients", "below-node-connection-limit"] {
        let answer = api.get(&format!("health/checks/{check}"));
        let reason = answer.json()["reason"].clone();
        assert_eq!((answer.status, reason), (503, json!("node connection limit is reached")));
    }
    assert_eq!(api.get("health/checks/is-in-service").status, 200);
}
