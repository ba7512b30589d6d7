//! Law 1 and 2 through SIGKILL in the middle of a send, judged by what the server recorded.

use std::collections::{BTreeMap, BTreeSet};

use crate::support::{
    Workspace,
    smtp_server::{Reply, SmtpServer},
    wait_for,
};

const PEOPLE: usize = 600;
const BOUND: usize = 16;

#[test]
fn whoever_was_killed_in_the_middle_lost_nobody_and_sent_nothing_twice() {
    // Every dot takes a little, so that there is a middle to be killed in.
    let server = SmtpServer::start_blocking(|s| {
        s.dot(
            crate::support::smtp_server::When::Always,
            Reply(250, "2.0.0 taken").after(std::time::Duration::from_millis(3)),
        )
    });
    let workspace = Workspace::new()
        .settings(&format!(
            "[store]\nmax_in_doubt = {BOUND}\n[transports.main]\nkind = \"smtp\"\nhost = \"127.0.0.1\"\nport = {}\ntls = \"none\"\n",
            server.port()
        ))
        .crowd(PEOPLE)
        .campaign("a", "[audience]\nsource = \"people\"");
    let mut kills = 0;
    let mut daemon = workspace.serve();
    let mut sending = workspace.command(["send", "a", "--yes"]).spawn().unwrap();
    for part in 1..=4 {
        server.wait_accepted_blocking(PEOPLE * part / 6);
        daemon.kill();
        kills += 1;
        daemon = workspace.serve();
    }
    sending.wait().unwrap();
    let counts = wait_for("the run to end", || {
        let status = workspace.run(["status", "--json"]).json();
        (status["runs"][0]["state"] == "finished").then(|| status["runs"][0]["counts"].clone())
    });
    assert_eq!(daemon.terminate(), Some(0));

    let mut taken: BTreeMap<String, usize> = BTreeMap::new();
    for recipient in server.recipients() {
        *taken.entry(recipient).or_default() += 1;
    }
    let rows = workspace
        .run(["report", "1", "--json", "--unmasked"])
        .json_lines();
    assert_eq!(rows.len(), PEOPLE);
    let with = |status: &str| -> BTreeSet<String> {
        rows.iter()
            .filter(|row| row["status"] == status)
            .map(|row| row["address"].as_str().unwrap().to_owned())
            .collect()
    };
    let (sent, in_doubt) = (with("sent"), with("in_doubt"));
    assert_eq!(sent.len() + in_doubt.len(), PEOPLE, "{counts}");
    assert!(
        in_doubt.len() <= BOUND * kills,
        "{} in doubt after {kills} kills",
        in_doubt.len()
    );
    for (address, times) in &taken {
        assert_eq!(*times, 1, "{address}");
        assert!(
            sent.contains(address) || in_doubt.contains(address),
            "{address} is not in the ledger"
        );
    }
    for address in &sent {
        assert!(
            taken.contains_key(address),
            "{address} is sent in the ledger, and the server never took it"
        );
    }
}
