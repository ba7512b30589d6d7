//! One recipient, worked out as a plan would: for previews, test sends and "why did she get it, why did he not".

use std::sync::Arc;

use chrono::{DateTime, Utc};
use futures::StreamExt;
use tokio::{runtime::Handle, task::spawn_blocking};

use crate::{
    model::{InvalidRow, OccurrenceName, Recipient, SkipReason, SourceName, Subject, Value},
    script::ScriptError,
    source::{Batch, Source},
    store::{Store, StoreError},
};

use super::{
    PlanError, Request,
    cap::Capped,
    cooldown::Rested,
    gather::gone,
    reach::{self, Unreachable, Way},
    rules::Rules,
    select::{Selector, Selectors, sound},
    suppressed::{Stop, strongest},
};

/// A recipient, and what each rule says of it. Rules that need the whole audience (duplicates) are not among them.
#[derive(Clone, Debug)]
pub struct Checked {
    /// The recipient.
    pub recipient: Recipient,
    /// Whether the campaign's `keys` name it, where it has any.
    pub asked_for: bool,
    /// Whether the condition holds.
    pub matches: Result<bool, ScriptError>,
    /// Whether it is in the part that gets nothing, for comparison.
    pub holdout: bool,
    /// The variables, in order: worked out whether or not the condition holds.
    pub variables: Result<Vec<(String, Value)>, ScriptError>,
    /// Whether the workspace's policy could be asked; what it has against the recipient stands with the ways.
    pub policy: Result<(), ScriptError>,
    /// The ways the campaign takes to it: at least one, be it that it leads nowhere.
    pub ways: Vec<Way>,
    /// Why it is skipped, with details: the first rule that stops it. `None` for one that gets it and for one that does not
    /// match.
    pub skip: Option<(SkipReason, Option<String>)>,
}

impl Checked {
    /// Why it would not get the campaign now, in words; `None`: it would.
    pub fn why_not(&self) -> Option<String> {
        if !self.asked_for {
            return Some("the campaign's `keys` do not name it".to_owned());
        }
        match (&self.matches, &self.skip) {
            (Ok(false), _) => Some("it does not match the campaign's `where`".to_owned()),
            (_, Some((reason, None))) => Some(reason.to_string()),
            (_, Some((reason, Some(detail)))) => Some(format!("{reason}: {detail}")),
            (_, None) => None,
        }
    }

    /// Whether there is an address and every variable has a value: whether a message can be made.
    fn can_be_written_to(&self) -> bool {
        self.variables.is_ok() && self.ways.iter().any(|way| way.address.is_ok())
    }
}

/// What became of looking for a key.
#[derive(Clone, Debug)]
pub enum Found {
    /// It is there.
    Recipient(Box<Checked>),
    /// Its row can't be read.
    Invalid(InvalidRow),
    /// No source has it.
    Nobody,
}

/// Looks for a key in the campaign's sources and works it out. Of several rows with the key it is the first that matches the
/// audience, as in a plan; if none does, the first. Nothing is frozen.
pub async fn check_one(request: &Request, key: &str) -> Result<Found, PlanError> {
    Checker::of(request).check_one(key).await
}

/// The first recipient, in the sources' order, that matches the audience and can be written to; if there is none, the first
/// that matches. Suppressions, cooldown and holdout do not pass a recipient over here, [`Checked::skip`] tells them.
pub async fn first_matching(request: &Request) -> Result<Option<Checked>, PlanError> {
    Checker::of(request).first_matching().await
}

/// Works out a recipient that is given, as if the source that it names had it.
pub async fn check_given(request: &Request, recipient: Recipient) -> Result<Checked, PlanError> {
    let name = recipient.source.clone();
    Checker::of(request).check(name, recipient).await
}

/// What is needed to work one recipient out.
#[derive(Clone)]
pub(super) struct Checker {
    pub(super) rules: Arc<Rules>,
    pub(super) sources: Vec<Arc<dyn Source>>,
    pub(super) selectors: Selectors,
    pub(super) occurrence: OccurrenceName,
    pub(super) now: DateTime<Utc>,
    pub(super) store: Option<Arc<dyn Store>>,
    pub(super) runtime: Handle,
}

impl Checker {
    pub(super) fn of(request: &Request) -> Self {
        Self {
            rules: Arc::new(
                Rules::new(
                    super::campaign(request),
                    None,
                    request.identity.clone(),
                    request.safety.clone(),
                    false,
                )
                .beside(request.companions.clone())
                .capped(request.cap),
            ),
            sources: request.sources.clone(),
            selectors: super::selectors(request),
            occurrence: request.occurrence.name.clone(),
            now: request.now,
            store: request.store.clone(),
            runtime: Handle::current(),
        }
    }

    pub(super) async fn check_one(&self, key: &str) -> Result<Found, PlanError> {
        let mut found = Found::Nobody;
        let names = &self.rules.campaign.audience.sources;
        for (name, source) in names.iter().zip(&self.sources) {
            let mut batches = source.read().await?;
            let mut number = 0;
            while let Some(batch) = batches.next().await {
                for row in batch? {
                    number += 1;
                    match row.and_then(|recipient| sound(recipient, number)) {
                        Ok(recipient) if recipient.key == key => {
                            let checked = self.clone().check(name.clone(), recipient).await?;
                            let of_audience = !matches!(checked.matches, Ok(false));
                            if of_audience || !matches!(found, Found::Recipient(_)) {
                                found = Found::Recipient(Box::new(checked));
                            }
                            if of_audience {
                                return Ok(found);
                            }
                        }
                        Err(invalid)
                            if invalid.key.as_deref() == Some(key)
                                && matches!(found, Found::Nobody) =>
                        {
                            found = Found::Invalid(invalid);
                        }
                        _ => {}
                    }
                }
            }
        }
        Ok(found)
    }

    async fn check(self, name: SourceName, recipient: Recipient) -> Result<Checked, PlanError> {
        let checked = spawn_blocking(move || {
            let mut checked = self.judge((self.selectors)().as_mut(), &name, recipient);
            checked.skip = self.skip(&checked)?;
            Ok::<_, StoreError>(checked)
        });
        Ok(checked.await.map_err(gone)??)
    }

    pub(super) async fn first_matching(&self) -> Result<Option<Checked>, PlanError> {
        let mut first = None;
        let names = &self.rules.campaign.audience.sources;
        for (name, source) in names.iter().zip(&self.sources) {
            let mut batches = source.read().await?;
            while let Some(batch) = batches.next().await {
                let (this, name, batch) = (self.clone(), name.clone(), batch?);
                let looked = spawn_blocking(move || this.first_of(&name, batch));
                let Some(checked) = looked.await.map_err(gone)?? else {
                    continue;
                };
                if checked.can_be_written_to() {
                    return Ok(Some(checked));
                }
                first.get_or_insert(checked);
            }
        }
        Ok(first)
    }

    /// The first of a batch that matches and can be written to, or else the first that matches. Blocks.
    fn first_of(&self, name: &SourceName, batch: Batch) -> Result<Option<Checked>, StoreError> {
        let mut selector = (self.selectors)();
        let mut first = None;
        for recipient in batch.into_iter().flatten() {
            let Ok(mut recipient) = sound(recipient, 0) else {
                continue;
            };
            recipient.source = name.clone();
            if !self.asks_for(&recipient.key) || !matches!(selector.matches(&recipient), Ok(true)) {
                continue;
            }
            let checked = self.judge(selector.as_mut(), name, recipient);
            if checked.can_be_written_to() {
                first = Some(checked);
                break;
            }
            first.get_or_insert(checked);
        }
        if let Some(checked) = &mut first {
            checked.skip = self.skip(checked)?;
        }
        Ok(first)
    }

    pub(super) fn asks_for(&self, key: &str) -> bool {
        let wanted = self.rules.wanted.as_ref();
        wanted.is_none_or(|wanted| wanted.has(key))
    }

    /// What needs no store. Blocks where a script asks for history.
    pub(super) fn judge(
        &self,
        selector: &mut dyn Selector,
        name: &SourceName,
        mut recipient: Recipient,
    ) -> Checked {
        recipient.source = name.clone();
        let variables = selector.variables(&recipient).map(|values| {
            self.rules
                .variables(&values)
                .map(|(name, value)| (name.to_owned(), value.clone()))
                .collect()
        });
        let mut policy = Ok(());
        let ways = reach::ways(
            &recipient,
            &self.rules.campaign.reach,
            |channel, address| {
                let bar = self.rules.bar(selector, &recipient, channel, address);
                bar.unwrap_or_else(|error| {
                    policy = Err(error);
                    None
                })
            },
        );
        Checked {
            asked_for: self.asks_for(&recipient.key),
            matches: selector.matches(&recipient),
            holdout: self.rules.holds_out(name, &recipient.key),
            policy,
            ways,
            variables,
            recipient,
            skip: None,
        }
    }

    /// The first rule that stops a recipient, in the order in which a plan applies them. Blocks.
    pub(super) fn skip(&self, checked: &Checked) -> Result<Option<Stop>, StoreError> {
        if !checked.asked_for {
            return Ok(None);
        }
        let failed =
            |error: &ScriptError| Ok(Some((SkipReason::ScriptError, Some(error.to_string()))));
        let barred = checked.ways.iter().all(Way::is_barred);
        match (&checked.matches, &checked.policy, &checked.variables) {
            (Ok(false), _, _) => return Ok(None),
            (Ok(true), _, _) if checked.holdout => return Ok(Some((SkipReason::Holdout, None))),
            (Err(error), _, _) | (Ok(true), Err(error), _) => return failed(error),
            (Ok(true), Ok(()), Err(error)) if !barred => return failed(error),
            (Ok(true), Ok(()), _) => {}
        }
        let mut addresses = Vec::new();
        let mut nowhere = None;
        for way in &checked.ways {
            match &way.address {
                Ok(address) => addresses.push((way.channel, address)),
                Err(Unreachable::NoAddress) => nowhere = Some((SkipReason::NoAddress, None)),
                Err(Unreachable::Invalid { why, .. }) => {
                    nowhere = Some((SkipReason::InvalidAddress, Some(why.clone())));
                }
                Err(Unreachable::Barred { reason, why, .. }) => {
                    nowhere = Some((*reason, why.clone()));
                }
            }
        }
        if addresses.is_empty() {
            return Ok(nowhere);
        }
        let Some(store) = &self.store else {
            return Ok(None);
        };
        let campaign = &self.rules.campaign;
        let identity = &self.rules.identity;
        let stop = |subject| {
            let entries = self.runtime.block_on(store.suppressions_of(subject))?;
            Ok::<_, StoreError>(strongest(entries.iter(), &campaign.topic, campaign.purpose))
        };
        let recipient = identity.recipient(&checked.recipient.source, &checked.recipient.key);
        if let Some(stop) = stop(Subject::Recipient(recipient))? {
            return Ok(Some(stop));
        }
        let rested = Rested::new(
            self.store.clone(),
            self.runtime.clone(),
            &self.rules,
            &self.occurrence,
            self.now,
        );
        if rested?.had(recipient.0)? {
            return Ok(Some((SkipReason::Cooldown, None)));
        }
        let mut capped = Capped::new(
            Some(store),
            &self.runtime,
            &self.rules,
            &self.occurrence,
            self.now,
        )?;
        let full = || Some((SkipReason::FrequencyCap, None));
        if let Some(capped) = &mut capped
            && capped.recipient(recipient.0)?
        {
            return Ok(full());
        }
        let mut stopped = None;
        for (channel, address) in addresses {
            let hash = identity.address(channel, &address.normalized);
            let has_room = match &capped {
                Some(capped) => capped.left([hash.0].into_iter())?[0] > 0,
                None => true,
            };
            match stop(Subject::Address(hash))? {
                None if has_room => return Ok(None),
                None => stopped = stopped.or_else(full),
                some => stopped = stopped.or(some),
            }
        }
        Ok(stopped)
    }
}
