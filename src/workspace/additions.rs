//! What an embedding program adds to a workspace: sources and transports by name, functions for scripts.

use std::{collections::BTreeMap, sync::Arc};

use crate::{
    model::{SourceName, TransportName},
    script::AddedFunctions,
    source::Source,
    transport::Transport,
};

/// Sources, transports and functions that are not in the files. A name alone declares one: campaigns refer to it as to those
/// of the settings. Where the settings have the name too, what is added takes the place of what they describe.
#[derive(Clone, Default)]
pub struct Additions {
    /// Sources by name.
    pub sources: BTreeMap<SourceName, Arc<dyn Source>>,
    /// Transports by name.
    pub transports: BTreeMap<TransportName, Arc<dyn Transport>>,
    /// Functions.
    pub functions: AddedFunctions,
}

impl Additions {
    /// Nothing is added.
    pub const fn none() -> Self {
        Self {
            sources: BTreeMap::new(),
            transports: BTreeMap::new(),
            functions: AddedFunctions::none(),
        }
    }
}
