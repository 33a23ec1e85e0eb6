//! What a person or a program gets to see.

use std::io::{self, Write as _};

use clap::CommandFactory as _;
use clap_complete::Shell;
use serde_json::{Value, json};

use crate::args::{Format, Line};
use crate::failure::Failure;
use crate::table::{self, Table};

/// Where results go.
pub struct Output {
    format: Format,
    quiet: bool,
}

/// Rows as they come, page by page: JSON leaves at once, a table when its widths are known.
pub struct Rows {
    shown: Shown,
}

enum Shown {
    Table(Table),
    Json { is_first: bool },
}

impl Output {
    /// An output in a format.
    pub fn new(format: Format, quiet: bool) -> Self {
        Output { format, quiet }
    }

    /// Whether a person reads it.
    pub fn is_table(&self) -> bool {
        self.format == Format::Table
    }

    /// Says what was done: a sentence for people, one word for programs.
    pub fn done(&self, sentence: &str, word: &str) -> Result<(), Failure> {
        match (self.quiet, self.format) {
            (true, _) => Ok(()),
            (false, Format::Table) => write(&format!("{sentence}\n")),
            (false, Format::Json) => write(&format!("{}\n", json!({ "result": word }))),
        }
    }

    /// Shows an object.
    pub fn object(&self, item: &Value) -> Result<(), Failure> {
        match self.format {
            Format::Table => write(&table::render_object(item)),
            Format::Json => write(&format!("{item:#}\n")),
        }
    }

    /// Begins a list.
    pub fn rows<T: AsRef<str>>(&self, columns: &[T]) -> Rows {
        let shown = match self.format {
            Format::Table => Shown::Table(Table::new(columns)),
            Format::Json => Shown::Json { is_first: true },
        };
        Rows { shown }
    }

    /// Shows the completions for a shell.
    pub fn completions(&self, shell: Shell) -> Result<(), Failure> {
        let mut script = Vec::new();
        clap_complete::generate(shell, &mut Line::command(), "leveretctl", &mut script);
        write_bytes(&script)
    }

    /// Shows octets as they are.
    pub fn raw(&self, bytes: &[u8]) -> Result<(), Failure> {
        write_bytes(bytes)
    }
}

impl Rows {
    /// Adds a row.
    pub fn add(&mut self, item: &Value) -> Result<(), Failure> {
        match &mut self.shown {
            Shown::Table(table) => {
                table.add(item);
                Ok(())
            }
            Shown::Json { is_first } => {
                let before = if std::mem::take(is_first) { "[" } else { ",\n " };
                write(&format!("{before}{item}"))
            }
        }
    }

    /// Ends the list.
    pub fn end(self) -> Result<(), Failure> {
        match self.shown {
            Shown::Table(table) => write(&table.render()),
            Shown::Json { is_first: true } => write("[]\n"),
            Shown::Json { is_first: false } => write("]\n"),
        }
    }
}

fn write(text: &str) -> Result<(), Failure> {
    write_bytes(text.as_bytes())
}

/// Whoever has read enough closes the pipe, and that is no news.
fn write_bytes(bytes: &[u8]) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    match out.write_all(bytes).and_then(|()| out.flush()) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Err(Failure::said()),
        Err(error) => Err(Failure::new(format!("cannot write: {error}"))),
    }
}
