//! The metrics of the broker for Prometheus, under the names of RabbitMQ's plugin.
//!
//! ```text
//! /metrics                    everything, summed up over objects
//! /metrics/per-object         everything, for each queue, connection and channel
//! /metrics/detailed           the families that are asked for: ?family=queue_metrics&vhost=/
//! /metrics/memory-breakdown   what the memory is used for
//! ```
//!
//! A scrape reads counters that are there anyway. It is written and sent a piece at a time, and few
//! go on at once, so that neither their number nor that of the queues costs much memory.

mod connections;
mod exchanges;
mod family;
mod node;
mod output;
mod queues;
mod scrape;
mod text;
mod traffic;

use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::response::Response;
use axum::routing::get;
use tokio::sync::Semaphore;

use super::call::{caller, refuse};
use super::error::Refusal;
use super::no_such_method;
use super::sessions::Sessions;
use crate::server::Node;
use crate::server::counts::ByDialect;
use family::{Family, Scope};
use scrape::Scrape;

/// The port that has nothing but metrics. Nobody has to log in there.
pub fn router(node: Arc<Node>) -> Router {
    routes(node, Access::Everybody)
        .fallback(|request: Request| refuse(request, Refusal::no_such_object()))
        .method_not_allowed_fallback(no_such_method)
}

/// What there is below `/`, beside other things, for users who may look at the node.
pub fn guarded_routes(node: Arc<Node>, sessions: Arc<Sessions>) -> Router {
    routes(node, Access::Monitoring(sessions))
}

struct Metrics {
    node: Arc<Node>,
    access: Access,
    /// For each scrape that may go on.
    slots: Arc<Semaphore>,
}

/// Who may scrape.
enum Access {
    Everybody,
    Monitoring(Arc<Sessions>),
}

fn routes(node: Arc<Node>, access: Access) -> Router {
    let slots = Arc::new(Semaphore::new(SCRAPES_MAX));
    Router::new()
        .route("/metrics", get(|metrics, request| answer(metrics, request, |_| Scope::Aggregated)))
        .route(
            "/metrics/per-object",
            get(|metrics, request| answer(metrics, request, |_| Scope::PerObject)),
        )
        .route("/metrics/detailed", get(|metrics, request| answer(metrics, request, detailed)))
        .route(
            "/metrics/memory-breakdown",
            get(|metrics, request| answer(metrics, request, |_| Scope::Memory)),
        )
        .with_state(Arc::new(Metrics { node, access, slots }))
}

/// The parameters of a request.
type Query = Vec<(String, String)>;

/// Families that nobody knows are no error: there are some that this broker cannot fill.
fn detailed(query: &Query) -> Scope {
    let named = values(query, "family").filter_map(|name| Family::named(name));
    Scope::Detailed(named.collect())
}

fn values<'a>(query: &'a Query, name: &'static str) -> impl Iterator<Item = &'a String> {
    query.iter().filter(move |(known, _)| known == name).map(|(_, value)| value)
}

async fn answer(
    State(metrics): State<Arc<Metrics>>,
    mut request: Request,
    scope: fn(&Query) -> Scope,
) -> Response {
    match metrics.admit(&mut request).await {
        Ok(()) => metrics.respond(&request, scope),
        Err(refusal) => refuse(request, refusal).await,
    }
}

impl Metrics {
    async fn admit(&self, request: &mut Request) -> Result<(), Refusal> {
        match &self.access {
            Access::Everybody => Ok(()),
            Access::Monitoring(sessions) => {
                caller(&self.node, sessions, request).await?.check_monitoring()
            }
        }
    }

    fn respond(&self, request: &Request, scope: fn(&Query) -> Scope) -> Response {
        let query = request.uri().query().unwrap_or_default();
        let query = form_urlencoded::parse(query.as_bytes()).into_owned().collect();
        let scope = scope(&query);
        let vhosts = match &scope {
            Scope::Detailed(_) => values(&query, "vhost").cloned().collect(),
            _ => Vec::new(),
        };
        let (node, slots) = (self.node.clone(), self.slots.clone());
        output::respond(request.headers(), |out| async move {
            let _slot = slots.acquire_owned().await;
            Scrape { node, scope, vhosts, counts: ByDialect::default(), out }.write().await
        })
    }
}

/// Scrapes that go on at a time; others wait for one of them.
const SCRAPES_MAX: usize = 4;
