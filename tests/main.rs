//! Campanile as its users meet it: real workspaces, the real program, real peers. One module a capability.
#![allow(clippy::unwrap_used, unreachable_pub, missing_docs)]

mod support;

mod after;
mod approval;
mod check;
mod crash;
mod daemon;
mod dkim;
mod environments;
mod eval;
mod explain;
mod faults;
mod hell;
mod holds;
mod laws;
mod limits;
mod mail;
mod messages;
mod pace;
mod pages;
mod person;
mod plan;
mod policy;
mod preview;
mod readme;
mod rollout;
mod safety;
mod scaffold;
mod send;
mod smtp;
mod sources;
mod testing;
mod watching;
mod way_out;
mod zones;
