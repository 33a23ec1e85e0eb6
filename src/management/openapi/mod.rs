//! `GET /openapi.json`: a description of the API for programs, in OpenAPI 3.1.
//!
//! Paths, methods and who may call come from the table of routes. What an operation takes and gives is
//! in `operations.json`, in words that stand for more:
//!
//! | `gives` | answer |
//! |---|---|
//! | `Queue`, `[Queue]` | 200 with this schema, or a list of it |
//! | `page Queue` | 200 with a list, or with a page of it |
//! | `204` | nothing to say |
//! | `put` | 201 if it is new, 204 if not |
//! | `bind` | 201 with `Location` |
//! | `health` | 200 or 503 with `Health` |
//! | `text`, `events` | 200 with text, or with server-sent events |
//! | `take` | 200 with the body of a message, or 204 |
//!
//! `takes` is a schema, `form` and a schema, or `bytes`. `query` names parameters; `list`, `page` and
//! `columns` stand for those of lists, lists in pages and single objects, `ranges` for histories.

use std::sync::OnceLock;

use serde_json::{Map, Value, json};

use super::auth::Who;
use super::call::{Answer, Call};
use super::reply::Reply;
use super::routes::{ROUTES, Route};

/// The description.
pub fn show(_: &Call) -> Answer {
    static DOCUMENT: OnceLock<String> = OnceLock::new();
    let document = DOCUMENT.get_or_init(|| document().to_string());
    Ok(Reply::text(document.clone().into_bytes()))
}

fn document() -> Value {
    let sources = Sources::read();
    let mut paths = Map::new();
    for route in ROUTES.iter().copied().flatten() {
        let path = paths.entry(route.path).or_insert_with(|| json!({}));
        path[route.method.to_lowercase()] = sources.describe(route);
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Leveret",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Management of the broker, in the shapes of RabbitMQ's management API.",
            "license": { "name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0" },
        },
        "servers": [{ "url": "/api" }],
        "security": [{ "basic": [] }, { "cookie": [] }],
        "paths": paths,
        "components": {
            "schemas": sources.schemas,
            "securitySchemes": {
                "basic": { "type": "http", "scheme": "basic" },
                "cookie": { "type": "apiKey", "in": "cookie", "name": "leveret_session" },
            },
        },
    })
}

/// What is written by hand.
struct Sources {
    operations: Value,
    parameters: Value,
    schemas: Value,
}

impl Sources {
    fn read() -> Self {
        let read = |text| serde_json::from_str(text).expect("a test reads it");
        Sources {
            operations: read(include_str!("operations.json")),
            parameters: read(include_str!("parameters.json")),
            schemas: read(include_str!("schemas.json")),
        }
    }

    fn describe(&self, route: &Route) -> Value {
        let source = &self.operations[format!("{} {}", route.method, route.path)];
        let word = |name: &str| source[name].as_str().unwrap_or_default();
        let mut operation = json!({
            "operationId": operation_id(route),
            "summary": word("summary"),
            "parameters": self.parameters(route, word("query")),
            "responses": responses(word("gives")),
            "x-required-tag": tag(route.who),
        });
        if route.who == Who::Anybody {
            operation["security"] = json!([]);
        }
        if !word("takes").is_empty() {
            operation["requestBody"] = body(word("takes"));
        }
        operation
    }

    fn parameters(&self, route: &Route, query: &str) -> Vec<Value> {
        let parts =
            route.path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
        let parts = parts.map(|name| self.parameter("path", name));
        let words = query.split_whitespace().flat_map(|word| match word {
            "page" => PAGE,
            "list" => LIST,
            "columns" => COLUMNS,
            "ranges" => RANGES,
            _ => &[],
        });
        let single = query.split_whitespace().filter(|word| !SETS.contains(word));
        let query = single.chain(words.copied()).map(|name| self.parameter("query", name));
        parts.chain(query).collect()
    }

    fn parameter(&self, place: &str, name: &str) -> Value {
        let source = &self.parameters[place][name];
        json!({
            "name": name,
            "in": place,
            "required": place == "path",
            "description": source[0],
            "schema": source[1],
        })
    }
}

fn responses(gives: &str) -> Value {
    let nothing = json!({ "description": "It is done." });
    let with = |schema: Value| content("Here it is.", "application/json", schema);
    let mut responses = match gives {
        "204" => json!({ "204": nothing }),
        "put" => json!({ "201": { "description": "It is new." }, "204": nothing }),
        "import" => json!({ "200": with(schema("Notes")), "204": nothing }),
        "bind" => json!({ "201": {
            "description": "It is there.",
            "headers": { "Location": { "schema": { "type": "string" } } },
        } }),
        "health" => json!({
            "200": with(schema("Health")),
            "503": content("The check has failed.", "application/json", schema("Health")),
        }),
        "text" => {
            json!({ "200": content("Here it is.", "text/plain", json!({ "type": "string" })) })
        }
        "events" => json!({
            "200": content("Messages.", "text/event-stream", json!({ "type": "string" })),
        }),
        "take" => json!({
            "200": content("The body of a message.", "*/*", json!({})),
            "204": { "description": "No message has come." },
        }),
        _ => json!({ "200": with(answer(gives)) }),
    };
    responses["default"] = content("It is not done.", "application/json", schema("Error"));
    for status in ["400", "401", "404"] {
        responses[status] = responses["default"].clone();
    }
    responses
}

fn answer(gives: &str) -> Value {
    let list = |name| json!({ "type": "array", "items": schema(name) });
    if let Some(name) = gives.strip_prefix("page ") {
        let number = json!({ "type": "integer", "minimum": 0 });
        let page = json!({
            "type": "object",
            "properties": {
                "items": list(name), "page": number, "page_count": number, "page_size": number,
                "item_count": number, "filtered_count": number, "total_count": number,
            },
        });
        return json!({ "oneOf": [list(name), page] });
    }
    match gives.strip_prefix('[').and_then(|gives| gives.strip_suffix(']')) {
        Some(name) => list(name),
        None => schema(gives),
    }
}

fn body(takes: &str) -> Value {
    let (form, schema) = match takes.split_once(' ') {
        Some((_, name)) => ("application/x-www-form-urlencoded", schema(name)),
        None if takes == "bytes" => ("application/octet-stream", json!({})),
        None => ("application/json", schema(takes)),
    };
    let content = Map::from_iter([(form.to_owned(), json!({ "schema": schema }))]);
    json!({ "required": takes != "Anything", "content": content })
}

fn content(description: &str, form: &str, schema: Value) -> Value {
    let content = Map::from_iter([(form.to_owned(), json!({ "schema": schema }))]);
    json!({ "description": description, "content": content })
}

fn schema(name: &str) -> Value {
    json!({ "$ref": format!("#/components/schemas/{name}") })
}

fn operation_id(route: &Route) -> String {
    let words = route.path.split(['/', '-', '.', '_', '{', '}']).filter(|word| !word.is_empty());
    let method = route.method.to_lowercase();
    std::iter::once(&*method).chain(words).collect::<Vec<_>>().join("_")
}

fn tag(who: Who) -> &'static str {
    match who {
        Who::Anybody => "none",
        Who::Management => "management",
        Who::Policymaker => "policymaker",
        Who::Monitoring => "monitoring",
        Who::Administrator => "administrator",
    }
}

const SETS: &[&str] = &["page", "list", "columns", "ranges"];
const COLUMNS: &[&str] = &["columns"];
const RANGES: &[&str] = &[
    "lengths_age",
    "lengths_incr",
    "msg_rates_age",
    "msg_rates_incr",
    "data_rates_age",
    "data_rates_incr",
    "node_stats_age",
    "node_stats_incr",
];
const LIST: &[&str] = &["sort", "sort_reverse", "columns"];
const PAGE: &[&str] =
    &["page", "page_size", "name", "use_regex", "sort", "sort_reverse", "columns"];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_route_is_described_and_nothing_else() {
        let sources = Sources::read();
        let routes = ROUTES.iter().copied().flatten();
        let routes: BTreeSet<_> =
            routes.map(|route| format!("{} {}", route.method, route.path)).collect();
        let described = sources.operations.as_object().unwrap().keys().cloned().collect();
        assert_eq!(routes, described);
        let ids = ROUTES.iter().copied().flatten().map(operation_id);
        assert_eq!(ids.collect::<BTreeSet<_>>().len(), routes.len());
    }

    #[test]
    fn what_is_named_is_there_and_what_is_there_is_named() {
        let document = document();
        let mut named = BTreeSet::new();
        collect_named(&document, &mut named);
        let schemas = document["components"]["schemas"].as_object().unwrap();
        assert_eq!(named, schemas.keys().cloned().collect());
        let mut parameters = BTreeSet::new();
        for operation in document["paths"].as_object().unwrap().values() {
            for operation in operation.as_object().unwrap().values() {
                for parameter in operation["parameters"].as_array().unwrap() {
                    assert!(parameter["description"].is_string(), "{parameter}");
                    let place = parameter["in"].as_str().unwrap();
                    parameters.insert((place.to_owned(), parameter["name"].to_string()));
                }
            }
        }
        let sources = Sources::read();
        let known = |place: &str| sources.parameters[place].as_object().unwrap().len();
        assert_eq!(parameters.len(), known("path") + known("query"));
    }

    fn collect_named(value: &Value, named: &mut BTreeSet<String>) {
        match value {
            Value::Object(object) => {
                let name = object.get("$ref").and_then(Value::as_str);
                named.extend(name.map(|name| name.rsplit('/').next().unwrap().to_owned()));
                object.values().for_each(|inside| collect_named(inside, named));
            }
            Value::Array(items) => items.iter().for_each(|item| collect_named(item, named)),
            _ => {}
        }
    }
}
