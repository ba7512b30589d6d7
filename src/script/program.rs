//! The condition and the variables of one campaign, compiled.

use std::{collections::BTreeSet, sync::Arc};

use rhai::{Dynamic, Engine, Expr, ImmutableString, Module, Position, Shared, Stmt, Token};

use super::{
    Evaluator, History, Library, RunFacts,
    check::{Check, Columns, Setting, Uses, is_closure},
    policy::{self, Policy},
    record::{Fields, Reads, RunRecord, fields_module},
    sandbox::{self, LONGEST_EXPRESSION},
    syntax::{self, Parsed, offset, place},
};
use crate::model::{Campaign, Diagnostic, Diagnostics, Excerpt, Place, Schema, Variable};

/// The condition and the variables of one campaign, compiled.
#[derive(Clone)]
pub struct Program(Arc<Compiled>);

/// What an [`Evaluator`] works with.
pub(super) struct Compiled {
    pub(super) engine: Engine,
    pub(super) library: Library,
    /// What must be in sight while anything is evaluated: closures first, then the scripts.
    pub(super) modules: Vec<Shared<Module>>,
    pub(super) fields: Fields,
    pub(super) condition: Option<Condition>,
    pub(super) variables: Vec<Parsed>,
    pub(super) variable_reads: Reads,
    pub(super) names: Vec<String>,
    /// The workspace's, where it has one.
    pub(super) policy: Option<Policy>,
    clauses: Vec<String>,
}

/// The condition, whole and in parts.
pub(super) struct Condition {
    pub(super) whole: Parsed,
    pub(super) clauses: Vec<Parsed>,
    pub(super) reads: Reads,
}

impl Program {
    /// Compiles them, and with them the workspace's policy. `schemas` are the columns of the campaign's sources, in their order: a
    /// literal `r.field` that one of them lacks is an error, and what is said of its type must hold for each; an empty slice (a
    /// source can't be read now) checks no fields.
    pub fn compile(
        library: &Library,
        campaign: &Campaign,
        schemas: &[Arc<Schema>],
    ) -> (Option<Self>, Diagnostics) {
        let audience = &campaign.audience;
        let compile = |schemas: &[Arc<Schema>]| {
            let condition = audience.condition.as_ref();
            let variables = &campaign.variables;
            compile(library, condition, variables, schemas, Some(campaign))
        };
        if schemas.len() < 2 {
            return compile(schemas);
        }
        let mut all = Diagnostics::new();
        let findings: Vec<Diagnostics> = schemas
            .iter()
            .map(|schema| compile(std::slice::from_ref(schema)).1)
            .collect();
        for (at, found) in findings.iter().enumerate() {
            for one in found {
                let same = |other: &Diagnostic| {
                    (other.code, &other.place, &other.message)
                        == (one.code, &one.place, &one.message)
                };
                let everywhere = findings.iter().all(|found| found.iter().any(same));
                match audience.sources.get(at) {
                    // It has nothing to do with the sources, or is wrong with each: said once.
                    _ if everywhere && at > 0 => {}
                    Some(source) if !everywhere => all.push(Diagnostic {
                        message: format!("{} (source `{source}`)", one.message),
                        ..one.clone()
                    }),
                    _ => all.push(one.clone()),
                }
            }
        }
        if all.has_errors() {
            return (None, all);
        }
        (compile(&[]).0, all)
    }

    /// Compiles one expression, which sees the variables before it: its value is the last that
    /// [`Evaluator::variables`] gives.
    pub fn of_expression(
        library: &Library,
        variables: &[Variable],
        expression: &Excerpt,
        schemas: &[Arc<Schema>],
    ) -> (Option<Self>, Diagnostics) {
        let mut variables = variables.to_vec();
        variables.push(Variable {
            name: "value".to_owned(),
            name_place: expression.place().clone(),
            expression: expression.clone(),
        });
        compile(library, None, &variables, schemas, None)
    }

    /// The names of the variables, in order.
    pub fn variable_names(&self) -> &[String] {
        &self.0.names
    }

    /// The condition split at its top-level `&&`, as text, for the funnel; empty where there is no condition.
    pub fn clauses(&self) -> &[String] {
        &self.0.clauses
    }

    /// The fields that a clause reads by their names, those within the scripts that it calls among them.
    pub fn fields_of_clause(&self, number: usize) -> Vec<String> {
        let condition = self.0.condition.as_ref();
        let Some(clause) = condition.and_then(|condition| condition.clauses.get(number)) else {
            return Vec::new();
        };
        // No columns: nothing is to be found wrong here.
        let columns = Columns::new();
        let setting = Setting::Expression {
            modules: self.0.library.signatures(),
            columns: &columns,
        };
        let mut check = Check::new(clause, setting, self.0.library.added());
        check.expression(&[]);
        let mut uses = std::mem::take(&mut check.uses);
        for module in uses.modules.clone() {
            if let Some(within) = self.0.library.uses(&module) {
                uses.extend(within);
            }
        }
        uses.fields.into_iter().collect()
    }

    /// What evaluates it for one run; make one per thread.
    pub fn evaluator(&self, facts: &RunFacts, history: Arc<dyn History>) -> Evaluator {
        Evaluator::new(self.0.clone(), RunRecord::new(facts.clone(), history))
    }
}

/// Compiles a condition and variables; with the workspace's policy, where it is for a campaign.
pub(super) fn compile(
    library: &Library,
    condition: Option<&Excerpt>,
    variables: &[Variable],
    schemas: &[Arc<Schema>],
    campaign: Option<&Campaign>,
) -> (Option<Program>, Diagnostics) {
    let mut columns = Columns::new();
    for (name, kind) in schemas.iter().flat_map(|schema| &schema.columns) {
        let known = columns.entry(name.clone()).or_insert(Some(*kind));
        if *known != Some(*kind) {
            *known = None;
        }
    }
    let mut compiler = Compiler {
        engine: sandbox::engine(),
        library,
        columns,
        diagnostics: Diagnostics::new(),
    };
    let condition = condition.map(|excerpt| compiler.condition(excerpt));
    let mut names: Vec<String> = Vec::new();
    let mut parsed_variables = Vec::new();
    let mut uses = Uses::default();
    for variable in variables {
        if matches!(variable.name.as_str(), "r" | "run") {
            compiler.diagnostics.push(Diagnostic::error(
                "script-name",
                variable.name_place.clone(),
                format!(
                    "`{}` is taken: it can't be the name of a variable",
                    variable.name
                ),
            ));
        }
        if let Some((parsed, used)) = compiler.expression(&variable.expression, &names) {
            uses.extend(&used);
            parsed_variables.push(parsed);
        }
        names.push(variable.name.clone());
    }
    let policy = campaign.and_then(|campaign| compiler.policy(campaign));
    let diagnostics = std::mem::take(&mut compiler.diagnostics);
    if diagnostics.has_errors() {
        return (None, diagnostics);
    }
    let program = compiler.finish(condition.flatten(), parsed_variables, &uses, names, policy);
    (Some(program), diagnostics)
}

struct Compiler<'a> {
    engine: Engine,
    library: &'a Library,
    columns: Columns,
    diagnostics: Diagnostics,
}

/// A condition, not yet with its reads.
struct Checked {
    whole: Parsed,
    clauses: Vec<(String, Parsed)>,
    uses: Uses,
}

/// The policy, not yet with its reads.
struct Asked {
    call: Parsed,
    uses: Uses,
    place: Place,
    campaign: Dynamic,
}

impl Compiler<'_> {
    /// The workspace's policy, as a campaign asks it.
    fn policy(&mut self, campaign: &Campaign) -> Option<Asked> {
        let place = self.library.policy()?;
        let (call, uses) = self.expression(&policy::call(), &policy::GIVEN.map(str::to_owned))?;
        Some(Asked {
            call,
            uses,
            place,
            campaign: policy::about(campaign),
        })
    }

    fn condition(&mut self, excerpt: &Excerpt) -> Option<Checked> {
        let (whole, uses) = self.expression(excerpt, &[])?;
        if let Some((position, what)) = root(&whole).and_then(never_boolean) {
            self.diagnostics.push(
                Diagnostic::error(
                    "not-a-condition",
                    place(excerpt, position, 0),
                    format!("a condition is true or false, and this is {what}"),
                )
                .help("compare it with something, as in `r.status == \"active\"`"),
            );
        }
        let clauses = self.clauses(&whole);
        Some(Checked {
            whole,
            clauses,
            uses,
        })
    }

    /// Parses and checks one expression.
    fn expression(&mut self, excerpt: &Excerpt, variables: &[String]) -> Option<(Parsed, Uses)> {
        let parsed = self.parse(excerpt)?;
        let mut check = Check::new(
            &parsed,
            Setting::Expression {
                modules: self.library.signatures(),
                columns: &self.columns,
            },
            self.library.added(),
        );
        check.expression(variables);
        let mut uses = std::mem::take(&mut check.uses);
        self.diagnostics
            .extend(std::mem::take(&mut check.diagnostics));
        for module in uses.modules.clone() {
            if let Some(within) = self.library.uses(&module) {
                uses.extend(within);
            }
        }
        Some((parsed, uses))
    }

    /// Parses one expression: exactly one statement that has a value.
    fn parse(&mut self, excerpt: &Excerpt) -> Option<Parsed> {
        let refuse = |position, length, message: &str, help: Option<&str>| {
            let found =
                Diagnostic::error("script-syntax", place(excerpt, position, length), message);
            match help {
                Some(help) => found.help(help),
                None => found,
            }
        };
        if excerpt.text().len() > LONGEST_EXPRESSION {
            self.diagnostics.push(refuse(
                Position::NONE,
                0,
                "the expression is longer than 64 KiB",
                Some("move it into a function of a script"),
            ));
            return None;
        }
        let (ast, definitions) = sandbox::parse_with_definitions(&self.engine, excerpt.text());
        let ast = match ast {
            Ok(ast) => ast,
            Err(error) => {
                self.diagnostics.push(syntax::diagnostic(excerpt, &error));
                return None;
            }
        };
        if let Some((name, position)) = definitions.first() {
            self.diagnostics.push(refuse(
                *position,
                name.len(),
                "functions can't be defined here",
                Some("put it into scripts/NAME.rhai and call it as `NAME::function(…)`"),
            ));
            return None;
        }
        let found = match ast.statements() {
            [] => refuse(Position::NONE, 0, "there is no expression", None),
            [Stmt::Expr(_) | Stmt::FnCall(..) | Stmt::If(..) | Stmt::Block(_)] => {
                return Some(Parsed {
                    ast,
                    excerpt: excerpt.clone(),
                });
            }
            [Stmt::Assignment(parts)] => refuse(
                parts.0.position(),
                1,
                "`=` assigns a value, and an expression can't change anything",
                Some("did you mean `==`?"),
            ),
            [statement] => refuse(
                statement.position(),
                0,
                "an expression that has a value must stand here",
                Some("more than that goes into braces, or into a function of a script"),
            ),
            [first, second, ..] => {
                let position = match second {
                    Stmt::Assignment(parts) => parts.1.lhs.start_position(),
                    other => other.position(),
                };
                let _ = first;
                refuse(
                    position,
                    0,
                    "only one expression can stand here: nothing would become of the one before",
                    Some("combine conditions with `&&` or `||`"),
                )
            }
        };
        self.diagnostics.push(found);
        None
    }

    /// The condition's clauses, each parsed in its own right but at its own place.
    fn clauses(&mut self, whole: &Parsed) -> Vec<(String, Parsed)> {
        let text = whole.excerpt.text();
        let entire = || vec![(text.trim().to_owned(), whole.clone())];
        if !matches!(root(whole), Some(Expr::And(..))) {
            return entire();
        }
        let mut clauses = Vec::new();
        for range in self.split(text) {
            // Everything else becomes white space, so that positions stay what they are.
            let blank = |part: &str| -> String {
                part.chars()
                    .map(|c| if c == '\n' { '\n' } else { ' ' })
                    .collect()
            };
            let alone = blank(&text[..range.start]) + &text[range.clone()];
            match sandbox::parse(&self.engine, &alone, std::collections::HashMap::new()) {
                Ok(ast) if ast.statements().len() == 1 => clauses.push((
                    text[range].trim().to_owned(),
                    Parsed {
                        ast,
                        excerpt: whole.excerpt.clone(),
                    },
                )),
                _ => return entire(),
            }
        }
        clauses
    }

    /// The ranges between the `&&` that stand outside all brackets; the whole where the text can't be told apart like that.
    fn split(&self, text: &str) -> Vec<std::ops::Range<usize>> {
        let entire = 0..text.len();
        // Texts with `${…}` need the parser to be told apart.
        if text.contains('`') {
            return vec![entire];
        }
        let mut ranges = Vec::new();
        let (mut depth, mut start) = (0_i32, 0);
        for (token, position) in self.engine.lex(&[text]).0 {
            match token {
                Token::EOF => break,
                Token::LeftParen
                | Token::LeftBracket
                | Token::LeftBrace
                | Token::MapStart
                | Token::QuestionBracket => depth += 1,
                Token::RightParen | Token::RightBracket | Token::RightBrace => depth -= 1,
                Token::And if depth == 0 => {
                    let Some((line, column)) = position.line().zip(position.position()) else {
                        return vec![entire];
                    };
                    let at = offset(text, line, column);
                    ranges.push(start..at);
                    start = at + 2;
                }
                // These bind looser than `&&`, or open a closure.
                Token::Or | Token::Pipe | Token::XOr | Token::SemiColon if depth == 0 => {
                    return vec![entire];
                }
                Token::LexError(_) => return vec![entire],
                _ => {}
            }
        }
        ranges.push(start..text.len());
        ranges
    }

    fn finish(
        self,
        condition: Option<Checked>,
        variables: Vec<Parsed>,
        variable_uses: &Uses,
        names: Vec<String>,
        policy: Option<Asked>,
    ) -> Program {
        let Self {
            mut engine,
            library,
            ..
        } = self;
        let condition_uses = condition.as_ref().map(|checked| &checked.uses);
        let fields: Fields = condition_uses
            .into_iter()
            .chain([variable_uses])
            .chain(policy.as_ref().map(|asked| &asked.uses))
            .flat_map(|uses| &uses.fields)
            .collect::<BTreeSet<_>>()
            .into_iter()
            .map(ImmutableString::from)
            .collect();
        let reads = |uses: &Uses| Reads {
            slots: fields
                .iter()
                .enumerate()
                .filter(|(_, name)| uses.fields.contains(name.as_str()))
                .map(|(slot, _)| slot)
                .collect(),
            identity: uses.identity,
            whole: uses.whole,
        };
        let mut closures = Module::new();
        let scripts = library.install(&mut engine, &mut closures);
        let parsed = condition
            .iter()
            .flat_map(|checked| {
                std::iter::once(&checked.whole)
                    .chain(checked.clauses.iter().map(|(_, clause)| clause))
            })
            .chain(&variables);
        for closure in parsed.flat_map(|parsed| parsed.ast.iter_fn_def()) {
            if is_closure(&closure.name) {
                closures.set_script_fn(closure.clone());
            }
        }
        engine.register_global_module(fields_module(&fields).into());
        let variable_reads = reads(variable_uses);
        let policy = policy.map(|asked| Policy {
            reads: reads(&asked.uses),
            call: asked.call,
            place: asked.place,
            campaign: asked.campaign,
        });
        let (condition, clauses) = match condition {
            None => (None, Vec::new()),
            Some(checked) => {
                let reads = reads(&checked.uses);
                let (texts, clauses) = checked.clauses.into_iter().unzip();
                let whole = checked.whole;
                (
                    Some(Condition {
                        whole,
                        clauses,
                        reads,
                    }),
                    texts,
                )
            }
        };
        Program(Arc::new(Compiled {
            engine,
            library: library.clone(),
            modules: std::iter::once(Shared::new(closures))
                .chain(scripts)
                .collect(),
            fields,
            condition,
            variables,
            variable_reads,
            names,
            policy,
            clauses,
        }))
    }
}

/// The expression itself, where it is no block or `if`.
fn root(parsed: &Parsed) -> Option<&Expr> {
    match parsed.ast.statements() {
        [Stmt::Expr(expr)] => Some(expr),
        _ => None,
    }
}

/// What an expression is, where it can't be true or false.
fn never_boolean(expr: &Expr) -> Option<(Position, &'static str)> {
    let what = match expr {
        Expr::IntegerConstant(..) => "a number",
        Expr::DynamicConstant(value, _) if value.is_decimal() => "a number",
        Expr::DynamicConstant(value, _) if value.is_fnptr() => "a closure",
        Expr::StringConstant(..) | Expr::InterpolatedString(..) => "a text",
        Expr::Array(..) => "a list",
        Expr::Map(..) => "a map",
        Expr::Unit(_) => "empty",
        Expr::FnCall(call, _)
            if call.is_operator_call()
                && matches!(call.name.as_str(), "+" | "-" | "*" | "/" | "%" | "**") =>
        {
            "no comparison"
        }
        _ => return None,
    };
    Some((expr.start_position(), what))
}
