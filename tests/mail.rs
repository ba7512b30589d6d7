//! What other programs make of our messages: Python's `email` package reads them back.

use crate::support::{Workspace, peers::python};

const READER: &str = r"
import email, email.policy, json, sys
message = email.message_from_bytes(open(sys.argv[1], 'rb').read(), policy=email.policy.default)
raw = open(sys.argv[1], 'rb').read()
part = lambda kind: (message.get_body((kind,)).get_content() if message.get_body((kind,)) else None)
print(json.dumps({
    'from': str(message['From']), 'to': str(message['To']), 'subject': str(message['Subject']),
    'reply_to': str(message['Reply-To']), 'list_id': str(message['List-Id']), 'id': str(message['Message-ID']),
    'date': message['Date'].datetime.isoformat(), 'type': message.get_content_type(),
    'plain': part('plain'), 'html': part('html'),
    'longest': max(len(line) for line in raw.split(b'\r\n')),
    'bare': raw.replace(b'\r\n', b'').count(b'\n') + raw.replace(b'\r\n', b'').count(b'\r'),
    'defects': [str(d) for p in message.walk() for d in p.defects],
}))
";

fn read(workspace: &Workspace) -> Option<Vec<serde_json::Value>> {
    let mut files: Vec<_> = std::fs::read_dir(workspace.path("outbox"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    files
        .iter()
        .filter(|path| path.extension().is_some_and(|ending| ending == "eml"))
        .map(|path| {
            Some(serde_json::from_str(&python(READER, &[path.to_str().unwrap()])?).unwrap())
        })
        .collect()
}

#[test]
fn names_subjects_and_bodies_in_any_language_arrive_as_they_were_written() {
    let names = [
        "Ada King",
        "Jürgen Müßig",
        "李小龙",
        "محمد الفارسي",
        "Zoë 🌻",
        "O'Brien \"Bob\" <b>",
        "{{ 7 * 7 }}",
    ];
    let rows: Vec<String> = names
        .iter()
        .enumerate()
        .map(|(i, name)| format!("{i},p{i}@example.org,\"{}\",36", name.replace('"', "\"\"")))
        .collect();
    let rows: Vec<&str> = rows.iter().map(String::as_str).collect();
    let workspace = Workspace::new()
        .people(&rows)
        .file(
            "campaigns/a.toml",
            "topic = \"news\"\n[audience]\nsource = \"people\"\n[email]\nvia = \"main\"\nsubject = \"Grüße an {{ r.name }}\"\nbody = \
             \"a.md\"\n",
        )
        .file("campaigns/a.md", "# Hello {{ r.name }}!\n\nA **bold** word, a [link](https://acme.example/?q={{ r.id }}), and a table:\n\n| a | b |\n|---|---|\n| 1 | {{ r.name }} |\n");
    workspace.run(["send", "a", "--yes"]).code(0);
    let Some(messages) = read(&workspace) else {
        return;
    };
    assert_eq!(messages.len(), names.len());
    for message in &messages {
        let to = message["to"].as_str().unwrap();
        let i: usize = to
            .trim_start_matches('p')
            .split('@')
            .next()
            .unwrap()
            .parse()
            .unwrap();
        assert_eq!(message["subject"], format!("Grüße an {}", names[i]));
        assert_eq!(message["from"], "Acme Energy <news@acme.example>");
        assert_eq!(message["type"], "multipart/alternative");
        let (plain, html) = (
            message["plain"].as_str().unwrap(),
            message["html"].as_str().unwrap(),
        );
        assert!(plain.contains(&format!("Hello {}", names[i])), "{plain}");
        assert!(
            !html.contains("<b>") || !names[i].contains("<b>"),
            "what data says is no markup: {html}"
        );
        assert!(
            html.contains("<strong") && html.contains(&format!("https://acme.example/?q={i}")),
            "{html}"
        );
        assert_eq!(
            (message["bare"].as_u64(), message["defects"].clone()),
            (Some(0), serde_json::json!([]))
        );
        assert!(message["longest"].as_u64().unwrap() <= 998);
    }
}

#[test]
fn a_line_break_in_a_subject_is_refused_and_not_sent() {
    let workspace = Workspace::new()
        .people(&[
            "1,ada@example.org,\"Ada\r\nBcc: everybody@example.org\",36",
            "2,bob@example.org,Bob,36",
        ])
        .campaign("a", "[audience]\nsource = \"people\"");
    workspace.run(["send", "a", "--yes"]);
    assert_eq!(workspace.recipients(), ["bob@example.org"]);
    let rows = workspace.run(["report", "1", "--json"]).json_lines();
    let ada = rows.iter().find(|row| row["key"] == "1").unwrap();
    assert!(
        ada["reason"].as_str().unwrap().starts_with("render_error"),
        "{ada}"
    );
}
