//! `campanile functions`: what scripts may call.

use std::path::PathBuf;

use serde_json::json;

use super::{
    exit::Exit,
    failure::Failure,
    print::{Output, Table},
    write::write_all,
};
use crate::{
    engine::Engine,
    model::closest,
    script::{
        definitions,
        functions::{self, Function},
    },
    workspace::Location,
};

/// The arguments of `functions`.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// One function, or a family: dates, money, text, lists, record, history
    #[arg(value_name = "NAME")]
    name: Option<String>,
    /// Write Rhai definition files, for editors, into this folder: the functions, and the fields of each source
    #[arg(long, value_name = "DIR")]
    definitions: Option<PathBuf>,
}

/// Lists functions, or writes definition files.
pub(super) async fn run(
    arguments: Arguments,
    workspace: &Location,
    output: &mut Output,
) -> Result<Exit, Failure> {
    if let Some(folder) = &arguments.definitions {
        let mut files = vec![("campanile.d.rhai".to_owned(), definitions::of_functions())];
        for (source, columns) in Engine::columns(workspace).await? {
            match columns {
                Ok(schema) => {
                    let name = format!("{source}.d.rhai");
                    files.push((name, definitions::of_source(&source, &schema)));
                }
                Err(error) => output.note(format!("{error}: its fields are left out"))?,
            }
        }
        write_all(folder, &files, output)?;
        return Ok(Exit::Done);
    }
    list(arguments.name.as_deref(), output)
}

fn list(name: Option<&str>, output: &mut Output) -> Result<Exit, Failure> {
    let wanted: Vec<&Function> = functions::all()
        .filter(|function| name.is_none_or(|name| [function.name, function.family].contains(&name)))
        .collect();
    if let (Some(name), true) = (name, wanted.is_empty()) {
        let known = functions::all().flat_map(|function| [function.name, function.family]);
        let help = match closest(name, known) {
            Some(near) => format!("did you mean {near}?"),
            None => "`campanile functions` lists them".to_owned(),
        };
        return Err(Failure::usage(format!(
            "there is no function {name}: {help}"
        )));
    }
    if output.is_json() {
        let objects: Vec<_> = wanted.iter().map(|function| object(function)).collect();
        output.json(&objects)?;
        return Ok(Exit::Done);
    }
    if let [one] = &wanted[..] {
        output.title(one.signature)?;
        output.line(format!("  {}", one.about))?;
        output.line(format!("  {} gives {}", one.example, one.result))?;
        return Ok(Exit::Done);
    }
    let mut family = None;
    let mut table = Table::new(["FUNCTION", "DOES"]);
    for function in wanted {
        if family.is_some_and(|family| family != function.family) {
            output.table(std::mem::replace(
                &mut table,
                Table::new(["FUNCTION", "DOES"]),
            ))?;
            output.line("")?;
        }
        if family != Some(function.family) {
            output.title(function.family)?;
            family = Some(function.family);
        }
        table.row([
            function.signature.to_owned(),
            format!(
                "{} {} gives {}",
                function.about, function.example, function.result
            ),
        ]);
    }
    output.table(table)?;
    Ok(Exit::Done)
}

fn object(function: &Function) -> serde_json::Value {
    json!({
        "name": function.name, "family": function.family, "signature": function.signature,
        "about": function.about, "example": function.example, "result": function.result,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::print::Captured;

    #[test]
    fn one_function_is_shown_with_its_example() {
        let mut captured = Captured::plain();
        list(Some("days_until"), &mut captured.output).unwrap();
        assert_eq!(
            captured.out(),
            "days_until(date)\n  How many days from today to a date; negative where it is past.\n  \
            days_until(r.renews_on) gives 11\n"
        );
    }

    #[test]
    fn all_are_there_for_people_and_programs() {
        let (mut people, mut programs) = (Captured::plain(), Captured::json());
        list(None, &mut people.output).unwrap();
        list(None, &mut programs.output).unwrap();
        let objects: Vec<serde_json::Value> = serde_json::from_str(&programs.out()).unwrap();
        assert_eq!(objects.len(), functions::all().count());
        let text = people.out();
        for function in functions::all() {
            assert!(text.contains(function.signature), "{}", function.signature);
        }
    }

    #[test]
    fn a_slip_of_the_pen_is_helped() {
        let mut captured = Captured::plain();
        let failure = list(Some("days_untill"), &mut captured.output).unwrap_err();
        assert!(
            failure
                .words()
                .unwrap()
                .contains("did you mean days_until?")
        );
    }
}
