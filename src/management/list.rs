//! Lists: filtered, sorted, cut into pages and reduced to the columns that are asked for.
//!
//! Rows are small and become JSON in batches that are written out at once: of a hundred thousand
//! queues only those on the page are looked at, or, if the list is to be sorted by what only JSON
//! shows, no more than a batch of them is there at a time.

use std::cmp::Ordering;

use serde_json::{Map, Value};

use super::call::{Answer, Call};
use super::page::{Counts, Page};
use super::reply::Reply;

/// Answers with a list that comes in pages if the client asks for them. `names` are those that a row is
/// found by; `render` gives `None` for rows that are gone in the meantime.
///
/// # Errors
/// If the client asks for a page that is not there.
pub fn answer<R, const N: usize>(
    call: &Call,
    mut rows: Vec<R>,
    names: impl Fn(&R) -> [&str; N],
    render: impl Fn(&[&R]) -> Vec<Option<Value>>,
) -> Answer {
    let total = rows.len();
    let page = Page::of(call)?;
    if let Some(page) = &page {
        rows.retain(|row| names(row).iter().any(|name| page.wants(name)));
    }
    let counts = Counts { total, filtered: rows.len() };
    let range = page.as_ref().map_or(Ok(0..rows.len()), |page| page.range(rows.len()))?;
    let mut rows: Vec<&R> = rows.iter().collect();
    match Order::of(call) {
        None => {}
        Some(order) if order.path == "name" && N == 1 => {
            order.sort_by_name(&mut rows, |row| names(row)[0])
        }
        Some(order) => rows = order.sort_rows(&rows, &render),
    }
    let rows = rows.get(range).unwrap_or_default();
    let items = rows.chunks(BATCH).flat_map(|batch| render(batch).into_iter().flatten());
    match page {
        None => Ok(Reply::text(write(call, items))),
        Some(page) => {
            let columns = Columns::of(call);
            let items = items.map(|item| columns.project(item)).collect();
            Ok(Reply::json(&page.envelope(counts, items)))
        }
    }
}

/// Answers with a list of items, which are found by what is at these paths.
///
/// # Errors
/// As [`answer`].
pub fn answer_items<const N: usize>(
    call: &Call,
    items: impl IntoIterator<Item = Value>,
    paths: [&str; N],
) -> Answer {
    let render = |items: &[&Value]| items.iter().map(|item| Some((*item).clone())).collect();
    let items = items.into_iter().collect();
    answer(call, items, |item: &Value| paths.map(|path| text_at(item, path)), render)
}

/// Answers with a list that never comes in pages.
pub fn answer_whole(call: &Call, items: impl IntoIterator<Item = Value>) -> Answer {
    let items = items.into_iter();
    Ok(Reply::text(match Order::of(call) {
        None => write(call, items),
        Some(order) => {
            let mut items: Vec<Value> = items.collect();
            items.sort_by(|a, b| order.compare(at(a, order.path), at(b, order.path)));
            write(call, items.into_iter())
        }
    }))
}

/// Answers with one object.
pub fn answer_one(call: &Call, item: Value) -> Answer {
    Ok(Reply::json(&Columns::of(call).project(item)))
}

/// Writes a list, one item at a time.
fn write(call: &Call, items: impl Iterator<Item = Value>) -> Vec<u8> {
    let columns = Columns::of(call);
    let mut out = vec![b'['];
    for item in items {
        if out.len() > 1 {
            out.push(b',');
        }
        serde_json::to_writer(&mut out, &columns.project(item)).expect("a Vec takes it all");
    }
    out.push(b']');
    out
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

    /// What a row has one name for need not become JSON.
    fn sort_by_name<'r, R>(&self, rows: &mut [&'r R], name: impl Fn(&'r R) -> &'r str) {
        rows.sort_by(|a, b| match self.descending {
            true => name(b).cmp(name(a)),
            false => name(a).cmp(name(b)),
        });
    }

    /// Keeps of each row only what the order looks at.
    fn sort_rows<'r, R>(
        &self,
        rows: &[&'r R],
        render: &impl Fn(&[&R]) -> Vec<Option<Value>>,
    ) -> Vec<&'r R> {
        let mut keyed = Vec::with_capacity(rows.len());
        for batch in rows.chunks(BATCH) {
            let keys = render(batch).into_iter().map(|item| at(&item?, self.path).cloned());
            keyed.extend(keys.zip(batch.iter().copied()));
        }
        keyed.sort_by(|(a, _), (b, _)| self.compare(a.as_ref(), b.as_ref()));
        keyed.into_iter().map(|(_, row)| row).collect()
    }

    fn compare(&self, a: Option<&Value>, b: Option<&Value>) -> Ordering {
        let ordering = compare(a, b);
        if self.descending { ordering.reverse() } else { ordering }
    }
}

/// The text at a dotted path, empty if there is none.
fn text_at<'a>(item: &'a Value, path: &str) -> &'a str {
    at(item, path).and_then(Value::as_str).unwrap_or_default()
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

/// The columns that are asked for; none stands for all.
struct Columns<'a>(Vec<&'a str>);

impl<'a> Columns<'a> {
    fn of(call: &'a Call) -> Self {
        let columns = call.parameter("columns").unwrap_or_default();
        Columns(columns.split(',').filter(|column| !column.is_empty()).take(COLUMNS_MAX).collect())
    }

    fn project(&self, item: Value) -> Value {
        if self.0.is_empty() {
            return item;
        }
        let mut kept = Map::new();
        for column in &self.0 {
            if let Some(value) = at(&item, column) {
                put(&mut kept, column, value.clone());
            }
        }
        Value::Object(kept)
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
/// Rows that are JSON at the same time.
const BATCH: usize = 256;

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
        let sort = |values: &mut [Value], descending| {
            let order = Order { path: "v", descending };
            values.sort_by(|a, b| order.compare(a.get("v"), b.get("v")));
        };
        sort(&mut values, false);
        let sorted: Vec<_> = values.iter().map(|value| &value["v"]).collect();
        let expected = [json!(null), json!(true), json!(9.5), json!(10), json!("a"), json!("b")];
        assert_eq!(sorted, expected.iter().collect::<Vec<_>>());
        sort(&mut values, true);
        assert_eq!(values[0]["v"], "b");
    }

    #[test]
    fn rows_are_sorted_by_what_only_json_shows_and_missing_ones_come_first() {
        let rows: Vec<u64> = (0..1_000).collect();
        let render = |rows: &[&u64]| {
            let item = |row: &&u64| (**row != 500).then(|| json!({"v": 1_000 - **row}));
            rows.iter().map(item).collect()
        };
        let order = Order { path: "v", descending: false };
        let sorted = order.sort_rows(&rows.iter().collect::<Vec<_>>(), &render);
        assert_eq!(sorted.len(), 1_000);
        assert_eq!(sorted[..3], [&500, &999, &998]);
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
