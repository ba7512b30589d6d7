//! Laws 1 and 2 through SIGKILL at any instant, judged by what the server recorded, not by what we say of ourselves.
//!
//! `CAMPANILE_KILLS=300 cargo test --test integration crash` kills longer; `CAMPANILE_SEED` repeats the instants of a run.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use serde_json::Value;

use crate::support::{
    Daemon, Workspace,
    smtp_server::{Accepted, Reply, SmtpServer, When},
    soon, wait_for,
    workspace::campaign,
};

const AUDIENCE: &str = "[audience]\nsource = \"people\"";

/// Instants by chance, the same for the same seed (xorshift64*).
struct Chance(u64);

impl Chance {
    fn new() -> Self {
        let given = std::env::var("CAMPANILE_SEED").ok();
        let now = std::time::UNIX_EPOCH.elapsed().unwrap().as_nanos() as u64;
        let seed = given.map_or(now, |seed| seed.parse().unwrap()).max(1);
        eprintln!("CAMPANILE_SEED={seed}");
        Self(seed)
    }

    fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) % end
    }

    /// Lets a moment pass, so that the kill meets whatever is being done then.
    fn moment(&mut self, most: Duration) {
        std::thread::sleep(Duration::from_micros(self.below(most.as_micros() as u64)));
    }
}

/// One campaign to a server that takes a moment for every message, and the daemon that is killed again and again.
struct Harness {
    server: SmtpServer,
    workspace: Workspace,
    chance: Chance,
    people: usize,
    bound: usize,
    /// Whether some of the starts are killed too.
    also_at_start: bool,
    /// Everybody who was in doubt after one of the kills.
    doubted: BTreeSet<String>,
}

impl Harness {
    fn new(people: usize, bound: usize, more: &str) -> Self {
        let pause = Duration::from_millis(1);
        let server = SmtpServer::start_blocking(|s| {
            s.dot(When::Always, Reply(250, "2.0.0 taken").after(pause))
        });
        let settings = format!(
            "[store]\nmax_in_doubt = {bound}\n[transports.main]\nkind = \"smtp\"\nhost = \"127.0.0.1\"\nport = {}\ntls = \
             \"none\"\nconnections = 16\n",
            server.port()
        );
        let workspace = Workspace::new()
            .settings(&settings)
            .crowd(people)
            .campaign("a", &format!("{AUDIENCE}\n{more}"));
        // What is due at or before its first sight never fires: it is seen first, and scheduled then.
        workspace.serve().kill();
        workspace.write(
            "campaigns/a.toml",
            &campaign(&format!("{AUDIENCE}\n{}\n{more}", soon(1))),
        );
        Self {
            server,
            workspace,
            chance: Chance::new(),
            people,
            bound,
            also_at_start: true,
            doubted: BTreeSet::new(),
        }
    }

    /// Kills while the plan is made: nothing of it may be left, and nobody may be missing from the next.
    fn kill_while_planning(&mut self, times: usize) {
        let mut daemon = self.workspace.serve();
        for _ in 0..times {
            wait_for("the plan to be made", || {
                let log = daemon.log();
                let begun = log.matches("planning").count();
                (begun > 0 && (begun > log.matches("planned").count() || self.server.count() > 0))
                    .then_some(())
            });
            self.chance.moment(Duration::from_millis(150));
            daemon.kill();
            daemon = self.workspace.serve();
        }
        daemon.kill();
    }

    /// Kills while it sends, at `kills` instants spread over the run; some of them while it starts again.
    fn kill_while_sending(&mut self, kills: usize) {
        let mut in_doubt = self.in_doubt().len();
        for kill in 1..=kills {
            let daemon = Daemon::launch(&self.workspace);
            let share = self.people * kill / (kills + 1);
            let (server, log) = (&self.server, || daemon.log());
            wait_for("messages", || {
                assert!(!log().contains("panicked"), "{}", log());
                (server.count() >= share || self.ended()).then_some(())
            });
            self.chance.moment(Duration::from_millis(30));
            daemon.kill();
            let mut killed = 1;
            if self.also_at_start && self.chance.below(4) == 0 {
                let starting = Daemon::launch(&self.workspace);
                self.chance.moment(Duration::from_millis(200));
                starting.kill();
                killed += 1;
            }
            // The kill's intents are in doubt once somebody has taken the store over, and before anything more is sent.
            let before = in_doubt;
            let now = self.after_take_over();
            in_doubt = now.len();
            let new = in_doubt.saturating_sub(before);
            // The connections would carry twice as many.
            assert!(
                new <= killed * self.bound,
                "{new} more in doubt after {killed} kills"
            );
            self.doubted.extend(now);
        }
    }

    /// Who is in doubt after the store was taken over, with nothing sent in between: a command that writes takes the store
    /// over, and sends nothing.
    fn after_take_over(&self) -> BTreeSet<String> {
        let added = self
            .workspace
            .run(["suppress", "add", "nobody@elsewhere.example"]);
        assert!(added.code == Some(0), "{}", added.stderr);
        self.in_doubt()
    }

    /// Who is in doubt, or was and is queued again by the campaign's policy.
    fn in_doubt(&self) -> BTreeSet<String> {
        let asked = "deliveries --status in_doubt,queued --json --unmasked";
        let rows = self.workspace.run(asked.split(' ')).code(0).json_lines();
        let doubtful = rows.iter().filter(|row| {
            row["status"] == "in_doubt" || row["attempts"].as_u64().is_some_and(|n| n > 0)
        });
        doubtful.map(address).collect()
    }

    /// The run: the only one that is left of those whose planning was cut off.
    fn run(&self) -> Value {
        let status = self.workspace.run(["status", "--json"]).json();
        let runs = status["runs"].as_array().unwrap();
        assert!(runs.len() <= 1, "{status}");
        runs.first().cloned().unwrap_or_default()
    }

    fn ended(&self) -> bool {
        self.run()["state"] == "finished"
    }

    /// Lets it end in peace.
    fn finish(&self) -> Vec<Value> {
        let daemon = self.workspace.serve();
        wait_for("the run to end", || self.ended().then_some(()));
        assert_eq!(daemon.terminate(), Some(0));
        let run = self.run()["id"].to_string();
        let report = self.workspace.run(["report", &run, "--json", "--unmasked"]);
        report.json_lines()
    }

    /// How often the server took a message for each.
    fn taken(&self) -> BTreeMap<String, Vec<Accepted>> {
        let mut taken: BTreeMap<String, Vec<Accepted>> = BTreeMap::new();
        for message in self.server.accepted() {
            taken
                .entry(message.to[0].clone())
                .or_default()
                .push(message);
        }
        taken
    }
}

fn address(row: &Value) -> String {
    row["address"].as_str().unwrap().to_owned()
}

fn with(rows: &[Value], status: &str) -> BTreeSet<String> {
    let with = rows.iter().filter(|row| row["status"] == status);
    with.map(address).collect()
}

fn number(name: &str, default: usize) -> usize {
    std::env::var(name).map_or(default, |text| text.parse().unwrap())
}

#[test]
fn whoever_was_killed_again_and_again_lost_nobody_and_sent_nothing_twice() {
    let kills = number("CAMPANILE_KILLS", 30);
    let mut harness = Harness::new(number("CAMPANILE_CROWD", 20_000), 64, "");
    harness.kill_while_planning(3);
    harness.kill_while_sending(kills.saturating_sub(3));
    let rows = harness.finish();

    assert_eq!(rows.len(), harness.people, "everybody is in the ledger");
    let (sent, in_doubt) = (with(&rows, "sent"), with(&rows, "in_doubt"));
    assert_eq!(
        sent.len() + in_doubt.len(),
        harness.people,
        "everybody was sent to or is in doubt"
    );
    let taken = harness.taken();
    for (address, messages) in &taken {
        assert_eq!(messages.len(), 1, "{address} got it twice");
        assert!(
            sent.contains(address) || in_doubt.contains(address),
            "{address} was taken and is not in the ledger"
        );
    }
    for address in &sent {
        assert!(
            taken.contains_key(address),
            "{address} is sent in the ledger, and the server never took it"
        );
    }
    assert!(
        in_doubt == harness.doubted,
        "who is in doubt stays in doubt: {:?}",
        in_doubt.symmetric_difference(&harness.doubted)
    );
    eprintln!(
        "{} kills: {} sent, {} in doubt, of whom the server took {}",
        kills,
        sent.len(),
        in_doubt.len(),
        in_doubt
            .iter()
            .filter(|address| taken.contains_key(*address))
            .count()
    );
}

#[test]
fn who_asked_for_resending_gets_nobody_twice_who_was_not_in_doubt() {
    let mut harness = Harness::new(1_500, 16, "[reach]\nin_doubt = \"resend\"");
    // A start would settle the doubt and send again before anybody could note who was in doubt.
    harness.also_at_start = false;
    harness.kill_while_sending(5);
    let rows = harness.finish();
    let in_doubt = with(&rows, "in_doubt");
    assert_eq!(with(&rows, "sent").len() + in_doubt.len(), harness.people);
    for (address, messages) in harness.taken() {
        if messages.len() > 1 {
            assert!(
                harness.doubted.contains(&address),
                "{address} was never in doubt"
            );
            let id = |message: &Accepted| {
                let text = String::from_utf8_lossy(&message.bytes).into_owned();
                text.lines()
                    .find(|line| line.starts_with("Message-ID:"))
                    .unwrap()
                    .to_owned()
            };
            assert_eq!(
                id(&messages[0]),
                id(&messages[1]),
                "a resend is recognisable"
            );
        }
    }
}
