//! The engine scripts run in: only our own functions, every limit set, no way to a file, another script or the clock.

use std::{cell::RefCell, collections::HashMap, sync::OnceLock};

use rhai::{
    AST, Dynamic, Engine, LexError, Module, OptimizationLevel, ParseError, Position, Shared, Token,
};
use rust_decimal::Decimal;

use super::{budget, functions, operators};

/// The longest expression, in bytes.
pub(super) const LONGEST_EXPRESSION: usize = 64 << 10;

/// The longest script, in bytes.
pub(super) const LONGEST_SCRIPT: usize = 1 << 20;

/// Calls within calls. Low enough for the smallest stacks we run on (2 MiB), also in a debug build.
const CALL_LEVELS: usize = 16;
const EXPRESSION_DEPTH: usize = 96;
const FUNCTION_EXPRESSION_DEPTH: usize = 48;

/// The longest text, and all texts of a list or map together, in bytes.
const STRING_SIZE: usize = 256 << 10;
const LIST_SIZE: usize = 10_000;
const MAP_SIZE: usize = 10_000;
const VARIABLES: usize = 256;
const FUNCTIONS: usize = 1_000;

/// Keywords that scripts may not use, and why not.
pub(super) const REFUSED: &[(&str, &str)] = &[
    ("switch", "write `if … else if …`, which compares strictly"),
    ("eval", "scripts can't run text as a script"),
    (
        "import",
        "write `NAME::function(…)`: every scripts/NAME.rhai is there already",
    ),
    (
        "export",
        "every function of a script that is not `private` can be called",
    ),
    ("this", "pass the value as a parameter"),
    ("print", "scripts can't print"),
    ("debug", "scripts can't print"),
    ("Fn", "write a closure: `|x| name(x)`"),
    ("type_of", "write `type_name(…)`"),
    ("is_def_fn", "functions are checked when the file is loaded"),
    (
        "is_def_var",
        "variables are checked when the file is loaded",
    ),
    ("is_shared", "scripts have no need of it"),
];

/// An engine with our functions and nothing else. Cheap: the functions are shared.
pub(super) fn engine() -> Engine {
    let mut engine = Engine::new_raw();
    engine
        // The optimiser folds `"5" == 5` to false, and fast operators do the same when it runs: both go round our operators.
        .set_optimization_level(OptimizationLevel::None)
        .set_fast_operators(false)
        .set_fail_on_invalid_map_property(true)
        .set_max_operations(budget::STEPS)
        .set_max_call_levels(CALL_LEVELS)
        .set_max_expr_depths(EXPRESSION_DEPTH, FUNCTION_EXPRESSION_DEPTH)
        .set_max_string_size(STRING_SIZE)
        .set_max_array_size(LIST_SIZE)
        .set_max_map_size(MAP_SIZE)
        .set_max_variables(VARIABLES)
        .set_max_functions(FUNCTIONS)
        .set_max_modules(0)
        .on_progress(|_| (!budget::take(1)).then_some(Dynamic::UNIT));
    for (keyword, _) in REFUSED {
        engine.disable_symbol(*keyword);
    }
    #[allow(
        deprecated,
        reason = "marked so because it may change, not because it goes away"
    )]
    engine.on_parse_token(|token, position, _| map_token(token, position));
    engine.register_global_module(standard_module());
    engine
}

fn standard_module() -> Shared<Module> {
    static MODULE: OnceLock<Shared<Module>> = OnceLock::new();
    MODULE
        .get_or_init(|| {
            let mut module = Module::new();
            operators::register(&mut module);
            functions::register(&mut module);
            module.into()
        })
        .clone()
}

/// Parses a whole script or an expression. Identifiers at the positions in `renames` get the name that stands there.
pub(super) fn parse(
    engine: &Engine,
    text: &str,
    renames: HashMap<Position, String>,
) -> Result<AST, ParseError> {
    PARSING.set(Parsing {
        renames,
        ..Parsing::default()
    });
    let parsed = engine.compile(text);
    PARSING.take();
    parsed
}

#[derive(Default)]
struct Parsing {
    renames: HashMap<Position, String>,
    after_comparison: bool,
    after_fn: bool,
    definitions: Vec<(String, Position)>,
}

thread_local! {
    static PARSING: RefCell<Parsing> = RefCell::default();
}

/// Like [`parse`], and gives the functions that the text defines with the places of their names.
pub(super) fn parse_with_definitions(
    engine: &Engine,
    text: &str,
) -> (Result<AST, ParseError>, Vec<(String, Position)>) {
    PARSING.take();
    let parsed = engine.compile(text);
    (parsed, PARSING.take().definitions)
}

/// The literal `()` behind `==` or `!=`: the question whether a value is empty. A number of a type that scripts can't make
/// otherwise stands for it, so that an empty cell that turns up on the right is still an error.
pub(super) const IS_EMPTY: f64 = f64::NAN;

fn map_token(token: Token, position: Position) -> Token {
    PARSING.with_borrow_mut(|state| {
        let after_comparison = std::mem::take(&mut state.after_comparison);
        let after_fn = std::mem::take(&mut state.after_fn);
        match token {
            Token::EqualsTo | Token::NotEqualsTo => state.after_comparison = true,
            Token::Fn => state.after_fn = true,
            _ => {}
        }
        match token {
            Token::Unit if after_comparison => {
                Token::FloatConstant(Box::new((IS_EMPTY.into(), "()".into())))
            }
            // Money is exact: there are no binary floating-point numbers.
            Token::FloatConstant(literal) => match decimal(&literal.1) {
                Some(value) => Token::DecimalConstant(Box::new((value, literal.1))),
                None => Token::LexError(Box::new(LexError::MalformedNumber(literal.1.to_string()))),
            },
            // To authors there is one kind of text, whatever the quotes.
            Token::CharConstant(c) => Token::StringConstant(Box::new(c.to_string().into())),
            Token::Identifier(name) => {
                if after_fn {
                    state.definitions.push((name.to_string(), position));
                }
                match state.renames.get(&position) {
                    Some(renamed) => Token::Identifier(Box::new(renamed.as_str().into())),
                    None => Token::Identifier(name),
                }
            }
            other => other,
        }
    })
}

fn decimal(literal: &str) -> Option<Decimal> {
    let digits = literal.replace('_', "");
    Decimal::from_str_exact(&digits)
        .or_else(|_| Decimal::from_scientific(&digits))
        .ok()
}
