//! Definitions: everything that lasts of a broker but its messages, as one JSON document in RabbitMQ's form.
//! They go out whole or of one virtual host, come in by the API or from a file at the start, and an import
//! is done as a whole or not at all. `docs/definitions.md` says what differs from RabbitMQ's.

mod entry;
mod export;
mod import;
mod multipart;
mod report;
mod step;

use std::sync::Arc;

use leveret_core::{ParameterName, TopologyCommand};
use serde_json::json;
use sha2::{Digest as _, Sha256};

use super::call::{Answer, Call};
use super::error::Refusal;
use super::fields::Fields;
use super::reply::Reply;
use crate::server::Node;
use crate::server::audit::Record;
use entry::{Entry, List};
pub use export::parameters_of;
use import::Import;
use step::Step;

/// `GET /definitions` and `/definitions/:vhost`.
pub fn export(call: &Call) -> Answer {
    let vhost = vhost(call)?;
    // A copy takes much less time than its description; nobody has to wait for that.
    let (node, topology) = (call.node(), call.node().topology().clone());
    let definitions = match vhost {
        None => export::whole(&node.config, &topology),
        Some(vhost) => export::of_vhost(&node.config, &topology, &vhost),
    };
    drop(topology);
    let reply = Reply::json(&definitions);
    Ok(match call.parameter("download") {
        None => reply,
        Some(name) => reply.download_as(name),
    })
}

/// `POST /definitions` and `/definitions/:vhost`: the document is the body, or a file in a form.
pub async fn import(call: Call) -> Answer {
    let vhost = vhost(&call)?;
    let document = multipart::file(&call.headers, call.body()).await?;
    let node = call.api.node.clone();
    let import = move || {
        let import = Import::read(&document, vhost.as_ref())?;
        let imported =
            import.run(&node).map_err(|report| Refusal::bad_request(report.refusal()))?;
        let notes = imported.notes.into_lines();
        notes.iter().for_each(|note| tracing::warn!("definitions: {note}"));
        let reply = match notes.is_empty() {
            true => Reply::no_content(),
            false => Reply::json(&json!({ "notes": notes })),
        };
        Ok(reply.after(imported.promise))
    };
    let imported = tokio::task::spawn_blocking(import).await;
    imported.unwrap_or_else(|_| Err(Refusal::internal("the import could not be carried out")))
}

fn vhost(call: &Call) -> Result<Option<Arc<str>>, Refusal> {
    match call.part("vhost") {
        "" => Ok(None),
        _ => call.vhost().map(Some),
    }
}

/// What has to be done for a parameter: `fields` are `vhost`, `component`, `name` and `value`.
///
/// # Errors
/// If it is none.
pub fn commands_of_parameter(fields: &Fields) -> Result<Vec<TopologyCommand>, Refusal> {
    let mut entry = Entry::new(fields, None);
    entry.read(List::Parameters)?;
    entry.notes.iter().for_each(|note| tracing::warn!("parameter: {note}"));
    let commands = entry.steps.into_iter().chain(entry.last).filter_map(|step| match step {
        Step::Command(command) => Some(command),
        _ => None,
    });
    Ok(commands.collect())
}

/// The definitions that the configuration names cannot be imported.
#[derive(Debug, thiserror::Error)]
#[error("{path}: {reason}")]
pub struct LoadDefinitionsError {
    path: String,
    reason: String,
}

/// Imports the definitions that the configuration names, unless they are those that it imported last.
///
/// # Errors
/// If the file cannot be read, or anything in it is wrong; then nothing has changed.
pub fn load_configured(node: &Node) -> Result<(), LoadDefinitionsError> {
    let path = &node.config.load_definitions;
    if path.as_os_str().is_empty() {
        return Ok(());
    }
    let failed = |reason: String| LoadDefinitionsError { path: path.display().to_string(), reason };
    let document = std::fs::read(path).map_err(|error| failed(error.to_string()))?;
    let digest: String = Sha256::digest(&document).iter().map(|it| format!("{it:02x}")).collect();
    let name = ParameterName { vhost: None, component: OWN.into(), name: LOADED.into() };
    let value = json!({ "sha256": digest });
    if node.topology().parameter(&name) == Some(&value) {
        tracing::info!(path = %path.display(), "definitions are as they were imported before");
        return Ok(());
    }
    let import = Import::read(&document, None);
    let mut import = import.map_err(|refusal| failed(refusal.reason().to_owned()))?;
    import.add(Step::Command(TopologyCommand::SetParameter { name, value }));
    let imported = import.run(node).map_err(|report| failed(report.refusal()))?;
    for note in imported.notes.into_lines() {
        tracing::warn!(path = %path.display(), "definitions: {note}");
    }
    tracing::info!(path = %path.display(), "definitions are imported");
    node.audit(|| {
        let record = Record::new("change").text("outcome", "success");
        record.text("action", "definitions.import").text("path", &path.display().to_string())
    });
    Ok(())
}

/// The forms of definitions.
const CLUSTER: &str = "cluster";
const SINGLE_VHOST: &str = "single_virtual_host";

/// Components of parameters that mean something, and RabbitMQ's name for all limits of a virtual host.
pub const OPERATOR_POLICY: &str = "operator_policy";
/// Policies, which have a list of their own.
pub const POLICY: &str = "policy";
/// Limits of virtual hosts.
pub const LIMITS: &str = "vhost-limits";
/// RabbitMQ has all limits of a virtual host under one name.
pub const LIMITS_NAME: &str = "limits";

/// A field of users that RabbitMQ does not know: the keys of SCRAM-SHA-256.
const SCRAM_KEYS: &str = "scram_sha256";

/// The component of the broker's own parameters, which nobody sees.
const OWN: &str = "leveret";
const LOADED: &str = "loaded_definitions";
