//! MJML bodies: what of a template survives, and what is said of what does not.

use super::*;

fn page(inner: &str) -> String {
    format!("<mjml><mj-body>{inner}</mj-body></mjml>")
}

fn column(inner: &str) -> String {
    page(&format!(
        "<mj-section><mj-column>{inner}</mj-column></mj-section>"
    ))
}

#[test]
fn tags_survive_in_texts_values_and_around_sections() {
    let body = "<mjml>\n<mj-head><mj-title>For {{ first_name }}</mj-title><mj-preview>{{ amount }} due</mj-preview>\
                <mj-style>.x { color: {{ r.name }} }</mj-style></mj-head>\n<mj-body>\n\
                {% if r.age %}<mj-section><mj-column><mj-text>Old</mj-text></mj-column></mj-section>{% else %}\n\
                <mj-section>\n{% for t in r.tags %}<mj-column><mj-text>Tag {{ t }}{% if loop.first %} first{% endif %}</mj-text></mj-column>{% endfor %}\n\
                </mj-section>{% endif %}\n<mj-section><mj-column><mj-button href=\"{{ unsubscribe_url }}\">Hi {{ first_name }}</mj-button>\
                <mj-table><tr><th>t</th></tr>{% for t in r.tags %}<tr><td>{{ t }}</td></tr>{% endfor %}</mj-table>\
                <mj-image src=\"logo.png\" alt=\"Logo\" /></mj-column></mj-section></mj-body></mjml>";
    let mail = mail(BodyFormat::Mjml, "x", body);
    assert_eq!(mail.findings(), Vec::<String>::new());
    let seen = mail.preview();
    let html = seen.html.unwrap();
    for part in [
        "<title>For Ada</title>",
        "12.50 EUR due",
        "color: Ada King",
        "Tag a first</div>",
        "Tag &lt;b&gt;</div>",
        &format!("href=\"{URL}\""),
        "<td>a</td></tr>",
        "data:image/png;base64,",
    ] {
        assert!(html.contains(part), "{part}\n{html}");
    }
    assert!(!html.contains("Old") && !html.contains("qz"), "{html}");
    assert!(
        !html.contains("fonts.googleapis.com"),
        "nothing is loaded that was not asked for"
    );
    let text = seen.text;
    assert!(
        text.starts_with("Tag a first\n") && text.contains("Tag <b>"),
        "{text}"
    );
    assert!(text.contains(&format!("Hi Ada <{URL}>")), "{text}");
    // It has its way out, and lacks the address.
    assert_eq!(html.matches("1 Main Street").count(), 1, "{html}");
    assert_eq!(html.matches(URL).count(), 1, "{html}");
}

#[test]
fn styles_are_inlined_where_that_is_asked_for() {
    let body = "<mjml> <mj-head>  <mj-style inline=\"inline\">.big { font-size: 40px }</mj-style> </mj-head> <mj-body> <mj-section>\
                <mj-column><mj-text><p class=\"big\">{% if r.name %}Hi{% endif %}</p></mj-text></mj-column></mj-section></mj-body></mjml>";
    let html = mail(BodyFormat::Mjml, "x", body).preview().html.unwrap();
    assert!(
        html.contains("font-size: 40px") && html.contains(">Hi</p>"),
        "{html}"
    );
}

#[test]
fn errors_have_their_place() {
    let findings = |body: &str| mail(BodyFormat::Mjml, "x", body).findings();
    for (body, words) in [
        (
            column("\n{{ first_name }}\n<mj-txt>x</mj-txt>"),
            "campaigns/a.md:3:2: MJML: there is no element `mj-txt` (did you mean `mj-text`?)",
        ),
        (
            page("\n<mj-section>\n  <mj-text>x</mj-text></mj-section>"),
            "campaigns/a.md:3:4: MJML: `mj-text` can't stand in `mj-section` (it stands in `mj-column` or `mj-hero`)",
        ),
        (
            page("\n<mj-include path=\"a.mjml\" />"),
            "campaigns/a.md:2:1: `mj-include` is not built yet (put the part into this file)",
        ),
        (
            "<p>Hi</p>".to_owned(),
            "campaigns/a.md:1:1: MJML: there is no <mjml> element (a body in MJML is <mjml><mj-body>…</mj-body></mjml>)",
        ),
    ] {
        assert_eq!(findings(&body), [words], "{body}");
    }
    let found = findings(&column(
        "\n<mj-image width=\"{{ r.age }}px\" src=\"https://a.example/b.png\" alt=\"\" />",
    ));
    assert!(
        found[0].starts_with(
            "campaigns/a.md:2:18: `{{ r.age }}` stands where HTML has no place for it"
        ),
        "{found:?}"
    );
    let found =
        findings("<mjml>\n<mj-body>\n<mj-section></mj-column></mj-section></mj-body></mjml>");
    assert!(found[0].starts_with("campaigns/a.md:3:"), "{found:?}");
    let found = findings("<mjml>\n<mj-body>\n<mj-section>{% if r.age %}x{% endif %}");
    assert!(
        found[0].starts_with("campaigns/a.md:3:") && found[0].contains("ends too early"),
        "{found:?}"
    );
}
