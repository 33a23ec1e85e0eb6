//! How to log in: each request carries its login, so that there is nothing to keep and to end.

use serde_json::json;

use super::auth::Caller;
use super::call::{Answer, Call};
use super::error::Refusal;
use super::reply::Reply;
use super::users;
use crate::server::password::Algorithm;

/// `POST /login` with the form fields `username` and `password`: whether they are right, and whose.
pub async fn login(call: Call) -> Answer {
    let form: Vec<(String, String)> = form_urlencoded::parse(call.body()).into_owned().collect();
    let field = |wanted: &str| form.iter().find(|(name, _)| name == wanted).map(|(_, value)| value);
    let (Some(name), Some(password)) = (field("username"), field("password")) else {
        return Err(Refusal::bad_request("[{key_missing,username},{key_missing,password}]"));
    };
    let caller = Caller::with_password(call.node(), name, password.as_bytes(), call.from).await?;
    Ok(Reply::json(&users::describe_caller(&caller)))
}

/// `DELETE /login`.
pub fn logout(_: &Call) -> Answer {
    Ok(Reply::no_content())
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
