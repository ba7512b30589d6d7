//! Mail over SMTP: accepted, refused, deferred, several servers side by side, a server that is away.

use std::collections::BTreeMap;

use crate::support::{
    Workspace,
    smtp_server::{Reply, Script, SmtpServer},
    smtp_sink::SmtpSink,
    soon, wait_for,
};

const AUDIENCE: &str = "[audience]\nsource = \"people\"";

fn transport(name: &str, port: u16, more: &str) -> String {
    format!(
        "[transports.{name}]\nkind = \"smtp\"\nhost = \"127.0.0.1\"\nport = {port}\ntls = \"none\"\n{more}\n"
    )
}

/// Status and reason of every delivery of a run, by key.
fn report(workspace: &Workspace, run: u32) -> BTreeMap<String, (String, String)> {
    let rows = workspace
        .run(["report", &run.to_string(), "--json"])
        .code(0)
        .json_lines();
    let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
    rows.iter()
        .map(|row| {
            (
                text(&row["key"]),
                (text(&row["status"]), text(&row["reason"])),
            )
        })
        .collect()
}

#[test]
fn a_campaign_goes_out_to_a_real_server() {
    let dump = tempfile::tempdir().unwrap();
    let Some(sink) = SmtpSink::start_dumping(dump.path()) else {
        return;
    };
    let workspace = Workspace::new()
        .settings(&transport("main", sink.port(), ""))
        .crowd(300)
        .campaign("a", AUDIENCE);
    workspace.run(["send", "a", "--yes"]).code(0);
    let mut recipients: Vec<String> = std::fs::read_dir(dump.path())
        .unwrap()
        .map(|entry| std::fs::read_to_string(entry.unwrap().path()).unwrap())
        .map(|text| {
            text.lines()
                .find_map(|line| line.strip_prefix("X-Rcpt-Args: "))
                .unwrap_or_default()
                .to_owned()
        })
        .collect();
    recipients.sort();
    let mut expected: Vec<String> = (0..300).map(|i| format!("<p{i}@example.org>")).collect();
    expected.sort();
    assert_eq!(recipients, expected);
}

#[test]
fn each_refusal_has_its_status_and_the_servers_words() {
    let server = SmtpServer::start_blocking(|s| {
        s.rcpt("gone@example.org", Reply(550, "5.1.1 no such user"))
            .rcpt("full@example.org", Reply(552, "5.2.2 mailbox full"))
            .rcpt(
                "grey@example.org",
                Reply(451, "4.7.1 greylisted, come back"),
            )
            .times(1)
            .dot("spam@example.org", Reply(554, "5.7.1 looks like spam"))
    });
    let workspace = Workspace::new()
        .settings(&transport("main", server.port(), ""))
        .people(&[
            "1,ada@example.org,Ada,36",
            "2,gone@example.org,Bob,36",
            "3,full@example.org,Cy,36",
            "4,grey@example.org,Di,36",
            "5,spam@example.org,Eve,36",
            "6,fay@example.org,Fay,36",
        ])
        .campaign("a", &format!("{AUDIENCE}\ncooldown = \"none\""));
    workspace.run(["send", "a", "--yes"]).code(6);
    let report = report(&workspace, 1);
    let status = |key: &str| report[key].0.as_str();
    assert_eq!(
        ["1", "2", "3", "4", "5", "6"].map(status),
        ["sent", "failed", "failed", "sent", "failed", "sent"]
    );
    for (key, words) in [
        ("2", "5.1.1 no such user"),
        ("3", "5.2.2 mailbox full"),
        ("5", "5.7.1 looks like spam"),
    ] {
        assert!(report[key].1.contains(words), "{key}: {}", report[key].1);
    }
    // Only the mailbox that does not exist is not written to again.
    let plan = workspace.run(["plan", "a", "--json"]).json();
    assert_eq!(plan[0]["skipped"], serde_json::json!({"suppressed": 1}));
}

#[test]
fn a_refused_login_burns_nobody_and_another_server_goes_on() {
    let closed = SmtpServer::start_blocking(|s| s.user("acme", "right"));
    let open = SmtpServer::start_blocking(|s: Script| s);
    let workspace = Workspace::new()
        .settings(&format!(
            "{}{}",
            transport("closed", closed.port(), "username = \"acme\"\npassword = { env = \"TEST_SMTP_PASSWORD\" }"),
            transport("main", open.port(), ""),
        ))
        .file(".env-password", "wrong")
        .crowd(20)
        .campaign("a", &format!("{AUDIENCE}\n{}", soon(4)))
        .file(
            "campaigns/b.toml",
            &format!(
                "topic = \"news\"\n{AUDIENCE}\n{}\n[email]\nvia = \"closed\"\nsubject = \"Hi\"\nbody_text = \"Hi\"\n",
                soon(4)
            ),
        )
        .replace("campanile.toml", "{ env = \"TEST_SMTP_PASSWORD\" }", "{ file = \".env-password\" }");
    let daemon = workspace.serve();
    open.wait_accepted_blocking(20);
    let status = wait_for("the transport's error", || {
        let status = workspace.run(["status", "--json"]).json();
        let transports = status["transports"].as_array().unwrap().clone();
        let closed = transports
            .iter()
            .find(|transport| transport["name"] == "closed")?;
        (!closed["error"].is_null()).then_some(status)
    });
    for run in status["runs"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|run| run["campaign"] == "b")
    {
        for (status, n) in run["counts"].as_object().unwrap() {
            assert_eq!(status, "queued", "{n}");
        }
    }
    assert_eq!(closed.recipients(), [""; 0]);
    assert_eq!(daemon.terminate(), Some(0));
}

#[test]
fn a_server_that_comes_back_gets_what_waited() {
    let port = crate::support::free_port();
    let workspace = Workspace::new()
        .settings(&transport("main", port, ""))
        .crowd(5)
        .campaign("a", AUDIENCE);
    let daemon = workspace.serve();
    let mut sending = workspace.command(["send", "a", "--yes"]).spawn().unwrap();
    wait_for("the transport's error", || {
        let status = workspace.run(["status", "--json"]).json();
        (!status["transports"][0]["error"].is_null()).then_some(())
    });
    let server = SmtpServer::start_blocking_on(port, |s| s);
    server.wait_accepted_blocking(5);
    sending.wait().unwrap();
    let counts = workspace.run(["status", "--json"]).json()["runs"][0]["counts"].clone();
    assert_eq!(counts, serde_json::json!({"sent": 5}));
    assert_eq!(daemon.terminate(), Some(0));
}
