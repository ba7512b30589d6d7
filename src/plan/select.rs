//! One row after the other is judged: is it of the audience, and what becomes of it as far as the row alone tells.

use std::{collections::BTreeMap, sync::Arc};

use crate::{
    message::payload,
    model::{Channel, InvalidRow, Recipient, SkipReason, Value},
    script::{Evaluator, ScriptError},
    source::Batch,
};

use super::{
    candidate::{self, Candidate, Head, Order, Pile},
    digest,
    fate::{Fate, Fates},
    reach::{self, Address, Unreachable, Way},
    rules::Rules,
    suppressed::Stop,
};

/// How many problems are told in words.
pub(super) const PROBLEMS: usize = 20;

/// Details are for people; nobody reads more, and a million of them are kept.
const DETAIL_BYTES: usize = 500;

/// An address that is not one may be anything.
const ADDRESS_BYTES: usize = 320;

/// Condition and variables of a campaign, on one thread.
pub(super) trait Selector {
    /// Whether the condition holds.
    fn matches(&mut self, recipient: &Recipient) -> Result<bool, ScriptError>;
    /// The same, and how many of its clauses held before the first that did not.
    fn matches_by_clause(&mut self, recipient: &Recipient) -> (Result<bool, ScriptError>, usize) {
        let matches = self.matches(recipient);
        let held = usize::from(!matches!(matches, Ok(false)));
        (matches, held)
    }
    /// What each clause gives, up to and with the first that does not hold.
    fn clauses(&mut self, recipient: &Recipient) -> Vec<Result<bool, ScriptError>> {
        vec![self.matches(recipient)]
    }
    /// The values of the variables, in order.
    fn variables(&mut self, recipient: &Recipient) -> Result<Vec<Value>, ScriptError>;
    /// Why the workspace's policy is against writing to the recipient on a channel; `None`: it is not.
    fn veto(
        &mut self,
        recipient: &Recipient,
        channel: Channel,
    ) -> Result<Option<String>, ScriptError>;
}

impl Selector for Evaluator {
    fn matches(&mut self, recipient: &Recipient) -> Result<bool, ScriptError> {
        self.matches(recipient)
    }

    fn matches_by_clause(&mut self, recipient: &Recipient) -> (Result<bool, ScriptError>, usize) {
        self.matches_by_clause(recipient)
    }

    fn clauses(&mut self, recipient: &Recipient) -> Vec<Result<bool, ScriptError>> {
        self.clauses(recipient)
    }

    fn variables(&mut self, recipient: &Recipient) -> Result<Vec<Value>, ScriptError> {
        self.variables(recipient)
    }

    fn veto(
        &mut self,
        recipient: &Recipient,
        channel: Channel,
    ) -> Result<Option<String>, ScriptError> {
        self.veto(recipient, channel)
    }
}

/// Makes a selector for each thread.
pub(super) type Selectors = Arc<dyn Fn() -> Box<dyn Selector> + Send + Sync>;

/// What became of a batch.
#[derive(Default)]
pub(super) struct Sifted {
    /// Rows of it.
    pub(super) rows: u64,
    /// Rows that matched.
    pub(super) matched: u64,
    /// Rows that `keys` do not name.
    pub(super) unasked: u64,
    /// Rows that each clause dropped, where somebody asks.
    pub(super) by_clause: Vec<u64>,
    /// What became of those rows, where somebody asks.
    pub(super) fates: Fates,
    /// Matching recipients with a valid address, by channel.
    pub(super) reachable: BTreeMap<Channel, u64>,
    /// Rows that matched, by the translation they get.
    pub(super) by_locale: BTreeMap<String, u64>,
    /// What is left to be sorted.
    pub(super) pile: Pile,
    /// Rows that go on and whose zone is not known.
    pub(super) unknown_zones: u64,
    /// The first problems, in words.
    pub(super) problems: Vec<String>,
}

impl Sifted {
    fn problem(&mut self, words: impl FnOnce() -> String) {
        if self.problems.len() < PROBLEMS {
            self.problems.push(words());
        }
    }
}

/// Judges rows.
pub(super) struct Sieve {
    rules: Arc<Rules>,
    selector: Box<dyn Selector>,
}

impl Sieve {
    pub(super) fn new(rules: Arc<Rules>, selector: Box<dyn Selector>) -> Self {
        Self { rules, selector }
    }

    /// Judges a batch of the `source`th source, whose first row is the `position`th of all.
    pub(super) fn sift(&mut self, source: usize, position: u64, batch: Batch) -> Sifted {
        let mut sifted = Sifted::default();
        if let Some(look) = &self.rules.look {
            sifted.by_clause = vec![0; look.clauses.len()];
        }
        for (row, position) in batch.into_iter().zip(position..) {
            sifted.rows += 1;
            match row.and_then(|recipient| sound(recipient, position + 1)) {
                Ok(recipient) => self.judge(&mut sifted, source, position, recipient),
                Err(invalid) => self.set_aside(&mut sifted, source, position, &invalid),
            }
        }
        sifted
    }

    fn judge(
        &mut self,
        sifted: &mut Sifted,
        source: usize,
        position: u64,
        mut recipient: Recipient,
    ) {
        let rules = Arc::clone(&self.rules);
        let name = &rules.campaign.audience.sources[source];
        // Hashes are made of the name in the settings, whatever a source calls itself.
        recipient.source = name.clone();
        let Some(weighed) = self.weigh(sifted, &recipient) else {
            return;
        };
        sifted.matched += 1;
        if let Some(locale) = rules.translation_for(&recipient) {
            *sifted.by_locale.entry(locale).or_default() += 1;
        }
        let hash = rules.identity.recipient(name, &recipient.key).0;
        let key = |channel| candidate::key(hash, Order::new(position, channel));
        let head = Head {
            source: source as u32,
            key: &recipient.key,
            ..Head::default()
        };
        if let Some((reason, detail)) = &weighed.skip {
            // One row says it all: the campaign's other ways are not looked at.
            let head = weighed
                .ways
                .first()
                .map_or(head, |way| rules.with_way(way, head));
            let skip = Some((*reason, detail.as_deref()));
            let key = key(head.channel);
            sifted
                .pile
                .push(key, &Candidate::bare(Head { skip, ..head }));
            return;
        }
        let head = Head {
            zone: rules.zone_of(sifted, &recipient),
            ..head
        };
        let (payload, carried) = if weighed.ways.iter().all(Way::is_barred) {
            (Vec::new(), Vec::new())
        } else {
            rules.freeze(&recipient, &weighed.variables)
        };
        for way in &weighed.ways {
            let mut head = rules.with_way(way, head);
            let key = key(way.channel);
            if head.skip.is_some() {
                sifted.pile.push(key, &Candidate::bare(head));
                continue;
            }
            let variables = rules.variables(&weighed.variables);
            head.digest = digest::delivery(name, head.key, head.channel, head.address, variables);
            sifted.pile.push(
                key,
                &Candidate {
                    head,
                    payload: &payload,
                    carried: &carried,
                },
            );
        }
    }

    /// What the rules and scripts say of a recipient; `None`: it does not match.
    fn weigh(&mut self, sifted: &mut Sifted, recipient: &Recipient) -> Option<Weighed> {
        let rules = &self.rules;
        let wanted = rules.wanted.as_ref();
        if wanted.is_some_and(|wanted| !wanted.meets(&recipient.key)) {
            sifted.unasked += 1;
            rules.pass_over(sifted, recipient, Fate::NotAsked);
            return None;
        }
        let reach = &rules.campaign.reach;
        let mut weighed = Weighed::default();
        let (matches, held) = match &rules.look {
            None => (self.selector.matches(recipient), 0),
            Some(_) => self.selector.matches_by_clause(recipient),
        };
        match matches {
            Ok(false) => {
                if let Some(dropped) = sifted.by_clause.get_mut(held) {
                    *dropped += 1;
                }
                rules.pass_over(sifted, recipient, Fate::Clause(held as u32));
                return None;
            }
            Ok(true) => {
                let held_out = rules.holds_out(&recipient.source, &recipient.key);
                let (selector, mut failure) = (self.selector.as_mut(), None);
                weighed.ways = reach::ways(recipient, reach, |channel, address| {
                    *sifted.reachable.entry(channel).or_default() += 1;
                    if held_out || failure.is_some() {
                        return None;
                    }
                    let bar = rules.bar(selector, recipient, channel, address);
                    bar.unwrap_or_else(|error| {
                        failure = Some(error);
                        None
                    })
                });
                if held_out {
                    weighed.skip = Some((SkipReason::Holdout, None));
                } else if let Some(error) = failure {
                    weighed.skip = Some(failed(sifted, recipient, &error));
                } else if !weighed.ways.iter().all(Way::is_barred) {
                    match self.selector.variables(recipient) {
                        Ok(variables) => weighed.variables = variables,
                        Err(error) => weighed.skip = Some(failed(sifted, recipient, &error)),
                    }
                }
            }
            Err(error) => {
                weighed.skip = Some(failed(sifted, recipient, &error));
                // Whether it is to be written to is not known, and where to is nobody's business then.
                weighed.ways = vec![Way {
                    channel: reach::first_channel(reach),
                    address: Err(Unreachable::NoAddress),
                }];
            }
        }
        Some(weighed)
    }

    fn set_aside(&self, sifted: &mut Sifted, source: usize, position: u64, invalid: &InvalidRow) {
        let rules = &self.rules;
        // A row whose key could not be read may be one that is asked for.
        if let (Some(wanted), Some(key)) = (&rules.wanted, &invalid.key)
            && !wanted.meets(key)
        {
            sifted.unasked += 1;
            return;
        }
        let name = &rules.campaign.audience.sources[source];
        let words = invalid.to_string();
        let words = clip(&words, DETAIL_BYTES);
        sifted.problem(|| format!("{name}: {words}"));
        let line = format!("line {}", invalid.line);
        let shown = invalid.key.as_deref().unwrap_or(&line);
        let channel = reach::first_channel(&rules.campaign.reach);
        let hash = rules.identity.recipient(name, shown).0;
        sifted.pile.push(
            candidate::key(hash, Order::new(position, channel)),
            &Candidate::bare(Head {
                source: source as u32,
                key: shown,
                channel,
                skip: Some((SkipReason::InvalidRow, Some(words))),
                ..Head::default()
            }),
        );
    }
}

/// What the rules and scripts say of a recipient that matched.
#[derive(Default)]
struct Weighed {
    skip: Option<(SkipReason, Option<String>)>,
    /// At least one, where nothing is skipped.
    ways: Vec<Way>,
    variables: Vec<Value>,
}

impl Rules {
    /// What is against writing to a good address, whatever the campaign says: `[safety]` of the settings, then the policy.
    pub(super) fn bar(
        &self,
        selector: &mut dyn Selector,
        recipient: &Recipient,
        channel: Channel,
        address: &Address,
    ) -> Result<Option<Stop>, ScriptError> {
        if !self.safety.allows(channel, &address.normalized) {
            return Ok(Some((SkipReason::Safety, None)));
        }
        let why = selector.veto(recipient, channel)?;
        Ok(why.map(|why| {
            let why = clip(&why, DETAIL_BYTES).to_owned();
            (SkipReason::Policy, Some(why))
        }))
    }

    /// Notes what became of a row that makes no record.
    fn pass_over(&self, sifted: &mut Sifted, recipient: &Recipient, fate: Fate) {
        if self.look.as_ref().is_some_and(|look| look.fates) {
            let hash = self.identity.recipient(&recipient.source, &recipient.key);
            sifted.fates.push(hash.0, fate, &recipient.key);
        }
    }

    /// The number of a recipient's zone; one that is written and not known is told as a problem.
    fn zone_of(&self, sifted: &mut Sifted, recipient: &Recipient) -> u16 {
        let Some(zones) = &self.zones else {
            return 0;
        };
        zones.number(recipient).unwrap_or_else(|written| {
            sifted.unknown_zones += 1;
            sifted.problem(|| {
                format!(
                    "{}, key {}: there is no time zone {:?}: {} counts",
                    recipient.source,
                    recipient.key,
                    clip(&written, 80),
                    zones.default()
                )
            });
            0
        })
    }

    /// Completes a head with the address of a way, or with why there is none.
    fn with_way<'a>(&self, way: &'a Way, head: Head<'a>) -> Head<'a> {
        let channel = way.channel;
        match &way.address {
            Ok(address) => Head {
                channel,
                address: &address.text,
                address_hash: Some(self.identity.address(channel, &address.normalized)),
                ..head
            },
            Err(Unreachable::Barred {
                address,
                reason,
                why,
            }) => Head {
                channel,
                address: &address.text,
                address_hash: Some(self.identity.address(channel, &address.normalized)),
                skip: Some((*reason, why.as_deref())),
                ..head
            },
            Err(Unreachable::NoAddress) => Head {
                channel,
                skip: Some((SkipReason::NoAddress, None)),
                ..head
            },
            Err(Unreachable::Invalid { written, why }) => Head {
                channel,
                address: clip(written, ADDRESS_BYTES),
                skip: Some((SkipReason::InvalidAddress, Some(clip(why, DETAIL_BYTES)))),
                ..head
            },
        }
    }

    /// The payload, and the variables that are carried beside it.
    fn freeze(&self, recipient: &Recipient, variables: &[Value]) -> (Vec<u8>, Vec<u8>) {
        let payload = self.layout.as_ref().map_or_else(Vec::new, |layout| {
            let named: Vec<_> = self.variables(variables).collect();
            payload::encode(&layout.values(recipient, &named))
        });
        let carried: Vec<&Value> = self.carried().filter_map(|at| variables.get(at)).collect();
        let carried = if carried.is_empty() {
            Vec::new()
        } else {
            candidate::encode_values(&carried)
        };
        (payload, carried)
    }
}

/// A script that failed, as the reason of a delivery; it is noted as a problem too.
fn failed(
    sifted: &mut Sifted,
    recipient: &Recipient,
    error: &ScriptError,
) -> (SkipReason, Option<String>) {
    let words = error.to_string();
    let words = clip(&words, DETAIL_BYTES);
    sifted.problem(|| format!("{}, key {}: {words}", recipient.source, recipient.key));
    (SkipReason::ScriptError, Some(words.to_owned()))
}

/// A recipient as the rest relies on it, whoever wrote the source: it has a key, and a value for each column.
pub(super) fn sound(recipient: Recipient, number: u64) -> Result<Recipient, InvalidRow> {
    let (values, columns) = (recipient.values.len(), recipient.schema.columns.len());
    let message = if recipient.key.is_empty() {
        "it has no key".to_owned()
    } else if values != columns {
        format!("the source gave {values} values for {columns} columns")
    } else {
        return Ok(recipient);
    };
    Err(InvalidRow {
        line: number,
        key: (!recipient.key.is_empty()).then_some(recipient.key),
        column: None,
        message,
    })
}

/// The text, cut where it is longer than anybody needs.
pub(super) fn clip(text: &str, bytes: usize) -> &str {
    &text[..text.floor_char_boundary(bytes)]
}
