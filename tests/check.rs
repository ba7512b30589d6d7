//! `campanile check`: every error of every file at once, with its place and what to do.

use crate::support::Workspace;

const AUDIENCE: &str = "[audience]\nsource = \"people\"";

#[test]
fn a_workspace_that_checks_says_so() {
    let workspace = Workspace::new()
        .people(&["1,ada@example.org,Ada,36"])
        .campaign("a", AUDIENCE);
    let ran = workspace.run(["check"]).code(0);
    assert!(ran.stdout.contains("1 campaign"), "{}", ran.stdout);
    assert!(
        !workspace.path("campanile.db").exists(),
        "checking makes no store"
    );
}

#[test]
fn all_errors_of_all_files_are_found_in_one_go() {
    let workspace = Workspace::new()
        .people(&["1,ada@example.org,Ada,36"])
        .campaign("typo", "[audience]\nsorce = \"people\"")
        .campaign("unit", "[audience]\nsource = \"people\"\ncooldown = \"30 dogs\"")
        .campaign("field", "[audience]\nsource = \"people\"\nwhere = 'r.agee > 17'")
        .campaign("function", "[audience]\nsource = \"people\"\nwhere = 'days_untill(today()) > 1'")
        .file(
            "campaigns/template.toml",
            "topic = \"news\"\n[audience]\nsource = \"people\"\n[email]\nvia = \"main\"\nsubject = \"Hi\"\nbody = \"t.md\"\n",
        )
        .file("campaigns/t.md", "Dear {{ r.nam }},\n\n{{ first_nam }}\n");
    let ran = workspace.run(["check", "--json"]).code(3);
    let mut found: Vec<_> = ran
        .json_lines()
        .iter()
        .map(|line| {
            format!(
                "{}:{}:{}",
                line["file"].as_str().unwrap(),
                line["line"],
                line["column"]
            )
        })
        .collect();
    found.sort();
    for place in [
        "campaigns/field.toml:6:12",
        "campaigns/function.toml:6:10",
        "campaigns/t.md:1:11",
        "campaigns/t.md:3:4",
        "campaigns/typo.toml:5:1",
        "campaigns/unit.toml:6:12",
    ] {
        assert!(
            found.iter().any(|found| found == place),
            "{place} is not among {found:#?}"
        );
    }
    let helps: Vec<_> = ran
        .json_lines()
        .iter()
        .filter_map(|line| line["help"].as_str().map(ToOwned::to_owned))
        .collect();
    for name in ["source", "age", "days_until", "name"] {
        assert!(
            helps.iter().any(|help| help.contains(&format!("{name}`"))),
            "{name}: {helps:#?}"
        );
    }
}

#[test]
fn the_caret_stands_under_the_mistake() {
    let workspace = Workspace::new()
        .people(&["1,ada@example.org,Ada,36"])
        .campaign(
            "a",
            "[audience]\nsource = \"people\"\nwhere = 'r.age > 17 && r.nmae != \"\"'",
        );
    let ran = workspace.run(["check"]).code(3);
    let lines: Vec<_> = ran.stderr.lines().collect();
    let at = lines
        .iter()
        .position(|line| line.contains("where = "))
        .unwrap_or_else(|| panic!("{}", ran.stderr));
    assert_eq!(
        lines[at].find("nmae"),
        lines[at + 1].find('^'),
        "{}",
        ran.stderr
    );
    assert!(
        ran.stderr.contains("did you mean `name`?"),
        "{}",
        ran.stderr
    );
}

#[test]
fn a_feature_that_is_not_built_is_refused_and_never_ignored() {
    let workspace = Workspace::new()
        .people(&["1,ada@example.org,Ada,36"])
        .campaign("a", &format!("{AUDIENCE}\n[letter]\nvia = \"post\""));
    let ran = workspace.run(["check"]).code(3);
    assert!(ran.stderr.contains("not built yet"), "{}", ran.stderr);
}

#[test]
fn broken_settings_are_shown_with_their_place() {
    let workspace = Workspace::new()
        .people(&[])
        .more_settings("[transports.x]\nkind = \"smpt\"\n");
    let ran = workspace.run(["check"]).code(3);
    assert!(ran.stderr.contains("campanile.toml"), "{}", ran.stderr);
    assert!(
        ran.stderr.contains("did you mean `smtp`?"),
        "{}",
        ran.stderr
    );
}
