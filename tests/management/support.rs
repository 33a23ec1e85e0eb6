//! A broker on free ports and an HTTP client for it.

#![allow(clippy::disallowed_methods, reason = "a deadline of a test")]

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use leveret::{Broker, Config, StartError};
use serde_json::{Value, json};
use tokio::runtime::Runtime;
use ureq::http::{Request, Response};

/// How long anything may take.
pub const DEADLINE: Duration = Duration::from_secs(20);

const GUEST: (&str, &str) = ("guest", "guest");

/// A running broker and its API.
pub struct Api {
    /// Where the API is.
    pub address: SocketAddr,
    /// The broker.
    pub broker: Broker,
    /// Where the broker runs.
    pub runtime: Runtime,
    agent: ureq::Agent,
    _folder: Option<tempfile::TempDir>,
}

/// What came back.
pub struct Answer {
    /// The status code.
    pub status: u16,
    headers: ureq::http::HeaderMap,
    body: Vec<u8>,
}

impl Api {
    /// A broker with the defaults.
    pub fn start() -> Api {
        Api::start_with(|_| {})
    }

    /// A broker with some settings changed.
    pub fn start_with(change: impl FnOnce(&mut Config)) -> Api {
        let folder = tempfile::tempdir().unwrap();
        let mut config = Config::local(folder.path());
        change(&mut config);
        Api { _folder: Some(folder), ..Api::start_in(config).unwrap() }
    }

    /// A broker with this configuration.
    pub fn start_in(config: Config) -> Result<Api, StartError> {
        let runtime = Runtime::new().unwrap();
        let broker = runtime.block_on(Broker::start(config))?;
        let agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .allow_non_standard_methods(true)
            .timeout_global(Some(DEADLINE))
            .build()
            .into();
        Ok(Api { address: broker.http_address(), broker, runtime, agent, _folder: None })
    }

    /// Stops the broker in good order.
    pub fn stop(self) {
        self.runtime.block_on(self.broker.shutdown()).unwrap();
    }

    /// A request with a JSON body, as guest; `path` is below `/api`.
    pub fn request(&self, method: &str, path: &str, body: Option<&Value>) -> Answer {
        self.request_as(Some(GUEST), method, path, body)
    }

    /// A request in somebody's name.
    pub fn request_as(
        &self,
        login: Option<(&str, &str)>,
        method: &str,
        path: &str,
        body: Option<&Value>,
    ) -> Answer {
        let body = body.map(|body| body.to_string().into_bytes());
        self.run(login, method, &format!("/api/{path}"), &[], body.as_deref())
    }

    /// A request with any body, as guest.
    pub fn send(&self, method: &str, path: &str, body: &[u8]) -> Answer {
        self.send_with(method, path, &[], body)
    }

    /// The same with headers.
    pub fn send_with(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Answer {
        self.run(Some(GUEST), method, &format!("/api/{path}"), headers, Some(body))
    }

    /// POST of a form with one file, as browsers send it.
    pub fn post_file(&self, path: &str, field: &str, file: &str) -> Answer {
        let body = format!(
            "--BOUNDARY\r\nContent-Disposition: form-data; name=\"{field}\"; filename=\"d.json\"\r\n\
             Content-Type: application/json\r\n\r\n{file}\r\n--BOUNDARY--\r\n"
        );
        let uri = format!("http://{}/api/{path}", self.address);
        let request = Request::builder().method("POST").uri(uri);
        let request = request
            .header("authorization", format!("Basic {}", STANDARD.encode("guest:guest")))
            .header("content-type", "multipart/form-data; boundary=BOUNDARY");
        Answer::of(self.agent.run(request.body(body.as_bytes()).unwrap()))
    }

    /// GET of something outside the API.
    pub fn at_root(&self, path: &str) -> Answer {
        self.run(None, "GET", path, &[], None)
    }

    /// GET of something outside the API, in somebody's name.
    pub fn root_as(&self, login: Option<(&str, &str)>, path: &str) -> Answer {
        self.run(login, "GET", path, &[], None)
    }

    /// GET at another port of the broker.
    pub fn at_port(&self, port: u16, path: &str) -> Answer {
        Answer::of(self.agent.get(format!("http://127.0.0.1:{port}{path}")).call())
    }

    /// GET.
    pub fn get(&self, path: &str) -> Answer {
        self.request("GET", path, None)
    }

    /// PUT.
    pub fn put(&self, path: &str, body: Value) -> Answer {
        self.request("PUT", path, Some(&body))
    }

    /// POST.
    pub fn post(&self, path: &str, body: Value) -> Answer {
        self.request("POST", path, Some(&body))
    }

    /// DELETE.
    pub fn delete(&self, path: &str) -> Answer {
        self.request("DELETE", path, None)
    }

    /// GET that has to succeed.
    pub fn read(&self, path: &str) -> Value {
        let answer = self.get(path);
        assert_eq!(answer.status, 200, "{path}: {}", answer.text());
        answer.json()
    }

    /// A new queue of the default vhost.
    pub fn declare_queue(&self, name: &str, spec: Value) {
        assert_eq!(self.put(&format!("queues/%2F/{}", segment(name)), spec).status, 201);
    }

    /// Publishes a persistent message to a queue by its name.
    pub fn publish(&self, queue: &str, payload: &str) {
        let message = json!({
            "properties": {"delivery_mode": 2}, "routing_key": queue, "payload": payload,
            "payload_encoding": "string",
        });
        let answer = self.post("exchanges/%2F/amq.default/publish", message);
        assert_eq!(answer.json(), json!({"routed": true}));
    }

    /// Waits until something at a path is as it should be.
    pub fn wait_for(&self, path: &str, is_there: impl Fn(&Value) -> bool) -> Value {
        let until = Instant::now() + DEADLINE;
        loop {
            let value = self.read(path);
            if is_there(&value) {
                return value;
            }
            assert!(Instant::now() < until, "{path} is {value}");
            std::thread::yield_now();
        }
    }

    /// A request with any path, login, headers and body.
    pub fn run(
        &self,
        login: Option<(&str, &str)>,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<&[u8]>,
    ) -> Answer {
        let uri = format!("http://{}{path}", self.address);
        let mut request = Request::builder().method(method).uri(uri);
        if let Some((user, password)) = login {
            let login = format!("{user}:{password}");
            let login = STANDARD.encode(login);
            request = request.header("authorization", format!("Basic {login}"));
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        Answer::of(match body {
            None => self.agent.run(request.body(()).unwrap()),
            Some(body) => self.agent.run(request.body(body).unwrap()),
        })
    }
}

impl Answer {
    fn of(response: Result<Response<ureq::Body>, ureq::Error>) -> Self {
        let mut response = response.unwrap();
        let body = response.body_mut().read_to_vec().unwrap();
        Answer { status: response.status().as_u16(), headers: response.headers().clone(), body }
    }

    /// The body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("no JSON: {}", self.text()))
    }

    /// The body as it came.
    pub fn bytes(&self) -> &[u8] {
        &self.body
    }

    /// The body.
    pub fn text(&self) -> String {
        String::from_utf8(self.body.clone()).unwrap()
    }

    /// Why not.
    pub fn reason(&self) -> String {
        self.json()["reason"].as_str().unwrap().to_owned()
    }

    /// A header that may be no text.
    pub fn header_bytes(&self, name: &str) -> &[u8] {
        self.headers.get(name).map_or(&[], |value| value.as_bytes())
    }

    /// A header; empty if it is not there.
    pub fn header(&self, name: &str) -> String {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap()).to_owned()
    }
}

/// Waits until something is as it should be.
pub fn wait_until(is_so: impl Fn() -> bool) {
    let until = Instant::now() + DEADLINE;
    while !is_so() {
        assert!(Instant::now() < until, "it does not come about");
        std::thread::yield_now();
    }
}

/// One segment of a path.
pub fn segment(text: &str) -> String {
    let encode = |byte: u8| match byte {
        byte if byte.is_ascii_alphanumeric() => char::from(byte).to_string(),
        byte => format!("%{byte:02X}"),
    };
    text.bytes().map(encode).collect()
}

/// A client of MQTT 3.1.1 that has logged in as guest.
pub fn mqtt(api: &Api, client_id: &str) -> TcpStream {
    let mut socket = TcpStream::connect(api.broker.mqtt_address()).unwrap();
    socket.set_read_timeout(Some(DEADLINE)).unwrap();
    let mut packet = vec![0, 4, b'M', b'Q', b'T', b'T', 4, 0xC2, 0, 60];
    for text in [client_id, "guest", "guest"] {
        packet.extend((text.len() as u16).to_be_bytes());
        packet.extend(text.as_bytes());
    }
    packet.splice(0..0, [0x10, packet.len() as u8]);
    socket.write_all(&packet).unwrap();
    let mut connack = [0; 4];
    socket.read_exact(&mut connack).unwrap();
    assert_eq!(connack, [0x20, 2, 0, 0]);
    socket
}
