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

mod arguments;
mod auth;
mod bindings;
mod call;
mod channels;
mod connections;
mod error;
mod exchanges;
mod fields;
mod get;
mod limits;
mod list;
mod node;
mod overview;
mod page;
mod parameters;
mod permissions;
mod policies;
mod properties;
mod publish;
mod queues;
mod rates;
mod reply;
mod totals;
mod users;
mod vhosts;

use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodFilter, MethodRouter, on};

use crate::server::{Node, websocket};
use call::{Api, Endpoint, respond, respond_on_thread};
use error::Refusal;

pub use get::message_to_json;

/// The routes of the API and a page that names it; AMQP and MQTT over WebSocket.
///
/// Requests need the extension `ConnectInfo<SocketAddr>`, which the HTTP server adds: the user `guest` is
/// let in from this machine only, and whoever has no address counts as being elsewhere.
pub fn router(node: Arc<Node>) -> Router {
    let api = Router::new()
        .merge(server_routes())
        .merge(user_routes())
        .merge(policy_routes())
        .merge(parameter_routes())
        .merge(limit_routes())
        .merge(connection_routes())
        .merge(exchange_routes())
        .merge(queue_routes())
        .merge(binding_routes());
    Router::new()
        .nest("/api", api)
        .route("/", axum::routing::get(front_page))
        .fallback(|| std::future::ready(Refusal::no_such_object()))
        .method_not_allowed_fallback(|method: Method| std::future::ready(no_such_method(&method)))
        .with_state(Arc::new(Api::new(node.clone())))
        .merge(websocket::routes(node))
}

/// Clients of AMQP over WebSocket are often given an address without a path.
async fn front_page(State(api): State<Arc<Api>>, request: Request) -> Response {
    if websocket::is_wanted(request.headers()) {
        return websocket::upgrade(&api.node, request);
    }
    FRONT_PAGE.into_response()
}

type Routes = Router<Arc<Api>>;

fn server_routes() -> Routes {
    Router::new()
        .route("/overview", methods([(GET, overview::show)]))
        .route("/cluster-name", methods([(GET, overview::cluster_name)]))
        .route("/whoami", methods([(GET, users::whoami)]))
        .route("/nodes", methods([(GET, node::list)]))
        .route("/nodes/{node}", methods([(GET, node::show)]))
        .route("/vhosts", methods([(GET, vhosts::list)]))
        .route(
            "/vhosts/{vhost}",
            methods([(GET, vhosts::show), (PUT, vhosts::put), (DELETE, vhosts::delete)]),
        )
        .route(
            "/vhosts/{vhost}/deletion/protection",
            methods([(POST, vhosts::protect), (DELETE, vhosts::unprotect)]),
        )
}

fn user_routes() -> Routes {
    Router::new()
        .route("/users", methods([(GET, users::list)]))
        .route("/users/without-permissions", methods([(GET, users::list_without_permissions)]))
        .route("/users/bulk-delete", methods([(POST, users::delete_many)]))
        .route(
            "/users/{user}",
            methods([(GET, users::show), (PUT, users::put), (DELETE, users::delete)]),
        )
        .route("/permissions", methods([(GET, permissions::list)]))
        .route("/vhosts/{vhost}/permissions", methods([(GET, permissions::list)]))
        .route("/users/{user}/permissions", methods([(GET, permissions::list)]))
        .route(
            "/permissions/{vhost}/{user}",
            methods([
                (GET, permissions::show),
                (PUT, permissions::put),
                (DELETE, permissions::clear),
            ]),
        )
        .route("/topic-permissions", methods([(GET, permissions::list_topics)]))
        .route("/vhosts/{vhost}/topic-permissions", methods([(GET, permissions::list_topics)]))
        .route("/users/{user}/topic-permissions", methods([(GET, permissions::list_topics)]))
        .route(
            "/topic-permissions/{vhost}/{user}",
            methods([
                (GET, permissions::show_topics),
                (PUT, permissions::put_topics),
                (DELETE, permissions::clear_topics),
            ]),
        )
        .route(
            "/topic-permissions/{vhost}/{user}/{exchange}",
            methods([(GET, permissions::show_topics), (DELETE, permissions::clear_topics)]),
        )
}

fn parameter_routes() -> Routes {
    Router::new()
        .route("/parameters", methods([(GET, parameters::list)]))
        .route("/parameters/{component}", methods([(GET, parameters::list)]))
        .route("/parameters/{component}/{vhost}", methods([(GET, parameters::list)]))
        .route(
            "/parameters/{component}/{vhost}/{name}",
            methods([(GET, parameters::none), (PUT, parameters::put), (DELETE, parameters::none)]),
        )
        .route("/global-parameters", methods([(GET, parameters::list_global)]))
        .route(
            "/global-parameters/{name}",
            methods([
                (GET, parameters::show_global),
                (PUT, parameters::put_global),
                (DELETE, parameters::delete_global),
            ]),
        )
}

fn policy_routes() -> Routes {
    Router::new()
        .route("/policies", methods([(GET, policies::list)]))
        .route("/policies/{vhost}", methods([(GET, policies::list)]))
        .route(
            "/policies/{vhost}/{name}",
            methods([(GET, policies::show), (PUT, policies::put), (DELETE, policies::delete)]),
        )
        .route("/operator-policies", methods([(GET, policies::list_operators)]))
        .route("/operator-policies/{vhost}", methods([(GET, policies::list_operators)]))
        .route(
            "/operator-policies/{vhost}/{name}",
            methods([
                (GET, policies::show_operators),
                (PUT, policies::put_operators),
                (DELETE, policies::delete_operators),
            ]),
        )
}

fn limit_routes() -> Routes {
    Router::new()
        .route("/vhost-limits", methods([(GET, limits::list_of_vhosts)]))
        .route("/vhost-limits/{vhost}", methods([(GET, limits::list_of_vhosts)]))
        .route(
            "/vhost-limits/{vhost}/{limit}",
            methods([(PUT, limits::put_of_vhost), (DELETE, limits::clear_of_vhost)]),
        )
        .route("/user-limits", methods([(GET, limits::list_of_users)]))
        .route("/user-limits/{user}", methods([(GET, limits::list_of_users)]))
        .route(
            "/user-limits/{user}/{limit}",
            methods([(PUT, limits::put_of_user), (DELETE, limits::clear_of_user)]),
        )
}

fn connection_routes() -> Routes {
    Router::new()
        .route("/connections", methods([(GET, connections::list)]))
        .route("/vhosts/{vhost}/connections", methods([(GET, connections::list)]))
        .route(
            "/connections/{connection}",
            methods([(GET, connections::show), (DELETE, connections::close)]),
        )
        .route(
            "/connections/username/{user}",
            methods([(GET, connections::of_user), (DELETE, connections::close_of_user)]),
        )
        .route("/connections/{connection}/channels", methods([(GET, channels::of_connection)]))
        .route("/channels", methods([(GET, channels::list)]))
        .route("/vhosts/{vhost}/channels", methods([(GET, channels::list)]))
        .route("/channels/{channel}", methods([(GET, channels::show)]))
}

fn exchange_routes() -> Routes {
    Router::new()
        .route("/exchanges", methods([(GET, exchanges::list)]))
        .route("/exchanges/{vhost}", methods([(GET, exchanges::list)]))
        .route(
            "/exchanges/{vhost}/{exchange}",
            methods([
                (GET, exchanges::show),
                (PUT, exchanges::declare),
                (DELETE, exchanges::delete),
            ]),
        )
        .route(
            "/exchanges/{vhost}/{exchange}/bindings/source",
            methods([(GET, bindings::from_exchange)]),
        )
        .route(
            "/exchanges/{vhost}/{exchange}/bindings/destination",
            methods([(GET, bindings::to_exchange)]),
        )
        .route("/exchanges/{vhost}/{exchange}/publish", methods([(POST, publish::publish)]))
}

fn queue_routes() -> Routes {
    let get = on(MethodFilter::POST, |State(api): State<Arc<Api>>, request: Request| {
        respond(api, request, get::get)
    });
    Router::new()
        .route("/queues", methods([(GET, queues::list)]))
        .route("/queues/detailed", methods([(GET, queues::list)]))
        .route("/queues/{vhost}", methods([(GET, queues::list)]))
        .route(
            "/queues/{vhost}/{queue}",
            methods([(GET, queues::show), (PUT, queues::declare), (DELETE, queues::delete)]),
        )
        .route("/queues/{vhost}/{queue}/contents", methods([(DELETE, queues::purge)]))
        .route("/queues/{vhost}/{queue}/bindings", methods([(GET, bindings::to_queue)]))
        .route("/queues/{vhost}/{queue}/get", get)
}

fn binding_routes() -> Routes {
    Router::new()
        .route("/bindings", methods([(GET, bindings::list)]))
        .route("/bindings/{vhost}", methods([(GET, bindings::list)]))
        .route(
            "/bindings/{vhost}/e/{source}/{kind}/{destination}",
            methods([(GET, bindings::between), (POST, bindings::bind)]),
        )
        .route(
            "/bindings/{vhost}/e/{source}/{kind}/{destination}/{props}",
            methods([(GET, bindings::show), (DELETE, bindings::unbind)]),
        )
}

fn methods<const N: usize>(endpoints: [(MethodFilter, Endpoint); N]) -> MethodRouter<Arc<Api>> {
    endpoints.into_iter().fold(MethodRouter::new(), |router, (method, endpoint)| {
        router.on(method, move |State(api): State<Arc<Api>>, request: Request| {
            respond_on_thread(api, request, endpoint)
        })
    })
}

/// The router adds the header that names the methods there are, which is all that OPTIONS asks for.
fn no_such_method(method: &Method) -> Response {
    if method == Method::OPTIONS {
        return StatusCode::OK.into_response();
    }
    Refusal::no_such_method().into_response()
}

const GET: MethodFilter = MethodFilter::GET;
const PUT: MethodFilter = MethodFilter::PUT;
const POST: MethodFilter = MethodFilter::POST;
const DELETE: MethodFilter = MethodFilter::DELETE;

const FRONT_PAGE: &str = "Leveret's management API is at /api, for example /api/overview.\n\
    It speaks JSON in the shapes of RabbitMQ's management plugin and asks for a login.\n";
