//! Campanile as its users meet it: real workspaces, the real program, real peers. One module a capability.
#![allow(clippy::unwrap_used, unreachable_pub, missing_docs)]

mod support;

mod approval;
mod check;
mod crash;
mod daemon;
mod dkim;
mod environments;
mod faults;
mod hell;
mod holds;
mod laws;
mod mail;
mod policy;
mod readme;
mod safety;
mod scaffold;
mod send;
mod smtp;
mod watching;
mod way_out;
