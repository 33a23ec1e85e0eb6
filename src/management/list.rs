//! Lists: filtered, sorted, cut into pages and reduced to the columns that are asked for.
//!
//! Rows are cheap and become JSON late: of a hundred thousand queues only those on the page are
//! looked at, unless the list is to be sorted by what only JSON shows.

use std::cmp::Ordering;

use serde_json::{Map, Value};

use super::call::{Answer, Call};
use super::page::{Counts, Page};
use super::reply::Reply;

/// Answers with a list that comes in pages if the client asks for them. `render` may leave rows out
/// that are gone in the meantime.
///
/// # Errors
/// If the client asks for a page that is not there.
pub fn answer<R>(
    call: &Call,
    mut rows: Vec<R>,
    name: impl Fn(&R) -> &str,
    render: impl FnOnce(&[R]) -> Vec<Value>,
) -> Answer {
    let total = rows.len();
    let page = Page::of(call)?;
    if let Some(page) = &page {
        rows.retain(|row| page.wants(name(row)));
    }
    let counts = Counts { total, filtered: rows.len() };
    let range = page.as_ref().map_or(Ok(0..rows.len()), |page| page.range(rows.len()))?;
    let mut items = match Order::of(call) {
        None => render(&rows[range]),
        Some(order) => {
            let mut items = render(&rows);
            order.sort(&mut items);
            items.into_iter().skip(range.start).take(range.len()).collect()
        }
    };
    project(call, &mut items);
    Ok(Reply::json(match page {
        None => Value::Array(items),
        Some(page) => page.envelope(counts, items),
    }))
}

/// Answers with a list that never comes in pages.
pub fn answer_whole(call: &Call, mut items: Vec<Value>) -> Answer {
    if let Some(order) = Order::of(call) {
        order.sort(&mut items);
    }
    project(call, &mut items);
    Ok(Reply::json(Value::Array(items)))
}

/// Answers with one object.
pub fn answer_one(call: &Call, item: Value) -> Answer {
    let mut items = [item];
    project(call, &mut items);
    let [item] = items;
    Ok(Reply::json(item))
}

struct Order<'a> {
    path: &'a str,
    descending: bool,
}

impl<'a> Order<'a> {
    fn of(call: &'a Call) -> Option<Self> {
        let path = call.parameter("sort").filter(|path| !path.is_empty())?;
        Some(Order { path, descending: call.flag("sort_reverse") })
    }

    fn sort(&self, items: &mut [Value]) {
        items.sort_by(|a, b| {
            let ordering = compare(at(a, self.path), at(b, self.path));
            if self.descending { ordering.reverse() } else { ordering }
        });
    }
}

/// What is at a dotted path.
fn at<'a>(item: &'a Value, path: &str) -> Option<&'a Value> {
    path.split('.').try_fold(item, |inside, key| inside.get(key))
}

/// What is not there comes first, then truth values, numbers and texts.
fn compare(a: Option<&Value>, b: Option<&Value>) -> Ordering {
    let rank = |value: Option<&Value>| match value {
        None | Some(Value::Null) => 0,
        Some(Value::Bool(_)) => 1,
        Some(Value::Number(_)) => 2,
        Some(Value::String(_)) => 3,
        Some(Value::Array(_) | Value::Object(_)) => 4,
    };
    match (a, b) {
        (Some(Value::Bool(a)), Some(Value::Bool(b))) => a.cmp(b),
        (Some(Value::Number(a)), Some(Value::Number(b))) => {
            let number = |n: &serde_json::Number| n.as_f64().unwrap_or_default();
            number(a).total_cmp(&number(b))
        }
        (Some(Value::String(a)), Some(Value::String(b))) => a.cmp(b),
        (a, b) => rank(a).cmp(&rank(b)),
    }
}

/// Keeps the columns that are asked for.
fn project(call: &Call, items: &mut [Value]) {
    let Some(columns) = call.parameter("columns").filter(|columns| !columns.is_empty()) else {
        return;
    };
    let columns: Vec<&str> = columns.split(',').take(COLUMNS_MAX).collect();
    for item in items {
        let mut kept = Map::new();
        for column in &columns {
            if let Some(value) = at(item, column) {
                put(&mut kept, column, value.clone());
            }
        }
        *item = Value::Object(kept);
    }
}

/// Puts a value at a dotted path, with the objects that lead there.
fn put(into: &mut Map<String, Value>, path: &str, value: Value) {
    let Some((first, rest)) = path.split_once('.') else {
        into.insert(path.to_owned(), value);
        return;
    };
    let inside = into.entry(first).or_insert_with(|| Value::Object(Map::new()));
    if let Value::Object(inside) = inside {
        put(inside, rest, value);
    }
}

/// Columns that one request may name.
const COLUMNS_MAX: usize = 128;

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn values_are_compared_by_kind_and_then_by_value() {
        let mut values = vec![
            json!({"v": "b"}),
            json!({"v": 10}),
            json!({"v": "a"}),
            json!({"v": true}),
            json!({"v": 9.5}),
            json!({}),
        ];
        Order { path: "v", descending: false }.sort(&mut values);
        let sorted: Vec<_> = values.iter().map(|value| &value["v"]).collect();
        assert_eq!(
            sorted,
            [&json!(null), &json!(true), &json!(9.5), &json!(10), &json!("a"), &json!("b")]
        );
        Order { path: "v", descending: true }.sort(&mut values);
        assert_eq!(values[0]["v"], "b");
    }

    #[test]
    fn a_dotted_path_leads_inside_and_is_built_again() {
        let item = json!({"a": {"b": {"c": 1}, "d": 2}});
        assert_eq!(at(&item, "a.b.c"), Some(&json!(1)));
        assert_eq!(at(&item, "a.x"), None);
        let mut kept = Map::new();
        put(&mut kept, "a.b", json!(1));
        put(&mut kept, "a.c", json!(2));
        put(&mut kept, "d", json!(3));
        assert_eq!(Value::Object(kept), json!({"a": {"b": 1, "c": 2}, "d": 3}));
    }
}
