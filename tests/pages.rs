//! The public pages beside the way out: the message in a browser, and the topics a person wants.

use crate::support::{Workspace, wait_for};

const CAMPAIGN: &str = "topic = \"news\"\n[audience]\nsource = \"people\"\ncooldown = \"none\"\n[email]\nvia = \"main\"\n\
                        subject = \"Hello {{ r.name }}\"\nbody = \"a.md\"\n";
const BODY: &str = "# Hi {{ r.name }}\n\n![Logo](logo.png)\n\n[In a browser]({{ view_url }})\n\n[Topics]({{ preferences_url }})\n";
const MORE_TOPICS: &str = "[topics.offers]\ntitle = \"Offers & more\"\npurpose = \"marketing\"\n";

fn workspace() -> Workspace {
    let workspace = Workspace::new()
        .more_settings(MORE_TOPICS)
        .people(&["1,ada@example.org,Ada <b>,36", "2,bob@example.org,Bob,40"])
        .file("campaigns/a.toml", CAMPAIGN)
        .file("campaigns/a.md", BODY)
        .file(
            "campaigns/b.toml",
            &CAMPAIGN
                .replace("\"news\"", "\"offers\"")
                .replace("a.md", "b.txt"),
        )
        .file("campaigns/b.txt", "Hi {{ r.name }}\n{{ view_url }}\n");
    std::fs::write(
        workspace.path("campaigns/logo.png"),
        b"\x89PNG\r\n\x1a\nlogo",
    )
    .unwrap();
    workspace
}

fn client() -> reqwest::blocking::Client {
    crate::support::http().build().unwrap()
}

/// The first link of a kind (`/v/`, `/p/`) in the first message.
fn link(workspace: &Workspace, letter: &str) -> String {
    let text = workspace.outbox()[0].decoded();
    let start = format!("http://127.0.0.1:{}{letter}", workspace.web_port);
    let at = text
        .find(&start)
        .unwrap_or_else(|| panic!("{letter}: {text}"));
    let end = text[at..].find(|c: char| "\"<> \r\n)".contains(c)).unwrap();
    text[at..at + end].to_owned()
}

fn skipped(workspace: &Workspace, campaign: &str) -> serde_json::Value {
    workspace.run(["plan", campaign, "--json"]).code(0).json()[0]["skipped"].clone()
}

#[test]
fn the_message_is_shown_as_it_was_sent() {
    let workspace = workspace();
    let _daemon = workspace.serve();
    workspace.run(["send", "a", "--yes"]).code(0);
    let url = link(&workspace, "/v/");
    // Edits count from the next run: what was sent is what is shown.
    workspace.write("campaigns/a.md", "Something else\n");
    let answer = client().get(&url).send().unwrap();
    assert_eq!(answer.status(), 200);
    let header = |name: &str| answer.headers()[name].to_str().unwrap().to_owned();
    assert_eq!(
        (
            header("cache-control").as_str(),
            header("x-robots-tag").as_str()
        ),
        ("no-store", "noindex, nofollow")
    );
    let policy = header("content-security-policy");
    assert!(
        policy.contains("default-src 'none'")
            && policy.contains("sandbox")
            && !policy.contains("script"),
        "{policy}"
    );
    let page = answer.text().unwrap();
    assert!(
        page.contains("Hi Ada &lt;b&gt;") && page.contains("data:image/png;base64,"),
        "{page}"
    );
    assert!(
        page.contains("1 Main Street") && page.contains("/u/"),
        "it has its way out: {page}"
    );

    // No other link opens it, and neither does a changed one.
    let token = url.rsplit_once('/').unwrap().1;
    let way_out = workspace.outbox()[0].unsubscribe_url().unwrap();
    let host = &way_out[..way_out.find("/u/").unwrap()];
    let other = way_out.rsplit_once('/').unwrap().1;
    for wrong in [
        format!("{host}/v/{other}"),
        format!("{host}/u/{token}"),
        format!("{host}/p/{token}"),
        format!("{host}/v/{token}A"),
    ] {
        assert_eq!(
            client().get(&wrong).send().unwrap().status(),
            404,
            "{wrong}"
        );
    }

    workspace.run(["send", "b", "--yes"]).code(0);
    let texts: Vec<_> = workspace
        .outbox()
        .iter()
        .map(crate::support::Mail::decoded)
        .collect();
    let text = texts
        .iter()
        .find(|text| text.contains("\r\nHi Bob") && !text.contains("multipart/"))
        .unwrap();
    let at = text.find("http://").unwrap();
    let at = text[at..]
        .find("/v/")
        .map_or(at, |found| text[..at + found].rfind("http://").unwrap());
    let url: String = text[at..]
        .chars()
        .take_while(|c| !c.is_whitespace())
        .collect();
    let page = client().get(&url).send().unwrap().text().unwrap();
    assert!(
        page.contains("<pre>Hi Bob") && page.contains("Hello Bob"),
        "{page}"
    );
}

#[test]
fn a_message_that_is_kept_no_longer_says_so() {
    let workspace = workspace().replace("campanile.toml", "[web]", "[web]\nview_keep = \"1s\"");
    let _daemon = workspace.serve();
    workspace.run(["send", "a", "--yes"]).code(0);
    let url = link(&workspace, "/v/");
    let page = wait_for("the message to be too old", || {
        let answer = client().get(&url).send().unwrap();
        (answer.status() == 410).then(|| answer.text().unwrap())
    });
    assert!(
        page.contains("Acme Energy") && page.contains("in your mailbox"),
        "{page}"
    );
    // A test message is kept nowhere.
    workspace
        .run(["send", "a", "--to", "me@example.org"])
        .code(0);
    let text = workspace
        .outbox()
        .iter()
        .find(|mail| mail.header("To").as_deref() == Some("me@example.org"))
        .unwrap()
        .decoded();
    let at = text.find("/v/").unwrap();
    let start = text[..at].rfind("http://").unwrap();
    let url: String = text[start..]
        .chars()
        .take_while(|c| !"\"<> \r\n)".contains(*c))
        .collect();
    assert_eq!(client().get(&url).send().unwrap().status(), 410);
}

#[test]
fn topics_are_turned_off_and_on_for_address_and_key() {
    let workspace = workspace();
    let _daemon = workspace.serve();
    workspace.run(["send", "a", "--yes"]).code(0);
    let url = link(&workspace, "/p/");
    let none = serde_json::json!({});
    let one = serde_json::json!({"unsubscribed": 1});
    let state = || (skipped(&workspace, "a"), skipped(&workspace, "b"));

    let page = client().get(&url).send().unwrap().text().unwrap();
    assert_eq!(page.matches(" checked").count(), 2, "{page}");
    assert!(
        page.contains("Offers &amp; more") && !page.contains("Billing") && !page.contains("ada@"),
        "{page}"
    );
    client().head(&url).send().unwrap();
    client()
        .post(&url)
        .form(&[("List-Unsubscribe", "One-Click")])
        .send()
        .unwrap();
    assert_eq!(
        state(),
        (none.clone(), none.clone()),
        "looking changes nothing"
    );

    let post = |fields: &[(&str, &str)]| {
        client()
            .post(&url)
            .form(fields)
            .send()
            .unwrap()
            .text()
            .unwrap()
    };
    let counted = || workspace.run(["status", "--json"]).json()["runs"][0]["unsubscribed"].clone();
    let page = post(&[("on", "offers"), ("action", "save")]);
    assert!(
        page.contains("Saved.") && page.matches(" checked").count() == 1,
        "{page}"
    );
    assert_eq!(state(), (one.clone(), none.clone()));
    let listed = workspace.run(["suppress", "list", "--json"]).code(0).stdout;
    assert_eq!(
        listed.matches("\"news\"").count(),
        2,
        "by address and by key: {listed}"
    );

    // For `[stop_if]` that is a way out like any other.
    assert_eq!(counted(), 1);
    post(&[("action", "none")]);
    assert_eq!(state(), (one.clone(), one.clone()));
    assert_eq!(counted(), 1);
    // Who comes back to one topic has not asked for the others.
    post(&[("on", "offers"), ("action", "save")]);
    assert_eq!(state(), (one.clone(), none.clone()));
    post(&[("on", "offers"), ("on", "news"), ("action", "save")]);
    assert_eq!(state(), (none.clone(), none.clone()));
    assert_eq!(counted(), 0);

    // Only unsubscriptions are taken back.
    workspace
        .run([
            "suppress",
            "add",
            "ada@example.org",
            "--reason",
            "complained",
        ])
        .code(0);
    let page = post(&[("on", "offers"), ("on", "news"), ("action", "save")]);
    assert!(
        page.contains("At the moment nothing is sent to you"),
        "{page}"
    );
    assert_eq!(
        skipped(&workspace, "a"),
        serde_json::json!({"suppressed": 1})
    );
}

#[test]
fn a_browser_sets_preferences_and_reads_the_message() {
    let workspace = workspace();
    let _daemon = workspace.serve();
    workspace.run(["send", "a", "--yes"]).code(0);
    let Some(browser) = crate::support::browser::Browser::start() else {
        return;
    };
    browser.open(&link(&workspace, "/p/"));
    assert!(
        browser.text().contains("Offers & more"),
        "{}",
        browser.text()
    );
    browser.press("input[value=news]");
    browser.press("button[value=save]");
    wait_for("the confirmation", || {
        browser.text().contains("Saved.").then_some(())
    });
    assert_eq!(
        skipped(&workspace, "a"),
        serde_json::json!({"unsubscribed": 1})
    );
    browser.press("button[value=none]");
    wait_for("the confirmation", || {
        browser.text().contains("no more messages").then_some(())
    });
    assert_eq!(
        skipped(&workspace, "b"),
        serde_json::json!({"unsubscribed": 1})
    );

    browser.open(&link(&workspace, "/v/"));
    assert!(browser.text().contains("Hi Ada <b>"), "{}", browser.text());
}
