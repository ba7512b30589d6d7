//! A campaign: who, what, when, by which way. Read from one TOML file.

use std::{fmt, sync::Arc};

use chrono::{NaiveDate, NaiveTime};

use super::{
    After, ApprovalRule, CampaignId, CampaignTest, Channel, Excerpt, Locale, Mailbox, Pace,
    Percentage, Period, Place, Purpose, Rollout, SenderName, Size, SourceFile, SourceName, StopIf,
    TopicName, TransportName, Zone, run::named, section::from_toml_string,
};

/// A campaign as its file says.
#[derive(Clone, Debug)]
pub struct Campaign {
    /// Its id: the path under `campaigns/` without `.toml`, or what `id =` says.
    pub id: CampaignId,
    /// Whether the file says `id =`: then it can't be mistaken for another that was renamed.
    pub declares_id: bool,
    /// Its name for people; the id where the file has none.
    pub name: String,
    /// The file.
    pub file: SourceFile,
    /// What recipients unsubscribe from.
    pub topic: TopicName,
    /// Marketing or transactional.
    pub purpose: Purpose,
    /// Who is writing.
    pub sender: SenderName,
    /// Whether it may start anything.
    pub enabled: bool,
    /// Ids it had before.
    pub was: Vec<CampaignId>,
    /// How long its file may be away before what was not sent is cancelled.
    pub removal_grace: Period,
    /// What happens to a running run when the files break.
    pub on_broken: OnBroken,
    /// Who.
    pub audience: Audience,
    /// `[variables]`, in the file's order.
    pub variables: Vec<Variable>,
    /// When; `None`: only when asked.
    pub schedule: Option<Schedule>,
    /// Whether each occurrence waits for a person.
    pub approval: ApprovalRule,
    /// How fast and at which hours; `None`: as fast as its transports, at any time.
    pub pace: Option<Pace>,
    /// By which channels.
    pub reach: Reach,
    /// What happens to deliveries whose answer was never seen.
    pub in_doubt: InDoubtPolicy,
    /// A first part that goes out before the rest.
    pub rollout: Option<Rollout>,
    /// Shares that hold a run.
    pub stop_if: Option<StopIf>,
    /// A delivery older than this is `expired`.
    pub expires_after: Option<Period>,
    /// The mail, where the campaign sends mail.
    pub email: Option<EmailMessage>,
    /// `[after]`: what follows a delivery that was sent.
    pub after: After,
    /// Whether its runs are held while its tests fail, or it has none.
    pub require_tests: bool,
    /// `[[test]]`, in the file's order.
    pub tests: Vec<CampaignTest>,
}

impl Campaign {
    /// Whether its recipients' own zones count: for its schedule, or for its hours.
    pub fn goes_by_zones(&self) -> bool {
        let of_hours = |pace: &Pace| pace.by_recipient && pace.window.is_some();
        self.schedule
            .as_ref()
            .is_some_and(|schedule| schedule.by_recipient)
            || self.pace.as_ref().is_some_and(of_hours)
    }
}

named! {
    /// What happens to a running run when the campaign's files do not check.
    OnBroken {
        /// It pauses until they do.
        Hold = "hold",
        /// It goes on with the last files that did.
        LastGood = "last_good",
    }
}

/// Who gets it.
#[derive(Clone, Debug)]
pub struct Audience {
    /// Where recipients come from, in order; at least one.
    pub sources: Vec<SourceName>,
    /// The condition, in Rhai; `None`: everybody.
    pub condition: Option<Excerpt>,
    /// The only keys that count, where there are any.
    pub keys: Option<Keys>,
    /// Not to anyone who had this campaign within …; `None`: the default for the schedule.
    pub cooldown: Option<Cooldown>,
    /// Campaigns with the same group share the cooldown.
    pub cooldown_group: Option<String>,
    /// One message per address, or per row.
    pub dedupe: Dedupe,
    /// Fewer to send: held.
    pub min_recipients: u64,
    /// More to send: held.
    pub max_recipients: Option<u64>,
    /// More change than this since the last run: held.
    pub max_change: Option<Percentage>,
    /// The part that gets nothing, for comparison.
    pub holdout: Option<Percentage>,
    /// More script errors: held.
    pub max_script_errors: u64,
}

/// The keys that `keys` or `keys_file` name, without repetition, in the order they were written.
#[derive(Clone, Debug)]
pub struct Keys {
    /// The keys.
    pub keys: Vec<String>,
    /// Where they stand.
    pub place: Place,
}

/// How long a recipient rests after a campaign.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cooldown {
    /// Never again: the default of a one-off.
    Forever,
    /// This long.
    Within(Period),
    /// `"none"`: no rest.
    None,
}

named! {
    /// What counts as the same recipient within a run.
    Dedupe {
        /// One message per address and channel.
        Address = "address",
        /// One per row of the source.
        None = "none",
    }
}

/// A variable: computed once per recipient; later ones may use earlier ones.
#[derive(Clone, Debug)]
pub struct Variable {
    /// Its name, an identifier in Rhai and Jinja.
    pub name: String,
    /// Where the name stands.
    pub name_place: Place,
    /// The expression, in Rhai.
    pub expression: Excerpt,
}

/// When a campaign is due.
#[derive(Clone, Debug)]
pub struct Schedule {
    /// The rule.
    pub timing: Timing,
    /// The zone of all local times; of recipients whose zone is not known, where it is theirs that counts.
    pub timezone: Zone,
    /// Whether its local times are those of each recipient's own zone.
    pub by_recipient: bool,
    /// Not before this date.
    pub start: Option<NaiveDate>,
    /// Not after this date.
    pub until: Option<NaiveDate>,
    /// What happens to an occurrence missed by more than `grace`.
    pub missed: Missed,
    /// How late an occurrence may start.
    pub grace: Period,
    /// How long before it is due an occurrence is planned, so that there is time to look and approve; `None`: when it is due.
    pub plan_ahead: Option<Period>,
    /// Where `[schedule]` stands.
    pub place: Place,
}

/// The rule of a schedule.
#[derive(Clone, Debug)]
pub enum Timing {
    /// Once per id, as soon as it is loaded.
    Now,
    /// Once, at a local time.
    At(chrono::NaiveDateTime),
    /// Again and again: days and longer by the calendar at `time`, shorter by elapsed time.
    Every {
        /// How often.
        period: Period,
        /// At which local time, for periods of days and longer.
        time: NaiveTime,
    },
    /// A cron expression of five fields, in the schedule's zone.
    Cron(Cron),
}

/// A cron expression that was checked: minute, hour, day of month, month, day of week.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cron(String);

impl Cron {
    /// The expression.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::str::FromStr for Cron {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.split_whitespace().count() != 5 {
            return Err(
                "expected five fields: minute hour day-of-month month day-of-week".to_owned(),
            );
        }
        match text.parse::<croner::Cron>() {
            Ok(_) => Ok(Self(text.to_owned())),
            Err(error) => Err(error.to_string()),
        }
    }
}

named! {
    /// What happens to an occurrence that was missed.
    Missed {
        /// It is skipped and shown.
        Skip = "skip",
        /// It is sent late.
        Send = "send",
    }
}

/// By which channels.
#[derive(Clone, Debug)]
pub struct Reach {
    /// Channels the campaign has a message for, in the order they are tried.
    pub order: Vec<Channel>,
    /// Which of them.
    pub mode: ReachMode,
}

named! {
    /// Which of a campaign's channels a recipient gets it by.
    ReachMode {
        /// The first the recipient can be reached on.
        First = "first",
        /// The one the recipient prefers, else the first.
        Preferred = "preferred",
        /// All of them.
        All = "all",
    }
}

named! {
    /// What happens to deliveries whose answer was never seen.
    InDoubtPolicy {
        /// They are left for a person.
        Keep = "keep",
        /// They are sent again.
        Resend = "resend",
        /// They are not sent.
        Skip = "skip",
    }
}

/// The mail of a campaign.
#[derive(Clone, Debug)]
pub struct EmailMessage {
    /// The transport.
    pub via: TransportName,
    /// The From, where it is not the sender's.
    pub from: Option<Mailbox>,
    /// The subject, a Jinja template.
    pub subject: Excerpt,
    /// The body, a Jinja template.
    pub body: Body,
    /// The language they are written in, where the file says it.
    pub language: Option<Locale>,
    /// What was written in other languages, by locale.
    pub translations: Vec<Translation>,
    /// Files that go with every message, in order.
    pub attachments: Vec<Attachment>,
    /// The most bytes that attachments and pictures of a message may have together.
    pub most_attached: Size,
}

impl EmailMessage {
    /// All subjects, those of the translations behind.
    pub fn subjects(&self) -> impl Iterator<Item = &Excerpt> {
        let translated = self.translations.iter();
        std::iter::once(&self.subject).chain(translated.filter_map(|other| other.subject.as_ref()))
    }

    /// All bodies, those of the translations behind.
    pub fn bodies(&self) -> impl Iterator<Item = &Body> {
        let translated = self.translations.iter();
        std::iter::once(&self.body).chain(translated.filter_map(|other| other.body.as_ref()))
    }

    /// The translation for a recipient whose language is `text`; `None`: what was written first.
    pub fn translation_for(&self, text: &str) -> Option<&Locale> {
        let at = Locale::closest(text, &self.translations.iter().map(|other| &other.locale))?;
        Some(&self.translations[at].locale)
    }
}

/// Subject and body in another language, or one of them.
#[derive(Clone, Debug)]
pub struct Translation {
    /// The language.
    pub locale: Locale,
    /// The subject.
    pub subject: Option<Excerpt>,
    /// The body.
    pub body: Option<Body>,
}

/// A file that goes with a message, read and checked.
#[derive(Clone)]
pub struct Attachment {
    /// What it is called in the message.
    pub name: String,
    /// Its content type (RFC 2045 §5.1).
    pub content_type: String,
    /// What is in it, shared by all who have it.
    pub bytes: Arc<[u8]>,
    /// Where it is named.
    pub place: Place,
}

/// Without the bytes: nobody reads a picture in a log.
impl fmt::Debug for Attachment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Attachment({:?}, {}, {} bytes)",
            self.name,
            self.content_type,
            self.bytes.len()
        )
    }
}

/// A body and the language it is written in.
#[derive(Clone, Debug)]
pub struct Body {
    /// The template.
    pub template: Excerpt,
    /// Its language.
    pub format: BodyFormat,
}

/// The language of a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyFormat {
    /// Markdown (CommonMark with tables): both HTML and text are made of it.
    Markdown,
    /// HTML: a text alternative is made of it.
    Html,
    /// MJML: HTML for mail programs is made of it, and a text alternative.
    Mjml,
    /// Plain text.
    Text,
}

from_toml_string!(OnBroken, Dedupe, Missed, ReachMode, InDoubtPolicy, Cron);

#[cfg(test)]
impl Campaign {
    /// A campaign for tests, with every key at its default: the file `path`, source `people`, topic `offers`, sender `acme`, no
    /// variables, no message. Each test changes what it is about.
    pub(crate) fn for_tests(path: &str, id: &str) -> Self {
        Self {
            declares_id: false,
            id: id.parse().unwrap(),
            name: id.to_owned(),
            file: SourceFile::new(path, ""),
            topic: "offers".parse().unwrap(),
            purpose: Purpose::Marketing,
            sender: "acme".parse().unwrap(),
            enabled: true,
            was: Vec::new(),
            removal_grace: Period::minutes(10),
            on_broken: OnBroken::Hold,
            audience: Audience {
                sources: vec!["people".parse().unwrap()],
                condition: None,
                keys: None,
                cooldown: None,
                cooldown_group: None,
                dedupe: Dedupe::Address,
                min_recipients: 1,
                max_recipients: None,
                max_change: None,
                holdout: None,
                max_script_errors: 10,
            },
            variables: Vec::new(),
            schedule: None,
            approval: ApprovalRule::default(),
            pace: None,
            reach: Reach {
                order: vec![Channel::Email],
                mode: ReachMode::First,
            },
            in_doubt: InDoubtPolicy::Keep,
            rollout: None,
            stop_if: None,
            expires_after: None,
            after: After::default(),
            email: None,
            require_tests: false,
            tests: Vec::new(),
        }
    }
}
