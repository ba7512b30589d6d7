//! Where recipients come from: JSON Lines, SQLite, and several sources at once.

use serde_json::json;

use crate::support::{Mail, Workspace, workspace::Ran};

/// A campaign of these sources, with a condition and a body.
fn campaign(audience: &str, variables: &str, body: &str) -> String {
    format!(
        "topic = \"news\"\n[audience]\n{audience}\n[variables]\n{variables}\n[email]\nvia = \"main\"\n\
         subject = \"Hello\"\nbody_text = '''{body}'''\n"
    )
}

fn source(name: &str, kind: &str, rest: &str) -> String {
    format!("[sources.{name}]\nkind = \"{kind}\"\nkey = \"id\"\nemail = \"email\"\n{rest}\n")
}

fn jsonl(workspace: Workspace, lines: &[&str]) -> Workspace {
    workspace
        .more_settings(&source("crm", "jsonl", "path = \"crm.jsonl\""))
        .file("crm.jsonl", &lines.join("\n"))
        .people(&[])
}

/// Every delivery of the first run as `source-less key status reason`.
fn report(workspace: &Workspace) -> Vec<String> {
    let report = workspace
        .run(["report", "1", "--json", "--unmasked"])
        .code(0);
    let mut rows: Vec<_> = report
        .json_lines()
        .iter()
        .map(|row| {
            let text = |name: &str| row[name].as_str().unwrap_or_default().to_owned();
            format!("{} {} {}", text("key"), text("status"), text("reason"))
                .trim()
                .to_owned()
        })
        .collect();
    rows.sort();
    rows
}

fn findings(ran: &Ran) -> Vec<String> {
    ran.json_lines()
        .iter()
        .filter_map(|line| {
            Some(format!(
                "{}:{}: {}",
                line["file"].as_str()?,
                line["line"],
                line["message"].as_str()?
            ))
        })
        .collect()
}

#[test]
fn nested_objects_and_arrays_are_maps_and_lists() {
    let workspace = jsonl(
        Workspace::new(),
        &[
            r#"{"id":1,"email":"ada@example.org","address":{"city":"London","zip":null},"orders":[{"total":12.50},{"total":7.25}],"vip":true}"#,
            r#"{"id":2,"email":"bob@example.org","address":{"city":"Leeds"},"orders":[],"vip":false}"#,
            r#"{"id":3,"email":"cy@example.org"}"#,
            r#"{"id":4,"email":"di@example.org","address":{"city":7},"orders":[],"vip":true}"#,
            r#"{"id":5,"email":"eve@example.org","vip":true"#,
        ],
    )
    .file(
        "campaigns/a.toml",
        &campaign(
            "source = \"crm\"\nwhere = 'get(r, \"address.city\", \"\") == \"London\" || r.address.city == \"Leeds\"'",
            "total = 'sum(r.orders.map(|order| order.total))'\nlines = 'r.orders.map(|o| #{ price: o.total })'",
            "{{ r.address.city }}: {{ total }}, {% for line in lines %}{{ line.price }};{% endfor %} \
             {% if r.vip %}VIP{% endif %}{% for order in r.orders %}[{{ order.total }}]{% endfor %}",
        ),
    );
    workspace.run(["check"]).code(0);
    workspace.run(["send", "a", "--yes"]).code(0);
    let bodies: Vec<_> = workspace.outbox().iter().map(Mail::decoded).collect();
    assert_eq!(bodies.len(), 2);
    assert!(
        bodies[0].contains("London: 19.75, 12.50;7.25; VIP[12.50][7.25]"),
        "{}",
        bodies[0]
    );
    assert!(bodies[1].contains("Leeds: 0,"), "{}", bodies[1]);
    let report = report(&workspace);
    assert_eq!(report.len(), 5, "{report:?}");
    assert!(
        report[0].starts_with("1 sent") || report[0].starts_with("skipped"),
        "{report:?}"
    );
    let all = report.join("\n");
    // A missing object is an empty cell, and strict typing holds for what is nested.
    for expected in [
        "3 skipped script_error: campaigns/a.toml:4:",
        "an empty value has no field `city`",
        "4 skipped script_error: campaigns/a.toml:4:",
        "skipped invalid_row: line 5: character 45: the line ends within an object",
    ] {
        assert!(all.contains(expected), "no {expected:?} in\n{all}");
    }
}

#[test]
fn check_knows_the_columns_of_json_lines() {
    let workspace = jsonl(
        Workspace::new(),
        &[r#"{"id":1,"email":"a@b.example","age":7}"#],
    )
    .file(
        "campaigns/a.toml",
        &campaign(
            "source = \"crm\"\nwhere = 'r.agee > 6 && r.age > 6'",
            "",
            "{{ r.nme }}",
        ),
    );
    let ran = workspace.run(["check", "--json"]).code(3);
    assert_eq!(
        findings(&ran),
        [
            "campaigns/a.toml:4: the source has no field `agee`",
            "campaigns/a.toml:10: no source of this campaign has a field `nme`",
        ]
    );
    let workspace = workspace.file("crm.jsonl", "[\n{\"id\":1}\n]\n");
    let ran = workspace.run(["check", "--json"]).code(3);
    assert!(
        findings(&ran)[0].contains("one object a line"),
        "{:?}",
        findings(&ran)
    );
    let csv = Workspace::new()
        .replace("campanile.toml", "age = \"integer\"", "age = \"any\"")
        .people(&[]);
    let ran = csv.run(["check", "--json"]).code(3);
    assert!(
        findings(&ran)[0].contains("a cell of text has none"),
        "{:?}",
        findings(&ran)
    );
}

#[test]
fn the_digest_of_a_plan_sees_nested_values() {
    let with = |line: &str| {
        let workspace = jsonl(Workspace::new(), &[line]).file(
            "campaigns/a.toml",
            &campaign("source = \"crm\"", "all = 'r.address'", "{{ all.city }}"),
        );
        let plan = workspace.run(["plan", "a", "--json"]).code(0).json();
        plan[0]["digest"].as_str().unwrap().to_owned()
    };
    let one = with(r#"{"id":1,"email":"a@b.example","address":{"city":"X","zip":1}}"#);
    let same = with(r#"{"email":"a@b.example","id":1,"address":{"zip":1,"city":"X"}}"#);
    let other = with(r#"{"id":1,"email":"a@b.example","address":{"city":"X","zip":2}}"#);
    assert_eq!(one, same);
    assert_ne!(one, other);
}

fn database(workspace: &Workspace, sql: &str) {
    rusqlite::Connection::open(workspace.path("crm.db"))
        .unwrap()
        .execute_batch(sql)
        .unwrap();
}

#[test]
fn the_rows_of_a_query_are_recipients() {
    let workspace = Workspace::new()
        .more_settings(&source(
            "crm",
            "sqlite",
            "path = \"crm.db\"\nquery = \"\"\"\nSELECT p.id, p.email, p.name, sum(o.total) AS spent, max(o.day) AS last\n\
             FROM person p JOIN purchase o ON o.person = p.id GROUP BY p.id\"\"\"\n[sources.crm.fields]\nlast = \"date\"",
        ))
        .people(&[])
        .file(
            "campaigns/a.toml",
            &campaign(
                "source = \"crm\"\nwhere = 'r.spent > 10 && r.last >= date(\"2026-01-01\")'",
                "",
                "{{ r.name }}: {{ r.spent }} until {{ r.last }}",
            ),
        );
    database(
        &workspace,
        "CREATE TABLE person (id INTEGER, email TEXT, name TEXT);
         INSERT INTO person VALUES (1, 'ada@example.org', 'Ada'), (2, 'bob@example.org', 'Bob'), (3, 'cy@example.org', 'Cy');
         CREATE TABLE purchase (person INTEGER, total REAL, day TEXT);
         INSERT INTO purchase VALUES (1, 7.25, '2026-02-01'), (1, 5, '2026-03-01'), (2, 3, '2026-01-01'), (3, 50, 'soon');",
    );
    workspace.run(["check"]).code(0);
    workspace.run(["send", "a", "--yes"]).code(0);
    assert_eq!(workspace.recipients(), ["ada@example.org"]);
    assert!(
        workspace.outbox()[0]
            .decoded()
            .contains("Ada: 12.25 until 2026-03-01")
    );
    let report = report(&workspace);
    assert!(
        report[1].starts_with("3 skipped invalid_row: line 3, column \"last\""),
        "{report:?}"
    );
    // What is wrong with the query stands at its place; a run is held.
    let workspace = workspace.replace("campanile.toml", "p.name,", "p.nme,");
    let ran = workspace.run(["check", "--json"]).code(3);
    assert_eq!(
        ran.json_lines()[0]["message"],
        json!("source crm: the query: no such column: p.nme")
    );
    let ran = workspace.run(["check"]).code(3);
    assert!(
        ran.stderr.contains("SELECT p.id, p.email, p.nme"),
        "{}",
        ran.stderr
    );
    let plan = workspace.run(["plan", "a"]).code(1);
    assert!(plan.stderr.contains("no such column"), "{}", plan.stderr);
}

fn two_sources() -> Workspace {
    jsonl(
        Workspace::new(),
        &[
            r#"{"id":"1","email":"ada@example.org","name":"Ada of the crm","age":40}"#,
            r#"{"id":"9","email":"NINE@example.org","name":"Nine","age":9}"#,
            r#"{"id":"7","email":"bob@example.org","name":"Bob again","age":50}"#,
        ],
    )
    .people(&[
        "1,one@example.org,One,30",
        "2,bob@example.org,Bob,20",
        "3,no,Cy,70",
        "2,x@example.org,Twice,20",
    ])
}

#[test]
fn several_sources_are_one_audience_of_recipients_by_source_and_key() {
    let workspace = two_sources().file(
        "campaigns/a.toml",
        &campaign(
            "sources = [\"people\", \"crm\"]\nwhere = 'r.age > 10'",
            "",
            "{{ r.name }}",
        ),
    );
    workspace.run(["check"]).code(0);
    let plan = workspace.run(["plan", "a", "--json"]).code(0).json();
    assert_eq!(
        (&plan[0]["total"], &plan[0]["matched"], &plan[0]["to_send"]),
        (&json!(7), &json!(6), &json!(3))
    );
    workspace.run(["send", "a", "--yes"]).code(0);
    assert_eq!(
        workspace.recipients(),
        ["ada@example.org", "bob@example.org", "one@example.org"],
        "key 1 of either source is somebody of his own"
    );
    let report = report(&workspace);
    let skipped: Vec<_> = report
        .iter()
        .filter(|row| row.contains("skipped"))
        .map(|row| row.split(':').next().unwrap())
        .collect();
    assert_eq!(
        skipped,
        [
            "2 skipped duplicate_key",
            "3 skipped invalid_address",
            "7 skipped duplicate_address"
        ]
    );
    // The same label again, with the sources turned round: nobody gets it twice.
    let workspace = workspace.replace(
        "campaigns/a.toml",
        "\"people\", \"crm\"",
        "\"crm\", \"people\"",
    );
    workspace.run(["send", "a", "--yes"]).code(5);
}

#[test]
fn keys_and_cooldown_go_over_all_sources() {
    let workspace = two_sources().file(
        "campaigns/a.toml",
        &campaign(
            "sources = [\"people\", \"crm\"]\nkeys = \"1, 9, 77\"\ncooldown = \"30d\"",
            "",
            "{{ r.name }}",
        ),
    );
    workspace
        .run(["send", "a", "--as", "first", "--yes"])
        .code(0);
    assert_eq!(
        workspace.recipients(),
        ["NINE@example.org", "ada@example.org", "one@example.org"]
    );
    assert!(
        report(&workspace)
            .iter()
            .any(|row| row.starts_with("77 skipped unknown_key"))
    );
    let plan = workspace.run(["plan", "a", "--json"]).code(0).json();
    assert_eq!(plan[0]["skipped"]["cooldown"], json!(3));
}

#[test]
fn columns_are_checked_against_each_source() {
    let workspace = two_sources()
        .replace("crm.jsonl", "\"age\":40", "\"age\":40,\"city\":\"X\"")
        .file(
            "campaigns/a.toml",
            &campaign(
                "sources = [\"people\", \"crm\"]\nwhere = 'r.city == \"X\" && r.nowhere && get(r, \"city\", \"\") != \"\"'",
                "",
                "{{ r.city }}{{ r.name }}",
            ),
        );
    let ran = workspace.run(["check", "--json"]).code(3);
    assert_eq!(
        findings(&ran),
        [
            "campaigns/a.toml:4: the source has no field `city` (source `people`)",
            "campaigns/a.toml:4: the source has no field `nowhere`",
            "campaigns/a.toml:10: the source `people` has no field `city`, and other sources of this campaign do",
        ]
    );
    // Types too: in people.csv the age is an integer here and a text there.
    let other = source("others", "csv", "path = \"people.csv\"");
    let workspace = workspace.more_settings(&other).file(
        "campaigns/a.toml",
        &campaign(
            "sources = [\"people\", \"others\"]\nwhere = 'r.age > 10'",
            "",
            "x",
        ),
    );
    let ran = workspace.run(["check", "--json"]).code(3);
    assert_eq!(
        findings(&ran),
        [
            "campaigns/a.toml:4: `>` can't compare a string with a number: it would fail for every recipient (source `others`)"
        ]
    );
    let twice = workspace.file(
        "campaigns/a.toml",
        &campaign("sources = [\"people\", \"people\"]", "", "x"),
    );
    let ran = twice.run(["check", "--json"]).code(3);
    assert_eq!(
        findings(&ran),
        ["campaigns/a.toml:3: `sources` names `people` twice"]
    );
}

#[test]
fn one_source_that_can_not_be_read_holds_the_run() {
    let workspace = two_sources().file(
        "campaigns/a.toml",
        &campaign("sources = [\"people\", \"crm\"]", "", "{{ r.name }}"),
    );
    std::fs::remove_file(workspace.path("crm.jsonl")).unwrap();
    let ran = workspace.run(["send", "a", "--yes"]);
    assert_ne!(ran.code, Some(0));
    assert!(
        ran.stderr.contains("crm.jsonl: there is no such file"),
        "{}",
        ran.stderr
    );
    assert!(workspace.outbox().is_empty());
}
