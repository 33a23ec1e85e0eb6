//! Who calls, and what that user may do.
//!
//! Tags decide what a user sees, permissions what a user does, for administrators as well. For users whom the
//! topology does not know, both are said by whoever knows them.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV4};

use axum::extract::{ConnectInfo, Request};
use axum::http::{HeaderMap, HeaderValue, header};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use leveret_core::{Actor, Authority, ResourceKind, Right, User, Wanted};

use super::error::Refusal;
use super::sessions::{self, Lifetime, Session, Sessions};
use crate::server::Node;
use crate::server::address::{Address, Link};
use crate::server::backends::{Identity, Said};
use crate::server::clock;
use crate::server::counts::Dialect;
use crate::server::http::LastUser;
use crate::server::logins::Credentials;

/// Who may call an endpoint, by the user's tags.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Who {
    /// Everybody, without a login.
    Anybody,
    /// Whoever has a tag that opens the API.
    Management,
    /// Those who make policies, and administrators.
    Policymaker,
    /// Those who look at everything, and administrators.
    Monitoring,
    /// Administrators alone.
    Administrator,
}

/// Where a request comes from.
#[derive(Debug, Clone)]
pub struct Origin {
    /// The client.
    pub peer: Address,
    last_user: LastUser,
}

impl Origin {
    /// As the server has marked a request. Whoever has no address is not on this machine.
    pub fn of(request: &Request) -> Self {
        let peer = request.extensions().get::<Link>().map(|link| link.peer.clone());
        let address = request.extensions().get::<ConnectInfo<SocketAddr>>();
        let address = address.map_or(NOWHERE, |ConnectInfo(address)| *address);
        let last_user = request.extensions().get::<LastUser>().cloned().unwrap_or_default();
        Origin { peer: peer.unwrap_or(Address::Ip(address)), last_user }
    }

    /// Notes a login, or why there is none.
    fn note(&self, node: &Node, user: &str, refused: Option<&str>) {
        if refused.is_some() || self.last_user.changes_to(user) {
            node.audit_http_login(&self.peer, user, refused);
        }
    }
}

/// A user who has logged in for one request.
#[derive(Debug)]
pub struct Caller {
    /// The name.
    pub name: String,
    /// What the topology has of the user; of others, their tags.
    user: User,
    identity: Identity,
    /// Whether it is the operator, who needs no permissions.
    is_operator: bool,
    session: Option<Lifetime>,
}

impl Caller {
    /// The user that the request's header names, or the one whose session its cookie stands for.
    ///
    /// # Errors
    /// If there is no login in it, it is wrong, or the user has nothing to do with management.
    pub async fn login(
        node: &Node,
        sessions: &Sessions,
        headers: &HeaderMap,
        from: &Origin,
    ) -> Result<Caller, Refusal> {
        let Some(header) = headers.get(header::AUTHORIZATION) else {
            return match sessions.find(headers, clock::now()) {
                Some(session) => {
                    Caller::with_session(node, session, (sessions, headers), from.peer.ip()).await
                }
                None if sessions::is_programs(headers) => Err(Refusal::login_refused()),
                None => Err(Refusal::login_wanted()),
            };
        };
        let login = credentials(header.as_bytes()).ok_or_else(Refusal::login_refused)?;
        let (name, password) = login;
        Caller::with_password(node, &name, &password, from).await
    }

    /// The user of this name and password.
    ///
    /// # Errors
    /// If they are wrong, or the user has nothing to do with management.
    pub async fn with_password(
        node: &Node,
        name: &str,
        password: &[u8],
        origin: &Origin,
    ) -> Result<Caller, Refusal> {
        // Looked up first: if the password is changed meanwhile, the old one opens no session.
        let user = node.topology().user(name).cloned();
        let from = origin.peer.ip();
        let login = Credentials { user: name, password: Some(password), from, client: None };
        let identity = node.login(login).await;
        node.logins.note(Dialect::Http, identity.is_some());
        let named = identity.as_ref().map_or(name.into(), |identity| identity.user.clone());
        let caller = match (identity, user) {
            (None, _) => Err(Refusal::login_refused()),
            (Some(identity), _) if !identity.is_internal() => {
                Caller::from_outside(node, identity, None).await
            }
            (Some(identity), Some(user)) => Caller::of_user(identity, user, None),
            (Some(_), None) => Err(Refusal::login_refused()),
        };
        origin.note(node, &named, caller.as_ref().err().map(Refusal::reason));
        caller
    }

    /// The user of a session, if nothing has changed by which it ends. Whoever else knows the user is asked
    /// again, as for a login; that is no guess, and not counted as one, but the session ends if the answer is no.
    async fn with_session(
        node: &Node,
        session: Session,
        (sessions, headers): (&Sessions, &HeaderMap),
        from: IpAddr,
    ) -> Result<Caller, Refusal> {
        let Session { identity, proof, lifetime, .. } = session;
        if !node.may_come_from(&identity.user, from) {
            return Err(Refusal::login_refused());
        }
        if !identity.is_internal() {
            let (user, password) = (&*identity.user, Some(&*proof));
            let login = Credentials { user, password, from, client: None };
            return match node.backends().renew(&identity, login).await {
                Said::Welcome(renewed) => Caller::from_outside(node, renewed, Some(lifetime)).await,
                Said::Unknown => {
                    Err(Refusal::unavailable("the server that knows the user does not answer"))
                }
                Said::Refused | Said::NotNow => {
                    sessions.end(headers);
                    Err(Refusal::login_refused())
                }
            };
        }
        let user = node.topology().user(&identity.user).cloned();
        match user.filter(|user| user.password_hash.as_bytes() == proof) {
            Some(user) => Caller::of_user(identity, user, Some(lifetime)),
            None => Err(Refusal::login_refused()),
        }
    }

    /// Somebody whom the topology does not know. Which virtual hosts are to be seen is asked at once.
    async fn from_outside(
        node: &Node,
        identity: Identity,
        session: Option<Lifetime>,
    ) -> Result<Caller, Refusal> {
        let tags = identity.outside_tags().map(<[String]>::to_vec).unwrap_or_default();
        let caller = Caller::of_user(identity, User { tags, ..User::default() }, session)?;
        if !caller.is_monitoring() {
            let vhosts: Vec<String> = node.topology().vhosts().map(str::to_owned).collect();
            vhosts.iter().for_each(|vhost| _ = caller.sees(vhost));
            caller.identity.ask().await;
        }
        Ok(caller)
    }

    fn of_user(
        identity: Identity,
        user: User,
        session: Option<Lifetime>,
    ) -> Result<Caller, Refusal> {
        let name = identity.user.to_string();
        let caller = Caller { name, user, identity, is_operator: false, session };
        match caller.has_any(MANAGEMENT) {
            true => Ok(caller),
            false => Err(Refusal::not_authorised("Not management user")),
        }
    }

    /// Somebody who did not have to log in, and sees nothing.
    pub fn nobody() -> Caller {
        let (name, user, identity) = (String::new(), User::default(), Identity::internal(""));
        Caller { name, user, identity, is_operator: false, session: None }
    }

    /// Refuses everybody to whom an endpoint is not open.
    ///
    /// # Errors
    /// As said.
    pub fn check_is(&self, who: Who) -> Result<(), Refusal> {
        match who {
            Who::Anybody | Who::Management => Ok(()),
            Who::Policymaker => self.check_policymaker(),
            Who::Monitoring => self.check_monitoring(),
            Who::Administrator => self.check_administrator(),
        }
    }

    /// Whoever could change the broker itself, and is no user.
    pub fn operator() -> Caller {
        let tags = vec!["administrator".to_owned()];
        let user = User { tags, ..User::default() };
        let (name, identity) = (OPERATOR.to_owned(), Identity::internal(OPERATOR));
        Caller { name, user, identity, is_operator: true, session: None }
    }

    /// Whether it is the operator, who needs no permissions.
    pub fn is_operator(&self) -> bool {
        self.is_operator
    }

    /// The session that logs it in, if a cookie does.
    pub fn session(&self) -> Option<Lifetime> {
        self.session
    }

    /// Begins a session of who has logged in with this password, which lasts as long as that is good.
    pub fn begin_session(
        &mut self,
        sessions: &Sessions,
        password: &[u8],
        lifetime: Lifetime,
    ) -> HeaderValue {
        // A password of somebody else's is not kept for longer than it has to be.
        let (proof, lifetime) = match self.identity.is_internal() {
            true => (self.user.password_hash.as_bytes(), lifetime),
            false => (password, Lifetime::Browser),
        };
        self.session = Some(lifetime);
        sessions.begin(self.identity.clone(), proof, lifetime, clock::now())
    }

    /// Whether something that goes on is still allowed. What others have said of it is asked for again once it
    /// is old.
    pub async fn may_still(&self, is_allowed: impl Fn() -> bool) -> bool {
        let now = clock::now();
        if self.identity.has_expired(now) {
            return false;
        }
        self.identity.forget_old(now);
        while !is_allowed() {
            if !self.identity.must_ask() {
                return false;
            }
            self.identity.ask().await;
        }
        true
    }

    /// Who it is, and by whose word.
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// The user's tags.
    pub fn tags(&self) -> &[String] {
        &self.user.tags
    }

    /// Whether everything may be looked at.
    pub fn is_monitoring(&self) -> bool {
        self.has_any(&["administrator", "monitoring"])
    }

    /// Refuses everybody but administrators.
    ///
    /// # Errors
    /// As said.
    pub fn check_administrator(&self) -> Result<(), Refusal> {
        match self.has_any(&["administrator"]) {
            true => Ok(()),
            false => Err(Refusal::not_authorised("Not administrator user")),
        }
    }

    /// Refuses everybody who may not make policies.
    ///
    /// # Errors
    /// As said.
    pub fn check_policymaker(&self) -> Result<(), Refusal> {
        match self.has_any(&["administrator", "policymaker"]) {
            true => Ok(()),
            false => Err(Refusal::not_authorised("Not policymaker user")),
        }
    }

    /// Refuses everybody who may not look at the node.
    ///
    /// # Errors
    /// As said.
    pub fn check_monitoring(&self) -> Result<(), Refusal> {
        match self.is_monitoring() {
            true => Ok(()),
            false => Err(Refusal::not_authorised("Not monitor user")),
        }
    }

    /// Whether a virtual host may be looked at.
    pub fn sees(&self, vhost: &str) -> bool {
        let decided = || match self.identity.outside_may_enter(vhost) {
            Some(decided) => decided == Some(true),
            None => self.user.permissions.contains_key(vhost),
        };
        self.is_monitoring() || decided()
    }

    /// Refuses who may not look at a virtual host.
    ///
    /// # Errors
    /// As said.
    pub fn check_sees(&self, vhost: &str) -> Result<(), Refusal> {
        match self.sees(vhost) {
            true => Ok(()),
            false => Err(Refusal::not_authorised("User not authorised to access virtual host")),
        }
    }

    /// In whose name something is done in a virtual host.
    pub fn actor<'a>(&'a self, vhost: &'a str) -> Actor<'a> {
        let actor = self.identity.actor(vhost, None);
        match self.is_operator {
            true => Actor { authority: Authority::Operator, ..actor },
            false => actor,
        }
    }

    /// Refuses what the user has no permission for.
    ///
    /// # Errors
    /// As said.
    pub fn check(
        &self,
        right: Right,
        vhost: &str,
        (kind, name): (ResourceKind, &str),
    ) -> Result<(), Refusal> {
        let is_allowed = match self.actor(vhost).authority {
            Authority::Operator => true,
            Authority::Permissions => {
                let permissions = self.user.permissions.get(vhost);
                permissions.is_some_and(|permissions| permissions.allow(right, name))
            }
            Authority::Elsewhere(judge) => {
                let wanted = Wanted { vhost, right, kind, name, topic: None, client_id: None };
                judge.allows(&wanted) == Some(true)
            }
        };
        match is_allowed {
            true => Ok(()),
            false => Err(Refusal::not_authorised("Access refused.")),
        }
    }

    fn has_any(&self, tags: &[&str]) -> bool {
        self.user.tags.iter().any(|tag| tags.contains(&tag.as_str()))
    }
}

/// User and password of a Basic login (RFC 7617), or a token without a user (RFC 6750).
fn credentials(header: &[u8]) -> Option<(String, Vec<u8>)> {
    if let Some((scheme, token)) = header.split_at_checked(BEARER.len())
        && scheme.eq_ignore_ascii_case(BEARER)
    {
        return Some((String::new(), token.trim_ascii().to_vec()));
    }
    let (scheme, encoded) = header.split_at_checked(BASIC.len())?;
    if !scheme.eq_ignore_ascii_case(BASIC) {
        return None;
    }
    let login = STANDARD.decode(encoded.trim_ascii()).ok()?;
    let colon = login.iter().position(|&byte| byte == b':')?;
    let name = String::from_utf8(login[..colon].to_vec()).ok()?;
    Some((name, login[colon + 1..].to_vec()))
}

/// Of whoever has no address.
const NOWHERE: SocketAddr = SocketAddr::V4(SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 0));
/// The tags that open the API.
const MANAGEMENT: &[&str] = &["administrator", "monitoring", "policymaker", "management"];
const BASIC: &[u8] = b"Basic ";
const BEARER: &[u8] = b"Bearer ";
/// What the operator is called where a user is shown.
const OPERATOR: &str = "operator";

#[cfg(test)]
mod tests {
    use leveret_core::Permissions;

    use super::*;

    fn caller(tags: &[&str], permissions: Permissions) -> Caller {
        let tags = tags.iter().map(|tag| (*tag).to_owned()).collect();
        let permissions = [("v".into(), permissions)].into_iter().collect();
        let user = User { tags, permissions, ..User::default() };
        Caller::of_user(Identity::internal("u"), user, None).unwrap()
    }

    #[test]
    fn a_login_is_split_at_its_first_colon() {
        let login = |text: &str| credentials(format!("basic {}", STANDARD.encode(text)).as_bytes());
        assert_eq!(login("u:p:q"), Some(("u".to_owned(), b"p:q".to_vec())));
        assert_eq!(login(":"), Some((String::new(), Vec::new())));
        assert_eq!(login("no colon"), None);
        assert_eq!(credentials(b"Bearer x.y"), Some((String::new(), b"x.y".to_vec())));
        assert_eq!(credentials(b"Digest x"), None);
        assert_eq!(credentials(b"Basic !!"), None);
        assert_eq!(credentials(b"Ba"), None);
    }

    #[test]
    fn monitoring_sees_every_vhost_and_others_see_their_own() {
        let other = caller(&["management"], Permissions::default());
        assert!(other.sees("v") && !other.sees("w"));
        assert!(other.check_monitoring().is_err());
        assert!(caller(&["monitoring"], Permissions::default()).sees("w"));
        assert!(caller(&["monitoring"], Permissions::default()).check_administrator().is_err());
        assert!(caller(&["administrator"], Permissions::default()).check_administrator().is_ok());
    }

    #[test]
    fn the_operator_needs_no_permissions() {
        let operator = Caller::operator();
        let administrator = caller(&["administrator"], Permissions::default());
        assert!(operator.check_administrator().is_ok() && operator.sees("v"));
        assert!(operator.check(Right::Configure, "v", (ResourceKind::Queue, "q")).is_ok());
        assert!(
            matches!(operator.actor("v").authority, Authority::Operator)
                && matches!(administrator.actor("v").authority, Authority::Permissions)
        );
    }

    #[test]
    fn an_administrator_needs_permissions_too() {
        let write = Permissions { write: "a.c".parse().unwrap(), ..Permissions::default() };
        let caller = caller(&["administrator"], write);
        let check = |right, vhost, name| caller.check(right, vhost, (ResourceKind::Queue, name));
        assert!(check(Right::Write, "v", "xabcx").is_ok());
        assert!(check(Right::Write, "v", "ab").is_err());
        assert!(check(Right::Read, "v", "abc").is_err());
        assert!(check(Right::Write, "w", "abc").is_err());
    }
}
