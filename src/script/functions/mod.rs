//! The functions scripts may call, one file a family. Nothing else can be called: this table is what is registered, what
//! `check` knows, and what the README lists.

mod call;
mod dates;
mod history;
mod lists;
mod money;
mod record;
mod text;

use call::Call;
use rhai::Module;

use super::operators::{Outcome, register_any};

/// A function of the host.
#[derive(Debug)]
pub struct Function {
    /// Its name. `name(x, y)` may also be written `x.name(y)`.
    pub name: &'static str,
    /// Its family: `dates`, `money`, `text`, `lists`, `record` or `history`.
    pub family: &'static str,
    /// How it is called; arguments in brackets may be left out.
    pub signature: &'static str,
    /// What it does, in one line.
    pub about: &'static str,
    /// An expression that uses it, on the 1st of December 2026 in Berlin.
    pub example: &'static str,
    /// What the example gives, as a message would show it.
    pub result: &'static str,
    /// The fewest and the most arguments.
    pub(super) arguments: (usize, usize),
    call: fn(&mut Call<'_, '_>) -> Outcome,
}

/// All functions, by family.
pub const ALL: &[&[Function]] = &[
    dates::FUNCTIONS,
    money::FUNCTIONS,
    text::FUNCTIONS,
    lists::FUNCTIONS,
    record::FUNCTIONS,
    history::FUNCTIONS,
];

/// All functions, one after the other.
pub fn all() -> impl Iterator<Item = &'static Function> {
    ALL.iter().copied().flatten()
}

/// The function with a name.
pub(super) fn find(name: &str) -> Option<&'static Function> {
    all().find(|function| function.name == name)
}

/// Registers all functions.
pub(super) fn register(module: &mut Module) {
    for function in all() {
        let (fewest, most) = function.arguments;
        for count in fewest..=most {
            register_any(module, function.name, count, move |context, arguments| {
                (function.call)(&mut Call::new(function.name, context, arguments))
            });
        }
    }
    dates::register_fields(module);
    super::record::register_run(module);
}

/// Builds a row of the table.
macro_rules! function {
    ($family:literal, $signature:literal, $arguments:expr, $about:literal, $example:literal => $result:literal, $call:expr) => {
        $crate::script::functions::Function {
            name: $crate::script::functions::name_of($signature),
            family: $family,
            signature: $signature,
            about: $about,
            example: $example,
            result: $result,
            arguments: $arguments,
            call: $call,
        }
    };
}
use function;

/// The part of a signature before its parenthesis.
const fn name_of(signature: &'static str) -> &'static str {
    let bytes = signature.as_bytes();
    let mut at = 0;
    while at < bytes.len() && bytes[at] != b'(' {
        at += 1;
    }
    signature.split_at(at).0
}
