//! What is found to be wrong with templates before anybody gets them.

use proptest::prelude::*;

use super::*;

#[test]
fn what_templates_cannot_have_is_found_at_its_place() {
    for (body, expected) in [
        (
            "Hi {{ frist_name }}",
            "campaigns/a.md:1:7: there is no variable `frist_name` (did you mean `first_name`?)",
        ),
        (
            "Hi\n{{ r.blance }}",
            "campaigns/a.md:2:6: no source of this campaign has a field `blance` (did you mean `r.balance`?)",
        ),
        (
            "{{ r[\"nmae\"] }}",
            "campaigns/a.md:1:6: no source of this campaign has a field `nmae` (did you mean `r.name`?)",
        ),
        (
            "{{ balance }}",
            "campaigns/a.md:1:4: there is no variable `balance` (the field of the recipient is `r.balance`)",
        ),
        (
            "{{ r.first_name }}",
            "campaigns/a.md:1:6: no source of this campaign has a field `first_name` (the variable is `first_name`, without `r.`)",
        ),
        (
            "{{ veiw_url }}",
            "campaigns/a.md:1:4: there is no variable `veiw_url` (did you mean `view_url`?)",
        ),
        (
            "{{ sender.adress }}",
            "campaigns/a.md:1:11: `sender` has no `adress` (it has name and address)",
        ),
        (
            "{{ custmer.name }}",
            "campaigns/a.md:1:4: there is no variable `custmer` (variables are declared in [variables]; fields are `r.field`)",
        ),
        (
            "{{ r.name | uper }}",
            "campaigns/a.md:1:13: there is no filter `uper` (did you mean `upper`?)",
        ),
        (
            "{{ r.balance | money('EUR') }}",
            "campaigns/a.md:1:16: there is no filter `money` (compute it in [variables], where scripts have more functions)",
        ),
        (
            "{{ r.name.upper() }}",
            "campaigns/a.md:1:11: values have no methods such as `upper` (write `… | upper`)",
        ),
        (
            "{{ upper(r.name) }}",
            "campaigns/a.md:1:4: there is no function `upper` (`upper` is a filter: write `… | upper`)",
        ),
        (
            "{% if r.age is evn %}{% endif %}",
            "campaigns/a.md:1:16: there is no test `evn` (did you mean `even`?)",
        ),
        (
            "{% include 'x' %}",
            "campaigns/a.md:1:4: `{% include %}` does not work here: a message is one template (put the text into this template)",
        ),
        (
            "{{ r.renews_on | date('%Q') }}",
            "campaigns/a.md:1:18: \"%Q\" is not a pattern for dates (as in `| date(\"%d.%m.%Y\")`)",
        ),
        (
            "a\n{% if r.name %}b",
            "campaigns/a.md:2:16: in the template: unexpected end of input, expected end of block (every `{{` needs its `}}`, every `{% if %}` its `{% endif %}`)",
        ),
        (
            "{{ __compare(1) }}",
            "campaigns/a.md:1:4: there is no function `__compare` (functions of scripts are called in [variables])",
        ),
        (
            "a\u{1}b",
            "campaigns/a.md:1:2: a template may not have the control character \\u{1} (take it out; it can't be seen, and mail can't carry it)",
        ),
    ] {
        assert_eq!(text(body).findings(), [expected], "{body}");
    }
}

#[test]
fn what_is_wrong_in_a_toml_string_is_shown_there() {
    let mut mail = text("Hi");
    let toml = "[email]\nsubject = \"Caf\\u00e9 {{ r.nme }}\"\n";
    let file = SourceFile::new("campaigns/a.toml", toml);
    let start = toml.find('"').unwrap();
    let email = mail.campaign.email.as_mut().unwrap();
    email.subject =
        Excerpt::toml_string("Café {{ r.nme }}", Place::new(&file, start..toml.len() - 1));
    assert_eq!(
        mail.findings(),
        [
            "campaigns/a.toml:2:27: no source of this campaign has a field `nme` (did you mean `r.name`?)"
        ]
    );
}

#[test]
fn all_findings_come_at_once_and_names_a_template_sets_are_known() {
    assert_eq!(text("{{ a }}{{ b }}{{ c.d }}").findings().len(), 3);
    let fine = "{% set x = r.age %}{% for t in r.tags if t != x %}{{ loop.index }}{{ t }}{% endfor %}\
                {% macro m(a, b=1) %}{{ a }}{{ b }}{% endmacro %}{{ m(x) }}\
                {% with y = 2 %}{{ y }}{% endwith %}{% if x %}{% set z = 1 %}{% else %}{% set z = 2 %}{% endif %}{{ z }}\
                {{ campaign.id }}{{ campaign.name }}{{ run.now }}{{ run.occurrence }}{{ topic.title }}{{ sender.name }}";
    assert_eq!(text(fine).findings(), [""; 0]);
}

#[test]
fn links_to_the_message_and_to_the_topics_are_known_to_be_there() {
    for (body, view, preferences) in [
        ("Hi", false, false),
        ("{{ view_url }}", true, false),
        (
            "{% if r.age %}{{ preferences_url }}{% endif %}",
            false,
            true,
        ),
    ] {
        let (template, found) = text(body).compiled();
        let template = template.unwrap();
        assert!(found.is_empty(), "{body}");
        assert_eq!(
            (template.shows_view(), template.shows_preferences()),
            (view, preferences)
        );
        assert!(
            template.needs().variables.is_empty(),
            "nothing is frozen for a link"
        );
    }
    assert_eq!(shown("{{ view_url }}"), "https://news.example/v/TOKEN");
}

#[test]
fn transactional_mail_has_no_way_out_to_link_to() {
    let expected = "transactional mail has no way out to link to: `unsubscribe_url` is for marketing campaigns \
                    (take it out, or make it a marketing campaign with `purpose = \"marketing\"`)";
    let mut mail = mail(
        BodyFormat::Markdown,
        "x",
        "Hi\n[out]({{ unsubscribe_url }})",
    );
    assert_eq!(mail.findings(), [""; 0]);
    mail.campaign.purpose = Purpose::Transactional;
    assert_eq!(
        mail.findings(),
        [format!("campaigns/a.md:2:10: {expected}")]
    );
    mail.campaign.email.as_mut().unwrap().body.template = excerpt("campaigns/a.md", "Hi");
    mail.campaign.email.as_mut().unwrap().subject =
        excerpt("campaigns/a.toml", "{{ unsubscribe_url | upper }}");
    assert_eq!(
        mail.findings(),
        [format!("campaigns/a.toml:1:4: {expected}")]
    );
}

#[test]
fn without_a_schema_fields_are_not_checked() {
    let mut mail = text("{{ r.whatever }}");
    mail.schemas.clear();
    assert_eq!(mail.findings(), [""; 0]);
}

#[test]
fn a_variable_cannot_have_a_name_that_means_something_else() {
    let mut mail = text("Hi");
    mail.campaign.variables[0].name = "run".to_owned();
    assert_eq!(
        mail.findings(),
        [
            "campaigns/a.toml:1:1: `run` means something else in templates (give the variable another name)"
        ]
    );
}

#[test]
fn a_subject_is_one_line() {
    assert_eq!(
        mail(BodyFormat::Text, "\n Hello \n", "x").preview().subject,
        "Hello"
    );
    assert_eq!(
        mail(BodyFormat::Text, "Hello\nthere", "x").findings().len(),
        1
    );
}

#[test]
fn a_tag_that_html_has_no_place_for_is_found() {
    for (body, tag) in [
        (
            "<p>a</p>\n<td {% if r.age %}>{% endif %}",
            "2:5: `{% if r.age %}`",
        ),
        ("<p></p {{ r.name }}>", "1:8: `{{ r.name }}`"),
    ] {
        assert_eq!(
            mail(BodyFormat::Html, "x", body).findings(),
            [format!(
                "campaigns/a.md:{tag} stands where HTML has no place for it \
                 (put it between elements, or inside a text or a quoted value)"
            )]
        );
    }
}

/// Jinja as it comes, whole and broken.
const JINJA: &[&str] = &[
    "{{ r.name }}",
    "{{",
    "}}",
    "{% if r.age %}",
    "{% else %}",
    "{% endif %}",
    "{% for t in r.tags %}",
    "{% endfor %}",
    "{{ t }}",
    "{{- r.age < 3 -}}",
    "{# c #}",
    "{% raw %}",
    "{% endraw %}",
    "{% set x %}",
    "{% endset %}",
    "{% set y = 1 %}",
    "{",
    "%}",
];

/// HTML, CSS and Markdown as they come.
const MARKUP: &[&str] = &[
    "<p>",
    "</p>",
    "<",
    ">",
    "</",
    "<a href=\"",
    "\"",
    "'",
    "<td ",
    "<table>",
    "<tr>",
    "</table>",
    "<li>",
    "<style>",
    "</style>",
    "a { color: red }",
    "<!--",
    "-->",
    "<script>",
    "</script>",
    "<title>",
    "<br/>",
    "<img alt=x>",
    "<pre>",
    "=",
    "/",
    "&amp;",
    "&#x1F600;",
    "&#",
    "&",
    ";",
    "\n",
    "\r\n",
    "- ",
    "1. ",
    "> ",
    "| a | b |",
    "|--|--|",
    "# ",
    "```",
    "    ",
    "\t",
    "`",
    "*",
    "[x](",
    ")",
    "qz0z",
    "qz0z0x",
    "é",
    "👩‍👩‍👧",
    "\u{feff}",
    "\u{a0}",
    ".",
    "--",
    "x",
];

fn template() -> impl Strategy<Value = String> {
    let some = |scraps: Vec<&'static str>, most| {
        prop::collection::vec(prop::sample::select(scraps), 0..most)
            .prop_map(|scraps| scraps.concat())
    };
    let markup = move || some(MARKUP.to_vec(), 8);
    let whole = prop::collection::vec(markup(), 6).prop_map(|m| {
        format!(
            "{}{{% for t in r.tags %}}{}{{% if r.name != t %}}{}{{{{ t }}}}{}{{% endif %}}{}{{% endfor %}}{}",
            m[0], m[1], m[2], m[3], m[4], m[5]
        )
    });
    prop_oneof![some([JINJA, MARKUP].concat(), 24), whole]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn no_template_is_too_odd_to_say_what_is_wrong_with_it(body in template(), subject in template()) {
        for format in [BodyFormat::Markdown, BodyFormat::Html, BodyFormat::Text] {
            let mail = mail(format, &subject, &body);
            let (template, found) = mail.compiled();
            prop_assert_eq!(template.is_none(), found.has_errors());
            if template.is_some() && let Ok(seen) = mail.try_preview() {
                let (_, parts) = parse(&seen.outgoing.bytes);
                prop_assert_eq!(&parts[0], &crlf(&seen.text));
            }
        }
    }
}
