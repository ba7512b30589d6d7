//! The rules as they are told, one after the other.

use crate::{
    model::{
        Channel, Cooldown, Purpose, Recipient, RunId, SkipReason, SourceName, Subject, Suppression,
        Value,
    },
    plan::{
        Address, Checked, Unreachable, cap::Capped, cooldown::Rested, funnel::on_one_line,
        one::Checker,
    },
    schedule,
    store::StoreError,
    workspace::Loaded,
};

use super::{
    Explained, Outcome, Rule, Verdict,
    rows::{Rows, Twin},
};

/// What is needed to look for others with the same address.
pub(super) struct Told {
    pub(super) position: u64,
    pub(super) one: Checked,
}

/// The rules as they are told.
pub(super) struct Story {
    pub(super) explained: Explained,
    stopped: bool,
}

impl Story {
    pub(super) fn of(key: &str) -> Self {
        Self {
            explained: Explained {
                key: key.to_owned(),
                source: None,
                rules: Vec::new(),
                outcome: Outcome::Unknown,
            },
            stopped: false,
        }
    }

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

    /// Stopped, where this rule is the first that stops it.
    fn stopped_if(&self, stops: bool) -> Verdict {
        if stops && !self.stopped {
            Verdict::Stopped
        } else {
            self.otherwise()
        }
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
    pub(super) fn tell_missing(&mut self, checker: &Checker, rows: Rows) {
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
    pub(super) fn tell_row(
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
        self.tell_cap(checker, &one)?;
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
            rule.text = Some(on_one_line(clause));
            rule.saw = saw;
        }
    }

    fn tell_holdout(&mut self, checker: &Checker, one: &Checked) {
        let Some(share) = checker.rules.campaign.audience.holdout else {
            return;
        };
        let verdict = self.stopped_if(one.holdout);
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
                    rule.text = Some(on_one_line(variable.expression.text()));
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
        let verdict = self.stopped_if(is_reason);
        if words.is_empty() {
            words.push("none".to_owned());
        }
        self.tell("suppression", verdict, words.join("; "));
        Ok(())
    }

    fn tell_cooldown(&mut self, checker: &Checker, one: &Checked) -> Result<(), StoreError> {
        let campaign = &checker.rules.campaign;
        let cooldown = schedule::cooldown(campaign);
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
        let verdict = self.stopped_if(is_reason);
        let words = match run {
            Some(run) => format!("it had run {run}, and not again {within}"),
            None => format!("it had none {within}"),
        };
        self.tell("cooldown", verdict, words);
        Ok(())
    }

    fn tell_cap(&mut self, checker: &Checker, one: &Checked) -> Result<(), StoreError> {
        let (rules, store) = (&checker.rules, checker.store.as_ref());
        let Some(cap) = rules.cap else {
            return Ok(());
        };
        let capped = Capped::new(
            store,
            &checker.runtime,
            rules,
            &checker.occurrence,
            checker.now,
        )?;
        let mut words = Vec::new();
        if let Some(mut capped) = capped {
            let recipient = &one.recipient;
            let hash = rules.identity.recipient(&recipient.source, &recipient.key);
            words.push(format!("it had {}", capped.recipient_had(hash.0)?));
            for (channel, address) in addresses(one) {
                let hash = rules.identity.address(channel, &address.normalized);
                let had = capped.address_had(hash)?;
                words.push(format!("its {channel} address {had}"));
            }
        } else {
            words.push("it had none".to_owned());
        }
        let is_reason = matches!(one.skip, Some((SkipReason::FrequencyCap, _)));
        let verdict = self.stopped_if(is_reason);
        let words = format!("{}, of at most {cap} of marketing", words.join(", "));
        self.tell("frequency_cap", verdict, words);
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

    pub(super) fn tell_twin(&mut self, twin: Twin) {
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

/// The ways that lead somewhere.
pub(super) fn addresses(one: &Checked) -> impl Iterator<Item = (Channel, &Address)> {
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
