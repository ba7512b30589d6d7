//! `campanile.ENV.toml` over `campanile.toml`.

use std::path::Path;

use super::super::{Settings, load_with};
use crate::{
    model::{Diagnostics, SecretRef},
    workspace::tests::{KINDS, SETTINGS, lines, tree},
};

fn load(base: &str, over: &str) -> (Option<Settings>, Diagnostics) {
    let files = tree(&[("campanile.toml", base), ("campanile.staging.toml", over)]);
    load_with(&files, Path::new("/ws"), KINDS)
}

fn merged(over: &str) -> Settings {
    let (settings, found) = load(SETTINGS, over);
    assert_eq!(lines(&found), Vec::<String>::new());
    settings.unwrap()
}

#[test]
fn tables_are_merged_and_values_replaced() {
    let before = load(SETTINGS, "").0.unwrap();
    let settings = merged(
        "[store]\npath = \"staging.db\"\n[senders.acme]\nname = \"Acme Staging\"\n[topics.new]\npurpose = \"marketing\"\n",
    );
    assert_eq!(settings.store.path.to_str(), Some("staging.db"));
    assert_eq!(settings.store.max_in_doubt, before.store.max_in_doubt);
    let (name, sender) = settings.senders.first_key_value().unwrap();
    assert_eq!(name.as_str(), "acme");
    assert_eq!(sender.name, "Acme Staging");
    assert_eq!(sender.from, before.senders[name].from);
    assert_eq!(settings.topics.len(), before.topics.len() + 1);
    assert_eq!(settings.transports.len(), before.transports.len());
}

#[test]
fn inline_tables_arrays_and_other_kinds_are_replaced_whole() {
    let base = format!(
        "{SETTINGS}[web]\nsecrets = [{{ env = \"A\" }}, {{ env = \"B\" }}]\n[transports.mailer]\nkind = \"mail\"\nhost = \"h\"\nconnections = 3\n"
    );
    let over = "[web]\nsecrets = [{ file = \"c\" }]\n[transports.mailer]\nkind = \"pager\"\n";
    let (settings, found) = load(&base, over);
    assert_eq!(lines(&found), Vec::<String>::new());
    let settings = settings.unwrap();
    assert!(matches!(&settings.web.secrets[..], [SecretRef::File(_)]));
    let mailer = settings
        .transports
        .iter()
        .find(|(name, _)| name.as_str() == "mailer");
    assert_eq!(
        mailer.unwrap().1.connections,
        4,
        "of the mail transport nothing is left"
    );
}

#[test]
fn what_is_wrong_is_said_where_it_stands() {
    let base = format!("{SETTINGS}[store]\nmax_in_doubt = 0\npaht = \"a\"\n");
    let line = base.lines().count();
    let over = "[store]\npath = 7\n\n[web]\nlisten = \"nowhere\"\n[stroe]\n";
    let (settings, found) = load(&base, over);
    assert!(settings.is_none());
    let found = lines(&found);
    let has = |start: String| found.iter().any(|found| found.starts_with(&start));
    for start in [
        format!(
            "campanile.toml:{}:16: `max_in_doubt` is not between",
            line - 1
        ),
        format!("campanile.toml:{line}:1: unknown key `paht` in [store]"),
        "campanile.staging.toml:2:8: `path` is an integer".to_owned(),
        "campanile.staging.toml:5:10: `listen`: expected an IP address".to_owned(),
        "campanile.staging.toml:6:2: unknown key `stroe`".to_owned(),
    ] {
        assert!(has(start.clone()), "{start}: {found:#?}");
    }
    assert_eq!(found.len(), 5, "{found:#?}");
    // What is wrong in the first file and replaced by the second is no matter.
    let (settings, found) = load(
        &format!("{SETTINGS}[store]\npath = 7\n"),
        "[store]\npath = \"a\"\n",
    );
    assert!(settings.is_some(), "{:?}", lines(&found));
}

#[test]
fn a_file_that_is_no_toml_is_not_passed_over() {
    let (settings, found) = load(SETTINGS, "[store\n");
    assert!(settings.is_none());
    assert!(lines(&found)[0].starts_with("campanile.staging.toml:1:"));
}
