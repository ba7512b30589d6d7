//! Servers that tests send to: a scripted one of our own, and Postfix's sink.

pub mod smtp_server;
pub mod smtp_sink;
