//! The lock, the socket, and one enum of commands that the CLI, the admin pages and embedding programs all speak.

mod command;
mod reply;
mod serve;
mod session;

pub use command::{Command, SuppressionTarget};
pub use reply::{
    CampaignState, CampaignStatus, Preview, Refused, RefusedKind, Reply, RunStatus, SendOffer,
    StatusReport, TransportStatus,
};
pub use serve::{ServeOptions, serve};
pub use session::Session;
