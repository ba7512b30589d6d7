//! The schemas say what the parser says: the same keys, and they accept what checks.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use serde_json::Value;

use super::Schema;
use crate::{
    model::asked,
    workspace::{Additions, Tree, load_settings, snapshot::read_campaigns},
};

/// Settings with every table there is, each kind of source and transport among them.
const SETTINGS: &str = include_str!("tests/settings.toml");

/// A campaign with every table there is.
const CAMPAIGN: &str = include_str!("tests/campaign.toml");

fn tree() -> Tree {
    let mut tree = Tree::new();
    tree.insert("campanile.toml", SETTINGS.as_bytes());
    tree.insert("campaigns/billing/renewal.toml", CAMPAIGN.as_bytes());
    tree.insert("campaigns/billing/renewal.md", &b"Hello"[..]);
    tree.insert("campaigns/billing/renewal.de.md", &b"Hallo"[..]);
    tree.insert("campaigns/billing/terms.pdf", &b"%PDF-1.7"[..]);
    tree.insert("campaigns/billing/accounts.txt", &b"A1"[..]);
    tree
}

type Keys = BTreeMap<String, BTreeSet<String>>;

/// The path of a table, with `*` for what is a name.
fn pattern(path: &str) -> String {
    let named = ["senders", "topics", "sources", "transports"];
    let mut parts: Vec<&str> = path.split('.').collect();
    if parts.len() > 1 && named.contains(&parts[0]) {
        parts[1] = "*";
    }
    if let ["sources", "*", "fields", name] = &mut parts[..] {
        *name = "*";
    }
    parts.join(".")
}

/// The keys that were asked for, but for those that are refused as not built, by table.
fn parser_keys(asked: &asked::Asked) -> Keys {
    let mut keys = Keys::new();
    for (path, key) in &asked.keys {
        if !asked.refused.contains(&(path.clone(), *key)) {
            let table = keys.entry(pattern(path)).or_default();
            table.insert((*key).to_owned());
        }
    }
    keys
}

/// The keys of every table of a schema.
fn schema_keys(shape: &Value, path: &str, keys: &mut Keys) {
    for of in ["oneOf", "anyOf"] {
        for branch in shape[of].as_array().into_iter().flatten() {
            schema_keys(branch, path, keys);
        }
    }
    if let Some(items) = shape.get("items") {
        schema_keys(items, path, keys);
    }
    let within = |key: &str| match path {
        "" => key.to_owned(),
        path => format!("{path}.{key}"),
    };
    if let Some(shape) = shape
        .get("additionalProperties")
        .filter(|one| one.is_object())
    {
        schema_keys(shape, &within("*"), keys);
    }
    for (key, shape) in shape["properties"].as_object().into_iter().flatten() {
        keys.entry(path.to_owned()).or_default().insert(key.clone());
        schema_keys(shape, &within(key), keys);
    }
}

#[track_caller]
fn compare(schema: Schema, parser: &Keys) {
    let mut ours = Keys::new();
    schema_keys(&schema.to_json(), "", &mut ours);
    for (path, keys) in parser {
        let none = BTreeSet::new();
        let known = ours.get(path).unwrap_or(&none);
        let missing: Vec<_> = keys.difference(known).collect();
        assert!(missing.is_empty(), "[{path}]: the schema lacks {missing:?}");
    }
    for (path, keys) in &ours {
        let none = BTreeSet::new();
        let known = parser.get(path).unwrap_or(&none);
        let more: Vec<_> = keys.difference(known).collect();
        assert!(
            more.is_empty(),
            "[{path}]: no parser asks for {more:?} (or schema/tests/*.toml has no such table)"
        );
    }
}

#[test]
fn the_schemas_have_the_keys_that_the_parser_knows() {
    let tree = tree();
    asked::start();
    let (settings, found) = load_settings(&tree, Path::new("/ws"), &Additions::none());
    compare(Schema::Settings, &parser_keys(&asked::take()));
    let settings = settings.unwrap_or_else(|| panic!("{found:?}"));
    asked::start();
    read_campaigns(&tree, Some(&settings), &BTreeMap::new());
    compare(Schema::Campaign, &parser_keys(&asked::take()));
}

#[test]
fn every_key_is_explained() {
    fn check(shape: &Value, path: &str) {
        for (key, value) in shape.as_object().into_iter().flatten() {
            if key == "properties" {
                for (key, value) in value.as_object().into_iter().flatten() {
                    let about = value["description"].as_str().unwrap_or_default();
                    assert!(about.len() > 5, "{path}.{key} says nothing");
                }
            }
            check(value, &format!("{path}.{key}"));
        }
        for value in shape.as_array().into_iter().flatten() {
            check(value, path);
        }
    }
    for schema in Schema::ALL {
        check(&schema.to_json(), schema.name());
    }
}

/// What is wrong with a value, by those words of JSON Schema that are used here; others are wrong too.
fn errors(shape: &Value, value: &Value, path: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut within = Vec::new();
    let mut wrong = |what: String| found.push(format!("{path}: {what}"));
    let Some(words) = shape.as_object() else {
        return vec![format!("{path}: a schema is an object")];
    };
    for (word, rule) in words {
        match word.as_str() {
            "$schema" | "title" | "description" | "default" | "examples" | "format" => {}
            "type" => {
                let is = match rule.as_str().unwrap() {
                    "object" => value.is_object(),
                    "array" => value.is_array(),
                    "string" => value.is_string(),
                    "integer" => value.is_i64() || value.is_u64(),
                    "boolean" => value.is_boolean(),
                    other => panic!("{other}"),
                };
                if !is {
                    wrong(format!("{value} is no {rule}"));
                }
            }
            "enum" => {
                if !rule.as_array().unwrap().contains(value) {
                    wrong(format!("{value} is none of {rule}"));
                }
            }
            "pattern" => {
                let pattern = regex::Regex::new(rule.as_str().unwrap()).unwrap();
                if value.as_str().is_some_and(|text| !pattern.is_match(text)) {
                    wrong(format!("{value} does not match {rule}"));
                }
            }
            "minLength" | "maxLength" => {
                let length = value.as_str().map(|text| text.chars().count() as u64);
                let limit = rule.as_u64().unwrap();
                let fits = |n| {
                    if word == "minLength" {
                        n >= limit
                    } else {
                        n <= limit
                    }
                };
                if length.is_some_and(|n| !fits(n)) {
                    wrong(format!("{value}: {word}"));
                }
            }
            "minimum" | "maximum" => {
                let limit = rule.as_i64().unwrap();
                let fits = |n| {
                    if word == "minimum" {
                        n >= limit
                    } else {
                        n <= limit
                    }
                };
                if value.as_i64().is_some_and(|n| !fits(n)) {
                    wrong(format!("{value}: {word}"));
                }
            }
            "minItems" => {
                let n = value.as_array().map(|items| items.len() as u64);
                if n.is_some_and(|n| n < rule.as_u64().unwrap()) {
                    wrong("too few".to_owned());
                }
            }
            "items" => {
                for item in value.as_array().into_iter().flatten() {
                    within.extend(errors(rule, item, path));
                }
            }
            "required" => {
                for key in rule.as_array().unwrap() {
                    if value.is_object() && value.get(key.as_str().unwrap()).is_none() {
                        wrong(format!("{key} is missing"));
                    }
                }
            }
            "properties" | "additionalProperties" => {}
            "oneOf" | "anyOf" => {
                let branches = rule.as_array().unwrap();
                let all: Vec<_> = branches
                    .iter()
                    .map(|branch| errors(branch, value, path))
                    .collect();
                let good = all.iter().filter(|errors| errors.is_empty()).count();
                if good == 0 || (word == "oneOf" && good > 1) {
                    wrong(format!("{good} of {word} hold: {all:?}"));
                }
            }
            other => panic!("this test does not know {other}"),
        }
    }
    for (key, value) in value.as_object().into_iter().flatten() {
        let at = format!("{path}.{key}");
        match (&shape["properties"][key], &shape["additionalProperties"]) {
            (Value::Null, Value::Bool(false)) => found.push(format!("{at}: unknown key")),
            (Value::Null, shape @ Value::Object(_)) => found.extend(errors(shape, value, &at)),
            (Value::Null, _) => {}
            (shape, _) => found.extend(errors(shape, value, &at)),
        }
    }
    found.extend(within);
    found
}

/// A TOML file as editors compare it with a schema: dates are texts.
fn json_of(value: toml::Value) -> Value {
    match value {
        toml::Value::String(text) => text.into(),
        toml::Value::Integer(number) => number.into(),
        toml::Value::Float(number) => number.into(),
        toml::Value::Boolean(value) => value.into(),
        toml::Value::Datetime(moment) => moment.to_string().into(),
        toml::Value::Array(values) => values.into_iter().map(json_of).collect(),
        toml::Value::Table(table) => table
            .into_iter()
            .map(|(key, value)| (key, json_of(value)))
            .collect::<serde_json::Map<_, _>>()
            .into(),
    }
}

fn errors_in(schema: Schema, text: &str) -> Vec<String> {
    let value = json_of(toml::Value::Table(toml::from_str(text).unwrap()));
    errors(&schema.to_json(), &value, "")
}

#[test]
fn what_checks_is_accepted() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let read = |path: &str| fs::read_to_string(root.join(path)).unwrap();
    let readme = read("README.md");
    let block = |mark: &str| {
        let (_, text) = readme.split_once(&format!("```toml {mark}\n")).unwrap();
        text.split_once("```").unwrap().0.to_owned()
    };
    for settings in [
        SETTINGS.to_owned(),
        read("campanile.toml"),
        block("campanile.toml"),
    ] {
        assert_eq!(errors_in(Schema::Settings, &settings), Vec::<String>::new());
    }
    for campaign in [
        CAMPAIGN.to_owned(),
        read("campaigns/billing/renewal.toml"),
        read("campaigns/news/autumn.toml"),
        block("campaign"),
    ] {
        assert_eq!(errors_in(Schema::Campaign, &campaign), Vec::<String>::new());
    }
}

#[test]
fn an_environment_may_leave_anything_out_but_know_no_more() {
    let part = "[store]\npath = \"staging.db\"\n[transports.main]\nconnections = 2\n";
    assert_eq!(errors_in(Schema::Environment, part), Vec::<String>::new());
    assert!(!errors_in(Schema::Settings, part).is_empty());
    assert!(!errors_in(Schema::Environment, "[stroe]\n").is_empty());
}

#[test]
fn what_is_wrong_is_refused() {
    for (from, to) in [
        ("topic = ", "topci = "),
        ("min_recipients = 1", "min_recipients = \"1\""),
        ("holdout = \"5%\"", "holdout = \"5\""),
        ("cooldown = \"300d\"", "cooldown = \"300 days\""),
        ("dedupe = \"address\"", "dedupe = \"adress\""),
        ("via = ", "vai = "),
    ] {
        assert!(CAMPAIGN.contains(from), "{from}");
        let found = errors_in(Schema::Campaign, &CAMPAIGN.replacen(from, to, 1));
        assert!(!found.is_empty(), "{to}");
    }
    for (from, to) in [
        ("kind = \"smtp\"", "kind = \"smpt\""),
        ("port = 587", "port = 0"),
        (
            "password = { env = \"SMTP_PASSWORD\" }",
            "password = \"secret\"",
        ),
        ("\"*@acme.example\"", "\"acme.example\""),
        ("balance = \"decimal\"", "balance = \"money\""),
    ] {
        assert!(SETTINGS.contains(from), "{from}");
        let found = errors_in(Schema::Settings, &SETTINGS.replacen(from, to, 1));
        assert!(!found.is_empty(), "{to}");
    }
}
