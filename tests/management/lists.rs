//! Lists: pages, filters, order and columns; connections.

use std::io::Read as _;

use serde_json::{Value, json};

use crate::support::{Api, mqtt, segment};

fn names(list: &Value) -> Vec<&str> {
    list.as_array().unwrap().iter().map(|item| item["name"].as_str().unwrap()).collect()
}

fn with_queues(names: &[&str]) -> Api {
    let api = Api::start();
    names.iter().for_each(|name| api.declare_queue(name, json!({})));
    api
}

#[test]
fn a_page_has_its_envelope_and_the_whole_list_has_none() {
    let api = with_queues(&["c", "a", "b"]);
    assert_eq!(names(&api.read("queues")), ["a", "b", "c"]);
    assert_eq!(names(&api.read("queues/detailed")), ["a", "b", "c"]);
    let page = api.read("queues?page=2&page_size=2");
    assert_eq!(names(&page["items"]), ["c"]);
    for (field, value) in [
        ("filtered_count", 3),
        ("item_count", 1),
        ("page", 2),
        ("page_count", 2),
        ("page_size", 2),
        ("total_count", 3),
    ] {
        assert_eq!(page[field], value, "{field}");
    }
    assert_eq!(api.read("queues/%2F?page=1")["page_size"], 100);
}

#[test]
fn a_page_that_cannot_be_is_refused() {
    let api = with_queues(&["a"]);
    let answer = api.get("queues?page=2&page_size=10");
    let expected = json!({
        "error": "page_out_of_range", "reason": "Page out of range, page: 2 page size: 10, len: 1",
    });
    assert_eq!((answer.status, answer.json()), (400, expected));
    let answer = api.get("exchanges?page=1&page_size=501");
    let expected = json!({
        "error": "invalid_pagination_parameters",
        "reason": "Invalid pagination parameters: page number 1, page size 501",
    });
    assert_eq!((answer.status, answer.json()), (400, expected));
}

#[test]
fn pages_are_filtered_by_a_part_of_the_name_or_by_a_pattern() {
    let api = with_queues(&["orders.eu", "orders.us", "rest"]);
    let filtered = |query: &str| {
        let page = api.read(&format!("queues?page=1&{query}"));
        assert_eq!(page["total_count"], 3);
        assert_eq!(page["filtered_count"], page["item_count"]);
        names(&page["items"]).join(",")
    };
    assert_eq!(filtered("name=ORD"), "orders.eu,orders.us");
    assert_eq!(filtered("name=%5Eorders%5C.u&use_regex=true"), "orders.us");
    assert_eq!(filtered("name=&use_regex=true&pagination=false"), "orders.eu,orders.us,rest");
    assert_eq!(api.get("queues?page=1&name=(&use_regex=true").status, 400);
    assert_eq!(names(&api.read("queues?name=rest")).len(), 3, "a filter needs a page");
}

#[test]
fn lists_are_sorted_by_what_is_inside() {
    let api = with_queues(&["a", "b", "c"]);
    [("a", 1), ("b", 10), ("c", 9)].iter().for_each(|(queue, count)| {
        (0..*count).for_each(|_| api.publish(queue, ""));
    });
    assert_eq!(names(&api.read("queues?sort=messages")), ["a", "c", "b"]);
    assert_eq!(
        names(&api.read("queues?sort=message_stats.publish&sort_reverse=true")),
        ["b", "c", "a"]
    );
    let page = api.read("queues?sort=messages_ready&page=1&page_size=2&columns=name,messages");
    let expected = json!([{"name": "a", "messages": 1}, {"name": "c", "messages": 9}]);
    assert_eq!(page["items"], expected);
}

#[test]
fn columns_pick_from_inside_and_from_single_objects() {
    let api = with_queues(&["a"]);
    let columns = "columns=name,message_stats.publish,message_stats.ack,absent";
    let expected = json!({"name": "a", "message_stats": {"publish": 0, "ack": 0}});
    assert_eq!(api.read(&format!("queues?{columns}")), json!([expected]));
    assert_eq!(api.read(&format!("queues/%2F/a?{columns}")), expected);
    let overview = api.read("overview?columns=object_totals.queues,queue_totals.messages");
    assert_eq!(overview, json!({"object_totals": {"queues": 1}, "queue_totals": {"messages": 0}}));
}

#[test]
fn numbers_are_left_out_of_a_cheap_list() {
    let api = with_queues(&["a"]);
    let cheap = api.read("queues?disable_stats=true");
    assert!(cheap[0].get("messages").is_none() && cheap[0].get("message_stats").is_none());
    let totals = api.read("queues?disable_stats=true&enable_queue_totals=true");
    assert_eq!(totals[0]["messages"], 0);
    assert!(totals[0].get("message_stats").is_none());
}

#[test]
fn a_connection_is_listed_and_closed() {
    let api = Api::start();
    let mut client = mqtt(&api, "client-1");
    let listed = api.wait_for("connections", |list| !list.as_array().unwrap().is_empty());
    let connection = &listed[0];
    let name = connection["name"].as_str().unwrap();
    assert_eq!(name, format!("{} -> {}", client.local_addr().unwrap(), api.broker.mqtt_address()));
    for (field, value) in [
        ("user", json!("guest")),
        ("vhost", json!("/")),
        ("state", json!("running")),
        ("protocol", json!("MQTT 3-1-1")),
        ("peer_host", json!("127.0.0.1")),
        ("user_provided_name", json!("client-1")),
        ("channels", json!(0)),
        ("ssl", json!(false)),
    ] {
        assert_eq!(connection[field], value, "{field}");
    }
    assert!(connection["recv_oct"].as_u64().unwrap() > 0);
    assert_eq!(api.read("overview")["object_totals"]["connections"], 1);
    assert_eq!(names(&api.read("vhosts/%2F/connections")), [name]);
    assert_eq!(names(&api.read("connections/username/guest")), [name]);
    assert_eq!(api.read("connections/username/other"), json!([]));
    assert_eq!(api.read("channels"), json!([]));

    let path = format!("connections/{}", segment(name));
    assert_eq!(api.read(&path)["name"], name);
    assert_eq!(api.read(&format!("{path}/channels")), json!([]));
    assert_eq!(api.delete(&path).status, 204);
    let mut rest = Vec::new();
    client.read_to_end(&mut rest).unwrap();
    api.wait_for("connections", |list| list.as_array().unwrap().is_empty());
    assert_eq!(api.delete(&path).status, 404);
}
