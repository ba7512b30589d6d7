//! What stands in the messages: the way out, the headers, the bodies.

use proptest::prelude::*;

use super::*;

#[test]
fn every_part_of_marketing_mail_has_a_way_out() {
    let seen = mail(BodyFormat::Markdown, "x", "Hello").preview();
    let html = seen.html.unwrap();
    assert_eq!(
        seen.text,
        format!(
            "Hello\n\n-- \nAcme Energy\n1 Main Street, 12345 Springfield\n\nUnsubscribe: {URL}\n"
        )
    );
    assert!(
        html.contains(&format!("<a href=\"{URL}\"")) && html.contains("1 Main Street"),
        "{html}"
    );
    assert!(html.find("1 Main Street") < html.find("</body>"), "{html}");
}

#[test]
fn what_nobody_sees_is_no_footer() {
    let own = "{{ unsubscribe_url }} {{ sender.address }} 1 Main Street, 12345 Springfield";
    for hidden in [
        format!("<!-- {own} --><p>Hi</p>"),
        format!("<!-- <a href=\"{{{{ unsubscribe_url }}}}\">{own}</a> --><p>Hi</p>"),
        format!("<style>/* {own} */</style><p>Hi</p>"),
        format!("<script>// {own}\n</script><p>Hi</p>"),
        format!("<html><head><title>{own}</title></head><body><p>Hi</p></body></html>"),
        format!("<html><head><meta name=\"x\" content=\"{own}\"></head><body>Hi</body></html>"),
        format!("<template><p>{own}</p></template><p>Hi</p>"),
        format!("<img alt=\"{own}\" src=\"https://acme.example/a.png\"><p>Hi</p>"),
    ] {
        let (template, found) = mail(BodyFormat::Html, "x", &hidden).compiled();
        if template.is_none() {
            // A tag that has no place in HTML is refused, which loses no footer.
            assert!(
                found.has_errors() && hidden.contains("<template>"),
                "{hidden}"
            );
            continue;
        }
        let seen = mail(BodyFormat::Html, "x", &hidden).preview();
        let html = seen.html.unwrap();
        let (_, footer) = html.split_once("<div class=\"footer\"").expect(&hidden);
        assert!(footer.contains(&format!("href=\"{URL}\"")), "{html}");
        assert!(footer.contains("1 Main Street"), "{html}");
    }

    let placed = "<html><head><title>x</title></head><body><!-- x --><a class=\"b\" HREF='{{ unsubscribe_url }}'>Out</a>\
                  <p>{{ sender.address }}</p></body></html>";
    let html = mail(BodyFormat::Html, "x", placed).preview().html.unwrap();
    assert!(!html.contains("class=\"footer\""), "{html}");
    assert_eq!(html.matches(URL).count(), 1, "{html}");
}

#[test]
fn the_footer_is_not_put_into_a_comment() {
    let body = "<html><body><p>Hi</p></body><!-- </body> --></html>";
    let html = mail(BodyFormat::Html, "x", body).preview().html.unwrap();
    assert!(
        html.find(URL).unwrap() < html.find("<!--").unwrap(),
        "{html}"
    );
}

#[test]
fn what_a_part_places_itself_is_not_added() {
    let count = |text: &str, part: &str| text.matches(part).count();
    let seen = mail(BodyFormat::Markdown, "x", "[out]({{ unsubscribe_url }})").preview();
    let html = seen.html.unwrap();
    assert_eq!(
        [count(&seen.text, URL), count(&seen.text, "1 Main Street")],
        [1, 1]
    );
    assert_eq!([count(&html, URL), count(&html, "1 Main Street")], [1, 1]);

    let own = "{{ unsubscribe_url }} {{ sender.address }}";
    assert_eq!(
        mail(BodyFormat::Text, "x", own).preview().text,
        format!("{URL} 1 Main Street, 12345 Springfield\n")
    );
    let written = "{{ unsubscribe_url }}\n1 Main Street,\n12345 Springfield";
    assert_eq!(
        count(&mail(BodyFormat::Text, "x", written).preview().text, "Main"),
        1
    );

    // A link that some do not get is no way out for them.
    let sometimes = "{% if r.age %}{{ unsubscribe_url }}{% endif %}";
    assert_eq!(
        count(&mail(BodyFormat::Text, "x", sometimes).preview().text, URL),
        1
    );
    let always = "{% if r.age %}{{ unsubscribe_url }}{% else %}{{ unsubscribe_url }}{% endif %}";
    assert_eq!(
        count(
            &mail(BodyFormat::Text, "x", always).preview().text,
            "Unsubscribe:"
        ),
        0
    );
}

#[test]
fn marketing_mail_without_a_link_is_refused_and_transactional_mail_needs_none() {
    let mut mail = mail(BodyFormat::Text, "x", "y");
    mail.url = None;
    assert!(
        mail.try_preview()
            .unwrap_err()
            .message
            .contains("unsubscribe link")
    );
    mail.campaign.purpose = Purpose::Transactional;
    let seen = mail.preview();
    assert_eq!(seen.text, "y\n");
    let (headers, _) = parse(&seen.outgoing.bytes);
    let has = |name: &str| headers.iter().any(|(known, _)| known == name);
    assert!(!has("List-Unsubscribe") && !has("List-Unsubscribe-Post") && has("Auto-Submitted"));
}

#[test]
fn the_headers_of_a_message() {
    let mut mail = mail(
        BodyFormat::Text,
        "Your plan, {{ first_name }}",
        "Hi {{ first_name }}",
    );
    mail.mailto = Some("unsubscribe@acme.example".parse().unwrap());
    let outgoing = mail.preview().outgoing;
    let (headers, parts) = parse(&outgoing.bytes);
    let headers: Vec<_> = headers
        .iter()
        .map(|(name, value)| format!("{name}: {value}"))
        .collect();
    assert_eq!(
        headers,
        [
            "From: \"Acme Energy\" <news@acme.example>",
            "Reply-To: help@acme.example",
            "To: ada@example.org",
            "Subject: Your plan, Ada",
            "Date: Tue, 1 Dec 2026 08:05:09 +0000",
            "Message-ID: <0123@acme.example>",
            "List-Id: Offers <offers.acme.example>",
            "List-Unsubscribe: <https://news.example/u/TOKEN>, <mailto:unsubscribe@acme.example?subject=unsubscribe%20TOKEN>",
            "List-Unsubscribe-Post: List-Unsubscribe=One-Click",
            "Feedback-ID: billing/renewal:offers:marketing:acme-7d0af2",
            "Precedence: bulk",
            "MIME-Version: 1.0",
            "Content-Type: text/plain; charset=utf-8",
            "Content-Transfer-Encoding: quoted-printable",
        ]
    );
    assert!(parts[0].starts_with("Hi Ada\r\n"));
    assert_eq!(outgoing.from.as_str(), "bounces@acme.example");
    assert_eq!(outgoing.to.as_str(), "ada@example.org");
    assert_eq!(outgoing.message_id, "0123@acme.example");
}

#[test]
fn a_message_id_is_the_same_again_and_ascii() {
    let id = message_id(&[b"a", b"bc"], "müller.example");
    assert_eq!(id, message_id(&[b"a", b"bc"], "xn--mller-kva.example"));
    assert_ne!(id, message_id(&[b"ab", b"c"], "müller.example"));
}

#[test]
fn a_template_is_shared_between_threads() {
    fn shared<T: Send + Sync>(_: Option<T>) {}
    shared(mail(BodyFormat::Text, "x", "y").compiled().0);
}

#[test]
fn html_comes_with_its_text_first() {
    let mail = mail(
        BodyFormat::Html,
        "x",
        "<style>p { color: red }</style><p>Hi {{ first_name }}</p>",
    );
    let seen = mail.preview();
    let (headers, parts) = parse(&seen.outgoing.bytes);
    assert!(
        headers
            .iter()
            .any(|(name, value)| name == "Content-Type"
                && value.starts_with("multipart/alternative"))
    );
    assert!(parts[0].starts_with("Hi Ada\r\n"), "{}", parts[0]);
    assert!(
        parts[1].contains("<p style=\"color: red;\">Hi Ada</p>"),
        "{}",
        parts[1]
    );
}

#[test]
fn line_breaks_from_data_make_no_headers() {
    for hostile in ["a\r\nBcc: x@y.example", "a\nb", "a\rb", "a\0b", "a\u{85}b"] {
        let refused = mail(BodyFormat::Text, "{{ r.name }}", "x")
            .with("r.name", hostile)
            .try_preview()
            .unwrap_err();
        assert!(refused.message.ends_with("in subject"), "{refused}");
    }
    let body = mail(BodyFormat::Text, "x", "{{ r.name }}").with("r.name", "a\r\n.\r\nb\rc\nd");
    let (_, parts) = parse(&body.preview().outgoing.bytes);
    assert!(
        parts[0].starts_with("a\r\n.\r\nb\r\nc\r\nd\r\n"),
        "{:?}",
        parts[0]
    );
}

#[test]
fn addresses_in_any_script_are_written_as_mail_knows_them() {
    let mut mail = mail(BodyFormat::Text, "x", "y");
    mail.to = "jürgen@müller.example";
    mail.sender.from = "Björn \"B\" Müller, 株式会社 <news@müller.example>"
        .parse()
        .unwrap();
    mail.sender.envelope_from = "bounce@müller.example".parse().unwrap();
    let outgoing = mail.preview().outgoing;
    assert_eq!(outgoing.to.as_str(), "jürgen@xn--mller-kva.example");
    assert_eq!(outgoing.from.as_str(), "bounce@xn--mller-kva.example");
    let (headers, _) = parse(&outgoing.bytes);
    let value = |name: &str| {
        headers
            .iter()
            .find(|(known, _)| known == name)
            .unwrap()
            .1
            .clone()
    };
    assert_eq!(value("To"), "jürgen@xn--mller-kva.example");
    assert!(
        value("From").is_ascii() && value("From").ends_with("<news@xn--mller-kva.example>"),
        "{}",
        value("From")
    );
    assert_eq!(value("List-Id"), "Offers <offers.xn--mller-kva.example>");
}

#[test]
fn mail_that_is_mostly_not_ascii_travels_as_base64() {
    let seen = mail(
        BodyFormat::Markdown,
        "x",
        &"こんにちは {{ first_name }}\n\n".repeat(40),
    )
    .preview();
    let (_, parts) = parse(&seen.outgoing.bytes);
    assert!(
        String::from_utf8_lossy(&seen.outgoing.bytes).contains("Content-Transfer-Encoding: base64")
    );
    assert_eq!(parts[0], crlf(&seen.text));
}

#[test]
fn macros_and_captures_come_out_the_same() {
    let body = "{% macro hi(n) %}Grüße, {{ n }}={% endmacro %}{% set x %}[{{ hi(r.name) }}]{% endset %}{{ x }} {% filter upper %}straße{% endfilter %}";
    let seen = mail(BodyFormat::Text, "x", body).preview();
    assert!(
        seen.text.starts_with("[Grüße, Ada King=] STRASSE\n"),
        "{}",
        seen.text
    );
    assert_eq!(parse(&seen.outgoing.bytes).1[0], crlf(&seen.text));
}

fn value() -> impl Strategy<Value = String> {
    prop_oneof![
        "(\\PC|[ \r\n\t=.<>\"'&]){0,60}",
        "[a-z]{1500,2500}",
        Just("👩‍👩‍👧 <script>alert(1)</script> \u{202e}שלום\r\n.\r\n--=_campanile".to_owned()),
        "\\.(\\PC){0,5}",
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn any_values_make_a_message_that_says_what_was_rendered(
        name in value(),
        first_name in value(),
        subject in "\\PC{1,300}",
        tags in prop::collection::vec(value(), 0..4),
    ) {
        let body = "# Hi {{ r.name }}\n\n{% for t in r.tags %}\n- {{ t }}={{ loop.index }}\n{% endfor %}\n\n\
                    [{{ first_name }}](https://a.example/{{ first_name | urlencode }}) {{ r.balance }}.\n";
        for format in [BodyFormat::Markdown, BodyFormat::Text, BodyFormat::Html] {
            let mail = mail(format, "{{ amount }}", body)
                .with("r.name", name.as_str())
                .with("first_name", first_name.as_str())
                .with("amount", subject.as_str())
                .with("r.tags", Value::List(tags.iter().map(|tag| tag.as_str().into()).collect()));
            let seen = match mail.try_preview() {
                Ok(seen) => seen,
                Err(refused) => {
                    let expected = subject.chars().any(char::is_control) || subject.trim().is_empty();
                    prop_assert!(expected, "{refused}");
                    continue;
                }
            };
            let (headers, parts) = parse(&seen.outgoing.bytes);
            prop_assert!(headers.len() <= 14, "{headers:?}");
            prop_assert_eq!(&parts[0], &crlf(&seen.text));
            if let Some(html) = &seen.html {
                prop_assert_eq!(&parts[1], &crlf(html));
            }
        }
    }
}
