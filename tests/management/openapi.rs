//! The description of the API against the API: every operation is called with what its description
//! allows and with what it does not, and answers as described.

use std::cmp::Reverse;
use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use crate::mqtt::Client;
use crate::support::{Answer, Api, segment};

/// The description, and what its parameters are filled with.
struct Description {
    document: Value,
    node: String,
}

/// An operation of the description.
struct Operation<'a> {
    method: String,
    path: &'a str,
    described: &'a Value,
}

impl Description {
    fn of(api: &Api) -> Self {
        let node = api.read("overview")["node"].as_str().unwrap().to_owned();
        Description { document: api.read("openapi.json"), node }
    }

    /// Those that leave others something to work with come first.
    fn operations(&self) -> Vec<Operation<'_>> {
        let mut found = Vec::new();
        for (path, operations) in self.document["paths"].as_object().unwrap() {
            for (method, described) in operations.as_object().unwrap() {
                found.push(Operation { method: method.to_uppercase(), path, described });
            }
        }
        let order = ["PUT", "POST", "GET", "DELETE"];
        found.sort_by_key(|it| (order.iter().position(|method| *method == it.method), it.path));
        // What is inside goes before what it is in.
        let first = found.iter().position(|it| it.method == "DELETE").unwrap();
        found[first..].sort_by_key(|it| Reverse(it.path.split('/').count()));
        found
    }

    fn resolve<'a>(&'a self, schema: &'a Value) -> &'a Value {
        match schema["$ref"].as_str() {
            Some(name) => {
                let name = name.rsplit('/').next().unwrap();
                &self.document["components"]["schemas"][name]
            }
            None => schema,
        }
    }

    /// Whether a value is of a schema, as far as this API uses them.
    fn fits(&self, schema: &Value, value: &Value) -> bool {
        let schema = self.resolve(schema);
        if let Some(choices) = schema["oneOf"].as_array() {
            return choices.iter().filter(|choice| self.fits(choice, value)).count() == 1;
        }
        if schema["enum"].as_array().is_some_and(|values| !values.contains(value)) {
            return false;
        }
        let types: Vec<&str> = match &schema["type"] {
            Value::String(name) => vec![name],
            Value::Array(names) => names.iter().filter_map(Value::as_str).collect(),
            _ => return true,
        };
        types.iter().any(|name| match (*name, value) {
            ("null", Value::Null) | ("boolean", Value::Bool(_)) | ("string", Value::String(_)) => {
                true
            }
            ("integer", Value::Number(number)) => !number.is_f64(),
            ("number", Value::Number(_)) => true,
            ("array", Value::Array(items)) => {
                items.iter().all(|item| self.fits(&schema["items"], item))
            }
            ("object", Value::Object(object)) => self.fits_object(schema, object),
            _ => false,
        })
    }

    fn fits_object(&self, schema: &Value, object: &Map<String, Value>) -> bool {
        let required = schema["required"].as_array().into_iter().flatten();
        let known = |(name, value): (&String, &Value)| {
            schema["properties"].get(name).is_none_or(|schema| self.fits(schema, value))
        };
        required.filter_map(Value::as_str).all(|name| object.contains_key(name))
            && object.iter().all(known)
    }

    /// Something that a schema allows.
    fn example(&self, name: &str, schema: &Value) -> Value {
        let schema = self.resolve(schema);
        if let Some(first) = schema["enum"].as_array().and_then(|values| values.first()) {
            return first.clone();
        }
        if let Some(first) = schema["oneOf"].as_array().and_then(|choices| choices.first()) {
            return self.example(name, first);
        }
        match schema["type"].as_str() {
            Some("boolean") => json!(true),
            // Nothing expires while the test runs.
            Some("integer") if name == "message_expiry_interval" => json!(3_600),
            Some("integer") => json!(1),
            Some("array") => json!([]),
            Some("object") if name == "definition" => json!({"max-length": 5}),
            Some("object") => {
                let properties = schema["properties"].as_object().cloned().unwrap_or_default();
                let example = |(name, schema): (String, Value)| {
                    let value = self.example(&name, &schema);
                    (name, value)
                };
                properties.into_iter().map(example).collect()
            }
            _ => match name {
                "node" => json!(self.node),
                "destination" => json!("other"),
                "expiration" => json!("1000"),
                "user_id" => json!("guest"),
                "password_hash" | "hashing_algorithm" => Value::Null,
                _ => json!("v"),
            },
        }
    }

    fn path(&self, operation: &Operation<'_>, strange: Option<&str>) -> String {
        let parts = operation.path.split('/').skip(1).map(|part| match (part, strange) {
            (part, _) if !part.starts_with('{') => part.to_owned(),
            (_, Some(strange)) => segment(strange),
            ("{node}", _) => segment(&self.node),
            ("{kind}", _) => "q".to_owned(),
            ("{limit}", _) => "max-connections".to_owned(),
            ("{within}" | "{port}", _) => "1".to_owned(),
            ("{unit}", _) => "weeks".to_owned(),
            ("{user}", _) => "somebody".to_owned(),
            _ => "v".to_owned(),
        });
        parts.collect::<Vec<_>>().join("/")
    }

    fn queries(&self, operation: &Operation<'_>) -> Vec<String> {
        let mut queries = vec![String::new()];
        for parameter in operation.described["parameters"].as_array().unwrap() {
            let name = parameter["name"].as_str().unwrap();
            if parameter["in"] != "query" || name == "wait" {
                continue;
            }
            let example = self.example(name, &parameter["schema"]);
            let example = example.as_str().map_or(example.to_string(), str::to_owned);
            for value in [&example, "", "-1", "%00", "99999999999999999999", "(", "é"] {
                queries.push(format!("?{name}={value}"));
            }
        }
        queries
    }

    /// Bodies that fit and bodies that do not.
    fn bodies(&self, operation: &Operation<'_>) -> Vec<Vec<u8>> {
        let content = operation.described["requestBody"]["content"].as_object();
        let Some((form, content)) = content.and_then(|content| content.iter().next()) else {
            return vec![Vec::new()];
        };
        if form == "application/x-www-form-urlencoded" {
            return [&b"username=guest&password=guest"[..], b"username=guest", b"%ff=&&", b""]
                .map(<[u8]>::to_vec)
                .into();
        }
        let whole = self.example("", &content["schema"]);
        let mut bodies =
            vec![whole.clone(), json!({}), json!([]), json!("x"), json!(1), Value::Null];
        for name in whole.as_object().into_iter().flat_map(|whole| whole.keys()) {
            for wrong in [
                Value::Null,
                json!(-1),
                json!(1e300),
                json!([[1]]),
                json!({"a": {}}),
                json!("\0é("),
            ] {
                let mut changed = whole.clone();
                changed[name] = wrong;
                bodies.push(changed);
            }
            let mut without = whole.clone();
            without.as_object_mut().unwrap().remove(name);
            bodies.push(without);
        }
        let mut bodies: Vec<_> = bodies.iter().map(|body| body.to_string().into_bytes()).collect();
        bodies.extend([&b""[..], b"{", b"\xff\xfe", b"[[[["].map(<[u8]>::to_vec));
        bodies
    }

    /// What is wrong with an answer.
    fn flaw(&self, operation: &Operation<'_>, answer: &Answer) -> Option<String> {
        let responses = &operation.described["responses"];
        let status = answer.status.to_string();
        let described = match responses.get(&status) {
            Some(described) => described,
            // Everything else is an error that the client made.
            None if matches!(answer.status, 412 | 413) => &responses["default"],
            None => return Some(format!("status {status}: {}", answer.text())),
        };
        let form = answer.header("content-type");
        let form = form.split(';').next().unwrap_or_default();
        match described["content"].as_object().and_then(|content| content.iter().next()) {
            None => (!answer.bytes().is_empty()).then(|| format!("{status} with a body")),
            Some((wanted, _)) if wanted != "*/*" && wanted != form => {
                Some(format!("{status} as {form}"))
            }
            Some((wanted, content)) if wanted == "application/json" => {
                let value = answer.json();
                let fits = self.fits(&content["schema"], &value);
                (!fits).then(|| format!("{status} with {value}"))
            }
            Some(_) => None,
        }
    }
}

/// What does not succeed with anything that is there.
const FAILING: &[&str] = &[
    "DELETE /connections/{connection}",
    "DELETE /parameters/{component}/{vhost}/{name}",
    "DELETE /queues/quorum/replicas/on/{node}/shrink",
    "DELETE /queues/quorum/{vhost}/{queue}/replicas/delete",
    "DELETE /queues/{vhost}/{queue}/messages/{token}",
    "GET /channels/{channel}",
    "GET /connections/{connection}",
    "GET /connections/{connection}/channels",
    "GET /connections/{connection}/sessions",
    "GET /health/checks/port-listener/{port}",
    "GET /health/checks/protocol-listener/{protocols}",
    "GET /parameters/{component}/{vhost}/{name}",
    "GET /queues/quorum/{vhost}/{queue}/status",
    "POST /queues/quorum/{vhost}/{queue}/replicas/add",
    "POST /queues/{vhost}/{queue}/messages/{token}/requeue",
    "PUT /feature-flags/{name}/enable",
    "PUT /parameters/{component}/{vhost}/{name}",
];

fn prepare(api: &Api) {
    let all = json!({"configure": ".*", "write": ".*", "read": ".*"});
    assert_eq!(api.put("vhosts/v", json!({})).status, 201);
    assert_eq!(api.put("queues/v/v", json!({})).status, 201);
    assert_eq!(api.put("queues/v/other", json!({})).status, 201);
    assert_eq!(api.put("exchanges/v/v", json!({})).status, 201);
    assert_eq!(api.put("users/somebody", json!({"password": "p"})).status, 201);
    assert_eq!(api.put("permissions/v/somebody", all).status, 201);
    assert_eq!(api.post("bindings/v/e/v/q/v", json!({"routing_key": "v"})).status, 201);
}

#[test]
fn every_operation_answers_as_described() {
    let api = Api::start();
    prepare(&api);
    let _client = Client::connect(&api, "v", 60);
    let description = Description::of(&api);
    let (mut wrong, mut failing) = (BTreeSet::new(), BTreeSet::new());
    for operation in description.operations() {
        if operation.path.ends_with("/stream") || operation.path.ends_with("/tap") {
            continue;
        }
        let mut succeeds = false;
        let mut call = |path: &str, body: &[u8]| {
            let answer = match (&*operation.method, body.is_empty()) {
                ("GET" | "DELETE", true) => api.request(&operation.method, path, None),
                _ => api.send(&operation.method, path, body),
            };
            succeeds |= answer.status < 300;
            if let Some(flaw) = description.flaw(&operation, &answer) {
                let body = String::from_utf8_lossy(body);
                wrong.insert(format!("{} {path} {body}: {flaw}", operation.method));
            }
        };
        let bodies = description.bodies(&operation);
        for strange in ["/", "absent", "\u{0}", "é%2F+ ", "..", &"long".repeat(100)] {
            call(&description.path(&operation, Some(strange)), &bodies[0]);
        }
        let path = description.path(&operation, None);
        for query in description.queries(&operation) {
            call(&format!("{path}{query}"), &bodies[0]);
        }
        bodies.iter().for_each(|body| call(&path, body));
        if !succeeds {
            failing.insert(format!("{} {}", operation.method, operation.path));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    failing.retain(|operation| !FAILING.contains(&&**operation));
    assert!(failing.is_empty(), "{failing:#?}");
}

#[test]
fn a_description_can_be_read_without_a_login() {
    let api = Api::start();
    let answer = api.request_as(None, "GET", "openapi.json", None);
    assert_eq!(answer.status, 200);
    let document = answer.json();
    assert_eq!(document["openapi"], "3.1.0");
    let show = &document["paths"]["/queues/{vhost}/{queue}"]["get"];
    assert_eq!(show["x-required-tag"], "management");
    assert_eq!(
        show["responses"]["200"]["content"]["application/json"]["schema"]["$ref"],
        "#/components/schemas/Queue"
    );
}
