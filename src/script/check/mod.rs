//! What can be known of a script before it runs: unknown fields, functions and variables, wrong numbers of arguments, and
//! what it will read. Here: the way through a text; names and calls have files of their own.

mod calls;
mod names;
mod types;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use names::{Holds, Name, locals};
use rhai::{
    AST, ASTFlags, ASTNode, BinaryExpr, Expr, FlowControl, FnAccess, FnPtr, Module, Position,
    ScriptFuncDef, Shared, Stmt, StmtBlock,
};

use super::{
    AddedFunctions,
    syntax::{Parsed, place},
};
use crate::model::{Diagnostic, Diagnostics, FieldType, Severity};

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

/// Columns, each with its type where all sources that have it agree on one.
pub(super) type Columns = BTreeMap<String, Option<FieldType>>;

/// What a text may call and read.
pub(super) enum Setting<'a> {
    /// An expression in a campaign.
    Expression {
        /// The functions of a script, by its module name; `None`: the script does not check.
        modules: &'a HashMap<String, Option<Signatures>>,
        /// The columns that may be read; empty: not known now.
        columns: &'a Columns,
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
    added: &'a AddedFunctions,
    names: Vec<Name>,
    /// What was found wrong.
    pub(super) diagnostics: Diagnostics,
    /// What it reads.
    pub(super) uses: Uses,
    /// Calls of functions of the same script.
    pub(super) own_calls: Vec<OwnCall>,
}

impl<'a> Check<'a> {
    pub(super) fn new(parsed: &'a Parsed, setting: Setting<'a>, added: &'a AddedFunctions) -> Self {
        Self {
            parsed,
            setting,
            added,
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
            self.names = locals(function.params.iter().map(ToString::to_string));
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
        self.found(Severity::Error, code, position, length, message, help);
    }

    fn warning(
        &mut self,
        code: &'static str,
        position: Position,
        length: usize,
        message: String,
        help: Option<String>,
    ) {
        self.found(Severity::Warning, code, position, length, message, help);
    }

    fn found(
        &mut self,
        severity: Severity,
        code: &'static str,
        position: Position,
        length: usize,
        message: String,
        help: Option<String>,
    ) {
        let place = place(&self.parsed.excerpt, position, length);
        let found = match severity {
            Severity::Error => Diagnostic::error(code, place, message),
            Severity::Warning => Diagnostic::warning(code, place, message),
        };
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
            Stmt::Expr(expr)
            | Stmt::BreakLoop(Some(expr), _, _)
            | Stmt::Return(Some(expr), _, _) => self.expr(expr),
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
                .chain(own.map(ToString::to_string)),
        );
        self.names
            .retain(|known| taken.contains(&known.name.as_str()));
        self.names.extend(more);
        self.body_of(function);
        self.names = outside;
    }
}

/// Whether Rhai made the name, for a closure.
pub(super) fn is_closure(name: &str) -> bool {
    name.starts_with("anon$")
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
