//! An expression, tried: on one recipient, or on all of a source.

use std::{collections::HashSet, sync::Arc};

use tokio::runtime::Handle;

use crate::{
    control::{Refused, RefusedKind},
    model::{CampaignId, Diagnostics, Excerpt, SourceFile, SourceName, Value, Variable, closest},
    plan::{self, LedgerHistory, Survey, Surveyed},
    script::{History, NoHistory, Program, RunFacts, ScriptError},
    workspace::{self, Loaded},
};

use super::{Engine, loading::blocking, planning::manual};

/// What errors call the expression.
const EXPRESSION: &str = "expression";

/// An expression, and on what it is tried.
#[derive(Clone, Debug)]
pub struct Evaluation {
    /// The expression, in Rhai.
    pub expression: String,
    /// The source; `None`: the campaign's, or the only one.
    pub source: Option<SourceName>,
    /// The campaign whose variables it may use, and whose zone and history it sees.
    pub campaign: Option<CampaignId>,
    /// The key of the recipient; `None`: all.
    pub recipient: Option<String>,
    /// How many recipients of each kind are shown.
    pub sample: usize,
}

/// What came of it.
#[derive(Clone, Debug)]
pub enum Evaluated {
    /// It is no expression that could be evaluated.
    Unsound(Diagnostics),
    /// On one recipient.
    One {
        /// The source.
        source: SourceName,
        /// The recipient's key.
        key: String,
        /// The value.
        value: Result<Value, ScriptError>,
    },
    /// On all of a source.
    All {
        /// The source.
        source: SourceName,
        /// What came how often.
        survey: Box<Survey>,
    },
}

impl Engine {
    /// Tries an expression, with the same strictness as in campaigns. Writes nothing.
    pub async fn evaluate(&self, evaluation: Evaluation) -> Result<Evaluated, Refused> {
        let loaded = match &evaluation.campaign {
            Some(id) => Some(self.loaded(id)?),
            None => None,
        };
        let name = self.chosen_source(&evaluation, loaded.as_deref())?;
        let settings = self.settings();
        let Some(source) = settings.sources.get(&name) else {
            return Err(usage(format!("the settings have no source {name}")));
        };
        let source = source.config.open(&source.context);
        let failed = |error: crate::source::SourceError| {
            Refused::new(RefusedKind::Failed, error.to_string())
        };
        let schema = Arc::new(source.describe().await.map_err(failed)?);
        let file = SourceFile::new(EXPRESSION, evaluation.expression.as_str());
        let variables = match &loaded {
            Some(loaded) => used(&loaded.campaign.variables, &evaluation.expression),
            None => Vec::new(),
        };
        let (tree, additions) = (self.tree(), self.additions.clone());
        let (program, found) = blocking(move || {
            let library = workspace::library(&tree, &additions);
            Program::of_expression(&library, &variables, &Excerpt::whole(&file), &[schema])
        })
        .await;
        let Some(program) = program else {
            return Ok(Evaluated::Unsound(found));
        };
        let (facts, history) = (
            self.facts(loaded.as_deref()).await?,
            self.history(loaded.as_deref()),
        );
        if let Some(key) = evaluation.recipient {
            let recipient = match plan::find(&name, &source, &key).await.map_err(failed)? {
                Some(Ok(recipient)) => recipient,
                Some(Err(row)) => {
                    return Err(Refused::new(RefusedKind::Failed, format!("{key}: {row}")));
                }
                None => {
                    return Err(usage(format!(
                        "the source {name} has no recipient with the key {key}"
                    )));
                }
            };
            let value = blocking(move || {
                let mut evaluator = program.evaluator(&facts, history);
                let values = evaluator.variables(&recipient);
                values.map(|mut values| values.pop().unwrap_or_default())
            });
            return Ok(Evaluated::One {
                source: name,
                key,
                value: value.await,
            });
        }
        let surveyed = Surveyed {
            name: name.clone(),
            source,
            program,
            facts,
            history,
            sample: evaluation.sample,
        };
        Ok(Evaluated::All {
            source: name,
            survey: Box::new(plan::survey(surveyed).await?),
        })
    }

    fn chosen_source(
        &self,
        evaluation: &Evaluation,
        loaded: Option<&Loaded>,
    ) -> Result<SourceName, Refused> {
        let settings = self.settings();
        let names: Vec<&str> = settings.sources.keys().map(SourceName::as_str).collect();
        if let Some(name) = &evaluation.source {
            if settings.sources.contains_key(name) {
                return Ok(name.clone());
            }
            let help = match closest(name.as_str(), names.iter().copied()) {
                Some(close) => format!("did you mean {close}?"),
                None => format!("there are {}", names.join(", ")),
            };
            return Err(usage(format!("the settings have no source {name}: {help}")));
        }
        let of_campaign = loaded.map(|loaded| loaded.campaign.audience.sources.as_slice());
        let all: Vec<SourceName> = match of_campaign {
            Some(sources) => sources.to_vec(),
            None => settings.sources.keys().cloned().collect(),
        };
        match all.as_slice() {
            [only] => Ok(only.clone()),
            [] => Err(usage("the settings have no source".to_owned())),
            several => {
                let names: Vec<_> = several.iter().map(SourceName::as_str).collect();
                Err(usage(format!(
                    "there are several sources, name one with --source: {}",
                    names.join(", ")
                )))
            }
        }
    }

    /// What the expression knows of the run: the campaign's next, at this moment.
    async fn facts(&self, loaded: Option<&Loaded>) -> Result<RunFacts, Refused> {
        let now = self.clock.now();
        Ok(match loaded {
            Some(loaded) => RunFacts {
                campaign: loaded.campaign.id.clone(),
                occurrence: self.next_occurrence(loaded, now).await?.name,
                now,
                zone: loaded.zone.clone(),
            },
            None => RunFacts {
                campaign: "eval".parse().expect("it is an id"),
                occurrence: manual(),
                now,
                zone: self.settings().default_timezone.clone(),
            },
        })
    }

    fn history(&self, loaded: Option<&Loaded>) -> Arc<dyn History> {
        match (&self.store, loaded) {
            (Some(store), Some(loaded)) => Arc::new(LedgerHistory::new(
                store.clone(),
                Handle::current(),
                self.identity.clone(),
                &loaded.campaign,
            )),
            _ => Arc::new(NoHistory),
        }
    }
}

fn usage(message: String) -> Refused {
    Refused::new(RefusedKind::Usage, message)
}

/// The variables that an expression names, and those that they name: another one that fails is no failure of this.
fn used(variables: &[Variable], expression: &str) -> Vec<Variable> {
    let mut named: HashSet<&str> = words(expression).collect();
    let mut used: Vec<Variable> = Vec::new();
    for variable in variables.iter().rev() {
        if named.contains(variable.name.as_str()) {
            named.extend(words(variable.expression.text()));
            used.push(variable.clone());
        }
    }
    used.reverse();
    used
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_alphanumeric() && c != '_')
}
