//! Metrics in the text format of Prometheus.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};

use leveret::Config;
use leveret::config::ByteSize;
use serde_json::json;

use crate::amqp::{self, Amqp, Args};
use crate::support::{Api, DEADLINE, wait_until};

/// A broker with a port for metrics.
fn with_metrics() -> (Api, u16) {
    with_metrics_and(|_| {})
}

fn with_metrics_and(change: impl FnOnce(&mut Config)) -> (Api, u16) {
    let free = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = free.local_addr().unwrap().port();
    drop(free);
    let change = |config: &mut Config| {
        config.metrics_port = port;
        change(config);
    };
    (Api::start_with(change), port)
}

/// The value of a series, which is named with its labels; `None` if it is not there.
fn value(text: &str, series: &str) -> Option<f64> {
    let line = text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
    line.map(|value| value.parse().unwrap())
}

#[test]
fn the_port_for_metrics_wants_no_login_and_has_nothing_else() {
    let (api, port) = with_metrics();
    let metrics = api.at_port(port, "/metrics");
    assert_eq!(metrics.status, 200);
    assert_eq!(metrics.header("content-type"), "text/plain; version=0.0.4; charset=utf-8");
    assert_eq!(metrics.header("content-encoding"), "");
    assert!(value(&metrics.text(), "rabbitmq_process_resident_memory_bytes").unwrap() > 0.0);
    assert_eq!(api.at_port(port, "/api/overview").status, 404);
    assert_eq!(api.at_port(port, "/metrics/").status, 404);
    let addresses: Vec<_> = api.broker.addresses().map(|(name, at)| (name, at.port())).collect();
    assert!(addresses.contains(&("http/prometheus", port)));
}

#[test]
fn metrics_on_the_management_port_are_for_users_who_may_look_at_the_node() {
    let api = Api::start();
    let status = |login| api.root_as(login, "/metrics").status;
    assert_eq!(status(None), 401);
    assert_eq!(status(Some(("guest", "wrong"))), 401);
    assert_eq!(status(Some(("guest", "guest"))), 200);
    for (user, tags) in [("m", "management"), ("o", "monitoring")] {
        api.put(&format!("users/{user}"), json!({"password": "p", "tags": tags}));
    }
    assert_eq!(status(Some(("m", "p"))), 401);
    assert_eq!(status(Some(("o", "p"))), 200);
    assert!(api.broker.addresses().all(|(name, _)| name != "http/prometheus"));
}

#[test]
fn an_alarm_is_seen() {
    let (api, port) = with_metrics_and(|config| config.memory_max = ByteSize(1));
    let page = || api.at_port(port, "/metrics").text();
    wait_until(|| value(&page(), "rabbitmq_alarms_memory_used_watermark") == Some(1.0));
    assert_eq!(value(&page(), "rabbitmq_alarms_free_disk_space_watermark"), Some(0.0));
    assert_eq!(value(&page(), "rabbitmq_resident_memory_limit_bytes"), Some(1.0));
}

#[test]
fn queues_are_summed_up_or_told_apart() {
    let (api, port) = with_metrics();
    ["a", "b"].iter().for_each(|queue| api.declare_queue(queue, json!({})));
    [("a", "12"), ("a", "345"), ("b", "6")].iter().for_each(|(queue, it)| api.publish(queue, it));
    let sums = api.at_port(port, "/metrics").text();
    assert_eq!(value(&sums, "rabbitmq_queues"), Some(2.0));
    assert_eq!(value(&sums, "rabbitmq_queue_messages_ready"), Some(3.0));
    assert!(value(&sums, "rabbitmq_queue_messages_bytes").unwrap() >= 6.0);
    assert_eq!(value(&sums, "rabbitmq_queue_consumers"), Some(0.0));
    assert!(!sums.contains("queue=\""));
    let each = api.at_port(port, "/metrics/per-object").text();
    let of = |name: &str, queue| value(&each, &format!("{name}{{vhost=\"/\",queue=\"{queue}\"}}"));
    assert_eq!(of("rabbitmq_queue_messages_ready", "a"), Some(2.0));
    assert_eq!(of("rabbitmq_queue_messages", "b"), Some(1.0));
    assert!(of("rabbitmq_queue_messages_ready_bytes", "a").unwrap() >= 5.0);
    assert_eq!(value(&each, "rabbitmq_queues"), Some(2.0));
    let kind = "rabbitmq_queue_info{vhost=\"/\",queue=\"a\",queue_type=\"rabbit_classic_queue\",\
        membership=\"leader\"}";
    assert_eq!(value(&each, kind), Some(1.0));
}

#[test]
fn names_are_escaped() {
    let (api, port) = with_metrics();
    api.declare_queue("a\"b\\c d", json!({}));
    let text = api.at_port(port, "/metrics/detailed?family=queue_consumer_count").text();
    let series = "rabbitmq_detailed_queue_consumers{vhost=\"/\",queue=\"a\\\"b\\\\c d\"}";
    assert_eq!(value(&text, series), Some(0.0));
}

#[test]
fn detailed_metrics_are_those_that_are_asked_for() {
    let (api, port) = with_metrics();
    assert_eq!(api.put("vhosts/v", json!({})).status, 201);
    api.put("permissions/v/guest", json!({"configure": ".*", "write": ".*", "read": ".*"}));
    assert_eq!(api.put("queues/v/inside", json!({})).status, 201);
    api.declare_queue("outside", json!({}));
    let detailed = |query: &str| api.at_port(port, &format!("/metrics/detailed{query}")).text();
    let names = |text: &str| {
        let heads = text.lines().filter_map(|line| line.strip_prefix("# TYPE "));
        heads.map(|head| head.split(' ').next().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let always = ["rabbitmq_build_info", "rabbitmq_identity_info"];
    assert_eq!(names(&detailed("")), always);
    assert_eq!(names(&detailed("?family=nonsense&family=ra_metrics")), always);
    let coarse = detailed("?family=queue_coarse_metrics&family=queue_consumer_count&vhost=v");
    let expected = [
        "rabbitmq_detailed_queue_messages_ready",
        "rabbitmq_detailed_queue_messages_unacked",
        "rabbitmq_detailed_queue_messages",
        "rabbitmq_detailed_queue_consumers",
        "rabbitmq_detailed_queue_info",
        "rabbitmq_build_info",
        "rabbitmq_identity_info",
    ];
    assert_eq!(names(&coarse), expected);
    assert!(coarse.contains("queue=\"inside\"") && !coarse.contains("queue=\"outside\""));
    let both = detailed("?family=queue_metrics&family=queue_consumer_count");
    let count = names(&both).iter().filter(|name| name.ends_with("queue_consumers")).count();
    assert_eq!(count, 1);
    let cluster = detailed("?family=vhost_status&family=exchange_bindings&family=exchange_names");
    assert_eq!(value(&cluster, "rabbitmq_cluster_vhost_status{vhost=\"v\"}"), Some(1.0));
    let topic = "{vhost=\"v\",exchange=\"amq.topic\",type=\"topic\"}";
    assert_eq!(value(&cluster, &format!("rabbitmq_cluster_exchange_name{topic}")), Some(1.0));
    assert_eq!(value(&cluster, &format!("rabbitmq_cluster_exchange_bindings{topic}")), Some(0.0));
    assert!(!cluster.contains("exchange=\"\""));
    assert!(
        detailed("?family=node_coarse_metrics").contains("rabbitmq_detailed_process_open_fds ")
    );
}

#[test]
fn each_page_says_whose_it_is() {
    let (api, port) = with_metrics();
    let identity = |path: &str| {
        let text = api.at_port(port, path).text();
        text.lines().find(|line| line.starts_with("rabbitmq_identity_info{")).unwrap().to_owned()
    };
    for (path, endpoint) in [
        ("/metrics", "aggregated"),
        ("/metrics/per-object", "per-object"),
        ("/metrics/detailed", "detailed"),
        ("/metrics/memory-breakdown", "memory-breakdown"),
    ] {
        assert!(identity(path).contains(&format!("rabbitmq_endpoint=\"{endpoint}\"}} 1")));
    }
    assert_eq!(identity("/metrics"), identity("/metrics"));
    let memory = api.at_port(port, "/metrics/memory-breakdown").text();
    assert!(value(&memory, "rabbitmq_memory_other_system_bytes").unwrap() > 0.0);
}

#[test]
fn what_clients_did_stays_counted_when_they_and_their_queues_go() {
    let (api, port) = with_metrics();
    let mut client = Amqp::connect(&api);
    client.declare("q", false);
    client.publish(1, ("", "q"), false, &[7; 100]);
    client.publish(1, ("", "q"), false, &[7; 101]);
    client.publish(1, ("", "nowhere"), false, b"");
    client.get("q", true, amqp::GET_OK);
    client.consume(1, "q", "tag", false);
    client.expect(amqp::DELIVER);
    client.send(1, amqp::REJECT, Args::default().tag(2).bits(1));
    client.expect(amqp::DELIVER);
    client.send(1, amqp::ACK, Args::default().tag(3).bits(0));
    let counted = |text: &str, name: &str| value(text, &format!("rabbitmq_{name}"));
    let of_amqp = |text: &str, name: &str| {
        let labels = match name.contains("ceived") || name.contains("rout") {
            true => "protocol=\"amqp091\"",
            false => "protocol=\"amqp091\",queue_type=\"rabbit_classic_queue\"",
        };
        counted(text, &format!("global_messages_{name}_total{{{labels}}}"))
    };
    let page = || api.at_port(port, "/metrics").text();
    wait_until(|| of_amqp(&page(), "acknowledged") == Some(1.0));
    let before = page();
    let labels = "{protocol=\"amqp091\"}";
    assert_eq!(counted(&before, &format!("global_publishers{labels}")), Some(1.0));
    assert_eq!(counted(&before, &format!("global_consumers{labels}")), Some(1.0));
    assert_eq!(
        (counted(&before, "channels"), counted(&before, "consumers")),
        (Some(1.0), Some(1.0))
    );
    client.call(1, amqp::DELETE_QUEUE, Args::default().short(0).text("q").bits(0));
    drop(client);
    wait_until(|| counted(&page(), "connections_closed_total") == Some(1.0));
    let after = page();
    assert_eq!((counted(&after, "channels"), counted(&after, "queues")), (Some(0.0), Some(0.0)));
    assert_eq!(counted(&after, "queues_deleted_total"), Some(1.0));
    for page in [&before, &after] {
        for (name, count) in [
            ("received", 3.0),
            ("routed", 2.0),
            ("unroutable_dropped", 1.0),
            ("delivered", 3.0),
            ("delivered_consume_manual_ack", 2.0),
            ("delivered_get_auto_ack", 1.0),
            ("redelivered", 1.0),
            ("acknowledged", 1.0),
        ] {
            assert_eq!(of_amqp(page, name), Some(count), "{name}");
        }
        for (name, count) in [
            ("channel_messages_published_total", 3.0),
            ("queue_messages_published_total", 2.0),
            ("queue_messages_delivered_ack_total", 2.0),
            ("exchange_messages_published_total", 3.0),
            ("message_size_bytes_bucket{protocol=\"amqp091\",le=\"100.0\"}", 2.0),
            ("message_size_bytes_bucket{protocol=\"amqp091\",le=\"1000.0\"}", 3.0),
            ("message_size_bytes_bucket{protocol=\"amqp091\",le=\"+Inf\"}", 3.0),
            ("message_size_bytes_sum{protocol=\"amqp091\"}", 201.0),
            ("message_size_bytes_count{protocol=\"amqp091\"}", 3.0),
        ] {
            assert_eq!(counted(page, name), Some(count), "{name}");
        }
    }
}

#[test]
fn gzip_is_sent_to_those_who_accept_it() {
    let (api, port) = with_metrics();
    (0..300).for_each(|n| api.declare_queue(&format!("queue-{n}"), json!({})));
    let mut socket = TcpStream::connect(("127.0.0.1", port)).unwrap();
    socket.set_read_timeout(Some(DEADLINE)).unwrap();
    // HTTP/1.0, so that the body is what comes until the end.
    let head = "GET /metrics/per-object HTTP/1.0\r\naccept-encoding: gzip\r\n\r\n";
    socket.write_all(head.as_bytes()).unwrap();
    let mut answer = Vec::new();
    socket.read_to_end(&mut answer).unwrap();
    let body = answer.windows(4).position(|window| window == b"\r\n\r\n").unwrap() + 4;
    let head = String::from_utf8(answer[..body].to_vec()).unwrap();
    assert!(head.contains("content-encoding: gzip"));
    let mut text = String::new();
    flate2::read::GzDecoder::new(&answer[body..]).read_to_string(&mut text).unwrap();
    assert_eq!(value(&text, "rabbitmq_queues"), Some(300.0));
    assert!(text.len() > 2 * answer.len() && text.contains("rabbitmq_identity_info"));
}
