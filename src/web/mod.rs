//! Pages: the way out for recipients (public), and state, metrics and health for the people who run it (private).

mod action;
mod admin;
mod engine;
mod host;
mod metrics;
mod overview;
mod page;
mod preferences;
mod public;
mod serve;
mod view;

pub use admin::admin_router;
pub use public::public_router;
pub use serve::serve;
