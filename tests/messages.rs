//! What messages may have beside their text: attachments, pictures, MJML, translations. Python's `email` package reads them
//! back.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::Value;

use crate::support::{Workspace, peers::python, smtp_server::SmtpServer, wait_for};

const READER: &str = r"
import base64, email, email.policy, json, sys
raw = open(sys.argv[1], 'rb').read()
message = email.message_from_bytes(raw, policy=email.policy.default)
def shape(part):
    kind = part.get_content_type()
    if part.is_multipart():
        return {'type': kind, 'parts': [shape(p) for p in part.iter_parts()]}
    return {'type': kind, 'name': part.get_filename(), 'disposition': part.get_content_disposition(),
            'id': part['Content-ID'], 'bytes': base64.b64encode(part.get_payload(decode=True)).decode()}
body = lambda kind: (message.get_body((kind,)).get_content() if message.get_body((kind,)) else None)
print(json.dumps({
    'to': str(message['To']), 'subject': str(message['Subject']), 'language': message['Content-Language'],
    'shape': shape(message), 'plain': body('plain'), 'html': body('html'),
    'longest': max(len(line) for line in raw.split(b'\r\n')),
    'bare': raw.replace(b'\r\n', b'').count(b'\n') + raw.replace(b'\r\n', b'').count(b'\r'),
    'defects': [str(d) for p in message.walk() for d in p.defects],
}))
";

const PNG: &[u8] = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x01\0\0\0\x01\x08\x06\0\0\0";

fn read(workspace: &Workspace) -> Option<Vec<Value>> {
    let mut files: Vec<_> = std::fs::read_dir(workspace.path("outbox"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|ending| ending == "eml"))
        .collect();
    files.sort();
    let mut messages: Vec<Value> = Vec::new();
    for path in files {
        let message: Value =
            serde_json::from_str(&python(READER, &[path.to_str().unwrap()])?).unwrap();
        assert_eq!(
            (&message["bare"], &message["defects"]),
            (&0.into(), &Value::Array(Vec::new()))
        );
        assert!(message["longest"].as_u64().unwrap() <= 998);
        messages.push(message);
    }
    messages.sort_by_key(|message| message["to"].to_string());
    Some(messages)
}

fn bytes(part: &Value) -> Vec<u8> {
    STANDARD.decode(part["bytes"].as_str().unwrap()).unwrap()
}

fn write(workspace: &Workspace, path: &str, bytes: &[u8]) {
    let path = workspace.path(path);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, bytes).unwrap();
}

/// A campaign with these keys in `[email]`.
fn campaign(email: &str) -> String {
    format!(
        "topic = \"news\"\n[audience]\nsource = \"people\"\ncooldown = \"none\"\n[email]\nvia = \"main\"\nsubject = \"Hello\"\n{email}\n"
    )
}

const PEOPLE: [&str; 2] = ["1,ada@example.org,Ada,36", "2,bob@example.org,Bob,40"];

#[test]
fn attachments_arrive_byte_for_byte_under_their_names() {
    let pdf: Vec<u8> = b"%PDF-1.7\n"
        .iter()
        .copied()
        .chain((0..200_000_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8))
        .collect();
    let workspace = Workspace::new().people(&PEOPLE).file(
        "campaigns/deep/a.toml",
        &campaign(
            "body_text = \"Hi {{ r.name }}\"\nattachments = [\"terms.pdf\", { path = \"../note.txt\", name = \"Größe – 尺寸.txt\" }, \
             { path = \"x.dwg\", type = \"image/vnd.dwg\" }]",
        ),
    );
    write(&workspace, "campaigns/deep/terms.pdf", &pdf);
    write(&workspace, "campaigns/note.txt", b".\n..\nFrom x\r\n");
    write(&workspace, "campaigns/deep/x.dwg", &[0, 255, 10, 13]);
    workspace.run(["check"]).code(0);
    workspace.run(["send", "deep/a", "--yes"]).code(0);
    let Some(messages) = read(&workspace) else {
        return;
    };
    assert_eq!(messages.len(), 2);
    for (message, name) in messages.iter().zip(["Ada", "Bob"]) {
        let shape = &message["shape"];
        assert_eq!(shape["type"], "multipart/mixed");
        let parts = shape["parts"].as_array().unwrap();
        assert_eq!(parts.len(), 4);
        assert!(
            message["plain"]
                .as_str()
                .unwrap()
                .starts_with(&format!("Hi {name}"))
        );
        let named: Vec<_> = parts[1..]
            .iter()
            .map(|part| {
                (
                    part["type"].as_str().unwrap(),
                    part["name"].as_str().unwrap(),
                )
            })
            .collect();
        assert_eq!(
            named,
            [
                ("application/pdf", "terms.pdf"),
                ("text/plain", "Größe – 尺寸.txt"),
                ("image/vnd.dwg", "x.dwg")
            ]
        );
        assert!(
            parts[1..]
                .iter()
                .all(|part| part["disposition"] == "attachment")
        );
        assert_eq!(bytes(&parts[1]), pdf);
        assert_eq!(bytes(&parts[2]), b".\n..\nFrom x\r\n");
        assert_eq!(bytes(&parts[3]), [0, 255, 10, 13]);
    }
}

#[test]
fn attachments_go_over_smtp_as_they_are() {
    let server = SmtpServer::start_blocking(|script| script);
    let workspace = Workspace::new()
        .settings(&format!(
            "[transports.main]\nkind = \"smtp\"\nhost = \"127.0.0.1\"\nport = {}\ntls = \"none\"\n",
            server.port()
        ))
        .crowd(30)
        .file(
            "campaigns/a.toml",
            &campaign("body = \"a.md\"\nattachments = [\"terms.pdf\"]"),
        )
        .file("campaigns/a.md", "# Hi {{ r.name }}\n\n![Logo](logo.png)\n");
    let pdf = [b"%PDF-1.7\r\n.\r\n".as_slice(), &vec![7; 600_000]].concat();
    write(&workspace, "campaigns/terms.pdf", &pdf);
    write(&workspace, "campaigns/logo.png", PNG);
    workspace.run(["send", "a", "--yes"]).code(0);
    let accepted = server.accepted();
    assert_eq!(accepted.len(), 30);
    for message in accepted {
        let text = String::from_utf8(message.bytes).unwrap();
        let text = text.replace("\r\n", "");
        assert!(
            text.contains(&STANDARD.encode(&pdf)),
            "the whole file is there"
        );
        assert!(text.contains(&STANDARD.encode(PNG)));
        assert!(
            text.ends_with("--"),
            "nothing stands behind the last boundary"
        );
    }
}

#[test]
fn a_picture_is_a_part_that_the_html_refers_to() {
    let workspace = Workspace::new()
        .people(&PEOPLE)
        .file("campaigns/a.toml", &campaign("body = \"a.md\"\nattachments = [\"terms.pdf\"]"))
        .file(
            "campaigns/a.md",
            "# Hi {{ r.name }}\n\n![Our logo](pictures/logo.png)\n\n![Far](https://acme.example/far.png)\n",
        )
        .file("campaigns/b.toml", &campaign("body = \"b.html\""))
        .file("campaigns/b.html", "<html><body><p>Hi</p><img alt='Logo' src='pictures/logo.png'></body></html>");
    write(&workspace, "campaigns/pictures/logo.png", PNG);
    write(&workspace, "campaigns/terms.pdf", b"%PDF-1.7\n");
    workspace.run(["send", "a", "--yes"]).code(0);
    let Some(messages) = read(&workspace) else {
        return;
    };
    for message in &messages {
        let mixed = &message["shape"];
        let alternative = &mixed["parts"][0];
        let related = &alternative["parts"][1];
        let kinds = [mixed, alternative, related].map(|part| part["type"].as_str().unwrap());
        assert_eq!(
            kinds,
            [
                "multipart/mixed",
                "multipart/alternative",
                "multipart/related"
            ]
        );
        let picture = &related["parts"][1];
        assert_eq!(
            (&picture["type"], &picture["name"]),
            (&"image/png".into(), &"logo.png".into())
        );
        assert_eq!(bytes(picture), PNG);
        let id = picture["id"].as_str().unwrap().trim_matches(['<', '>']);
        let html = message["html"].as_str().unwrap();
        assert!(html.contains(&format!("src=\"cid:{id}\"")), "{html}");
        assert!(
            html.contains("src=\"https://acme.example/far.png\""),
            "{html}"
        );
        assert!(message["plain"].as_str().unwrap().contains("Our logo"));
    }
    std::fs::remove_dir_all(workspace.path("outbox")).unwrap();
    workspace.run(["send", "b", "--yes"]).code(0);
    let shape = &read(&workspace).unwrap()[0]["shape"];
    assert_eq!(shape["type"], "multipart/alternative");
    assert_eq!(bytes(&shape["parts"][1]["parts"][1]), PNG);
    workspace.run(["preview", "b", "--out", "seen"]).code(0);
    let seen = std::fs::read_to_string(workspace.path("seen/message.html")).unwrap();
    assert!(seen.contains("src=\"data:image/png;base64,"), "{seen}");
}

#[test]
fn what_can_not_be_attached_is_said_with_its_place() {
    let workspace = Workspace::new()
        .people(&PEOPLE)
        .file(
            "campaigns/a.toml",
            &campaign("body_text = \"Hi\"\nattachments = [\"term.pdf\"]"),
        )
        .file("campaigns/.secret.pdf", "%PDF-1.7");
    for (path, content) in [
        ("campaigns/terms.pdf", b"%PDF-1.7\n".as_slice()),
        ("campaigns/fake.pdf", b"<html>404</html>"),
        ("campaigns/run.pdf", b"MZ\x90\0"),
        ("campaigns/run.exe", b"x"),
        ("campaigns/empty.pdf", b""),
        ("campaigns/what.xyz", b"x"),
        ("outside.pdf", b"%PDF-1.7\n"),
        (
            "campaigns/large.pdf",
            &[b"%PDF-1.7".as_slice(), &vec![0; 11_000_000]].concat(),
        ),
    ] {
        write(&workspace, path, content);
    }
    for (written, code, words) in [
        ("\"term.pdf\"", "no-such-file", "did you mean `terms.pdf`?"),
        ("\"fake.pdf\"", "wrong-type", "fake.pdf is no pdf file"),
        ("\"run.pdf\"", "program", "run.pdf is a program"),
        ("\"run.exe\"", "program", "run.exe is a program"),
        ("\"empty.pdf\"", "empty-file", "empty.pdf is empty"),
        (
            "\"what.xyz\"",
            "unknown-type",
            "type = \"application/octet-stream\"",
        ),
        (
            "\"../outside.pdf\"",
            "outside-workspace",
            "does not lie in campaigns/ or templates/",
        ),
        (
            "\"../../etc/passwd\"",
            "outside-workspace",
            "does not lie in the workspace",
        ),
        (
            "\"../campanile.toml\"",
            "outside-workspace",
            "does not lie in campaigns/ or templates/",
        ),
        ("\".secret.pdf\"", "outside-workspace", "begin with a dot"),
        (
            "\"large.pdf\"",
            "too-large",
            "11001KB together, more than 10MB",
        ),
        (
            "{ path = \"terms.pdf\", name = \"a/b.pdf\" }",
            "wrong-value",
            "is not the name of a file",
        ),
        (
            "{ path = \"terms.pdf\", name = \"a.exe\" }",
            "program",
            "a.exe is a program",
        ),
        (
            "{ path = \"terms.pdf\", type = \"pdf\" }",
            "wrong-value",
            "is not a content type",
        ),
        (
            "{ path = \"terms.pdf\", nmae = \"x.pdf\" }",
            "unknown-key",
            "did you mean `name`?",
        ),
        ("{ name = \"x.pdf\" }", "missing-key", "needs `path`"),
        (
            "\"terms.pdf\", \"terms.pdf\"",
            "duplicate-name",
            "two attachments are called",
        ),
        ("7", "wrong-type", "expected a file"),
    ] {
        workspace.write(
            "campaigns/a.toml",
            &campaign(&format!("body_text = \"Hi\"\nattachments = [{written}]")),
        );
        let found = workspace.run(["check", "--json"]).code(3).json_lines();
        assert_eq!(found.len(), 1, "{written}: {found:?}");
        let said = format!("{} {}", found[0]["message"], found[0]["help"]);
        assert_eq!(found[0]["code"], code, "{written}: {said}");
        assert!(said.replace('\\', "").contains(words), "{written}: {said}");
        assert_eq!(
            (&found[0]["file"], &found[0]["line"]),
            (&"campaigns/a.toml".into(), &9.into())
        );
    }
    let workspace = workspace.more_settings("[limits]\nattachments = \"20MB\"\n");
    workspace.write(
        "campaigns/a.toml",
        &campaign("body_text = \"Hi\"\nattachments = [\"large.pdf\"]"),
    );
    workspace.run(["check"]).code(0);
}

#[test]
fn a_run_that_has_begun_keeps_the_files_it_was_planned_with() {
    let workspace = Workspace::new()
        .settings("[transports.main]\nkind = \"outbox\"\npath = \"outbox\"\nrate = \"10/s\"\n")
        .crowd(60)
        .file(
            "campaigns/a.toml",
            &campaign("body = \"a.md\"\nattachments = [\"terms.pdf\"]"),
        )
        .file("campaigns/a.md", "Hi\n\n![Logo](logo.png)\n");
    write(&workspace, "campaigns/terms.pdf", b"%PDF-1.7 old");
    write(&workspace, "campaigns/logo.png", PNG);
    let mut sending = workspace.command(["send", "a", "--yes"]).spawn().unwrap();
    wait_for("the first message", || {
        (!workspace.outbox().is_empty()).then_some(())
    });
    // Another process goes on with it: what it sends comes from the store, not from the disk.
    sending.kill().unwrap();
    sending.wait().unwrap();
    let first = workspace.outbox().len();
    write(&workspace, "campaigns/terms.pdf", b"%PDF-1.7 new");
    std::fs::remove_file(workspace.path("campaigns/logo.png")).unwrap();
    workspace.write("campaigns/a.md", "Hi\n");
    let went_on = workspace.run(["resume", "1"]);
    // What was on its way when the first process ended is in doubt.
    assert!(matches!(went_on.code, Some(0 | 6)), "{}", went_on.stderr);
    assert!(first < workspace.outbox().len(), "{first}");
    for mail in workspace.outbox() {
        let text = mail.raw.replace("\r\n", "");
        assert!(text.contains(&STANDARD.encode(b"%PDF-1.7 old")), "{text}");
        assert!(text.contains(&STANDARD.encode(PNG)), "{text}");
    }
}

#[test]
fn what_is_edited_before_the_first_message_is_planned_anew() {
    let workspace = Workspace::new().people(&PEOPLE).file(
        "campaigns/a.toml",
        &campaign("body_text = \"Hi\"\nattachments = [\"terms.pdf\"]")
            .replace("[email]", "max_recipients = 1\n[email]"),
    );
    write(&workspace, "campaigns/terms.pdf", b"%PDF-1.7 old");
    workspace.run(["send", "a", "--yes"]).code(5);
    write(&workspace, "campaigns/terms.pdf", b"%PDF-1.7 new");
    let refused = workspace.run(["resume", "1"]).code(5);
    assert!(
        refused.stderr.contains("planned anew"),
        "an attachment is part of the content: {}",
        refused.stderr
    );
    workspace.run(["resume", "1"]).code(0);
    let Some(messages) = read(&workspace) else {
        return;
    };
    assert_eq!(messages.len(), 2);
    for message in messages {
        assert_eq!(bytes(&message["shape"]["parts"][1]), b"%PDF-1.7 new");
    }
}

#[test]
fn the_daemon_notices_a_new_attachment() {
    let workspace = Workspace::new().people(&PEOPLE).file(
        "campaigns/a.toml",
        &campaign("body_text = \"Hi\"\nattachments = [\"terms.pdf\"]"),
    );
    write(&workspace, "campaigns/terms.pdf", b"%PDF-1.7 old");
    let _daemon = workspace.serve();
    let state =
        || workspace.run(["status", "--json"]).code(0).json()["campaigns"][0]["state"].clone();
    assert_eq!(state(), "ready");
    std::fs::remove_file(workspace.path("campaigns/terms.pdf")).unwrap();
    wait_for("the campaign to be broken", || {
        (state() == "broken").then_some(())
    });
    write(&workspace, "campaigns/terms.pdf", b"%PDF-1.7 new");
    wait_for("the campaign to be mended", || {
        (state() == "ready").then_some(())
    });
    workspace.run(["send", "a", "--yes"]).code(0);
    let Some(messages) = read(&workspace) else {
        return;
    };
    assert_eq!(bytes(&messages[0]["shape"]["parts"][1]), b"%PDF-1.7 new");
}

#[test]
fn everybody_reads_it_in_their_own_language() {
    let workspace = Workspace::new()
        .replace("campanile.toml", "email = \"email\"", "email = \"email\"\nlocale = \"locale\"")
        .file(
            "people.csv",
            "id,email,name,age,locale\n1,ada@example.org,Ada,36,en\n2,bob@example.org,Bob,40,de_AT\n\
             3,cy@example.org,Cy,20,fr-CA\n4,di@example.org,Di,20,\n5,eve@example.org,Eve,20,de\n",
        )
        .file(
            "campaigns/a.toml",
            &campaign("body = \"a.md\"\nlanguage = \"en\"\n[email.subjects]\nde = \"Hallo {{ r.name }}\"\nfr = \"Bonjour\""),
        )
        .file("campaigns/a.md", "Good evening, {{ r.name }}\n")
        .file("campaigns/a.de.md", "Guten Abend, {{ r.name }}\n")
        .file("campaigns/a.de-AT.md", "Servus, {{ r.name }}\n")
        .file("campaigns/a.fr.md", "Bonsoir {{ r.name }}\n")
        .file("campaigns/a.old.md", "not a language, {{ not_even_a_variable }}\n");
    workspace.run(["check"]).code(0);
    let plan = workspace.run(["plan", "a", "--json"]).code(0).json();
    assert_eq!(
        plan[0]["by_locale"],
        serde_json::json!({"": 2, "de": 1, "de-AT": 1, "fr": 1})
    );
    let shown = workspace.run(["plan", "a"]).code(0).stdout;
    assert!(
        shown.contains("de 1, de-AT 1, fr 1, not translated 2"),
        "{shown}"
    );
    let seen = workspace
        .run(["preview", "a", "--recipient", "2"])
        .code(0)
        .stdout;
    assert!(
        seen.contains("de-AT") && seen.contains("Servus, Bob"),
        "{seen}"
    );
    let seen = workspace
        .run(["preview", "a", "--recipient", "2", "--locale", "fr"])
        .code(0)
        .stdout;
    assert!(seen.contains("Bonsoir Bob"), "{seen}");

    workspace.run(["send", "a", "--yes"]).code(0);
    let Some(messages) = read(&workspace) else {
        return;
    };
    let got: Vec<_> = messages
        .iter()
        .map(|message| {
            let text = message["plain"].as_str().unwrap().lines().next().unwrap();
            (
                text,
                message["subject"].as_str().unwrap(),
                message["language"].as_str().unwrap(),
            )
        })
        .collect();
    assert_eq!(
        got,
        [
            ("Good evening, Ada", "Hello", "en"),
            ("Servus, Bob", "Hallo Bob", "de-AT"),
            ("Bonsoir Cy", "Bonjour", "fr"),
            ("Good evening, Di", "Hello", "en"),
            ("Guten Abend, Eve", "Hallo Eve", "de"),
        ]
    );
}

#[test]
fn a_translation_is_checked_like_any_other_body() {
    let workspace = Workspace::new()
        .people(&PEOPLE)
        .file(
            "campaigns/a.toml",
            &campaign("body = \"a.md\"\n[email.subjects]\nde = \"Hallo\"\nfr = \"Bonjour\""),
        )
        .file("campaigns/a.md", "Hi {{ r.name }}\n")
        .file("campaigns/a.de.md", "Hallo {{ r.nmae }}\n");
    let found = workspace.run(["check", "--json"]).code(3).json_lines();
    let said: Vec<_> = found
        .iter()
        .map(|found| {
            format!(
                "{}:{} {} {}",
                found["file"], found["line"], found["severity"], found["code"]
            )
            .replace('"', "")
        })
        .collect();
    assert_eq!(
        said,
        [
            "campaigns/a.toml:11 warning no-translation",
            "campaigns/a.de.md:1 error unknown-field",
        ]
    );
    workspace.write("campaigns/b.toml", &campaign("body_text = \"x\""));
    let ran = workspace.run(["preview", "b", "--locale", "de"]).code(2);
    assert!(ran.stderr.contains("b is not translated"), "{}", ran.stderr);
}

#[test]
fn mjml_is_a_body() {
    let workspace = Workspace::new()
        .people(&PEOPLE)
        .file("campaigns/a.toml", &campaign("body = \"a.mjml\""))
        .file(
            "campaigns/a.mjml",
            "<mjml>\n  <mj-body>\n    {% if r.age > 38 %}\n    <mj-section><mj-column><mj-text>Since 1985</mj-text></mj-column></mj-section>\n    \
             {% endif %}\n    <mj-section>\n      <mj-column>\n        <mj-text>Hello {{ r.name }} &amp; all</mj-text>\n        \
             <mj-image src=\"logo.png\" alt=\"Our logo\" width=\"100px\" />\n        <mj-button href=\"https://acme.example/{{ r.id }}\">Go</mj-button>\n      \
             </mj-column>\n    </mj-section>\n  </mj-body>\n</mjml>\n",
        );
    write(&workspace, "campaigns/logo.png", PNG);
    workspace.run(["send", "a", "--yes"]).code(0);
    let Some(messages) = read(&workspace) else {
        return;
    };
    for (message, name, old) in [(&messages[0], "Ada", false), (&messages[1], "Bob", true)] {
        let (plain, html) = (
            message["plain"].as_str().unwrap(),
            message["html"].as_str().unwrap(),
        );
        assert!(plain.contains(&format!("Hello {name} & all")), "{plain}");
        assert_eq!(plain.contains("Since 1985"), old, "{plain}");
        assert_eq!(html.contains("Since 1985"), old);
        assert!(
            html.contains("src=\"cid:") && html.contains("<table"),
            "{html}"
        );
        assert!(
            html.contains("1 Main Street") && plain.contains("Unsubscribe: http"),
            "the way out is there"
        );
    }
    workspace.write(
        "campaigns/a.mjml",
        "<mjml>\n<mj-body>\n<mj-section>\n<mj-colum></mj-colum></mj-section></mj-body></mjml>\n",
    );
    let found = workspace.run(["check", "--json"]).code(3).json_lines();
    assert_eq!(
        (&found[0]["line"], &found[0]["column"]),
        (&4.into(), &2.into())
    );
    assert!(
        found[0]["help"].as_str().unwrap().contains("mj-column"),
        "{found:?}"
    );
}

#[test]
fn a_loop_that_tears_the_row_of_a_table_says_what_to_do() {
    let workspace = Workspace::new()
        .people(&PEOPLE)
        .file("campaigns/a.toml", &campaign("body = \"a.md\""))
        .file(
            "campaigns/a.md",
            "| a | b |\n|---|---|\n{% for x in [1, 2] %}| {{ x }} | {{ r.name }} |{% endfor %}\n",
        );
    let found = workspace.run(["check", "--json"]).code(3).json_lines();
    assert_eq!(
        (&found[0]["file"], &found[0]["line"]),
        (&"campaigns/a.md".into(), &3.into())
    );
    assert!(
        found[0]["help"]
            .as_str()
            .unwrap()
            .contains("on a line of its own"),
        "{found:?}"
    );
    workspace.write(
        "campaigns/a.md",
        "| a | b |\n|---|---|\n{% for x in [1, 2] %}\n| {{ x }} | {{ r.name }} |\n{% endfor %}\n",
    );
    workspace.run(["check"]).code(0);
}

#[test]
fn the_daemon_notices_a_new_translation_and_a_new_picture() {
    let workspace = Workspace::new()
        .replace(
            "campanile.toml",
            "email = \"email\"",
            "email = \"email\"\nlocale = \"name\"",
        )
        .people(&["1,ada@example.org,de,36"])
        .file("campaigns/a.toml", &campaign("body = \"a.md\""))
        .file("campaigns/a.md", "Hi\n\n![Logo](logo.png)\n")
        .file("campaigns/b.toml", &campaign("body_text = \"x\""));
    write(&workspace, "campaigns/logo.png", PNG);
    let _daemon = workspace.serve();
    let state = || {
        let status = workspace.run(["status", "--json"]).code(0).json();
        status["campaigns"][0]["state"].clone()
    };
    // Something else changes first: what is kept as it is stays under watch.
    workspace.write("campaigns/b.toml", "topic = ");
    wait_for("the other to be broken", || {
        let status = workspace.run(["status", "--json"]).code(0).json();
        (status["campaigns"][1]["state"] == "broken").then_some(())
    });
    write(&workspace, "campaigns/logo.png", b"no picture");
    wait_for("the campaign to be broken", || {
        (state() == "broken").then_some(())
    });
    write(&workspace, "campaigns/logo.png", PNG);
    wait_for("the campaign to be mended", || {
        (state() == "ready").then_some(())
    });
    workspace.write("campaigns/a.de.md", "Hallo {{ nobody }}\n");
    wait_for("the translation to be checked", || {
        (state() == "broken").then_some(())
    });
    workspace.write("campaigns/a.de.md", "Hallo\n");
    wait_for("the translation to be mended", || {
        (state() == "ready").then_some(())
    });
    workspace.run(["send", "a", "--yes"]).code(0);
    let Some(messages) = read(&workspace) else {
        return;
    };
    assert!(messages[0]["plain"].as_str().unwrap().starts_with("Hallo"));
}
