//! The table of all routes: method, path, whose it is, and the endpoint behind it.
//!
//! Who may call is decided here and checked before the endpoint runs. What depends on more than a
//! tag (the virtual host in the path, whose connection it is) is the endpoint's own business.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::routing::{MethodFilter, MethodRouter};

use super::audit::Access;
use super::auth::Who::{self, Administrator, Anybody, Management, Monitoring, Policymaker};
use super::call::{Answer, Api, Call, Endpoint, respond_in_time, respond_on_thread};
use super::messages::{self, lease, moving, stream, take, tap};
use super::mqtt::{self, retained, sessions, subscriptions};
use super::{
    aliveness, attempts, bindings, channels, compatibility, connections, consumers, definitions,
    exchanges, explain, get, health, limits, login, memory, node, openapi, overview, parameters,
    permissions, policies, publish, queues, quorum, settings, users, vhosts,
};

/// One method of one path.
pub struct Route {
    /// The method, in capitals.
    pub method: &'static str,
    /// The path below `/api`; `{name}` is a part that the caller fills in.
    pub path: &'static str,
    /// Who may call it.
    pub who: Who,
    /// Whether it puts messages in or takes them out, as clients do all day.
    is_traffic: bool,
    run: Run,
}

#[derive(Clone, Copy)]
enum Run {
    /// It waits for nothing.
    OnThread(Endpoint),
    /// It may wait, for messages or for others.
    Waiting(Waiting),
}

type Waiting = fn(Call) -> Pin<Box<dyn Future<Output = Answer> + Send>>;

/// All routes, in groups.
pub const ROUTES: &[&[Route]] = &[
    SERVER,
    DEFINITIONS,
    HEALTH,
    USERS,
    PARAMETERS,
    POLICIES,
    CONNECTIONS,
    EXCHANGES,
    QUEUES,
    MESSAGES,
    MQTT,
    BINDINGS,
    ABSENT,
];

const SERVER: &[Route] = &[
    get("/openapi.json", Anybody, openapi::show),
    get("/overview", Management, overview::show),
    get("/cluster-name", Management, overview::cluster_name),
    put("/cluster-name", Administrator, overview::name_cluster),
    get("/version", Anybody, settings::version),
    get("/whoami", Management, users::whoami),
    waiting("POST", "/login", Anybody, |call| Box::pin(login::login(call))),
    delete("/login", Anybody, login::logout),
    get("/auth", Anybody, login::ways),
    get("/auth/hash_password/{password}", Administrator, login::hash),
    get("/auth/attempts/{node}", Monitoring, attempts::of_node),
    delete("/auth/attempts/{node}", Administrator, attempts::forget),
    get("/auth/attempts/{node}/source", Monitoring, attempts::by_source),
    get("/extensions", Management, compatibility::nothing),
    get("/feature-flags", Management, compatibility::features),
    put("/feature-flags/{name}/enable", Administrator, compatibility::enable_feature),
    get("/deprecated-features", Management, compatibility::nothing),
    get("/deprecated-features/used", Management, compatibility::nothing),
    get("/config/effective", Administrator, settings::effective),
    post("/rebalance/queues", Administrator, quorum::rebalance),
    delete("/reset", Administrator, settings::reset),
    delete("/reset/{node}", Administrator, settings::reset),
    get("/nodes", Monitoring, node::list),
    get("/nodes/{node}", Monitoring, node::show),
    get("/nodes/{node}/memory", Monitoring, memory::show),
    get("/nodes/{node}/memory/relative", Monitoring, memory::show_relative),
    get("/vhosts", Management, vhosts::list),
    get("/vhosts/{vhost}", Administrator, vhosts::show),
    put("/vhosts/{vhost}", Administrator, vhosts::put),
    delete("/vhosts/{vhost}", Administrator, vhosts::delete),
    get("/vhosts/{vhost}/deletion/protection", Administrator, vhosts::protection),
    post("/vhosts/{vhost}/deletion/protection", Administrator, vhosts::protect),
    delete("/vhosts/{vhost}/deletion/protection", Administrator, vhosts::unprotect),
    post("/vhosts/{vhost}/start/{node}", Administrator, vhosts::start),
];

const DEFINITIONS: &[Route] = &[
    get("/definitions", Administrator, definitions::export),
    import("/definitions"),
    get("/all-configuration", Administrator, definitions::export),
    import("/all-configuration"),
    get("/definitions/{vhost}", Administrator, definitions::export),
    import("/definitions/{vhost}"),
];

const HEALTH: &[Route] = &[
    get("/aliveness-test/{vhost}", Management, aliveness::test),
    get("/healthchecks/node", Management, health::node),
    get("/healthchecks/node/{node}", Management, health::node),
    get("/health/checks/alarms", Management, health::alarms),
    get("/health/checks/local-alarms", Management, health::local_alarms),
    get("/health/checks/certificate-expiration/{within}/{unit}", Management, health::certificates),
    get("/health/checks/port-listener/{port}", Management, health::port_listener),
    get("/health/checks/protocol-listener/{protocols}", Management, health::protocol_listener),
    get("/health/checks/virtual-hosts", Management, health::ok),
    get("/health/checks/node-is-quorum-critical", Management, health::quorum_critical),
    get(
        "/health/checks/quorum-queues-without-elected-leaders/all-vhosts",
        Management,
        health::leaders,
    ),
    get(
        "/health/checks/quorum-queues-without-elected-leaders/all-vhosts/pattern/{pattern}",
        Management,
        health::leaders,
    ),
    get(
        "/health/checks/quorum-queues-without-elected-leaders/vhost/{vhost}",
        Management,
        health::leaders,
    ),
    get(
        "/health/checks/quorum-queues-without-elected-leaders/vhost/{vhost}/pattern/{pattern}",
        Management,
        health::leaders,
    ),
    get("/health/checks/metadata-store/initialized", Management, health::ok),
    get("/health/checks/metadata-store/initialized/with-data", Management, health::has_data),
    get("/health/checks/is-in-service", Anybody, health::in_service),
    get("/health/checks/ready-to-serve-clients", Anybody, health::ready),
    get("/health/checks/below-node-connection-limit", Anybody, health::below_connection_limit),
    get("/health/checks/reached-target-cluster-size", Anybody, health::ok),
];

const USERS: &[Route] = &[
    get("/users", Administrator, users::list),
    get("/users/without-permissions", Administrator, users::list_without_permissions),
    post("/users/bulk-delete", Administrator, users::delete_many),
    get("/users/{user}", Administrator, users::show),
    put("/users/{user}", Administrator, users::put),
    delete("/users/{user}", Administrator, users::delete),
    get("/users/{user}/queues", Management, queues::of_user),
    get("/permissions", Administrator, permissions::list),
    get("/vhosts/{vhost}/permissions", Administrator, permissions::list),
    get("/users/{user}/permissions", Administrator, permissions::list),
    get("/permissions/{vhost}/{user}", Administrator, permissions::show),
    put("/permissions/{vhost}/{user}", Administrator, permissions::put),
    delete("/permissions/{vhost}/{user}", Administrator, permissions::clear),
    get("/topic-permissions", Administrator, permissions::list_topics),
    get("/vhosts/{vhost}/topic-permissions", Administrator, permissions::list_topics),
    get("/users/{user}/topic-permissions", Administrator, permissions::list_topics),
    get("/topic-permissions/{vhost}/{user}", Administrator, permissions::show_topics),
    put("/topic-permissions/{vhost}/{user}", Administrator, permissions::put_topics),
    delete("/topic-permissions/{vhost}/{user}", Administrator, permissions::clear_topics),
    get("/topic-permissions/{vhost}/{user}/{exchange}", Administrator, permissions::show_topics),
    delete(
        "/topic-permissions/{vhost}/{user}/{exchange}",
        Administrator,
        permissions::clear_topics,
    ),
    get("/vhost-limits", Management, limits::list_of_vhosts),
    get("/vhost-limits/{vhost}", Management, limits::list_of_vhosts),
    put("/vhost-limits/{vhost}/{limit}", Administrator, limits::put_of_vhost),
    delete("/vhost-limits/{vhost}/{limit}", Administrator, limits::clear_of_vhost),
    get("/user-limits", Administrator, limits::list_of_users),
    get("/user-limits/{user}", Management, limits::list_of_users),
    put("/user-limits/{user}/{limit}", Administrator, limits::put_of_user),
    delete("/user-limits/{user}/{limit}", Administrator, limits::clear_of_user),
];

const PARAMETERS: &[Route] = &[
    get("/parameters", Policymaker, parameters::list),
    get("/parameters/{component}", Policymaker, parameters::list),
    get("/parameters/{component}/{vhost}", Policymaker, parameters::list),
    get("/parameters/{component}/{vhost}/{name}", Policymaker, parameters::show),
    put("/parameters/{component}/{vhost}/{name}", Policymaker, parameters::put),
    delete("/parameters/{component}/{vhost}/{name}", Policymaker, parameters::delete),
    get("/global-parameters", Policymaker, parameters::list_global),
    get("/global-parameters/{name}", Policymaker, parameters::show_global),
    put("/global-parameters/{name}", Administrator, parameters::put_global),
    delete("/global-parameters/{name}", Administrator, parameters::delete_global),
];

const POLICIES: &[Route] = &[
    get("/policies", Management, policies::list),
    get("/policies/{vhost}", Management, policies::list),
    get("/policies/{vhost}/{name}", Policymaker, policies::show),
    put("/policies/{vhost}/{name}", Policymaker, policies::put),
    delete("/policies/{vhost}/{name}", Policymaker, policies::delete),
    get("/operator-policies", Management, policies::list_operators),
    get("/operator-policies/{vhost}", Management, policies::list_operators),
    get("/operator-policies/{vhost}/{name}", Administrator, policies::show_operators),
    put("/operator-policies/{vhost}/{name}", Administrator, policies::put_operators),
    delete("/operator-policies/{vhost}/{name}", Administrator, policies::delete_operators),
];

const CONNECTIONS: &[Route] = &[
    get("/connections", Management, connections::list),
    get("/vhosts/{vhost}/connections", Management, connections::list),
    get("/connections/{connection}", Management, connections::show),
    delete("/connections/{connection}", Management, connections::close),
    get("/connections/username/{user}", Management, connections::of_user),
    delete("/connections/username/{user}", Management, connections::close_of_user),
    get("/connections/{connection}/channels", Management, channels::of_connection),
    get("/connections/{connection}/sessions", Management, connections::sessions),
    get("/channels", Management, channels::list),
    get("/vhosts/{vhost}/channels", Management, channels::list),
    get("/channels/{channel}", Management, channels::show),
    get("/consumers", Management, consumers::list),
    get("/consumers/{vhost}", Management, consumers::list),
];

const EXCHANGES: &[Route] = &[
    get("/exchanges", Management, exchanges::list),
    get("/exchanges/{vhost}", Management, exchanges::list),
    get("/exchanges/{vhost}/{exchange}", Management, exchanges::show),
    put("/exchanges/{vhost}/{exchange}", Management, exchanges::declare),
    delete("/exchanges/{vhost}/{exchange}", Management, exchanges::delete),
    get("/exchanges/{vhost}/{exchange}/bindings/source", Management, bindings::from_exchange),
    get("/exchanges/{vhost}/{exchange}/bindings/destination", Management, bindings::to_exchange),
    traffic(post("/exchanges/{vhost}/{exchange}/publish", Management, publish::publish)),
    get("/exchanges/{vhost}/{exchange}/route", Management, explain::route),
];

const QUEUES: &[Route] = &[
    get("/queues", Management, queues::list),
    get("/queues/detailed", Management, queues::list),
    get("/queues/{vhost}", Management, queues::list),
    get("/queues/{vhost}/{queue}", Management, queues::show),
    put("/queues/{vhost}/{queue}", Management, queues::declare),
    delete("/queues/{vhost}/{queue}", Management, queues::delete),
    delete("/queues/{vhost}/{queue}/contents", Management, queues::purge),
    get("/queues/{vhost}/{queue}/bindings", Management, bindings::to_queue),
    traffic(waiting("POST", "/queues/{vhost}/{queue}/get", Management, |call| {
        Box::pin(get::get(call))
    })),
    post("/queues/{vhost}/{queue}/actions", Administrator, quorum::act),
    get("/queues/quorum/{vhost}/{queue}/status", Management, quorum::status),
    post("/queues/quorum/{vhost}/{queue}/replicas/add", Administrator, quorum::add),
    delete("/queues/quorum/{vhost}/{queue}/replicas/delete", Administrator, quorum::remove),
    post("/queues/quorum/replicas/on/{node}/grow", Administrator, quorum::grow),
    delete("/queues/quorum/replicas/on/{node}/shrink", Administrator, quorum::shrink),
];

const MESSAGES: &[Route] = &[
    traffic(post(
        "/exchanges/{vhost}/{exchange}/messages",
        Management,
        messages::publish::to_exchange,
    )),
    traffic(post("/queues/{vhost}/{queue}/messages", Management, messages::publish::to_queue)),
    waiting("GET", "/queues/{vhost}/{queue}/messages", Management, |call| {
        Box::pin(take::take(call))
    }),
    waiting("GET", "/queues/{vhost}/{queue}/messages/stream", Management, |call| {
        Box::pin(std::future::ready(stream::stream(call)))
    }),
    traffic(delete("/queues/{vhost}/{queue}/messages/{token}", Management, lease::acknowledge)),
    traffic(post("/queues/{vhost}/{queue}/messages/{token}/requeue", Management, lease::requeue)),
    get("/queues/{vhost}/{queue}/peek", Management, messages::peek::peek),
    waiting("POST", "/queues/{vhost}/{queue}/move", Management, |call| {
        Box::pin(moving::move_messages(call))
    }),
    waiting("GET", "/exchanges/{vhost}/{exchange}/tap", Management, |call| {
        Box::pin(std::future::ready(tap::of_exchange(call)))
    }),
    waiting("GET", "/mqtt/tap", Management, |call| {
        Box::pin(std::future::ready(tap::of_topics(call)))
    }),
];

const MQTT: &[Route] = &[
    get("/mqtt/sessions", Management, sessions::list),
    get("/mqtt/sessions/{client_id}", Management, sessions::show),
    delete("/mqtt/sessions/{client_id}", Administrator, sessions::end),
    get("/mqtt/sessions/{client_id}/subscriptions", Management, subscriptions::of_session),
    get("/mqtt/subscriptions", Management, subscriptions::list),
    get("/mqtt/retained", Management, retained::list),
    get("/mqtt/retained/{topic}", Management, retained::show),
    delete("/mqtt/retained/{topic}", Management, retained::delete),
    traffic(post("/mqtt/publish", Management, mqtt::publish::publish)),
    get("/mqtt/route", Management, explain::route_of_topic),
];

const BINDINGS: &[Route] = &[
    get("/bindings", Management, bindings::list),
    get("/bindings/{vhost}", Management, bindings::list),
    get("/bindings/{vhost}/e/{source}/{kind}/{destination}", Management, bindings::between),
    post("/bindings/{vhost}/e/{source}/{kind}/{destination}", Management, bindings::bind),
    get("/bindings/{vhost}/e/{source}/{kind}/{destination}/{props}", Management, bindings::show),
    delete(
        "/bindings/{vhost}/e/{source}/{kind}/{destination}/{props}",
        Management,
        bindings::unbind,
    ),
];

/// What RabbitMQ has plugins for, and tools ask for: there is none of it.
const ABSENT: &[Route] = &[
    get("/shovels", Monitoring, compatibility::nothing),
    get("/shovels/{vhost}", Monitoring, compatibility::nothing),
    get("/federation-links", Monitoring, compatibility::nothing),
    get("/federation-links/{vhost}", Monitoring, compatibility::nothing),
    get("/federation-links/{vhost}/down", Monitoring, compatibility::nothing),
    get("/traces", Administrator, compatibility::nothing),
    get("/traces/{vhost}", Administrator, compatibility::nothing),
    get("/trace-files", Administrator, compatibility::nothing),
    get("/stream/connections", Management, compatibility::nothing),
    get("/stream/connections/{vhost}", Management, compatibility::nothing),
    get("/stream/publishers", Management, compatibility::nothing),
    get("/stream/publishers/{vhost}", Management, compatibility::nothing),
    get("/stream/consumers", Management, compatibility::nothing),
    get("/stream/consumers/{vhost}", Management, compatibility::nothing),
];

/// A router of all of them.
pub fn router() -> Router<Arc<Api>> {
    let routes = ROUTES.iter().copied().flatten();
    routes.fold(Router::new(), |router, route| router.route(route.path, route.serve()))
}

impl Route {
    fn serve(&self) -> MethodRouter<Arc<Api>> {
        let filter = self.filter();
        let is_audited = !self.is_traffic && self.method != "GET" && self.who != Anybody;
        let access = Access { who: self.who, is_audited };
        match self.run {
            Run::OnThread(run) => {
                MethodRouter::new().on(filter, move |State(api): State<Arc<Api>>, it: Request| {
                    respond_on_thread(api, it, access, run)
                })
            }
            Run::Waiting(run) => {
                MethodRouter::new().on(filter, move |State(api): State<Arc<Api>>, it: Request| {
                    respond_in_time(api, it, access, run)
                })
            }
        }
    }

    fn filter(&self) -> MethodFilter {
        match self.method {
            "GET" => MethodFilter::GET,
            "PUT" => MethodFilter::PUT,
            "POST" => MethodFilter::POST,
            _ => MethodFilter::DELETE,
        }
    }
}

const fn route(method: &'static str, path: &'static str, who: Who, run: Endpoint) -> Route {
    Route { method, path, who, is_traffic: false, run: Run::OnThread(run) }
}

const fn get(path: &'static str, who: Who, run: Endpoint) -> Route {
    route("GET", path, who, run)
}

const fn put(path: &'static str, who: Who, run: Endpoint) -> Route {
    route("PUT", path, who, run)
}

const fn post(path: &'static str, who: Who, run: Endpoint) -> Route {
    route("POST", path, who, run)
}

const fn delete(path: &'static str, who: Who, run: Endpoint) -> Route {
    route("DELETE", path, who, run)
}

const fn import(path: &'static str) -> Route {
    waiting("POST", path, Administrator, |call| Box::pin(definitions::import(call)))
}

const fn waiting(method: &'static str, path: &'static str, who: Who, run: Waiting) -> Route {
    Route { method, path, who, is_traffic: false, run: Run::Waiting(run) }
}

const fn traffic(route: Route) -> Route {
    Route { is_traffic: true, ..route }
}
