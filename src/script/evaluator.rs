//! Evaluating a program on recipients.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

use rhai::{Caches, Dynamic, EvalAltResult, GlobalRuntimeState, Scope};

use super::{
    ScriptError, budget, error, policy,
    program::Compiled,
    record::{Columns, Reads, Record, RunRecord},
    syntax::Parsed,
    value::{a_type, from_dynamic},
};
use crate::model::{Channel, Recipient, Value};

/// Evaluates a [`Program`](super::Program) on recipients, one after the other.
pub struct Evaluator {
    program: Arc<Compiled>,
    run: RunRecord,
    columns: Columns,
    scope: Scope<'static>,
    state: GlobalRuntimeState,
    /// Which function a call means, kept from one recipient to the next.
    caches: Caches,
}

impl Evaluator {
    pub(super) fn new(program: Arc<Compiled>, run: RunRecord) -> Self {
        Self {
            scope: scope(&program, &run),
            state: state(&program, &run),
            program,
            run,
            columns: Columns::default(),
            caches: Caches::new(),
        }
    }

    /// Whether the condition holds; it does where there is none. With `Err` the recipient must not be sent to.
    pub fn matches(&mut self, recipient: &Recipient) -> Result<bool, ScriptError> {
        let program = self.program.clone();
        let Some(condition) = &program.condition else {
            return Ok(true);
        };
        self.show(recipient, &condition.reads);
        self.holds(&condition.whole)
    }

    /// What [`matches`](Self::matches) gives, and how many clauses of [`Program::clauses`](super::Program::clauses) held before
    /// the first that did not: fewer than all only where the condition does not hold.
    ///
    /// The clauses are put together as `&&` does, so the whole is evaluated only where that might not be the same: where a
    /// clause fails (its error stands in the whole), or has used so much of its budget that the whole might run out of it.
    pub fn matches_by_clause(
        &mut self,
        recipient: &Recipient,
    ) -> (Result<bool, ScriptError>, usize) {
        let program = self.program.clone();
        let Some(condition) = &program.condition else {
            return (Ok(true), 0);
        };
        self.show(recipient, &condition.reads);
        let (mut held, mut spent) = (0, 0);
        let mut all = Ok(true);
        for clause in &condition.clauses {
            all = self.holds(clause);
            spent += budget::spent();
            match all {
                Ok(true) => held += 1,
                _ => break,
            }
        }
        let matches = match all {
            Ok(matches) if spent < budget::LOOK => Ok(matches),
            _ => self.matches(recipient),
        };
        let clauses = condition.clauses.len();
        match matches {
            Ok(false) => (matches, held.min(clauses.saturating_sub(1))),
            _ => (matches, clauses),
        }
    }

    /// What each clause of [`Program::clauses`](super::Program::clauses) gives, up to and with the first that does not hold:
    /// those behind it are not asked.
    pub fn clauses(&mut self, recipient: &Recipient) -> Vec<Result<bool, ScriptError>> {
        let program = self.program.clone();
        let Some(condition) = &program.condition else {
            return Vec::new();
        };
        self.show(recipient, &condition.reads);
        let mut asked = Vec::with_capacity(condition.clauses.len());
        for clause in &condition.clauses {
            let holds = self.holds(clause);
            let ends = !matches!(holds, Ok(true));
            asked.push(holds);
            if ends {
                break;
            }
        }
        asked
    }

    /// The values of the variables, in order.
    pub fn variables(&mut self, recipient: &Recipient) -> Result<Vec<Value>, ScriptError> {
        let program = self.program.clone();
        self.show(recipient, &program.variable_reads);
        let mut values = Vec::with_capacity(program.variables.len());
        for (name, variable) in program.names.iter().zip(&program.variables) {
            let value = self.evaluate(variable)?;
            values.push(from_dynamic(&value).map_err(|message| ScriptError {
                message,
                place: variable.excerpt.place().clone(),
            })?);
            self.scope.push_dynamic(name.as_str(), value);
        }
        Ok(values)
    }

    /// Why the workspace's policy has something against writing to the recipient on this channel; `None`: it has not, or there
    /// is none. With `Err` the recipient must not be sent to.
    pub fn veto(
        &mut self,
        recipient: &Recipient,
        channel: Channel,
    ) -> Result<Option<String>, ScriptError> {
        let program = self.program.clone();
        let Some(policy) = &program.policy else {
            return Ok(None);
        };
        self.show(recipient, &policy.reads);
        let [of_campaign, of_channel] = policy::GIVEN;
        self.scope
            .push_dynamic(of_campaign, policy.campaign.clone())
            .push_dynamic(of_channel, policy::channel(channel));
        let verdict = self.evaluate(&policy.call)?;
        policy.reason(&verdict)
    }

    /// Puts a recipient into sight.
    fn show(&mut self, recipient: &Recipient, reads: &Reads) {
        self.scope.rewind(GIVEN);
        // In place: this runs once per recipient, and allocating is most of what it would do.
        let record = self
            .scope
            .get_mut("r")
            .and_then(Dynamic::write_lock::<Record>);
        record
            .expect("nothing can change `r`, and after a failure it is made anew")
            .fill(recipient, &mut self.columns, reads);
    }

    fn holds(&mut self, condition: &Parsed) -> Result<bool, ScriptError> {
        let value = self.evaluate(condition)?;
        value.as_bool().map_err(|_| ScriptError {
            message: format!(
                "a condition must give true or false, not {}",
                a_type(&value)
            ),
            place: condition.excerpt.place().clone(),
        })
    }

    fn evaluate(&mut self, parsed: &Parsed) -> Result<Dynamic, ScriptError> {
        let names = self.scope.len();
        self.state.num_operations = Default::default();
        budget::start();
        // A panic in Rhai must not take the daemon with it: the recipient is skipped like after any other failure.
        let outcome = catch_unwind(AssertUnwindSafe(|| self.run(parsed)));
        let deferred = budget::finish();
        self.scope.rewind(names);
        let outcome = outcome.unwrap_or_else(|_| {
            self.caches = Caches::new();
            Err("the script engine failed: please report this".into())
        });
        match (outcome, deferred) {
            (Ok(value), None) => Ok(value),
            (outcome, deferred) => {
                // What was left half done is not worth keeping.
                self.state = state(&self.program, &self.run);
                self.scope = scope(&self.program, &self.run);
                Err(match (deferred, outcome) {
                    (Some(deferred), _) => error::deferred(deferred, &self.program, parsed),
                    (None, Err(failure)) => error::failure(&failure, &self.program, parsed),
                    (None, Ok(_)) => unreachable!("a value without a failure was returned above"),
                })
            }
        }
    }

    fn run(&mut self, parsed: &Parsed) -> Result<Dynamic, Box<EvalAltResult>> {
        #[allow(
            deprecated,
            reason = "the only way to keep the caches, which is worth half the time"
        )]
        self.program
            .engine
            .eval_statements_raw(
                &mut self.state,
                &mut self.caches,
                &mut self.scope,
                parsed.ast.statements(),
            )
            .map(Dynamic::flatten)
    }
}

/// How many variables everybody sees.
const GIVEN: usize = 2;

/// What everybody sees: the run, and nobody yet.
fn scope(program: &Compiled, run: &RunRecord) -> Scope<'static> {
    let mut scope = Scope::new();
    scope.push("run", run.clone());
    scope.push("r", Record::empty(&program.fields));
    scope
}

fn state(program: &Compiled, run: &RunRecord) -> GlobalRuntimeState {
    let mut state = program.engine.new_global_runtime_state();
    state.lib.extend(program.modules.iter().cloned());
    state.tag = Dynamic::from(run.clone());
    state
}
