//! AMQP and MQTT over WebSocket: HTTP requests that become connections, over TCP or TLS.
//!
//! The path or the subprotocol says which of the two is spoken. MQTT wants its subprotocol to be offered
//! [MQTT-6.0.0-3] and answers it [MQTT-6.0.0-4]; AMQP has none that all clients offer.
//!
//! A browser lets any web page connect to any address, and says whose page it is. From this machine the
//! user `guest` and clients without a name are let in, so pages from elsewhere are not.

pub mod frames;
mod origin;
mod stream;

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{ConnectInfo, Request, State};
use axum::http::StatusCode;
use axum::http::header::{
    HeaderMap, HeaderName, HeaderValue, ORIGIN, SEC_WEBSOCKET_PROTOCOL, SEC_WEBSOCKET_VERSION,
    UPGRADE,
};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use hyper::upgrade::OnUpgrade;
use hyper::upgrade::Parts;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tungstenite::error::{Error, ProtocolError};
use tungstenite::handshake::server::create_response_with_body;

use super::Node;
use super::address::Link;
use super::frontend::{Socket, serve_amqp, serve_mqtt};
use super::http::Patient;
use super::tls::TlsStream;
use stream::WebSocket;

/// All that there is on the port for WebSocket.
pub fn router(node: Arc<Node>) -> Router {
    let any = |State(node): State<Arc<Node>>, request| std::future::ready(upgrade(&node, request));
    Router::new().route("/", get(any)).with_state(node.clone()).merge(routes(node))
}

/// What there is below `/`, beside other things.
pub fn routes(node: Arc<Node>) -> Router {
    PATHS
        .iter()
        .fold(Router::new(), |router, (path, wanted)| {
            let handler = |State(node): State<Arc<Node>>, request| {
                std::future::ready(upgrade_to(&node, *wanted, request))
            };
            router.route(path, get(handler))
        })
        .with_state(node)
}

/// Whether a request wants to become a WebSocket.
pub fn is_wanted(headers: &HeaderMap) -> bool {
    headers.contains_key(UPGRADE)
}

/// Makes a connection of a request whose path does not say what is to be spoken.
pub fn upgrade(node: &Arc<Node>, request: Request) -> Response {
    upgrade_to(node, None, request)
}

/// A protocol that is spoken in WebSocket frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Spoken {
    Amqp,
    Mqtt,
}

/// `/ws` is RabbitMQ's path for MQTT; LavinMQ has AMQP there.
const PATHS: [(&str, Option<Spoken>); 5] = [
    ("/amqp", Some(Spoken::Amqp)),
    ("/ws/amqp", Some(Spoken::Amqp)),
    ("/mqtt", Some(Spoken::Mqtt)),
    ("/ws/mqtt", Some(Spoken::Mqtt)),
    ("/ws", None),
];

type Refusal = (StatusCode, [(HeaderName, &'static str); 1], String);

fn upgrade_to(node: &Arc<Node>, wanted: Option<Spoken>, mut request: Request) -> Response {
    match accept(node, wanted, &request) {
        Ok((spoken, response)) => {
            if let Some(link) = request.extensions_mut().remove::<Link>() {
                let link = Link { is_web: true, ..link };
                tokio::spawn(run(node.clone(), spoken, link, hyper::upgrade::on(&mut request)));
            }
            response
        }
        Err(refusal) => {
            tracing::info!(status = %refusal.0, reason = refusal.2, "WebSocket refused");
            refusal.into_response()
        }
    }
}

fn accept(
    node: &Node,
    wanted: Option<Spoken>,
    request: &Request,
) -> Result<(Spoken, Response), Refusal> {
    let mut response = create_response_with_body(request, Body::empty).map_err(not_upgraded)?;
    check_origin(node, request)?;
    let (spoken, subprotocol) = choose(wanted, request.headers())?;
    if let Some(subprotocol) = subprotocol {
        let value = HeaderValue::from_static(subprotocol);
        response.headers_mut().insert(SEC_WEBSOCKET_PROTOCOL, value);
    }
    Ok((spoken, response))
}

fn not_upgraded(error: Error) -> Refusal {
    let (status, header) = match &error {
        Error::Protocol(
            ProtocolError::MissingConnectionUpgradeHeader
            | ProtocolError::MissingUpgradeWebSocketHeader,
        ) => (StatusCode::UPGRADE_REQUIRED, (UPGRADE, "websocket")),
        Error::Protocol(ProtocolError::MissingSecWebSocketVersionHeader) => {
            (StatusCode::UPGRADE_REQUIRED, (SEC_WEBSOCKET_VERSION, "13"))
        }
        _ => (StatusCode::BAD_REQUEST, (SEC_WEBSOCKET_VERSION, "13")),
    };
    (status, [header], format!("This is for WebSocket: {error}\n"))
}

fn check_origin(node: &Node, request: &Request) -> Result<(), Refusal> {
    let Some(origin) = request.headers().get(ORIGIN) else { return Ok(()) };
    let origin = String::from_utf8_lossy(origin.as_bytes());
    let peer = request.extensions().get::<ConnectInfo<SocketAddr>>();
    // Who has no address may be anywhere, here as well.
    let is_here = peer.is_none_or(|ConnectInfo(peer)| peer.ip().to_canonical().is_loopback());
    if origin::is_allowed(&origin, &node.config.websocket_origins, is_here) {
        return Ok(());
    }
    let text = format!("Pages of {origin} may not connect; see the setting websocket_origins.\n");
    Err((StatusCode::FORBIDDEN, [PLAIN], text))
}

/// What will be spoken, and the subprotocol to answer.
fn choose(
    wanted: Option<Spoken>,
    headers: &HeaderMap,
) -> Result<(Spoken, Option<&'static str>), Refusal> {
    let offered: Vec<&str> = headers
        .get_all(SEC_WEBSOCKET_PROTOCOL)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(',').map(str::trim))
        .collect();
    let known = SUBPROTOCOLS.iter().filter(|(spoken, _)| wanted.is_none_or(|it| it == *spoken));
    let known: Vec<_> = known.collect();
    if let Some((spoken, name)) = known.iter().find(|(_, name)| offered.contains(name)) {
        return Ok((*spoken, Some(name)));
    }
    if offered.is_empty() && wanted != Some(Spoken::Mqtt) {
        return Ok((Spoken::Amqp, None));
    }
    let names: Vec<_> = known.iter().map(|(_, name)| *name).collect();
    let text = format!("The subprotocols here are {}.\n", names.join(", "));
    Err((StatusCode::BAD_REQUEST, [PLAIN], text))
}

/// Runs the connection once the answer is on its way.
async fn run(node: Arc<Node>, spoken: Spoken, link: Link, upgrade: OnUpgrade) {
    let Ok(upgraded) = upgrade.await else { return };
    match upgraded.downcast::<TokioIo<Patient<TcpStream>>>() {
        Ok(parts) => serve(&node, spoken, parts, link),
        Err(upgraded) => {
            if let Ok(parts) = upgraded.downcast::<TokioIo<Patient<TlsStream>>>() {
                serve(&node, spoken, parts, link);
            }
        }
    }
}

fn serve(
    node: &Arc<Node>,
    spoken: Spoken,
    parts: Parts<TokioIo<Patient<impl Socket>>>,
    link: Link,
) {
    let (socket, begun) = (parts.io.into_inner().into_inner(), parts.read_buf);
    let socket = WebSocket::new(socket, begun, node.config.websocket_message_len());
    match spoken {
        Spoken::Amqp => serve_amqp(node, socket, link),
        Spoken::Mqtt => serve_mqtt(node, socket, link),
    }
}

/// In the order in which they are preferred. The second one is what MQTT 3.1 clients offer.
const SUBPROTOCOLS: [(Spoken, &str); 3] =
    [(Spoken::Mqtt, "mqtt"), (Spoken::Mqtt, "mqttv3.1"), (Spoken::Amqp, "amqp")];
const PLAIN: (HeaderName, &str) = (axum::http::header::CONTENT_TYPE, "text/plain; charset=utf-8");
