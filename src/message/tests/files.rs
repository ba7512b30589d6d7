//! Pictures and attachments. What other programs make of them is tested in `tests/messages.rs`.

use super::*;
use crate::model::Attachment;

fn attachment(name: &str, bytes: &[u8]) -> Attachment {
    Attachment {
        name: name.to_owned(),
        content_type: "application/pdf".to_owned(),
        bytes: bytes.into(),
        place: Place::start_of(&SourceFile::new("campaigns/a.toml", "")),
    }
}

fn whole(mail: &Mail) -> String {
    String::from_utf8(mail.preview().outgoing.into_bytes()).unwrap()
}

#[test]
fn a_picture_beside_the_body_goes_with_the_message_once() {
    let mail = mail(
        BodyFormat::Markdown,
        "x",
        "![Our logo](logo.png) ![The same](./logo.png) ![On the web](https://a.example/b.png) ![Hers]({{ first_name }})\n\n\
         ![A photo](photo.jpg)",
    );
    let mut same = mail;
    same.campaign.email.as_mut().unwrap().body.template = excerpt(
        "campaigns/a.md",
        "![Our logo](logo.png) ![The same](logo.png) ![On the web](https://a.example/b.png) ![Hers]({{ first_name }})\n\n\
         ![A photo](photo.jpg)",
    );
    let message = whole(&same);
    assert_eq!(same.findings(), Vec::<String>::new());
    let related = message.matches("multipart/related").count();
    let ids: Vec<&str> = message
        .split("Content-ID: <")
        .skip(1)
        .map(|rest| rest.split_once('>').unwrap().0)
        .collect();
    assert_eq!((related, ids.len()), (1, 2), "{message}");
    let html = message.replace("=\r\n", "").replace("=3D", "=");
    assert_eq!(
        html.matches(&format!("src=\"cid:{}\"", ids[0])).count(),
        2,
        "{html}"
    );
    assert_eq!(html.matches(&format!("src=\"cid:{}\"", ids[1])).count(), 1);
    assert!(html.contains("src=\"https://a.example/b.png\""), "{html}");
    assert!(message.contains(&STANDARD.encode(b"\x89PNG\r\n\x1a\nlogo")));
    // A browser has no parts to look into.
    let seen = same.preview().html.unwrap();
    assert!(
        seen.contains("src=\"data:image/png;base64,") && !seen.contains("cid:"),
        "{seen}"
    );
    assert!(
        same.preview()
            .text
            .starts_with("Our logo The same On the web Hers\n\nA photo")
    );
}

#[test]
fn what_is_wrong_with_a_picture_is_said_where_it_stands() {
    let findings = |format, body: &str| mail(format, "x", body).findings();
    assert_eq!(
        findings(BodyFormat::Markdown, "Hi\n\n![Logo](lgo.png)"),
        ["campaigns/a.md:3:9: there is no file lgo.png"]
    );
    assert_eq!(
        findings(
            BodyFormat::Html,
            "<p>\n<img src=\"terms.pdf\" alt=\"\"></p>"
        ),
        [
            "campaigns/a.md:2:11: terms.pdf is no picture that mail programs show (use a .png, .jpg or .gif)"
        ]
    );
    assert_eq!(
        findings(
            BodyFormat::Html,
            "<p><img src=\"logo-{{ first_name }}.png\" alt=\"\"></p>"
        ),
        [
            "campaigns/a.md:1:1: which picture this is depends on the recipient, so it can't go with the message \
          (give each its own `{% if … %}`, or link to a picture on the web)"
        ]
    );
    assert_eq!(
        findings(BodyFormat::Markdown, "![](logo.png)"),
        [
            "campaigns/a.md:1:1: a picture without words: who does not see it learns nothing (say what it shows between \
          the brackets; `<img src=\"…\" alt=\"\">` is one that only decorates)"
        ]
    );
    assert_eq!(
        findings(BodyFormat::Html, "<p><img src=\"my%20logo.png\"></p>"),
        [
            "campaigns/a.md:1:14: a picture without `alt`: who does not see it learns nothing (say what it shows: \
          `alt=\"…\"`; `alt=\"\"` for one that only decorates)"
        ]
    );
    assert_eq!(
        findings(BodyFormat::Html, "<!-- <img src=\"no.png\"> --><p>x</p>"),
        Vec::<String>::new()
    );
}

#[test]
fn pictures_count_towards_the_limit() {
    let mut mail = mail(BodyFormat::Markdown, "x", "![Logo](logo.png)");
    let email = mail.campaign.email.as_mut().unwrap();
    email.most_attached = "1KB".parse().unwrap();
    email.attachments = vec![attachment("a.pdf", &[b'x'; 995])];
    assert_eq!(
        mail.findings(),
        [
            "campaigns/a.md:1:1: pictures and attachments have 2KB together, more than 1KB (make the pictures smaller, or link \
          to them on the web)"
        ]
    );
}

#[test]
fn attachments_are_shared_by_all_messages() {
    for (format, kind) in [
        (BodyFormat::Text, "text/plain"),
        (BodyFormat::Html, "multipart/alternative"),
    ] {
        let mut mail = mail(format, "x", "<p>Hi {{ first_name }}</p>");
        let bytes: Vec<u8> = (0..100_000_u32).map(|n| (n * 7 % 256) as u8).collect();
        mail.campaign.email.as_mut().unwrap().attachments =
            vec![attachment("a.pdf", &bytes), attachment("Größe.pdf", b"b")];
        let outgoing = mail.preview().outgoing;
        assert_eq!(outgoing.shared.len(), 1);
        assert!(outgoing.bytes.len() < 4_000, "{}", outgoing.bytes.len());
        let size = outgoing.size();
        let whole = String::from_utf8(outgoing.into_bytes()).unwrap();
        assert_eq!(whole.len(), size);
        let (head, body) = whole.split_once("\r\n\r\n").unwrap();
        assert!(head.contains("Content-Type: multipart/mixed;"), "{head}");
        assert!(body.contains(&format!("Content-Type: {kind}")), "{body}");
        assert!(!whole.contains("\r\n."), "no line begins with a dot");
        let encoded = STANDARD.encode(&bytes);
        assert!(whole.replace("\r\n", "").contains(&encoded));
        assert!(whole.contains("filename=\"a.pdf\""), "{whole}");
        assert!(
            whole.contains("filename*0*=utf-8''Gr%C3%B6%C3%9Fe.pdf"),
            "{head}"
        );
        assert!(whole.ends_with("--\r\n"));
    }
}
