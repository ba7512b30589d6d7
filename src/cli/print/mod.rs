//! How things are printed.

pub(super) mod csv;
pub(super) mod deliveries;
pub(super) mod markdown;
pub(super) mod mask;
mod output;
mod table;
mod wording;
mod zones;

#[cfg(test)]
pub(super) use output::Captured;
pub(super) use output::{ColorChoice, Output, Style};
pub(super) use table::{Facts, Table};
pub(super) use wording::{by_name, clean, effects_in_words, moment, plural, thousands, zoned};
pub(super) use zones::zones;
