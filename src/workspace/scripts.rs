//! The scripts of a workspace, and which of them a campaign uses.

use std::collections::{BTreeMap, BTreeSet};

use super::{Additions, Tree};
use crate::{
    model::{Campaign, Diagnostics, Severity},
    script::{AddedFunctions, Library},
};

/// Where scripts lie, and what their paths start with.
const FOLDER: &str = "scripts/";

/// The script that holds for every campaign, whatever it names: one that breaks it breaks them all.
const POLICY: &str = "policy";

/// Where it lies.
pub(crate) const POLICY_FILE: &str = "scripts/policy.rhai";

/// The scripts of a workspace, compiled; those that do not check are left out.
pub fn library(tree: &Tree, added: &Additions) -> Library {
    Scripts::compile(tree, &added.functions).library
}

/// The compiled scripts, and what is wrong with any.
pub(super) struct Scripts {
    pub(super) library: Library,
    /// Path by module name: `a::b` is `scripts/a/b.rhai`.
    paths: BTreeMap<String, String>,
    pub(super) findings: Diagnostics,
}

impl Scripts {
    pub(super) fn compile(tree: &Tree, added: &AddedFunctions) -> Self {
        let mut findings = Diagnostics::new();
        let mut files = Vec::new();
        let mut paths = BTreeMap::new();
        for path in tree.paths_in(FOLDER, ".rhai") {
            let name = path.strip_prefix(FOLDER).unwrap_or(path);
            let name = name.strip_suffix(".rhai").unwrap_or(name);
            paths.insert(name.replace('/', "::"), path.to_owned());
            match tree.open(path) {
                Some(Ok(file)) => files.push(file),
                Some(Err(diagnostic)) => findings.push(diagnostic),
                None => {}
            }
        }
        let (library, of_library) = Library::compile(&files, added);
        findings.extend(of_library);
        Self {
            library,
            paths,
            findings,
        }
    }

    /// The paths of the scripts whose modules the campaign's expressions name, and of the policy, which holds for every campaign.
    pub(super) fn used_by(&self, campaign: &Campaign) -> BTreeSet<&str> {
        let variables = campaign.variables.iter().map(|one| &one.expression);
        let expressions = campaign.audience.condition.iter().chain(variables);
        expressions
            .flat_map(|expression| modules_named(expression.text()))
            .chain([POLICY.to_owned()])
            .filter_map(|module| self.paths.get(&module).map(String::as_str))
            .collect()
    }

    /// What is wrong with these scripts.
    pub(super) fn errors_in(&self, paths: &BTreeSet<&str>) -> Diagnostics {
        let mut errors = Diagnostics::new();
        errors.extend(
            self.findings
                .iter()
                .filter(|found| {
                    found.severity == Severity::Error && paths.contains(found.place.file.path())
                })
                .cloned(),
        );
        errors
    }
}

/// The modules that an expression calls: `a` and `b::c` in `a::f() && b::c::g()`. One that stands inside a text counts too,
/// which does no harm; the outer ones of `b::c` count as well.
fn modules_named(expression: &str) -> BTreeSet<String> {
    let mut parts: Vec<&str> = expression.split("::").map(str::trim).collect();
    parts.pop();
    let mut named = BTreeSet::new();
    let mut module = String::new();
    for part in parts {
        let is_word = |c: char| c.is_alphanumeric() || c == '_';
        let last_word = &part[part.trim_end_matches(is_word).len()..];
        if last_word.len() == part.len() && !module.is_empty() {
            module = format!("{module}::{last_word}");
        } else {
            last_word.clone_into(&mut module);
        }
        named.insert(module.clone());
    }
    named
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modules_are_found_in_expressions() {
        let named = |text| modules_named(text).into_iter().collect::<Vec<_>>();
        assert_eq!(
            named("r.a == 1 && renewal::due(r, 14) || !a1_b ::c(x::y :: d())"),
            ["a1_b", "renewal", "x", "x::y"]
        );
        assert_eq!(named("#{a:b::c()}"), ["b"]);
        assert_eq!(named("r.a"), Vec::<String>::new());
        assert_eq!(named("::"), [""]);
    }
}
