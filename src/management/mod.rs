//! The management API: HTTP and JSON, in the shapes of RabbitMQ's management plugin, so that its
//! clients and tools can be pointed here.
//!
//! ```text
//! socket ─► hyper ─► router ─► call: login, path, query, body ─► endpoint ─► reply
//!                                                                   │
//!                                                                   └─► Node
//! ```
//!
//! An endpoint is a plain function from a [`call::Call`] to an answer. It runs on a thread that may
//! take its time, because a list of a hundred thousand queues does; what it promises leaves once the
//! journal has it. Numbers that nobody measures are left out: no answer holds an invented one.

mod aliveness;
mod arguments;
mod attempts;
mod audit;
mod auth;
mod bindings;
mod body;
mod call;
mod channels;
mod compatibility;
mod connections;
mod consumers;
mod definitions;
mod error;
mod exchanges;
mod explain;
mod fields;
mod get;
mod health;
mod history;
mod limits;
mod list;
mod login;
mod memory;
mod messages;
pub mod metrics;
mod mqtt;
mod node;
mod openapi;
mod overview;
mod page;
mod parameters;
mod permissions;
mod policies;
mod properties;
mod publish;
mod queues;
mod quorum;
mod rates;
mod reply;
mod routes;
mod sampler;
mod seal;
mod sessions;
mod settings;
mod totals;
mod ui;
mod users;
mod vhosts;

use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse, Response};
use tower::ServiceExt as _;

use crate::server::{Node, websocket};
use call::{Api, refuse};
use error::Refusal;

pub use definitions::{LoadDefinitionsError, load_configured};
pub use get::message_to_json;

/// The routes of the API and of the UI; AMQP and MQTT over WebSocket.
///
/// Requests need the extension `ConnectInfo<SocketAddr>`, which the HTTP server adds: the user `guest` is
/// let in from this machine only, and whoever has no address counts as being elsewhere. A request that it
/// marks as the operator's needs no login.
pub fn router(node: Arc<Node>) -> Router {
    let shared = Arc::new(Api::new(node.clone()));
    let sessions = shared.sessions.clone();
    tokio::spawn(rates::run(Arc::downgrade(&shared)));
    let routes = Router::new()
        .nest("/api", routes::router())
        .route("/", axum::routing::get(front_page))
        .fallback(|request: Request| refuse(request, Refusal::no_such_object()))
        .method_not_allowed_fallback(no_such_method)
        .with_state(shared)
        .merge(ui::routes())
        .merge(metrics::guarded_routes(node.clone(), sessions))
        .merge(websocket::routes(node));
    Router::new().fallback_service(routes.map_request(without_empty_parts))
}

/// Tools that put a virtual host of `/` into a path ask for `/api/queues//`, and others end a path with
/// a slash. Only what looks is understood like that: nobody should delete something else by it.
fn without_empty_parts(mut request: Request) -> Request {
    let path = request.uri().path();
    let has_empty = path.contains("//") || path.ends_with('/');
    let looks = matches!(*request.method(), Method::GET | Method::HEAD);
    if !has_empty || !looks || !path.starts_with("/api/") {
        return request;
    }
    let mut target = String::new();
    for part in path.split('/').filter(|part| !part.is_empty()) {
        target.extend(["/", part]);
    }
    if let Some(query) = request.uri().query() {
        target.extend(["?", query]);
    }
    if let Ok(target) = target.parse() {
        *request.uri_mut() = target;
    }
    request
}

/// Clients of AMQP over WebSocket are often given an address without a path.
async fn front_page(State(api): State<Arc<Api>>, request: Request) -> Response {
    if websocket::is_wanted(request.headers()) {
        return websocket::upgrade(&api.node, request);
    }
    ui::front_page(&request)
}

/// The router adds the header that names the methods there are, which is all that OPTIONS asks for.
async fn no_such_method(request: Request) -> Response {
    if request.method() == Method::OPTIONS {
        return StatusCode::OK.into_response();
    }
    refuse(request, Refusal::no_such_method()).await
}
