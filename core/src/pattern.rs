//! Regular expressions over names, as permissions and policies have them.
//!
//! They are searched without anchors, in time linear in the name whatever the pattern is, and what a
//! pattern takes in memory is limited. There is no looking around and no referring back, but for one
//! form that policies are often written in: `^(?!…)…`, what does not begin like this.
//!
//! A pattern is compiled when it is first needed and kept: a user who never comes costs nothing.

use std::fmt;
use std::str::FromStr;
use std::sync::{Arc, OnceLock};

use regex::{Regex, RegexBuilder};
use serde::{Deserialize, Serialize};

/// The longest pattern, in bytes.
pub const NAME_PATTERN_BYTES_MAX: usize = 4096;

/// A pattern for names. An empty one matches the empty name only.
///
/// ```
/// use leveret_core::NamePattern;
/// let pattern: NamePattern = "^orders\\.".parse()?;
/// assert!(pattern.matches("orders.eu") && !pattern.matches("my-orders.eu"));
/// # Ok::<(), leveret_core::NamePatternError>(())
/// ```
#[derive(Clone, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub struct NamePattern {
    text: Arc<str>,
    compiled: OnceLock<Matcher>,
}

/// A text that is no pattern.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NamePatternError {
    /// It is longer than [`NAME_PATTERN_BYTES_MAX`].
    #[error("the pattern is longer than {NAME_PATTERN_BYTES_MAX} bytes")]
    TooLong,
    /// It is no regular expression, or one that takes too much memory.
    #[error("{0}")]
    Invalid(String),
}

#[derive(Debug, Clone)]
enum Matcher {
    Everything,
    Nothing,
    Search(Regex),
    /// What the first one is not found in and the second one is.
    Except(Box<(Regex, Regex)>),
}

impl NamePattern {
    /// The pattern that matches all names.
    pub fn everything() -> Self {
        EVERYTHING.to_owned().into()
    }

    /// Whether it is found in a name.
    pub fn matches(&self, name: &str) -> bool {
        // A pattern of the journal was checked when it came.
        let compile = || Matcher::compile(&self.text).unwrap_or(Matcher::Nothing);
        match self.compiled.get_or_init(compile) {
            Matcher::Everything => true,
            Matcher::Nothing => false,
            Matcher::Search(regex) => regex.is_match(name),
            Matcher::Except(pair) => !pair.0.is_match(name) && pair.1.is_match(name),
        }
    }

    /// Its text.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl Matcher {
    fn compile(text: &str) -> Result<Self, NamePatternError> {
        match text {
            "" => search(r"^\z").map(Matcher::Search),
            EVERYTHING => Ok(Matcher::Everything),
            _ => match split_exception(text) {
                Some((exception, rest)) => {
                    let pair = (search(&exception)?, search(&rest)?);
                    Ok(Matcher::Except(Box::new(pair)))
                }
                None => search(text).map(Matcher::Search),
            },
        }
    }
}

fn search(text: &str) -> Result<Regex, NamePatternError> {
    let regex = RegexBuilder::new(text)
        .size_limit(COMPILED_BYTES_MAX)
        .dfa_size_limit(COMPILED_BYTES_MAX)
        .build();
    regex.map_err(|error| NamePatternError::Invalid(last_line(&error.to_string())))
}

/// The other lines draw where in the pattern it is.
fn last_line(text: &str) -> String {
    text.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned()
}

/// Takes `^(?!a)b` apart into `^(?:a)` and `^b`, if there is no alternative to it.
fn split_exception(text: &str) -> Option<(String, String)> {
    let inside = text.strip_prefix("^(?!")?;
    let (mut depth, mut escaped, mut in_class) = (0_i32, false, false);
    let mut end = None;
    for (at, character) in inside.char_indices() {
        match character {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            ']' => in_class = false,
            _ if in_class => {}
            '[' => in_class = true,
            '(' => depth += 1,
            ')' if depth == 0 && end.is_none() => end = Some(at),
            ')' => depth -= 1,
            '|' if depth == 0 && end.is_some() => return None,
            _ => {}
        }
    }
    let (exception, rest) = (&inside[..end?], &inside[end? + 1..]);
    Some((format!("^(?:{exception})"), format!("^{rest}")))
}

impl FromStr for NamePattern {
    type Err = NamePatternError;

    fn from_str(text: &str) -> Result<Self, NamePatternError> {
        if text.len() > NAME_PATTERN_BYTES_MAX {
            return Err(NamePatternError::TooLong);
        }
        let compiled = Matcher::compile(text)?;
        Ok(NamePattern { text: text.into(), compiled: OnceLock::from(compiled) })
    }
}

/// Without a look at it: for what was checked before.
impl From<String> for NamePattern {
    fn from(text: String) -> Self {
        NamePattern { text: text.into(), compiled: OnceLock::new() }
    }
}

impl From<NamePattern> for String {
    fn from(pattern: NamePattern) -> Self {
        pattern.text.as_ref().to_owned()
    }
}

impl Default for NamePattern {
    fn default() -> Self {
        String::new().into()
    }
}

impl PartialEq for NamePattern {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for NamePattern {}

impl fmt::Debug for NamePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.text.fmt(f)
    }
}

impl fmt::Display for NamePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

const EVERYTHING: &str = ".*";
/// The size of a compiled pattern.
const COMPILED_BYTES_MAX: usize = 512 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(pattern: &str, name: &str) -> bool {
        pattern.parse::<NamePattern>().unwrap().matches(name)
    }

    #[test]
    fn a_pattern_is_searched_and_an_empty_one_matches_the_empty_name() {
        assert!(matches("a.c", "xabcx") && !matches("a.c", "ab"));
        assert!(matches("^a$", "a") && !matches("^a$", "ba"));
        assert!(matches(".*", "") && matches(".*", "a\nb"));
        assert!(matches("", "") && !matches("", "a") && !matches("", "\n"));
    }

    #[test]
    fn what_is_too_long_too_large_or_broken_is_refused() {
        let error = |text: &str| text.parse::<NamePattern>().unwrap_err();
        assert_eq!(error("(").to_string(), "unclosed group");
        assert!(error("(?=a)b").to_string().contains("look-around"));
        assert!(error("(a{1000}){1000}").to_string().contains("size limit"));
        assert_eq!(error(&"a".repeat(NAME_PATTERN_BYTES_MAX + 1)), NamePatternError::TooLong);
        assert!(matches(&"a".repeat(NAME_PATTERN_BYTES_MAX), &"a".repeat(5000)));
        assert!(
            error(&format!("{}a{}", "(".repeat(2000), ")".repeat(2000))).to_string().len() < 99
        );
    }

    #[test]
    fn hostile_patterns_take_no_time() {
        assert!(!matches("^(a+)+$", &format!("{}b", "a".repeat(200))));
        assert!(!matches("(x+x+)+y", &"x".repeat(200)));
    }

    #[test]
    fn what_does_not_begin_like_this_can_be_said() {
        for name in ["orders", "xamq.", ""] {
            assert!(matches(r"^(?!amq\.).*", name), "{name}");
        }
        assert!(!matches(r"^(?!amq\.).*", "amq.gen-1"));
        assert!(!matches(r"^(?!(amq|mqtt)\.)[a-z)]+$", "mqtt.x"));
        assert!(matches(r"^(?![)]x|\)y)o", "ox") && !matches(r"^(?![)]x|\)y)", ")y"));
        assert!("^(?!a)b|c".parse::<NamePattern>().is_err(), "the alternative begins anywhere");
        assert!("^(?!a".parse::<NamePattern>().is_err());
    }

    #[test]
    fn a_pattern_is_its_text_in_json_and_a_broken_one_matches_nothing() {
        let pattern: NamePattern = serde_json::from_str("\"^a\"").unwrap();
        assert!(pattern.matches("ab"));
        assert_eq!(serde_json::to_string(&pattern).unwrap(), "\"^a\"");
        assert!(!NamePattern::from("(".to_owned()).matches("("));
    }
}
