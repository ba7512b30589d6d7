//! `campanile plan`: the funnel, what a run would meet, what an edit changes, and the comment on a pull request.

use serde_json::{Value, json};

use crate::support::{Workspace, workspace::Ran};

/// Steps of a funnel: `NAME LEFT -DROPPED`.
fn funnel(plan: &Value) -> Vec<String> {
    let steps = plan["funnel"].as_array().unwrap();
    let line = |step: &Value| {
        format!(
            "{} {} -{}",
            step["step"].as_str().unwrap(),
            step["left"],
            step["dropped"]
        )
    };
    steps.iter().map(line).collect()
}

#[test]
fn a_funnel_says_who_is_left_after_each_step() {
    let workspace = Workspace::new()
        .people(&[
            "1,ada@example.org,Ada,36",
            "2,bob@example.org,Bob,17",
            "3,ADA@example.org,Ada again,40",
            "4,cyd.example.org,Cyd,40",
            "5,,Dee,41",
            "6,eve@example.org,Eve,",
            "7,fay@example.org,Fay,old",
            "8,gil@example.org,Gil,42",
            "8,gil2@example.org,Gil twice,42",
            "9,hal@example.org,Hal && co,43",
            "10,ian@example.org,Ian,44",
        ])
        .campaign(
            "a",
            "[audience]\nsource = \"people\"\nwhere = 'r.age >= 18 && !r.name.contains(\"&&\") && (r.age < 44 || r.name == \"x\")'\n",
        );
    workspace
        .run([
            "suppress",
            "add",
            "ada@example.org",
            "--topic",
            "news",
            "--reason",
            "unsubscribed",
        ])
        .code(0);
    let plan = &workspace.run(["plan", "a", "--json"]).code(0).json()[0];
    assert_eq!(
        funnel(plan),
        [
            "source 11 -0",
            "invalid_row 10 -1",
            "r.age >= 18 9 -1",
            "!r.name.contains(\"&&\") 8 -1",
            "(r.age < 44 || r.name == \"x\") 7 -1",
            "duplicate_key 6 -1",
            "script_error 5 -1",
            "no_address 4 -1",
            "invalid_address 3 -1",
            "unsubscribed 1 -2",
        ]
    );
    assert_eq!((&plan["matched"], &plan["to_send"]), (&json!(7), &json!(1)));
    let shown = workspace.run(["plan", "a"]).code(0).stdout;
    assert!(
        shown.contains(
            "\nFUNNEL                         LEFT  DROPPED\nsource                           11\n"
        ),
        "{shown}"
    );
    // What is sent is what the plan says.
    workspace.run(["send", "a", "--yes"]).code(0);
    assert_eq!(workspace.recipients(), ["gil@example.org"]);
}

#[test]
fn a_plan_says_when_it_would_be_through_and_what_would_hold_it() {
    let workspace = Workspace::new()
        .settings("[transports.main]\nkind = \"outbox\"\npath = \"outbox\"\nrate = \"10/1m\"\n")
        .crowd(121)
        .campaign(
            "a",
            "[audience]\nsource = \"people\"\nmax_recipients = 100\n[schedule]\nat = 2030-01-01T09:00:00\ntimezone = \"Europe/Berlin\"",
        );
    let plan = &workspace.run(["plan", "a", "--json"]).code(0).json()[0];
    assert_eq!(plan["starts"], "2030-01-01T09:00:00+01:00");
    assert_eq!(plan["finishes"], "2030-01-01T09:12:00+01:00");
    assert_eq!(plan["hold"], "too_many");
    assert_eq!(
        plan["holds"],
        json!([{"reason": "too_many", "help": "121 to send, more than max_recipients = 100"}])
    );
    let shown = workspace.run(["plan", "a", "--sample", "0"]).code(0).stdout;
    assert!(
        shown.contains("  starts         2030-01-01 09:00 +01:00\n"),
        "{shown}"
    );
    assert!(
        shown.contains("  finishes       2030-01-01 09:12 +01:00 (main takes 10/1m)\n"),
        "{shown}"
    );
    assert!(
        shown.contains("  would be held  too_many: 121 to send, more than max_recipients = 100\n"),
        "{shown}"
    );
    workspace.run(["stop", "--all"]).code(0);
    let plan = &workspace.run(["plan", "a", "--json"]).code(0).json()[0];
    assert_eq!(
        plan["holds"][1],
        json!({"reason": "stopped", "help": "`campanile start a` ends that"})
    );
}

#[test]
fn the_end_of_a_run_counts_its_pace_its_hours_and_its_rollout() {
    let audience = "[audience]\nsource = \"people\"\n[schedule]\nat = 2030-01-01T19:30:00\ntimezone = \"Europe/Berlin\"\n";
    let end_of = |people: usize, more: &str| {
        let workspace = Workspace::new()
            .settings("[transports.main]\nkind = \"outbox\"\npath = \"outbox\"\nrate = \"10/1m\"\n")
            .crowd(people)
            .campaign("a", &format!("{audience}{more}"));
        let shown = workspace.run(["plan", "a", "--sample", "0"]).code(0).stdout;
        let line = shown
            .lines()
            .find(|line| line.contains("finishes"))
            .unwrap_or_default();
        line.split_whitespace()
            .skip(1)
            .collect::<Vec<_>>()
            .join(" ")
    };
    let end = |more: &str| end_of(121, more);
    assert_eq!(end(""), "2030-01-01 19:42 +01:00 (main takes 10/1m)");
    assert_eq!(end_of(0, ""), "", "nothing is sent, and nothing ends");
    assert_eq!(
        end("[pace]\nrate = \"60/1h\""),
        "2030-01-01 21:30 +01:00 ([pace] 60/1h; main takes 10/1m)"
    );
    assert_eq!(
        end("[pace]\nrate = \"60/1h\"\nwindow = \"08:00-20:00\"\ndays = \"Mon,Tue,Thu\""),
        "2030-01-03 09:30 +01:00 ([pace] 60/1h; 08:00-20:00 Mon,Tue,Thu Europe/Berlin; main takes 10/1m)"
    );
    assert_eq!(
        end("[rollout]\nfirst = 11\nwait = \"2h\""),
        "2030-01-01 21:41 +01:00 (11 first, then a wait of 2h; main takes 10/1m)"
    );
}

/// A workspace whose files are committed.
fn committed(workspace: Workspace) -> Option<Workspace> {
    let workspace = workspace.file(".gitignore", "outbox\n*.db*\npeople.csv\n");
    git(&workspace, &["init", "--quiet", "--initial-branch=main"])?;
    commit(&workspace);
    Some(workspace)
}

fn git(workspace: &Workspace, arguments: &[&str]) -> Option<String> {
    let output = std::process::Command::new("git")
        .current_dir(workspace.folder())
        .args(["-c", "user.name=t", "-c", "user.email=t@example.org"])
        .args(arguments)
        .output()
        .ok()?;
    assert!(output.status.success(), "{arguments:?}: {output:?}");
    Some(String::from_utf8(output.stdout).unwrap())
}

fn commit(workspace: &Workspace) {
    git(workspace, &["add", "--all"]);
    git(workspace, &["commit", "--quiet", "-m", "as it was"]);
}

fn everything(workspace: &Workspace) -> String {
    let status = git(workspace, &["status", "--porcelain", "--branch"]).unwrap();
    let stash = git(workspace, &["stash", "list"]).unwrap();
    let worktrees = git(workspace, &["worktree", "list"]).unwrap();
    [status, stash, worktrees].concat()
}

fn base(workspace: &Workspace, more: &[&str]) -> Ran {
    workspace
        .run(["plan", "--base", "main"].iter().chain(more))
        .code(0)
}

const PEOPLE: [&str; 6] = [
    "1,ada@example.org,Ada,36",
    "2,bob@example.org,Bob,17",
    "3,cyd@example.org,Cyd,70",
    "4,dee@example.org,Dee,41",
    "5,eve@example.org,Eve,15",
    "6,fay@example.org,Fay,68",
];

#[test]
fn an_edit_is_told_by_whom_it_adds_and_drops() {
    let workspace = Workspace::new()
        .people(&PEOPLE)
        .campaign(
            "a",
            "[audience]\nsource = \"people\"\nwhere = 'r.age >= 18 && r.age < 70'",
        )
        .campaign("same", "{audience}")
        .campaign("gone", "{audience}")
        .campaign("off", "enabled = false\n{audience}");
    let Some(workspace) = committed(workspace) else {
        return;
    };
    let workspace = workspace
        .replace(
            "campaigns/a.toml",
            "r.age >= 18 && r.age < 70",
            "r.age >= 16 && r.age < 68",
        )
        .replace(
            "campaigns/a.toml",
            "Hello {{ r.name }}",
            "Good day, {{ r.name }}",
        )
        .campaign("new", "[audience]\nsource = \"people\"\nkeys = \"3\"");
    std::fs::remove_file(workspace.path("campaigns/gone.toml")).unwrap();
    let before = everything(&workspace);
    let compared = base(&workspace, &["--json"]).json();
    assert_eq!(compared["base"]["revision"], "main");
    let commit = git(&workspace, &["rev-parse", "main"]).unwrap();
    assert_eq!(compared["base"]["commit"], commit.trim());
    let campaigns = compared["campaigns"].as_array().unwrap();
    let changes: Vec<_> = campaigns
        .iter()
        .map(|one| {
            (
                one["campaign"].as_str().unwrap(),
                one["change"].as_str().unwrap(),
            )
        })
        .collect();
    assert_eq!(
        changes,
        [
            ("a", "changed"),
            ("gone", "removed"),
            ("new", "added"),
            ("same", "unchanged")
        ]
    );
    let a = &campaigns[0];
    assert_eq!(
        (&a["plan"]["to_send"], &a["before"]["to_send"]),
        (&json!(3), &json!(3))
    );
    let comparison = &a["comparison"];
    assert_eq!(
        (
            &comparison["kept"],
            &comparison["added"],
            &comparison["dropped"]
        ),
        (&json!(2), &json!(1), &json!(1))
    );
    assert_eq!(
        comparison["added_by"],
        json!([{"kind": "clause", "why": "r.age >= 18", "n": 1}])
    );
    assert_eq!(
        comparison["sample_added"],
        json!([{"key": "2", "kind": "clause", "why": "r.age >= 18"}])
    );
    assert_eq!(
        comparison["dropped_by"],
        json!([{"kind": "clause", "why": "r.age < 68", "n": 1}])
    );
    assert_eq!(comparison["sample_dropped"][0]["key"], "6");
    let diff = a["message"]["diff"].as_str().unwrap();
    assert!(
        diff.contains("\n-Subject: Hello ") && diff.contains("\n+Subject: Good day, "),
        "{diff}"
    );
    let removed = &campaigns[1];
    assert_eq!(
        (&removed["plan"], &removed["before"]["to_send"]),
        (&Value::Null, &json!(6))
    );
    let added = &campaigns[2];
    assert_eq!(
        (&added["plan"]["to_send"], &added["before"]),
        (&json!(1), &Value::Null)
    );
    let diff = added["message"]["diff"].as_str().unwrap();
    assert!(
        diff.contains("+Subject: Hello Cyd\n") && !diff.contains("\n-"),
        "{diff}"
    );
    assert_eq!(
        everything(&workspace),
        before,
        "git's files are as they were"
    );
    assert!(
        !workspace.path("campanile.db").exists(),
        "nothing is written"
    );

    let shown = base(&workspace, &["--sample", "1"]).stdout;
    let commit = &commit[..12];
    for lines in [
        &format!(
            "Since main ({commit})\n\
             CAMPAIGN  CHANGE     TO SEND  BEFORE  ADDED  DROPPED  NOTE\n\
             a         changed          3       3      1        1\n\
             gone      removed                  6\n\
             new       added            1\n\
             same      unchanged\n"
        ),
        "\na since main\n  kept     2\n  added    1\n           1  r.age >= 18\n  dropped  1\n           1  r.age < 68\n",
        "\nKEY  CHANGE   KEPT OUT BY\n2    added    r.age >= 18\n6    dropped  r.age < 68\n",
        "\n-Subject: Hello ",
    ] {
        assert!(shown.contains(lines), "{lines}\n---\n{shown}");
    }
}

#[test]
fn what_lies_beside_a_message_is_as_it_was() {
    let workspace = Workspace::new()
        .people(&PEOPLE)
        .campaign("a", "{audience}")
        .file("campaigns/terms.txt", "our terms")
        .replace(
            "campaigns/a.toml",
            "[email]\n",
            "[email]\nattachments = [\"terms.txt\"]\n",
        );
    let Some(workspace) = committed(workspace) else {
        return;
    };
    let workspace = workspace.replace("campaigns/a.toml", "attachments = [\"terms.txt\"]\n", "");
    std::fs::remove_file(workspace.path("campaigns/terms.txt")).unwrap();
    let compared = base(&workspace, &["--json"]).json();
    let a = &compared["campaigns"][0];
    assert_eq!(a["before"]["to_send"], 6, "{a}");
    assert_eq!(a["change"], "changed");
    assert_eq!(a["note"], Value::Null, "{a}");
}

#[test]
fn people_may_come_and_go_by_rules_data_and_settings() {
    let workspace = Workspace::new()
        .people(&PEOPLE)
        .campaign("a", "[audience]\nsource = \"people\"\nwhere = 'old::enough(r.age)'\n\n[variables]\nyears = 'r.age'")
        .file("scripts/old.rhai", "fn enough(age) { age > 18 }\n");
    let Some(workspace) = committed(workspace) else {
        return;
    };
    let one = |workspace: &Workspace| base(workspace, &["--json"]).json()["campaigns"][0].clone();
    assert_eq!(one(&workspace)["change"], "unchanged");

    // The data file is not in the repository: both sides read it as it is today.
    let workspace = workspace.people(&PEOPLE[..4]);
    assert_eq!(one(&workspace)["change"], "unchanged");

    // A script.
    let workspace = workspace.replace("scripts/old.rhai", "> 18", "> 40");
    let a = one(&workspace);
    assert_eq!(a["change"], "changed");
    assert_eq!(
        a["comparison"]["dropped_by"][0]["why"],
        "old::enough(r.age)"
    );
    assert_eq!(a["message"], Value::Null, "nobody's message is another");
    git(&workspace, &["checkout", "--quiet", "scripts"]);

    // It is in the repository: it is read as it was.
    git(&workspace, &["add", "--force", "people.csv"]);
    commit(&workspace);
    let workspace = workspace.people(&[
        "1,ada@example.org,Ada,37",
        "3,cyd.example.org,Cyd,70",
        "7,gil@example.org,Gil,50",
    ]);
    let a = one(&workspace);
    assert_eq!(a["change"], "changed");
    let comparison = &a["comparison"];
    assert_eq!(
        comparison["added_by"],
        json!([{"kind": "source", "why": "not in the source", "n": 1}])
    );
    assert_eq!(
        comparison["dropped_by"],
        json!([
            {"kind": "rule", "why": "invalid_address", "n": 1},
            {"kind": "source", "why": "not in the source", "n": 1},
        ])
    );
    assert_eq!(
        (&comparison["kept"], &comparison["altered"]),
        (&json!(1), &json!(1))
    );
    git(&workspace, &["checkout", "--quiet", "people.csv"]);

    // The settings alone: nobody gets anything else.
    let workspace = workspace.replace(
        "campanile.toml",
        "path = \"outbox\"",
        "path = \"outbox\"\nconnections = 2",
    );
    assert_eq!(one(&workspace)["change"], "unchanged");

    // It did not check before.
    let workspace = workspace.replace("campaigns/a.toml", "old::enough", "old::enuf");
    commit(&workspace);
    let workspace = workspace.replace("campaigns/a.toml", "old::enuf", "old::enough");
    let a = one(&workspace);
    assert_eq!(
        (&a["change"], &a["plan"]["to_send"]),
        (&json!("changed"), &json!(3))
    );
    let note = a["note"].as_str().unwrap();
    assert!(
        note.starts_with("it did not check before: campaigns/a.toml:"),
        "{note}"
    );
}

#[test]
fn what_git_can_not_give_is_said() {
    let workspace = Workspace::new().people(&PEOPLE).campaign("a", "{audience}");
    let ran = workspace.run(["plan", "--base", "main"]);
    if ran.stderr.contains("git is not installed") {
        return;
    }
    let ran = ran.code(2);
    assert!(
        ran.stderr
            .ends_with("lies in no git repository: there is no revision of it\n"),
        "{}",
        ran.stderr
    );
    let Some(workspace) = committed(workspace) else {
        return;
    };
    for revision in ["mian", "--output=x", "main:campanile.toml"] {
        let ran = workspace
            .run(["plan", &format!("--base={revision}")])
            .code(2);
        let words =
            format!("error: the repository has no revision {revision:?}: `git branch --all` lists");
        assert!(ran.stderr.starts_with(&words), "{}", ran.stderr);
    }
    let ran = workspace
        .command(["plan", "--base", "main"])
        .env("PATH", "")
        .output()
        .unwrap();
    assert_eq!(ran.status.code(), Some(1));
    assert_eq!(
        String::from_utf8(ran.stderr).unwrap(),
        "error: git is not installed, and a revision can't be read without it\n"
    );
    workspace.run(["plan", "b", "--base", "main"]).code(2);
}

#[test]
fn nothing_in_the_data_steers_a_comment() {
    let hostile =
        "@acme/team <img src=x onerror=alert(1)> [x](http://evil) **b** | a `c` #1 ![i](y)";
    let workspace = Workspace::new()
        .people(&[
            &format!("1,ada.king@example.org,\"{hostile}\",36"),
            "dee@example.org,dee@example.org,Dee,old|er",
        ])
        .file(
            "campaigns/a.toml",
            "topic = \"news\"\n[audience]\nsource = \"people\"\nwhere = 'r.age > 1 && r.email != \"x@y.de|<b>\"'\n[variables]\nname = 'r.name'\n\
             contact = 'r.email'\n[email]\nvia = \"main\"\nsubject = \"Hi {{ name }}\"\nbody_text = \"\"\"\n```\n</details>\n{{ name }} {{ contact }}\n\"\"\"\n",
        );
    let Some(workspace) = committed(workspace) else {
        return;
    };
    let workspace = workspace.replace("campaigns/a.toml", "Hi {{ name }}", "Ho {{ name }}");
    let text = base(&workspace, &["--format", "markdown"]).stdout;
    assert!(
        text.starts_with("### Campanile: what changes since <code>main</code> ("),
        "{text}"
    );
    assert!(
        !text.contains("ada.king") && !text.contains("dee@example.org"),
        "{text}"
    );
    assert!(text.contains("a…&#64;example&#46;org"), "{text}");
    // Outside of the fence, no sign of a stranger's means anything.
    let (mut outside, mut fence) = (String::new(), None::<String>);
    for line in text.lines() {
        match &fence {
            Some(end) if line == end => fence = None,
            Some(_) => {}
            None if line.starts_with("```") => {
                fence = Some(line.trim_end_matches("diff").to_owned());
            }
            None => outside.extend([line, "\n"]),
        }
    }
    assert_eq!(fence, None, "the fence is closed: {text}");
    for sign in ["<img", "](", "@", "**b**", "`", " #1", "<b>"] {
        assert!(!outside.contains(sign), "{sign}: {outside}");
    }
    assert!(outside.contains("&#60;img"), "{outside}");
    let tables = outside.lines().filter(|line| line.starts_with('|'));
    let widths: Vec<_> = tables.map(|line| line.matches('|').count()).collect();
    assert!(widths.iter().all(|n| [4, 5, 8].contains(n)), "{outside}");
    // The message is in a fence that it can't close: its own has three.
    assert!(text.contains("\n````diff\n@@"), "{text}");
    assert!(text.contains("\n+Subject: Ho @acme/team <img"), "{text}");

    let unmasked = base(&workspace, &["--format", "markdown", "--unmasked"]).stdout;
    assert!(
        unmasked.contains("ada&#46;king&#64;example&#46;org"),
        "{unmasked}"
    );
    let plain = workspace
        .run(["plan", "--format", "markdown"])
        .code(0)
        .stdout;
    assert!(
        plain.starts_with("### Campanile: who would get what\n\n| campaign |"),
        "{plain}"
    );
    assert!(
        plain
            .contains("| <code>source</code> | 2 |  |\n| <code>invalid&#95;row</code> | 1 | 1 |\n"),
        "{plain}"
    );
}

#[test]
fn a_comment_fits_in_a_comment() {
    let mut workspace = Workspace::new().crowd(30);
    let long = format!("[variables]\nlong = '\"{}\"'", "x".repeat(2_000));
    for n in 0..60 {
        workspace = workspace.campaign(&format!("c{n}"), &format!("{{audience}}\n{long}"));
    }
    let text = workspace
        .run(["plan", "--format", "markdown", "--sample", "20"])
        .code(0)
        .stdout;
    assert!(text.len() < 65_536, "{}", text.len());
    assert!(
        text.contains(" more do not fit here: `campanile plan` shows them.\n"),
        "{text}"
    );
}
