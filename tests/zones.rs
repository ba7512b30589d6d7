//! The time where each recipient is, and schedules through two years of changing clocks.

use campanile::{
    model::{Missed, Period, Place, Schedule, SourceFile, Timing, Unit},
    schedule,
};
use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use crate::support::{
    Workspace,
    embedded::{Embedded, TestClock},
    peers::python,
    wait_for,
};

const TWELVE: [&str; 12] = [
    "Europe/Berlin",
    "America/New_York",
    // Half an hour, two hours, and backwards through Ramadan.
    "Australia/Lord_Howe",
    "Antarctica/Troll",
    "Africa/Casablanca",
    // At midnight.
    "America/Santiago",
    "Africa/Cairo",
    "America/Havana",
    "Asia/Beirut",
    // Offsets of three quarters of an hour; at 22:00 the evening before.
    "Pacific/Chatham",
    "Asia/Kathmandu",
    "Pacific/Easter",
];

/// The rules, as the reference reads them.
fn rules() -> Vec<Value> {
    let mut rules = Vec::new();
    for time in [
        "00:00", "00:30", "01:30", "02:00", "02:15", "02:30", "03:00", "22:30", "23:30",
    ] {
        rules.push(json!({"kind": "every", "count": 1, "unit": "d", "time": time}));
    }
    rules.extend([
        json!({"kind": "every", "count": 3, "unit": "d", "time": "02:45", "start": "2026-01-02"}),
        json!({"kind": "every", "count": 2, "unit": "w", "time": "00:15", "start": "2026-03-01"}),
        json!({"kind": "every", "count": 1, "unit": "mo", "time": "02:20", "start": "2026-01-31"}),
        json!({"kind": "every", "count": 1, "unit": "mo", "time": "23:59", "start": "2025-10-31"}),
        json!({"kind": "elapsed", "minutes": 120}),
        json!({"kind": "elapsed", "minutes": 90}),
        json!({"kind": "at", "at": "2026-03-29T02:30:00"}),
        json!({"kind": "at", "at": "2027-10-03T02:15:00"}),
    ]);
    for cron in [
        "30 2 * * *",
        "0 0 * * *",
        "*/20 0-3 * * *",
        "15,45 1,2,3 * * sun",
        "*/30 * * 3-4,9-11 *",
        "7 * * * sat,sun",
        "0 */2 * * *",
        "0 9 13 * fri",
        "30 23 31 * *",
        "0 3 29 2-3 *",
    ] {
        rules.push(json!({"kind": "cron", "cron": cron}));
    }
    rules
}

/// The same rule as the engine reads it.
fn schedule_of(rule: &Value, zone: &str) -> Schedule {
    let text = |key: &str| rule[key].as_str().unwrap_or_default();
    let count = |key: &str| u32::try_from(rule[key].as_u64().unwrap()).unwrap();
    let timing = match text("kind") {
        "at" => Timing::At(text("at").parse().unwrap()),
        "every" => Timing::Every {
            period: format!("{}{}", count("count"), text("unit"))
                .parse()
                .unwrap(),
            time: text("time").parse().unwrap(),
        },
        "elapsed" => Timing::Every {
            period: Period {
                count: count("minutes"),
                unit: Unit::Minute,
            },
            time: chrono::NaiveTime::MIN,
        },
        _ => Timing::Cron(text("cron").parse().unwrap()),
    };
    Schedule {
        timing,
        timezone: zone.parse().unwrap(),
        by_recipient: false,
        plan_ahead: None,
        start: rule["start"].as_str().map(|start| start.parse().unwrap()),
        until: None,
        missed: Missed::Skip,
        grace: Period::hours(1),
        place: Place::start_of(&SourceFile::new("a.toml", "")),
    }
}

#[test]
fn two_years_of_changing_clocks_in_twelve_zones_as_another_implementation_has_them() {
    let cases: Vec<Value> = TWELVE
        .iter()
        .flat_map(|zone| {
            rules().into_iter().map(move |mut rule| {
                rule["zone"] = json!(zone);
                rule
            })
        })
        .collect();
    // Both read the system's database.
    let reference = include_str!("reference/schedule.py");
    let Some(printed) = python(reference, &[&serde_json::to_string(&cases).unwrap()]) else {
        return;
    };
    let mut expected: Vec<Vec<(&str, i64)>> = vec![Vec::new(); cases.len()];
    for line in printed.lines() {
        let mut parts = line.split('\t');
        let mut part = || parts.next().unwrap();
        let (case, name, seconds): (usize, _, _) = (part().parse().unwrap(), part(), part());
        expected[case].push((name, seconds.parse().unwrap()));
    }
    let (begin, end): (DateTime<Utc>, DateTime<Utc>) = (
        "2025-12-31T23:59:59Z".parse().unwrap(),
        "2027-12-31T23:59:59Z".parse().unwrap(),
    );
    let mut compared = 0;
    for (case, expected) in cases.iter().zip(expected) {
        let schedule = schedule_of(case, case["zone"].as_str().unwrap());
        let found: Vec<_> = schedule::between(&schedule, begin, end)
            .map(|occurrence| (occurrence.name.to_string(), occurrence.due.timestamp()))
            .collect();
        let wrong = found
            .iter()
            .zip(&expected)
            .find(|((name, due), (other, moment))| name != other || due != moment);
        assert_eq!(wrong, None, "{case}");
        assert_eq!(found.len(), expected.len(), "{case}");
        compared += found.len();
    }
    assert!(compared > 500_000, "{compared}");
}

/// Somebody in each of these zones, named after it, in a workspace whose default zone is Berlin's.
fn around_the_world(campaign: &str) -> Workspace {
    let zones = [
        ("kiritimati", "Pacific/Kiritimati"),
        ("howe", "Australia/Lord_Howe"),
        ("kathmandu", "Asia/Kathmandu"),
        ("berlin", "europe/berlin"),
        ("nowhere", ""),
        ("mars", "Mars/Olympus"),
        ("pago", "Pacific/Pago_Pago"),
    ];
    let rows = zones.map(|(name, zone)| format!("{name},{name}@example.org,{name},30,{zone}\n"));
    let people = format!("id,email,name,age,tz\n{}", rows.concat());
    Workspace::new()
        .replace(
            "campanile.toml",
            "email = \"email\"\n",
            "email = \"email\"\ntimezone = \"tz\"\n",
        )
        .more_settings("[limits]\ndefault_timezone = \"Europe/Berlin\"\n")
        .file("people.csv", &people)
        .campaign("a", &format!("[audience]\nsource = \"people\"\n{campaign}"))
}

fn runs(workspace: &Workspace) -> Vec<Value> {
    let status = workspace.run(["status", "--json"]).json();
    status["runs"].as_array().unwrap().clone()
}

#[track_caller]
fn wait_run(workspace: &Workspace, id: u64, is: impl Fn(&Value) -> bool) -> Value {
    wait_for(&format!("run {id} as it should be"), || {
        runs(workspace)
            .into_iter()
            .find(|run| run["id"] == id && is(run))
    })
}

/// Whom the messages so far went to, by name, in alphabetical order.
fn names(workspace: &Workspace) -> Vec<String> {
    let recipients = workspace.recipients().into_iter();
    recipients
        .map(|address| address.split('@').next().unwrap_or_default().to_owned())
        .collect()
}

#[track_caller]
fn wait_names(workspace: &Workspace, expected: &[&str]) {
    let mut last = Vec::new();
    wait_for(&format!("{expected:?}"), || {
        last = names(workspace);
        (last == expected).then_some(())
    });
}

const DAILY: &str = "[schedule]\nevery = \"1d\"\ntime = \"09:00\"\ntimezone = \"recipient\"";

#[test]
fn at_nine_where_each_recipient_is() {
    let clock = TestClock::at("2026-11-30T12:00:00Z");
    let workspace = around_the_world(DAILY);
    let _engine = Embedded::serve(&workspace, &clock);
    let plan = workspace.run(["plan", "a", "--json"]).json();
    assert_eq!(plan[0]["occurrence"], "2026-12-01");
    assert_eq!(plan[0]["unknown_zones"], 1);
    let zones = plan[0]["zones"].as_array().unwrap();
    assert_eq!(zones.len(), 5);
    assert_eq!(
        zones[0],
        json!({"zone": "Pacific/Kiritimati", "opens": "2026-11-30T19:00:00Z", "to_send": 1, "late": false})
    );

    // Planned before the first zone is due, and nothing is sent.
    clock.set("2026-11-30T18:46:00Z");
    let planned = wait_run(&workspace, 1, |run| run["state"] == "scheduled");
    assert_eq!(planned["occurrence"], "2026-12-01");
    assert!(
        planned["help"]
            .as_str()
            .unwrap()
            .contains("2026-11-30 20:00 +01:00"),
        "{planned}"
    );
    assert_eq!(names(&workspace), [""; 0]);

    clock.set("2026-11-30T19:00:00Z");
    wait_names(&workspace, &["kiritimati"]);
    let waits = wait_run(&workspace, 1, |run| {
        run["goes_on_at"] == "2026-11-30T22:00:00Z"
    });
    assert_eq!(
        waits["help"],
        "its next zone, Australia/Lord_Howe, is due at 2026-12-01 09:00 +11:00"
    );
    clock.set("2026-11-30T22:00:00Z");
    wait_names(&workspace, &["howe", "kiritimati"]);
    clock.set("2026-12-01T03:15:00Z");
    wait_names(&workspace, &["howe", "kathmandu", "kiritimati"]);
    clock.set("2026-12-01T08:00:00Z");
    let with_berlin = [
        "berlin",
        "howe",
        "kathmandu",
        "kiritimati",
        "mars",
        "nowhere",
    ];
    wait_names(&workspace, &with_berlin);

    // The next day begins in the east before this one has ended in the west; it is nobody's cooldown.
    clock.set("2026-12-01T19:00:00Z");
    let next = wait_run(&workspace, 2, |run| run["counts"]["sent"] == 1);
    assert_eq!(next["occurrence"], "2026-12-02");
    assert_eq!(next["counts"], json!({"sent": 1, "queued": 6}));
    assert_eq!(wait_run(&workspace, 1, |_| true)["state"], "sending");
    clock.set("2026-12-01T20:00:00Z");
    let ended = wait_run(&workspace, 1, |run| run["state"] == "finished");
    assert_eq!(ended["counts"], json!({"sent": 7}));
}

#[test]
fn zones_that_were_missed_are_too_late_and_the_others_go_on() {
    let clock = TestClock::at("2026-11-30T12:00:00Z");
    let workspace = around_the_world(DAILY);
    let engine = Embedded::serve(&workspace, &clock);
    clock.set("2026-11-30T19:00:00Z");
    wait_names(&workspace, &["kiritimati"]);
    drop(engine);
    // Lord Howe was due at 22:00, Kathmandu at 03:15: the first by more than an hour, the second not.
    clock.set("2026-12-01T04:10:00Z");
    let _engine = Embedded::serve(&workspace, &clock);
    // After hours without a heartbeat it may be a backup: a person lets it go on.
    wait_run(&workspace, 1, |run| run["reason"] == "stale_ledger");
    workspace.run(["resume", "1"]).code(0);
    wait_names(&workspace, &["kathmandu", "kiritimati"]);
    let run = wait_run(&workspace, 1, |run| run["counts"]["expired"] == 1);
    assert_eq!(run["counts"], json!({"sent": 2, "expired": 1, "queued": 4}));
    let report = workspace.run(["report", "1", "--json"]).json_lines();
    let howe = report
        .iter()
        .find(|row| row["status"] == "expired")
        .unwrap();
    assert_eq!(
        howe["reason"],
        "late: it was due at 2026-11-30 22:00 UTC in Australia/Lord_Howe"
    );
    clock.set("2026-12-01T08:00:00Z");
    wait_run(&workspace, 1, |run| run["counts"]["sent"] == 5);
    clock.set("2026-12-01T20:00:00Z");
    let ended = wait_run(&workspace, 1, |run| run["state"] == "finished");
    assert_eq!(ended["counts"], json!({"sent": 6, "expired": 1}));
}

#[test]
fn a_run_that_is_planned_late_says_whom_it_is_too_late_for() {
    let clock = TestClock::at("2026-12-01T05:00:00Z");
    let once = "[schedule]\nat = 2026-12-01T09:00:00\ntimezone = \"recipient\"\ngrace = \"2h\"";
    let workspace = around_the_world(once);
    let _engine = Embedded::serve(&workspace, &clock);
    let run = wait_run(&workspace, 1, |run| run["counts"]["expired"] == 3);
    // Kathmandu's time, 03:15, is within the grace, but the campaign was not there yet.
    assert_eq!(run["counts"], json!({"expired": 3, "queued": 4}));
    assert_eq!(run["goes_on_at"], "2026-12-01T08:00:00Z");
    clock.set("2026-12-01T08:00:00Z");
    wait_run(&workspace, 1, |run| run["counts"]["sent"] == 3);
    clock.set("2026-12-01T20:00:00Z");
    let ended = wait_run(&workspace, 1, |run| run["state"] == "finished");
    assert_eq!(ended["counts"], json!({"expired": 3, "sent": 4}));
    wait_names(&workspace, &["berlin", "mars", "nowhere", "pago"]);
}

#[test]
fn hours_where_each_recipient_is() {
    let clock = TestClock::at("2026-12-01T12:00:00Z");
    let workspace = around_the_world("[pace]\nwindow = \"08:00-20:00\"\ntimezone = \"recipient\"");
    let _engine = Embedded::serve(&workspace, &clock);
    let mut child = workspace.command(["send", "a", "--yes"]).spawn().unwrap();
    // 02:00 in Kiritimati, 23:00 on Lord Howe, 17:45 in Kathmandu, 01:00 in Pago Pago.
    wait_names(&workspace, &["berlin", "kathmandu", "mars", "nowhere"]);
    let closed = wait_run(&workspace, 1, |run| run["reason"] == "window");
    assert_eq!(closed["goes_on_at"], "2026-12-01T18:00:00Z");
    clock.set("2026-12-01T18:00:00Z");
    wait_run(&workspace, 1, |run| run["counts"]["sent"] == 5);
    clock.set("2026-12-01T21:00:00Z");
    let ended = wait_run(&workspace, 1, |run| run["state"] == "finished");
    assert_eq!(ended["counts"], json!({"sent": 7}));
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn a_zone_that_says_nothing_is_an_error() {
    let check = |schedule: &str| {
        let workspace = around_the_world(schedule);
        workspace.run(["check"]).code(3).stderr
    };
    let elapsed = check("[schedule]\nevery = \"2h\"\ntimezone = \"recipient\"");
    assert!(
        elapsed.contains("the schedule names no local time"),
        "{elapsed}"
    );
    let workspace = around_the_world(DAILY).replace("campanile.toml", "timezone = \"tz\"\n", "");
    let missing = workspace.run(["check"]).code(3).stderr;
    assert!(
        missing.contains("the source people does not say where its recipients are"),
        "{missing}"
    );
    assert!(
        missing.contains("name the column with their time zones in [sources.people]"),
        "{missing}"
    );
}

#[test]
fn a_pace_is_shared_by_the_zones_and_one_that_has_nothing_takes_no_place_in_it() {
    let clock = TestClock::at("2026-12-01T05:00:00Z");
    // Kiritimati's and Lord Howe's queues are open and empty: they were too late.
    let paced =
        "[schedule]\nat = 2026-12-01T09:00:00\ntimezone = \"recipient\"\n[pace]\nrate = \"60/1h\"";
    let workspace = around_the_world(paced);
    let _engine = Embedded::serve(&workspace, &clock);
    wait_run(&workspace, 1, |run| run["counts"]["expired"] == 3);
    clock.set("2026-12-01T08:00:00Z");
    wait_run(&workspace, 1, |run| run["counts"]["sent"] == 2);
    clock.set("2026-12-01T08:01:00Z");
    wait_run(&workspace, 1, |run| run["counts"]["sent"] == 3);
}
