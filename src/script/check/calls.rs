//! Calls: of functions of the host, of scripts, and of the same script.

use rhai::{Expr, FnCallExpr, FnPtr, Position};

use super::{Check, Setting, names::Holds};
use crate::{
    model::closest,
    script::{functions, sandbox::REFUSED},
};

impl Check<'_> {
    pub(super) fn call(&mut self, call: &FnCallExpr, position: Position) {
        if call.name == "curry" {
            let closure = call.args.first().and_then(|first| match first {
                Expr::DynamicConstant(value, _) => value.read_lock::<FnPtr>(),
                _ => None,
            });
            if let Some(closure) = closure {
                call.args.iter().skip(1).for_each(|taken| self.expr(taken));
                let taken: Vec<_> = call.args[1..].iter().filter_map(variable_name).collect();
                self.closure(&closure, &taken);
                return;
            }
        }
        if call.is_operator_call() {
            return self.operator(call, position);
        }
        call.args.iter().for_each(|argument| self.expr(argument));
        if call.is_qualified() {
            return self.qualified(call, position);
        }
        if call.name == "call" {
            return;
        }
        self.reads(&call.name, call.args.get(1));
        self.passes_on(&call.name, call.args.iter());
        let own = match &self.setting {
            Setting::Script(own) => own.get(call.name.as_str()),
            Setting::Expression { .. } => None,
        };
        if let Some(overloads) = own {
            let counts: Vec<_> = overloads.iter().map(|(count, _)| *count).collect();
            if counts.contains(&call.args.len()) {
                self.own_calls.push((call.name.to_string(), position));
            } else {
                self.wrong_count(&call.name, &counts, call.args.len(), position);
            }
            return;
        }
        self.host_call(&call.name, call.args.len(), position);
    }

    pub(super) fn operator(&mut self, call: &FnCallExpr, position: Position) {
        let compares = matches!(call.name.as_str(), "==" | "!=");
        if compares || matches!(call.name.as_str(), "<" | "<=" | ">" | ">=") {
            self.comparison(call, position);
        }
        match (&call.args[..], compares) {
            ([left, Expr::FloatConstant(..)], true) => self.expr(left),
            ([Expr::Unit(position), right], true) => {
                self.expr(right);
                let message = "the empty value must stand on the right".to_owned();
                let help = format!("write `… {} ()`", call.name);
                self.error("script-syntax", *position, 2, message, Some(help));
            }
            ([left, Expr::Unit(position)], true) => {
                self.expr(left);
                let message = "the empty value is `()`, without more parentheses".to_owned();
                let help = format!("write `… {} ()`", call.name);
                self.error("script-syntax", *position, 1, message, Some(help));
            }
            _ => call.args.iter().for_each(|argument| self.expr(argument)),
        }
    }

    pub(super) fn method(&mut self, call: &FnCallExpr, position: Position) {
        call.args.iter().for_each(|argument| self.expr(argument));
        if matches!(call.name.as_str(), "call" | "curry") {
            return;
        }
        self.reads(&call.name, call.args.first());
        // What stands before the dot is an argument too.
        self.uses.whole |= self.added.counts(&call.name).is_some();
        if self.is_own(&call.name) {
            let message = format!("`{}` is no method", call.name);
            let help = Some(format!("write `{}(…)`", call.name));
            let length = call.name.len();
            return self.error("unknown-function", position, length, message, help);
        }
        self.host_call(&call.name, call.args.len() + 1, position);
    }

    /// What the functions on recipients need of them.
    pub(super) fn reads(&mut self, name: &str, second: Option<&Expr>) {
        match (name, second) {
            ("get" | "has", Some(Expr::StringConstant(path, _))) => {
                let first = path.split('.').next().unwrap_or_default();
                self.uses.fields.insert(first.to_owned());
                self.uses.fields.insert(path.to_string());
            }
            ("get" | "has" | "last_sent" | "sent_count", _) => self.uses.whole = true,
            ("bucket", _) => self.uses.identity = true,
            _ => {}
        }
    }

    /// A function that a program adds gets the whole recipient, where it may be one that is passed on.
    fn passes_on<'e>(&mut self, name: &str, mut arguments: impl Iterator<Item = &'e Expr>) {
        let may_be_recipient = |argument: &Expr| match argument {
            Expr::Variable(variable, _, _) => matches!(
                self.holds(&variable.1),
                Some(Holds::Recipient | Holds::Local)
            ),
            _ => false,
        };
        if self.added.counts(name).is_some() && arguments.any(may_be_recipient) {
            self.uses.whole = true;
        }
    }

    pub(super) fn host_call(&mut self, name: &str, count: usize, position: Position) {
        if let Some(function) = functions::find(name) {
            let (fewest, most) = function.arguments;
            if !(fewest..=most).contains(&count) {
                let message = format!(
                    "`{name}` takes {}, not {count}",
                    arguments(&(fewest..=most).collect::<Vec<_>>())
                );
                let help = Some(format!("it is {}", function.signature));
                self.error("wrong-arguments", position, name.len(), message, help);
            }
            return;
        }
        if let Some(counts) = self.added.counts(name) {
            if !counts.contains(&count) {
                self.wrong_count(name, &counts, count, position);
            }
            return;
        }
        let refused = REFUSED.iter().find(|(word, _)| *word == name);
        let own: Vec<&str> = match &self.setting {
            Setting::Script(own) => own.keys().map(String::as_str).collect(),
            Setting::Expression { .. } => Vec::new(),
        };
        let help = match refused {
            Some((_, help)) => Some((*help).to_owned()),
            None => self.function_help(name, &own),
        };
        let message = format!("there is no function `{name}`");
        self.error("unknown-function", position, name.len(), message, help);
    }

    pub(super) fn function_help(&self, name: &str, own: &[&str]) -> Option<String> {
        if let Setting::Expression { modules, .. } = &self.setting {
            let mut scripts: Vec<_> = modules
                .iter()
                .filter(|(_, functions)| {
                    functions
                        .as_ref()
                        .is_some_and(|functions| functions.contains_key(name))
                })
                .map(|(module, _)| module)
                .collect();
            scripts.sort();
            if let Some(module) = scripts.first() {
                return Some(format!("did you mean `{module}::{name}`?"));
            }
        }
        let host = functions::all().map(|function| function.name);
        closest(
            name,
            host.chain(self.added.names()).chain(own.iter().copied()),
        )
        .map(|near| format!("did you mean `{near}`?"))
        .or_else(|| Some("`campanile functions` lists what there is".to_owned()))
    }

    pub(super) fn wrong_count(
        &mut self,
        name: &str,
        counts: &[usize],
        given: usize,
        position: Position,
    ) {
        let message = format!("`{name}` takes {}, not {given}", arguments(counts));
        self.error("wrong-arguments", position, name.len(), message, None);
    }

    /// `module::function(…)`.
    pub(super) fn qualified(&mut self, call: &FnCallExpr, position: Position) {
        let module = call
            .namespace
            .path
            .iter()
            .map(|part| part.name.to_string())
            .collect::<Vec<_>>()
            .join("::");
        let start = call.namespace.position();
        let Setting::Expression { modules, .. } = &self.setting else {
            let message = "scripts can't call each other".to_owned();
            let help = "pass on what the other script gives, or put the function into this file";
            self.error(
                "unknown-function",
                start,
                module.len(),
                message,
                Some(help.to_owned()),
            );
            return;
        };
        let (code, at, length, message, help) = match modules.get(&module) {
            None => (
                "unknown-module",
                start,
                module.len(),
                format!(
                    "there is no script scripts/{}.rhai",
                    module.replace("::", "/")
                ),
                closest(&module, modules.keys().map(String::as_str))
                    .map(|near| format!("did you mean `{near}`?")),
            ),
            Some(None) => (
                "broken-script",
                start,
                module.len(),
                format!("scripts/{}.rhai does not check", module.replace("::", "/")),
                None,
            ),
            Some(Some(functions)) => {
                self.uses.modules.insert(module.clone());
                let name = call.name.as_str();
                let public: Vec<_> = functions
                    .iter()
                    .filter(|(_, overloads)| overloads.iter().any(|(_, access)| access.is_public()))
                    .map(|(name, _)| name.as_str())
                    .collect();
                match functions.get(name) {
                    Some(overloads)
                        if overloads.iter().any(|(count, access)| {
                            *count == call.args.len() && access.is_public()
                        }) =>
                    {
                        return;
                    }
                    Some(overloads) if public.contains(&name) => {
                        let counts: Vec<_> = overloads.iter().map(|(count, _)| *count).collect();
                        return self.wrong_count(name, &counts, call.args.len(), position);
                    }
                    Some(_) => (
                        "unknown-function",
                        position,
                        name.len(),
                        format!("`{module}::{name}` is private to its script"),
                        None,
                    ),
                    None => (
                        "unknown-function",
                        position,
                        name.len(),
                        format!("the script has no function `{name}`"),
                        closest(name, public).map(|near| format!("did you mean `{near}`?")),
                    ),
                }
            }
        };
        self.error(code, at, length, message, help);
    }
}

fn variable_name(expr: &Expr) -> Option<&str> {
    match expr {
        Expr::Variable(variable, _, _) => Some(variable.1.as_str()),
        _ => None,
    }
}

fn arguments(counts: &[usize]) -> String {
    let mut counts = counts.to_vec();
    counts.sort_unstable();
    let shown: Vec<_> = counts.iter().map(ToString::to_string).collect();
    match (&counts[..], shown.split_last()) {
        ([0], _) => "no arguments".to_owned(),
        ([1], _) => "1 argument".to_owned(),
        (_, Some((last, []))) => format!("{last} arguments"),
        (_, Some((last, others))) => format!("{} or {last} arguments", others.join(", ")),
        (_, None) => "no arguments".to_owned(),
    }
}
