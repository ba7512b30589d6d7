//! Campanile sends bulk email from campaigns that live as files in a repository.
//!
//! A *workspace* is a folder with `campanile.toml` (settings), `campaigns/` (one TOML file a campaign, with its templates) and
//! `scripts/` (Rhai). An [`Engine`](engine::Engine) opens it, works out who should get what and when, sends it, and can answer
//! for every single recipient. The `campanile` program is a thin face over this library.
//!
//! ```no_run
//! # async fn example() -> Result<(), campanile::control::Refused> {
//! use campanile::{control::ServeOptions, engine::Engine};
//!
//! let engine = Engine::builder("path/to/workspace").build().await?;
//! let plan = engine.plan(&"billing/renewal".parse().expect("an id"), 12).await?;
//! println!("{} of {} would get it", plan.totals.to_send, plan.totals.total);
//! engine.serve(ServeOptions::default(), std::future::pending()).await
//! # }
//! ```
//!
//! # Embedding
//!
//! A program can add sources, transports and functions of its own, without a fork. This one keeps its customers itself, and
//! its messages go to a [`Recorder`](transport::Recorder), as they would in a test:
//!
//! ```
//! # #[cfg(not(feature = "sqlite"))] fn main() {}
//! # #[cfg(feature = "sqlite")]
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use std::{fs, sync::Arc};
//!
//! use async_trait::async_trait;
//! use campanile::{
//!     engine::Engine,
//!     model::{FieldType, OccurrenceName, Recipient, Roles, Schema, Status},
//!     source::{Batch, Source, SourceError},
//!     transport::Recorder,
//! };
//! use futures::{StreamExt, stream::BoxStream};
//!
//! struct Crm;
//!
//! #[async_trait]
//! impl Source for Crm {
//!     async fn describe(&self) -> Result<Schema, SourceError> {
//!         Ok(Schema {
//!             columns: vec![
//!                 ("id".into(), FieldType::String),
//!                 ("email".into(), FieldType::String),
//!                 ("points".into(), FieldType::Integer),
//!             ],
//!             roles: Roles { key: "id".into(), email: Some("email".into()), ..Roles::default() },
//!         })
//!     }
//!
//!     async fn read(&self) -> Result<BoxStream<'static, Result<Batch, SourceError>>, SourceError> {
//!         let schema = Arc::new(self.describe().await?);
//!         // A real one would go through a cursor of its database, a batch at a time.
//!         let rows = [("A1", "ada@example.org", 2_000), ("B2", "bob@example.org", 7)];
//!         let batch = rows.map(|(key, email, points)| {
//!             let values = vec![key.into(), email.into(), points.into()];
//!             Ok(Recipient::new(&schema, key, values))
//!         });
//!         Ok(futures::stream::iter([Ok(batch.into())]).boxed())
//!     }
//! }
//!
//! let workspace = tempfile::tempdir()?;
//! fs::write(workspace.path().join("campanile.toml"), r#"
//!     [senders.acme]
//!     name = "Acme Energy"
//!     from = "Acme Energy <news@acme.example>"
//!     [topics.billing]
//!     purpose = "transactional"
//! "#)?;
//! fs::create_dir(workspace.path().join("campaigns"))?;
//! fs::write(workspace.path().join("campaigns/thanks.toml"), r#"
//!     topic = "billing"
//!     [audience]
//!     source = "crm"
//!     where = 'tier(r.points) == "gold"'
//!     [email]
//!     via = "pigeon"
//!     subject = "Thank you"
//!     body_text = "You have {{ r.points }} points."
//! "#)?;
//!
//! let pigeon = Recorder::new();
//! let engine = Engine::builder(workspace.path())
//!     .source("crm", Crm)
//!     .transport("pigeon", pigeon.clone())
//!     .function("tier", |points: i64| if points >= 1_000 { "gold" } else { "basic" })
//!     .build()
//!     .await?;
//! let run = engine.send(&"thanks".parse()?, &OccurrenceName::label("2026")?).await?;
//!
//! assert_eq!(run.counts[&Status::Sent], 1);
//! assert_eq!(pigeon.messages()[0].to.to_string(), "ada@example.org");
//! # Ok(())
//! # }
//! ```
//!
//! The library brings no runtime (any of tokio's will do, with its timers and I/O enabled), no signal handler and no log
//! subscriber (it logs through `tracing`), and no Rhai type is part of its face: functions take and give plain Rust values.
//! Cargo adds up what programs ask of one version of Rhai, and Campanile asks for nothing that takes something away from it;
//! a program that uses Rhai itself must not ask for its features that do (`no_…`, `only_…`, `unchecked`). The features `cli`, `web` and `sqlite` can be left out; without `sqlite` workspaces can be
//! checked and planned, not sent.
//!
//! # The road
//!
//! ```text
//! files ──load──▶ Snapshot ──due?──▶ Occurrence ──plan──▶ Plan ──freeze──▶ ledger ──claim──▶ last check ──render──▶ transport
//!                                        ▲                                  ▲                                          │
//!                                    schedule                               └───────────────── outcome ◀──────────────┘
//! ```
//!
//! One way, no short cuts. Planning streams the source once, in fixed memory, and freezes what each message needs into the
//! ledger. Sending claims small batches from the ledger and never looks at the source again.
//!
//! # The rooms
//!
//! | module | holds |
//! |---|---|
//! | [`model`] | the words as types, and what can be wrong with a file; no I/O |
//! | [`source`] | where recipients come from: one file a kind, behind one trait |
//! | [`transport`] | ways out: one file or folder a kind, behind one trait |
//! | [`store`] | the ledger and the rest of what must last, behind one trait; SQLite is the default |
//! | [`script`] | Rhai, sandboxed and strict: conditions and variables |
//! | [`message`] | a delivery becomes bytes: templates, mail, links |
//! | [`workspace`] | files become a [`Snapshot`](workspace::Snapshot); watching them |
//! | [`schedule`] | when campaigns are due |
//! | [`plan`] | who gets it, by which channel, who not and why |
//! | [`dispatch`] | claim, render, last check, pace, send, record |
//! | [`engine`] | ties the rooms together: what an embedding program holds |
//! | [`control`] | commands, the socket, the daemon |
//! | `web` | public pages (the way out), private pages (status, metrics) |
//! | `cli` | the verbs of the program |
//!
//! Imports point up this table, never down.
//!
//! # What it promises
//!
//! 1. Nobody gets the same occurrence twice: the ledger's key is campaign, occurrence, recipient, channel.
//! 2. Nobody is silently lost: everybody who matched ends in a status with a reason, through `kill -9` at any instant. What was
//!    handed over without its answer being seen is `in_doubt`, and there are never more of those than `[store] max_in_doubt`.
//! 3. Unsubscribing wins: it is checked when planning, and again in the transaction that lets a message leave.
//! 4. A script that fails never sends.
//! 5. In doubt, hold: what does not check starts nothing, and its neighbours never notice.
//! 6. Taking a campaign away stops it.
//! 7. A run is pinned to the files it was planned with.
//! 8. Late is not now: an occurrence missed by more than its `grace` is skipped and shown.
//! 9. Memory is flat: nothing grows with the audience.
//! 10. Every "why?" has a command.
#![forbid(unsafe_code)]
#![cfg_attr(test, allow(clippy::unwrap_used))]

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
