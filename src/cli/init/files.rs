//! The files of a new workspace, as they stand in the program.

use super::Extra;
use crate::{cli::schema, workspace::Schema};

/// Paths, relative to the workspace, and texts.
pub(super) fn files(extras: &[Extra]) -> Vec<(&'static str, String)> {
    let mut files: Vec<(&'static str, String)> = [
        ("campanile.toml", include_str!("template/campanile.toml")),
        (
            "campaigns/news.toml",
            include_str!("template/campaigns/news.toml"),
        ),
        (
            "campaigns/news.md",
            include_str!("template/campaigns/news.md"),
        ),
        (
            "campaigns/data/people.csv",
            include_str!("template/campaigns/data/people.csv"),
        ),
        (
            "scripts/customers.rhai",
            include_str!("template/scripts/customers.rhai"),
        ),
        (".gitignore", include_str!("template/gitignore")),
        (".taplo.toml", include_str!("template/taplo.toml")),
        ("tombi.toml", include_str!("template/tombi.toml")),
    ]
    .map(|(path, text)| (path, text.to_owned()))
    .into();
    for (path, schema) in [
        ("schemas/settings.schema.json", Schema::Settings),
        ("schemas/environment.schema.json", Schema::Environment),
        ("schemas/campaign.schema.json", Schema::Campaign),
    ] {
        files.push((path, schema::text(schema)));
    }
    if extras.contains(&Extra::Github) {
        let workflow = include_str!("template/github.yml");
        let workflow = workflow.replace("@VERSION@", env!("CARGO_PKG_VERSION"));
        files.push((".github/workflows/campanile.yml", workflow));
    }
    files
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::workspace::{Additions, Settings, Tree, load_settings};

    fn settings(text: &str) -> Settings {
        let mut tree = Tree::new();
        tree.insert("campanile.toml", text.as_bytes());
        let (settings, found) = load_settings(&tree, Path::new("/ws"), &Additions::none());
        settings.unwrap_or_else(|| panic!("{found:?}"))
    }

    #[test]
    fn what_is_shown_as_a_default_is_one() {
        let text = include_str!("template/campanile.toml");
        let mut shown = 0;
        let uncommented: Vec<&str> = text
            .lines()
            .map(|line| match line.strip_prefix("# ") {
                Some(rest) if rest.split(" = ").next().is_some_and(is_key) => {
                    shown += 1;
                    rest
                }
                _ => line,
            })
            .collect();
        assert!(shown >= 8, "{shown}");
        let (as_written, with_defaults) = (settings(text), settings(&uncommented.join("\n")));
        assert_eq!(as_written.store, with_defaults.store);
        assert_eq!(as_written.web, with_defaults.web);
        assert_eq!(
            as_written.default_timezone.name(),
            with_defaults.default_timezone.name()
        );
        let ways = |settings: &Settings| {
            let ways = settings.transports.values();
            ways.map(|way| format!("{} {:?} {:?}", way.connections, way.rate, way.give_up_after))
                .collect::<Vec<_>>()
        };
        assert_eq!(ways(&as_written), ways(&with_defaults));
    }

    fn is_key(text: &str) -> bool {
        text.chars().all(|c| c.is_ascii_lowercase() || c == '_')
    }

    #[test]
    fn every_schema_is_written_and_named_by_the_editors_files() {
        let files = files(&[Extra::Github]);
        let text = |path: &str| &files.iter().find(|(name, _)| *name == path).unwrap().1;
        for schema in Schema::ALL {
            let path = format!("schemas/{}", schema.file_name());
            assert!(!text(&path).is_empty());
            for editor in [".taplo.toml", "tombi.toml"] {
                let file = toml::from_str::<toml::Table>(text(editor));
                assert!(file.is_ok(), "{editor}");
                assert!(text(editor).contains(&path), "{editor}: {path}");
            }
        }
        assert!(!text(".github/workflows/campanile.yml").contains("@VERSION@"));
    }
}
