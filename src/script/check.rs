//! What can be known of a script before it runs: unknown fields, functions and variables, wrong numbers of arguments, and
//! what it will read.

use std::collections::{BTreeSet, HashMap};

use rhai::{
    AST, ASTFlags, ASTNode, BinaryExpr, Expr, FlowControl, FnAccess, FnCallExpr, FnPtr, Module,
    Position, ScriptFuncDef, Shared, Stmt, StmtBlock,
};

use super::{
    functions,
    record::RUN_FIELDS,
    sandbox::REFUSED,
    syntax::{Parsed, place},
};
use crate::model::{Diagnostic, Diagnostics, closest};

/// What an expression or a script reads.
#[derive(Clone, Debug, Default)]
pub(super) struct Uses {
    /// Fields by a literal name: all names behind a dot, whatever stands before it.
    pub(super) fields: BTreeSet<String>,
    /// Modules it calls.
    pub(super) modules: BTreeSet<String>,
    /// Whether it needs the recipient's key.
    pub(super) identity: bool,
    /// Whether it needs the whole recipient.
    pub(super) whole: bool,
}

impl Uses {
    /// Adds what another one reads.
    pub(super) fn extend(&mut self, other: &Self) {
        self.fields.extend(other.fields.iter().cloned());
        self.modules.extend(other.modules.iter().cloned());
        self.identity |= other.identity;
        self.whole |= other.whole;
    }
}

/// A function of a script: how often it may be overloaded, by number of parameters.
pub(super) type Signatures = HashMap<String, Vec<(usize, FnAccess)>>;

/// What a text may call and read.
pub(super) enum Setting<'a> {
    /// An expression in a campaign.
    Expression {
        /// The functions of a script, by its module name; `None`: the script does not check.
        modules: &'a HashMap<String, Option<Signatures>>,
        /// The columns that may be read; empty: not known now.
        columns: &'a BTreeSet<String>,
    },
    /// A script, with the functions it defines.
    Script(&'a Signatures),
}

/// A call of a function of the same script: its name and where that stands.
pub(super) type OwnCall = (String, Position);

/// Goes through one parsed text.
pub(super) struct Check<'a> {
    parsed: &'a Parsed,
    setting: Setting<'a>,
    names: Vec<Name>,
    /// What was found wrong.
    pub(super) diagnostics: Diagnostics,
    /// What it reads.
    pub(super) uses: Uses,
    /// Calls of functions of the same script.
    pub(super) own_calls: Vec<OwnCall>,
}

/// A variable in sight.
#[derive(Clone)]
struct Name {
    name: String,
    holds: Holds,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Holds {
    Recipient,
    Run,
    /// An earlier variable of the campaign.
    Variable,
    /// Its own: it may be changed.
    Local,
}

impl<'a> Check<'a> {
    pub(super) fn new(parsed: &'a Parsed, setting: Setting<'a>) -> Self {
        Self {
            parsed,
            setting,
            names: Vec::new(),
            diagnostics: Diagnostics::new(),
            uses: Uses::default(),
            own_calls: Vec::new(),
        }
    }

    /// Checks an expression, which sees `r`, `run` and the variables before it.
    pub(super) fn expression(&mut self, variables: &[String]) {
        let given = |name: &str, holds| Name {
            name: name.to_owned(),
            holds,
        };
        self.names = vec![given("run", Holds::Run), given("r", Holds::Recipient)];
        self.names.extend(
            variables
                .iter()
                .map(|variable| given(variable, Holds::Variable)),
        );
        for statement in self.parsed.ast.statements() {
            self.statement(statement);
        }
    }

    /// Checks the functions of a script, which see their parameters.
    pub(super) fn functions(&mut self) {
        let parsed = self.parsed;
        let mut functions: Vec<_> = parsed.ast.iter_fn_def().collect();
        // Rhai keeps them in no order.
        functions.sort_by_key(|function| function.body.start_position());
        for function in functions {
            if is_closure(&function.name) {
                continue;
            }
            self.names = locals(function.params.iter().map(|name| name.to_string()));
            self.body_of(function);
        }
    }

    /// Goes through the body of a function of this text. Rhai shows bodies only as part of a whole.
    fn body_of(&mut self, function: &Shared<ScriptFuncDef>) {
        let mut alone = Module::new();
        alone.set_script_fn(function.clone());
        AST::new([], alone).walk(&mut |path: &[ASTNode<'_>]| {
            if let [ASTNode::Stmt(statement)] = path {
                self.statement(statement);
            }
            true
        });
    }

    fn error(
        &mut self,
        code: &'static str,
        position: Position,
        length: usize,
        message: String,
        help: Option<String>,
    ) {
        let found = Diagnostic::error(code, place(&self.parsed.excerpt, position, length), message);
        self.diagnostics.push(match help {
            Some(help) => found.help(help),
            None => found,
        });
    }

    fn block(&mut self, block: &StmtBlock) {
        let outside = self.names.len();
        for statement in block.statements() {
            self.statement(statement);
        }
        self.names.truncate(outside);
    }

    fn statement(&mut self, statement: &Stmt) {
        match statement {
            Stmt::If(flow, _) => {
                self.expr(&flow.expr);
                self.block(&flow.body);
                self.block(&flow.branch);
            }
            Stmt::While(flow, _) | Stmt::Do(flow, _, _) => {
                self.expr(&flow.expr);
                self.block(&flow.body);
            }
            Stmt::For(parts, _) => {
                let (element, counter, flow) = &**parts;
                self.expr(&flow.expr);
                let names = Some(element).into_iter().chain(counter.as_ref());
                self.inside(names.map(|name| name.name.to_string()), &flow.body);
            }
            Stmt::TryCatch(flow, _) => self.try_catch(flow),
            Stmt::Var(parts, _, _) => {
                self.expr(&parts.1);
                self.names.extend(locals([parts.0.name.to_string()]));
            }
            Stmt::Assignment(parts) => {
                let (operator, BinaryExpr { lhs, rhs }) = &**parts;
                self.assignment(lhs, operator.position());
                self.expr(lhs);
                self.expr(rhs);
            }
            Stmt::FnCall(call, position) => self.call(call, *position),
            Stmt::Block(block) => self.block(block),
            Stmt::Expr(expr) => self.expr(expr),
            Stmt::BreakLoop(Some(expr), _, _) | Stmt::Return(Some(expr), _, _) => self.expr(expr),
            Stmt::Import(..) | Stmt::Export(..) | Stmt::Switch(..) => self.error(
                "script-syntax",
                statement.position(),
                0,
                "this statement can't be used here".to_owned(),
                None,
            ),
            // What closures take with them is checked where it is handed over.
            _ => {}
        }
    }

    fn inside(&mut self, names: impl Iterator<Item = String>, block: &StmtBlock) {
        let outside = self.names.len();
        self.names.extend(locals(names));
        self.block(block);
        self.names.truncate(outside);
    }

    fn try_catch(&mut self, flow: &FlowControl) {
        self.block(&flow.body);
        let caught = match &flow.expr {
            Expr::Variable(variable, _, _) => Some(variable.1.to_string()),
            _ => None,
        };
        self.inside(caught.into_iter(), &flow.branch);
    }

    /// Only what is one's own may be changed.
    fn assignment(&mut self, target: &Expr, operator: Position) {
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

    fn holds(&self, name: &str) -> Option<Holds> {
        self.names
            .iter()
            .rev()
            .find(|known| known.name == name)
            .map(|known| known.holds)
    }

    fn expr(&mut self, expr: &Expr) {
        match expr {
            Expr::DynamicConstant(value, _) => {
                if let Some(closure) = value.read_lock::<FnPtr>() {
                    self.closure(&closure, &[]);
                }
            }
            Expr::FloatConstant(_, position) => self.error(
                "script-syntax",
                *position,
                2,
                "`()` behind `==` or `!=` must stand alone".to_owned(),
                Some("put the comparison into parentheses".to_owned()),
            ),
            Expr::InterpolatedString(parts, _) | Expr::Array(parts, _) => {
                parts.iter().for_each(|part| self.expr(part));
            }
            Expr::Map(entries, _) => entries.0.iter().for_each(|(_, value)| self.expr(value)),
            Expr::Variable(variable, _, position) => {
                if variable.2.is_empty() {
                    self.variable(&variable.1, *position);
                } else {
                    self.error(
                        "unknown-variable",
                        variable.2.position(),
                        0,
                        format!(
                            "scripts have functions only: there is no `{}::{}`",
                            variable.2, variable.1
                        ),
                        None,
                    );
                }
            }
            Expr::ThisPtr(position) => self.error(
                "script-syntax",
                *position,
                4,
                "`this` can't be used here".to_owned(),
                Some("pass the value as a parameter".to_owned()),
            ),
            Expr::Stmt(block) => self.block(block),
            Expr::FnCall(call, position) => self.call(call, *position),
            Expr::MethodCall(call, position) => self.method(call, *position),
            Expr::Dot(chain, _, _) => {
                self.first_of_chain(&chain.lhs, dotted(&chain.rhs));
                self.expr(&chain.lhs);
                self.dot(&chain.rhs);
            }
            Expr::Index(chain, flags, _) => {
                self.first_of_chain(&chain.lhs, Some(indexed(*flags, &chain.rhs)));
                self.expr(&chain.lhs);
                self.index(*flags, &chain.rhs);
            }
            Expr::And(parts, _) | Expr::Or(parts, _) | Expr::Coalesce(parts, _) => {
                parts.iter().for_each(|part| self.expr(part));
            }
            _ => {}
        }
    }

    /// What stands behind a dot.
    fn dot(&mut self, rhs: &Expr) {
        match rhs {
            Expr::Property(property, _) => {
                self.uses.fields.insert(property.2.to_string());
            }
            Expr::MethodCall(call, position) => self.method(call, *position),
            Expr::Dot(chain, _, _) => {
                self.dot(&chain.lhs);
                self.dot(&chain.rhs);
            }
            Expr::Index(chain, flags, _) => {
                self.dot(&chain.lhs);
                self.index(*flags, &chain.rhs);
            }
            other => self.expr(other),
        }
    }

    /// What stands within brackets, and behind them.
    fn index(&mut self, flags: ASTFlags, rhs: &Expr) {
        let index = indexed(flags, rhs);
        match index {
            Expr::StringConstant(name, _) => {
                self.uses.fields.insert(name.to_string());
            }
            Expr::IntegerConstant(..) => {}
            other => {
                // The brackets may belong to a recipient.
                self.uses.whole = true;
                self.expr(other);
            }
        }
        if flags.contains(ASTFlags::BREAK) {
            return;
        }
        match rhs {
            Expr::Dot(chain, _, _) => self.dot(&chain.rhs),
            Expr::Index(chain, flags, _) => self.index(*flags, &chain.rhs),
            _ => {}
        }
    }

    /// `r.field`, `r["field"]` and `run.field`.
    fn first_of_chain(&mut self, target: &Expr, field: Option<&Expr>) {
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
                if columns.is_empty() || columns.contains(name) {
                    return;
                }
                let near = closest(name, columns.iter().map(String::as_str))
                    .map(|near| format!("did you mean `{near}`?"));
                let help = near.or_else(|| {
                    let some: Vec<_> = columns.iter().take(12).map(String::as_str).collect();
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

    fn variable(&mut self, name: &str, position: Position) {
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

    fn field_of_r(&self, name: &str) -> Option<String> {
        match &self.setting {
            Setting::Expression { columns, .. } if columns.contains(name) => {
                Some(format!("did you mean `r.{name}`?"))
            }
            Setting::Expression { .. } if self.holds("r").is_some() => {
                Some(format!("a text stands in quotes: \"{name}\""))
            }
            _ => None,
        }
    }

    fn is_function(&self, name: &str) -> bool {
        let own = match &self.setting {
            Setting::Script(own) => own.contains_key(name),
            Setting::Expression { .. } => false,
        };
        own || functions::find(name).is_some()
    }

    /// A closure, and the variables it takes with it.
    fn closure(&mut self, closure: &FnPtr, taken: &[&str]) {
        let parsed = self.parsed;
        let found = parsed
            .ast
            .iter_fn_def()
            .find(|function| function.name == closure.fn_name());
        let Some(function) = found else {
            return;
        };
        let outside = self.names.clone();
        // What it takes with it means inside what it means outside; what is unknown there was said already.
        let unknown = taken.iter().filter(|name| self.holds(name).is_none());
        let own = function.params.iter().skip(taken.len());
        let more = locals(
            unknown
                .map(|name| (*name).to_owned())
                .chain(own.map(|name| name.to_string())),
        );
        self.names
            .retain(|known| taken.contains(&known.name.as_str()));
        self.names.extend(more);
        self.body_of(function);
        self.names = outside;
    }

    fn call(&mut self, call: &FnCallExpr, position: Position) {
        if call.name == "curry" {
            if let Some(Expr::DynamicConstant(value, _)) = call.args.first() {
                if let Some(closure) = value.read_lock::<FnPtr>() {
                    call.args.iter().skip(1).for_each(|taken| self.expr(taken));
                    let taken: Vec<_> = call.args[1..].iter().filter_map(variable_name).collect();
                    self.closure(&closure, &taken);
                    return;
                }
            }
        }
        if call.is_operator_call() {
            return self.operator(call);
        }
        call.args.iter().for_each(|argument| self.expr(argument));
        if call.is_qualified() {
            return self.qualified(call, position);
        }
        if call.name == "call" {
            return;
        }
        self.reads(&call.name, call.args.get(1));
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

    fn operator(&mut self, call: &FnCallExpr) {
        let compares = matches!(call.name.as_str(), "==" | "!=");
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

    fn method(&mut self, call: &FnCallExpr, position: Position) {
        call.args.iter().for_each(|argument| self.expr(argument));
        if matches!(call.name.as_str(), "call" | "curry") {
            return;
        }
        self.reads(&call.name, call.args.first());
        if let Setting::Script(own) = &self.setting {
            if own.contains_key(call.name.as_str()) {
                let message = format!("`{}` is no method", call.name);
                let help = format!("write `{}(…)`", call.name);
                self.error(
                    "unknown-function",
                    position,
                    call.name.len(),
                    message,
                    Some(help),
                );
                return;
            }
        }
        self.host_call(&call.name, call.args.len() + 1, position);
    }

    /// What the functions on recipients need of them.
    fn reads(&mut self, name: &str, second: Option<&Expr>) {
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

    fn host_call(&mut self, name: &str, count: usize, position: Position) {
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

    fn function_help(&self, name: &str, own: &[&str]) -> Option<String> {
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
        closest(name, host.chain(own.iter().copied()))
            .map(|near| format!("did you mean `{near}`?"))
            .or_else(|| Some("`campanile functions` lists what there is".to_owned()))
    }

    fn wrong_count(&mut self, name: &str, counts: &[usize], given: usize, position: Position) {
        let message = format!("`{name}` takes {}, not {given}", arguments(counts));
        self.error("wrong-arguments", position, name.len(), message, None);
    }

    /// `module::function(…)`.
    fn qualified(&mut self, call: &FnCallExpr, position: Position) {
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

/// Whether Rhai made the name, for a closure.
pub(super) fn is_closure(name: &str) -> bool {
    name.starts_with("anon$")
}

fn locals(names: impl IntoIterator<Item = String>) -> Vec<Name> {
    names
        .into_iter()
        .map(|name| Name {
            name,
            holds: Holds::Local,
        })
        .collect()
}

/// The first thing behind a dot.
fn dotted(rhs: &Expr) -> Option<&Expr> {
    match rhs {
        Expr::Dot(chain, _, _) | Expr::Index(chain, _, _) => dotted(&chain.lhs),
        Expr::Property(..) => Some(rhs),
        _ => None,
    }
}

/// The first index within brackets: Rhai hangs what follows them below it, but where the flag says that nothing follows.
fn indexed(flags: ASTFlags, rhs: &Expr) -> &Expr {
    match rhs {
        Expr::Dot(chain, _, _) | Expr::Index(chain, _, _) if !flags.contains(ASTFlags::BREAK) => {
            &chain.lhs
        }
        other => other,
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
