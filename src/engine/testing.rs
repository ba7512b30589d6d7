//! A campaign's `[[test]]`s, run: each recipient goes the road of a plan and of its message, on a frozen clock, with what is
//! `given` in place of the store.

mod judge;
mod past;
mod required;

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use chrono::{DateTime, Utc};

use crate::{
    control::Refused,
    model::{
        CampaignId, CampaignTest, Diagnostic, Diagnostics, Identity, Occurrence, Place, Schema,
        SourceName,
    },
    plan, schedule,
    source::SourceError,
    workspace::{Loaded, TestPerson, TestSource, source_of, test_recipients},
};

use super::{
    Engine,
    loading::blocking,
    planning::manual,
    preview::{address, no_address},
};
use judge::{Came, Message};
use past::Past;
pub(super) use required::{Look, has_plan, is_held};

/// What came of one test.
#[derive(Clone, Debug)]
pub struct TestOutcome {
    /// The test's campaign.
    pub campaign: CampaignId,
    /// The test's name.
    pub name: String,
    /// Where it stands.
    pub place: Place,
    /// How many recipients it is about.
    pub recipients: usize,
    /// What is not as it was expected; nothing: the test passes.
    pub failures: Vec<TestFailure>,
    /// How long it took.
    pub took: Duration,
}

/// One thing that is not as a test expects it.
#[derive(Clone, Debug)]
pub struct TestFailure {
    /// Which of the test's recipients, where it has a file of them: `people.csv:3`.
    pub at: Option<String>,
    /// What, and where it was expected.
    pub found: Diagnostic,
    /// What was expected, and what came.
    pub difference: Option<(String, String)>,
    /// What a script or a template said, at its own place.
    pub cause: Option<Diagnostic>,
}

impl Engine {
    /// Runs the tests of a campaign, in the file's order. Refused where it does not check; a test that can't be run has failed.
    pub async fn test(&self, id: &CampaignId) -> Result<Vec<TestOutcome>, Refused> {
        self.run_tests(&self.loaded(id)?).await
    }

    async fn run_tests(&self, loaded: &Arc<Loaded>) -> Result<Vec<TestOutcome>, Refused> {
        let now = self.clock.now();
        let bench = Bench {
            engine: self,
            loaded,
            request: self.request(loaded, occurrence_at(loaded, now)).await?,
            now,
        };
        let mut past = Past::default();
        let mut schemas = BTreeMap::new();
        let mut outcomes = Vec::with_capacity(loaded.campaign.tests.len());
        for (number, test) in loaded.campaign.tests.iter().enumerate() {
            let begun = Instant::now();
            let mut outcome = TestOutcome {
                campaign: loaded.campaign.id.clone(),
                name: test.name.clone(),
                place: test.place.clone(),
                recipients: 0,
                failures: Vec::new(),
                took: Duration::ZERO,
            };
            match bench.people(test, &mut schemas).await {
                Ok(people) => {
                    outcome.recipients = people.len();
                    // Each test has its own hashes: what is given for one is not there for another.
                    let identity = identity(number);
                    outcome.failures = bench.run(test, people, &identity, &mut past).await?;
                }
                Err(wrong) => outcome.failures.extend(wrong.into_iter().map(cant_run)),
            }
            outcome.took = begun.elapsed();
            outcomes.push(outcome);
        }
        Ok(outcomes)
    }
}

/// What all tests of a campaign share.
struct Bench<'a> {
    engine: &'a Engine,
    loaded: &'a Arc<Loaded>,
    request: plan::Request,
    /// The moment of tests that name none.
    now: DateTime<Utc>,
}

impl Bench<'_> {
    /// The recipients of a test, as its source would give them.
    async fn people(
        &self,
        test: &CampaignTest,
        schemas: &mut BTreeMap<SourceName, Arc<Schema>>,
    ) -> Result<Vec<TestPerson>, Diagnostics> {
        let wrong = |words: String| {
            let mut found = Diagnostics::new();
            found.push(Diagnostic::error("source-error", test.place.clone(), words));
            found
        };
        let campaign = &self.loaded.campaign;
        let settings = self.engine.settings();
        let Some((name, settings)) = source_of(campaign, test)
            .and_then(|name| Some((name.clone(), settings.sources.get(name)?.clone())))
        else {
            return Err(wrong("the settings do not have its source".to_owned()));
        };
        let schema = if let Some(schema) = schemas.get(&name) {
            Arc::clone(schema)
        } else {
            let described = self.describe(&name).await;
            let schema = described.map_err(|error| wrong(error.to_string()))?;
            schemas.insert(name, schema.clone());
            schema
        };
        let (test, workspace) = (test.clone(), self.engine.workspace.clone());
        blocking(move || {
            let source = TestSource {
                context: &settings.context,
                schema: &schema,
            };
            test_recipients(&test, &source, &workspace)
        })
        .await
    }

    async fn describe(&self, name: &SourceName) -> Result<Arc<Schema>, SourceError> {
        let names = &self.loaded.campaign.audience.sources;
        for (other, source) in names.iter().zip(&self.request.sources) {
            if other == name {
                return Ok(Arc::new(source.describe().await?));
            }
        }
        Err(SourceError {
            source_name: name.clone(),
            message: "it is not a source of the campaign".to_owned(),
            place: None,
        })
    }

    /// What is not as the test expects it.
    async fn run(
        &self,
        test: &CampaignTest,
        people: Vec<TestPerson>,
        identity: &Identity,
        past: &mut Past,
    ) -> Result<Vec<TestFailure>, Refused> {
        let now = test.now.unwrap_or(self.now);
        let occurrence = occurrence_at(self.loaded, now);
        let store = if test.given.is_nothing() {
            None
        } else {
            let recipients = people.iter().map(|person| &person.recipient);
            Some(
                past.of(&test.given, self.loaded, identity, now, recipients)
                    .await?,
            )
        };
        let request = plan::Request {
            now,
            identity: identity.clone(),
            store,
            was: Vec::new(),
            // Who else is sent at the same time is nothing that a test says.
            companions: Vec::new(),
            ..self.engine.request(self.loaded, occurrence.clone()).await?
        };
        let mut failures = Vec::new();
        for person in people {
            let checked = plan::check_given(&request, person.recipient).await?;
            let came = match Came::of(&checked) {
                Came::Included(channels) => match self.message(&checked, &occurrence) {
                    Ok(message) => Came::Message(channels, message),
                    Err(error) => Came::render_error(error),
                },
                not => not,
            };
            failures.extend(judge::judge(test, person.at.as_deref(), &checked, &came));
        }
        Ok(failures)
    }

    /// The message of somebody who gets one.
    fn message(
        &self,
        checked: &plan::Checked,
        occurrence: &Occurrence,
    ) -> Result<Message, Diagnostic> {
        let Some(template) = &self.loaded.email else {
            return Ok(Message::default());
        };
        let to = address(checked).unwrap_or_else(no_address);
        let rendered =
            self.engine
                .rendered(self.loaded, template, checked, occurrence, &to, None)?;
        Ok(Message {
            subject: rendered.subject,
            text: rendered.text,
            html: rendered.html,
        })
    }
}

/// The occurrence that a moment belongs to: the next of the schedule, this one included; what is asked for, where there is
/// none. Its moment is the test's.
fn occurrence_at(loaded: &Loaded, now: DateTime<Utc>) -> Occurrence {
    let schedule = loaded.campaign.schedule.as_ref();
    let before = now - chrono::TimeDelta::milliseconds(1);
    let next = schedule.and_then(|schedule| schedule::next(schedule, before));
    Occurrence {
        name: next.map_or_else(manual, |next| next.name),
        due: now,
    }
}

fn identity(number: usize) -> Identity {
    let mut key = [0; 32];
    key[..8].copy_from_slice(&(number as u64).to_le_bytes());
    Identity::new(key)
}

/// A test that can't be run has failed.
fn cant_run(found: Diagnostic) -> TestFailure {
    TestFailure {
        at: None,
        found,
        difference: None,
        cause: None,
    }
}
