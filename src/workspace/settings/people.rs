//! `[senders]` and `[topics]`: who is writing, and what recipients unsubscribe from.

use std::collections::BTreeMap;

use super::{DkimSettings, dkim, table_name};
use crate::{
    model::{EmailAddress, Mailbox, Purpose, Section, Sender, SenderName, Topic, TopicName},
    workspace::words::{one_line, postal_address},
};

/// The senders, and the keys that sign the mail of those that have any.
pub(super) fn senders(
    root: &Section<'_>,
) -> (
    BTreeMap<SenderName, Sender>,
    BTreeMap<SenderName, Vec<DkimSettings>>,
) {
    let (mut senders, mut keys) = (BTreeMap::new(), BTreeMap::new());
    for (item, section) in root.sections("senders") {
        let Some(id) = table_name(&item, &section) else {
            continue;
        };
        let Some((sender, signed)) = sender(section, id) else {
            continue;
        };
        if !signed.is_empty() {
            keys.insert(sender.id.clone(), signed);
        }
        senders.insert(sender.id.clone(), sender);
    }
    (senders, keys)
}

fn sender(section: Section<'_>, id: SenderName) -> Option<(Sender, Vec<DkimSettings>)> {
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
    let signed = match section.item("dkim") {
        Some(item) => dkim::read(&item, from.as_ref()),
        None => Some(Vec::new()),
    };
    section.finish();
    let from = from?;
    let sender = Sender {
        id,
        name: name?,
        address: address.unwrap_or_default(),
        reply_to,
        envelope_from: envelope_from.unwrap_or_else(|| from.address.clone()),
        from,
    };
    Some((sender, signed?))
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
