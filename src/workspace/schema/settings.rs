//! The keys of `campanile.toml`.

use serde_json::{Value, json};

use super::shape::{
    Key, any_boolean, email, kind, line, list, mailbox, named, of_kind, one_of, pattern, period,
    rate, secret, some, table, text, whole, with_default, words,
};
use crate::model::{FieldType, Purpose};

pub(super) fn shape() -> Value {
    table(
        &[],
        [
            ("store", store(), "Where the ledger is kept"),
            (
                "web",
                web(),
                "What links point to, and where pages are served",
            ),
            ("senders", named(&sender()), "Who is writing"),
            ("topics", named(&topic()), "What people unsubscribe from"),
            ("sources", named(&source()), "Where recipients come from"),
            ("transports", named(&transport()), "Ways out"),
            ("limits", limits(), "What holds for all campaigns"),
            (
                "safety",
                safety(),
                "For staging: what no campaign can escape",
            ),
        ],
    )
}

fn store() -> Value {
    table(
        &[],
        [
            (
                "path",
                with_default(text(), "campanile.db"),
                "The SQLite file; the variable CAMPANILE_STORE overrides it",
            ),
            (
                "max_in_doubt",
                whole(1, Some(100_000), Some(64)),
                "At most so many messages are on the wire at once",
            ),
        ],
    )
}

fn web() -> Value {
    let listen = || {
        pattern(
            r"^(off|[0-9.]+:[0-9]+|\[[0-9a-fA-F:.%]+\]:[0-9]+)$",
            "127.0.0.1:8025",
        )
    };
    table(
        &[],
        [
            (
                "public_url",
                pattern("^https?://", "https://news.example.org"),
                "What links in messages start with",
            ),
            (
                "listen",
                listen(),
                "Where the public pages are served: an IP address and a port, or \"off\"",
            ),
            (
                "admin_listen",
                listen(),
                "Where the private pages are served (status, metrics, health), or \"off\"; they have no login",
            ),
            (
                "secrets",
                list(&secret()),
                "The first signs links, all verify them; without any one is made and kept in the store",
            ),
            (
                "unsubscribe_mailto",
                email(),
                "A second way in List-Unsubscribe",
            ),
            (
                "view_keep",
                with_default(period("30d"), "30d"),
                "How long messages that link to `view_url` can be read there",
            ),
        ],
    )
}

fn sender() -> Value {
    let key = || {
        table(
            &["domain", "selector", "key"],
            [
                ("domain", text(), "The domain that vouches for the mail"),
                (
                    "selector",
                    text(),
                    "The public key lies in the DNS at selector._domainkey.domain",
                ),
                ("key", secret(), "The private key, in PEM: RSA or Ed25519"),
            ],
        )
    };
    table(
        &["name", "from"],
        [
            ("name", line(), "The name in the footer of marketing mail"),
            (
                "address",
                json!({ "type": "string", "minLength": 1, "maxLength": 1000 }),
                "The postal address: marketing mail must show it",
            ),
            ("from", mailbox(), "The From of its mail"),
            ("reply_to", mailbox(), "Where answers go"),
            (
                "envelope_from",
                email(),
                "Where bounces go; default: the address of from",
            ),
            (
                "dkim",
                one_of([key(), some(&key())]),
                "The key that signs its mail, or several",
            ),
        ],
    )
}

fn topic() -> Value {
    table(
        &["purpose"],
        [
            ("title", line(), "What people read; default: the name"),
            (
                "purpose",
                words(Purpose::ALL.iter().map(|purpose| purpose.as_str())),
                "Transactional mail ignores who unsubscribed, never who bounced",
            ),
        ],
    )
}

/// What every kind of source has.
fn of_every_source() -> Vec<Key> {
    let types = || words(FieldType::ALL.map(FieldType::as_str));
    let field = one_of([
        types(),
        table(
            &["type"],
            [
                ("type", types(), "Its type"),
                (
                    "format",
                    pattern("%", "%d.%m.%Y"),
                    "How a date or datetime is written (strftime)",
                ),
            ],
        ),
    ]);
    vec![
        ("key", text(), "The column that identifies a recipient"),
        ("email", text(), "The column with the email address"),
        ("phone", text(), "The column with the phone number"),
        ("postal", text(), "The column with the postal address"),
        ("locale", text(), "The column with the language"),
        ("timezone", text(), "The column with the time zone"),
        (
            "preferred_channel",
            text(),
            "The column with the preferred channel",
        ),
        (
            "fields",
            named(&field),
            "The columns' types; one that is not named is a string, or (jsonl, sqlite) what each value is",
        ),
    ]
}

fn source() -> Value {
    let csv: Vec<Key> = vec![
        kind("csv"),
        ("path", text(), "The file, relative to this one"),
        (
            "delimiter",
            with_default(text(), ","),
            "One character, or \"tab\"",
        ),
        (
            "encoding",
            with_default(text(), "utf-8"),
            "A WHATWG label, such as \"windows-1252\"",
        ),
        (
            "header",
            any_boolean(),
            "Whether the first line names the columns",
        ),
        (
            "columns",
            some(&text()),
            "The names of the columns where no line does",
        ),
        (
            "skip_lines",
            whole(0, None, Some(0)),
            "Lines before the header",
        ),
    ];
    let of = |required: &[&str], own: Vec<Key>| {
        table(required, own.into_iter().chain(of_every_source()))
    };
    let jsonl: Vec<Key> = vec![
        kind("jsonl"),
        ("path", text(), "The file, relative to this one"),
    ];
    let sqlite: Vec<Key> = vec![
        kind("sqlite"),
        ("path", text(), "The database, relative to this file"),
        ("query", text(), "One SELECT, whose rows are the recipients"),
    ];
    // What a program adds describes its columns itself.
    let custom = table(&["kind"], [kind("custom")]);
    of_kind([
        of(&["kind", "path", "key"], csv),
        of(&["kind", "path", "key"], jsonl),
        of(&["kind", "path", "query", "key"], sqlite),
        custom,
    ])
}

/// What every kind of transport has.
fn of_every_transport() -> Vec<Key> {
    vec![
        (
            "connections",
            whole(1, Some(1_000), Some(4)),
            "How many side by side",
        ),
        (
            "rate",
            rate("200/s"),
            "At most so many messages in so long; default: as fast as it goes",
        ),
        (
            "give_up_after",
            with_default(period("24h"), "24h"),
            "A delivery that was deferred for longer has failed",
        ),
    ]
}

fn transport() -> Value {
    let smtp: Vec<Key> = vec![
        kind("smtp"),
        ("host", text(), "The server"),
        (
            "port",
            whole(1, Some(65_535), None),
            "Default: 465 where tls is \"implicit\", else 587",
        ),
        (
            "tls",
            with_default(
                words(["starttls", "implicit", "none", "none-even-remote"]),
                "starttls",
            ),
            "How the connection is encrypted; \"none\" only to this machine",
        ),
        (
            "ca_file",
            text(),
            "A PEM file to trust instead of the system's authorities",
        ),
        (
            "hello_name",
            text(),
            "What EHLO says; default: the connection's own address",
        ),
        ("username", text(), "Who logs in"),
        ("password", secret(), "Where the password is"),
        (
            "messages_per_connection",
            whole(1, None, Some(1_000)),
            "After so many messages the connection is opened anew",
        ),
        (
            "timeout",
            period("1m"),
            "An upper bound for every step; default: by step",
        ),
    ];
    let outbox: Vec<Key> = vec![
        kind("outbox"),
        (
            "path",
            with_default(text(), "outbox"),
            "The folder into which each message is written",
        ),
    ];
    let of = |required: &[&str], own: Vec<Key>| {
        table(required, own.into_iter().chain(of_every_transport()))
    };
    let custom = vec![kind("custom")];
    of_kind([
        of(&["kind", "host"], smtp),
        of(&["kind"], outbox),
        of(&["kind"], custom),
    ])
}

fn limits() -> Value {
    table(
        &[],
        [
            (
                "frequency_cap",
                rate("4/7d"),
                "How much marketing anybody may have, over all campaigns",
            ),
            (
                "default_timezone",
                with_default(text(), "UTC"),
                "The time zone of campaigns that name none",
            ),
            (
                "attachments",
                with_default(pattern(r"^[0-9]+\s*([kK]|[mM])[bB]$", "20MB"), "10MB"),
                "The most that pictures and attachments of a message may have together",
            ),
        ],
    )
}

fn safety() -> Value {
    table(
        &[],
        [
            (
                "only_to",
                some(&pattern(r"^\s*[^@\s]+@[^@\s]+\s*$", "*@acme.example")),
                "Whoever matches none of these patterns is skipped as `safety`",
            ),
            (
                "redirect_to",
                email(),
                "Every message goes to this address instead",
            ),
        ],
    )
}
