//! `campanile preview`: the message, its files, and the page that shows it.

use crate::support::{Workspace, browser::Browser};

const HOSTILE: &str =
    "<script>document.title = 'stolen'</script><img src=x onerror=\"document.title = 'stolen'\">";

fn workspace(name: &str) -> Workspace {
    Workspace::new()
        .people(&[&format!("1,ada.king@example.org,\"{}\",36", name.replace('"', "\"\""))])
        .file(
            "campaigns/a.toml",
            "topic = \"news\"\n[audience]\nsource = \"people\"\n[variables]\nname = 'r.name'\n[email]\nvia = \"main\"\nsubject = \"For {{ r.email }}\"\n\
             body = \"a.html\"\n",
        )
        .file(
            "campaigns/a.html",
            "<!doctype html><html><head><style>p { color: #123456 } @media (max-width: 400px) { p { color: #654321 } }</style></head><body>\
             <p id=\"it\">Dear {{ name }}, hello.</p></body></html>",
        )
}

#[test]
fn json_has_no_address_and_the_outbox_keeps_its_words() {
    let workspace = workspace("Ada");
    let preview = workspace.run(["preview", "a", "--json"]).code(0).json();
    assert_eq!(preview["subject"], "For a…@example.org");
    assert!(!preview.to_string().contains("ada.king@"), "{preview}");
    let unmasked = workspace
        .run(["preview", "a", "--json", "--unmasked"])
        .code(0)
        .json();
    assert_eq!(unmasked["subject"], "For ada.king@example.org");

    workspace.run(["send", "a", "--yes"]).code(0);
    let rows = workspace.run(["report", "1", "--json"]).json_lines();
    let words = rows[0]["reason"].as_str().unwrap();
    assert!(
        words.ends_with("@acme.example.eml") && !words.contains('…'),
        "{words}"
    );
    assert!(
        workspace
            .path("outbox")
            .join(words.rsplit(' ').next().unwrap())
            .exists(),
        "{words}"
    );
}

#[test]
fn the_page_shows_the_message_at_both_widths_and_lets_it_do_nothing() {
    let workspace = workspace(HOSTILE);
    let ran = workspace.run(["preview", "a", "--out", "shown"]).code(0);
    assert!(
        ran.stderr.contains("wrote shown/index.html\n"),
        "{}",
        ran.stderr
    );
    for name in ["message.eml", "message.html", "message.txt", "index.html"] {
        assert!(workspace.path("shown").join(name).exists(), "{name}");
    }
    let page = std::fs::read_to_string(workspace.path("shown/index.html")).unwrap();
    assert!(!page.contains("<script"), "{page}");
    let Some(browser) = Browser::start() else {
        return;
    };
    browser.open(&format!(
        "file://{}",
        workspace.path("shown/index.html").display()
    ));
    let text = browser.text();
    for words in [
        "For ada.king@example.org",
        "Phone, 375 pixels".to_uppercase().as_str(),
        "List-Unsubscribe",
        "\"Acme Energy\" <news@acme.example>",
    ] {
        assert!(text.contains(words), "{words}: {text}");
    }
    let title = browser.evaluate("return document.title");
    assert_eq!(title, "For ada.king@example.org · a");
    let widths = browser
        .evaluate("return [...document.querySelectorAll('iframe')].map(one => one.clientWidth)");
    assert_eq!(widths[0], 375);
    assert!(widths[1].as_u64().unwrap() > 400, "{widths}");
    let frames = browser.evaluate(
        "return [...document.querySelectorAll('iframe')].map(one => one.contentDocument === null)",
    );
    assert_eq!(
        frames,
        serde_json::json!([true, true]),
        "another origin: nothing reaches the page"
    );
}

#[test]
fn plain_text_has_a_page_too() {
    let workspace = Workspace::new()
        .people(&["1,ada@example.org,Ada <b>,36"])
        .campaign("a", "{audience}");
    workspace.run(["preview", "a", "--out", "shown"]).code(0);
    assert!(!workspace.path("shown/message.html").exists());
    let page = std::fs::read_to_string(workspace.path("shown/index.html")).unwrap();
    assert!(
        page.contains("Dear Ada &lt;b&gt;, this is for you."),
        "{page}"
    );
    assert!(!page.contains("message.html"), "{page}");
}
