//! One call of a function: its arguments, checked as they are taken.

use rhai::{Array, Dynamic, EvalAltResult, FnPtr, ImmutableString, NativeCallContext};
use rust_decimal::Decimal;

use crate::script::{
    operators::{Outcome, charge, fail, hint},
    record::{Record, RunRecord},
    value::{Date, Kind, Moment, a_type, text},
};

/// A failed call.
pub(super) type Failure = Box<EvalAltResult>;

/// One call of a function.
pub(crate) struct Call<'a, 'v> {
    name: &'static str,
    context: &'a NativeCallContext<'a>,
    arguments: &'a mut [&'v mut Dynamic],
}

/// A number of the family.
#[derive(Clone, Copy)]
pub(super) enum Number {
    Integer(i64),
    Decimal(Decimal),
}

impl Number {
    pub(super) fn decimal(self) -> Decimal {
        match self {
            Self::Integer(value) => value.into(),
            Self::Decimal(value) => value,
        }
    }
}

impl<'a, 'v> Call<'a, 'v> {
    pub(super) fn new(
        name: &'static str,
        context: &'a NativeCallContext<'a>,
        arguments: &'a mut [&'v mut Dynamic],
    ) -> Self {
        Self {
            name,
            context,
            arguments,
        }
    }

    /// How many arguments there are.
    pub(super) fn count(&self) -> usize {
        self.arguments.len()
    }

    /// An argument as it is.
    pub(super) fn value(&self, at: usize) -> &Dynamic {
        self.arguments[at]
    }

    /// The first argument, to change it.
    pub(super) fn target(&mut self) -> &mut Dynamic {
        self.arguments[0]
    }

    /// A failure of this call.
    pub(super) fn fail<T>(&self, message: impl AsRef<str>) -> Result<T, Failure> {
        fail(format!("`{}`: {}", self.name, message.as_ref()))
    }

    /// Takes the steps that going through `items` things costs.
    #[allow(clippy::unused_self, reason = "reads as what the call costs")]
    pub(super) fn charge(&self, items: usize) -> Result<(), Failure> {
        charge(items)
    }

    /// The failure of an argument that is not what it must be.
    pub(super) fn wrong<T>(&self, at: usize, wanted: &str) -> Result<T, Failure> {
        let which = match (self.count(), at) {
            (1, _) => String::new(),
            (_, 0) => " first".to_owned(),
            (_, 1) => " second".to_owned(),
            (_, 2) => " third".to_owned(),
            (_, at) => format!(" {}th", at + 1),
        };
        let given = self.value(at);
        fail(format!(
            "`{}` needs {wanted} as its{which} argument, not {}{}",
            self.name,
            a_type(given),
            hint(given)
        ))
    }

    pub(super) fn text(&self, at: usize) -> Result<ImmutableString, Failure> {
        let value = self.value(at);
        let found = match value.as_immutable_string_ref() {
            Ok(text) => Some(text.clone()),
            Err(_) => text(value).map(Into::into),
        };
        match found {
            Some(text) => {
                charge(text.len() / 64)?;
                Ok(text)
            }
            None => self.wrong(at, "a string"),
        }
    }

    pub(super) fn integer(&self, at: usize) -> Result<i64, Failure> {
        match Kind::of(self.value(at)) {
            Kind::Integer(value) => Ok(value),
            _ => self.wrong(at, "an integer"),
        }
    }

    /// An integer between 0 and `most`.
    pub(super) fn size(&self, at: usize, most: usize) -> Result<usize, Failure> {
        let value = self.integer(at)?;
        match usize::try_from(value) {
            Ok(size) if size <= most => Ok(size),
            _ => self.fail(format!("{value} is not between 0 and {most}")),
        }
    }

    pub(super) fn number(&self, at: usize) -> Result<Number, Failure> {
        match Kind::of(self.value(at)) {
            Kind::Integer(value) => Ok(Number::Integer(value)),
            Kind::Decimal(value) => Ok(Number::Decimal(value)),
            _ => self.wrong(at, "a number"),
        }
    }

    /// A date.
    pub(super) fn date(&self, at: usize) -> Result<Date, Failure> {
        match Kind::of(self.value(at)) {
            Kind::Date(date) => Ok(date),
            Kind::Moment(_) => self.wrong(at, "a date (`date(…)` gives the date of a datetime)"),
            Kind::Text => self.wrong(at, "a date (`date(\"2026-12-01\")` makes one of a text)"),
            _ => self.wrong(at, "a date"),
        }
    }

    /// A date, or a moment.
    pub(super) fn day(&self, at: usize) -> Result<Day, Failure> {
        match Kind::of(self.value(at)) {
            Kind::Date(date) => Ok(Day::Date(date)),
            Kind::Moment(moment) => Ok(Day::Moment(moment)),
            Kind::Text => self.wrong(
                at,
                "a date or a datetime (`date(\"2026-12-01\")` makes one of a text)",
            ),
            _ => self.wrong(at, "a date or a datetime"),
        }
    }

    pub(super) fn moment(&self, at: usize) -> Result<Moment, Failure> {
        match Kind::of(self.value(at)) {
            Kind::Moment(moment) => Ok(moment),
            _ => self.wrong(at, "a datetime"),
        }
    }

    /// A copy of a list.
    pub(super) fn list(&self, at: usize) -> Result<Array, Failure> {
        let list = match self.value(at).as_array_ref() {
            Ok(list) => list.clone(),
            Err(_) => return self.wrong(at, "a list"),
        };
        charge(list.len())?;
        Ok(list)
    }

    pub(super) fn record(&self, at: usize) -> Result<Record, Failure> {
        match self.value(at).read_lock::<Record>() {
            Some(record) => Ok(record.clone()),
            None => self.wrong(at, "the recipient"),
        }
    }

    /// Calls the closure at `at` with one value.
    pub(super) fn apply(&self, at: usize, values: &mut [Dynamic]) -> Outcome {
        let closure = match self.value(at).read_lock::<FnPtr>() {
            Some(closure) => closure.clone(),
            None => return self.wrong(at, "a closure such as `|x| x > 3`"),
        };
        let result = closure.call_raw(self.context, None, values)?;
        charge(weight(&result))?;
        Ok(result)
    }

    /// Calls the closure at `at` with one value; it must answer true or false.
    pub(super) fn holds(&self, at: usize, value: Dynamic) -> Result<bool, Failure> {
        let answer = self.apply(at, &mut [value])?;
        match answer.as_bool() {
            Ok(holds) => Ok(holds),
            Err(_) => self.fail(format!(
                "the closure must give true or false, not {}",
                a_type(&answer)
            )),
        }
    }

    /// What the function knows of the run.
    pub(super) fn run(&self) -> Result<RunRecord, Failure> {
        let run = self
            .context
            .tag()
            .and_then(|tag| tag.read_lock::<RunRecord>().map(|run| run.clone()));
        match run {
            Some(run) => Ok(run),
            None => self.fail("there is no run here"),
        }
    }
}

/// How much data a value is: a list of results may be large before anybody looks at its size.
fn weight(value: &Dynamic) -> usize {
    if let Ok(list) = value.as_array_ref() {
        list.iter().map(|element| 1 + weight(element)).sum()
    } else if let Ok(map) = value.as_map_ref() {
        map.values().map(|element| 1 + weight(element)).sum()
    } else if let Ok(text) = value.as_immutable_string_ref() {
        text.len() / 64
    } else {
        0
    }
}

/// A date or a moment.
#[derive(Clone, Copy)]
pub(super) enum Day {
    Date(Date),
    Moment(Moment),
}

impl Day {
    /// The calendar date; of a moment, at its own offset.
    pub(super) fn date(self) -> Date {
        match self {
            Self::Date(date) => date,
            Self::Moment(moment) => moment.date_naive(),
        }
    }
}
