//! Transports that an embedding program adds, and `kind = "custom"`, which says in the settings that one is added (and gives
//! it a `rate`, `connections`, `give_up_after`).

use std::sync::Arc;

use async_trait::async_trait;

use super::{Caps, Lane, OpenError, Transport, TransportConfig, TransportContext, TransportKind};
use crate::model::Channel;

/// The kind.
pub(super) const KIND: TransportKind = TransportKind {
    name: "custom",
    read: |_| Some(Arc::new(Custom { added: None })),
};

/// A transport that a program adds.
pub(crate) fn added(transport: Arc<dyn Transport>) -> Arc<dyn TransportConfig> {
    Arc::new(Custom {
        added: Some(transport),
    })
}

struct Custom {
    added: Option<Arc<dyn Transport>>,
}

impl std::fmt::Debug for Custom {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Custom")
    }
}

impl TransportConfig for Custom {
    fn channel(&self) -> Channel {
        match &self.added {
            Some(transport) => transport.caps().channel,
            None => Channel::Email,
        }
    }

    fn build(&self, context: &TransportContext) -> Result<Arc<dyn Transport>, String> {
        match &self.added {
            Some(transport) => Ok(Arc::new(Limited {
                transport: transport.clone(),
                lanes: context.connections,
            })),
            None => Err(
                "it is added by a program that embeds Campanile, and this program does not add it"
                    .to_owned(),
            ),
        }
    }
}

/// A program's own transport with no more lanes than the settings allow.
struct Limited {
    transport: Arc<dyn Transport>,
    lanes: usize,
}

#[async_trait]
impl Transport for Limited {
    fn caps(&self) -> Caps {
        let caps = self.transport.caps();
        Caps {
            lanes: caps.lanes.clamp(1, self.lanes.max(1)),
            batch: caps.batch.max(1),
            ..caps
        }
    }

    fn describe(&self) -> String {
        self.transport.describe()
    }

    async fn open(&self) -> Result<Box<dyn Lane>, OpenError> {
        self.transport.open().await
    }
}
