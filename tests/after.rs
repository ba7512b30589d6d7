//! `[after]`: what follows a delivery that was sent, at least once, through refusals, locks and kill -9.

use std::{fs, net::TcpListener, process::Command};

use crate::support::{Hook, Workspace, wait_for};

fn campaign(after: &str) -> String {
    format!(
        "topic = \"billing\"\n[audience]\nsource = \"people\"\n[email]\nvia = \"main\"\nsubject = \"Hello\"\n\
         body_text = \"Dear {{{{ r.name }}}}.\"\n[after]\n{after}\n"
    )
}

fn webhook(hook: &Hook) -> String {
    campaign(&format!(
        "webhook = \"{}\"\nsecret = {{ file = \"../secret.txt\" }}",
        hook.url()
    ))
}

fn with_hook(hook: &Hook, people: usize) -> Workspace {
    Workspace::new()
        .crowd(people)
        .file("secret.txt", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\n")
        .file("campaigns/a.toml", &webhook(hook))
}

fn keys(people: usize) -> Vec<String> {
    let mut keys: Vec<_> = (0..people).map(|key| key.to_string()).collect();
    keys.sort();
    keys
}

/// The effects of run 1 as `status` has them.
fn effects(workspace: &Workspace) -> serde_json::Value {
    let status = workspace.run(["status", "--json"]).code(0).json();
    status["runs"][0]["effects"].clone()
}

#[test]
fn each_delivery_that_was_sent_is_told_once_and_signed() {
    let hook = Hook::start(|_, _| "204 No Content".to_owned());
    let workspace = with_hook(&hook, 3);
    workspace.run(["check"]).code(0);
    workspace.run(["send", "a", "--as", "x", "--yes"]).code(0);
    assert_eq!(hook.accepted(), keys(3));
    assert!(effects(&workspace).is_null());
    let call = hook
        .calls()
        .into_iter()
        .find(|call| call.json()["data"]["key"] == "1");
    let call = call.unwrap();
    let data = &call.json()["data"];
    assert_eq!(call.json()["type"], "delivery.sent");
    assert_eq!(data["campaign"], "a");
    assert_eq!(data["occurrence"], "x");
    assert_eq!(data["address"], "p1@example.org");
    assert_eq!(data["run"], 1);
    let verify = "import sys,hmac,hashlib,base64\n\
        key=base64.b64decode('MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw')\n\
        print('v1,'+base64.b64encode(hmac.new(key,sys.argv[1].encode(),hashlib.sha256).digest()).decode())";
    let signed = format!(
        "{}.{}.{}",
        call.headers["webhook-id"], call.headers["webhook-timestamp"], call.body
    );
    let Ok(python) = Command::new("python3")
        .args(["-c", verify, &signed])
        .output()
    else {
        return;
    };
    let expected = String::from_utf8(python.stdout).unwrap();
    assert_eq!(call.headers["webhook-signature"], expected.trim());
}

#[test]
fn a_refusal_is_tried_again_with_the_same_id_and_410_is_given_up() {
    let hook = Hook::start(|n, body| {
        if body.contains("\"key\":\"1\"") {
            return "410 Gone".to_owned();
        }
        match n {
            0..3 => "503 Service Unavailable".to_owned(),
            3 => "302 Found\r\nLocation: http://127.0.0.1:1/elsewhere".to_owned(),
            4 => "400 Bad Request".to_owned(),
            _ => "200 OK".to_owned(),
        }
    });
    let workspace = with_hook(&hook, 3);
    let daemon = workspace.serve();
    workspace.run(["send", "a", "--yes"]).code(0);
    wait_for("everybody to be told", || {
        (hook.accepted() == ["0", "2"]).then_some(())
    });
    wait_for("the outcome to be recorded", || {
        let effects = effects(&workspace);
        (effects["waiting"] == 0 && effects["failed"] == 1).then_some(())
    });
    let status = workspace.run(["status"]).code(0).stdout;
    assert!(
        status.contains("1 given up (it answered 410 Gone)"),
        "{status}"
    );
    let ids = |key: &str| {
        let calls = hook.calls();
        let calls = calls
            .iter()
            .filter(|call| call.json()["data"]["key"] == key);
        calls
            .map(|call| call.headers["webhook-id"].clone())
            .collect::<Vec<_>>()
    };
    let (one, other) = (ids("0"), ids("2"));
    assert!(one.iter().all(|id| *id == one[0]) && other.iter().all(|id| *id == other[0]));
    assert_ne!(one[0], other[0]);
    assert_eq!(ids("1").len(), 1, "what is gone is not called again");
    assert_eq!(daemon.terminate(), Some(0));
}

#[test]
fn a_hook_that_is_away_does_not_hold_up_sending_and_kill_9_loses_nobody() {
    let port = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let text = campaign(&format!(
        "webhook = \"http://127.0.0.1:{port}/sent\"\nsecret = {{ file = \"../secret.txt\" }}"
    ));
    let workspace = Workspace::new()
        .crowd(40)
        .file("secret.txt", "a secret")
        .file("campaigns/a.toml", &text);
    let daemon = workspace.serve();
    workspace.run(["send", "a", "--yes"]).code(0);
    assert_eq!(workspace.outbox().len(), 40);
    wait_for("the words to be seen", || {
        let effects = effects(&workspace);
        (effects["waiting"] == 40 && !effects["words"].is_null()).then_some(())
    });
    daemon.kill();
    // An edit of the campaign counts from its next run on.
    let workspace = workspace.replace("campaigns/a.toml", "/sent", "/other");
    let hook = Hook::on(TcpListener::bind(("127.0.0.1", port)).unwrap(), |_, _| {
        "200 OK".to_owned()
    });
    let daemon = workspace.serve();
    wait_for("everybody to be told", || {
        (hook.accepted().len() >= 20).then_some(())
    });
    daemon.kill();
    let daemon = workspace.serve();
    wait_for("everybody to be told", || {
        let mut accepted = hook.accepted();
        accepted.dedup();
        (accepted == keys(40)).then_some(())
    });
    wait_for("nothing to wait", || {
        effects(&workspace).is_null().then_some(())
    });
    assert_eq!(workspace.outbox().len(), 40);
    drop(daemon);
}

const TICKETS: &str = "CREATE TABLE tickets (id INTEGER PRIMARY KEY, email TEXT, status TEXT NOT NULL, told TEXT);
    INSERT INTO tickets VALUES (1, 'ada@example.org', 'done', NULL), (2, 'bob@example.org', 'done', NULL),
        (3, 'no address', 'done', NULL), (4, 'eve@example.org', 'open', NULL);";

fn tickets(update: &str) -> Workspace {
    let workspace = Workspace::new()
        .people(&[])
        .more_settings(
            "[sources.tickets]\nkind = \"sqlite\"\npath = \"crm.db\"\nkey = \"id\"\nemail = \"email\"\n\
             query = \"SELECT id, email FROM tickets WHERE status = 'done'\"\n",
        )
        .file(
            "campaigns/a.toml",
            &format!(
                "topic = \"billing\"\n[audience]\nsource = \"tickets\"\n[email]\nvia = \"main\"\nsubject = \"Done\"\n\
                 body_text = \"It is done.\"\n[after]\nupdate = \"{update}\"\n"
            ),
        );
    database(&workspace).execute_batch(TICKETS).unwrap();
    workspace
}

fn database(workspace: &Workspace) -> rusqlite::Connection {
    rusqlite::Connection::open(workspace.path("crm.db")).unwrap()
}

fn closed(workspace: &Workspace) -> Vec<String> {
    let db = database(workspace);
    let mut rows = db
        .prepare("SELECT id, told FROM tickets WHERE status = 'closed' ORDER BY id")
        .unwrap();
    let rows = rows.query_map([], |row| {
        let told: Option<String> = row.get(1)?;
        Ok(format!(
            "{} {}",
            row.get::<_, i64>(0)?,
            told.unwrap_or_default()
        ))
    });
    rows.unwrap().map(Result::unwrap).collect()
}

#[test]
fn the_database_is_changed_for_those_who_were_sent_to() {
    let workspace = tickets(
        "UPDATE tickets SET status = 'closed', told = :campaign || ' ' || :occurrence || ' ' || :address || ' ' || :run || ' ' || :delivery WHERE id = :key",
    );
    workspace.run(["check"]).code(0);
    workspace.run(["send", "a", "--as", "x", "--yes"]).code(0);
    let closed = closed(&workspace);
    assert_eq!(closed.len(), 2, "{closed:?}");
    assert!(
        closed[0].starts_with("1 a x ada@example.org 1 1-"),
        "{closed:?}"
    );
    assert!(effects(&workspace).is_null());
    workspace.run(["send", "a", "--as", "y", "--yes"]).code(5);
}

#[test]
fn a_locked_database_is_tried_again_until_it_holds() {
    let workspace = tickets("UPDATE tickets SET status = 'closed' WHERE id = :key");
    let daemon = workspace.serve();
    let db = database(&workspace);
    db.execute_batch("PRAGMA journal_mode = WAL; BEGIN IMMEDIATE")
        .unwrap();
    workspace.run(["send", "a", "--yes"]).code(0);
    assert_eq!(workspace.outbox().len(), 2);
    wait_for("the lock to be seen", || {
        let words = effects(&workspace)["words"].as_str().map(str::to_owned);
        words.filter(|words| words.contains("database is locked"))
    });
    db.execute_batch("COMMIT").unwrap();
    wait_for("the tickets to be closed", || {
        (closed(&workspace).len() == 2).then_some(())
    });
    assert_eq!(daemon.terminate(), Some(0));
}

#[test]
fn mistakes_are_found_by_check() {
    let people = |after: &str| {
        Workspace::new()
            .people(&[])
            .file("campaigns/a.toml", &campaign(after))
    };
    let statement = |update: &str| tickets(update);
    for (workspace, expected) in [
        (people(""), "`[after]` does nothing"),
        (
            people("webhook = \"http://crm.example.org/x\"\nsecret = { env = \"X\" }"),
            "only https",
        ),
        (
            people("webhook = \"crm\"\nsecret = { env = \"X\" }"),
            "expected an address",
        ),
        (
            people("webhook = \"https://u:p@crm.example.org/\"\nsecret = { env = \"X\" }"),
            "a login does not belong",
        ),
        (
            people("webhook = \"https://crm.example.org/\""),
            "`webhook` needs `secret`",
        ),
        (
            people("webhook = \"https://crm.example.org/\"\nsecret = \"x\""),
            "env",
        ),
        (
            people("update = \"UPDATE a SET b = 1\""),
            "the source `people` is none",
        ),
        (
            people("updat = \"UPDATE a SET b = 1\""),
            "did you mean `update`",
        ),
        (
            statement("UPDATE tickets SET sttus = 'x' WHERE id = :key"),
            "no such column: sttus",
        ),
        (
            statement("UPDATE tickets SET status = 'x' WHERE id = :id"),
            "there is no parameter :id",
        ),
        (statement("SELECT 1"), "it changes nothing"),
    ] {
        let ran = workspace.run(["check"]).code(3);
        assert!(ran.stderr.contains(expected), "{expected}:\n{}", ran.stderr);
    }
    // The caret stands in the statement.
    let ran = statement("UPDATE tickets SET status = 'x' WHERE iid = :key")
        .run(["check", "--json"])
        .code(3);
    let found = &ran.json_lines()[0];
    assert_eq!(
        (found["line"].as_u64(), found["column"].as_u64()),
        (Some(9), Some(49))
    );
    // Without the database the statement can't be told wrong, and the source says why.
    let workspace = statement("UPDATE tickets SET sttus = 'x'");
    fs::remove_file(workspace.path("crm.db")).unwrap();
    let ran = workspace.run(["check"]).code(3);
    assert!(
        ran.stderr.contains("there is no such file") && !ran.stderr.contains("sttus:"),
        "{}",
        ran.stderr
    );
}
