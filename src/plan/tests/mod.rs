//! The planner against a source, a ledger and a script that are made of lists.

mod checking;
mod comparing;
mod faults;
mod history;
mod law;
mod ledger;
mod outcomes;
mod world;
