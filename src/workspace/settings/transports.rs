//! `[transports]`: what every kind of transport has in common; the rest is read by the kind itself.

use std::{collections::BTreeMap, sync::Arc};

use super::{Kinds, at_least_one_at_most, table_name, unknown_kind};
use crate::{
    model::{Channel, Period, Place, Rate, Section, TransportName},
    transport::{self, TransportConfig},
};

/// Kinds that the format knows and a later version will have.
const TO_COME: [&str; 4] = ["twilio", "kannel", "http", "letter"];

/// Unless the settings say otherwise.
const GIVE_UP_AFTER: Period = Period::hours(24);

/// One of `[transports.…]`.
#[derive(Clone, Debug)]
pub struct TransportSettings {
    /// Its name.
    pub name: TransportName,
    /// Its channel.
    pub channel: Channel,
    /// How many connections side by side.
    pub connections: usize,
    /// At most this many messages in this time.
    pub rate: Option<Rate>,
    /// A delivery that was deferred for longer has failed.
    pub give_up_after: Period,
    /// What its kind has.
    pub config: Arc<dyn TransportConfig>,
    /// Where it stands.
    pub place: Place,
}

pub(super) fn read(
    root: &Section<'_>,
    kinds: Kinds<'_>,
) -> BTreeMap<TransportName, TransportSettings> {
    let mut transports: BTreeMap<TransportName, TransportSettings> = root
        .sections("transports")
        .into_iter()
        .filter_map(|(item, section)| {
            let name = table_name(&item, &section);
            let transport = transport(section, name, kinds)?;
            Some((transport.name.clone(), transport))
        })
        .collect();
    for (name, added) in &kinds.added.transports {
        let config = transport::added(added.clone());
        let caps = added.caps();
        transports
            .entry(name.clone())
            .and_modify(|declared| {
                declared.channel = caps.channel;
                declared.config = config.clone();
            })
            .or_insert_with(|| TransportSettings {
                name: name.clone(),
                channel: caps.channel,
                connections: caps.lanes,
                rate: None,
                give_up_after: GIVE_UP_AFTER,
                config,
                place: root.place(),
            });
    }
    transports
}

fn transport(
    section: Section<'_>,
    name: Option<TransportName>,
    kinds: Kinds<'_>,
) -> Option<TransportSettings> {
    let place = section.place();
    let kind: Option<String> = section.require("kind");
    let connections = at_least_one_at_most(&section, "connections", 1_000);
    let rate = section.take("rate");
    let give_up_after = section.take("give_up_after");
    let kind = kind?;
    let Some(known) = kinds.transports.iter().find(|known| known.name == kind) else {
        let names: Vec<_> = kinds.transports.iter().map(|known| known.name).collect();
        unknown_kind(&section.item("kind")?, &kind, &names, &TO_COME);
        return None;
    };
    let config = (known.read)(&section);
    section.finish();
    let config = config?;
    Some(TransportSettings {
        name: name?,
        channel: config.channel(),
        connections: connections.unwrap_or(4),
        rate,
        give_up_after: give_up_after.unwrap_or(GIVE_UP_AFTER),
        config,
        place,
    })
}
