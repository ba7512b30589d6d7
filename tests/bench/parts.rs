//! `cargo bench --bench parts -- WORKSPACE CAMPAIGN [KEY.pem …]`: one part of the work at a time, on one thread, through the
//! library's public face: the condition, the variables, the message, each signature. Prints a line a part: its name and how
//! many a second.

use std::{
    env,
    hint::black_box,
    path::PathBuf,
    process::exit,
    sync::Arc,
    time::{Duration, Instant},
};

use campanile::{
    engine::Engine,
    message::{
        self, EmailFacts,
        dkim::{self, Signer},
        links::{Claim, LinkKind, Links},
        payload::{self, Layout},
    },
    model::{AddressHash, DeliveryId, EmailAddress, OccurrenceName, Recipient, RecipientHash},
    script::{NoHistory, RunFacts},
    workspace::Loaded,
};
use chrono::Utc;
use futures::StreamExt;

/// Recipients that are kept, and gone through again and again.
const KEPT: usize = 20_000;
/// How long each part is measured.
const LONG: Duration = Duration::from_secs(3);

#[tokio::main(flavor = "current_thread")]
async fn main() {
    // Cargo adds `--bench`.
    let mut arguments = env::args().skip(1).filter(|argument| argument != "--bench");
    let (Some(workspace), Some(campaign)) = (arguments.next(), arguments.next()) else {
        eprintln!("cargo bench --bench parts -- WORKSPACE CAMPAIGN [KEY.pem …]");
        exit(2)
    };
    let workspace = PathBuf::from(workspace);
    let snapshot = Engine::check(workspace.clone()).await.expect("a workspace");
    let id = campaign.parse().expect("an id");
    let loaded = snapshot.campaigns[&id].in_force().expect("it checks");
    let settings = snapshot.settings.as_ref().expect("settings that check");
    let source = &settings.sources[&loaded.campaign.audience.sources[0]];
    let mut rows = source
        .config
        .open(&source.context)
        .read()
        .await
        .expect("a source");
    let mut recipients: Vec<Recipient> = Vec::new();
    while let Some(batch) = rows.next().await
        && recipients.len() < KEPT
    {
        recipients.extend(batch.expect("it can be read").into_iter().flatten());
    }

    let facts = RunFacts {
        campaign: id,
        occurrence: OccurrenceName::label("bench").expect("a label"),
        now: Utc::now(),
        zone: loaded.zone.clone(),
    };
    let mut evaluator = loaded.program.evaluator(&facts, Arc::new(NoHistory));
    measure("condition", &recipients, |recipient| {
        evaluator.matches(recipient).is_ok()
    });
    measure("variables", &recipients, |recipient| {
        evaluator.variables(recipient).is_ok()
    });

    let mut payloads = Payloads::of(loaded, &facts);
    for recipient in &recipients {
        let values = evaluator
            .variables(recipient)
            .expect("they can be computed");
        payloads.add(recipient, &values);
    }
    measure("message", &payloads.all, |one| {
        payloads.render(one).len() > 1000
    });
    let messages: Vec<Vec<u8>> = payloads
        .all
        .iter()
        .map(|one| payloads.render(one))
        .collect();
    for file in arguments {
        let pem = std::fs::read_to_string(&file).expect("a key");
        let signer = Signer::new("acme.example", "s1", &pem).expect("a key that can sign");
        let name = format!("dkim {file}");
        let signers = [signer];
        measure(&name, &messages, |message| {
            dkim::sign(message.clone(), &[], &signers, facts.now).is_ok()
        });
    }
}

/// Does something with one after the other for a while.
fn measure<T>(part: &str, all: &[T], mut act: impl FnMut(&T) -> bool) {
    let begun = Instant::now();
    let mut done = 0;
    while begun.elapsed() < LONG {
        for one in all.iter().take(500) {
            assert!(black_box(act(one)), "{part} failed");
        }
        done += all.len().min(500);
    }
    println!("{part}\t{:.0}", done as f64 / begun.elapsed().as_secs_f64());
}

/// What planning leaves for sending.
struct Payloads<'a> {
    loaded: &'a Loaded,
    facts: &'a RunFacts,
    layout: Layout,
    links: Links,
    all: Vec<Payload>,
}

struct Payload {
    address: String,
    claim: Claim,
    bytes: Vec<u8>,
}

impl<'a> Payloads<'a> {
    fn of(loaded: &'a Loaded, facts: &'a RunFacts) -> Self {
        Self {
            loaded,
            facts,
            layout: Layout::default(),
            links: Links::new(
                &[b"a secret of thirty-two bytes, more".to_vec()],
                "https://news.example.org",
            ),
            all: Vec::new(),
        }
    }

    /// One more, where it has an address that is one.
    fn add(&mut self, recipient: &Recipient, values: &[campanile::model::Value]) {
        let written = recipient.role(|roles| &roles.email);
        let Some(address) = written.filter(|written| written.parse::<EmailAddress>().is_ok())
        else {
            return;
        };
        let names = self.loaded.program.variable_names();
        let template = self.loaded.email.as_ref().expect("it has a mail");
        let columns = recipient
            .schema
            .columns
            .iter()
            .map(|(name, _)| name.as_str());
        self.layout = Layout::new(template.needs(), columns, names.iter().map(String::as_str));
        let variables: Vec<_> = names.iter().map(String::as_str).zip(values).collect();
        let number = self.all.len() as u64;
        let mut hash = [0; 16];
        hash[..8].copy_from_slice(&number.to_le_bytes());
        self.all.push(Payload {
            address,
            claim: Claim {
                delivery: DeliveryId(number as i64),
                address: AddressHash(hash),
                recipient: RecipientHash(hash),
                topic: self.loaded.topic.name.clone(),
            },
            bytes: payload::encode(&self.layout.values(recipient, &variables)),
        });
    }

    /// What the dispatcher does with a claimed delivery: decode, sign the link, make the Message-ID, render.
    fn render(&self, one: &Payload) -> Vec<u8> {
        let values = payload::decode(&one.bytes).expect("it was encoded");
        let url = self.links.url(LinkKind::Unsubscribe, &one.claim);
        let seed: &[&[u8]] = &[b"bench", b"2026-11-26", &one.claim.recipient.0, b"email"];
        let facts = EmailFacts {
            to: &one.address.parse().expect("an address"),
            redirected_from: None,
            layout: &self.layout,
            values: &values,
            occurrence: &self.facts.occurrence,
            now: self.facts.now,
            zone: &self.loaded.zone,
            date: self.facts.now,
            message_id: &message::message_id(seed, self.loaded.sender.from.address.domain()),
            unsubscribe_url: Some(&url),
            unsubscribe_mailto: None,
            view_url: None,
            preferences_url: None,
        };
        let template = self.loaded.email.as_ref().expect("it has a mail");
        template.render(&facts).expect("it can be rendered").bytes
    }
}
