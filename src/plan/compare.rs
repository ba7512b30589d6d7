//! Two plans beside each other: who is added, who is dropped, and by what. Both are read in the order of recipients, so that
//! memory stays flat however many change.

use std::{cmp::Ordering, collections::BTreeMap, io};

use serde::{Deserialize, Serialize};

use super::{
    fate::{Everybody, Fate, People, Person},
    funnel::on_one_line,
};

/// How many of those who are added or dropped are named.
const NAMED: usize = 5;

/// What an edit does to the audience of a campaign.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Comparison {
    /// Who gets it before and after.
    pub kept: u64,
    /// Those of them whose address or variables are others now.
    pub altered: u64,
    /// Who gets it now and did not before.
    pub added: u64,
    /// What kept them out before.
    pub added_by: Vec<Cause>,
    /// Some of them.
    pub sample_added: Vec<Moved>,
    /// Who got it before and does not now.
    pub dropped: u64,
    /// What keeps them out now.
    pub dropped_by: Vec<Cause>,
    /// Some of them.
    pub sample_dropped: Vec<Moved>,
}

/// What keeps recipients out, and how many.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cause {
    /// The clause, or the rule's reason.
    pub why: Why,
    /// How many.
    pub n: u64,
}

/// What keeps a recipient out.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Why {
    /// A clause of `where`, as it is written.
    Clause(String),
    /// A rule, by the reason it gives.
    Rule(String),
    /// The campaign's `keys` do not name it.
    Keys,
    /// The sources do not have it.
    Source,
}

/// A recipient who is added or dropped.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Moved {
    /// Its key.
    pub key: String,
    /// What kept it out before, or does now.
    pub why: Why,
}

impl Comparison {
    /// Whether the same recipients get the same.
    pub fn is_same(&self) -> bool {
        (self.altered, self.added, self.dropped) == (0, 0, 0)
    }
}

/// Compares two plans of a campaign; with them the key of a recipient whose message is worth a look on both sides. Blocks.
pub(crate) fn compare(
    before: &Everybody,
    after: &Everybody,
) -> io::Result<(Comparison, Option<String>)> {
    let mut sums = Sums::default();
    let (mut old, mut new) = (People::of(before)?, People::of(after)?);
    let (mut one, mut other) = (old.next()?, new.next()?);
    loop {
        let order = match (&one, &other) {
            (None, None) => break,
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some(one), Some(other)) => one.recipient.cmp(&other.recipient),
        };
        let was = if order.is_le() { one.take() } else { None };
        let is = if order.is_ge() { other.take() } else { None };
        sums.add(was.as_ref(), is.as_ref(), before, after);
        if order.is_le() {
            one = old.next()?;
        }
        if order.is_ge() {
            other = new.next()?;
        }
    }
    Ok(sums.finish())
}

#[derive(Default)]
struct Sums {
    comparison: Comparison,
    added_by: BTreeMap<Why, u64>,
    dropped_by: BTreeMap<Why, u64>,
    /// The first whose values are others now, and the first of all who are kept.
    altered: Option<String>,
    kept: Option<String>,
}

impl Sums {
    fn add(
        &mut self,
        was: Option<&Person>,
        is: Option<&Person>,
        before: &Everybody,
        after: &Everybody,
    ) {
        let sums = &mut self.comparison;
        match (was, is) {
            (Some(was), Some(is)) if sent(was) && sent(is) => {
                sums.kept += 1;
                if was.fate != is.fate {
                    sums.altered += 1;
                    self.altered.get_or_insert_with(|| is.key.clone());
                }
                self.kept.get_or_insert_with(|| is.key.clone());
            }
            (was, Some(is)) if sent(is) => {
                sums.added += 1;
                let why = why(was, before);
                name(&mut sums.sample_added, &is.key, &why);
                *self.added_by.entry(why).or_default() += 1;
            }
            (Some(was), is) if sent(was) => {
                sums.dropped += 1;
                let why = why(is, after);
                name(&mut sums.sample_dropped, &was.key, &why);
                *self.dropped_by.entry(why).or_default() += 1;
            }
            _ => {}
        }
    }

    fn finish(self) -> (Comparison, Option<String>) {
        let mut comparison = self.comparison;
        comparison.added_by = causes(self.added_by);
        comparison.dropped_by = causes(self.dropped_by);
        (comparison, self.altered.or(self.kept))
    }
}

fn sent(person: &Person) -> bool {
    matches!(person.fate, Fate::Sent(_))
}

/// What keeps somebody out of a plan.
fn why(person: Option<&Person>, plan: &Everybody) -> Why {
    match person.map(|person| person.fate) {
        Some(Fate::Clause(number)) => match plan.clauses.get(number as usize) {
            Some(clause) => Why::Clause(on_one_line(clause)),
            None => Why::Clause("where".to_owned()),
        },
        Some(Fate::Skipped(reason)) => Why::Rule(reason.to_string()),
        Some(Fate::NotAsked) => Why::Keys,
        // Nobody who is sent to is asked for here.
        None | Some(Fate::Sent(_)) => Why::Source,
    }
}

fn name(named: &mut Vec<Moved>, key: &str, why: &Why) {
    if named.len() < NAMED {
        named.push(Moved {
            key: key.to_owned(),
            why: why.clone(),
        });
    }
}

/// The most first.
fn causes(by: BTreeMap<Why, u64>) -> Vec<Cause> {
    let mut causes: Vec<_> = by.into_iter().map(|(why, n)| Cause { why, n }).collect();
    causes.sort_by(|a, b| (b.n, &a.why).cmp(&(a.n, &b.why)));
    causes
}
