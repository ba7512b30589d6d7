//! The scripts of a workspace, compiled.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use rhai::{Engine, FnAccess, Module, Position, ScriptFuncDef, Shared};

use super::{
    AddedFunctions,
    check::{Check, Setting, Signatures, Uses, is_closure},
    policy,
    sandbox::{self, LONGEST_SCRIPT, REFUSED},
    syntax::{self, Parsed, offset, place},
};
use crate::model::{Diagnostic, Diagnostics, Excerpt, Place, SourceFile};

/// The compiled `scripts/*.rhai` of a workspace with the host's functions. Cloning is cheap.
#[derive(Clone)]
pub struct Library(Arc<Inner>);

#[derive(Default)]
struct Inner {
    added: AddedFunctions,
    scripts: BTreeMap<String, Script>,
    signatures: HashMap<String, Option<Signatures>>,
    /// Which file a closure stands in, by the name Rhai gave it.
    closures: HashMap<String, SourceFile>,
    /// Where the workspace's policy is defined, if it has one that checks.
    policy: Option<Place>,
}

/// One script that checks.
struct Script {
    file: SourceFile,
    /// What expressions call as `module::function`.
    public: Shared<Module>,
    /// What functions of the script call, under names that no other script has.
    inner: Shared<Module>,
    closures: Vec<Shared<ScriptFuncDef>>,
    uses: Uses,
}

impl Library {
    /// Compiles every script; `scripts/renewal.rhai` is the module `renewal`, `scripts/billing/dunning.rhai` the module
    /// `billing::dunning`; all may call what the embedding program adds. A script that does not check is left out; expressions that call it don't check either.
    pub fn compile(scripts: &[SourceFile], added: &AddedFunctions) -> (Self, Diagnostics) {
        let engine = sandbox::engine();
        let mut inner = Inner {
            added: added.clone(),
            ..Inner::default()
        };
        let mut diagnostics = Diagnostics::new();
        for (number, file) in scripts.iter().enumerate() {
            let module = match module_name(file) {
                Ok(module) => module,
                Err(finding) => {
                    diagnostics.push(*finding);
                    continue;
                }
            };
            let (script, signatures, mut found) = compile(&engine, file, number, added);
            if module == policy::MODULE && script.is_some() {
                inner.policy = policy_of(&engine, file, &signatures, &mut found);
            }
            let script = script.filter(|_| !found.has_errors());
            diagnostics.extend(found);
            inner
                .signatures
                .insert(module.clone(), script.is_some().then_some(signatures));
            if let Some(script) = script {
                let names = script
                    .closures
                    .iter()
                    .map(|closure| closure.name.to_string());
                inner
                    .closures
                    .extend(names.map(|name| (name, file.clone())));
                inner.scripts.insert(module, script);
            }
        }
        (Self(Arc::new(inner)), diagnostics)
    }

    /// The functions that expressions may call, by module.
    pub(super) fn signatures(&self) -> &HashMap<String, Option<Signatures>> {
        &self.0.signatures
    }

    /// The functions that the embedding program adds.
    pub(super) fn added(&self) -> &AddedFunctions {
        &self.0.added
    }

    /// Where the workspace's policy is defined. `None`: there is none. One that does not check is there all the same: asking
    /// it is then an error of whoever asks.
    pub(super) fn policy(&self) -> Option<Place> {
        let broken = self.0.signatures.get(policy::MODULE) == Some(&None);
        let place = broken.then(|| policy::call().place().clone());
        self.0.policy.clone().or(place)
    }

    /// What the functions of a module read.
    pub(super) fn uses(&self, module: &str) -> Option<&Uses> {
        self.0.scripts.get(module).map(|script| &script.uses)
    }

    /// The file of a closure, or of what Rhai calls a source.
    pub(super) fn file(&self, closure_or_source: &str) -> Option<&SourceFile> {
        self.0.closures.get(closure_or_source).or_else(|| {
            self.0
                .scripts
                .values()
                .map(|script| &script.file)
                .find(|file| file.path() == closure_or_source)
        })
    }

    /// Makes the modules callable in an engine; adds the closures of all scripts to `closures` and gives the modules that must
    /// be in sight while anything is evaluated.
    pub(super) fn install(
        &self,
        engine: &mut Engine,
        closures: &mut Module,
    ) -> Vec<Shared<Module>> {
        if let Some(added) = self.0.added.module() {
            engine.register_global_module(added.into());
        }
        for (name, script) in &self.0.scripts {
            engine.register_static_module(name, script.public.clone());
            for closure in &script.closures {
                closures.set_script_fn(closure.clone());
            }
        }
        self.0
            .scripts
            .values()
            .map(|script| script.inner.clone())
            .collect()
    }
}

/// The module that a script is: its path under `scripts/`.
fn module_name(file: &SourceFile) -> Result<String, Box<Diagnostic>> {
    let path = file.path().strip_prefix("scripts/").unwrap_or(file.path());
    let path = path.strip_suffix(".rhai").unwrap_or(path);
    let wrong = path.split('/').find(|part| {
        !rhai::is_valid_identifier(part)
            || rhai::Token::lookup_symbol_from_syntax(part).is_some()
            || REFUSED.iter().any(|(refused, _)| refused == part)
    });
    match wrong {
        None => Ok(path.replace('/', "::")),
        Some(part) => Err(Box::new(
            Diagnostic::error(
                "script-name",
                Place::start_of(file),
                format!("{part:?} can't be the name of a script: expressions could not call it"),
            )
            .help("use letters (a to z), digits and `_`, and start with a letter"),
        )),
    }
}

fn compile(
    engine: &Engine,
    file: &SourceFile,
    number: usize,
    added: &AddedFunctions,
) -> (Option<Script>, Signatures, Diagnostics) {
    let excerpt = Excerpt::whole(file);
    let mut diagnostics = Diagnostics::new();
    let mut signatures = Signatures::new();
    if file.text().len() > LONGEST_SCRIPT {
        diagnostics.push(Diagnostic::error(
            "script-syntax",
            Place::start_of(file),
            "the script is longer than 1 MiB",
        ));
        return (None, signatures, diagnostics);
    }
    let (ast, definitions) = sandbox::parse_with_definitions(engine, file.text());
    let ast = match ast {
        Ok(ast) => ast,
        Err(error) => {
            diagnostics.push(syntax::diagnostic(&excerpt, &error));
            return (None, signatures, diagnostics);
        }
    };
    let parsed = Parsed { ast, excerpt };
    if let Some(statement) = parsed.ast.statements().first() {
        diagnostics.push(
            Diagnostic::error(
                "script-syntax",
                place(&parsed.excerpt, statement.position(), 0),
                "a script has functions only",
            )
            .help("put it into a function: `fn name(r) { … }`"),
        );
    }
    for (name, position) in &definitions {
        if name.starts_with("__") {
            diagnostics.push(
                Diagnostic::error(
                    "script-syntax",
                    place(&parsed.excerpt, *position, name.len()),
                    format!("`{name}`: names that start with `__` are not for scripts"),
                )
                .help("leave the underscores out"),
            );
        }
    }
    for function in parsed.ast.iter_fn_def() {
        if function.this_type.is_some() {
            diagnostics.push(
                Diagnostic::error(
                    "script-syntax",
                    Place::start_of(file),
                    format!(
                        "`{}` is a method of a type, which scripts can't define",
                        function.name
                    ),
                )
                .help("write `fn name(value) { … }`"),
            );
        } else if !is_closure(&function.name) {
            signatures
                .entry(function.name.to_string())
                .or_default()
                .push((function.params.len(), function.access));
        }
    }
    let mut check = Check::new(&parsed, Setting::Script(&signatures), added);
    check.functions();
    diagnostics.extend(std::mem::take(&mut check.diagnostics));
    let (uses, calls) = (
        std::mem::take(&mut check.uses),
        std::mem::take(&mut check.own_calls),
    );
    let renames = unique_names(&parsed.excerpt, number, definitions.iter().chain(&calls));
    let script = match sandbox::parse(engine, file.text(), renames) {
        Ok(ast) => Some(modules(file, number, &ast, uses)),
        // It was parsed before; only the names are others.
        Err(error) => {
            diagnostics.push(syntax::diagnostic(&parsed.excerpt, &error));
            None
        }
    };
    (script, signatures, diagnostics)
}

/// Where the script defines the policy; what is wrong with it is noted.
fn policy_of(
    engine: &Engine,
    file: &SourceFile,
    signatures: &Signatures,
    found: &mut Diagnostics,
) -> Option<Place> {
    let excerpt = Excerpt::whole(file);
    let (_, definitions) = sandbox::parse_with_definitions(engine, file.text());
    match policy::find(&excerpt, &definitions, signatures) {
        Ok(Some(place)) => Some(place),
        Ok(None) => {
            found.push(policy::has_none(&excerpt));
            None
        }
        Err(wrong) => {
            found.push(*wrong);
            None
        }
    }
}

/// Rhai 1.27 keeps what a function name means in one cache for all modules: two scripts with a helper of the same name would
/// call each other's. So every function has a name that no other script has, and calls within a script use it.
fn unique_names<'a>(
    excerpt: &Excerpt,
    number: usize,
    occurrences: impl Iterator<Item = &'a (String, Position)>,
) -> HashMap<Position, String> {
    occurrences
        .filter(|(name, position)| {
            let at = position
                .line()
                .zip(position.position())
                .map(|(line, column)| offset(excerpt.text(), line, column));
            at.is_some_and(|at| excerpt.text()[at..].starts_with(name.as_str()))
        })
        .map(|(name, position)| (*position, format!("{}{name}", prefix(number))))
        .collect()
}

fn prefix(number: usize) -> String {
    format!("__s{number}_")
}

fn modules(file: &SourceFile, number: usize, ast: &rhai::AST, uses: Uses) -> Script {
    let (mut public, mut inner) = (Module::new(), Module::new());
    public.set_id(file.path());
    inner.set_id(file.path());
    let mut closures = Vec::new();
    let prefix = prefix(number);
    for function in ast.iter_fn_def() {
        match function.name.strip_prefix(prefix.as_str()) {
            Some(name) => {
                if function.access == FnAccess::Public {
                    public.set_script_fn(ScriptFuncDef {
                        name: name.into(),
                        ..(**function).clone()
                    });
                }
                inner.set_script_fn(function.clone());
            }
            None => closures.push(function.clone()),
        }
    }
    public.build_index();
    Script {
        file: file.clone(),
        public: public.into(),
        inner: inner.into(),
        closures,
        uses,
    }
}
