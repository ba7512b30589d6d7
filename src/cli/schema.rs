//! `campanile schema`: what editors know of the files.

use std::path::PathBuf;

use super::{exit::Exit, failure::Failure, print::Output, write::write_all};
use crate::workspace::Schema;

/// The arguments of `schema`.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Of which file: settings, environment or campaign; without it of all
    #[arg(value_name = "FILE", value_parser = schema)]
    schema: Option<Schema>,
    /// Write it into this folder, as settings.schema.json and so on
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

fn schema(text: &str) -> Result<Schema, String> {
    let found = Schema::ALL.into_iter().find(|one| one.name() == text);
    found.ok_or_else(|| "expected settings, environment or campaign".to_owned())
}

/// Prints or writes schemas.
pub(super) fn run(arguments: &Arguments, output: &mut Output) -> Result<Exit, Failure> {
    let schemas = match arguments.schema {
        Some(schema) => vec![schema],
        None => Schema::ALL.to_vec(),
    };
    if let Some(folder) = &arguments.out {
        let files: Vec<_> = schemas
            .iter()
            .map(|schema| (schema.file_name(), text(*schema)))
            .collect();
        write_all(folder, &files, output)?;
        return Ok(Exit::Done);
    }
    if let [one] = &schemas[..] {
        output.bytes(text(*one).as_bytes())?;
    } else {
        let all: serde_json::Map<_, _> = schemas
            .iter()
            .map(|schema| (schema.name().to_owned(), schema.to_json()))
            .collect();
        output.bytes(pretty(&all.into()).as_bytes())?;
    }
    Ok(Exit::Done)
}

/// The text of a schema's file.
pub(super) fn text(schema: Schema) -> String {
    pretty(&schema.to_json())
}

fn pretty(value: &serde_json::Value) -> String {
    let mut text = serde_json::to_string_pretty(value).expect("it is JSON already");
    text.push('\n');
    text
}
