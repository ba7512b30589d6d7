//! `[sources]`: what every kind of source has in common; the rest is read by the kind itself.

use std::{collections::BTreeMap, path::Path, sync::Arc};

use super::{Kinds, table_name, unknown_kind};
use crate::{
    model::{Diagnostic, FieldType, Item, Place, Roles, Section, SourceName},
    source::{self, FieldFormat, SourceConfig, SourceContext},
};

/// Kinds that the format knows and a later version will have.
#[cfg(feature = "sqlite")]
const TO_COME: [&str; 3] = ["postgres", "http", "contacts"];
/// Kinds that the format knows and a later version, or a build with the feature `sqlite`, has.
#[cfg(not(feature = "sqlite"))]
const TO_COME: [&str; 4] = ["sqlite", "postgres", "http", "contacts"];

/// One of `[sources.…]`.
#[derive(Clone, Debug)]
pub struct SourceSettings {
    /// What every kind has.
    pub context: SourceContext,
    /// What its kind has.
    pub config: Arc<dyn SourceConfig>,
    /// Where it stands.
    pub place: Place,
}

pub(super) fn read(
    root: &Section<'_>,
    workspace: &Path,
    kinds: Kinds<'_>,
) -> BTreeMap<SourceName, SourceSettings> {
    let mut sources: BTreeMap<SourceName, SourceSettings> = root
        .sections("sources")
        .into_iter()
        .filter_map(|(item, section)| {
            let name = table_name(&item, &section);
            let source = source(section, name, workspace, kinds)?;
            Some((source.context.name.clone(), source))
        })
        .collect();
    for (name, added) in &kinds.added.sources {
        let config = source::added(added.clone());
        sources
            .entry(name.clone())
            .and_modify(|declared| declared.config = config.clone())
            .or_insert_with(|| SourceSettings {
                context: SourceContext {
                    name: name.clone(),
                    workspace: workspace.to_owned(),
                    roles: Roles::default(),
                    fields: Vec::new(),
                },
                config,
                place: root.place(),
            });
    }
    sources
}

fn source(
    section: Section<'_>,
    name: Option<SourceName>,
    workspace: &Path,
    kinds: Kinds<'_>,
) -> Option<SourceSettings> {
    let place = section.place();
    let kind: Option<String> = section.require("kind");
    if kind.as_deref() == Some(source::CUSTOM) {
        section.finish();
        return Some(SourceSettings {
            context: SourceContext {
                name: name?,
                workspace: workspace.to_owned(),
                roles: Roles::default(),
                fields: Vec::new(),
            },
            config: source::not_added(),
            place,
        });
    }
    let key = section.require_item("key").and_then(|item| column(&item));
    let role = |role| section.item(role).and_then(|item| column(&item));
    let roles = Roles {
        key: key.clone().unwrap_or_default(),
        email: role("email"),
        phone: role("phone"),
        postal: role("postal"),
        locale: role("locale"),
        timezone: role("timezone"),
        preferred_channel: role("preferred_channel"),
    };
    let fields = section.section("fields").map(|fields| {
        fields
            .entries()
            .iter()
            .filter_map(|item| Some((item.name.key.clone(), field(item)?)))
            .collect()
    });
    let kind = kind?;
    let Some(known) = kinds.sources.iter().find(|known| known.name == kind) else {
        let names: Vec<_> = kinds.sources.iter().map(|known| known.name).collect();
        unknown_kind(&section.item("kind")?, &kind, &names, &TO_COME);
        return None;
    };
    let config = (known.read)(&section);
    section.finish();
    key?;
    Some(SourceSettings {
        context: SourceContext {
            name: name?,
            workspace: workspace.to_owned(),
            roles,
            fields: fields.unwrap_or_default(),
        },
        config: config?,
        place,
    })
}

/// The name of a column.
fn column(item: &Item<'_>) -> Option<String> {
    let name: String = item.read()?;
    if name.trim().is_empty() {
        let message = format!("`{}` names no column", item.name.key);
        return item.error("wrong-value", message);
    }
    Some(name)
}

/// `"date"`, or `{ type = "date", format = "%d.%m.%Y" }`.
fn field(item: &Item<'_>) -> Option<FieldFormat> {
    let toml::de::DeValue::Table(_) = item.value() else {
        return Some(FieldFormat {
            kind: field_type(item)?,
            format: None,
        });
    };
    let section = item.section()?;
    let kind = section
        .require_item("type")
        .and_then(|item| field_type(&item));
    let format_item = section.item("format");
    section.finish();
    let kind = kind?;
    let format = match format_item {
        None => None,
        Some(item) if !matches!(kind, FieldType::Date | FieldType::Datetime) => {
            return item.error(
                "wrong-value",
                format!("`format` is for dates and datetimes, not for a field of type {kind}"),
            );
        }
        Some(item) => Some(date_format(&item)?),
    };
    Some(FieldFormat { kind, format })
}

fn field_type(item: &Item<'_>) -> Option<FieldType> {
    let text: String = item.read()?;
    text.parse()
        .map_err(|error| {
            let message = format!("`{}`: {error}", item.name.key);
            let wrong = Diagnostic::error("wrong-value", item.place(), message);
            let types = FieldType::ALL.map(FieldType::as_str);
            item.report::<()>(wrong.did_you_mean(&text, types));
        })
        .ok()
}

fn date_format(item: &Item<'_>) -> Option<String> {
    let format: String = item.read()?;
    let mut parts = chrono::format::StrftimeItems::new(&format);
    let wrong = parts.any(|part| matches!(part, chrono::format::Item::Error));
    if wrong || !format.contains('%') {
        return item.error(
            "wrong-value",
            "`format`: expected a pattern such as \"%d.%m.%Y\" (%d day, %m month, %Y year)",
        );
    }
    Some(format)
}
