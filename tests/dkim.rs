//! Mail is signed, and another implementation (dkimpy) believes it: as it was sent, and not once somebody changed it.

use serde_json::Value;

use crate::support::{Workspace, peers::python_with, workspace::campaign};

/// The keys of the tests; what the DNS would say of them stands in `dkim-dns.txt`.
const RSA: &str = include_str!("fixtures/dkim-rsa.pem");
const ED25519: &str = include_str!("fixtures/dkim-ed25519.pem");
const DNS: &str = include_str!("fixtures/dkim-dns.txt");

const VERIFIER: &str = r"
import dkim, json, sys
records = dict(line.split(' ', 1) for line in sys.argv[1].strip().splitlines())
dns = lambda name, timeout=5: records.get(name.decode().rstrip('.'), '').encode()
def verified(message):
    count = message.count(b'DKIM-Signature: ')
    return [dkim.DKIM(message).verify(idx=i, dnsfunc=dns) for i in range(count)]
def safe(message):
    try: return verified(message)
    except dkim.DKIMException: return ['refused']
out = []
for path in sys.argv[2:]:
    raw = open(path, 'rb').read()
    head, body = raw.split(b'\r\n\r\n', 1)
    signed = dkim.DKIM(raw)
    signed.verify(idx=0, dnsfunc=dns)
    out.append({
        'as_sent': verified(raw),
        'names': sorted({name.decode().lower() for name in signed.signed_headers and [n for n, _ in signed.signed_headers]}),
        'body_changed': safe(raw.replace(b'Hello', b'Hullo')),
        'way_out_changed': safe(raw.replace(b'List-Unsubscribe: <http', b'List-Unsubscribe: <https')),
        'from_added': safe(b'From: Mallory <m@evil.example>\r\n' + raw),
        'subject_added': safe(b'Subject: Win\r\n' + raw),
        'to_added': safe(b'To: you@example.org\r\n' + raw),
        'folded': verified(raw.replace(b'Subject: ', b'Subject:  \r\n\t').replace(b'\r\n\r\n' + body, b'\r\n\r\n' + body + b'\r\n\r\n')),
    })
print(json.dumps(out))
";

fn signed() -> Workspace {
    Workspace::new()
        .replace(
            "campanile.toml",
            "from = \"Acme Energy <news@acme.example>\"",
            "from = \"Acme Energy <news@acme.example>\"\ndkim = [\n  \
             { domain = \"acme.example\", selector = \"rsa\", key = { file = \"rsa.pem\" } },\n  \
             { domain = \"acme.example\", selector = \"ed\", key = { file = \"ed.pem\" } },\n]",
        )
        .file("rsa.pem", RSA)
        .file("ed.pem", ED25519)
}

fn mails(workspace: &Workspace) -> Vec<String> {
    let files = std::fs::read_dir(workspace.path("outbox")).unwrap();
    files
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|ending| ending == "eml"))
        .map(|path| path.to_str().unwrap().to_owned())
        .collect()
}

#[test]
fn another_implementation_believes_what_was_sent_and_nothing_else() {
    let workspace = signed()
        .people(&[
            "1,ada@example.org,Ada  King,36",
            "2,jürgen@example.org,Jürgen,17",
        ])
        .campaign("a", "[audience]\nsource = \"people\"")
        .replace(
            "campaigns/a.toml",
            "subject = \"",
            "subject = \"Grüße und noch viel mehr, damit der Betreff gefaltet wird: ",
        );
    workspace.run(["send", "a", "--yes"]).code(0);
    workspace
        .run(["send", "a", "--to", "me@example.org"])
        .code(0);
    let mails = mails(&workspace);
    assert_eq!(mails.len(), 3);
    let mut arguments = vec![DNS];
    arguments.extend(mails.iter().map(String::as_str));
    let Some(said) = python_with("dkim, nacl", "python3-dkim", VERIFIER, &arguments) else {
        return;
    };
    for mail in serde_json::from_str::<Vec<Value>>(&said).unwrap() {
        assert_eq!(mail["as_sent"], serde_json::json!([true, true]), "{mail}");
        assert_eq!(mail["folded"], serde_json::json!([true, true]), "{mail}");
        for broken in [
            "body_changed",
            "way_out_changed",
            "from_added",
            "subject_added",
            "to_added",
        ] {
            let any = mail[broken]
                .as_array()
                .unwrap()
                .contains(&Value::Bool(true));
            assert!(!any, "{broken}: {mail}");
        }
        let names = mail["names"].to_string();
        for name in [
            "from",
            "subject",
            "to",
            "list-unsubscribe",
            "list-unsubscribe-post",
        ] {
            assert!(names.contains(&format!("\"{name}\"")), "{name}: {names}");
        }
    }
}

#[test]
fn a_key_that_can_not_sign_stops_the_sending_and_says_why() {
    let workspace = signed().people(&["1,ada@example.org,Ada,36"]);
    workspace.write(
        "campaigns/a.toml",
        &campaign("[audience]\nsource = \"people\""),
    );
    std::fs::remove_file(workspace.path("ed.pem")).unwrap();
    let ran = workspace.run(["send", "a", "--yes"]).code(3);
    assert!(
        ran.stderr
            .contains("[senders.acme] dkim: the key ed of acme.example: ")
            && ran.stderr.contains("ed.pem: No such file"),
        "{}",
        ran.stderr
    );
    workspace.write(
        "ed.pem",
        "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
    );
    let ran = workspace.run(["send", "a", "--yes"]).code(3);
    assert!(
        ran.stderr.contains("it is no RSA or Ed25519 key"),
        "{}",
        ran.stderr
    );
    assert!(!workspace.path("outbox").exists());
}

#[test]
fn mistakes_in_the_settings_are_shown_where_they_stand() {
    let told = |dkim: &str| {
        let from = "from = \"Acme Energy <news@acme.example>\"";
        let workspace = Workspace::new()
            .people(&["1,ada@example.org,Ada,36"])
            .replace("campanile.toml", from, &format!("{from}\ndkim = {dkim}"));
        let ran = workspace.run(["check"]);
        ran.stdout + ran.stderr.as_str()
    };
    let no_selector = told("{ domain = \"acme.example\", key = { env = \"K\" } }");
    assert!(no_selector.contains("needs `selector`"), "{no_selector}");
    let in_file = told("{ domain = \"acme.example\", selector = \"s\", key = \"MII\" }");
    assert!(
        in_file.contains("a secret may not stand in the file itself"),
        "{in_file}"
    );
    let odd = told("{ domain = \"acme example\", selector = \"s\", key = { env = \"K\" } }");
    assert!(
        odd.contains("is not a name in the DNS such as \"acme.example\""),
        "{odd}"
    );
    let other = told("{ domain = \"other.example\", selector = \"s\", key = { env = \"K\" } }");
    assert!(other.contains("warning[dkim-domain]"), "{other}");
    let twice = "{ domain = \"acme.example\", selector = \"s\", key = { env = \"K\" } }";
    let twice = told(&format!("[{twice}, {twice}]"));
    assert!(
        twice.contains("names the key s of acme.example twice"),
        "{twice}"
    );
}
