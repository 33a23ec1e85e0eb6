//! Lists that come in pages, so that neither side holds a long one at once.

use serde_json::Value;

use crate::client::{Ask, Client};
use crate::failure::Failure;

/// Gives all items of a list, one page after the other. What is made or deleted in between may come twice
/// or not at all. `query` is what stands in the query beside the page.
pub fn each(
    client: &Client,
    (path, query): (&str, &str),
    about: &str,
    mut take: impl FnMut(Value) -> Result<(), Failure>,
) -> Result<(), Failure> {
    for number in 1_u64.. {
        let path = format!("{path}?page={number}&page_size={PAGE_SIZE}{query}");
        let answer = client.send_any(Ask::read(path, about))?;
        if number > 1 && answer.status == 400 {
            // What was there has become less since the last page.
            break;
        }
        if answer.status != 200 {
            return Err(client.refused(&answer, about));
        }
        let mut page = answer.json()?;
        let Value::Array(items) = page["items"].take() else { return Err(no_list()) };
        items.into_iter().try_for_each(&mut take)?;
        if page["page_count"].as_u64().is_none_or(|count| number >= count) {
            break;
        }
    }
    Ok(())
}

/// For an answer that should be a list.
pub fn no_list() -> Failure {
    Failure::new("the answer is no list; is this a management API?")
}

/// What the API gives at once, at the most.
const PAGE_SIZE: usize = 500;
