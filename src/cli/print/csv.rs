//! CSV that a spreadsheet takes for text: no cell of ours is a formula there.

use std::io;

use super::Output;

/// Characters that make a spreadsheet compute the cell they begin.
const TRIGGERS: [char; 6] = ['=', '+', '-', '@', '\t', '\r'];

/// The cell, with an apostrophe before it where a spreadsheet would compute it.
pub(in crate::cli) fn guard(cell: &str) -> String {
    if cell.starts_with(TRIGGERS) {
        format!("'{cell}")
    } else {
        cell.to_owned()
    }
}

/// The cell without the apostrophe of [`guard`].
pub(in crate::cli) fn unguard(cell: &str) -> &str {
    match cell.strip_prefix('\'') {
        Some(rest) if rest.starts_with(TRIGGERS) => rest,
        _ => cell,
    }
}

/// Prints one record.
pub(in crate::cli) fn record<'a>(
    output: &mut Output,
    cells: impl IntoIterator<Item = &'a str>,
) -> io::Result<()> {
    let mut writer = ::csv::Writer::from_writer(Vec::new());
    writer.write_record(cells.into_iter().map(guard))?;
    let line = writer
        .into_inner()
        .map_err(|error| io::Error::other(error.to_string()))?;
    output.bytes(&line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_cell_is_a_formula_and_all_come_back() {
        for cell in ["=1+1", "+49 170 1", "-5", "@SUM(A1)", "\tx"] {
            assert!(guard(cell).starts_with('\''));
            assert_eq!(unguard(&guard(cell)), cell);
        }
        for cell in ["ada@example.org", "o'hara", "'quoted'", ""] {
            assert_eq!(guard(cell), cell);
            assert_eq!(unguard(cell), cell);
        }
    }
}
