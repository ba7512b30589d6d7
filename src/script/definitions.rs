//! What editors know of our scripts: Rhai definition files (`.d.rhai`), one for the functions of the host and one per source, so
//! that `r.` is completed with the source's fields.

use std::fmt::Write as _;

use super::functions::{self, Function};
use crate::model::{FieldType, Schema, SourceName};

/// What every file begins with: it holds wherever a script is.
const HEADER: &str = "module static;\n";

/// The definitions of the host's functions, and of `run`.
pub fn of_functions() -> String {
    let mut text = HEADER.to_owned();
    text.push_str(
        "\n// Written by `campanile functions --definitions`; what is changed here is overwritten.\n",
    );
    for function in functions::all() {
        let (fewest, most) = function.arguments;
        for count in fewest..=most {
            text.push('\n');
            comment(&mut text, function.about);
            comment(
                &mut text,
                &format!("`{}` gives `{}`", function.example, function.result),
            );
            let _ = writeln!(
                text,
                "fn {}({});",
                function.name,
                parameters(function, count)
            );
        }
    }
    text.push_str("\n/// The run.\nlet run: Run;\n");
    for (field, kind, about) in [
        ("campaign", "String", "The campaign's id."),
        ("occurrence", "String", "The occurrence's name."),
        (
            "now",
            "Datetime",
            "The run's moment, in the campaign's zone.",
        ),
    ] {
        let _ = write!(text, "\n/// {about}\nfn get {field}(run: Run) -> {kind};\n");
    }
    text
}

/// The definitions of a source's fields: what `r` is where a campaign takes its recipients from it.
pub fn of_source(source: &SourceName, schema: &Schema) -> String {
    let kind = type_name(source);
    let mut text = HEADER.to_owned();
    let _ = write!(
        text,
        "\n// Written by `campanile functions --definitions`; what is changed here is overwritten.\n\n\
        /// A recipient of the source `{source}`.\nlet r: {kind};\n"
    );
    for (column, field) in &schema.columns {
        text.push('\n');
        if rhai::is_valid_identifier(column) {
            let about = match field {
                FieldType::String => "A string; an empty cell is `\"\"`.".to_owned(),
                FieldType::List => "A list; an empty cell is `[]`.".to_owned(),
                other => format!("Of type {other}; an empty cell is `()`."),
            };
            comment(&mut text, &about);
            let _ = writeln!(text, "fn get {column}(r: {kind}) -> {};", rhai_type(*field));
        } else {
            // Never more than one line: what stands behind it would be code.
            let column: String = column.chars().filter(|c| !c.is_control()).collect();
            let _ = writeln!(text, "// r[{column:?}] is of type {field}");
        }
    }
    text
}

fn comment(text: &mut String, words: &str) {
    let _ = writeln!(text, "/// {}", words.replace(['\n', '\r'], " "));
}

/// The parameters of a function where it is called with so many.
fn parameters(function: &Function, count: usize) -> String {
    let within = function
        .signature
        .split_once('(')
        .map_or("", |(_, rest)| rest.trim_end_matches(')'));
    let words = within.replace(['[', ']'], "");
    let parts = |alternative: &str| -> Vec<String> {
        let parts = alternative.split(',');
        parts.map(|part| part.trim().to_owned()).collect()
    };
    // `text | datetime | year, month, day`: the one that has as many, if there is one such.
    let alternatives: Vec<_> = words.split('|').map(parts).collect();
    let fitting: Vec<_> = alternatives
        .iter()
        .filter(|names| alternatives.len() == 1 || names.len() == count)
        .collect();
    let names = match fitting[..] {
        [names] => names.clone(),
        _ => Vec::new(),
    };
    let is_usable =
        names.len() >= count && names.iter().all(|name| rhai::is_valid_identifier(name));
    let parameters: Vec<String> = (0..count)
        .map(|at| match names.get(at) {
            Some(name) if is_usable => format!("{name}: ?"),
            _ => format!("value{}: ?", at + 1),
        })
        .collect();
    parameters.join(", ")
}

/// `customers` is `Customers` to the editor.
fn type_name(source: &SourceName) -> String {
    let mut name = String::new();
    for part in source.as_str().split(|c: char| !c.is_ascii_alphanumeric()) {
        let mut letters = part.chars();
        if let Some(first) = letters.next() {
            name.extend(first.to_uppercase());
            name.extend(letters);
        }
    }
    if rhai::is_valid_identifier(&name) {
        name
    } else {
        format!("Recipient{name}")
    }
}

fn rhai_type(field: FieldType) -> &'static str {
    match field {
        FieldType::String => "String",
        FieldType::Integer => "int",
        FieldType::Decimal => "Decimal",
        FieldType::Boolean => "bool",
        FieldType::Date => "Date",
        FieldType::Datetime => "Datetime",
        FieldType::List => "Array",
        FieldType::Any => "?",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Roles;

    #[test]
    fn every_function_is_defined_with_each_number_of_arguments() {
        let text = of_functions();
        for function in functions::all() {
            let (fewest, most) = function.arguments;
            let start = format!("\nfn {}(", function.name);
            assert_eq!(text.matches(&start).count(), most - fewest + 1, "{start}");
        }
        for line in [
            "fn get(r: ?, path: ?, default: ?);",
            "fn date(year: ?, month: ?, day: ?);",
            "fn date(value1: ?);",
            "fn today();",
            "fn get campaign(run: Run) -> String;",
        ] {
            assert!(text.lines().any(|one| one == line), "{line}\n{text}");
        }
    }

    #[test]
    fn a_source_defines_its_fields_and_nothing_else() {
        let column = |name: &str, kind| (name.to_owned(), kind);
        let schema = Schema {
            columns: vec![
                column("balance", FieldType::Decimal),
                column("first name", FieldType::String),
                column("evil\nfn x() { 1 }", FieldType::String),
                column("while", FieldType::Date),
            ],
            roles: Roles::default(),
        };
        let text = of_source(&"old-customers".parse().unwrap(), &schema);
        assert!(text.contains("\nlet r: OldCustomers;\n"), "{text}");
        assert!(text.contains("\nfn get balance(r: OldCustomers) -> Decimal;\n"));
        assert!(text.contains("// r[\"first name\"] is of type string\n"));
        assert_eq!(
            text.matches("\nfn ").count(),
            1 + usize::from(text.contains("fn get while"))
        );
        assert!(!text.contains("\nfn x"), "{text}");
    }
}
