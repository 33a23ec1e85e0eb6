//! A broker process on free ports and a temporary data directory.
//!
//! The binary is `LEVERET_BIN`, by default `target/release/leveret`. Ports are below the range that
//! the kernel gives to outgoing connections, so that no client takes the port of a broker that is
//! down for a restart.

use std::fs::{self, File};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;
use std::{env, process, thread};

/// A broker, which ends with its value.
pub struct Broker {
    directory: PathBuf,
    ports: [u16; 4],
    process: Child,
}

impl Broker {
    /// Starts a broker, and waits until its ports accept.
    pub fn start() -> Self {
        let ports = std::array::from_fn(|_| free_port());
        let directory = env::temp_dir().join(format!("leveret-rumqttc-{}", ports[0]));
        fs::create_dir_all(&directory).expect("a directory for the broker");
        let process = launch(&directory, ports);
        let mut broker = Self { directory, ports, process };
        broker.wait_until_up();
        broker
    }

    /// The port of MQTT.
    pub fn mqtt(&self) -> u16 {
        self.ports[1]
    }

    /// `kill -9`, and a start on the same directory and ports.
    pub fn kill_and_restart(&mut self) {
        self.kill();
        self.process = launch(&self.directory, self.ports);
        self.wait_until_up();
    }

    fn kill(&mut self) {
        self.process.kill().expect("the broker is a child");
        self.process.wait().expect("the broker is a child");
    }

    fn wait_until_up(&mut self) {
        for _ in 0..STARTING_LOOKS_MAX {
            if self.ports.iter().all(|port| TcpStream::connect(("127.0.0.1", *port)).is_ok()) {
                return;
            }
            let ended = self.process.try_wait().expect("the broker is a child");
            assert!(ended.is_none(), "the broker has ended: {ended:?}\n{}", self.output());
            thread::sleep(Duration::from_millis(10));
        }
        panic!("the broker does not accept connections\n{}", self.output());
    }

    fn output(&self) -> String {
        fs::read_to_string(self.directory.join("broker.log")).unwrap_or_default()
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        self.kill();
        let output = self.output();
        if !thread::panicking() {
            assert!(!output.contains("panicked at"), "the broker panicked:\n{output}");
            fs::remove_dir_all(&self.directory).expect("the directory of the broker");
        }
    }
}

fn launch(directory: &PathBuf, [amqp, mqtt, http, websocket]: [u16; 4]) -> Child {
    let built = concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/release/leveret");
    let binary = env::var_os("LEVERET_BIN").unwrap_or_else(|| built.into());
    let log = directory.join("broker.log");
    let log = File::options().create(true).append(true).open(log).expect("a log for the broker");
    let mut command = Command::new(&binary);
    for (name, _) in env::vars_os().filter(|(name, _)| name.as_encoded_bytes().starts_with(OURS)) {
        command.env_remove(name);
    }
    command
        .args(["--bind", "127.0.0.1", "--data-dir", "data"])
        .args(["--amqp-port", &amqp.to_string(), "--mqtt-port", &mqtt.to_string()])
        .args(["--http-port", &http.to_string(), "--websocket-port", &websocket.to_string()])
        .args(["--metrics-port", "0"])
        .current_dir(directory)
        .stdin(Stdio::null())
        .stdout(log.try_clone().expect("a second handle of the log"))
        .stderr(log)
        .spawn()
        .unwrap_or_else(|error| panic!("cannot start {}: {error}", binary.display()))
}

fn free_port() -> u16 {
    static GIVEN: AtomicU16 = AtomicU16::new(0);
    loop {
        let offset = process::id() as u16 ^ GIVEN.fetch_add(1, Ordering::Relaxed);
        let port = 20_000 + offset % 12_000;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

const OURS: &[u8] = b"LEVERET_";
/// With the pauses between them they take half a minute.
const STARTING_LOOKS_MAX: usize = 3_000;
