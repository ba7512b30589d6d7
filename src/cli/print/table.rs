//! Tables without borders, and lists of facts.

use comfy_table::{CellAlignment, ContentArrangement, presets};

use super::clean;

/// Columns under headings. On a terminal long cells are wrapped to its width.
pub(in crate::cli) struct Table(comfy_table::Table);

impl Table {
    /// A table with these headings.
    pub(in crate::cli) fn new<const N: usize>(headings: [&str; N]) -> Self {
        let mut table = comfy_table::Table::new();
        table
            .load_preset(presets::NOTHING)
            .force_no_tty()
            .set_header(headings);
        for column in table.column_iter_mut() {
            column.set_padding((0, 2));
        }
        Self(table)
    }

    /// Numbers stand right in these columns.
    pub(in crate::cli) fn numbers(mut self, columns: &[usize]) -> Self {
        for at in columns {
            if let Some(column) = self.0.column_mut(*at) {
                column.set_cell_alignment(CellAlignment::Right);
            }
        }
        self
    }

    /// Adds a row.
    pub(in crate::cli) fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.0.add_row(
            cells
                .into_iter()
                .map(|cell| clean(&cell).replace('\t', " ")),
        );
    }

    /// The lines, without spaces at their ends.
    pub(in crate::cli) fn render(mut self, width: Option<u16>) -> String {
        match width {
            Some(width) => {
                self.0.set_content_arrangement(ContentArrangement::Dynamic);
                self.0.set_width(width);
            }
            None => {
                self.0.set_content_arrangement(ContentArrangement::Disabled);
            }
        }
        self.0.trim_fmt()
    }
}

/// What is known about one thing, a line each, indented.
#[derive(Default)]
pub(in crate::cli) struct Facts {
    facts: Vec<(&'static str, String)>,
    width: usize,
}

impl Facts {
    /// In line with facts above them, whose longest name is this.
    pub(in crate::cli) fn below(longest: &str) -> Self {
        Self {
            facts: Vec::new(),
            width: longest.len(),
        }
    }

    /// Adds one. An empty one is left out.
    pub(in crate::cli) fn add(&mut self, name: &'static str, fact: impl Into<String>) {
        let fact = fact.into();
        if !fact.is_empty() {
            self.width = self.width.max(name.len());
            self.facts.push((name, fact));
        }
    }

    /// The lines.
    pub(in crate::cli) fn lines(self) -> impl Iterator<Item = String> {
        let width = self.width;
        self.facts.into_iter().map(move |(name, fact)| {
            let fact = fact.replace('\n', &format!("\n{:1$}", "", width + 4));
            format!("  {name:width$}  {fact}")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_has_no_borders_and_no_trailing_spaces() {
        let mut table = Table::new(["NAME", "N", "WHY"]).numbers(&[1]);
        table.row(["Zoë".to_owned(), "1,234".to_owned(), String::new()]);
        table.row(["a\u{1b}[1m".to_owned(), "5".to_owned(), "no".to_owned()]);
        insta::assert_snapshot!(table.render(None), @r#"
        NAME            N  WHY
        Zoë         1,234
        a\u{1b}[1m      5  no
        "#);
    }

    #[test]
    fn a_table_fits_the_terminal() {
        let mut table = Table::new(["NAME", "WHY"]);
        table.row(["a".to_owned(), "words ".repeat(20)]);
        assert!(table.render(Some(40)).lines().all(|line| line.len() <= 40));
    }

    #[test]
    fn facts_stand_in_line() {
        let mut facts = Facts::default();
        facts.add("way", "outbox");
        facts.add("audience", "a &&\nb");
        facts.add("none", "");
        let lines: Vec<_> = facts.lines().collect();
        assert_eq!(
            lines,
            ["  way       outbox", "  audience  a &&\n            b"]
        );
    }
}
