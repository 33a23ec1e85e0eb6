//! Lists, and single things.

use serde_json::Value;

use super::Session;
use crate::args::List;
use crate::client::Ask;
use crate::failure::Failure;
use crate::noun::{Noun, Vhost};
use crate::output::Rows;
use crate::{pages, path, table};

/// Lists what there is of a kind. Long lists are read in pages: what changes in between may be there
/// twice, or be missing.
pub fn list(session: &Session<'_>, list: &List) -> Result<(), Failure> {
    let noun = Noun::of_plural(&list.kind);
    if noun.vhost == Vhost::None && session.named_vhost.is_some() {
        return Err(Failure::usage(format!("{} are in no virtual host", noun.plural)));
    }
    let wanted = Wanted::of(session, noun, list);
    let mut rows = session.output.rows(&wanted.columns);
    match noun.is_paged {
        true => read_pages(session, &wanted, &mut rows)?,
        false => read_whole(session, &wanted, &mut rows)?,
    }
    rows.end()
}

/// Shows all of one thing.
pub fn show(session: &Session<'_>, kind: &str, names: &[String]) -> Result<(), Failure> {
    let noun = Noun::of_singular(kind);
    let expected = path::names(noun.one);
    if names.len() != expected {
        let text = format!("a {kind} is named by {expected} names, not by {}", names.len());
        return Err(Failure::usage(text));
    }
    let mut names_left = names.iter().map(|name| super::exchange_part(name));
    let parts: Vec<&str> = noun
        .one
        .split('/')
        .filter(|segment| segment.starts_with('{'))
        .map(|segment| match segment {
            "{vhost}" => session.vhost(),
            _ => names_left.next().unwrap_or_default(),
        })
        .collect();
    let about = match noun.one.contains("{vhost}") {
        true => session.thing(kind, &names.join(" ")),
        false => format!("{kind} '{}'", names.join(" ")),
    };
    let mut item = session.client.json(Ask::read(path::fill(noun.one, &parts), &about))?;
    without_secrets(&mut item);
    session.output.object(&item)
}

/// What is asked for.
struct Wanted<'a> {
    noun: &'static Noun,
    list: &'a List,
    path: String,
    columns: Vec<String>,
    /// The columns of JSON, none for all.
    projected: &'a [String],
    filter: String,
}

impl<'a> Wanted<'a> {
    fn of(session: &Session<'_>, noun: &'static Noun, list: &'a List) -> Self {
        let path = match (noun.vhost, session.named_vhost) {
            (Vhost::Path(template), Some(vhost)) => path::fill(template, &[vhost]),
            _ => noun.list.to_owned(),
        };
        let usual = noun.columns.iter().map(|column| (*column).to_owned()).collect();
        let columns = if list.columns.is_empty() { usual } else { list.columns.clone() };
        let filter = list.filter.as_deref().unwrap_or_default().to_lowercase();
        Wanted { noun, list, path, columns, projected: &list.columns, filter }
    }

    /// The parameters that the broker sorts by and saves work with.
    fn query(&self, session: &Session<'_>) -> String {
        let mut query = String::new();
        if session.output.is_table() || !self.projected.is_empty() {
            let needed = [self.noun.columns[0], "vhost"].map(str::to_owned);
            let columns: Vec<_> =
                self.columns.iter().chain(&needed).map(|it| path::encoded(it)).collect();
            query += &format!("&columns={}", columns.join(","));
        }
        if let Some(sort) = &self.list.sort {
            query += &format!("&sort={}&sort_reverse={}", path::encoded(sort), self.list.reverse);
        }
        query
    }

    fn add(&self, rows: &mut Rows, mut item: Value) -> Result<(), Failure> {
        without_secrets(&mut item);
        match self.projected {
            [] => rows.add(&item),
            columns => rows.add(&table::project(&item, columns)),
        }
    }
}

fn read_pages(session: &Session<'_>, wanted: &Wanted<'_>, rows: &mut Rows) -> Result<(), Failure> {
    let query = format!("&name={}{}", path::encoded(&wanted.filter), wanted.query(session));
    pages::each(session.client, (&wanted.path, &query), wanted.noun.plural, |item| {
        wanted.add(rows, item)
    })
}

fn read_whole(session: &Session<'_>, wanted: &Wanted<'_>, rows: &mut Rows) -> Result<(), Failure> {
    let path = format!("{}?{}", wanted.path, wanted.query(session));
    let answer = session.client.json(Ask::read(path, wanted.noun.plural))?;
    let Value::Array(items) = answer else { return Err(pages::no_list()) };
    let vhost = session.named_vhost.filter(|_| wanted.noun.vhost == Vhost::Column);
    let name = wanted.noun.columns[0];
    let is_wanted = |item: &Value| {
        let text = table::at(item, name).as_str().unwrap_or_default().to_lowercase();
        text.contains(&wanted.filter) && vhost.is_none_or(|vhost| item["vhost"] == vhost)
    };
    items.into_iter().filter(is_wanted).try_for_each(|item| wanted.add(rows, item))
}

/// Hashes of passwords are for `definitions export` alone.
fn without_secrets(item: &mut Value) {
    if let Value::Object(fields) = item {
        fields.retain(|name, _| !SECRETS.contains(&name.as_str()));
    }
}

const SECRETS: [&str; 2] = ["password_hash", "hashing_algorithm"];
