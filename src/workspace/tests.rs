//! What the tests of this room share: a small workspace with kinds of sources and transports of its own; and what holds for
//! all files of a workspace together.

use std::{collections::BTreeMap, path::PathBuf, sync::Arc};

use super::{
    Additions, Settings, Tree,
    settings::{Kinds, load_with},
    snapshot::{Found, read_campaigns},
};
use crate::{
    model::{Channel, Diagnostics, Section},
    source::{Source, SourceConfig, SourceContext, SourceKind},
    transport::{Transport, TransportConfig, TransportContext, TransportKind},
};

#[derive(Debug)]
struct List {
    path: PathBuf,
}

impl SourceConfig for List {
    fn open(&self, _: &SourceContext) -> Arc<dyn Source> {
        unimplemented!("no test reads {}", self.path.display())
    }
}

#[derive(Debug)]
struct Way(Channel);

impl TransportConfig for Way {
    fn channel(&self) -> Channel {
        self.0
    }

    fn build(&self, _: &TransportContext) -> Result<Arc<dyn Transport>, String> {
        Err("no test sends".to_owned())
    }
}

fn list(section: &Section<'_>) -> Option<Arc<dyn SourceConfig>> {
    let path = section.require("path")?;
    Some(Arc::new(List { path }))
}

fn mail(section: &Section<'_>) -> Option<Arc<dyn TransportConfig>> {
    section.require::<String>("host")?;
    Some(Arc::new(Way(Channel::Email)))
}

fn text_message(section: &Section<'_>) -> Option<Arc<dyn TransportConfig>> {
    (!section.has("host")).then(|| Arc::new(Way(Channel::Sms)) as Arc<dyn TransportConfig>)
}

/// A source `list`, and transports `mail` and `pager`.
pub(super) const KINDS: Kinds<'static> = Kinds {
    sources: &[SourceKind {
        name: "list",
        read: list,
    }],
    transports: &[
        TransportKind {
            name: "mail",
            read: mail,
        },
        TransportKind {
            name: "pager",
            read: text_message,
        },
    ],
    added: &Additions::none(),
};

pub(super) const SETTINGS: &str = r#"
[senders.acme]
name = "Acme Energy"
address = "1 Main Street, 12345 Springfield"
from = "Acme Energy <news@acme.example>"

[topics.billing]
title = "Billing notices"
purpose = "transactional"
[topics.offers]
title = "Offers"
purpose = "marketing"

[sources.customers]
kind = "list"
path = "campaigns/data/customers.csv"
key = "account_no"
email = "email"

[transports.main]
kind = "mail"
host = "smtp.example.org"
[transports.text]
kind = "pager"

[limits]
default_timezone = "Europe/Berlin"
"#;

pub(super) const CAMPAIGN: &str = r#"
topic = "offers"
[audience]
source = "customers"
[email]
via = "main"
subject = "Hello"
body_text = "Hello."
"#;

pub(super) fn tree(files: &[(&str, &str)]) -> Tree {
    let mut tree = Tree::new();
    for (path, text) in files {
        tree.insert(*path, text.as_bytes());
    }
    tree
}

pub(super) fn settings(text: &str) -> (Option<Settings>, Diagnostics) {
    load_with(&tree(&[("campanile.toml", text)]), "/ws".as_ref(), KINDS)
}

/// The findings, one a line.
pub(super) fn lines(diagnostics: &Diagnostics) -> Vec<String> {
    diagnostics.iter().map(ToString::to_string).collect()
}

fn found(files: &[(&str, &str)]) -> Vec<String> {
    let settings = settings(SETTINGS).0.unwrap();
    read_campaigns(&tree(files), Some(&settings), &BTreeMap::new())
        .into_iter()
        .map(|found| match found {
            Found::Draft(draft) => {
                assert_eq!(lines(&draft.diagnostics), Vec::<String>::new());
                draft.campaign.id.to_string()
            }
            Found::Kept(_) => unreachable!("nothing was loaded before"),
            Found::Unusable(broken) => {
                format!("{}: {}", broken.id, lines(&broken.diagnostics).join("; "))
            }
        })
        .collect()
}

#[test]
fn an_id_is_the_path_or_what_the_file_says() {
    let named = format!("id = \"renewals\"\n{CAMPAIGN}");
    let files = [
        ("campaigns/z.toml", CAMPAIGN),
        ("campaigns/billing/renewal.toml", named.as_str()),
        ("campaigns/a b/ü.toml", CAMPAIGN),
    ];
    assert_eq!(found(&files), ["a b/ü", "renewals", "z"]);
}

#[test]
fn an_id_that_two_files_claim_breaks_both_and_no_other() {
    let thief = format!("id = \"a\"\n{CAMPAIGN}");
    let files = [
        ("campaigns/a.toml", CAMPAIGN),
        ("campaigns/b.toml", CAMPAIGN),
        ("campaigns/c.toml", thief.as_str()),
    ];
    assert_eq!(
        found(&files),
        [
            "a: campaigns/a.toml:1:1: the id `a` is also that of campaigns/c.toml (give one of them another `id`); \
             campaigns/c.toml:1:6: the id `a` is also that of campaigns/a.toml (give one of them another `id`)",
            "b",
        ]
    );
}

#[test]
fn a_campaign_that_is_not_utf8_breaks_alone() {
    let settings = settings(SETTINGS).0.unwrap();
    let mut tree = tree(&[("campaigns/b.toml", CAMPAIGN)]);
    tree.insert("campaigns/a.toml", &b"name = \"\xff\""[..]);
    let found = read_campaigns(&tree, Some(&settings), &BTreeMap::new());
    assert!(
        matches!(&found[..], [Found::Unusable(broken), Found::Draft(_)]
        if broken.id.as_str() == "a" && broken.diagnostics.has_errors())
    );
}

#[test]
fn without_settings_a_campaign_is_checked_for_all_that_does_not_depend_on_them() {
    let tree = tree(&[(
        "campaigns/a.toml",
        "topic = \"nobody knows\"\nenabeld = true\n[audience]\nsource = \"x\"\n[email]\nvia = \"y\"\nsubject = \"s\"\nbody_text = \"b\"",
    )]);
    let found = read_campaigns(&tree, None, &BTreeMap::new());
    let [Found::Draft(draft)] = &found[..] else {
        panic!("one draft is expected");
    };
    assert_eq!(
        lines(&draft.diagnostics),
        [
            "campaigns/a.toml:1:9: `topic`: ' ' may not stand in a name: letters, digits, `-`, `_` and `.` may",
            "campaigns/a.toml:2:1: unknown key `enabeld` (did you mean `enabled`?)",
        ]
    );
}

#[test]
fn deep_nesting_is_an_error_and_no_overflow() {
    for opening in [
        format!("a = {}", "[".repeat(200_000)),
        "{a=".repeat(200_000),
        "a.".repeat(200_000),
        format!("{}a = 1", "a.".repeat(200_000)),
        format!("[{}a]", "a.".repeat(200_000)),
    ] {
        assert!(settings(&opening).0.is_none());
        let file = [("campaigns/a.toml", opening.as_str())];
        assert_eq!(
            read_campaigns(&tree(&file), None, &BTreeMap::new()).len(),
            1
        );
    }
}
