//! Closes connections of clients.

use super::Session;
use crate::args::CloseConnection;
use crate::ask;
use crate::client::{Ask, Client};
use crate::failure::Failure;
use crate::pages;
use crate::path::fill;

/// Closes the connections that are named.
pub fn connections(session: &Session<'_>, which: &CloseConnection) -> Result<(), Failure> {
    let reason = which.reason.as_deref();
    if let Some(name) = &which.name {
        let about = format!("connection '{name}'");
        let path = fill("connections/{name}", &[name]);
        session.client.send(Ask::delete(path, &about).because(reason))?;
        return session.output.done(&format!("{about} is closed"), "closed");
    }
    if let Some(user) = &which.of_user {
        ask::confirm(which.yes, &format!("close all connections of user '{user}'"))?;
        let about = format!("connections of user '{user}'");
        let path = fill("connections/username/{user}", &[user]);
        session.client.send(Ask::delete(path, &about).because(reason))?;
        return session.output.done(&format!("all {about} are closed"), "closed");
    }
    let (path, about) = match session.named_vhost {
        Some(vhost) => {
            let path = fill("vhosts/{vhost}/connections", &[vhost]);
            (path, format!("connections in vhost '{vhost}'"))
        }
        None => ("connections".to_owned(), "connections".to_owned()),
    };
    ask::confirm(which.yes, &format!("close all {about}"))?;
    let closed = close_all(session.client, (&path, &about), reason)?;
    session.output.done(&format!("{closed} {about} are closed"), "closed")
}

/// Closes what is there now, one after the other. What has gone by itself is as good as closed.
fn close_all(
    client: &Client,
    (path, about): (&str, &str),
    reason: Option<&str>,
) -> Result<usize, Failure> {
    let mut closed = 0;
    for name in names(client, path, about)? {
        let path = fill("connections/{name}", &[&name]);
        let answer = client.send_any(Ask::delete(path, about).because(reason))?;
        match answer.status {
            204 => closed += 1,
            404 => {}
            _ => return Err(client.refused(&answer, &format!("connection '{name}'"))),
        }
    }
    Ok(closed)
}

fn names(client: &Client, path: &str, about: &str) -> Result<Vec<String>, Failure> {
    let mut names = Vec::new();
    pages::each(client, (path, "&columns=name"), about, |item| {
        names.extend(item["name"].as_str().map(str::to_owned));
        Ok(())
    })?;
    Ok(names)
}
