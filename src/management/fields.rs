//! The body of a request: a JSON object whose fields are looked at one by one.

use serde_json::{Map, Value};

use super::error::Refusal;

/// See the module's documentation.
#[derive(Debug, Default)]
pub struct Fields(Map<String, Value>);

impl From<Map<String, Value>> for Fields {
    fn from(fields: Map<String, Value>) -> Self {
        Fields(fields)
    }
}

impl Fields {
    /// Reads a body. Nothing and `null` are an empty object.
    ///
    /// # Errors
    /// If it is no JSON object.
    pub fn parse(body: &[u8]) -> Result<Fields, Refusal> {
        if body.trim_ascii().is_empty() {
            return Ok(Fields::default());
        }
        match serde_json::from_slice(body) {
            Ok(value) if !is_shallow(&value, DEPTH_MAX) => Err(Refusal::bad_request(TOO_DEEP)),
            Ok(Value::Object(fields)) => Ok(Fields(fields)),
            Ok(Value::Null) => Ok(Fields::default()),
            Ok(Value::String(_)) => Err(Refusal::bad_request(DOUBLY_ENCODED)),
            _ => Err(Refusal::not_json()),
        }
    }

    /// Refuses a body in which one of these is not there.
    ///
    /// # Errors
    /// Names all that are missing.
    pub fn require(&self, names: &[&str]) -> Result<(), Refusal> {
        let missing = names.iter().filter(|name| !self.0.contains_key(**name));
        let missing: Vec<_> = missing.map(|name| format!("{{key_missing,{name}}}")).collect();
        match missing.is_empty() {
            true => Ok(()),
            false => Err(Refusal::bad_request(format!("[{}]", missing.join(",")))),
        }
    }

    /// The names of all fields.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// A field, if it is there.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.0.get(name)
    }

    /// A text; `None` if it is not there.
    ///
    /// # Errors
    /// If it is something else.
    pub fn text(&self, name: &str) -> Result<Option<&str>, Refusal> {
        match self.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(Refusal::bad_request(format!("{name} must be a string"))),
        }
    }

    /// A list of words, or a text with commas between them; `None` if it is not there.
    ///
    /// # Errors
    /// If it is something else, or too many words.
    pub fn words(&self, name: &str) -> Result<Option<Vec<String>>, Refusal> {
        let words: Vec<String> = match self.get(name) {
            None | Some(Value::Null) => return Ok(None),
            Some(Value::String(text)) => {
                let words = text.split(',').map(|word| word.trim().to_owned());
                words.take(WORDS_MAX + 1).collect()
            }
            Some(Value::Array(items)) if items.iter().all(Value::is_string) => {
                let words = items.iter().filter_map(|item| item.as_str().map(str::to_owned));
                words.take(WORDS_MAX + 1).collect()
            }
            Some(_) => {
                let reason = format!("{name} must be a string or a list of strings");
                return Err(Refusal::bad_request(reason));
            }
        };
        if words.len() > WORDS_MAX {
            return Err(Refusal::bad_request(format!("{name} has more than {WORDS_MAX} words")));
        }
        Ok(Some(words.into_iter().filter(|word| !word.is_empty()).collect()))
    }

    /// A truth value, which may be written as a text; `false` if it is not there.
    ///
    /// # Errors
    /// If it is something else.
    pub fn boolean(&self, name: &str) -> Result<bool, Refusal> {
        match self.get(name) {
            None | Some(Value::Null) => Ok(false),
            Some(Value::Bool(value)) => Ok(*value),
            Some(Value::String(text)) if text == "true" => Ok(true),
            Some(Value::String(text)) if text == "false" => Ok(false),
            Some(_) => Err(Refusal::bad_request(format!("{name} must be true or false"))),
        }
    }

    /// A count, which may be written as a text; `None` if it is not there.
    ///
    /// # Errors
    /// If it is something else.
    pub fn count(&self, name: &str) -> Result<Option<usize>, Refusal> {
        let count = match self.get(name) {
            None | Some(Value::Null) => return Ok(None),
            Some(Value::Number(number)) => number.as_u64().and_then(|n| n.try_into().ok()),
            Some(Value::String(text)) => text.parse().ok(),
            Some(_) => None,
        };
        let refusal = || Refusal::bad_request(format!("{name} must be a whole number"));
        count.map(Some).ok_or_else(refusal)
    }
}

/// Whether nothing in a value is nested deeper than this.
fn is_shallow(value: &Value, depth_max: usize) -> bool {
    let is_fine = |value: &Value| is_shallow(value, depth_max - 1);
    match value {
        Value::Array(items) => depth_max > 0 && items.iter().all(is_fine),
        Value::Object(fields) => depth_max > 0 && fields.values().all(is_fine),
        _ => true,
    }
}

/// Arrays and objects in each other. Much of it goes into the journal inside of more, and has to be read
/// again, for which `serde_json` has a limit of 128.
const DEPTH_MAX: usize = 64;
/// What a list of words may hold: tags, which are kept for as long as what they are about.
const WORDS_MAX: usize = 256;
const TOO_DEEP: &str = "arrays and objects may be nested 64 deep";
const DOUBLY_ENCODED: &str =
    "invalid payload: the request body JSON-decoded to a string. Is the input doubly-JSON-encoded?";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_and_null_are_an_empty_object_and_other_things_are_refused() {
        for body in ["", " \n", "null", "{}"] {
            assert!(Fields::parse(body.as_bytes()).unwrap().0.is_empty());
        }
        for body in ["{no", "[]", "7", "\u{0}"] {
            assert_eq!(Fields::parse(body.as_bytes()).unwrap_err(), Refusal::not_json());
        }
        let doubly = Fields::parse(br#""{}""#).unwrap_err();
        assert_eq!(doubly, Refusal::bad_request(DOUBLY_ENCODED));
    }

    #[test]
    fn what_is_nested_too_deep_is_refused() {
        let nested = |depth: usize| {
            let (open, close) = ("[".repeat(depth), "]".repeat(depth));
            Fields::parse(format!("{{\"value\":{open}{close}}}").as_bytes())
        };
        assert!(nested(DEPTH_MAX - 1).is_ok());
        assert_eq!(nested(DEPTH_MAX).unwrap_err(), Refusal::bad_request(TOO_DEEP));
    }

    #[test]
    fn all_missing_fields_are_named() {
        let fields = Fields::parse(br#"{"b":1}"#).unwrap();
        assert!(fields.require(&["b"]).is_ok());
        let refusal = fields.require(&["a", "b", "c"]).unwrap_err();
        assert_eq!(refusal, Refusal::bad_request("[{key_missing,a},{key_missing,c}]"));
    }

    #[test]
    fn a_list_of_words_has_a_longest_length() {
        let words = |count: usize| {
            let list = Value::from(vec!["word"; count]);
            let text = vec!["word"; count].join(",");
            [list, text.into()].map(|words| {
                Fields::from(Map::from_iter([("tags".to_owned(), words)])).words("tags")
            })
        };
        assert!(words(WORDS_MAX).iter().all(|it| it.as_ref().is_ok_and(|it| it.is_some())));
        let refusal = Refusal::bad_request("tags has more than 256 words");
        assert!(words(WORDS_MAX + 1).iter().all(|it| *it == Err(refusal.clone())));
    }

    #[test]
    fn truth_and_counts_may_be_texts() {
        let fields = Fields::parse(br#"{"t":"true","f":false,"n":"7","m":7,"x":-1}"#).unwrap();
        assert_eq!(fields.boolean("t"), Ok(true));
        assert_eq!(fields.boolean("f"), Ok(false));
        assert_eq!(fields.boolean("absent"), Ok(false));
        assert!(fields.boolean("n").is_err());
        assert_eq!(fields.count("n"), Ok(Some(7)));
        assert_eq!(fields.count("m"), Ok(Some(7)));
        assert_eq!(fields.count("absent"), Ok(None));
        assert!(fields.count("x").is_err());
        assert!(fields.text("m").is_err());
    }
}
