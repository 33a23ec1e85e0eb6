//! `leveretctl`: looks at a Leveret message broker and changes what is in it, over the management API.
//!
//! ```text
//! command line ─► args ─► commands ─► client ─► socket or address
//!                            │
//!                            └─► output: table or JSON
//! ```

#![allow(
    missing_docs,
    reason = "a program has no public items; its parts are documented all the same"
)]

mod args;
mod ask;
mod client;
mod commands;
mod failure;
mod noun;
mod output;
mod pages;
mod path;
mod table;
mod target;

use std::process::ExitCode;

use clap::Parser as _;

use args::{Command, Line};
use client::Client;
use failure::Failure;
use output::Output;

fn main() -> ExitCode {
    match run(Line::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            if !failure.text().is_empty() {
                eprintln!("leveretctl: {}", failure.text());
            }
            ExitCode::from(failure.exit_code())
        }
    }
}

fn run(line: Line) -> Result<(), Failure> {
    let output = Output::new(line.global.format, line.global.quiet);
    if let Command::Completions { shell } = line.command {
        return output.completions(shell);
    }
    let client = Client::new(&line.global)?;
    commands::run(&client, &output, line.global.vhost.as_deref(), line.command)
}
