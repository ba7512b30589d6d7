//! Loading a whole workspace, compiled: needs the script and message rooms.

use std::{collections::BTreeMap, path::Path, sync::Arc};

use super::{Broken, Entry, Loaded, Snapshot, load_with};
use crate::{
    model::{CampaignId, FieldType, Roles, Schema, SourceName},
    workspace::{
        Tree,
        pin::load_pinned_with,
        tests::{KINDS, SETTINGS, lines, tree},
    },
};

const CAMPAIGN: &str = r#"
topic = "offers"
[audience]
source = "customers"
where = "wise::is_old(r)"
keys_file = "keys.txt"
[variables]
first_name = "r.name"
[email]
via = "main"
subject = "Hello {{ first_name }}"
body = "a.md"
"#;

const FILES: [(&str, &str); 7] = [
    ("campanile.toml", SETTINGS),
    ("campaigns/a.toml", CAMPAIGN),
    ("campaigns/a.md", "Hello *{{ first_name }}*, {{ r.name }}."),
    ("campaigns/keys.txt", "A1 A2"),
    ("campaigns/other.toml", crate::workspace::tests::CAMPAIGN),
    ("scripts/wise.rhai", "fn is_old(r) { r.age > 60 }"),
    ("scripts/unused.rhai", "fn f() { 1 }"),
];

fn schemas() -> BTreeMap<SourceName, Arc<Schema>> {
    let columns = [
        ("account_no", FieldType::String),
        ("email", FieldType::String),
        ("name", FieldType::String),
        ("age", FieldType::Integer),
    ];
    let schema = Schema {
        columns: columns.map(|(name, kind)| (name.to_owned(), kind)).into(),
        roles: Roles {
            key: "account_no".to_owned(),
            email: Some("email".to_owned()),
            ..Roles::default()
        },
    };
    BTreeMap::from([("customers".parse().unwrap(), Arc::new(schema))])
}

/// The workspace with some files in the place of others, or besides.
fn files(changed: &[(&str, &str)]) -> Tree {
    let mut files = tree(&FILES);
    for (path, text) in changed {
        files.insert(*path, text.as_bytes());
    }
    files
}

fn load(changed: &[(&str, &str)]) -> Snapshot {
    load_with(&files(changed), Path::new("/ws"), &schemas(), KINDS, None)
}

fn id(text: &str) -> CampaignId {
    text.parse().unwrap()
}

fn ready(snapshot: &Snapshot, name: &str) -> Arc<Loaded> {
    match &snapshot.campaigns[&id(name)] {
        Entry::Ready(loaded) => Arc::clone(loaded),
        Entry::Broken(broken) => panic!("{:?}", lines(&broken.diagnostics)),
    }
}

fn broken(snapshot: &Snapshot, name: &str) -> Arc<Broken> {
    match &snapshot.campaigns[&id(name)] {
        Entry::Broken(broken) => Arc::clone(broken),
        Entry::Ready(_) => panic!("{name} checks"),
    }
}

#[test]
fn a_campaign_that_checks_is_pinned_to_its_files() {
    let snapshot = load(&[]);
    assert_eq!(lines(&snapshot.diagnostics), Vec::<String>::new());
    let loaded = ready(&snapshot, "a");
    assert_eq!(
        loaded.files.paths().collect::<Vec<_>>(),
        [
            "campaigns/a.md",
            "campaigns/a.toml",
            "campaigns/keys.txt",
            "campanile.toml",
            "scripts/wise.rhai",
        ]
    );
    let bundle = Tree::from_bytes(&loaded.files.to_bytes()).unwrap();
    let again = load_pinned_with(&bundle, &id("a"), Path::new("/ws"), &schemas(), KINDS);
    let again = again.ok().unwrap();
    assert_eq!(again.content_digest, loaded.content_digest);
    assert_eq!(again.files, loaded.files);
    let other = load_pinned_with(&bundle, &id("other"), Path::new("/ws"), &schemas(), KINDS);
    assert_eq!(
        lines(&other.err().unwrap()),
        ["campanile.toml:1:1: the pinned files have no campaign `other`"]
    );
}

#[test]
fn the_digest_is_of_all_that_is_sent_and_of_nothing_else() {
    let digest = |changed: &[(&str, &str)]| ready(&load(changed), "a").content_digest.clone();
    let before = digest(&[]);
    let edited = |path: &str| {
        let text = FILES.iter().find(|(name, _)| *name == path).unwrap().1;
        digest(&[(path, &format!("{text}\n"))])
    };
    for path in [
        "campaigns/a.toml",
        "campaigns/a.md",
        "campaigns/keys.txt",
        "scripts/wise.rhai",
    ] {
        assert_ne!(edited(path), before, "{path}");
    }
    for path in ["campaigns/other.toml", "scripts/unused.rhai"] {
        assert_eq!(edited(path), before, "{path}");
    }
    let settings =
        |from: &str, to: &str| digest(&[("campanile.toml", &SETTINGS.replace(from, to))]);
    assert_ne!(settings("1 Main Street", "2 Main Street"), before);
    assert_ne!(settings("\"Offers\"", "\"News\""), before);
    assert_ne!(settings("Europe/Berlin", "Europe/Vienna"), before);
    assert_eq!(settings("smtp.example.org", "mail.example.org"), before);
}

#[test]
fn a_file_that_moves_keeps_its_digest() {
    let named = format!("id = \"a\"\n{CAMPAIGN}");
    let before = ready(&load(&[("campaigns/a.toml", &named)]), "a");
    let mut moved = tree(&FILES[2..]);
    moved.insert("campanile.toml", SETTINGS.as_bytes());
    moved.insert("campaigns/z.toml", named.as_bytes());
    let after = load_with(&moved, Path::new("/ws"), &schemas(), KINDS, None);
    assert_eq!(ready(&after, "a").content_digest, before.content_digest);
}

#[test]
fn a_broken_script_breaks_those_that_use_it_and_is_reported_once() {
    let user = CAMPAIGN.replace("topic", "enabled = false\ntopic");
    let snapshot = load(&[
        ("scripts/wise.rhai", "fn is_old(r) { r.age > }"),
        ("campaigns/b.toml", &user),
    ]);
    assert_eq!(
        snapshot.diagnostics.len(),
        1,
        "{:?}",
        lines(&snapshot.diagnostics)
    );
    ready(&snapshot, "other");
    for name in ["a", "b"] {
        let broken = broken(&snapshot, name);
        assert_eq!(lines(&broken.diagnostics), lines(&snapshot.diagnostics));
    }
}

#[test]
fn errors_of_all_files_and_languages_are_found_in_one_go() {
    let text = CAMPAIGN
        .replace("\"offers\"", "\"ofers\"")
        .replace("\"r.name\"", "\"r.nmae\"");
    let snapshot = load(&[
        ("campaigns/a.toml", &text),
        ("campaigns/a.md", "Hello {{ frist_name }}."),
        ("scripts/unused.rhai", "fn f( { 1 }"),
    ]);
    let found = lines(&snapshot.diagnostics);
    let places: Vec<_> = found
        .iter()
        .filter_map(|line| line.split(": ").next())
        .collect();
    assert_eq!(
        places,
        [
            "scripts/unused.rhai:1:7",
            "campaigns/a.toml:2:9",
            "campaigns/a.toml:8:17",
            "campaigns/a.md:1:10",
        ],
        "{found:#?}"
    );
    ready(&snapshot, "other");
}

#[test]
fn without_good_settings_nothing_is_ready_and_all_is_still_there() {
    let settings = SETTINGS.replace("\"marketing\"", "\"markting\"");
    let snapshot = load(&[("campanile.toml", &settings)]);
    assert!(snapshot.settings.is_none());
    assert_eq!(
        snapshot.diagnostics.len(),
        1,
        "{:?}",
        lines(&snapshot.diagnostics)
    );
    for name in ["a", "other"] {
        assert_eq!(
            lines(&broken(&snapshot, name).diagnostics),
            [
                "campanile.toml:1:1: campanile.toml does not check, and without it no campaign can be checked"
            ]
        );
    }
}

/// The snapshot after a change, loaded with what was known before.
fn again(before: &Snapshot, changed: &[(&str, &str)]) -> Snapshot {
    let tree = files(changed);
    load_with(&tree, Path::new("/ws"), &schemas(), KINDS, Some(before))
}

#[test]
fn a_reload_compiles_only_what_changed() {
    let before = load(&[]);
    let same = |after: &Snapshot, name| Arc::ptr_eq(&ready(&before, name), &ready(after, name));
    let untouched = again(&before, &[]);
    assert!(same(&untouched, "a") && same(&untouched, "other"));
    // Each of what one is made of; the other is not compiled again.
    let wise = "fn is_old(r) { r.age > 70 }";
    for (path, text) in [
        ("campaigns/a.toml", &*CAMPAIGN.replace("Hello", "Hi")),
        ("campaigns/a.md", "Hi *{{ first_name }}*."),
        ("campaigns/keys.txt", "A3"),
        ("scripts/wise.rhai", wise),
    ] {
        let after = again(&before, &[(path, text)]);
        assert!(!same(&after, "a") && same(&after, "other"), "{path}");
        let fresh = load(&[(path, text)]);
        let digest = |snapshot| ready(snapshot, "a").content_digest.clone();
        assert_eq!(digest(&after), digest(&fresh), "{path}");
    }
    let settings = again(
        &before,
        &[("campanile.toml", &SETTINGS.replace("Acme", "Other"))],
    );
    assert!(!same(&settings, "a") && !same(&settings, "other"));
    let unused = again(&before, &[("scripts/unused.rhai", "fn f() { 2 }")]);
    assert!(same(&unused, "a") && same(&unused, "other"));
}

#[test]
fn a_reload_sees_other_columns_and_ids_that_collide_with_what_was_kept() {
    let before = load(&[]);
    let tree = files(&[]);
    let mut fewer = schemas();
    let schema = Arc::make_mut(fewer.values_mut().next().unwrap());
    schema.columns.retain(|(name, _)| name != "age");
    let after = load_with(&tree, Path::new("/ws"), &fewer, KINDS, Some(&before));
    assert!(!Arc::ptr_eq(
        &ready(&before, "other"),
        &ready(&after, "other")
    ));

    for (text, name) in [("id = 'a'", "a"), ("was = ['a']", "new")] {
        let new = format!("{text}\n{}", crate::workspace::tests::CAMPAIGN);
        let changed = [("campaigns/new.toml", &*new)];
        let (after, fresh) = (again(&before, &changed), load(&changed));
        assert_eq!(
            lines(&after.diagnostics),
            lines(&fresh.diagnostics),
            "{text}"
        );
        assert!(
            matches!(after.campaigns[&id(name)], Entry::Broken(_)),
            "{text}"
        );
    }
    // A warning of one that is kept is still there.
    let odd = format!(
        "{}\n[schedule]\ncron = '0 0 31 2 *'",
        crate::workspace::tests::CAMPAIGN
    );
    let warned = load(&[("campaigns/other.toml", &odd)]);
    assert_eq!(lines(&warned.diagnostics).len(), 1);
    let after = again(
        &warned,
        &[("campaigns/other.toml", &odd), ("campaigns/keys.txt", "A9")],
    );
    assert_eq!(lines(&after.diagnostics), lines(&warned.diagnostics));
}
