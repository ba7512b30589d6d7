//! Which settings are in force, and what their `[safety]` keeps from everybody: said before anything else.

use serde_json::{Value, json};

use super::{failure::Failure, print::Output};
use crate::model::{EnvironmentName, Safety, mask};

/// Says it, where there is anything.
pub(super) fn settings_in_force(
    environment: Option<&EnvironmentName>,
    safety: &Safety,
    output: &mut Output,
) -> Result<(), Failure> {
    if let Some(environment) = environment {
        output.title(format!("ENVIRONMENT: {environment}"))?;
        output.line("")?;
    }
    if !safety.is_on() {
        return Ok(());
    }
    for words in safety.in_words() {
        output.title(format!("SAFETY: {words}"))?;
    }
    output.line("")?;
    Ok(())
}

/// The same for programs; null where there is nothing.
pub(super) fn object(safety: &Safety, unmasked: bool) -> Value {
    if !safety.is_on() {
        return Value::Null;
    }
    let shown = |address: &str| {
        if unmasked {
            address.to_owned()
        } else {
            mask(address)
        }
    };
    let redirect_to = safety.redirect_to.as_ref();
    json!({
        "only_to": safety.only_to, "redirect_to": redirect_to.map(|to| shown(to.as_str())),
    })
}
