//! What is stored about a person: handed over whole, and erased so that nothing of it is left in any file of the store.

use serde_json::{Value, json};

use crate::support::{Workspace, wait_for};

const AUDIENCE: &str = "[audience]\nsource = \"people\"";

/// The files of the store that have these bytes.
fn files_with(workspace: &Workspace, text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut looked = 0;
    for entry in std::fs::read_dir(workspace.folder()).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if name.starts_with("campanile.db") && name != "campanile.db.sock" {
            looked += 1;
            let bytes = std::fs::read(&path).unwrap();
            let text = text.as_bytes();
            if bytes.windows(text.len()).any(|part| part == text) {
                found.push(name);
            }
        }
    }
    assert!(looked >= 1);
    found
}

fn report(workspace: &Workspace, run: &str) -> Vec<Value> {
    workspace
        .run(["report", run, "--json", "--unmasked"])
        .code(0)
        .json_lines()
}

fn run(workspace: &Workspace, id: u32) -> Value {
    let runs = workspace.run(["status", "--json"]).json()["runs"].clone();
    let runs = runs.as_array().unwrap();
    runs.iter().find(|run| run["id"] == id).unwrap().clone()
}

/// Ada Secretname had `a`, has unsubscribed by hand from the news, and waits in the held `b`, which is transactional; Bob and a
/// crowd are beside her.
fn stored() -> Workspace {
    let mut people = vec![
        "ada-key,ada@example.org,Ada Secretname,36".to_owned(),
        "bob-key,bob@example.org,Bob Neighbour,40".to_owned(),
    ];
    people.extend((0..60).map(|n| format!("k{n},k{n}@example.org,Person {n},20")));
    let people: Vec<_> = people.iter().map(String::as_str).collect();
    let workspace = Workspace::new()
        .people(&people)
        .campaign("a", &format!("{AUDIENCE}\ncooldown = \"30d\""))
        .campaign("b", &format!("{AUDIENCE}\nmax_recipients = 10"))
        .replace("campaigns/b.toml", "\"news\"", "\"billing\"");
    workspace.run(["send", "a", "--yes", "--as", "one"]).code(0);
    workspace.run(["send", "b", "--yes"]).code(5);
    workspace
        .run([
            "suppress",
            "add",
            "ada@example.org",
            "--key",
            "people:ada-key",
            "--topic",
            "news",
            "--reason",
            "unsubscribed",
        ])
        .code(0);
    workspace
}

#[test]
fn everything_that_is_stored_is_handed_over() {
    let workspace = stored();
    let export = workspace
        .run(["person", "export", "Ada@Example.org"])
        .code(0)
        .json();
    assert_eq!(export["recipients"], json!(["people:ada-key"]));
    let deliveries = export["deliveries"].as_array().unwrap();
    assert_eq!(deliveries.len(), 2);
    let (sent, waiting) = (&deliveries[0], &deliveries[1]);
    assert_eq!(
        (&sent["campaign"], &sent["occurrence"], &sent["status"]),
        (&json!("a"), &json!("one"), &json!("sent"))
    );
    assert_eq!(
        (&sent["key"], &sent["address"]),
        (&json!("ada-key"), &json!("ada@example.org"))
    );
    assert!(
        sent["message_id"]
            .as_str()
            .unwrap()
            .contains("@acme.example")
    );
    assert!(sent["first_try"].is_string() && sent["at"].is_string());
    // What the message needed is gone with it, and there as long as it is to be sent.
    assert_eq!(sent["stored"], json!({}));
    assert_eq!(
        (&waiting["campaign"], &waiting["status"]),
        (&json!("b"), &json!("queued"))
    );
    assert_eq!(waiting["stored"], json!({"r.name": "Ada Secretname"}));
    let suppressions = export["suppressions"].as_array().unwrap();
    let mut of: Vec<_> = suppressions.iter().map(|entry| &entry["of"]).collect();
    of.sort_by_key(ToString::to_string);
    assert_eq!(of, [&json!("address"), &json!("recipient")]);
    assert_eq!(suppressions[0]["topic"], "news");
    assert!(!export.to_string().contains("bob"));

    let nobody = workspace
        .run(["person", "export", "nobody@example.org"])
        .code(0)
        .json();
    assert_eq!(nobody["deliveries"], json!([]));
}

#[test]
fn forgetting_leaves_hashes_and_nothing_else_while_the_daemon_runs() {
    let workspace = stored();
    let daemon = workspace.serve();
    for text in ["ada@example.org", "ada-key", "Ada Secretname"] {
        assert_ne!(files_with(&workspace, text), [""; 0], "{text}");
    }
    // Without a terminal it wants to be told.
    workspace
        .run(["person", "forget", "ada@example.org"])
        .code(2);
    let forgot = workspace
        .run(["person", "forget", "ada@example.org", "--yes"])
        .code(0);
    assert!(
        forgot.stdout.contains(
            "erased 2 deliveries (1 of them were still to be sent and are cancelled); 2 suppressions left with nothing but a hash"
        ),
        "{}",
        forgot.stdout
    );
    for text in ["ada@example.org", "ada-key", "Ada Secretname"] {
        assert_eq!(files_with(&workspace, text), [""; 0], "{text}");
    }
    assert_ne!(files_with(&workspace, "bob@example.org"), [""; 0]);

    // The books still balance, and show that somebody was there.
    let first = report(&workspace, "1");
    assert_eq!(first.len(), 62);
    let erased: Vec<_> = first.iter().filter(|row| row["erased"] == true).collect();
    assert_eq!(erased.len(), 1);
    assert_eq!(
        (
            &erased[0]["key"],
            &erased[0]["address"],
            &erased[0]["status"]
        ),
        (&json!(""), &json!(""), &json!("sent"))
    );
    let table = workspace.run(["report", "1"]).code(0).stdout;
    assert!(table.contains("(erased)"), "{table}");
    assert_eq!(
        run(&workspace, 2)["counts"],
        json!({"queued": 61, "cancelled": 1})
    );
    let list = workspace.run(["suppress", "list", "--json"]).json_lines();
    assert_eq!(list.len(), 2);

    // Cooldown and suppression go on without her data: she is still in the source.
    let plan = workspace.run(["plan", "a", "--json"]).json();
    assert_eq!(
        plan[0]["skipped"],
        json!({"unsubscribed": 1, "cooldown": 61})
    );
    // Who was to get it gets it, she does not.
    workspace.run(["resume", "2"]).code(0);
    wait_for("the rest of the run", || {
        (run(&workspace, 2)["state"] == "finished").then_some(())
    });
    let got = workspace.recipients();
    assert_eq!(got.len(), 62 + 61);
    let hers = got.iter().filter(|to| *to == "ada@example.org").count();
    assert_eq!(hers, 1);
    // Once more finds nothing.
    let again = workspace
        .run(["person", "forget", "ada@example.org", "--yes"])
        .code(0);
    assert!(
        again.stdout.starts_with("erased 0 deliveries; 0 "),
        "{}",
        again.stdout
    );
    assert_eq!(daemon.terminate(), Some(0));
    assert_eq!(files_with(&workspace, "ada@example.org"), [""; 0]);
}

#[test]
fn a_key_finds_what_went_to_another_address_and_what_was_never_sent() {
    let workspace = Workspace::new()
        .people(&["1,old@example.org,Ada,36", "2,bob@example.org,Bob,40"])
        .campaign("a", &format!("{AUDIENCE}\ncooldown = \"none\""));
    workspace.run(["send", "a", "--yes", "--as", "one"]).code(0);
    let workspace = workspace.people(&["1,new@example.org,Ada,36", "2,bob@example.org,Bob,40"]);
    workspace
        .run(["suppress", "add", "new@example.org"])
        .code(0);
    // Skipped: it stands in the report with its address all the same.
    workspace.run(["send", "a", "--yes", "--as", "two"]).code(0);
    let export = |more: &[&str]| {
        let arguments = ["person", "export", "new@example.org"];
        let export = workspace.run(arguments.iter().chain(more)).code(0).json();
        export["deliveries"].as_array().unwrap().len()
    };
    assert_eq!(export(&[]), 1);
    assert_eq!(export(&["--key", "people:1"]), 2);
    workspace
        .run([
            "person",
            "forget",
            "new@example.org",
            "--key",
            "people:1",
            "--yes",
            "--json",
        ])
        .code(0);
    for text in ["old@example.org", "new@example.org"] {
        assert_eq!(files_with(&workspace, text), [""; 0], "{text}");
    }
    assert_ne!(files_with(&workspace, "bob@example.org"), [""; 0]);
    // The suppression holds without the address.
    let plan = workspace.run(["plan", "a", "--json"]).json();
    assert_eq!(plan[0]["skipped"], json!({"suppressed": 1}));
    let unknown = workspace.run(["person", "export", "a@b.example", "--key", "nowhere:1"]);
    assert!(unknown.code(2).stderr.contains("no source nowhere"));
}
