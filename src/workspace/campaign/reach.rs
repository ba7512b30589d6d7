//! `[reach]`: by which channels, and what about doubt.

use crate::model::{Channel, Diagnostic, InDoubtPolicy, Item, Reach, ReachMode, Section};

/// Which channels the campaign has a message for.
pub(super) struct Channels {
    pub(super) email: bool,
    pub(super) sms: bool,
    pub(super) letter: bool,
}

impl Channels {
    fn has(&self, channel: Channel) -> bool {
        match channel {
            Channel::Email => self.email,
            Channel::Sms => self.sms,
            Channel::Letter => self.letter,
        }
    }

    /// Those that it has, in the default order.
    pub(super) fn all(&self) -> Vec<Channel> {
        Channel::ALL
            .into_iter()
            .filter(|channel| self.has(*channel))
            .collect()
    }
}

pub(super) fn read(section: Section<'_>, channels: &Channels) -> (Reach, InDoubtPolicy) {
    let order = match section.item("order") {
        Some(item) => order(&item, channels),
        None => channels.all(),
    };
    let mode = section.item("mode").map(|item| mode(&item));
    let in_doubt = section.take("in_doubt");
    section.finish();
    let reach = Reach {
        order,
        mode: mode.unwrap_or(ReachMode::First),
    };
    (reach, in_doubt.unwrap_or(InDoubtPolicy::Keep))
}

fn order(item: &Item<'_>, channels: &Channels) -> Vec<Channel> {
    let Some(items) = item.elements() else {
        item.wrong_type::<()>("an array of channels such as [\"email\"]");
        return Vec::new();
    };
    let mut order = Vec::new();
    for item in items {
        let Some(channel) = item.read::<Channel>() else {
            continue;
        };
        if !channels.has(channel) {
            let message = format!("the campaign has no message for {channel}");
            let wrong = Diagnostic::error("no-message", item.place(), message);
            item.report::<()>(wrong.help(format!("add a [{channel}] section, or take it out")));
        } else if order.contains(&channel) {
            item.error::<()>("wrong-value", format!("{channel} stands twice in `order`"));
        } else {
            order.push(channel);
        }
    }
    for channel in channels.all() {
        if !order.contains(&channel) {
            item.error::<()>(
                "wrong-value",
                format!("[{channel}] would never be sent: {channel} is missing in `order`"),
            );
        }
    }
    order
}

fn mode(item: &Item<'_>) -> ReachMode {
    match item.read() {
        Some(mode @ (ReachMode::Preferred | ReachMode::All)) => {
            let message = format!("`mode = \"{mode}\"`: more than one channel is not built yet");
            item.error::<()>("not-built", message);
            ReachMode::First
        }
        Some(ReachMode::First) | None => ReachMode::First,
    }
}
