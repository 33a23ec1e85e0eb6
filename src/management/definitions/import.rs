//! Definitions come in: all that is wrong is found, and either nothing is done or everything.
//!
//! What is there stays; users, policies and parameters are replaced. A queue or an exchange that is there
//! with other properties stays as it is, as with RabbitMQ, and is noted.

use std::sync::Arc;

use leveret_core::{Position, TopologyError};
use serde_json::Value;

use super::SINGLE_VHOST;
use super::entry::{Entry, List};
use super::report::{Lines, Report};
use super::step::Step;
use crate::management::error::Refusal;
use crate::management::fields::Fields;
use crate::server::Node;

/// Definitions that have been read.
#[derive(Debug, Default)]
pub struct Import {
    /// What they ask for, with where they do.
    steps: Vec<(String, Step)>,
    last: Vec<(String, Step)>,
    report: Report,
}

/// What came of an import.
#[derive(Debug)]
pub struct Imported {
    /// What is not as the definitions have it.
    pub notes: Lines,
    /// What has to be durable before anybody is told.
    pub promise: Option<Position>,
}

impl Import {
    /// Reads definitions: of everything, or of one virtual host.
    ///
    /// # Errors
    /// If it is no JSON object. What is wrong within it is found out by [`Import::run`].
    pub fn read(definitions: &[u8], vhost: Option<&Arc<str>>) -> Result<Import, Refusal> {
        let definitions = Fields::parse(definitions)?;
        let mut import = Import::default();
        let format = definitions.get("rabbitmq_definition_format").and_then(Value::as_str);
        if vhost.is_none() && format == Some(SINGLE_VHOST) {
            let what = "these are the definitions of one vhost: import them into one";
            return Err(Refusal::bad_request(what));
        }
        let lists = || List::GLOBAL.into_iter().chain(List::OF_VHOSTS);
        for name in definitions.names() {
            if !HEAD.contains(&name) && !lists().any(|list| list.name() == name) {
                import.report.notes.add(name, "it is left out: nobody knows what it is");
            }
        }
        for list in List::GLOBAL {
            let name = list.name();
            match vhost {
                None => import.read_list(&definitions, None, list),
                Some(_) if definitions.get(name).is_some() => {
                    import.report.notes.add(name, "they are left out: they are not of one vhost");
                }
                Some(_) => {}
            }
        }
        List::OF_VHOSTS.into_iter().for_each(|list| import.read_list(&definitions, vhost, list));
        Ok(import)
    }

    fn read_list(&mut self, definitions: &Fields, vhost: Option<&Arc<str>>, list: List) {
        let name = list.name();
        let entries = match definitions.get(name) {
            None | Some(Value::Null) => return,
            Some(Value::Array(entries)) => entries,
            Some(_) => return self.report.problems.add(name, "it must be a list"),
        };
        for (number, entry) in entries.iter().enumerate() {
            let Value::Object(fields) = entry else {
                let place = format!("{name}[{number}]");
                self.report.problems.add(place, "it must be an object");
                continue;
            };
            let fields = Fields::from(fields.clone());
            let place = place(name, number, &fields);
            let mut entry = Entry::new(&fields, vhost);
            if let Err(refusal) = entry.read(list) {
                self.report.problems.add(&place, said(refusal.reason()));
                continue;
            }
            entry.notes.iter().for_each(|note| self.report.notes.add(&place, note));
            self.steps.extend(entry.steps.into_iter().map(|step| (place.clone(), step)));
            self.last.extend(entry.last.into_iter().map(|step| (place.clone(), step)));
        }
    }

    /// Has a step done as well, if all goes well.
    pub fn add(&mut self, step: Step) {
        self.last.push((String::new(), step));
    }

    /// Does it.
    ///
    /// # Errors
    /// Everything that is wrong; then nothing has changed.
    pub fn run(self, node: &Node) -> Result<Imported, Report> {
        let Import { steps, last, mut report } = self;
        let done = node.command_all(|batch| {
            for (place, step) in steps.into_iter().chain(last) {
                match step.apply(batch) {
                    Ok(()) => {}
                    Err(error) if is_different(&error) => {
                        report.notes.add(&place, format_args!("it stays as it is: {error}"));
                    }
                    Err(error) => report.problems.add(&place, error),
                }
            }
            if report.problems.is_empty() { Ok(()) } else { Err(()) }
        });
        match done {
            Ok(((), promise)) => Ok(Imported { notes: report.notes, promise }),
            Err(()) => Err(report),
        }
    }
}

/// Where an entry stands, and what it is called.
fn place(list: &str, number: usize, fields: &Fields) -> String {
    let text = |field: &str| fields.get(field).and_then(Value::as_str);
    let vhost = text("vhost").map(|vhost| format!(" in vhost '{vhost}'")).unwrap_or_default();
    let named = match (text("name").or(text("user")), text("source"), text("destination")) {
        (Some(name), ..) => format!(" '{name}'"),
        (None, Some(source), Some(destination)) => format!(" '{source}' to '{destination}'"),
        _ => String::new(),
    };
    format!("{list}[{number}]{named}{vhost}")
}

/// The API says this in front of what is wrong with a policy.
fn said(reason: &str) -> &str {
    reason.strip_prefix("Validation failed\n\n").unwrap_or(reason).trim_end()
}

/// Whether it is there already, but not like this.
fn is_different(error: &TopologyError) -> bool {
    matches!(
        error,
        TopologyError::InequivalentProperty { .. }
            | TopologyError::InequivalentArgument { .. }
            | TopologyError::Locked(_)
    )
}

/// What else RabbitMQ writes into definitions, which says nothing to a broker that reads them.
const HEAD: [&str; 14] = [
    "rabbit_version",
    "rabbitmq_version",
    "product_name",
    "product_version",
    "rabbitmq_definition_format",
    "original_cluster_name",
    "original_vhost_name",
    "explanation",
    "components",
    "metadata",
    "description",
    "limits",
    "tags",
    "default_queue_type",
];
