//! Files become a [`Snapshot`]: settings, campaigns, what is wrong with them, and watching for changes.
//!
//! [`Tree::read`] takes the text files into memory; [`load_settings`] says what sources there are; with their columns
//! [`load`] checks and compiles everything else. A [`Watcher`] hands out a new tree after each change. A run goes on with the
//! files it began with: [`Loaded::files`] is kept, and [`load_pinned`] makes the campaign of it again.

mod additions;
mod assets;
mod beside;
mod campaign;
mod location;
mod look;
mod pin;
mod revision;
mod schema;
mod scripts;
mod settings;
mod snapshot;
mod test_recipients;
mod tree;
mod watch;
mod words;

pub use additions::Additions;
pub use location::Location;
pub use pin::load_pinned;
pub use revision::{Revision, RevisionError};
pub use schema::Schema;
pub(crate) use scripts::POLICY_FILE;
pub use scripts::library;
pub use settings::{
    DkimSettings, Settings, SourceSettings, StoreSettings, TransportSettings, WebSettings,
    load_settings,
};
pub use snapshot::{Broken, Entry, Loaded, Snapshot, load, load_again};
pub use test_recipients::{TestPerson, TestSource, source_of, test_recipients};
pub use tree::{BundleError, MAX_FILE_BYTES, Tree};
pub use watch::{Change, Watcher};

use crate::model::{Diagnostics, Place, SourceFile};

/// The code of findings about TOML itself.
const TOML_SYNTAX: &str = "toml-syntax";

/// The findings in `file` in the order in which they stand there, then those in other files. Where a file is not TOML, what
/// else seems to be missing or wrong in it may be an echo of that: only that is reported.
fn in_order(found: Diagnostics, file: &SourceFile) -> Diagnostics {
    let mut found: Vec<_> = found.into_iter().collect();
    if found.iter().any(|finding| finding.code == TOML_SYNTAX) {
        found.retain(|finding| finding.code == TOML_SYNTAX);
    }
    found.sort_by(|one, other| {
        let key = |place: &Place| {
            let path = place.file.path().to_owned();
            (path != file.path(), path, place.span.start)
        };
        key(&one.place).cmp(&key(&other.place))
    });
    let mut ordered = Diagnostics::new();
    ordered.extend(found);
    ordered
}

#[cfg(test)]
mod tests;
