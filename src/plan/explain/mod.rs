//! One recipient, rule by rule: what each saw, and what it said. The rules stand in the order in which a plan applies them, and
//! those that need the whole audience are looked up in it.

use futures::StreamExt;
use serde::{Deserialize, Serialize};
use tokio::task::spawn_blocking;

use crate::{
    model::{
        Channel, Cooldown, Dedupe, InvalidRow, Purpose, Recipient, RunId, SkipReason, SourceName,
        Subject, Suppression, Value,
    },
    schedule,
    store::StoreError,
    workspace::Loaded,
};

use super::{
    Address, Checked, PlanError, Request, Unreachable, cooldown::Rested, gather::gone,
    one::Checker, reach, select::sound,
};

/// How many rows with one key are looked at.
const ROWS: usize = 100;

/// How many rows with one address are looked at.
const TWINS: usize = 1_000;

/// One recipient, explained.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Explained {
    /// Its key.
    pub key: String,
    /// Where it comes from; `None`: no source has it.
    pub source: Option<SourceName>,
    /// Each rule in turn.
    pub rules: Vec<Rule>,
    /// What it comes to.
    pub outcome: Outcome,
}

/// What one rule says of a recipient.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rule {
    /// Its name: `where`, `cooldown`.
    pub rule: String,
    /// What the file says, where it says something: a clause, an expression.
    pub text: Option<String>,
    /// What it says of the recipient.
    pub verdict: Verdict,
    /// Why, in words; a value.
    pub detail: String,
    /// The fields it read, and their values.
    pub saw: Vec<(String, String)>,
}

/// What a rule says of a recipient.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// It lets it through.
    Passed,
    /// It stops it.
    Stopped,
    /// An earlier rule stopped it: this one was not asked.
    NotAsked,
}

/// What becomes of a recipient.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It gets it.
    Included {
        /// How.
        channel: Channel,
        /// Where.
        address: String,
    },
    /// It is of the audience, and is skipped.
    Skipped {
        /// Why.
        reason: SkipReason,
        /// Details.
        detail: Option<String>,
    },
    /// It is not of the audience.
    NoMatch,
    /// No source has it.
    Unknown,
}

/// Explains what becomes of the recipient with a key. Nothing is frozen.
pub async fn explain(request: &Request, key: &str) -> Result<Explained, PlanError> {
    let checker = Checker::of(request);
    let rows = rows_of(&checker, key).await?;
    let mut story = Story {
        explained: Explained {
            key: key.to_owned(),
            source: None,
            rules: Vec::new(),
            outcome: Outcome::Unknown,
        },
        stopped: false,
    };
    if rows.good.is_empty() {
        story.tell_missing(&checker, rows);
        return Ok(story.explained);
    }
    let loaded = request.loaded.clone();
    let weighing = checker.clone();
    let told = spawn_blocking(move || {
        let told = story.tell_row(&weighing, &loaded, rows)?;
        Ok::<_, StoreError>((story, told))
    });
    let (mut story, told) = told.await.map_err(gone)??;
    if let (Outcome::Included { .. }, Dedupe::Address) = (
        &story.explained.outcome,
        checker.rules.campaign.audience.dedupe,
    ) {
        let twin = twin(&checker, &told).await?;
        story.tell_twin(twin);
    }
    Ok(story.explained)
}

/// A row, and where it stands.
struct Row {
    source: usize,
    /// In its source, from 1.
    number: u64,
    /// In all sources, from 0.
    position: u64,
    recipient: Recipient,
}

#[derive(Default)]
struct Rows {
    good: Vec<Row>,
    invalid: Option<(SourceName, InvalidRow)>,
}

/// The rows with a key, in the order of the sources.
async fn rows_of(checker: &Checker, key: &str) -> Result<Rows, PlanError> {
    let mut rows = Rows::default();
    let names = &checker.rules.campaign.audience.sources;
    let mut position = 0;
    for (at, (name, source)) in names.iter().zip(&checker.sources).enumerate() {
        let mut batches = source.read().await?;
        let mut number = 0;
        while let Some(batch) = batches.next().await {
            for row in batch? {
                number += 1;
                position += 1;
                match row.and_then(|recipient| sound(recipient, number)) {
                    Ok(mut recipient) if recipient.key == key && rows.good.len() < ROWS => {
                        recipient.source = name.clone();
                        rows.good.push(Row {
                            source: at,
                            number,
                            position: position - 1,
                            recipient,
                        });
                    }
                    Err(invalid) if invalid.key.as_deref() == Some(key) => {
                        rows.invalid.get_or_insert((name.clone(), invalid));
                    }
                    _ => {}
                }
            }
        }
    }
    Ok(rows)
}

/// What is needed to look for others with the same address.
struct Told {
    position: u64,
    one: Checked,
}

/// The rules as they are told.
struct Story {
    explained: Explained,
    stopped: bool,
}

impl Story {
    fn tell(&mut self, rule: &str, verdict: Verdict, detail: impl Into<String>) -> &mut Rule {
        self.stopped |= verdict == Verdict::Stopped;
        self.explained.rules.push(Rule {
            rule: rule.to_owned(),
            text: None,
            verdict,
            detail: detail.into(),
            saw: Vec::new(),
        });
        self.explained
            .rules
            .last_mut()
            .expect("one was pushed a few lines above")
    }

    /// Passed, or not asked where an earlier rule stopped it.
    fn otherwise(&self) -> Verdict {
        if self.stopped {
            Verdict::NotAsked
        } else {
            Verdict::Passed
        }
    }

    fn skip(&mut self, reason: SkipReason, detail: Option<String>) {
        self.explained.outcome = Outcome::Skipped { reason, detail };
    }

    /// No row with the key can be read.
    fn tell_missing(&mut self, checker: &Checker, rows: Rows) {
        let names = &checker.rules.campaign.audience.sources;
        if let Some((name, row)) = rows.invalid {
            self.explained.source = Some(name);
            self.tell("source", Verdict::Stopped, row.to_string());
            self.skip(SkipReason::InvalidRow, Some(row.to_string()));
            return;
        }
        let names: Vec<_> = names.iter().map(SourceName::as_str).collect();
        let words = format!("no row of {} has this key", names.join(", "));
        self.tell("source", Verdict::Stopped, words);
        if checker.asks_for(&self.explained.key) && checker.rules.wanted.is_some() {
            self.skip(SkipReason::UnknownKey, None);
        }
    }

    /// Everything but the addresses of others. Blocks.
    fn tell_row(
        &mut self,
        checker: &Checker,
        loaded: &Loaded,
        mut rows: Rows,
    ) -> Result<Told, StoreError> {
        let mut selector = (checker.selectors)();
        let asked_for = checker.asks_for(&self.explained.key);
        // Of several rows with the key it is the first that matches; if none does, the first.
        let chosen = rows
            .good
            .iter()
            .position(|row| asked_for && !matches!(selector.matches(&row.recipient), Ok(false)))
            .unwrap_or(0);
        let others: Vec<_> = rows.good[chosen + 1..]
            .iter()
            .filter(|row| row.source == rows.good[chosen].source)
            .filter(|row| asked_for && !matches!(selector.matches(&row.recipient), Ok(false)))
            .map(|row| row.number.to_string())
            .collect();
        let row = rows.good.swap_remove(chosen);
        let name = row.recipient.source.clone();
        let clauses = if asked_for {
            selector.clauses(&row.recipient)
        } else {
            Vec::new()
        };
        let mut one = checker.judge(selector.as_mut(), &name, row.recipient);
        one.skip = checker.skip(&one)?;
        self.explained.source = Some(name.clone());
        let words = format!("row {} of {name}", row.number);
        self.tell("source", Verdict::Passed, words);
        if checker.rules.wanted.is_some() {
            if asked_for {
                self.tell("keys", Verdict::Passed, "they name it")
            } else {
                self.tell("keys", Verdict::Stopped, "they do not name it")
            };
        }
        self.tell_clauses(loaded, &one, &clauses);
        if !others.is_empty() {
            let rows = others.join(", ");
            let words = format!("row {rows} has the key too and is skipped as duplicate_key");
            self.tell("duplicate_key", self.otherwise(), words);
        }
        self.tell_holdout(checker, &one);
        self.tell_variables(loaded, &one);
        self.tell_addresses(&one);
        self.tell_suppressions(checker, &one)?;
        self.tell_cooldown(checker, &one)?;
        self.conclude(&one);
        Ok(Told {
            position: row.position,
            one,
        })
    }

    fn tell_clauses(
        &mut self,
        loaded: &Loaded,
        one: &Checked,
        asked: &[Result<bool, crate::script::ScriptError>],
    ) {
        for (number, clause) in loaded.program.clauses().iter().enumerate() {
            let (verdict, detail) = match asked.get(number) {
                Some(Ok(true)) => (Verdict::Passed, String::new()),
                Some(Ok(false)) => (Verdict::Stopped, String::new()),
                // What the whole says counts: there the message is the one that a plan has.
                Some(Err(error)) => (
                    Verdict::Stopped,
                    match &one.matches {
                        Err(error) => error.to_string(),
                        Ok(_) => error.to_string(),
                    },
                ),
                None => (Verdict::NotAsked, String::new()),
            };
            let saw = match verdict {
                Verdict::NotAsked => Vec::new(),
                _ => saw(&loaded.program.fields_of_clause(number), &one.recipient),
            };
            let rule = self.tell("where", verdict, detail);
            rule.text = Some(super::funnel::on_one_line(clause));
            rule.saw = saw;
        }
    }

    fn tell_holdout(&mut self, checker: &Checker, one: &Checked) {
        let Some(share) = checker.rules.campaign.audience.holdout else {
            return;
        };
        let verdict = if one.holdout && !self.stopped {
            Verdict::Stopped
        } else {
            self.otherwise()
        };
        let words = if one.holdout {
            format!("it is in the {share} that get nothing, for comparison")
        } else {
            format!("it is not in the {share} that get nothing")
        };
        self.tell("holdout", verdict, words);
    }

    fn tell_variables(&mut self, loaded: &Loaded, one: &Checked) {
        let variables = &loaded.campaign.variables;
        match &one.variables {
            Ok(values) => {
                for (variable, (name, value)) in variables.iter().zip(values) {
                    let verdict = self.otherwise();
                    let rule = self.tell(&format!("variable {name}"), verdict, shown(value));
                    rule.text = Some(super::funnel::on_one_line(variable.expression.text()));
                }
            }
            Err(error) => {
                let verdict = if self.stopped {
                    Verdict::NotAsked
                } else {
                    Verdict::Stopped
                };
                self.tell("variables", verdict, error.to_string());
            }
        }
    }

    fn tell_addresses(&mut self, one: &Checked) {
        let leads_somewhere = one.ways.iter().any(|way| way.address.is_ok());
        for way in &one.ways {
            let (verdict, words) = match &way.address {
                Ok(address) => (
                    self.otherwise(),
                    format!("{} {}", way.channel, address.text),
                ),
                Err(why) => {
                    let words = match why {
                        Unreachable::NoAddress => format!("{}: there is none", way.channel),
                        Unreachable::Barred {
                            address,
                            reason,
                            why,
                        } => {
                            let why = why.as_ref().map(|why| format!(": {why}"));
                            let why = why.unwrap_or_default();
                            format!("{} {}: {reason}{why}", way.channel, address.text)
                        }
                        Unreachable::Invalid { written, why } => {
                            format!("{} {written}: {why}", way.channel)
                        }
                    };
                    if leads_somewhere || self.stopped {
                        (self.otherwise(), words)
                    } else {
                        (Verdict::Stopped, words)
                    }
                }
            };
            self.tell("address", verdict, words);
        }
    }

    fn tell_suppressions(&mut self, checker: &Checker, one: &Checked) -> Result<(), StoreError> {
        let Some(store) = &checker.store else {
            return Ok(());
        };
        let recipient = &one.recipient;
        let of_key = checker
            .rules
            .identity
            .recipient(&recipient.source, &recipient.key);
        let mut subjects = vec![("its key", Subject::Recipient(of_key))];
        for (channel, address) in addresses(one) {
            let hash = checker.rules.identity.address(channel, &address.normalized);
            subjects.push(("its address", Subject::Address(hash)));
        }
        let skip = one.skip.as_ref().map(|(reason, _)| *reason);
        let is_reason = matches!(
            skip,
            Some(SkipReason::Unsubscribed | SkipReason::Suppressed)
        );
        let mut words = Vec::new();
        for (whose, subject) in subjects {
            for entry in checker.runtime.block_on(store.suppressions_of(subject))? {
                words.push(format!("{whose} {}", entry_in_words(checker, &entry)));
            }
        }
        let verdict = if is_reason && !self.stopped {
            Verdict::Stopped
        } else {
            self.otherwise()
        };
        if words.is_empty() {
            words.push("none".to_owned());
        }
        self.tell("suppression", verdict, words.join("; "));
        Ok(())
    }

    fn tell_cooldown(&mut self, checker: &Checker, one: &Checked) -> Result<(), StoreError> {
        let campaign = &checker.rules.campaign;
        let cooldown = campaign
            .audience
            .cooldown
            .unwrap_or_else(|| schedule::default_cooldown(campaign.schedule.as_ref()));
        let within = match cooldown {
            Cooldown::None => {
                self.tell("cooldown", self.otherwise(), "none");
                return Ok(());
            }
            Cooldown::Forever => "ever".to_owned(),
            Cooldown::Within(period) => format!("within {period}"),
        };
        let recipient = &one.recipient;
        let hash = checker
            .rules
            .identity
            .recipient(&recipient.source, &recipient.key);
        let mut rested = Rested::new(
            checker.store.clone(),
            checker.runtime.clone(),
            &checker.rules,
            &checker.occurrence,
            checker.now,
        )?;
        let run: Option<RunId> = rested.run_had(hash.0)?;
        let is_reason = matches!(one.skip, Some((SkipReason::Cooldown, _)));
        let verdict = if is_reason && !self.stopped {
            Verdict::Stopped
        } else {
            self.otherwise()
        };
        let words = match run {
            Some(run) => format!("it had run {run}, and not again {within}"),
            None => format!("it had none {within}"),
        };
        self.tell("cooldown", verdict, words);
        Ok(())
    }

    /// What it comes to, as a plan says it.
    fn conclude(&mut self, one: &Checked) {
        match (&one.skip, &one.matches) {
            _ if !one.asked_for => self.explained.outcome = Outcome::NoMatch,
            (None, Ok(false)) => self.explained.outcome = Outcome::NoMatch,
            (Some((reason, detail)), _) => {
                // A rule that has no words of its own here.
                if !self.stopped {
                    let words = detail.clone().unwrap_or_default();
                    self.tell(reason.as_str(), Verdict::Stopped, words);
                }
                self.skip(*reason, detail.clone());
            }
            (None, _) => {
                if let Some((channel, address)) = addresses(one).next() {
                    self.explained.outcome = Outcome::Included {
                        channel,
                        address: address.text.clone(),
                    };
                }
            }
        }
    }

    fn tell_twin(&mut self, twin: Twin) {
        match twin {
            Twin::None => {
                self.tell(
                    "duplicate_address",
                    Verdict::Passed,
                    "nobody before it has the address",
                );
            }
            Twin::Key(key) => {
                let words = format!("{key} comes before it and has the address too");
                self.tell("duplicate_address", Verdict::Stopped, words.clone());
                self.skip(SkipReason::DuplicateAddress, Some(words));
            }
        }
    }
}

/// Who gets the message for an address.
enum Twin {
    /// This one.
    None,
    /// Another, with this key.
    Key(String),
}

/// The first row before this one that has an address of it and is sent to.
async fn twin(checker: &Checker, told: &Told) -> Result<Twin, PlanError> {
    let mine: Vec<(Channel, String)> = addresses(&told.one)
        .map(|(channel, address)| (channel, address.normalized.clone()))
        .collect();
    let candidates = rows_before(checker, told.position, move |checker, row| {
        let ways = reach::ways(&row.recipient, &checker.rules.campaign.reach, |_, _| None);
        ways.iter().any(|way| {
            way.address.as_ref().is_ok_and(|address| {
                mine.iter()
                    .any(|(channel, mine)| *channel == way.channel && *mine == address.normalized)
            })
        })
    })
    .await?;
    let weighing = checker.clone();
    let candidates = spawn_blocking(move || {
        let mut selector = (weighing.selectors)();
        let mut sent = Vec::new();
        for row in candidates {
            let name = row.recipient.source.clone();
            let mut one = weighing.judge(selector.as_mut(), &name, row.recipient);
            one.skip = weighing.skip(&one)?;
            if one.why_not().is_none() {
                sent.push((row.source, row.position, one.recipient.key));
            }
        }
        Ok::<_, StoreError>(sent)
    });
    let candidates = candidates.await.map_err(gone)??;
    if candidates.is_empty() {
        return Ok(Twin::None);
    }
    // Of several rows with a key only the first counts that matches, whatever address it has.
    let keys: Vec<_> = candidates
        .iter()
        .map(|(source, _, key)| (*source, key.clone()))
        .collect();
    let with_key = rows_before(checker, told.position, move |_, row| {
        keys.iter()
            .any(|(source, key)| *source == row.source && *key == row.recipient.key)
    })
    .await?;
    let weighing = checker.clone();
    let first = spawn_blocking(move || {
        let mut selector = (weighing.selectors)();
        with_key
            .into_iter()
            .filter(|row| !matches!(selector.matches(&row.recipient), Ok(false)))
            .map(|row| (row.source, row.position, row.recipient.key))
            .collect::<Vec<_>>()
    });
    let first = first.await.map_err(gone)?;
    let winner = candidates.into_iter().find(|(source, position, key)| {
        let mut of_key = first
            .iter()
            .filter(|(other, _, of)| other == source && of == key);
        of_key.next().is_none_or(|(_, first, _)| first == position)
    });
    Ok(winner.map_or(Twin::None, |(_, _, key)| Twin::Key(key)))
}

/// Rows before a position that `wanted` picks.
async fn rows_before(
    checker: &Checker,
    position: u64,
    wanted: impl Fn(&Checker, &Row) -> bool,
) -> Result<Vec<Row>, PlanError> {
    let mut found = Vec::new();
    let names = &checker.rules.campaign.audience.sources;
    let mut at = 0;
    for (source, name) in names.iter().enumerate() {
        let mut batches = checker.sources[source].read().await?;
        let mut number = 0;
        while let Some(batch) = batches.next().await {
            for row in batch? {
                if at >= position || found.len() >= TWINS {
                    return Ok(found);
                }
                at += 1;
                number += 1;
                let Ok(mut recipient) = row.and_then(|recipient| sound(recipient, number)) else {
                    continue;
                };
                recipient.source = name.clone();
                let row = Row {
                    source,
                    number,
                    position: at - 1,
                    recipient,
                };
                if checker.asks_for(&row.recipient.key) && wanted(checker, &row) {
                    found.push(row);
                }
            }
        }
    }
    Ok(found)
}

fn addresses(one: &Checked) -> impl Iterator<Item = (Channel, &Address)> {
    one.ways
        .iter()
        .filter_map(|way| Some((way.channel, way.address.as_ref().ok()?)))
}

fn entry_in_words(checker: &Checker, entry: &Suppression) -> String {
    let campaign = &checker.rules.campaign;
    let of = entry
        .topic
        .as_ref()
        .map_or_else(|| "everything".to_owned(), ToString::to_string);
    let since = entry.at.format("%Y-%m-%d %H:%M:%S UTC");
    let mut words = format!("is {} for {of} since {since}", entry.reason);
    if !entry.origin.is_empty() {
        words = format!("{words} ({})", entry.origin);
    }
    let other = entry
        .topic
        .as_ref()
        .is_some_and(|topic| *topic != campaign.topic);
    let ignored = campaign.purpose == Purpose::Transactional
        && entry.reason.skip_reason() == SkipReason::Unsubscribed;
    match (other, ignored) {
        (true, _) => words += ", another topic",
        (_, true) => words += ", which does not count for transactional mail",
        _ => {}
    }
    words
}

/// The fields and their values, as far as the source has them.
fn saw(fields: &[String], recipient: &Recipient) -> Vec<(String, String)> {
    fields
        .iter()
        .filter_map(|field| Some((field.clone(), shown(recipient.get(field)?))))
        .collect()
}

/// A value as an expression would write it.
fn shown(value: &Value) -> String {
    match value {
        Value::Empty => "()".to_owned(),
        Value::Text(text) => format!("{text:?}"),
        Value::List(values) => {
            let values: Vec<_> = values.iter().map(shown).collect();
            format!("[{}]", values.join(", "))
        }
        other => other.to_string(),
    }
}
