//! A call: a request whose caller is known, taken apart.

use std::future::Future;
use std::sync::Arc;

use axum::RequestExt;
use axum::extract::{RawPathParams, Request};
use axum::http::header::AUTHORIZATION;
use axum::http::{HeaderMap, Method};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use leveret_core::{Position, Resource, ResourceKind, Right, TopologyCommand};
use tokio::sync::Semaphore;

use super::attempts::Forgotten;
use super::audit::{Access, Audited};
use super::auth::{Caller, Origin, Who};
use super::body::{self, drain};
use super::error::Refusal;
use super::fields::Fields;
use super::messages::lease::Leases;
use super::messages::{consumer, tap};
use super::node;
use super::rates::{Named, Ranges, Rated, Rates, Thing};
use super::reply::Reply;
use super::sessions::{self, Sessions};
use crate::server::address::Link;
use crate::server::firehose::{Party, Tap};
use crate::server::http::ByOperator;
use crate::server::{DEFAULT_VHOST, Node};

/// What all calls share.
pub struct Api {
    /// The broker.
    pub node: Arc<Node>,
    /// How numbers change.
    pub rates: Rates,
    /// Messages that scripts hold.
    pub leases: Arc<Leases>,
    /// The logins of browsers.
    pub sessions: Arc<Sessions>,
    /// The places for requests that wait for messages.
    pub waiting: Arc<Semaphore>,
    /// Attempts to log in that are not shown any more.
    pub forgotten_attempts: Forgotten,
}

/// What an endpoint answers.
pub type Answer = Result<Reply, Refusal>;

/// An endpoint that does not wait for anything.
pub type Endpoint = fn(&Call) -> Answer;

/// See the module's documentation.
pub struct Call {
    /// The API that is called.
    pub api: Arc<Api>,
    /// Who calls.
    pub caller: Caller,
    /// Whether the answer is wanted without its body, and nothing is to happen.
    pub is_head: bool,
    /// Where the call comes from.
    pub from: Origin,
    /// Whether it comes over TLS.
    pub is_secure: bool,
    /// The headers.
    pub headers: HeaderMap,
    /// The parts of the path that the route names, decoded one by one: `%2F` is no separator.
    parts: Vec<(String, String)>,
    path: String,
    query: Vec<(String, String)>,
    ranges: Ranges,
    body: Bytes,
}

impl Api {
    /// The API of a node.
    pub fn new(node: Arc<Node>) -> Self {
        Api {
            node,
            rates: Rates::default(),
            leases: Arc::default(),
            sessions: Arc::default(),
            waiting: consumer::places(),
            forgotten_attempts: Forgotten::default(),
        }
    }
}

impl Call {
    async fn read(
        api: Arc<Api>,
        mut request: Request,
        who: Who,
        audited: Option<&mut Audited>,
    ) -> Result<Call, Refusal> {
        let head = Head::read(&api, &mut request, who, audited).await;
        let Head { caller, from, parts } = match head {
            Ok(head) => head,
            Err(refusal) => {
                drain(request.into_body()).await;
                return Err(refusal);
            }
        };
        let query = request.uri().query().unwrap_or_default();
        let query: Vec<_> = form_urlencoded::parse(query.as_bytes()).into_owned().collect();
        let ranges = Ranges::parse(|name| find(&query, name));
        let path = request.uri().path().to_owned();
        let is_head = request.method() == Method::HEAD;
        let link = request.extensions().get::<Link>();
        let is_secure = link.is_some_and(|link| link.tls.is_some());
        let headers = std::mem::take(request.headers_mut());
        let body = body::read(&api.node, request.into_body(), who).await?;
        Ok(Call {
            api,
            caller,
            is_head,
            from,
            is_secure,
            headers,
            parts,
            path,
            query,
            ranges,
            body,
        })
    }

    /// The broker.
    pub fn node(&self) -> &Node {
        &self.api.node
    }

    /// Numbers of a thing and how they change, with the histories that the call asks for.
    pub fn measure(&self, thing: Thing, numbers: &[Named]) -> Vec<Rated> {
        self.api.rates.measure(thing, numbers, &self.ranges)
    }

    /// Copies what the caller publishes or gets, if it is traced.
    pub fn tap(&self, vhost: &Arc<str>, tap: Tap<'_>) {
        if self.node().firehose.is_on() {
            let (vhost, user) = (vhost.clone(), self.caller.name.as_str().into());
            let connection = "HTTP".to_owned();
            self.node().tap_as(&Party { vhost, user, connection, channel: 0 }, tap);
        }
    }

    /// A part of the path that the route names, decoded.
    pub fn part(&self, name: &str) -> &str {
        find(&self.parts, name).unwrap_or_default()
    }

    /// The end of the path as it came, not decoded.
    pub fn last_segment(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or_default()
    }

    /// A part of the path that names an exchange; `amq.default` stands for the one without a name.
    pub fn exchange_part(&self, name: &str) -> &str {
        let part = self.part(name);
        if part == Resource::DEFAULT_EXCHANGE { "" } else { part }
    }

    /// A parameter of the query.
    pub fn parameter(&self, name: &str) -> Option<&str> {
        find(&self.query, name)
    }

    /// Whether a parameter of the query is `true`.
    pub fn flag(&self, name: &str) -> bool {
        self.parameter(name) == Some("true")
    }

    /// The body, as the object that it has to be.
    ///
    /// # Errors
    /// If it is no JSON object; nothing and `null` are an empty one.
    pub fn fields(&self) -> Result<Fields, Refusal> {
        Fields::parse(&self.body)
    }

    /// The body as it came.
    pub fn body(&self) -> &Bytes {
        &self.body
    }

    /// Refuses a path that names another node than this one.
    ///
    /// # Errors
    /// If it does.
    pub fn check_node(&self) -> Result<(), Refusal> {
        let name = self.part("node");
        match name.is_empty() || name == node::name() {
            true => Ok(()),
            false => Err(Refusal::no_such_object()),
        }
    }

    /// The virtual host that the path names.
    ///
    /// # Errors
    /// If it is not there. That the caller may see it was checked before.
    pub fn vhost(&self) -> Result<Arc<str>, Refusal> {
        let name = self.part("vhost");
        if !self.node().topology().has_vhost(name) {
            return Err(Refusal::no_such_object());
        }
        Ok(name.into())
    }

    /// The virtual hosts that a list is about: the one in the path, or all that the caller sees.
    ///
    /// # Errors
    /// As [`Call::vhost`].
    pub fn vhosts(&self) -> Result<Vec<Arc<str>>, Refusal> {
        if self.parts.iter().any(|(name, _)| name == "vhost") {
            return Ok(vec![self.vhost()?]);
        }
        let topology = self.node().topology();
        Ok(topology.vhosts().filter(|name| self.caller.sees(name)).map(Arc::from).collect())
    }

    /// Carries out a deletion of what the path names.
    ///
    /// # Errors
    /// If it is not there.
    pub fn delete(&self, command: TopologyCommand) -> Answer {
        let commanded = self.node().command(command)?;
        match commanded.applied.outcome.existed() {
            true => Ok(Reply::no_content().after(commanded.promise)),
            false => Err(Refusal::no_such_object()),
        }
    }

    /// Refuses names that AMQP cannot say.
    ///
    /// # Errors
    /// If it is empty or too long.
    pub fn check_name(&self, name: &str) -> Result<(), Refusal> {
        match name.len() {
            1..=NAME_BYTES_MAX => Ok(()),
            _ => Err(Refusal::bad_request(format!("a name has 1 to {NAME_BYTES_MAX} bytes"))),
        }
    }

    /// For a GET that changes something: refuses what nothing but the cookie of a session asks for.
    ///
    /// # Errors
    /// If that is so.
    pub fn check_own_page(&self) -> Result<(), Refusal> {
        check_own_page(&self.caller, &self.headers)
    }

    /// Whether the caller may do this with an exchange.
    ///
    /// # Errors
    /// If not.
    pub fn check_exchange(&self, right: Right, vhost: &str, name: &str) -> Result<(), Refusal> {
        let name = if name.is_empty() { Resource::DEFAULT_EXCHANGE } else { name };
        self.caller.check(right, vhost, (ResourceKind::Exchange, name))
    }

    /// Whether the caller may do this with a queue.
    ///
    /// # Errors
    /// If not.
    pub fn check_queue(&self, right: Right, vhost: &str, name: &str) -> Result<(), Refusal> {
        self.caller.check(right, vhost, (ResourceKind::Queue, name))
    }

    /// Finds out what an endpoint that waits will want to know: what is not decided when it looks is not
    /// allowed. What others leave undecided is found out after them.
    async fn decide(&self) {
        if self.caller.identity().is_internal() {
            return;
        }
        let vhost = find(&self.parts, "vhost").unwrap_or(DEFAULT_VHOST);
        if let Some(queue) = find(&self.parts, "queue") {
            _ = self.check_queue(Right::Read, vhost, queue);
            _ = self.check_exchange(Right::Write, vhost, "");
        } else {
            let (exchange, key) = (tap::tapped_exchange(self), tap::tapped_key(self));
            let actor = self.caller.actor(vhost);
            _ = self.check_exchange(Right::Read, vhost, exchange);
            self.caller.identity().ask().await;
            _ = self.node().topology().check_read_topic(actor, exchange, &key);
        }
        self.caller.identity().ask().await;
    }
}

fn find<'a>(named: &'a [(String, String)], name: &str) -> Option<&'a str> {
    named.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
}

/// Who calls and what the path names: enough to refuse a call.
struct Head {
    caller: Caller,
    from: Origin,
    parts: Vec<(String, String)>,
}

impl Head {
    async fn read(
        api: &Api,
        request: &mut Request,
        who: Who,
        audited: Option<&mut Audited>,
    ) -> Result<Head, Refusal> {
        let from = Origin::of(request);
        let caller = match who {
            Who::Anybody => Caller::nobody(),
            _ => caller(&api.node, &api.sessions, request).await?,
        };
        if let Some(audited) = audited {
            audited.by(&caller.name);
        }
        caller.check_is(who)?;
        let parts = request.extract_parts::<RawPathParams>().await;
        let parts = parts.map_err(|_| Refusal::bad_request("the path is not UTF-8"))?;
        let parts: Vec<(String, String)> =
            parts.iter().map(|(name, part)| (name.to_owned(), part.to_owned())).collect();
        check_vhosts(&api.node, &caller, who, &parts)?;
        Ok(Head { caller, from, parts })
    }
}

/// Who makes a request.
///
/// # Errors
/// As [`Caller::login`], and if a page of another site may have made it: a browser adds the login that it
/// remembers, or its cookie, by itself.
pub async fn caller(
    node: &Node,
    sessions: &Sessions,
    request: &mut Request,
) -> Result<Caller, Refusal> {
    if request
        .headers()
        .get("sec-fetch-site")
        .is_some_and(|site| site.as_bytes().ends_with(b"-site"))
    {
        return Err(Refusal::other_site());
    }
    let by_operator = request.extensions().get::<ByOperator>().is_some();
    let from = Origin::of(request);
    if by_operator && !request.headers().contains_key(AUTHORIZATION) {
        return Ok(Caller::operator());
    }
    let looks = matches!(*request.method(), Method::GET | Method::HEAD);
    let caller = Caller::login(node, sessions, request.headers(), &from).await?;
    if !looks {
        check_own_page(&caller, request.headers())?;
    }
    Ok(caller)
}

/// Refuses what nothing but a cookie asks for: any page may make its browser do that.
fn check_own_page(caller: &Caller, headers: &HeaderMap) -> Result<(), Refusal> {
    match caller.session().is_none() || sessions::is_own_page(headers) {
        true => Ok(()),
        false => Err(Refusal::no_page_of_ours()),
    }
}

/// Answers a request with an endpoint that waits for nothing, on a thread that may take its time.
pub async fn respond_on_thread(
    api: Arc<Api>,
    request: Request,
    access: Access,
    run: Endpoint,
) -> Response {
    respond(api, request, access, move |call| async move {
        let call = Arc::new(call);
        loop {
            let running = call.clone();
            let answer = tokio::task::spawn_blocking(move || run(&running)).await;
            let answer = answer
                .unwrap_or_else(|_| Err(Refusal::internal("the request could not be carried out")));
            let identity = call.caller.identity();
            if answer.is_ok() || !identity.must_ask() {
                return answer;
            }
            // It has changed nothing before: rights are checked first.
            identity.ask().await;
        }
    })
    .await
}

/// Answers a request with an endpoint that may wait.
pub async fn respond_in_time<F, R>(
    api: Arc<Api>,
    request: Request,
    access: Access,
    run: F,
) -> Response
where
    F: FnOnce(Call) -> R,
    R: Future<Output = Answer>,
{
    respond(api, request, access, |call| async move {
        call.decide().await;
        run(call).await
    })
    .await
}

async fn respond<F, R>(api: Arc<Api>, request: Request, access: Access, run: F) -> Response
where
    F: FnOnce(Call) -> R,
    R: Future<Output = Answer>,
{
    let is_audited = access.is_audited && api.node.is_audited();
    let mut audited = is_audited.then(|| Audited::new(&api.node, &request, &Origin::of(&request)));
    let answer = answer(&api, request, (access.who, audited.as_mut()), run).await;
    if let Some(audited) = &mut audited {
        audited.end(answer.as_ref().map_or_else(Refusal::status, Reply::status));
    }
    match answer {
        Ok(reply) => reply.into_response(),
        Err(refusal) => refusal.into_response(),
    }
}

async fn answer<F, R>(
    api: &Arc<Api>,
    request: Request,
    (who, audited): (Who, Option<&mut Audited>),
    run: F,
) -> Answer
where
    F: FnOnce(Call) -> R,
    R: Future<Output = Answer>,
{
    let call = Call::read(api.clone(), request, who, audited).await?;
    let reply = run(call).await?;
    if let Some(promise) = reply.promise {
        wait_until_durable(&api.node, promise).await?;
    }
    Ok(reply)
}

/// Refuses a path that names a virtual host which is there and not the caller's business.
fn check_vhosts(
    node: &Node,
    caller: &Caller,
    who: Who,
    parts: &[(String, String)],
) -> Result<(), Refusal> {
    let vhost = parts.iter().find(|(name, _)| name == "vhost" && who != Who::Anybody);
    match vhost.filter(|(_, vhost)| node.topology().has_vhost(vhost)) {
        Some((_, vhost)) => caller.check_sees(vhost),
        None => Ok(()),
    }
}

/// Waits until a position of the journal is safe.
///
/// # Errors
/// If it never will be.
pub async fn wait_until_durable(node: &Node, position: Position) -> Result<(), Refusal> {
    let mut durable = node.storage.durable();
    let reached = durable.wait_for(|now| now.through > position || now.failed.is_some()).await;
    match reached.is_ok_and(|now| now.through > position) {
        true => Ok(()),
        false => Err(Refusal::internal("the journal has failed")),
    }
}

/// Refuses a request that is not looked at.
pub async fn refuse(request: Request, refusal: Refusal) -> Response {
    drain(request.into_body()).await;
    refusal.into_response()
}

/// The longest name that AMQP can say.
const NAME_BYTES_MAX: usize = 255;
