//! What templates print, refuse to print, and need.

use super::*;

#[test]
fn values_are_printed_exactly() {
    assert_eq!(
        shown(
            "{{ r.name }} {{ r.balance }} {{ r.renews_on }} {{ r.tags }} {{ true }} {{ run.now }} {{ run.occurrence }}"
        ),
        "Ada King 12.50 2026-12-12 a, <b> true 2026-12-01T09:00:00+01:00 2026-12-01"
    );
    assert_eq!(
        shown(
            "{{ r.renews_on.year }} {{ r.renews_on.weekday }} {{ r.renews_on | date('%d.%m.%Y') }} {{ run.now | date('%H:%M') }}"
        ),
        "2026 6 12.12.2026 09:00"
    );
    assert_eq!(
        shown("{{ r.balance | round(1) }} {{ 7 | round(2) }}"),
        "12.5 7.00"
    );
    assert_eq!(
        shown("{{ r.name | upper }} {{ 'a b&c' | urlencode }} {{ r.tags | join('/') }}"),
        "ADA KING a%20b%26c a/<b>"
    );
    assert_eq!(shown("{{ 'x' if r.balance > 100 }}y"), "y");
}

#[test]
fn comparisons_are_exact() {
    for (condition, holds) in [
        ("r.balance > 12", true),
        ("r.balance == 12.5", true),
        ("r.balance < 12.499", false),
        ("12 < r.balance <= 12.50", true),
        ("r.renews_on > '2026-12-11'", true),
        ("r.renews_on.day == 12 and not r.name == 'Bob'", true),
        ("r.age == none", true),
        ("r.name != none", true),
        ("'a' in r.tags", true),
        ("r.balance is gt 12", true),
        ("r.balance", true),
        ("r.age", false),
        ("r.tags == ['a', '<b>']", true),
    ] {
        let template = format!("{{% if {condition} %}}yes{{% else %}}no{{% endif %}}");
        assert_eq!(
            shown(&template),
            if holds { "yes" } else { "no" },
            "{condition}"
        );
    }
    assert_eq!(
        refusal("{% if r.age > 17 %}x{% endif %}"),
        "campaigns/a.md:1:7: an empty cell is compared; write `r.field or 0`, or ask for it with `r.field == none`"
    );
    assert_eq!(
        refusal("{% if r.name == 17 %}x{% endif %}"),
        "campaigns/a.md:1:7: a string is compared with a number: `==` needs two values of one type"
    );
}

#[test]
fn what_is_not_there_is_not_printed() {
    let empty = "the cell is empty: write `… or \"something\"` to print something else";
    for template in [
        "{{ r.age }}",
        "{{ r.age | upper }}",
        "{{ r.age ~ '' }}",
        "{{ none }}",
        "{{ [r.age] }}",
    ] {
        let refused = refusal(&format!("Hello\n{template}"));
        assert!(
            refused.starts_with("campaigns/a.md:2:") && refused.ends_with(empty),
            "{refused}"
        );
    }
    assert_eq!(
        shown("{{ r.age or \"young\" }} {{ r.age | default('?') }} {{ r.name | d('x') }}"),
        "young ? Ada King"
    );
    let mail = text("{{ r.name | default('friend') }}").with("r.name", "");
    assert_eq!(mail.preview().text, "friend\n");
    assert_eq!(
        refusal("{{ r.renews_on.yaer }}"),
        "campaigns/a.md:1:4: `r.renews_on.yaer` is not defined"
    );
}

#[test]
fn computing_with_decimals_is_refused_in_words_that_help() {
    assert_eq!(
        refusal("{{ r.balance * 2 }}"),
        "campaigns/a.md:1:4: tried to use * operator on unsupported types decimal, date or empty cell and number"
    );
}

#[test]
fn a_template_that_never_ends_is_stopped() {
    let endless = "{% for a in range(9999) %}{% for b in range(9999) %}x{% endfor %}{% endfor %}";
    assert!(refusal(endless).contains("takes too long"));
    let huge = text("{% for a in range(9999) %}{{ r.name }}{% endfor %}")
        .with("r.name", "x".repeat(10_000).as_str());
    assert!(
        huge.try_preview()
            .unwrap_err()
            .message
            .contains("would have more than")
    );
}

#[test]
fn values_are_escaped_in_html_and_nowhere_else() {
    let hostile = "<script>*a*</script> \"' &";
    let mail = mail(
        BodyFormat::Markdown,
        "{{ r.name }}",
        "# {{ r.name }}\n\n[x](https://a.example/?{{ r.name }})",
    )
    .with("r.name", hostile);
    let seen = mail.preview();
    assert_eq!(seen.subject, hostile);
    assert!(
        seen.text
            .starts_with(&format!("{hostile}\n\nx <https://a.example/?{hostile}>\n")),
        "{}",
        seen.text
    );
    let html = seen.html.unwrap();
    let escaped = "&lt;script&gt;*a*&lt;/script&gt; &quot;&#39; &amp;";
    for part in [
        format!(">{escaped}</h1>"),
        format!("<title>{escaped}</title>"),
        format!("href=\"https://a.example/?{escaped}\""),
    ] {
        assert!(html.contains(&part), "{part}\n{html}");
    }
    assert!(!html.contains("<script"));
}

#[test]
fn tags_alone_on_their_line_leave_no_line() {
    assert_eq!(
        shown("a\n{% if r.name %}\nb\n{% endif %}\n{# c #}\nd"),
        "a\nb\nd"
    );
}

#[test]
fn only_what_is_read_is_needed() {
    let needs = |mail: &Mail| mail.compiled().0.unwrap().needs().clone();
    let mail = mail(
        BodyFormat::Markdown,
        "{{ r.name }}",
        "{{ amount }} {% if r['age'] %}{{ run.now }}{% endif %}",
    );
    assert_eq!(
        needs(&mail),
        Needs {
            fields: Some(["age", "name"].map(str::to_owned).into()),
            variables: ["amount".to_owned()].into(),
            locale: false,
        }
    );
    assert_eq!(
        needs(&text("{% for k in r %}{{ k }}{% endfor %}")).fields,
        None
    );
}

#[test]
fn data_cannot_make_a_link_run_as_a_program() {
    for (format, body, column) in [
        (BodyFormat::Html, "<a href=\"{{ r.name }}\">x</a>", 13),
        (
            BodyFormat::Html,
            "<a href=\" {{ r.name | trim }}#x\">x</a>",
            14,
        ),
        (BodyFormat::Html, "<img SRC={{ first_name }}>", 13),
        (
            BodyFormat::Html,
            "<a {% if r.name %}href=\"{{ r.name }}\"{% endif %}>x</a>",
            28,
        ),
        (
            BodyFormat::Html,
            "<a href=\"{% if r.age == 1 %}https://a.example/{% else %}{{ r.name }}{% endif %}\">x</a>",
            60,
        ),
        (BodyFormat::Markdown, "[x]({{ r.name }})", 8),
        (BodyFormat::Markdown, "<{{ r.name }}>", 5),
    ] {
        let evil = " java\tScript:alert(1)";
        let with = |value: &str| {
            mail(format, "x", body)
                .with("r.name", value)
                .with("first_name", value)
                .with("r.age", Value::Integer(2))
                .try_preview()
        };
        let error = with(evil).expect_err(body);
        assert_eq!(error.message, "a link may not start with `javascript:`");
        assert_eq!(error.place.span.start + 1, column, "{body}");
        let html = with("https://a.example/?a=1&b").expect(body).html.unwrap();
        assert!(html.contains("https://a.example/?a=1&amp;b"), "{html}");
    }
    // Behind something fixed it is a part of that address; in text it is text.
    let html = mail(
        BodyFormat::Html,
        "x",
        "<a href=\"https://a.example/{{ r.name }}\">{{ r.name }}</a>",
    );
    assert!(html.with("r.name", "data:x").try_preview().is_ok());
}

#[test]
fn a_value_in_a_program_is_found() {
    let body = "<p>a</p>\n<p onClick=\"f('{{ r.name }}')\">x</p>";
    assert_eq!(
        mail(BodyFormat::Html, "x", body).findings(),
        [
            "campaigns/a.md:2:16: `onclick` is a program, and a value in it could be one too \
             (take the attribute out: mail programs do not run it)"
        ]
    );
}
