//! The way out: links that work, for people, for mail programs, for people whose mail is about to leave.

use crate::support::{Workspace, wait_for};

const AUDIENCE: &str = "[audience]\nsource = \"people\"\ncooldown = \"none\"";

fn client() -> reqwest::blocking::Client {
    crate::support::http()
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .unwrap()
}

fn reasons(workspace: &Workspace) -> serde_json::Value {
    workspace.run(["plan", "a", "--json"]).code(0).json()[0]["skipped"].clone()
}

#[test]
fn looking_changes_nothing_and_one_click_unsubscribes() {
    let workspace = Workspace::new()
        .people(&["1,ada@example.org,Ada,36", "2,bob@example.org,Bob,40"])
        .campaign("a", AUDIENCE);
    let _daemon = workspace.serve();
    workspace.run(["send", "a", "--yes"]).code(0);
    let mail = &workspace.outbox()[0];
    assert_eq!(
        mail.header("List-Unsubscribe-Post").as_deref(),
        Some("List-Unsubscribe=One-Click")
    );
    let url = mail.unsubscribe_url().unwrap();
    assert!(!url.contains("ada"), "{url}");
    assert!(mail.decoded().contains(&url), "the footer has the link");
    assert!(mail.decoded().contains("1 Main Street, 12345 Springfield"));

    let page = client().get(&url).send().unwrap();
    assert_eq!(page.status(), 200);
    let page = page.text().unwrap();
    assert!(
        page.contains("<button") && page.contains("News") && !page.contains("ada@"),
        "{page}"
    );
    client().head(&url).send().unwrap();
    assert_eq!(
        reasons(&workspace),
        serde_json::json!({}),
        "looking changes nothing"
    );

    for _ in 0..2 {
        let answer = client()
            .post(&url)
            .form(&[("List-Unsubscribe", "One-Click")])
            .send()
            .unwrap();
        assert_eq!(answer.status(), 200);
        assert!(answer.headers().get("set-cookie").is_none());
    }
    assert_eq!(reasons(&workspace), serde_json::json!({"unsubscribed": 1}));

    let undo = client()
        .post(&url)
        .form(&[("action", "undo")])
        .send()
        .unwrap();
    assert_eq!(undo.status(), 200);
    assert_eq!(reasons(&workspace), serde_json::json!({}));

    let form = reqwest::blocking::multipart::Form::new().text("List-Unsubscribe", "One-Click");
    assert_eq!(
        client().post(&url).multipart(form).send().unwrap().status(),
        200
    );
    assert_eq!(reasons(&workspace), serde_json::json!({"unsubscribed": 1}));
}

#[test]
fn a_wrong_token_gets_a_kind_page_and_changes_nothing() {
    let workspace = Workspace::new()
        .people(&["1,ada@example.org,Ada,36"])
        .campaign("a", AUDIENCE);
    let _daemon = workspace.serve();
    workspace.run(["send", "a", "--yes"]).code(0);
    let url = workspace.outbox()[0].unsubscribe_url().unwrap();
    let last = if url.ends_with('A') { 'B' } else { 'A' };
    let forged = format!("{}{last}", &url[..url.len() - 1]);
    let host = &url[..url.find("/u/").unwrap()];
    for url in [
        forged,
        format!("{host}/u/x"),
        format!("{host}/u/{}", "A".repeat(5_000)),
    ] {
        let answer = client()
            .post(&url)
            .form(&[("List-Unsubscribe", "One-Click")])
            .send()
            .unwrap();
        assert!(
            matches!(answer.status().as_u16(), 404 | 414),
            "{} {url}",
            answer.status()
        );
    }
    assert_eq!(reasons(&workspace), serde_json::json!({}));
}

#[test]
fn it_counts_at_once_for_messages_that_have_not_left() {
    let workspace = Workspace::new()
        .settings("[transports.main]\nkind = \"outbox\"\npath = \"outbox\"\nrate = \"10/s\"\n")
        .crowd(60)
        .campaign("first", AUDIENCE)
        .campaign("a", AUDIENCE);
    let _daemon = workspace.serve();
    workspace.run(["send", "first", "--yes"]).code(0);
    let links: std::collections::BTreeMap<_, _> = workspace
        .outbox()
        .iter()
        .map(|mail| (mail.header("To").unwrap(), mail.unsubscribe_url().unwrap()))
        .collect();
    std::fs::remove_dir_all(workspace.path("outbox")).unwrap();
    let mut sending = workspace.command(["send", "a", "--yes"]).spawn().unwrap();
    wait_for("the first messages", || {
        (workspace.recipients().len() >= 3).then_some(())
    });
    let got: std::collections::BTreeSet<_> = workspace.recipients().into_iter().collect();
    let waiting: Vec<_> = links.iter().filter(|(to, _)| !got.contains(*to)).collect();
    for (_, url) in &waiting {
        client()
            .post(*url)
            .form(&[("List-Unsubscribe", "One-Click")])
            .send()
            .unwrap();
    }
    let unsubscribed_at = workspace.recipients().len();
    sending.wait().unwrap();
    // Ten a second leave while the links are pressed, and what was on the wire: nothing after it.
    let late = workspace.recipients().len() - unsubscribed_at;
    assert!(late <= 12, "{late} messages left after everybody was out");
    let report = workspace.run(["report", "2", "--json"]).json_lines();
    let skipped = report
        .iter()
        .filter(|row| row["status"] == "skipped" && row["reason"] == "unsubscribed")
        .count();
    assert_eq!(skipped, 60 - workspace.recipients().len());
    assert!(skipped > 20, "{skipped}");
}

#[test]
fn transactional_mail_goes_to_the_unsubscribed_but_not_to_the_bounced() {
    let workspace = Workspace::new()
        .people(&["1,ada@example.org,Ada,36", "2,bob@example.org,Bob,40"])
        .file(
            "campaigns/a.toml",
            "topic = \"billing\"\n[audience]\nsource = \"people\"\ncooldown = \"none\"\n[email]\nvia = \"main\"\nsubject = \"Bill\"\n\
             body_text = \"Dear {{ r.name }}\"\n",
        );
    workspace
        .run([
            "suppress",
            "add",
            "ada@example.org",
            "--reason",
            "unsubscribed",
        ])
        .code(0);
    workspace
        .run(["suppress", "add", "bob@example.org", "--reason", "bounced"])
        .code(0);
    workspace.run(["send", "a", "--yes"]).code(0);
    assert_eq!(workspace.recipients(), ["ada@example.org"]);
    assert!(workspace.outbox()[0].header("List-Unsubscribe").is_none());
}

#[test]
fn secrets_rotate_and_old_links_still_work() {
    let workspace = Workspace::new()
        .people(&["1,ada@example.org,Ada,36"])
        .campaign("a", AUDIENCE)
        .file("old", "the old secret")
        .file("new", "the new secret")
        .replace(
            "campanile.toml",
            "[web]",
            "[web]\nsecrets = [{ file = \"old\" }]",
        );
    workspace.run(["send", "a", "--yes"]).code(0);
    let url = workspace.outbox()[0].unsubscribe_url().unwrap();
    let workspace = workspace.replace(
        "campanile.toml",
        "[{ file = \"old\" }]",
        "[{ file = \"new\" }, { file = \"old\" }]",
    );
    let _daemon = workspace.serve();
    assert_eq!(client().post(&url).body("").send().unwrap().status(), 200);
    assert_eq!(reasons(&workspace), serde_json::json!({"unsubscribed": 1}));
}

#[test]
fn a_browser_presses_the_button() {
    let workspace = Workspace::new()
        .people(&["1,ada@example.org,Ada,36"])
        .campaign("a", AUDIENCE);
    let _daemon = workspace.serve();
    workspace.run(["send", "a", "--yes"]).code(0);
    let url = workspace.outbox()[0].unsubscribe_url().unwrap();
    let Some(browser) = crate::support::browser::Browser::start() else {
        return;
    };
    browser.open(&url);
    assert_eq!(
        reasons(&workspace),
        serde_json::json!({}),
        "opening the page changes nothing"
    );
    browser.press("button");
    wait_for("the confirmation", || {
        browser.text().contains("unsubscribed").then_some(())
    });
    assert_eq!(reasons(&workspace), serde_json::json!({"unsubscribed": 1}));
}
