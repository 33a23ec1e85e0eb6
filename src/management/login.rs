//! How to log in: by a login in each request, or once, by a session that a cookie stands for.

use axum::http::HeaderValue;
use axum::http::header::SET_COOKIE;
use serde_json::json;

use super::auth::Caller;
use super::call::{Answer, Call};
use super::error::Refusal;
use super::reply::Reply;
use super::sessions::{self, Lifetime};
use super::users;
use crate::server::password::Algorithm;

/// `POST /login` with the form fields `username`, `password` and perhaps `remember`: whether they are
/// right, and whose. Begins a session, unless a page that is none of the broker's may be behind it, and
/// want its visitors to be somebody else.
pub async fn login(call: Call) -> Answer {
    let form: Vec<(String, String)> = form_urlencoded::parse(call.body()).into_owned().collect();
    let field = |wanted: &str| form.iter().find(|(name, _)| name == wanted).map(|(_, value)| value);
    let (Some(name), Some(password)) = (field("username"), field("password")) else {
        return Err(Refusal::bad_request("[{key_missing,username},{key_missing,password}]"));
    };
    let mut caller =
        Caller::with_password(call.node(), name, password.as_bytes(), &call.from).await?;
    if sessions::is_of_some_page(&call.headers) && !sessions::is_own_page(&call.headers) {
        return Ok(Reply::json(&users::describe_caller(&caller)));
    }
    let lifetime = match field("remember").is_some_and(|remember| remember == "true") {
        true => Lifetime::Remembered,
        false => Lifetime::Browser,
    };
    call.api.sessions.end(&call.headers);
    let cookie = caller.begin_session(&call.api.sessions, password.as_bytes(), lifetime);
    let cookie = for_call(&call, cookie);
    Ok(Reply::json(&users::describe_caller(&caller)).with_header(SET_COOKIE, cookie))
}

/// `DELETE /login`: ends the session of the cookie.
pub fn logout(call: &Call) -> Answer {
    if sessions::has_cookie(&call.headers) && !sessions::is_own_page(&call.headers) {
        return Err(Refusal::no_page_of_ours());
    }
    call.api.sessions.end(&call.headers);
    Ok(Reply::no_content().with_header(SET_COOKIE, for_call(call, sessions::no_cookie())))
}

/// What is given over TLS comes back over TLS alone.
fn for_call(call: &Call, cookie: HeaderValue) -> HeaderValue {
    if call.is_secure { sessions::secured(&cookie) } else { cookie }
}

/// `GET /auth`: what a page that wants to log in has to know.
pub fn ways(_: &Call) -> Answer {
    Ok(Reply::json(&json!({ "oauth_enabled": false })))
}

/// `GET /auth/hash_password/:password`: in RabbitMQ's form.
pub fn hash(call: &Call) -> Answer {
    let hash = Algorithm::Sha256.hash(call.part("password").as_bytes());
    Ok(Reply::json(&json!({ "ok": hash })))
}
