//! `campanile eval`: an expression on one recipient, or on all of a source.

use serde_json::json;

use crate::support::Workspace;

const AUDIENCE: &str = "[audience]\nsource = \"people\"";

fn workspace() -> Workspace {
    Workspace::new()
        .people(&[
            "1,ada@example.org,Ada,36",
            "2,bob@example.org,Bob,17",
            "3,cyd@example.org,Cyd,",
            "4,dan@example.org,Dan,old",
            "5,eve@example.org,Ada,40",
        ])
        .file(
            "scripts/people.rhai",
            "fn adult(r) { r.age >= 18 }\nfn older(r, years) { r.age + years }",
        )
}

#[test]
fn the_value_for_one_recipient_has_its_type() {
    let workspace = workspace();
    for (expression, printed) in [
        ("r.age", "36 (integer)\n"),
        ("r.age + 0.5", "36.5 (decimal)\n"),
        ("r.name", "\"Ada\" (string)\n"),
        ("r.age >= 18", "true (boolean)\n"),
        ("people::older(r, 4)", "40 (integer)\n"),
        ("split(\"a b\")", "[a, b] (list of 2)\n"),
        ("get(r, \"nickname\")", "empty\n"),
        ("run.campaign", "\"eval\" (string)\n"),
    ] {
        let ran = workspace
            .run(["eval", expression, "--recipient", "1"])
            .code(0);
        assert_eq!(ran.stdout, printed, "{expression}");
    }
    let ran = workspace
        .run(["eval", "r.email", "--recipient", "1", "--json"])
        .code(0);
    assert_eq!(
        ran.json(),
        json!({"source": "people", "key": "1", "type": "string", "value": "a…@example.org"})
    );
    assert!(
        !workspace.path("campanile.db").exists(),
        "it makes no store"
    );
}

#[test]
fn a_condition_over_a_source_is_counted() {
    let workspace = workspace();
    let ran = workspace.run(["eval", "(r.age ?? 0) >= 18"]).code(0);
    assert_eq!(
        ran.stdout,
        "people: 4 recipients\n  true          2 (50%)\n  false         2 (50%)\n  invalid rows  1\n  \
         true for      1, 5\n  false for     2, 3\n"
    );
    let ran = workspace
        .run(["eval", "people::adult(r)", "--json", "--sample", "1"])
        .code(6);
    let object = ran.json();
    assert_eq!(
        (&object["true"], &object["false"], &object["errors"]),
        (&json!(2), &json!(1), &json!(1))
    );
    assert_eq!(object["true_for"], json!(["1"]));
    assert_eq!(object["failed"][0]["key"], "3");
    assert_eq!(object["failed"][0]["error"]["file"], "scripts/people.rhai");
    assert!(
        object["invalid_rows"][0]
            .as_str()
            .unwrap()
            .contains("\"old\"")
    );
}

#[test]
fn other_values_are_shown_by_how_often_they_come() {
    let ran = workspace().run(["eval", "r.name", "--sample", "1"]).code(0);
    assert_eq!(
        ran.stdout,
        "people: 4 recipients\n  invalid rows  1\n  3 different values\n\n\
         RECIPIENTS  VALUE  TYPE\n         2  Ada    string\n         1  Bob    string\n         1  Cyd    string\n\n\
         KEY  VALUE\n1    \"Ada\" (string)\n"
    );
}

#[test]
fn what_fails_is_shown_with_its_caret_and_the_rows() {
    let workspace = workspace();
    let ran = workspace.run(["eval", "r.age >= 18"]).code(6);
    assert!(
        ran.stdout.contains("  errors        1 (25%)"),
        "{}",
        ran.stdout
    );
    assert!(
        ran.stdout
            .contains("\n3    the value on the left of `>=` is empty"),
        "{}",
        ran.stdout
    );
    assert!(
        ran.stderr.contains(" --> expression:1:7\n"),
        "{}",
        ran.stderr
    );
    let ran = workspace
        .run(["eval", "r.age >= 18", "--recipient", "3"])
        .code(1);
    assert!(
        ran.stderr.contains("1 | r.age >= 18\n  |       ^"),
        "{}",
        ran.stderr
    );
    let ran = workspace.run(["eval", "r.agee >= 18"]).code(2);
    assert!(ran.stderr.contains("did you mean `age`?"), "{}", ran.stderr);
    // Law 4: other types do not compare.
    workspace.run(["eval", "r.name == 3"]).code(2);
}

#[test]
fn a_campaign_lends_its_variables_and_its_zone() {
    let workspace = workspace().campaign(
        "a",
        &format!(
            "{AUDIENCE}\n[variables]\nfails = 'r.age + 1'\nbase = '(r.age ?? 0) * 2'\ntwice = 'base + 1'\n\
             [schedule]\ncron = \"0 9 * * *\"\ntimezone = \"Asia/Tokyo\""
        ),
    );
    // Only what the expression names is worked out.
    let ran = workspace
        .run(["eval", "twice", "--campaign", "a", "--recipient", "3"])
        .code(0);
    assert_eq!(ran.stdout, "1 (integer)\n");
    let ran = workspace
        .run(["eval", "now()", "--campaign", "a", "--recipient", "1"])
        .code(0);
    assert!(ran.stdout.contains("+09:00 (datetime)"), "{}", ran.stdout);
    let ran = workspace
        .run(["eval", "fails", "--campaign", "a", "--recipient", "3"])
        .code(1);
    assert!(ran.stderr.contains("campaigns/a.toml:"), "{}", ran.stderr);
    let ran = workspace
        .run(["eval", "last_sent(r) == ()", "--campaign", "a"])
        .code(0);
    assert!(
        ran.stdout.contains("true          4 (100%)"),
        "{}",
        ran.stdout
    );
    workspace.run(["send", "a", "--yes"]).code(0);
    let ran = workspace
        .run(["eval", "last_sent(r) == ()", "--campaign", "a"])
        .code(0);
    assert!(
        ran.stdout.contains("false         3 (75%)"),
        "{}",
        ran.stdout
    );
}

#[test]
fn names_that_do_not_exist_are_usage() {
    let workspace = workspace();
    let ran = workspace.run(["eval", "1", "--source", "peeple"]).code(2);
    assert!(
        ran.stderr.contains("did you mean people?"),
        "{}",
        ran.stderr
    );
    let ran = workspace.run(["eval", "1", "--recipient", "9"]).code(2);
    assert!(
        ran.stderr.contains("no recipient with the key 9"),
        "{}",
        ran.stderr
    );
    workspace.run(["eval", "1", "--campaign", "b"]).code(2);
    let ran = workspace.run(["eval", "1", "--recipient", "4"]).code(1);
    assert!(ran.stderr.contains("is not an integer"), "{}", ran.stderr);
    let workspace = workspace
        .more_settings("[sources.others]\nkind = \"csv\"\npath = \"people.csv\"\nkey = \"id\"\n");
    let ran = workspace.run(["eval", "1"]).code(2);
    assert!(
        ran.stderr
            .contains("name one with --source: others, people"),
        "{}",
        ran.stderr
    );
    workspace
        .run(["eval", "r.name", "--source", "others"])
        .code(0);
}
