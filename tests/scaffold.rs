//! `init`, `schema` and `functions`: what a newcomer and an editor get.

use std::fs;

use crate::support::{Workspace, wait_for};

/// A workspace that `init` made, with the ports of this test.
fn fresh(more: &[&str]) -> Workspace {
    let workspace = Workspace::empty();
    let ran = workspace.run(["init"].iter().chain(more)).code(0);
    assert!(
        ran.stdout
            .contains("campanile check && campanile test && campanile plan"),
        "{}",
        ran.stdout
    );
    let (web, admin) = (workspace.web_port, workspace.admin_port);
    let text = fs::read_to_string(workspace.path("campanile.toml")).unwrap();
    let ports =
        format!("[web]\nlisten = \"127.0.0.1:{web}\"\nadmin_listen = \"127.0.0.1:{admin}\"\n");
    assert!(text.contains("[web]\n"));
    workspace.write("campanile.toml", &text.replace("[web]\n", &ports));
    workspace
}

#[test]
fn a_new_workspace_works_at_once() {
    let workspace = fresh(&[]);
    let checked = workspace.run(["check"]).code(0);
    assert_eq!(
        checked.stdout, "1 campaign, 1 script: no errors\n",
        "{}",
        checked.stderr
    );
    workspace.run(["test"]).code(0);
    let plan = workspace.run(["plan", "--json"]).code(0).json();
    assert_eq!(plan[0]["campaign"], "news");
    assert_eq!(plan[0]["total"], 4);
    assert_eq!(plan[0]["to_send"], 2);
    let daemon = workspace.serve();
    let status = workspace.run(["status", "--json"]).code(0).json();
    assert_eq!(status["campaigns"][0]["state"], "scheduled", "{status}");
    assert_eq!(daemon.terminate(), Some(0));
    let shown = workspace
        .run(["preview", "news", "--recipient", "A1"])
        .code(0)
        .stdout;
    assert!(shown.contains("Good morning, Ada!"), "{shown}");
}

#[test]
fn what_is_there_is_not_overwritten() {
    let workspace = fresh(&["--with", "github"]);
    workspace.write("campaigns/news.md", "mine");
    let ran = workspace.run(["init"]).code(5);
    assert!(ran.stderr.contains("campaigns/news.md"), "{}", ran.stderr);
    assert_eq!(
        fs::read_to_string(workspace.path("campaigns/news.md")).unwrap(),
        "mine"
    );
    // One file of it is enough to stop all of it.
    let other = Workspace::empty().file("scripts/customers.rhai", "// mine");
    let ran = other.run(["init"]).code(5);
    assert!(
        ran.stderr.contains("scripts/customers.rhai"),
        "{}",
        ran.stderr
    );
    assert!(!other.path("campanile.toml").exists());
    other.run(["init", "--force"]).code(0);
    other.run(["init", "elsewhere/new"]).code(0);
    other.run(["check", "--workspace", "elsewhere/new"]).code(0);
}

#[test]
fn the_workflow_runs_what_there_is() {
    let workspace = fresh(&["--with", "github"]);
    let text = fs::read_to_string(workspace.path(".github/workflows/campanile.yml")).unwrap();
    let verbs = text.lines().filter_map(|line| {
        let (_, rest) = line.split_once("campanile ")?;
        (line.contains("run:") || line.trim().starts_with("campanile ")).then_some(rest)
    });
    let verbs: Vec<_> = verbs.filter_map(|rest| rest.split(' ').next()).collect();
    for verb in ["check", "test", "plan"] {
        assert!(verbs.contains(&verb), "{verb}: {verbs:?}");
    }
}

#[test]
fn schemas_are_printed_and_written() {
    let workspace = Workspace::empty();
    let schema = workspace.run(["schema", "campaign"]).code(0).json();
    assert_eq!(schema["properties"]["topic"]["type"], "string");
    assert_eq!(schema["additionalProperties"], false);
    let all = workspace.run(["schema"]).code(0).json();
    assert_eq!(all["campaign"], schema);
    workspace.run(["schema", "--out", "schemas"]).code(0);
    for name in ["settings", "environment", "campaign"] {
        let text =
            fs::read_to_string(workspace.path(&format!("schemas/{name}.schema.json"))).unwrap();
        let written: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(written, all[name], "{name}");
    }
    workspace.run(["schema", "campaigns"]).code(2);
}

#[test]
fn functions_are_listed_and_editors_know_the_fields() {
    let workspace = Workspace::new().people(&["1,ada@example.org,Ada,36"]);
    let all = workspace.run(["functions", "--json"]).code(0).json();
    assert!(all.as_array().unwrap().len() > 50);
    let one = workspace.run(["functions", "days_until"]).code(0).stdout;
    assert!(one.starts_with("days_until(date)\n"), "{one}");
    let wrong = workspace.run(["functions", "days_untill"]).code(2);
    assert!(
        wrong.stderr.contains("did you mean days_until?"),
        "{}",
        wrong.stderr
    );
    workspace
        .run(["functions", "--definitions", "editor"])
        .code(0);
    let people = fs::read_to_string(workspace.path("editor/people.d.rhai")).unwrap();
    assert!(
        people.contains("\nfn get age(r: People) -> int;\n"),
        "{people}"
    );
    let host = fs::read_to_string(workspace.path("editor/campanile.d.rhai")).unwrap();
    assert!(host.contains("\nfn days_until(date: ?);\n"), "{host}");
}

#[test]
fn an_edited_new_workspace_is_watched() {
    let workspace = fresh(&[]);
    let daemon = workspace.serve();
    workspace.write("campaigns/news.md", "Dear {{ first_nam }}, this is new.\n");
    wait_for("the broken template", || {
        let status = workspace.run(["status", "--json"]).code(0).json();
        (status["campaigns"][0]["state"] == "broken").then_some(())
    });
    assert_eq!(daemon.terminate(), Some(0));
}
