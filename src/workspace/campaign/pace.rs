//! `[pace]`: how fast, and at which hours.

use toml::de::DeValue;

use super::surroundings::Surroundings;
use crate::model::{
    Days, Diagnostic, Hours, Item, Pace, Period, Section, SourceName, Window, Zone,
};

/// A zone as campaigns name it.
#[derive(Clone)]
pub(super) struct NamedZone {
    /// The zone; that of recipients without one, where it is theirs.
    pub(super) zone: Zone,
    /// `"recipient"`: each recipient's own.
    pub(super) by_recipient: bool,
}

/// The pace, and `expires_after`. `zone` is the campaign's, which counts where the section names none.
pub(super) fn read(
    section: Section<'_>,
    zone: &NamedZone,
    sources: &[SourceName],
    around: &Surroundings<'_>,
) -> (Pace, Option<Period>) {
    let expires_after = section.take("expires_after");
    let rate = section.take("rate");
    let hours_item = section.item("window");
    let hours: Option<Hours> = hours_item.as_ref().and_then(Item::read);
    let days: Option<Days> = section.take("days");
    let own = section.item("timezone").map(|item| {
        if hours_item.is_none() && !section.has("days") {
            item.report::<()>(
                Diagnostic::error(
                    "no-rule",
                    item.name.place.clone(),
                    "`timezone` says nothing without `window` or `days`",
                )
                .help("add `window = \"08:00-20:00\"`, or take it out"),
            );
        }
        named(&item, &zone.zone, sources, around)
    });
    let zone = own.unwrap_or_else(|| zone.clone());
    section.finish();
    let pace = Pace {
        rate,
        window: (hours.is_some() || days.is_some()).then(|| Window {
            hours: hours.unwrap_or(Hours::ALL),
            days: days.unwrap_or(Days::ALL),
        }),
        timezone: zone.zone,
        by_recipient: zone.by_recipient,
    };
    (pace, expires_after)
}

/// `"Europe/Berlin"` or `"recipient"`; `default` is the zone of recipients without one. Where it is theirs, the campaign's
/// sources must say it.
pub(super) fn named(
    item: &Item<'_>,
    default: &Zone,
    sources: &[SourceName],
    around: &Surroundings<'_>,
) -> NamedZone {
    if matches!(item.value(), DeValue::String(text) if text == "recipient") {
        let known: Vec<_> = sources
            .iter()
            .filter_map(|source| around.settings?.sources.get(source))
            .collect();
        if let [first, ..] = known.as_slice()
            && known
                .iter()
                .all(|source| source.context.roles.timezone.is_none())
        {
            let name = &first.context.name;
            item.report::<()>(
                Diagnostic::error(
                    "no-timezone",
                    item.place(),
                    format!("`timezone = \"recipient\"`: the source {name} does not say where its recipients are"),
                )
                .help(format!(
                    "name the column with their time zones in [sources.{name}]: `timezone = \"…\"`"
                )),
            );
        }
        return NamedZone {
            zone: default.clone(),
            by_recipient: true,
        };
    }
    NamedZone {
        zone: item.read().unwrap_or_else(|| default.clone()),
        by_recipient: false,
    }
}
