//! A broker, and the program as a person or a script runs it.

#![allow(dead_code, reason = "not every file of tests needs all of it")]

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use leveret::{Broker, Config};
use serde_json::Value;
use tempfile::TempDir;
use tokio::runtime::Runtime;

/// How long anything may take.
pub const DEADLINE: Duration = Duration::from_secs(60);

/// A running broker, and a folder to be in.
pub struct Local {
    /// The broker.
    pub broker: Broker,
    /// Where the broker runs.
    pub runtime: Runtime,
    /// Where the program runs; the data of the broker is in `data` there.
    pub folder: TempDir,
}

/// What the program did.
#[derive(Debug)]
pub struct Ran {
    /// The exit code.
    pub code: i32,
    /// Standard output.
    pub out: String,
    /// Standard error.
    pub err: String,
}

impl Local {
    /// A broker with its socket where it is by default.
    pub fn start() -> Local {
        let folder = TempDir::new().unwrap();
        let mut config = Config::local(folder.path().join("data"));
        config.http_unix_path = Config::default().http_unix_path;
        let runtime = Runtime::new().unwrap();
        let broker = runtime.block_on(Broker::start(config)).unwrap();
        Local { broker, runtime, folder }
    }

    /// The socket of the management API.
    pub fn socket(&self) -> PathBuf {
        self.folder.path().join("data/leveret.sock")
    }

    /// The address of the management API.
    pub fn url(&self) -> String {
        format!("http://{}", self.broker.http_address())
    }

    /// Runs the program as the operator.
    pub fn run(&self, arguments: &[&str]) -> Ran {
        run_in(self.folder.path(), &[], b"", arguments)
    }

    /// Runs the program, which has to succeed; what it says.
    pub fn ok(&self, arguments: &[&str]) -> String {
        let ran = self.run(arguments);
        assert_eq!((ran.code, &*ran.err), (0, ""), "{arguments:?}: {ran:?}");
        ran.out
    }

    /// Runs the program, which has to succeed and give JSON.
    pub fn json(&self, arguments: &[&str]) -> Value {
        let out = self.ok(&[&["--format", "json"], arguments].concat());
        serde_json::from_str(&out).unwrap_or_else(|_| panic!("no JSON: {out}"))
    }

    /// Runs the program, which has to fail; what it says why.
    pub fn fails(&self, code: i32, arguments: &[&str]) -> String {
        let ran = self.run(arguments);
        assert_eq!(ran.code, code, "{arguments:?}: {ran:?}");
        ran.err
    }

    /// Runs the program with a login at the address.
    pub fn run_at_url(&self, environment: &[(&str, &str)], arguments: &[&str]) -> Ran {
        let url = self.url();
        let arguments = [&["--url", &*url], arguments].concat();
        run_in(self.folder.path(), environment, b"", &arguments)
    }

    /// A file in the folder.
    pub fn file(&self, name: &str, text: &str) -> String {
        let path = self.folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    }

    /// An MQTT client that has logged in.
    pub fn mqtt_client(&self, id: &str) -> TcpStream {
        let mut socket = TcpStream::connect(self.broker.mqtt_address()).unwrap();
        socket.set_read_timeout(Some(DEADLINE)).unwrap();
        let mut connect = vec![0x10, 12 + id.len() as u8, 0, 4];
        connect.extend(b"MQTT\x04\x02\x00\x3c\x00");
        connect.push(id.len() as u8);
        connect.extend(id.as_bytes());
        socket.write_all(&connect).unwrap();
        let mut connack = [0; 4];
        socket.read_exact(&mut connack).unwrap();
        assert_eq!(connack, [0x20, 2, 0, 0]);
        socket
    }
}

/// Runs the program with nothing in its environment but what is given.
pub fn run_in(
    folder: &Path,
    environment: &[(&str, &str)],
    input: &[u8],
    arguments: &[&str],
) -> Ran {
    let mut child = Command::new(env!("CARGO_BIN_EXE_leveretctl"))
        .args(arguments)
        .current_dir(folder)
        .env_clear()
        .envs(environment.iter().copied())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // Not every command reads it.
    _ = child.stdin.take().unwrap().write_all(input);
    let output = child.wait_with_output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Ran { code: output.status.code().unwrap(), out: text(output.stdout), err: text(output.stderr) }
}

/// Something that answers every request in the same way, or never, and keeps what it was asked.
pub struct Stub {
    /// Where it is.
    pub address: SocketAddr,
    /// The requests.
    pub requests: Arc<Mutex<Vec<String>>>,
}

impl Stub {
    /// One that answers with a status and a body; with status 0 it never does.
    pub fn start(status: u16, body: &str) -> Stub {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let (kept, body) = (requests.clone(), body.to_owned());
        std::thread::spawn(move || {
            let mut silent = Vec::new();
            for socket in listener.incoming() {
                let mut socket = socket.unwrap();
                kept.lock().unwrap().push(read_request(&mut socket));
                match status {
                    0 => silent.push(socket),
                    _ => answer(&mut socket, status, &body),
                }
            }
        });
        Stub { address, requests }
    }

    /// Runs the program with it.
    pub fn run(&self, arguments: &[&str]) -> Ran {
        let folder = TempDir::new().unwrap();
        let url = format!("http://{}", self.address);
        run_in(folder.path(), &[], b"", &[&["--url", &*url], arguments].concat())
    }

    /// Method and path of each request.
    pub fn asked(&self) -> Vec<String> {
        let requests = self.requests.lock().unwrap();
        let line = |request: &String| {
            request.lines().next().unwrap_or_default().trim_end_matches(" HTTP/1.1").to_owned()
        };
        requests.iter().map(line).collect()
    }
}

fn answer(socket: &mut TcpStream, status: u16, body: &str) {
    let length =
        if status == 204 { String::new() } else { format!("content-length: {}\r\n", body.len()) };
    // Who hangs up earlier does not want it.
    _ = socket.write_all(format!("HTTP/1.1 {status} X\r\n{length}\r\n{body}").as_bytes());
}

fn read_request(socket: &mut TcpStream) -> String {
    let (mut request, mut octet) = (Vec::new(), [0]);
    while !request.ends_with(b"\r\n\r\n") && socket.read(&mut octet).unwrap_or(0) == 1 {
        request.extend(octet);
    }
    let head = String::from_utf8_lossy(&request).to_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
    let mut body = vec![0; length.map_or(0, |length| length.parse().unwrap())];
    socket.read_exact(&mut body).unwrap();
    request.extend(body);
    String::from_utf8_lossy(&request).into_owned()
}
