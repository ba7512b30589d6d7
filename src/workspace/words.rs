//! Texts that people read: names, titles, postal addresses.

use crate::model::Item;

/// A text of one line, trimmed: it may end up in a header.
pub(super) fn one_line(item: &Item<'_>) -> Option<String> {
    let text: String = item.read()?;
    let text = text.trim();
    if text.is_empty() {
        item.error("wrong-value", format!("`{}` is empty", item.name.key))
    } else if text.len() > 200 {
        item.error(
            "wrong-value",
            format!("`{}` has more than 200 bytes", item.name.key),
        )
    } else if text.contains(char::is_control) {
        item.error(
            "wrong-value",
            format!(
                "`{}` has a line break or another control character",
                item.name.key
            ),
        )
    } else {
        Some(text.to_owned())
    }
}

/// A postal address, of one line or several.
pub(super) fn postal_address(item: &Item<'_>) -> Option<String> {
    let text: String = item.read()?;
    let text = text.replace("\r\n", "\n");
    let text = text.trim();
    if text.is_empty() || text.len() > 1000 || text.contains(|c: char| c.is_control() && c != '\n')
    {
        return item.error(
            "wrong-value",
            format!("`{}` is not a postal address", item.name.key),
        );
    }
    Some(text.to_owned())
}
