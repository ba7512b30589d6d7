//! `topic`, `purpose` and `sender`: in whose name, and what recipients can unsubscribe from.

use super::{
    stand_in,
    surroundings::{Surroundings, undeclared},
};
use crate::model::{
    Diagnostic, EmailAddress, Mailbox, Purpose, Section, Sender, SenderName, Topic, TopicName,
};

pub(super) fn topic(root: &Section<'_>, around: &Surroundings<'_>) -> Topic {
    let unknown = || Topic {
        name: stand_in("unknown"),
        title: String::new(),
        purpose: Purpose::Marketing,
    };
    let Some(item) = root.require_item("topic") else {
        return unknown();
    };
    let Some(name) = item.read::<TopicName>() else {
        return unknown();
    };
    let Some(settings) = around.settings else {
        return unknown();
    };
    settings.topics.get(&name).cloned().unwrap_or_else(|| {
        let names = settings.topics.keys().map(TopicName::as_str);
        undeclared(&item, "topic", name.as_str(), "topics", names);
        unknown()
    })
}

/// A campaign may be stricter than its topic, never laxer.
pub(super) fn purpose(root: &Section<'_>, around: &Surroundings<'_>, topic: &Topic) -> Purpose {
    let Some(item) = root.item("purpose") else {
        return topic.purpose;
    };
    let purpose = item.read().unwrap_or(topic.purpose);
    let is_declared = around
        .settings
        .is_some_and(|settings| settings.topics.contains_key(&topic.name));
    if is_declared && purpose == Purpose::Transactional && topic.purpose == Purpose::Marketing {
        item.report::<()>(
            Diagnostic::error(
                "wrong-purpose",
                item.place(),
                format!(
                    "a transactional campaign may not stand in the marketing topic `{}`: it would ignore unsubscribes from it",
                    topic.name
                ),
            )
            .help("take a topic with `purpose = \"transactional\"`"),
        );
    }
    purpose
}

pub(super) fn sender(root: &Section<'_>, around: &Surroundings<'_>, purpose: Purpose) -> Sender {
    let nobody = || {
        let address: EmailAddress = stand_in("unknown@sender.invalid");
        Sender {
            id: stand_in("unknown"),
            name: String::new(),
            address: String::new(),
            from: Mailbox {
                name: None,
                address: address.clone(),
            },
            reply_to: None,
            envelope_from: address,
        }
    };
    let item = root.item("sender");
    let Some(settings) = around.settings else {
        if let Some(item) = item {
            let _ = item.read::<SenderName>();
        }
        return nobody();
    };
    let (sender, place) = match &item {
        Some(item) => {
            let Some(name) = item.read::<SenderName>() else {
                return nobody();
            };
            let Some(sender) = settings.senders.get(&name) else {
                let names = settings.senders.keys().map(SenderName::as_str);
                undeclared(item, "sender", name.as_str(), "senders", names);
                return nobody();
            };
            (sender, item.place())
        }
        None if settings.senders.len() == 1 => {
            let only = settings.senders.values().next().expect("there is one");
            (only, root.place())
        }
        None => {
            let (message, help) = if settings.senders.is_empty() {
                let help = "declare who is writing as [senders.NAME] in campanile.toml";
                ("no sender is declared", help.to_owned())
            } else {
                let names: Vec<_> = settings.senders.keys().map(SenderName::as_str).collect();
                let help = format!("add `sender = \"…\"`: one of {}", names.join(", "));
                ("the campaign needs `sender`", help)
            };
            root.report(Diagnostic::error("missing-key", root.place(), message).help(help));
            return nobody();
        }
    };
    if purpose == Purpose::Marketing && sender.address.is_empty() {
        let message = format!(
            "the sender `{}` has no postal address, which marketing mail must show",
            sender.id
        );
        let help = format!(
            "add `address = \"…\"` to [senders.{}] in campanile.toml",
            sender.id
        );
        root.report(Diagnostic::error("no-postal-address", place, message).help(help));
    }
    sender.clone()
}
