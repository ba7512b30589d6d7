//! Translations: which version a recipient gets.

use super::*;
use crate::model::Translation;

fn translated(locale: &str, subject: Option<&str>, body: Option<&str>) -> Translation {
    Translation {
        locale: locale.parse().unwrap(),
        subject: subject.map(|text| excerpt("campaigns/a.toml", text)),
        body: body.map(|text| Body {
            template: excerpt(&format!("campaigns/a.{locale}.md"), text),
            format: BodyFormat::Markdown,
        }),
    }
}

fn mail_in(translations: Vec<Translation>) -> Mail {
    let mut mail = mail(
        BodyFormat::Markdown,
        "Hello {{ first_name }}",
        "Dear {{ first_name }}",
    );
    mail.campaign.email.as_mut().unwrap().translations = translations;
    mail
}

#[test]
fn a_recipient_gets_the_closest_version() {
    let mut mail = mail_in(vec![
        translated(
            "de",
            Some("Hallo {{ first_name }}"),
            Some("Liebe {{ r.name }}"),
        ),
        translated("de-AT", None, Some("Servus {{ first_name }}")),
        translated("fr", Some("Bonjour"), None),
    ]);
    assert_eq!(mail.findings(), Vec::<String>::new());
    let needs = mail.compiled().0.unwrap().needs().clone();
    assert!(needs.locale && needs.fields.unwrap().contains("name"));
    mail.values.push((payload::LOCALE, Value::Empty));
    let at = mail.values.len() - 1;
    for (locale, subject, text, language) in [
        ("de", "Hallo Ada", "Liebe Ada King", Some("de")),
        ("de_AT", "Hallo Ada", "Servus Ada", Some("de-AT")),
        ("de-CH", "Hallo Ada", "Liebe Ada King", Some("de")),
        ("fr-CA", "Bonjour", "Dear Ada", Some("fr")),
        ("en", "Hello Ada", "Dear Ada", None),
        ("nonsense!", "Hello Ada", "Dear Ada", None),
        ("", "Hello Ada", "Dear Ada", None),
    ] {
        mail.values[at].1 = match locale {
            "" => Value::Empty,
            locale => locale.into(),
        };
        let seen = mail.preview();
        assert_eq!(seen.subject, subject, "{locale}");
        assert!(seen.text.starts_with(text), "{locale}: {}", seen.text);
        assert_eq!(
            seen.locale.as_ref().map(ToString::to_string).as_deref(),
            language
        );
        let head = String::from_utf8_lossy(&seen.outgoing.bytes).into_owned();
        match language {
            Some(language) => {
                assert!(
                    head.contains(&format!("\r\nContent-Language: {language}\r\n")),
                    "{head}"
                );
                assert!(
                    seen.html
                        .unwrap()
                        .contains(&format!("<html lang=\"{language}\">"))
                );
            }
            None => assert!(!head.contains("Content-Language"), "{head}"),
        }
    }
}

#[test]
fn every_version_is_checked() {
    let mail = mail_in(vec![
        translated("de", Some("{{ first_nme }}"), Some("{{ r.nam }}")),
        translated("fr", None, Some("![x](nowhere.png)")),
    ]);
    assert_eq!(
        mail.findings(),
        [
            "campaigns/a.toml:1:4: there is no variable `first_nme` (did you mean `first_name`?)",
            "campaigns/a.de.md:1:6: no source of this campaign has a field `nam` (did you mean `r.name`?)",
        ]
    );
    let mail = mail_in(vec![translated("fr", None, Some("![x](nowhere.png)"))]);
    assert_eq!(
        mail.findings(),
        ["campaigns/a.fr.md:1:6: there is no file nowhere.png"]
    );
}

#[test]
fn attachments_are_kept_once_for_all_versions() {
    let mut mail = mail_in(vec![
        translated("de", None, Some("Hallo")),
        translated("fr", None, Some("Salut")),
    ]);
    mail.campaign.email.as_mut().unwrap().attachments = vec![crate::model::Attachment {
        name: "a.pdf".to_owned(),
        content_type: "application/pdf".to_owned(),
        bytes: b"%PDF-"[..].into(),
        place: Place::start_of(&SourceFile::new("campaigns/a.toml", "")),
    }];
    mail.values.push((payload::LOCALE, Value::Empty));
    let template = mail.compiled().0.unwrap();
    let base = mail.preview_of(&template).unwrap().outgoing;
    let at = mail.values.len() - 1;
    mail.values[at].1 = "fr".into();
    let french = mail.preview_of(&template).unwrap().outgoing;
    assert!(Arc::ptr_eq(&base.shared[0], &french.shared[0]));
}
