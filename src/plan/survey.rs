//! An expression over all recipients of a source, evaluated as a plan evaluates its condition: what comes of it, how often,
//! and for whom. In fixed memory, however large the source.

use std::{collections::HashMap, sync::Arc};

use futures::StreamExt;
use tokio::{sync::mpsc, task::spawn_blocking};

use crate::{
    model::{InvalidRow, Recipient, SourceName, Value},
    script::{Evaluator, History, Program, RunFacts, ScriptError},
    source::{Source, SourceError},
};

use super::{
    PlanError, Progress,
    gather::{self, Dealt, Origin},
    select::{clip, sound},
};

/// The most different values that are counted.
const DIFFERENT: usize = 10_000;
/// No more of a value is compared and shown.
const VALUE_BYTES: usize = 200;

/// What is surveyed.
pub struct Surveyed {
    /// The source's name in the settings.
    pub name: SourceName,
    /// The source.
    pub source: Arc<dyn Source>,
    /// The expression: the last of the program's variables.
    pub program: Program,
    /// What scripts know of the run.
    pub facts: RunFacts,
    /// What was sent before.
    pub history: Arc<dyn History>,
    /// How many recipients are kept of each kind.
    pub sample: usize,
}

/// What came of an expression over a source.
#[derive(Clone, Debug, Default)]
pub struct Survey {
    /// Recipients of the source, without rows that can't be read.
    pub recipients: u64,
    /// Rows that can't be read.
    pub invalid: u64,
    /// The first of them, in words.
    pub invalid_rows: Vec<String>,
    /// How often it was true.
    pub yes: u64,
    /// How often it was false.
    pub no: u64,
    /// How often it failed.
    pub errors: u64,
    /// The first recipients on which it failed.
    pub failed: Vec<(String, ScriptError)>,
    /// The first recipients for whom it was true.
    pub yes_sample: Vec<String>,
    /// The first recipients for whom it was false.
    pub no_sample: Vec<String>,
    /// The first recipients with another value.
    pub sample: Vec<(String, Value)>,
    /// Other values than true and false, the most frequent first.
    pub values: Vec<Counted>,
    /// Whether there were more different values than are counted.
    pub more: bool,
}

/// A value, and how often it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Counted {
    /// The value as a message would show it, cut where it is long.
    pub shown: String,
    /// Its type.
    pub kind: &'static str,
    /// How often.
    pub n: u64,
}

/// Evaluates an expression over all recipients of a source.
pub async fn survey(surveyed: Surveyed) -> Result<Survey, PlanError> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let (mut dealers, mut tallies) = (Vec::new(), Vec::new());
    for _ in 0..threads.clamp(1, 16) {
        let (dealer, dealt) = mpsc::channel(1);
        let history = surveyed.history.clone();
        let evaluator = surveyed.program.evaluator(&surveyed.facts, history);
        let tally = Tally::new(surveyed.sample);
        let name = surveyed.name.clone();
        tallies.push(spawn_blocking(move || tally.count(evaluator, &name, dealt)));
        dealers.push(dealer);
    }
    let schema = Arc::new(surveyed.source.describe().await?);
    let origin = Origin {
        name: surveyed.name,
        source: surveyed.source,
        schema,
    };
    let read = gather::deal(&[origin], dealers, &Progress::default()).await;
    let mut all = Tally::new(surveyed.sample);
    for tally in tallies {
        all.merge(tally.await.map_err(gather::gone)?);
    }
    read?;
    Ok(all.end())
}

/// The recipient with a key; `Err` in words where its row can't be read.
pub async fn find(
    name: &SourceName,
    source: &Arc<dyn Source>,
    key: &str,
) -> Result<Option<Result<Recipient, InvalidRow>>, SourceError> {
    let mut batches = source.read().await?;
    let (mut number, mut invalid) = (0, None);
    while let Some(batch) = batches.next().await {
        for row in batch? {
            number += 1;
            match row.and_then(|recipient| sound(recipient, number)) {
                Ok(mut recipient) if recipient.key == key => {
                    recipient.source = name.clone();
                    return Ok(Some(Ok(recipient)));
                }
                Err(row) if row.key.as_deref() == Some(key) => {
                    invalid.get_or_insert(Err(row));
                }
                _ => {}
            }
        }
    }
    Ok(invalid)
}

/// What one thread counts. What is kept of single rows carries their position, so that the first of all are the first.
#[derive(Default)]
struct Tally {
    survey: Survey,
    most: usize,
    yes: Vec<(u64, String)>,
    no: Vec<(u64, String)>,
    other: Vec<(u64, (String, Value))>,
    failed: Vec<(u64, (String, ScriptError))>,
    invalid: Vec<(u64, String)>,
    counts: HashMap<(&'static str, String), u64>,
}

impl Tally {
    fn new(most: usize) -> Self {
        Self {
            most,
            ..Self::default()
        }
    }

    fn count(
        mut self,
        mut evaluator: Evaluator,
        name: &SourceName,
        mut dealt: mpsc::Receiver<Dealt>,
    ) -> Self {
        while let Some(Dealt {
            position, batch, ..
        }) = dealt.blocking_recv()
        {
            for (row, position) in batch.into_iter().zip(position..) {
                match row.and_then(|recipient| sound(recipient, position + 1)) {
                    Ok(mut recipient) => {
                        recipient.source = name.clone();
                        self.survey.recipients += 1;
                        let values = evaluator.variables(&recipient);
                        let value = values.map(|mut values| values.pop().unwrap_or_default());
                        self.take(position, recipient, value);
                    }
                    Err(row) => {
                        self.survey.invalid += 1;
                        keep(&mut self.invalid, self.most, position, || row.to_string());
                    }
                }
            }
        }
        self
    }

    fn take(&mut self, position: u64, recipient: Recipient, value: Result<Value, ScriptError>) {
        let key = recipient.key;
        match value {
            Ok(Value::Boolean(true)) => {
                self.survey.yes += 1;
                keep(&mut self.yes, self.most, position, || key);
            }
            Ok(Value::Boolean(false)) => {
                self.survey.no += 1;
                keep(&mut self.no, self.most, position, || key);
            }
            Ok(value) => {
                let text = value.to_string();
                self.add(value.type_name(), clip(&text, VALUE_BYTES).to_owned(), 1);
                keep(&mut self.other, self.most, position, || (key, value));
            }
            Err(error) => {
                self.survey.errors += 1;
                keep(&mut self.failed, self.most.max(1), position, || {
                    (key, error)
                });
            }
        }
    }

    fn add(&mut self, kind: &'static str, shown: String, n: u64) {
        let full = self.counts.len() >= DIFFERENT;
        let key = (kind, shown);
        match self.counts.get_mut(&key) {
            Some(count) => *count += n,
            None if full => self.survey.more = true,
            None => {
                self.counts.insert(key, n);
            }
        }
    }

    fn merge(&mut self, other: Self) {
        let survey = &mut self.survey;
        survey.recipients += other.survey.recipients;
        survey.invalid += other.survey.invalid;
        survey.yes += other.survey.yes;
        survey.no += other.survey.no;
        survey.errors += other.survey.errors;
        survey.more |= other.survey.more;
        self.yes.extend(other.yes);
        self.no.extend(other.no);
        self.other.extend(other.other);
        self.failed.extend(other.failed);
        self.invalid.extend(other.invalid);
        for ((kind, shown), n) in other.counts {
            self.add(kind, shown, n);
        }
    }

    fn end(self) -> Survey {
        let most = self.most;
        let mut values: Vec<_> = self
            .counts
            .into_iter()
            .map(|((kind, shown), n)| Counted { shown, kind, n })
            .collect();
        values.sort_by(|a, b| b.n.cmp(&a.n).then_with(|| a.shown.cmp(&b.shown)));
        Survey {
            yes_sample: first(self.yes, most),
            no_sample: first(self.no, most),
            sample: first(self.other, most),
            failed: first(self.failed, most.max(1)),
            invalid_rows: first(self.invalid, most),
            values,
            ..self.survey
        }
    }
}

fn keep<T>(kept: &mut Vec<(u64, T)>, most: usize, position: u64, what: impl FnOnce() -> T) {
    if kept.len() < most {
        kept.push((position, what()));
    }
}

fn first<T>(mut kept: Vec<(u64, T)>, most: usize) -> Vec<T> {
    kept.sort_by_key(|(position, _)| *position);
    kept.truncate(most);
    kept.into_iter().map(|(_, what)| what).collect()
}
