//! `[safety]`: what keeps staging from writing to others.

use crate::model::{AddressPattern, Diagnostic, Item, Safety, Section};

pub(super) fn read(section: Option<Section<'_>>) -> Option<Safety> {
    let Some(section) = section else {
        return Some(Safety::default());
    };
    let only_to = match section.item("only_to") {
        None => Some(Vec::new()),
        Some(item) => {
            let patterns: Option<Vec<AddressPattern>> = item.read();
            if patterns.as_ref().is_some_and(Vec::is_empty) {
                item.report::<()>(
                    Diagnostic::error("wrong-value", item.place(), "`only_to` names nobody")
                        .help("name those who may be written to, or leave it out"),
                );
            }
            patterns
        }
    };
    let redirect_item = section.item("redirect_to");
    let redirect_to = redirect_item.as_ref().map(Item::read);
    section.finish();
    Some(Safety {
        only_to: only_to?,
        // One that can't be read must not look like none.
        redirect_to: match redirect_to {
            None => None,
            Some(address) => Some(address?),
        },
    })
}
