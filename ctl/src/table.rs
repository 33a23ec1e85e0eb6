//! Tables: aligned columns without colours, one line for each row whatever is in its cells.

use std::fmt::Write as _;

use serde_json::{Map, Value};
use unicode_width::UnicodeWidthStr as _;

/// What a table shows.
#[derive(Debug, Default)]
pub struct Table {
    columns: Vec<String>,
    rows: Vec<Vec<Cell>>,
}

#[derive(Debug)]
struct Cell {
    text: String,
    is_number: bool,
}

impl Table {
    /// A table without rows.
    pub fn new<T: AsRef<str>>(columns: &[T]) -> Self {
        let columns = columns.iter().map(|column| column.as_ref().to_owned()).collect();
        Table { columns, rows: Vec::new() }
    }

    /// Adds what an object has in the columns.
    pub fn add(&mut self, item: &Value) {
        let cells = self.columns.iter().map(|column| Cell::of(at(item, column)));
        self.rows.push(cells.collect());
    }

    /// A line for each row below the names of the columns; the columns of numbers are set to the right.
    pub fn render(&self) -> String {
        let mut out = String::new();
        let widths: Vec<usize> = (0..self.columns.len()).map(|n| self.width(n)).collect();
        let heads = self.columns.iter().enumerate();
        let heads: Vec<(&str, bool)> =
            heads.map(|(n, name)| (name.as_str(), self.is_numeric(n))).collect();
        line(&mut out, &heads, &widths);
        for row in &self.rows {
            let cells: Vec<(&str, bool)> =
                row.iter().map(|cell| (cell.text.as_str(), cell.is_number)).collect();
            line(&mut out, &cells, &widths);
        }
        out
    }

    fn width(&self, n: usize) -> usize {
        let cells = self.rows.iter().map(|row| row[n].text.width());
        cells.max().unwrap_or(0).max(self.columns[n].width())
    }

    fn is_numeric(&self, n: usize) -> bool {
        let mut filled = self.rows.iter().map(|row| &row[n]).filter(|cell| !cell.text.is_empty());
        filled.next().is_some_and(|first| first.is_number && filled.all(|cell| cell.is_number))
    }
}

/// The lines `name  value` of an object, with those of inner objects by their paths.
pub fn render_object(item: &Value) -> String {
    let mut table = Table { columns: vec![String::new(); 2], rows: Vec::new() };
    flatten("", item, &mut table);
    let names = table.rows.iter().map(|row| row[0].text.width()).max().unwrap_or(0);
    table.rows.iter().fold(String::new(), |mut out, row| {
        line(&mut out, &[(&row[0].text, false), (&row[1].text, false)], &[names, 0]);
        out
    })
}

/// What is at a dotted path. A name that has dots itself is found as well.
pub fn at<'a>(item: &'a Value, path: &str) -> &'a Value {
    if let Some(value) = item.get(path) {
        return value;
    }
    match path.split_once('.') {
        Some((first, rest)) => item.get(first).map_or(&Value::Null, |inside| at(inside, rest)),
        None => &Value::Null,
    }
}

/// An object with nothing but what is at these paths.
pub fn project(item: &Value, columns: &[String]) -> Value {
    let mut kept = Map::new();
    for column in columns {
        match at(item, column) {
            Value::Null => {}
            value => put(&mut kept, column, value.clone()),
        }
    }
    Value::Object(kept)
}

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

fn flatten(path: &str, item: &Value, table: &mut Table) {
    match item {
        Value::Object(fields) if !fields.is_empty() => {
            for (name, value) in fields {
                let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                flatten(&path, value, table);
            }
        }
        value => {
            let name = Cell { text: printable(path), is_number: false };
            table.rows.push(vec![name, Cell::of(value)]);
        }
    }
}

impl Cell {
    fn of(value: &Value) -> Cell {
        let text = match value {
            Value::Null => String::new(),
            Value::String(text) => printable(text),
            Value::Array(items) if items.iter().all(Value::is_string) => {
                let texts = items.iter().filter_map(Value::as_str);
                printable(&texts.collect::<Vec<_>>().join(","))
            }
            Value::Object(fields) if fields.is_empty() => String::new(),
            other => printable(&other.to_string()),
        };
        Cell { text, is_number: value.is_number() }
    }
}

fn line(out: &mut String, cells: &[(&str, bool)], widths: &[usize]) {
    let start = out.len();
    for ((text, is_number), width) in cells.iter().zip(widths) {
        let padding = width.saturating_sub(text.width());
        let (before, after) = if *is_number { (padding, 0) } else { (0, padding) };
        write!(out, "{:before$}{text}{:after$}  ", "", "")
            .expect("a String takes what it is given");
    }
    out.truncate(start + out[start..].trim_end().len());
    out.push('\n');
}

/// A text without what moves the cursor or changes the terminal: names and payloads are what clients
/// made of them.
fn printable(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => {
                shown.extend(c.escape_unicode());
            }
            c if c.is_control() => shown.extend(c.escape_default()),
            c => shown.push(c),
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn columns_are_aligned_by_what_is_seen_and_numbers_to_the_right() {
        let mut table = Table::new(&["name", "depth", "in.rate"]);
        table.add(&json!({"name": "日本", "depth": 5, "in": {"rate": 0.5}}));
        table.add(&json!({"name": "a", "depth": 1200}));
        assert_eq!(table.render(), "name  depth  in.rate\n日本      5      0.5\na      1200\n");
    }

    #[test]
    fn what_would_change_the_terminal_is_written_out() {
        let mut table = Table::new(&["a"]);
        table.add(&json!({"a": "x\u{1b}[31m\ny\u{202e}"}));
        assert_eq!(table.render(), "a\nx\\u{1b}[31m\\ny\\u{202e}\n");
    }

    #[test]
    fn an_object_is_shown_by_paths() {
        let shown = render_object(&json!({"a": {"bc": [1], "d": {}}, "e": ["x", "y"]}));
        assert_eq!(shown, "a.bc  [1]\na.d\ne     x,y\n");
    }

    #[test]
    fn a_projection_keeps_paths() {
        let item = json!({"a": {"b": 1, "c": 2}, "d.e": 3});
        let columns = ["a.b", "x"].map(str::to_owned);
        assert_eq!(project(&item, &columns), json!({"a": {"b": 1}}));
        assert_eq!(at(&item, "d.e"), &json!(3));
    }
}
