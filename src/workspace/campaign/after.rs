//! `[after]`: what follows a delivery that was sent.

use crate::{
    model::{After, Diagnostic, Item, Section, SourceName, Webhook},
    source,
};

use super::surroundings::Surroundings;

pub(super) fn read(
    section: Section<'_>,
    sources: &[SourceName],
    around: &Surroundings<'_>,
) -> After {
    let update = section.item("update");
    let webhook = section.item("webhook").and_then(|item| url(&item));
    let secret = section.take("secret");
    if update.is_none() && !section.has("webhook") {
        section.report(
            Diagnostic::error("missing-key", section.place(), "`[after]` does nothing")
                .help("it has `update = \"UPDATE …\"` or `webhook = \"https://…\"`"),
        );
    }
    if section.has("webhook") && !section.has("secret") {
        section.report(
            Diagnostic::error(
                "missing-key",
                section.place(),
                "`webhook` needs `secret`: whoever is called must be able to tell that it was us",
            )
            .help("secret = { env = \"WEBHOOK_SECRET\" }"),
        );
    }
    if section.has("secret") && !section.has("webhook") {
        section.report(Diagnostic::error(
            "one-of",
            section.place(),
            "`secret` signs the calls of a `webhook`, and there is none",
        ));
    }
    let update = update.and_then(|item| {
        has_database(&item, sources, around)?;
        item.read()
    });
    section.finish();
    After {
        update,
        webhook: webhook
            .zip(secret)
            .map(|(url, secret)| Webhook { url, secret }),
    }
}

/// A statement needs the one database that the campaign reads.
fn has_database(item: &Item<'_>, sources: &[SourceName], around: &Surroundings<'_>) -> Option<()> {
    let (Some(settings), [source]) = (around.settings, sources) else {
        return match sources {
            [_, _, ..] => item.error(
                "wrong-value",
                "`update` changes the database of the campaign's source, and this campaign has several",
            ),
            _ => Some(()),
        };
    };
    let declared = settings.sources.get(source)?;
    if declared.config.database(&declared.context).is_some() {
        return Some(());
    }
    let wrong = Diagnostic::error(
        "wrong-value",
        item.place(),
        format!("`update` changes a SQLite database, and the source `{source}` is none"),
    );
    let help = if source::HAS_SQLITE {
        "a webhook can tell another program: webhook = \"https://…\""
    } else {
        "this build has no SQLite (feature `sqlite`)"
    };
    item.report(wrong.help(help))
}

fn url(item: &Item<'_>) -> Option<String> {
    let text: String = item.read()?;
    let wrong = |message: &str| item.error("wrong-value", format!("`webhook`: {message}"));
    let Ok(url) = reqwest::Url::parse(&text) else {
        return wrong("expected an address such as \"https://crm.example.org/sent\"");
    };
    let on_this_machine = match url.host_str() {
        Some("localhost") => true,
        Some(host) => host
            .trim_matches(['[', ']'])
            .parse::<std::net::IpAddr>()
            .is_ok_and(|address| address.is_loopback()),
        None => return wrong("the address names no host"),
    };
    if !url.username().is_empty() || url.password().is_some() {
        return wrong("a login does not belong into this file: the signature says who calls");
    }
    match url.scheme() {
        "https" => Some(text),
        "http" if on_this_machine => Some(text),
        _ => wrong("only https, as people's addresses go there (http to this machine)"),
    }
}
