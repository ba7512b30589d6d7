//! A bench for expressions: one recipient, one campaign, on the 1st of December 2026 in Berlin.

#![allow(clippy::unwrap_used, reason = "a test that can't go on has failed")]

mod check;
mod clauses;
mod history;
mod places;
mod policy;
mod properties;
mod sandbox;
mod scripts;
mod strict;
mod table;

use std::{collections::BTreeMap, sync::Arc};

use super::*;
use crate::model::{
    Diagnostics, Excerpt, FieldType, Place, Roles, Schema, SourceFile, Value, Variable,
};

fn text(text: &str) -> Value {
    Value::Text(text.to_owned())
}

fn date(date: &str) -> Value {
    Value::Date(date.parse().unwrap())
}

/// Ada, with a field of every kind; what starts with `no_` is empty.
pub(super) fn ada() -> Recipient {
    let address = BTreeMap::from([
        ("city".to_owned(), text("London")),
        ("lines".to_owned(), Value::List(vec![text("1 Main Street")])),
        ("zip".to_owned(), Value::Empty),
    ]);
    recipient(vec![
        ("account_no", FieldType::String, text("A1")),
        ("name", FieldType::String, text("Ada King")),
        ("email", FieldType::String, text("ada@example.org")),
        ("phone", FieldType::String, text("")),
        ("status", FieldType::String, text("active")),
        (
            "balance",
            FieldType::Decimal,
            Value::Decimal("1234.50".parse().unwrap()),
        ),
        ("points", FieldType::Integer, Value::Integer(7)),
        ("vip", FieldType::Boolean, Value::Boolean(true)),
        ("renews_on", FieldType::Date, date("2026-12-12")),
        ("born_on", FieldType::Date, date("1990-06-15")),
        (
            "signed_up",
            FieldType::Datetime,
            Value::DateTime("2026-11-30T23:30:00+00:00".parse().unwrap()),
        ),
        (
            "tags",
            FieldType::List,
            Value::List(vec![text("gold"), text("early")]),
        ),
        ("address", FieldType::String, Value::Map(address)),
        ("no_balance", FieldType::Decimal, Value::Empty),
        ("no_points", FieldType::Integer, Value::Empty),
        ("no_date", FieldType::Date, Value::Empty),
        ("no_vip", FieldType::Boolean, Value::Empty),
        ("no_tags", FieldType::List, Value::List(Vec::new())),
    ])
}

fn recipient(cells: Vec<(&str, FieldType, Value)>) -> Recipient {
    let schema = Schema {
        columns: cells
            .iter()
            .map(|(name, kind, _)| ((*name).to_owned(), *kind))
            .collect(),
        roles: Roles {
            key: "account_no".to_owned(),
            ..Roles::default()
        },
    };
    Recipient {
        source: "customers".parse().unwrap(),
        schema: Arc::new(schema),
        key: "A1".to_owned(),
        values: cells.into_iter().map(|(_, _, value)| value).collect(),
    }
}

pub(super) fn facts() -> RunFacts {
    RunFacts {
        campaign: "billing/renewal".parse().unwrap(),
        occurrence: OccurrenceName::label("2026-12-01").unwrap(),
        now: "2026-12-01T08:00:00Z".parse().unwrap(),
        zone: "Europe/Berlin".parse().unwrap(),
    }
}

/// The value of a key in a TOML text.
fn excerpt(toml: &str, key: &str) -> Excerpt {
    let table = toml::de::DeTable::parse(toml).unwrap();
    let value = table.get_ref().get(key).unwrap();
    let file = SourceFile::new("campaigns/a.toml", toml);
    Excerpt::toml_string(
        value.get_ref().as_str().unwrap(),
        Place::new(&file, value.span()),
    )
}

/// An expression as a TOML string of its own.
fn quoted(expression: &str) -> Excerpt {
    let toml = if expression.contains(['\'', '\n', '\u{0}', '\u{7f}']) {
        let json = serde_json::Value::from(expression).to_string();
        format!("where = {}", json.replace('\u{7f}', "\\u007f"))
    } else {
        format!("where = '{expression}'")
    };
    excerpt(&toml, "where")
}

fn variable(name: &str, expression: Excerpt) -> Variable {
    Variable {
        name: name.to_owned(),
        name_place: expression.place().clone(),
        expression,
    }
}

/// Scripts and an audience, to compile expressions with.
pub(super) struct Bench {
    library: Library,
    recipient: Recipient,
    history: Arc<dyn History>,
}

impl Bench {
    pub(super) fn new(scripts: &[(&str, &str)]) -> Self {
        let (bench, found) = Self::checked(scripts);
        assert!(found.is_empty(), "{}", shown(&found));
        bench
    }

    fn checked(scripts: &[(&str, &str)]) -> (Self, Diagnostics) {
        Self::with(scripts, &AddedFunctions::default())
    }

    fn with(scripts: &[(&str, &str)], added: &AddedFunctions) -> (Self, Diagnostics) {
        let files: Vec<_> = scripts
            .iter()
            .map(|(path, text)| SourceFile::new(*path, *text))
            .collect();
        let (library, found) = Library::compile(&files, added);
        let bench = Self {
            library,
            recipient: ada(),
            history: Arc::new(NoHistory),
        };
        (bench, found)
    }

    fn compile(
        &self,
        condition: Option<&Excerpt>,
        variables: &[Variable],
    ) -> (Option<Program>, Diagnostics) {
        let schemas = [self.recipient.schema.clone()];
        program::compile(&self.library, condition, variables, &schemas, None)
    }

    fn program(&self, condition: Option<&Excerpt>, variables: &[Variable]) -> Program {
        let (mut program, found) = self.compile(condition, variables);
        if found.iter().all(|found| found.code == "type-mismatch") && program.is_none() {
            // What is known before is a test of its own: here it shall fail when it runs.
            program = program::compile(&self.library, condition, variables, &[], None).0;
        }
        program.unwrap_or_else(|| panic!("{}", shown(&found)))
    }

    fn evaluator(&self, program: &Program) -> Evaluator {
        program.evaluator(&facts(), self.history.clone())
    }

    /// The value of an expression that checks.
    fn value(&self, expression: &str) -> Result<Value, ScriptError> {
        let program = self.program(None, &[variable("x", quoted(expression))]);
        let mut values = self.evaluator(&program).variables(&self.recipient)?;
        Ok(values.remove(0))
    }

    /// Whether a condition that checks holds.
    fn matches(&self, condition: &str) -> Result<bool, ScriptError> {
        let program = self.program(Some(&quoted(condition)), &[]);
        self.evaluator(&program).matches(&self.recipient)
    }

    /// What is found wrong with a condition.
    fn findings(&self, condition: &str) -> Vec<String> {
        let (_, found) = self.compile(Some(&quoted(condition)), &[]);
        found.iter().map(ToString::to_string).collect()
    }
}

fn shown(found: &Diagnostics) -> String {
    let lines: Vec<_> = found.iter().map(ToString::to_string).collect();
    lines.join("\n")
}

/// The value of an expression, as a message shows it.
fn value(expression: &str) -> String {
    match Bench::new(&[]).value(expression) {
        Ok(value) => value.to_string(),
        Err(error) => panic!("{expression}: {error}"),
    }
}

/// Whether a condition holds.
fn holds(condition: &str) -> bool {
    match Bench::new(&[]).matches(condition) {
        Ok(holds) => holds,
        Err(error) => panic!("{condition}: {error}"),
    }
}

/// What goes wrong with a condition that checks.
fn failure(condition: &str) -> String {
    match Bench::new(&[]).matches(condition) {
        Ok(holds) => panic!("{condition}: no failure, but {holds}"),
        Err(error) => error.message,
    }
}

#[test]
fn programs_are_shared_between_threads_and_evaluators_move_to_them() {
    fn shared<T: Send + Sync>() {}
    fn moved<T: Send>() {}
    shared::<Library>();
    shared::<Program>();
    moved::<Evaluator>();
}
