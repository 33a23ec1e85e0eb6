//! Pages of a list: which one is asked for, what is in it, and the envelope around it.

use std::ops::Range;

use regex::{Regex, RegexBuilder};
use serde_json::{Value, json};

use super::call::Call;
use super::error::Refusal;

/// What a client asks of a list that comes in pages.
#[derive(Debug)]
pub struct Page {
    number: usize,
    size: usize,
    filter: Filter,
}

/// Which names are wanted.
#[derive(Debug)]
enum Filter {
    All,
    /// In lower case.
    Containing(String),
    Matching(Regex),
}

/// The sizes of a list, before and after the filter.
#[derive(Debug, Clone, Copy)]
pub struct Counts {
    /// All there are.
    pub total: usize,
    /// Those whose names are wanted.
    pub filtered: usize,
}

impl Page {
    /// The page that a call asks for; `None` if it wants the whole list as it is.
    ///
    /// # Errors
    /// If it asks for a page that cannot be, or the filter is no pattern.
    pub fn of(call: &Call) -> Result<Option<Page>, Refusal> {
        let Some(number) = call.parameter("page") else { return Ok(None) };
        let size = call.parameter("page_size");
        let mut page = Page::parse(number, size)?;
        let name = call.parameter("name").unwrap_or_default();
        page.filter = Filter::parse(name, call.flag("use_regex"))?;
        Ok(Some(page))
    }

    /// Whether a call asks for a page.
    pub fn is_wanted(call: &Call) -> bool {
        call.parameter("page").is_some()
    }

    fn parse(number: &str, size: Option<&str>) -> Result<Page, Refusal> {
        let size = size.unwrap_or(PAGE_SIZE);
        let parsed = number.parse().ok().zip(size.parse().ok());
        match parsed.filter(|(number, size)| *number > 0 && (1..=PAGE_SIZE_MAX).contains(size)) {
            Some((number, size)) => Ok(Page { number, size, filter: Filter::All }),
            None => Err(Refusal::invalid_pagination(number, size)),
        }
    }

    /// Whether a name passes the filter.
    pub fn wants(&self, name: &str) -> bool {
        match &self.filter {
            Filter::All => true,
            Filter::Containing(text) => name.to_lowercase().contains(text),
            Filter::Matching(regex) => regex.is_match(name),
        }
    }

    /// Which of `len` things are on the page.
    ///
    /// # Errors
    /// If the page is behind the last one.
    pub fn range(&self, len: usize) -> Result<Range<usize>, Refusal> {
        let start = (self.number - 1).saturating_mul(self.size);
        if start >= len && self.number > 1 {
            return Err(Refusal::page_out_of_range(self.number, self.size, len));
        }
        Ok(start..len.min(start.saturating_add(self.size)))
    }

    /// The page, with what a client needs to ask for the next one.
    pub fn envelope(&self, counts: Counts, items: Vec<Value>) -> Value {
        json!({
            "filtered_count": counts.filtered,
            "item_count": items.len(),
            "items": items,
            "page": self.number,
            "page_count": counts.filtered.div_ceil(self.size).max(1),
            "page_size": self.size,
            "total_count": counts.total,
        })
    }
}

impl Filter {
    fn parse(name: &str, is_regex: bool) -> Result<Filter, Refusal> {
        if name.is_empty() {
            return Ok(Filter::All);
        }
        if !is_regex {
            return Ok(Filter::Containing(name.to_lowercase()));
        }
        let regex =
            RegexBuilder::new(name).case_insensitive(true).size_limit(REGEX_BYTES_MAX).build();
        let refusal = |_| Refusal::bad_request(format!("invalid regular expression: {name}"));
        regex.map(Filter::Matching).map_err(refusal)
    }
}

const PAGE_SIZE: &str = "100";
const PAGE_SIZE_MAX: usize = 500;
/// The size of a compiled pattern.
const REGEX_BYTES_MAX: usize = 1024 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    fn page(number: &str, size: Option<&str>) -> Page {
        Page::parse(number, size).unwrap()
    }

    #[test]
    fn pages_cut_a_list_and_the_last_one_is_shorter() {
        assert_eq!(page("1", Some("2")).range(5), Ok(0..2));
        assert_eq!(page("3", Some("2")).range(5), Ok(4..5));
        assert_eq!(page("1", None).range(0), Ok(0..0));
        let beyond = page("4", Some("2")).range(5);
        assert_eq!(beyond, Err(Refusal::page_out_of_range(4, 2, 5)));
        let far = page(&usize::MAX.to_string(), None).range(5);
        assert!(far.is_err());
    }

    #[test]
    fn a_page_size_goes_up_to_500() {
        assert!(Page::parse("1", Some("500")).is_ok());
        for (number, size) in
            [("1", "501"), ("1", "0"), ("0", "1"), ("-1", "1"), ("x", "1"), ("", "")]
        {
            let refusal = Page::parse(number, Some(size)).unwrap_err();
            assert_eq!(refusal, Refusal::invalid_pagination(number, size));
        }
    }

    #[test]
    fn names_are_filtered_by_a_part_or_by_a_pattern_whatever_their_case() {
        let wants = |filter: &str, is_regex, name| {
            let filter = Filter::parse(filter, is_regex).unwrap();
            Page { number: 1, size: 1, filter }.wants(name)
        };
        assert!(wants("", true, "anything"));
        assert!(wants("DER", false, "orders"));
        assert!(!wants("o.d", false, "orders"));
        assert!(wants("^O.D", true, "orders"));
        assert!(!wants("^d", true, "orders"));
        assert!(Filter::parse("(", true).is_err());
        assert!(Filter::parse("(a{1000}){1000}", true).is_err());
    }

    #[test]
    fn the_envelope_counts_before_and_after_the_filter() {
        let counts = Counts { total: 9, filtered: 5 };
        let envelope = page("3", Some("2")).envelope(counts, vec![json!(1)]);
        let expected = json!({
            "filtered_count": 5, "item_count": 1, "items": [1], "page": 3, "page_count": 3,
            "page_size": 2, "total_count": 9,
        });
        assert_eq!(envelope, expected);
    }
}
