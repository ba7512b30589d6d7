//! Campanile sends bulk email from campaigns that live as files in a repository.
#![forbid(unsafe_code)]

#[cfg(feature = "cli")]
pub mod cli;
pub mod control;
pub mod dispatch;
pub mod engine;
pub mod message;
pub mod model;
pub mod plan;
pub mod schedule;
pub mod script;
pub mod source;
pub mod store;
pub mod transport;
#[cfg(feature = "web")]
pub mod web;
pub mod workspace;
