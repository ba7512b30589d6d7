//! A `[[test]]` of a campaign: what becomes of a recipient at a moment, said beforehand.

use chrono::{DateTime, Utc};

use super::{Channel, Period, Place, SkipReason, SourceName, SuppressionReason, TopicName, Value};

/// A `[[test]]` of a campaign.
#[derive(Clone, Debug)]
pub struct CampaignTest {
    /// What it says, for people; no other test of the campaign has the same.
    pub name: String,
    /// Where it stands.
    pub place: Place,
    /// The moment at which it plays; `None`: when the tests are run.
    pub now: Option<DateTime<Utc>>,
    /// Which of the campaign's sources the recipients are of; `None`: the first.
    pub source: Option<SourceName>,
    /// Whom it is about.
    pub recipients: TestRecipients,
    /// What happened to them before.
    pub given: Given,
    /// What must become of each of them.
    pub expected: Expected,
}

/// Whom a test is about.
#[derive(Clone, Debug)]
pub enum TestRecipients {
    /// `recipient = { … }`
    Inline(TestRecipient),
    /// `recipients_file = "people.csv"`: its rows are read when the test is run.
    File(TestFile),
}

/// The cells of a recipient. Columns that are left out are empty.
#[derive(Clone, Debug)]
pub struct TestRecipient {
    /// The cells, as they are written.
    pub cells: Vec<TestCell>,
    /// Where they stand.
    pub place: Place,
}

/// A cell as it is written: a text is read as the source would read it in this column, other values must be of its type.
#[derive(Clone, Debug)]
pub struct TestCell {
    /// The column.
    pub column: String,
    /// Where its name stands.
    pub column_place: Place,
    /// The value.
    pub value: Value,
    /// Where that stands.
    pub place: Place,
}

/// A file with a recipient a row.
#[derive(Clone, Debug)]
pub struct TestFile {
    /// Its path, relative to the workspace.
    pub path: String,
    /// How it is written.
    pub format: TestFileFormat,
    /// Where it is named.
    pub place: Place,
}

/// How a file of recipients is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TestFileFormat {
    /// A header with the names of columns, and rows.
    Csv,
    /// One JSON object a line.
    JsonLines,
}

/// What happened to the recipients of a test before: it takes the place of the store.
#[derive(Clone, Debug, Default)]
pub struct Given {
    /// What they unsubscribed from.
    pub unsubscribed: Unsubscribed,
    /// Why their addresses are suppressed, if they are.
    pub suppressed: Option<SuppressionReason>,
    /// When they last had this campaign.
    pub last_sent: Option<LastSent>,
    /// How many messages of this campaign they had, all of them at [`Given::last_sent`].
    pub sent_count: u32,
}

impl Given {
    /// Whether nothing happened.
    pub fn is_nothing(&self) -> bool {
        matches!(self.unsubscribed, Unsubscribed::FromNothing)
            && self.suppressed.is_none()
            && self.last_sent.is_none()
    }
}

/// What somebody unsubscribed from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Unsubscribed {
    /// From nothing.
    #[default]
    FromNothing,
    /// From everything.
    FromAll,
    /// From these topics.
    From(Vec<TopicName>),
}

/// When somebody last had a campaign.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LastSent {
    /// At this moment.
    At(DateTime<Utc>),
    /// So long before the moment at which the test plays.
    Ago(Period),
}

impl LastSent {
    /// The moment, for a test that plays at `now`.
    pub fn moment(self, now: DateTime<Utc>) -> DateTime<Utc> {
        match self {
            Self::At(at) => at,
            Self::Ago(period) => period.before(now),
        }
    }
}

/// What must become of each recipient of a test.
#[derive(Clone, Debug)]
pub struct Expected {
    /// Whether it gets the campaign; also where that follows from the rest.
    pub included: Option<Claim<bool>>,
    /// Why it does not.
    pub reason: Option<Claim<NotIncluded>>,
    /// By which channel it gets it.
    pub channel: Option<Claim<Channel>>,
    /// The subject.
    pub subject: Option<Claim<String>>,
    /// What the message has in it.
    pub contains: Vec<Claim<String>>,
    /// What it does not have in it.
    pub not_contains: Vec<Claim<String>>,
    /// Values of variables, by name.
    pub variables: Vec<(String, Claim<Value>)>,
}

/// One thing that is expected, and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim<T> {
    /// The thing.
    pub value: T,
    /// Where it stands.
    pub place: Place,
}

/// Why a recipient does not get a campaign.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotIncluded {
    /// It is not of the audience: `where` does not hold, or `keys` do not name it.
    NoMatch,
    /// It is, and is skipped.
    Skipped(SkipReason),
}

impl NotIncluded {
    /// Reasons that a recipient who is looked at alone never has: they take a whole audience, its source or a sending.
    const OF_A_WHOLE_RUN: [SkipReason; 5] = [
        SkipReason::DuplicateAddress,
        SkipReason::DuplicateKey,
        SkipReason::UnknownKey,
        SkipReason::InvalidRow,
        SkipReason::Doubt,
    ];
    const NO_MATCH: &str = "no_match";

    /// The stable name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NoMatch => Self::NO_MATCH,
            Self::Skipped(reason) => reason.as_str(),
        }
    }

    /// All that a test may expect, by name.
    pub fn names() -> impl Iterator<Item = &'static str> {
        let skipped = SkipReason::ALL
            .iter()
            .filter(|reason| !Self::OF_A_WHOLE_RUN.contains(reason));
        std::iter::once(Self::NO_MATCH).chain(skipped.map(|reason| reason.as_str()))
    }

    /// The reason with this name, where a test may expect it.
    pub fn named(name: &str) -> Option<Self> {
        if name == Self::NO_MATCH {
            return Some(Self::NoMatch);
        }
        let reason = name.parse().ok()?;
        (!Self::OF_A_WHOLE_RUN.contains(&reason)).then_some(Self::Skipped(reason))
    }
}
