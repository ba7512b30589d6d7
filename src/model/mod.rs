//! The words of Campanile as types, and what can be wrong with a file. No I/O but [`SecretRef::read`].

mod address;
mod after;
mod approval;
mod campaign;
mod campaign_test;
mod channel;
mod clock;
mod delivery;
mod diagnostic;
mod hold;
mod identity;
mod locale;
mod media;
mod name;
mod occurrence;
mod pace;
mod period;
mod rate;
mod recipient;
mod rollout;
mod run;
mod safety;
mod secret;
mod section;
mod size;
mod stop_if;
mod suppression;
mod text;
mod topic;
mod transfer;
mod value;
mod zone;

pub use address::{EmailAddress, Mailbox, mask};
pub use after::{After, EffectCounts, EffectKind, UPDATE_PARAMETERS, Webhook};
pub use approval::{Approval, ApprovalRule, Part};
pub use campaign::{
    Attachment, Audience, Body, BodyFormat, Campaign, Cooldown, Cron, Dedupe, EmailMessage,
    InDoubtPolicy, Keys, Missed, OnBroken, Reach, ReachMode, Schedule, Timing, Translation,
    Variable,
};
pub use campaign_test::{
    CampaignTest, Claim, Expected, Given, LastSent, NotIncluded, TestCell, TestFile,
    TestFileFormat, TestRecipient, TestRecipients, Unsubscribed,
};
pub use channel::Channel;
pub use clock::{Clock, SystemClock};
pub use delivery::{Delivery, DeliveryId, SkipReason, Status};
pub use diagnostic::{Diagnostic, Diagnostics, Severity, closest};
pub use hold::{HoldReason, Remedy};
pub use identity::{AddressHash, Identity, RecipientHash};
pub use locale::Locale;
pub use media::{Media, MediaError, refuse_program};
pub use name::{
    CampaignId, EnvironmentName, NameError, SenderName, SourceName, TopicName, TransportName,
};
pub use occurrence::{Occurrence, OccurrenceName};
pub use pace::{Days, Hours, Pace, Window};
pub use period::{Period, Unit};
pub use rate::{Percentage, Rate};
pub use recipient::{FieldType, InvalidRow, Recipient, Roles, Schema};
pub use rollout::{Rollout, RolloutPart};
pub use run::{Count, Counts, PAUSED_BY_ROLLOUT, Run, RunId, RunState, Totals};
pub use safety::{AddressPattern, Safety};
pub use secret::SecretRef;
#[cfg(test)]
pub(crate) use section::asked;
pub use section::{Document, FromToml, Item, Name, Section, parse_string};
pub use size::Size;
pub use stop_if::{Exceeded, StopIf, Toll};
pub use suppression::{Subject, Suppression, SuppressionReason};
pub use text::{Excerpt, Place, SourceFile};
pub use topic::{Purpose, Sender, Topic};
pub use transfer::{Answer, Answered, Outcomes, Outgoing, OutgoingEmail, Permit, Scope};
pub use value::Value;
pub use zone::Zone;
