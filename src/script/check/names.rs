//! Names: variables and fields.

use rhai::{Expr, Position};

use super::{Check, Setting};
use crate::{
    model::closest,
    script::{functions, record::RUN_FIELDS},
};

/// A variable in sight.
#[derive(Clone)]
pub(super) struct Name {
    pub(super) name: String,
    pub(super) holds: Holds,
}

/// What a variable holds.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Holds {
    Recipient,
    Run,
    /// An earlier variable of the campaign.
    Variable,
    /// Its own: it may be changed.
    Local,
}

/// Variables of its own.
pub(super) fn locals(names: impl IntoIterator<Item = String>) -> Vec<Name> {
    names
        .into_iter()
        .map(|name| Name {
            name,
            holds: Holds::Local,
        })
        .collect()
}

impl Check<'_> {
    /// Only what is one's own may be changed.
    pub(super) fn assignment(&mut self, target: &Expr, operator: Position) {
        let mut root = target;
        while let Expr::Dot(chain, _, _) | Expr::Index(chain, _, _) = root {
            root = &chain.lhs;
        }
        let Expr::Variable(variable, _, _) = root else {
            return;
        };
        let holds = self.holds(&variable.1);
        if !matches!(holds, None | Some(Holds::Local)) {
            self.error(
                "assignment",
                operator,
                1,
                format!("`=` assigns a value, and `{}` can't be changed", variable.1),
                Some("did you mean `==`?".to_owned()),
            );
        }
    }

    pub(super) fn holds(&self, name: &str) -> Option<Holds> {
        self.names
            .iter()
            .rev()
            .find(|known| known.name == name)
            .map(|known| known.holds)
    }

    /// `r.field`, `r["field"]` and `run.field`.
    pub(super) fn first_of_chain(&mut self, target: &Expr, field: Option<&Expr>) {
        let Expr::Variable(variable, _, _) = target else {
            return;
        };
        let (name, position, length) = match field {
            Some(Expr::Property(property, position)) => {
                (property.2.as_str(), *position, property.2.len())
            }
            Some(Expr::StringConstant(name, position)) => {
                (name.as_str(), *position, name.len() + 2)
            }
            _ => return,
        };
        match self.holds(&variable.1) {
            Some(Holds::Recipient) => {
                let Setting::Expression { columns, .. } = &self.setting else {
                    return;
                };
                if columns.is_empty() || columns.contains_key(name) {
                    return;
                }
                let near = closest(name, columns.keys().map(String::as_str))
                    .map(|near| format!("did you mean `{near}`?"));
                let help = near.or_else(|| {
                    let some: Vec<_> = columns.keys().take(12).map(String::as_str).collect();
                    let more = if columns.len() > 12 { ", …" } else { "" };
                    Some(format!("it has {}{more}", some.join(", ")))
                });
                let message = format!("the source has no field `{name}`");
                self.error("unknown-field", position, length, message, help);
            }
            Some(Holds::Run) if !RUN_FIELDS.contains(&name) => {
                let help = format!("it has {}", RUN_FIELDS.join(", "));
                let message = format!("`run` has no field `{name}`");
                self.error("unknown-field", position, length, message, Some(help));
            }
            _ => {}
        }
    }

    pub(super) fn variable(&mut self, name: &str, position: Position) {
        if self.holds(name).is_some() {
            return;
        }
        let known = closest(name, self.names.iter().map(|known| known.name.as_str()));
        let help = match name {
            "null" | "nil" | "None" | "none" | "NULL" | "undefined" => {
                Some("an empty cell is `()`".to_owned())
            }
            "True" | "TRUE" => Some("did you mean `true`?".to_owned()),
            "False" | "FALSE" => Some("did you mean `false`?".to_owned()),
            "r" | "run" => Some("a script sees its parameters only: pass it on".to_owned()),
            _ if self.is_function(name) => {
                Some(format!("call it: `{name}(…)`, or pass on `|x| {name}(x)`"))
            }
            _ if known.is_some() => known.map(|near| format!("did you mean `{near}`?")),
            _ => self.field_of_r(name),
        };
        let message = format!("there is no variable `{name}`");
        self.error("unknown-variable", position, name.len(), message, help);
    }

    pub(super) fn field_of_r(&self, name: &str) -> Option<String> {
        match &self.setting {
            Setting::Expression { columns, .. } if columns.contains_key(name) => {
                Some(format!("did you mean `r.{name}`?"))
            }
            Setting::Expression { .. } if self.holds("r").is_some() => {
                Some(format!("a text stands in quotes: \"{name}\""))
            }
            _ => None,
        }
    }

    pub(super) fn is_function(&self, name: &str) -> bool {
        self.is_own(name) || functions::find(name).is_some() || self.added.counts(name).is_some()
    }

    /// Whether the text itself defines a function of that name.
    pub(super) fn is_own(&self, name: &str) -> bool {
        match &self.setting {
            Setting::Script(own) => own.contains_key(name),
            Setting::Expression { .. } => false,
        }
    }
}
