//! `[senders]` and `[topics]`: who is writing, and what recipients unsubscribe from.

use std::collections::BTreeMap;

use super::table_name;
use crate::{
    model::{EmailAddress, Mailbox, Purpose, Section, Sender, SenderName, Topic, TopicName},
    workspace::words::{one_line, postal_address},
};

pub(super) fn senders(root: &Section<'_>) -> BTreeMap<SenderName, Sender> {
    root.sections("senders")
        .into_iter()
        .filter_map(|(item, section)| {
            let id = table_name(&item, &section);
            let sender = sender(section, id?)?;
            Some((sender.id.clone(), sender))
        })
        .collect()
}

fn sender(section: Section<'_>, id: SenderName) -> Option<Sender> {
    let name = section
        .require_item("name")
        .and_then(|item| one_line(&item));
    // Only marketing mail needs it: a campaign of a sender without one says so.
    let address = section
        .item("address")
        .map(|item| postal_address(&item).unwrap_or_default());
    let from = section.require::<Mailbox>("from");
    let reply_to = section.take::<Mailbox>("reply_to");
    let envelope_from = section.take::<EmailAddress>("envelope_from");
    section.not_built("dkim", "signing mail");
    section.finish();
    let from = from?;
    Some(Sender {
        id,
        name: name?,
        address: address.unwrap_or_default(),
        reply_to,
        envelope_from: envelope_from.unwrap_or_else(|| from.address.clone()),
        from,
    })
}

pub(super) fn topics(root: &Section<'_>) -> BTreeMap<TopicName, Topic> {
    root.sections("topics")
        .into_iter()
        .filter_map(|(item, section)| {
            let name: Option<TopicName> = table_name(&item, &section);
            let title = section
                .item("title")
                .map(|item| one_line(&item).unwrap_or_default());
            let purpose = section.require::<Purpose>("purpose");
            section.finish();
            let (name, purpose) = (name?, purpose?);
            Some((
                name.clone(),
                Topic {
                    title: title.unwrap_or_else(|| name.to_string()),
                    name,
                    purpose,
                },
            ))
        })
        .collect()
}
