//! The recipient and the run as scripts see them: `r` and `run`.

use std::sync::Arc;

use chrono::NaiveDate;
use rhai::{Dynamic, ImmutableString, Module};

use super::{
    History, RunFacts,
    operators::{Outcome, fail},
    value::{Moment, to_dynamic},
};
use crate::model::{Recipient, Schema, SourceName, closest};

/// Which columns an expression reads, and how much of a recipient it needs besides. Nothing else is copied per recipient.
#[derive(Clone, Debug, Default)]
pub(super) struct Reads {
    /// Slots of [`Fields`], in order.
    pub(super) slots: Vec<usize>,
    /// The source and the key, for `bucket`.
    pub(super) identity: bool,
    /// Everything: for names that are not literal, and for the history.
    pub(super) whole: bool,
}

/// The names of the fields that a program reads by a literal name; a slot is a position here.
pub(super) type Fields = Arc<[ImmutableString]>;

/// One recipient, as `r`.
#[derive(Clone)]
pub(super) struct Record(Arc<Cells>);

struct Cells {
    fields: Fields,
    schema: Arc<Schema>,
    read: Vec<Cell>,
    identity: Option<(SourceName, String)>,
    whole: Option<Recipient>,
}

#[derive(Clone)]
enum Cell {
    /// The expression does not read it.
    Unread,
    /// The source has no such column.
    Absent,
    Value(Dynamic),
}

/// Where a program's fields stand in the rows of one schema.
#[derive(Clone, Debug, Default)]
pub(super) struct Columns {
    schema: Option<Arc<Schema>>,
    positions: Vec<Option<usize>>,
}

impl Columns {
    fn of(&mut self, fields: &Fields, schema: &Arc<Schema>) -> &[Option<usize>] {
        if !self
            .schema
            .as_ref()
            .is_some_and(|known| Arc::ptr_eq(known, schema))
        {
            self.positions = fields.iter().map(|name| schema.position(name)).collect();
            self.schema = Some(schema.clone());
        }
        &self.positions
    }
}

impl Record {
    /// A record that holds nobody yet.
    pub(super) fn empty(fields: &Fields) -> Self {
        Self(Arc::new(Cells {
            fields: fields.clone(),
            schema: Arc::default(),
            read: vec![Cell::Unread; fields.len()],
            identity: None,
            whole: None,
        }))
    }

    /// Puts another recipient in. Whoever kept the record from before keeps what it held.
    pub(super) fn fill(&mut self, recipient: &Recipient, columns: &mut Columns, reads: &Reads) {
        if Arc::get_mut(&mut self.0).is_none() {
            *self = Self::empty(&self.0.fields);
        }
        let Some(cells) = Arc::get_mut(&mut self.0) else {
            unreachable!("nobody else has the record that was just made");
        };
        let positions = columns.of(&cells.fields, &recipient.schema);
        cells.read.fill(Cell::Unread);
        for &slot in &reads.slots {
            cells.read[slot] = positions[slot]
                .and_then(|position| recipient.values.get(position))
                .map_or(Cell::Absent, |value| Cell::Value(to_dynamic(value)));
        }
        if !Arc::ptr_eq(&cells.schema, &recipient.schema) {
            cells.schema = recipient.schema.clone();
        }
        cells.identity = (reads.identity || reads.whole)
            .then(|| (recipient.source.clone(), recipient.key.clone()));
        cells.whole = reads.whole.then(|| recipient.clone());
    }

    /// The field at a slot.
    fn at(&self, slot: usize) -> Outcome {
        match self.0.read.get(slot) {
            Some(Cell::Value(value)) => Ok(value.clone()),
            Some(Cell::Absent) => self.unknown(&self.0.fields[slot]),
            Some(Cell::Unread) | None => match self.0.fields.get(slot) {
                Some(name) => self.named(name),
                None => fail("the field is not part of this program"),
            },
        }
    }

    /// The field with a name; an error where the source has none.
    pub(super) fn named(&self, name: &str) -> Outcome {
        match self.find(name) {
            Some(value) => Ok(value),
            None => self.unknown(name),
        }
    }

    /// The field with a name; `None` where the source has none.
    pub(super) fn find(&self, name: &str) -> Option<Dynamic> {
        let slot = self.0.fields.iter().position(|field| field == name);
        match slot.and_then(|slot| self.0.read.get(slot)) {
            Some(Cell::Value(value)) => Some(value.clone()),
            Some(Cell::Absent) => None,
            Some(Cell::Unread) | None => self.0.whole.as_ref()?.get(name).map(to_dynamic),
        }
    }

    fn unknown(&self, name: &str) -> Outcome {
        let hint = match closest(name, self.0.schema.names()) {
            Some(near) => format!(": did you mean `{near}`?"),
            None => String::new(),
        };
        fail(format!("the source has no field `{name}`{hint}"))
    }

    /// The source and the key.
    pub(super) fn identity(&self) -> Option<(&str, &str)> {
        self.0
            .identity
            .as_ref()
            .map(|(source, key)| (source.as_str(), key.as_str()))
    }

    /// The recipient itself, for the history.
    pub(super) fn whole(&self) -> Option<&Recipient> {
        self.0.whole.as_ref()
    }
}

/// The run, as `run`, and what functions need of it.
#[derive(Clone)]
pub(super) struct RunRecord(Arc<RunInner>);

struct RunInner {
    facts: RunFacts,
    history: Arc<dyn History>,
    now: Moment,
}

impl RunRecord {
    pub(super) fn new(facts: RunFacts, history: Arc<dyn History>) -> Self {
        let now = facts.zone.at(facts.now);
        Self(Arc::new(RunInner {
            facts,
            history,
            now,
        }))
    }

    pub(super) fn facts(&self) -> &RunFacts {
        &self.0.facts
    }

    pub(super) fn history(&self) -> &dyn History {
        &*self.0.history
    }

    /// The run's moment, in the campaign's zone.
    pub(super) fn now(&self) -> Moment {
        self.0.now
    }

    /// The date of the run's moment, in the campaign's zone.
    pub(super) fn today(&self) -> NaiveDate {
        self.0.now.date_naive()
    }
}

/// The fields of `run`.
pub(super) const RUN_FIELDS: &[&str] = &["campaign", "occurrence", "now"];

/// Registers the fields of `run`.
pub(super) fn register_run(module: &mut Module) {
    module.set_getter_fn("campaign", |run: &mut RunRecord| {
        Ok(ImmutableString::from(run.facts().campaign.as_str()))
    });
    module.set_getter_fn("occurrence", |run: &mut RunRecord| {
        Ok(ImmutableString::from(run.facts().occurrence.as_str()))
    });
    module.set_getter_fn("now", |run: &mut RunRecord| Ok(run.now()));
}

/// Makes the fields of one program readable: a getter for each literal name, an indexer for all others.
pub(super) fn fields_module(fields: &Fields) -> Module {
    let mut module = Module::new();
    for (slot, name) in fields.iter().enumerate() {
        module.set_getter_fn(name.as_str(), move |record: &mut Record| record.at(slot));
    }
    module.set_indexer_get_fn(|record: &mut Record, name: ImmutableString| record.named(&name));
    module
}
