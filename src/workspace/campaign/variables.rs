//! `[variables]`: names with expressions, in the file's order.

use crate::model::{Diagnostic, Excerpt, Item, Section, Variable};

/// Names that scripts or templates know as something else.
const TAKEN: [&str; 9] = [
    "r",
    "run",
    "campaign",
    "sender",
    "topic",
    "unsubscribe_url",
    "preferences_url",
    "view_url",
    "global",
];

/// Words that mean something in Rhai or in Jinja.
const WORDS: [&str; 71] = [
    "False",
    "Fn",
    "None",
    "True",
    "and",
    "as",
    "async",
    "await",
    "break",
    "call",
    "case",
    "catch",
    "const",
    "continue",
    "curry",
    "debug",
    "default",
    "do",
    "elif",
    "else",
    "eval",
    "export",
    "false",
    "fn",
    "for",
    "go",
    "goto",
    "if",
    "import",
    "in",
    "is",
    "is_def_fn",
    "is_def_var",
    "is_shared",
    "let",
    "loop",
    "match",
    "module",
    "new",
    "nil",
    "none",
    "not",
    "null",
    "or",
    "package",
    "print",
    "private",
    "protected",
    "public",
    "return",
    "self",
    "shared",
    "spawn",
    "static",
    "super",
    "switch",
    "sync",
    "this",
    "thread",
    "throw",
    "true",
    "try",
    "type_of",
    "until",
    "use",
    "var",
    "void",
    "while",
    "with",
    "yield",
    "exit",
];

const MOST: usize = 200;

/// The variables, and whether all that are in the file are among them.
pub(super) fn read(root: &Section<'_>) -> (Vec<Variable>, bool) {
    let Some(item) = root.item("variables") else {
        return (Vec::new(), true);
    };
    let Some(section) = item.section() else {
        return (Vec::new(), false);
    };
    let entries = section.entries();
    if entries.len() > MOST {
        item.error::<()>(
            "wrong-value",
            format!("a campaign may have at most {MOST} variables"),
        );
        return (Vec::new(), false);
    }
    let variables: Vec<_> = entries.iter().filter_map(variable).collect();
    let has_all = variables.len() == entries.len();
    (variables, has_all)
}

fn variable(item: &Item<'_>) -> Option<Variable> {
    let name = item.name.key.as_str();
    let wrong = |message: String| {
        let diagnostic = Diagnostic::error("wrong-name", item.name.place.clone(), message);
        item.report::<()>(diagnostic.help("choose another name"));
    };
    let mut is_good = false;
    if !is_identifier(name) {
        wrong(format!(
            "`{name}` can't be the name of a variable: letters a to z, digits and `_` may stand in it, no digit in front"
        ));
    } else if TAKEN.contains(&name) {
        wrong(format!(
            "`{name}` means something else in scripts or templates"
        ));
    } else if WORDS.contains(&name) {
        wrong(format!(
            "`{name}` is a word of the script or template language"
        ));
    } else {
        is_good = true;
    }
    let toml::de::DeValue::String(text) = item.value() else {
        return item.report(
            Diagnostic::error(
                "wrong-type",
                item.place(),
                format!("the variable `{name}` is not an expression in quotes"),
            )
            .help("write the Rhai expression as a string, such as 'r.balance * 2' or '\"a text\"'"),
        );
    };
    if text.trim().is_empty() {
        return item.error("wrong-value", format!("the variable `{name}` is empty"));
    }
    is_good.then(|| Variable {
        name: name.to_owned(),
        name_place: item.name.place.clone(),
        expression: Excerpt::toml_string(text, item.place()),
    })
}

fn is_identifier(name: &str) -> bool {
    name.len() <= 100
        && name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.contains(|c: char| c.is_ascii_alphabetic())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}
