//! Messages without JSON around them, for scripts.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpStream;
use std::process::Command;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::support::{Api, DEADLINE};

const MESSAGES: &str = "queues/%2F/q/messages";

fn with_queue() -> Api {
    let api = Api::start();
    api.declare_queue("q", json!({"durable": true}));
    api
}

fn depth(api: &Api, is_it: impl Fn(&Value) -> bool) {
    api.wait_for("queues/%2F/q", is_it);
}

#[test]
fn a_body_and_its_headers_come_back_as_they_went() {
    let api = with_queue();
    let headers = [
        ("content-type", "text/csv"),
        ("content-encoding", "none"),
        ("x-priority", "3"),
        ("x-correlation-id", "c-1"),
        ("x-header-Farm", "nørth"),
    ];
    let body = [0u8, 255, 13, 10];
    let answer = api.send_with("POST", MESSAGES, &headers, &body);
    assert_eq!((answer.status, answer.json()), (200, json!({"routed": true})));
    let answer = api.get(MESSAGES);
    assert_eq!((answer.status, answer.bytes()), (200, &body[..]));
    for (name, value) in [
        ("content-type", "text/csv"),
        ("content-encoding", "none"),
        ("x-priority", "3"),
        ("x-correlation-id", "c-1"),
        ("x-delivery-mode", "2"),
        ("x-exchange", ""),
        ("x-routing-key", "q"),
        ("x-redelivered", "false"),
    ] {
        assert_eq!(answer.header(name), value, "{name}");
    }
    assert_eq!(answer.header_bytes("x-header-farm"), "nørth".as_bytes());
    assert_eq!(api.get(MESSAGES).status, 204);
    depth(&api, |queue| queue["messages"] == 0);
}

#[test]
fn head_says_whether_something_waits_and_takes_nothing() {
    let api = with_queue();
    let head = |path: &str| api.request("HEAD", path, None).status;
    assert_eq!((head(MESSAGES), head(&format!("{MESSAGES}/stream"))), (204, 200));
    assert_eq!(api.send("POST", MESSAGES, b"x").status, 200);
    assert_eq!((head(MESSAGES), head(&format!("{MESSAGES}/stream"))), (200, 200));
    assert_eq!(api.get(MESSAGES).header("x-redelivered"), "false");
}

#[test]
fn an_exchange_routes_what_is_published_to_it() {
    let api = with_queue();
    let bind = json!({"routing_key": "a.#"});
    assert_eq!(api.post("bindings/%2F/e/amq.topic/q/q", bind).status, 201);
    let publish = |path: &str| api.send("POST", path, b"x");
    let path = "exchanges/%2F/amq.topic/messages";
    assert_eq!(publish(&format!("{path}?routing_key=a.b")).json(), json!({"routed": true}));
    assert_eq!(publish(&format!("{path}?routing_key=b")).json(), json!({"routed": false}));
    assert_eq!(publish(path).json(), json!({"routed": false}));
    assert_eq!(api.get(MESSAGES).header("x-routing-key"), "a.b");
    assert_eq!(publish("exchanges/%2F/absent/messages").status, 404);
    assert_eq!(publish("queues/%2F/absent/messages").status, 404);
    let headers = [("x-delivery-mode", "two")];
    assert_eq!(api.send_with("POST", MESSAGES, &headers, b"x").status, 400);
    let long = format!("{path}?routing_key={}", "k".repeat(256));
    assert_eq!(publish(&long).status, 400);
}

#[test]
fn a_queue_without_room_refuses() {
    let api = Api::start();
    let arguments = json!({"x-max-length": 1, "x-overflow": "reject-publish"});
    api.declare_queue("q", json!({ "arguments": arguments }));
    assert_eq!(api.send("POST", MESSAGES, b"1").status, 200);
    let refused = api.send("POST", MESSAGES, b"2");
    let reason = "rejected Unable to publish message. Check queue limits.";
    assert_eq!((refused.status, &*refused.reason()), (400, reason));
}

#[test]
fn a_request_waits_for_a_message() {
    let api = with_queue();
    let taken = std::thread::scope(|threads| {
        let waiting = threads.spawn(|| api.get(&format!("{MESSAGES}?wait=20s")));
        depth(&api, |queue| queue["consumers"] == 1);
        assert_eq!(api.send("POST", MESSAGES, b"late").status, 200);
        waiting.join().unwrap()
    });
    assert_eq!(
        (taken.status, &*taken.text(), &*taken.header("x-redelivered")),
        (200, "late", "false")
    );
    depth(&api, |queue| queue["consumers"] == 0 && queue["messages"] == 0);
    assert_eq!(api.get(&format!("{MESSAGES}?wait=10ms")).status, 204);
    depth(&api, |queue| queue["consumers"] == 0);
}

#[test]
fn a_queue_that_goes_ends_the_wait() {
    let api = with_queue();
    let taken = std::thread::scope(|threads| {
        let waiting = threads.spawn(|| api.get(&format!("{MESSAGES}?wait=20s")));
        depth(&api, |queue| queue["consumers"] == 1);
        assert_eq!(api.delete("queues/%2F/q").status, 204);
        waiting.join().unwrap()
    });
    assert_eq!(taken.status, 204);
}

#[test]
fn what_is_held_is_acknowledged_or_given_back_once() {
    let api = with_queue();
    for body in [b"1", b"2"] {
        assert_eq!(api.send("POST", MESSAGES, body).status, 200);
    }
    let take = || {
        let taken = api.get(&format!("{MESSAGES}?ack=manual"));
        let location = taken.header("location");
        (
            taken.text(),
            taken.header("x-redelivered"),
            location.strip_prefix("/api/").unwrap().to_owned(),
        )
    };
    let (body, redelivered, location) = take();
    assert_eq!((&*body, &*redelivered), ("1", "false"));
    depth(&api, |queue| queue["messages_unacknowledged"] == 1);
    let requeue = |location: &str| api.request("POST", &format!("{location}/requeue"), None).status;
    assert_eq!((requeue(&location), requeue(&location)), (204, 404));
    let (body, redelivered, location) = take();
    assert_eq!((&*body, &*redelivered), ("1", "true"));
    assert_eq!(api.put("users/jo", json!({"password": "p", "tags": "administrator"})).status, 201);
    let all = json!({"configure": ".*", "write": ".*", "read": ".*"});
    assert_eq!(api.put("permissions/%2F/jo", all).status, 201);
    let other = api.request_as(Some(("jo", "p")), "DELETE", &location, None);
    assert_eq!(other.status, 404, "it is somebody else's");
    assert_eq!(api.delete(&location).status, 204);
    assert_eq!(api.delete(&location).status, 404);
    depth(&api, |queue| queue["messages"] == 1 && queue["messages_unacknowledged"] == 0);
}

#[test]
fn what_is_held_for_too_long_goes_back() {
    let api = with_queue();
    assert_eq!(api.send("POST", MESSAGES, b"1").status, 200);
    let taken = api.get(&format!("{MESSAGES}?ack=manual&lease=10ms"));
    let location = taken.header("location");
    depth(&api, |queue| queue["messages_ready"] == 1);
    assert_eq!(api.delete(location.strip_prefix("/api/").unwrap()).status, 404);
    assert_eq!(api.get(MESSAGES).header("x-redelivered"), "true");
}

#[test]
fn what_cannot_be_asked_for_is_refused() {
    let api = with_queue();
    for query in ["wait=soon", "wait=301s", "ack=maybe", "lease=2h", "lease=3601"] {
        assert_eq!(api.get(&format!("{MESSAGES}?{query}")).status, 400, "{query}");
    }
    assert_eq!(api.get(&format!("{MESSAGES}/stream?format=xml")).status, 400);
    assert_eq!(api.get(&format!("{MESSAGES}/stream?prefetch=many")).status, 400);
    for query in ["count=x", "offset=-1", "encoding=hex"] {
        assert_eq!(api.get(&format!("queues/%2F/q/peek?{query}")).status, 400, "{query}");
    }
    for path in ["messages", "messages/stream", "peek"] {
        assert_eq!(api.get(&format!("queues/%2F/absent/{path}")).status, 404, "{path}");
    }
}

/// The lines of a stream.
pub struct Events(BufReader<TcpStream>);

impl Events {
    fn open(api: &Api, query: &str) -> Events {
        Events::at(api, "guest:guest", &format!("{MESSAGES}/stream{query}"))
    }

    /// A stream at any path, in somebody's name.
    pub fn at(api: &Api, login: &str, path: &str) -> Events {
        let mut socket = TcpStream::connect(api.address).unwrap();
        socket.set_read_timeout(Some(DEADLINE)).unwrap();
        let login = STANDARD.encode(login);
        let head = format!("GET /api/{path} HTTP/1.0\r\nauthorization: Basic {login}\r\n\r\n");
        socket.write_all(head.as_bytes()).unwrap();
        let mut events = Events(BufReader::new(socket));
        let head: Vec<String> =
            std::iter::from_fn(|| Some(events.line()).filter(|line| !line.is_empty())).collect();
        assert!(head[0].contains("200"), "{head:?}");
        assert!(head.contains(&"content-type: text/event-stream".to_owned()), "{head:?}");
        events
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.0.read_line(&mut line).unwrap();
        line.trim_end_matches(['\r', '\n']).to_owned()
    }

    /// The lines up to an empty one.
    pub fn event(&mut self) -> Vec<String> {
        std::iter::from_fn(|| Some(self.line()).filter(|line| !line.is_empty())).collect()
    }
}

#[test]
fn messages_come_as_events() {
    let api = with_queue();
    let mut events = Events::open(&api, "");
    for body in [&b"a\nb"[..], &[255], b"a\r\n", b""] {
        assert_eq!(api.send("POST", MESSAGES, body).status, 200);
    }
    assert_eq!(events.event(), ["event: message", "data: a", "data: b"]);
    assert_eq!(events.event(), ["event: base64", "data: /w=="]);
    assert_eq!(events.event(), ["event: base64", "data: YQ0K"]);
    assert_eq!(events.event(), ["event: message", "data: "]);
    depth(&api, |queue| queue["messages"] == 0);
    drop(events);
    depth(&api, |queue| queue["consumers"] == 0);
    let mut events = Events::open(&api, "?format=json");
    assert_eq!(api.send("POST", MESSAGES, b"x").status, 200);
    let event = events.event();
    let message: Value = serde_json::from_str(event[1].strip_prefix("data: ").unwrap()).unwrap();
    assert_eq!((&message["payload"], &message["routing_key"]), (&json!("x"), &json!("q")));
}

#[test]
fn a_stream_holds_up_to_its_prefetch_and_gives_back_what_is_left_at_its_end() {
    let api = with_queue();
    for body in [b"1", b"2", b"3", b"4"] {
        assert_eq!(api.send("POST", MESSAGES, body).status, 200);
    }
    let mut events = Events::open(&api, "?ack=manual&prefetch=2");
    let (first, second) = (events.event(), events.event());
    assert_eq!((&*first[2], &*second[2]), ("data: 1", "data: 2"));
    depth(&api, |queue| queue["messages_unacknowledged"] == 2);
    let token = first[0].strip_prefix("id: ").unwrap();
    assert_eq!(api.delete(&format!("{MESSAGES}/{token}")).status, 204);
    assert_eq!(events.event()[2], "data: 3");
    drop(events);
    depth(&api, |queue| queue["messages_ready"] == 3);
    let bodies: Vec<_> = (0..3).map(|_| api.get(MESSAGES).text()).collect();
    assert_eq!(bodies, ["2", "3", "4"]);
}

#[test]
fn a_stream_ends_with_the_right_to_read() {
    let api = with_queue();
    let mut events = Events::open(&api, "");
    let none = json!({"configure": "", "write": ".*", "read": ""});
    assert_eq!(api.put("permissions/%2F/guest", none).status, 204);
    assert_eq!(api.send("POST", MESSAGES, b"secret").status, 200);
    assert_eq!(events.event(), Vec::<String>::new());
    depth(&api, |queue| queue["messages_ready"] == 1 && queue["consumers"] == 0);
}

#[test]
fn requests_that_wait_are_limited() {
    let api = with_queue();
    let streams: Vec<Events> = (0..128).map(|_| Events::open(&api, "")).collect();
    assert_eq!(api.get(&format!("{MESSAGES}?wait=1s")).status, 503);
    assert_eq!(api.get(MESSAGES).status, 204, "who does not wait takes no place");
    drop(streams);
    depth(&api, |queue| queue["consumers"] == 0);
    assert_eq!(api.get(&format!("{MESSAGES}?wait=1ms")).status, 204);
}

#[test]
fn looking_leaves_no_trace() {
    let api = with_queue();
    for number in 0..10 {
        api.publish("q", &number.to_string());
    }
    let peek = |query: &str| -> Vec<Value> {
        let messages = api.read(&format!("queues/%2F/q/peek{query}"));
        messages.as_array().unwrap().iter().map(|message| message["payload"].clone()).collect()
    };
    assert_eq!(peek(""), ["0"]);
    assert_eq!(peek("?offset=3&count=2"), ["3", "4"]);
    assert_eq!(peek("?offset=8&count=5"), ["8", "9"]);
    assert!(peek("?offset=10").is_empty());
    let whole = &api.read("queues/%2F/q/peek?encoding=base64")[0];
    assert_eq!((&whole["payload"], &whole["redelivered"]), (&json!("MA=="), &json!(false)));
    assert_eq!(whole["properties"], json!({"delivery_mode": 2}));
    assert_eq!(api.get(MESSAGES).header("x-redelivered"), "false");
    assert_eq!(api.read("queues/%2F/q")["messages_ready"], 9);
}

#[test]
fn messages_on_the_disk_are_looked_at_too() {
    let api = Api::start_with(|config| {
        config.message_memory = leveret::config::ByteSize(64 * 1024);
        config.shards = 1;
    });
    api.declare_queue("q", json!({"durable": true}));
    let client = api.broker.client();
    api.runtime.block_on(async {
        for number in 0..3_000u32 {
            client.publish("", "q", format!("{number:0100}")).await.unwrap();
        }
    });
    for offset in [0, 1, 700, 1_500, 2_995] {
        let messages = api.read(&format!("queues/%2F/q/peek?offset={offset}&count=5"));
        let found: Vec<u32> = messages
            .as_array()
            .unwrap()
            .iter()
            .map(|message| message["payload"].as_str().unwrap().parse().unwrap())
            .collect();
        assert_eq!(found, (offset..offset + 5).collect::<Vec<_>>());
    }
    let whole = api.read("queues/%2F/q/peek?count=1000&offset=1000&truncate=100");
    assert_eq!(whole.as_array().unwrap().len(), 1_000);
}

#[test]
fn the_examples_of_the_documentation_are_true() {
    let api = Api::start();
    let folder = tempfile::tempdir().unwrap();
    let page = include_str!("../../docs/http-messages.md");
    let mut examples = 0;
    for block in page.split("```console\n").skip(1).map(|rest| rest.split("```").next().unwrap()) {
        let block = block.replace("localhost:15672", &api.address.to_string());
        let commands: Vec<&str> =
            block.lines().filter_map(|line| line.strip_prefix("$ ")).collect();
        let expected: Vec<&str> = block.lines().filter(|line| !line.starts_with("$ ")).collect();
        let ran = Command::new("sh")
            .current_dir(&folder)
            .args(["-c", &commands.join("\n")])
            .output()
            .unwrap();
        let output = String::from_utf8(ran.stdout).unwrap();
        let output: Vec<&str> = output.lines().collect();
        assert_eq!(output, expected, "{block}");
        examples += 1;
    }
    assert!(examples >= 4);
}
