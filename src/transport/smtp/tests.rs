//! Against a server that does what it is told, at every step.

#[path = "../../../tests/support/smtp_server/mod.rs"]
mod smtp_server;
#[path = "../../../tests/support/smtp_sink.rs"]
mod smtp_sink;

mod opening;
mod refusals;
mod sending;
mod troubles;

use std::{path::PathBuf, sync::Arc, time::Duration};

use self::smtp_server::SmtpServer;
use super::{
    SmtpTransport,
    deadlines::Deadlines,
    settings::{SmtpSettings, Tls},
};
use crate::{
    model::{Answer, DeliveryId, Outcomes, Outgoing, OutgoingEmail, Permit},
    transport::{Fate, Lane, OpenError, Transport, TransportContext},
};

/// Deadlines that a test may run into.
const SHORT: Duration = Duration::from_secs(1);

fn settings(port: u16) -> SmtpSettings {
    SmtpSettings {
        host: "127.0.0.1".to_owned(),
        port,
        tls: Tls::None,
        ca_file: None,
        hello_name: None,
        login: None,
        messages_per_connection: 1000,
        deadlines: Deadlines::default(),
    }
}

fn build(settings: SmtpSettings) -> Arc<SmtpTransport> {
    let context = TransportContext {
        name: "main".parse().unwrap(),
        workspace: PathBuf::from("."),
        connections: 2,
    };
    Arc::new(SmtpTransport::new(settings, &context).unwrap())
}

fn to(server: &SmtpServer) -> Arc<SmtpTransport> {
    build(settings(server.port()))
}

/// The same with deadlines that are soon over.
fn impatient(server: &SmtpServer) -> Arc<SmtpTransport> {
    let deadlines = Deadlines::default().capped(SHORT);
    build(SmtpSettings {
        deadlines,
        ..settings(server.port())
    })
}

fn mail(to: &str) -> OutgoingEmail {
    OutgoingEmail {
        from: "news@acme.example".parse().unwrap(),
        to: to.parse().unwrap(),
        message_id: format!("1.{to}"),
        bytes: format!("To: {to}\r\nSubject: x\r\n\r\n.dot\r\nend\r\n").into_bytes(),
        shared: Vec::new(),
    }
}

/// What came of each message, in their order; those that were not taken have not started.
async fn send_mails(lane: &mut dyn Lane, mails: Vec<OutgoingEmail>) -> (Fate, Vec<Answer>) {
    let (outcomes, mut answers) = Outcomes::channel();
    let batch: Vec<_> = mails
        .into_iter()
        .enumerate()
        .map(|(at, mail)| {
            (
                Permit::issue(DeliveryId(at as i64), 1, &outcomes),
                Outgoing::Email(mail),
            )
        })
        .collect();
    let count = batch.len();
    let mut messages = batch.into_iter();
    let fate = lane.send(&mut messages).await;
    for (permit, _) in messages {
        let words = "not taken".to_owned();
        permit.answer(Answer::NotStarted { words });
    }
    let mut answered: Vec<_> = std::iter::from_fn(|| answers.try_recv().ok()).collect();
    assert_eq!(
        answered.len(),
        count,
        "every permit is answered once: {answered:?}"
    );
    answered.sort_by_key(|answered| answered.delivery);
    answered.dedup_by_key(|answered| answered.delivery);
    assert_eq!(answered.len(), count, "no permit is answered twice");
    (
        fate,
        answered
            .into_iter()
            .map(|answered| answered.answer)
            .collect(),
    )
}

async fn send(lane: &mut dyn Lane, recipients: &[&str]) -> (Fate, Vec<String>) {
    let (fate, answers) = send_mails(lane, recipients.iter().map(|to| mail(to)).collect()).await;
    (fate, answers.iter().map(in_short).collect())
}

/// `accepted`, `temporary Recipient`, `permanent Recipient missing`, `not started`, `unknown`.
fn in_short(answer: &Answer) -> String {
    match answer {
        Answer::Accepted { .. } => "accepted".to_owned(),
        Answer::Refused {
            permanent,
            scope,
            no_such_mailbox,
            ..
        } => format!(
            "{} {scope:?}{}",
            if *permanent { "permanent" } else { "temporary" },
            if *no_such_mailbox { " missing" } else { "" }
        ),
        Answer::NotStarted { .. } => "not started".to_owned(),
        Answer::Unknown { .. } => "unknown".to_owned(),
    }
}

fn words(answer: &Answer) -> &str {
    match answer {
        Answer::Accepted { words }
        | Answer::Refused { words, .. }
        | Answer::NotStarted { words }
        | Answer::Unknown { words } => words,
    }
}

async fn refused(transport: &SmtpTransport) -> OpenError {
    match transport.open().await {
        Err(error) => error,
        Ok(_) => panic!("the connection opened"),
    }
}

const A: &str = "a@x.example";
const B: &str = "b@x.example";
const C: &str = "c@x.example";
const D: &str = "d@x.example";
