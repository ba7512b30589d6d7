//! The policy of a workspace: `fn never(r, campaign, channel)` in `scripts/policy.rhai`. It says who is not to be written to,
//! whatever a campaign says, and why. It is part of every campaign's program, so that none can go round it.

use rhai::{Dynamic, FnAccess, Map, Position};

use super::{
    ScriptError,
    check::Signatures,
    record::Reads,
    syntax::{Parsed, place},
    value::{a_type, text},
};
use crate::model::{Campaign, Channel, Diagnostic, Excerpt, Place, SourceFile};

/// The module that the policy is.
pub(super) const MODULE: &str = "policy";

/// Its file.
const PATH: &str = "scripts/policy.rhai";

/// The function that is asked.
const FUNCTION: &str = "never";

/// How it is asked.
const CALL: &str = "policy::never(r, campaign, channel)";

/// What it sees beside `r` and `run`.
pub(super) const GIVEN: [&str; 2] = ["campaign", "channel"];

/// The policy, as one campaign asks it.
pub(super) struct Policy {
    pub(super) call: Parsed,
    pub(super) reads: Reads,
    /// Where `never` is defined.
    pub(super) place: Place,
    /// What it sees as `campaign`.
    pub(super) campaign: Dynamic,
}

/// The call as an expression.
pub(super) fn call() -> Excerpt {
    Excerpt::whole(&SourceFile::new(PATH, CALL))
}

/// What a policy sees of a campaign: `id`, `name`, `topic` and `purpose`, as texts.
pub(super) fn about(campaign: &Campaign) -> Dynamic {
    let text = |text: &str| Dynamic::from(text.to_owned());
    let map: Map = [
        ("id", text(campaign.id.as_str())),
        ("name", text(&campaign.name)),
        ("topic", text(campaign.topic.as_str())),
        ("purpose", text(campaign.purpose.as_str())),
    ]
    .into_iter()
    .map(|(name, value)| (name.into(), value))
    .collect();
    Dynamic::from_map(map)
}

/// What it sees as `channel`.
pub(super) fn channel(channel: Channel) -> Dynamic {
    channel.as_str().into()
}

/// Where the function that is asked is defined; a script of this name that has none is one as any other.
pub(super) fn find(
    excerpt: &Excerpt,
    definitions: &[(String, Position)],
    signatures: &Signatures,
) -> Result<Option<Place>, Box<Diagnostic>> {
    let Some((_, position)) = definitions.iter().find(|(name, _)| name == FUNCTION) else {
        return Ok(None);
    };
    let at = place(excerpt, *position, FUNCTION.len());
    let refuse = |message: String| {
        let wrong = Diagnostic::error("wrong-policy", at.clone(), message);
        Err(Box::new(wrong.help(
            "it is `fn never(r, campaign, channel)` and gives a reason, or `()`",
        )))
    };
    match signatures.get(FUNCTION).map(Vec::as_slice) {
        Some([(3, FnAccess::Public)]) => Ok(Some(at)),
        Some([(_, FnAccess::Private)]) => refuse(format!(
            "`{FUNCTION}` is private: the policy would not be asked"
        )),
        Some([(count, _)]) => refuse(format!(
            "`{FUNCTION}` of the policy has three parameters, not {count}"
        )),
        _ => refuse(format!("the policy has more than one `{FUNCTION}`")),
    }
}

/// The warning for a policy file in which nothing is asked.
pub(super) fn has_none(excerpt: &Excerpt) -> Diagnostic {
    let message = "this policy stops nobody: it has no function `never`";
    Diagnostic::warning("no-policy", excerpt.place_of(0..0), message)
        .help("write `fn never(r, campaign, channel) { … }`, or give the file another name")
}

impl Policy {
    /// The reason it gave; `None`: it has nothing against the delivery.
    pub(super) fn reason(&self, verdict: &Dynamic) -> Result<Option<String>, ScriptError> {
        if verdict.is_unit() {
            return Ok(None);
        }
        match text(verdict) {
            Some(reason) if !reason.trim().is_empty() => Ok(Some(reason)),
            Some(_) => Err(self.wrong("an empty text is no reason")),
            None => Err(self.wrong(&format!("{} is no reason", a_type(verdict)))),
        }
    }

    fn wrong(&self, what: &str) -> ScriptError {
        ScriptError {
            message: format!(
                "`{FUNCTION}` gives a reason not to send (a text), or `()` to let it be: {what}"
            ),
            place: self.place.clone(),
        }
    }
}
