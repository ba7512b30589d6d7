//! Settings, right and wrong.

use proptest::prelude::*;

use crate::{
    model::{FieldType, SecretRef},
    source::FieldFormat,
    workspace::tests::{SETTINGS, lines, settings},
};

fn errors(text: &str) -> Vec<String> {
    let (settings, found) = settings(text);
    assert!(settings.is_none(), "{text}");
    lines(&found)
}

#[test]
fn an_empty_file_has_the_defaults() {
    let (settings, found) = settings("");
    assert_eq!(lines(&found), Vec::<String>::new());
    let settings = settings.unwrap();
    assert_eq!(settings.store.path.to_str(), Some("campanile.db"));
    assert_eq!(settings.store.max_in_doubt, 64);
    assert_eq!(settings.web.public_url, "http://127.0.0.1:8025");
    assert_eq!(settings.web.listen.unwrap().to_string(), "127.0.0.1:8025");
    assert_eq!(
        settings.web.admin_listen.unwrap().to_string(),
        "127.0.0.1:8026"
    );
    assert_eq!(settings.default_timezone.name(), "UTC");
}

#[test]
fn everything_that_can_be_set_is_read() {
    let text = format!(
        r#"{SETTINGS}
[store]
path = "/var/lib/campanile.db"
max_in_doubt = 1_000
[web]
public_url = "https://news.example.org/mail/"
listen = "0.0.0.0:80"
admin_listen = "off"
secrets = [{{ env = "SECRET" }}, {{ file = "old.key" }}]
unsubscribe_mailto = "out@acme.example"
[senders.other]
name = "Other"
from = "a@b.example"
reply_to = "Help <c@d.example>"
envelope_from = "e@f.example"
[sources.people]
kind = "list"
path = "people.csv"
key = "id"
email = "mail"
phone = "mobile"
postal = "address"
locale = "lang"
timezone = "tz"
preferred_channel = "by"
[sources.people.fields]
balance = "decimal"
since = {{ type = "date", format = "%d.%m.%Y" }}
[transports.slow]
kind = "mail"
host = "h"
connections = 2
rate = "20/s"
give_up_after = "2d"
"#
    );
    let (settings, found) = settings(&text);
    assert_eq!(lines(&found), Vec::<String>::new());
    let settings = settings.unwrap();
    assert_eq!(settings.store.max_in_doubt, 1000);
    assert_eq!(settings.web.public_url, "https://news.example.org/mail");
    assert_eq!(settings.web.listen.unwrap().port(), 80);
    assert_eq!(settings.web.admin_listen, None);
    assert_eq!(
        settings.web.secrets,
        [
            SecretRef::Env("SECRET".into()),
            SecretRef::File("old.key".into())
        ]
    );
    let acme = &settings.senders[&"acme".parse().unwrap()];
    assert_eq!(acme.envelope_from.as_str(), "news@acme.example");
    assert_eq!(acme.address, "1 Main Street, 12345 Springfield");
    let other = &settings.senders[&"other".parse().unwrap()];
    assert_eq!(other.envelope_from.as_str(), "e@f.example");
    assert_eq!(other.address, "");
    let people = &settings.sources[&"people".parse().unwrap()].context;
    assert_eq!(people.workspace.to_str(), Some("/ws"));
    assert_eq!(people.roles.key, "id");
    assert_eq!(people.roles.preferred_channel.as_deref(), Some("by"));
    let format = Some("%d.%m.%Y".to_owned());
    assert_eq!(
        people.fields,
        [
            (
                "balance".to_owned(),
                FieldFormat {
                    kind: FieldType::Decimal,
                    format: None
                }
            ),
            (
                "since".to_owned(),
                FieldFormat {
                    kind: FieldType::Date,
                    format
                }
            ),
        ]
    );
    let slow = &settings.transports[&"slow".parse().unwrap()];
    assert_eq!(
        (slow.connections, slow.rate.unwrap().to_string()),
        (2, "20/1s".to_owned())
    );
    assert_eq!(slow.give_up_after.to_string(), "2d");
    let main = &settings.transports[&"main".parse().unwrap()];
    assert_eq!((main.connections, main.rate), (4, None));
    assert_eq!(main.give_up_after.to_string(), "24h");
}

#[test]
fn every_error_is_found_in_one_go_with_its_place() {
    assert_eq!(
        errors(
            r#"
[stroe]
[store]
max_in_doubt = 0
[web]
public_url = "news.example.org"
listen = "localhost:80"
[senders.acme]
name = "Acme\nEnergy"
from = "acme"
[topics.x]
purpose = "market"
[topics."a b"]
title = "T"
[sources.c]
kind = "lsit"
[sources.d]
kind = "list"
keys = "id"
[sources.d.fields]
a = "decmial"
b = { type = "integer", format = "%d" }
c = { type = "date", format = "dd.mm.yyyy" }
[transports.t]
kind = "mail"
hots = "h"
connections = "many"
[limits]
default_timezone = "Berlin"
"#
        ),
        [
            "campanile.toml:2:2: unknown key `stroe` (did you mean `store`?)",
            "campanile.toml:4:16: `max_in_doubt` is not between 1 and 100000",
            "campanile.toml:6:14: `public_url`: expected a URL such as \"https://news.example.org\"",
            "campanile.toml:7:10: `listen`: expected an IP address and a port such as \"127.0.0.1:8025\", or \"off\"",
            "campanile.toml:9:8: `name` has a line break or another control character",
            "campanile.toml:10:8: `from`: \"acme\" is not an email address: it has no @",
            "campanile.toml:12:11: `purpose`: expected one of marketing, transactional",
            "campanile.toml:13:9: `a b` is not a name: ' ' may not stand in a name: letters, digits, `-`, `_` and `.` may",
            "campanile.toml:13:9: [topics.a b] needs `purpose`",
            "campanile.toml:15:10: [sources.c] needs `key`",
            "campanile.toml:16:8: there is no kind \"lsit\" in [sources.c] (did you mean `list`?)",
            "campanile.toml:17:10: [sources.d] needs `key`",
            "campanile.toml:17:10: [sources.d] needs `path`",
            "campanile.toml:19:1: unknown key `keys` in [sources.d] (did you mean `key`?)",
            "campanile.toml:21:5: `a`: expected one of string, integer, decimal, boolean, date, datetime, list, any (did you mean `decimal`?)",
            "campanile.toml:22:34: `format` is for dates and datetimes, not for a field of type integer",
            "campanile.toml:23:31: `format`: expected a pattern such as \"%d.%m.%Y\" (%d day, %m month, %Y year)",
            "campanile.toml:24:13: [transports.t] needs `host`",
            "campanile.toml:26:1: unknown key `hots` in [transports.t] (did you mean `host`?)",
            "campanile.toml:27:15: `connections` is a string, expected a whole number",
            "campanile.toml:29:20: `default_timezone`: there is no time zone \"Berlin\"; zones have names such as \"Europe/Berlin\"",
        ]
    );
}

#[test]
fn what_is_to_come_is_refused_by_name() {
    assert_eq!(
        errors(
            r#"
[store]
url = "postgres://x"
[senders.a]
name = "A"
from = "a@b.example"
[sources.s]
kind = "postgres"
key = "id"
[transports.t]
kind = "twilio"
"#
        ),
        [
            "campanile.toml:3:1: `url`: a store in PostgreSQL is not built yet",
            "campanile.toml:8:8: the kind \"postgres\" is not built yet",
            "campanile.toml:11:8: the kind \"twilio\" is not built yet",
        ]
    );
}

#[test]
fn safety_is_read_and_never_taken_for_none() {
    let toml = "[safety]\nonly_to = [\"*@Acme.example\", \"qa@acme.example\"]\n";
    let safety = settings(toml).0.unwrap().safety;
    assert_eq!(safety.only_to[0].as_str(), "*@acme.example");
    assert!(!settings("").0.unwrap().safety.is_on());
    for (toml, words) in [
        ("only_to = []", "names nobody"),
        ("only_to = [\"acme.example\"]", "it needs an @"),
        ("only_to = \"*@acme.example\"", "expected an array"),
        ("redirect_to = \"qa\"", "it has no @"),
        (
            "redirect_too = \"qa@acme.example\"",
            "did you mean `redirect_to`?",
        ),
    ] {
        let found = errors(&format!("[safety]\n{toml}\n"));
        assert!(found[0].contains(words), "{toml}: {found:?}");
    }
}

#[test]
fn no_settings_file_and_one_that_is_not_toml() {
    let (settings, found) = super::load_settings(
        &crate::workspace::Tree::new(),
        "/ws".as_ref(),
        &crate::workspace::Additions::none(),
    );
    assert!(settings.is_none());
    assert_eq!(
        lines(&found),
        [
            "campanile.toml:1:1: there is no campanile.toml in /ws (name the folder that has it with --workspace)"
        ]
    );
    let errors = errors("[store\npath = \"x\"\n[senders.a]\nname = \"");
    assert!(errors.len() >= 2, "{errors:?}");
    assert!(errors[0].starts_with("campanile.toml:1:7: "), "{errors:?}");
    assert!(
        errors.iter().all(|line| !line.contains("needs")),
        "{errors:?}"
    );
}

#[test]
fn addresses_for_links_are_checked() {
    let url = |url: &str| {
        let (settings, found) = settings(&format!("[web]\npublic_url = \"{url}\""));
        (
            settings.map(|settings| settings.web.public_url),
            found.len(),
        )
    };
    let good = |text: &str, warnings| (Some(text.to_owned()), warnings);
    assert_eq!(url("https://a.example"), good("https://a.example", 0));
    assert_eq!(
        url("https://a.example:8443/x/"),
        good("https://a.example:8443/x", 0)
    );
    assert_eq!(url("http://[::1]:80"), good("http://[::1]:80", 0));
    assert_eq!(url("http://localhost:1"), good("http://localhost:1", 0));
    assert_eq!(url("http://a.example"), good("http://a.example", 1));
    for bad in [
        "ftp://a.example",
        "https://",
        "https:///x",
        "https://a.example?x=1",
        "https://a.example#x",
        "https://a.example/ü",
        "https://a.example:99999",
        "https://u@a.example",
        "https://a.example/\\r\\nX: y",
    ] {
        assert_eq!(url(bad), (None, 1), "{bad}");
    }
}

#[test]
fn private_pages_have_an_address_of_their_own() {
    let web = |text: &str| {
        let (settings, found) = settings(&format!("[web]\n{text}"));
        (settings.is_some(), lines(&found))
    };
    let (is_good, found) = web("admin_listen = \"127.0.0.1:8025\"");
    assert!(
        !is_good && found[0].contains("the same address as `listen`"),
        "{found:?}"
    );
    let (is_good, found) = web("admin_listen = \"0.0.0.0:8026\"");
    assert!(
        is_good && found[0].contains("can be reached from other hosts"),
        "{found:?}"
    );
    assert_eq!(
        web("listen = \"127.0.0.1:0\"\nadmin_listen = \"127.0.0.1:0\""),
        (true, vec![])
    );
}

proptest! {
    #[test]
    fn no_text_breaks_it(text in "\\PC{0,80}", at in 0..SETTINGS.len()) {
        // A stray text in the middle of good settings.
        let at = (0..=at).rev().find(|at| SETTINGS.is_char_boundary(*at)).unwrap_or(0);
        let (settings, found) = settings(&format!("{}{text}{}", &SETTINGS[..at], &SETTINGS[at..]));
        prop_assert_eq!(settings.is_none(), found.has_errors());
        for finding in &found {
            prop_assert!(!finding.render(false).is_empty());
        }
    }
}

mod environments;
