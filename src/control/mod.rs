//! The lock, the socket, and one enum of commands that the CLI, the admin pages and embedding programs all speak. The daemon
//! is wired here.

mod command;
mod person;
mod reply;
mod serve;
mod session;
mod socket;

pub use command::{Command, SuppressionTarget};
pub use person::{
    PersonDeliveryReport, PersonForgotten, PersonKey, PersonReport, PersonSuppression,
};
pub use reply::{
    ApprovalState, ApprovalStatus, Before, CampaignState, CampaignStatus, Change, Compared,
    ComparedCampaign, Explanation, MessageDiff, PastExplanation, Preview, RateStatus, Refused,
    RefusedKind, Reply, RunStatus, SendOffer, Standing, StatusReport, Told, TransportStatus,
};
pub use serve::{ServeOptions, serve};
pub use session::Session;
