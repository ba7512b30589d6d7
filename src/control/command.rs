//! What can be asked of an engine, as it goes over the socket.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::model::{
    CampaignId, Channel, DeliveryId, EmailAddress, Locale, OccurrenceName, RunId, SourceName,
    Status, SuppressionReason, TopicName,
};

use super::PersonKey;

/// A question or an order.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "command", rename_all = "snake_case")]
pub enum Command {
    /// Campaigns, runs, transports, errors per file. Answered by [`Reply::Status`](super::Reply::Status).
    Status,
    /// One run with its counts. Answered by [`Reply::Run`](super::Reply::Run).
    Run {
        /// Which.
        run: RunId,
    },
    /// The plans of campaigns (all enabled ones where none is named), for their next occurrence; writes nothing. Answered by
    /// [`Reply::Plans`](super::Reply::Plans).
    Plan {
        /// Which campaigns; empty: all.
        campaigns: Vec<CampaignId>,
        /// How many recipients the sample has.
        sample: usize,
    },
    /// The plans beside those that the files of a git revision would give; writes nothing. Answered by
    /// [`Reply::Compared`](super::Reply::Compared).
    Compare {
        /// A branch, a tag, a commit.
        revision: String,
        /// Which campaigns; empty: all.
        campaigns: Vec<CampaignId>,
        /// How many recipients the sample has.
        sample: usize,
    },
    /// Each rule in turn for one recipient. Answered by [`Reply::Explanation`](super::Reply::Explanation).
    Explain {
        /// Which campaign.
        campaign: CampaignId,
        /// The recipient's key.
        key: String,
    },
    /// What became of a recipient in a past run. Answered by [`Reply::Past`](super::Reply::Past).
    ExplainPast {
        /// Which campaign, be it gone by now.
        campaign: CampaignId,
        /// The recipient's key.
        key: String,
        /// The run's occurrence.
        occurrence: OccurrenceName,
    },
    /// A `[[test]]` block of what becomes of a recipient. Answered by [`Reply::Done`](super::Reply::Done).
    ExplainAsTest {
        /// Which campaign.
        campaign: CampaignId,
        /// The recipient's key.
        key: String,
    },
    /// Why a campaign has or has not started. Answered by [`Reply::Standing`](super::Reply::Standing).
    ExplainCampaign {
        /// Which campaign.
        campaign: CampaignId,
    },
    /// The message of the first or the named recipient. Answered by [`Reply::Preview`](super::Reply::Preview).
    Preview {
        /// Which campaign.
        campaign: CampaignId,
        /// The recipient's key; `None`: the first that matches.
        recipient: Option<String>,
        /// As if this were the recipient's language.
        #[serde(default)]
        locale: Option<Locale>,
    },
    /// What `send` would do, to be shown before it is asked for. Writes nothing. Answered by
    /// [`Reply::Offer`](super::Reply::Offer).
    OfferSend {
        /// Which campaign.
        campaign: CampaignId,
        /// The occurrence's label.
        label: OccurrenceName,
        /// Nobody looks at it before it is sent: it is not planned, [`SendOffer::plan`](super::SendOffer::plan) is `None`.
        #[serde(default)]
        unplanned: bool,
    },
    /// Plans and starts a run. Answered by [`Reply::Run`](super::Reply::Run); a label that was sent already is refused.
    Send {
        /// Which campaign.
        campaign: CampaignId,
        /// The occurrence's label.
        label: OccurrenceName,
        /// The digest of the plan that the person saw; another one is refused as held. `None`: whatever it is.
        digest: Option<String>,
        /// Where nobody would get it, it is refused as held, and the label stays free.
        #[serde(default)]
        somebody: bool,
    },
    /// Sends one message to an address of one's own: the message of the first or the named recipient. No run, no ledger.
    /// Answered by [`Reply::Done`](super::Reply::Done).
    TestSend {
        /// Which campaign.
        campaign: CampaignId,
        /// Where it goes.
        to: EmailAddress,
        /// Whose message; `None`: the first that matches.
        recipient: Option<String>,
    },
    /// Halts a run. Answered by [`Reply::Run`](super::Reply::Run).
    Pause {
        /// Which.
        run: RunId,
    },
    /// Lets a paused or held run go on. Answered by [`Reply::Run`](super::Reply::Run).
    Resume {
        /// Which.
        run: RunId,
    },
    /// Approves a run as it is planned; ends a hold that waits for that. Answered by [`Reply::Run`](super::Reply::Run).
    Approve {
        /// Which.
        run: RunId,
        /// Who approves.
        by: String,
        /// Who must not be the one who approves: the author of what is approved.
        not_by: Option<String>,
        /// The plan's digest, or the beginning of it, that the person saw; another one is refused as held.
        digest: Option<String>,
    },
    /// Ends a run: what was not sent never is. Answered by [`Reply::Run`](super::Reply::Run).
    Cancel {
        /// Which.
        run: RunId,
    },
    /// Queues failed and in-doubt deliveries of a run again. Answered by [`Reply::Run`](super::Reply::Run).
    Retry {
        /// Which.
        run: RunId,
        /// Which of them: [`Status::Failed`], [`Status::InDoubt`].
        statuses: Vec<Status>,
    },
    /// Stops campaigns, whatever the files say, until `start`. Answered by [`Reply::Done`](super::Reply::Done).
    Stop {
        /// Which; empty: all.
        campaigns: Vec<CampaignId>,
    },
    /// Ends a `stop`. Answered by [`Reply::Done`](super::Reply::Done).
    Start {
        /// Which; empty: all.
        campaigns: Vec<CampaignId>,
    },
    /// A page of deliveries, in the order of their numbers. Answered by [`Reply::Deliveries`](super::Reply::Deliveries).
    Deliveries {
        /// Of this run.
        run: Option<RunId>,
        /// With one of these statuses; empty: any.
        statuses: Vec<Status>,
        /// On this channel.
        channel: Option<Channel>,
        /// Changed at or after this moment.
        since: Option<DateTime<Utc>>,
        /// With this key.
        key: Option<String>,
        /// Behind this one.
        after: Option<DeliveryId>,
        /// At most this many; the engine may give fewer, never none while there are more.
        limit: usize,
    },
    /// Everything that is stored about a person. Answered by [`Reply::Person`](super::Reply::Person).
    ExportPerson {
        /// Their address.
        address: EmailAddress,
        /// Also what belongs to these recipients, under whatever address.
        keys: Vec<PersonKey>,
    },
    /// Erases what is stored about a person; hashes stay. Answered by [`Reply::Forgotten`](super::Reply::Forgotten).
    ForgetPerson {
        /// Their address.
        address: EmailAddress,
        /// Also what belongs to these recipients, under whatever address.
        keys: Vec<PersonKey>,
    },
    /// Adds to the suppression list. Answered by [`Reply::Changed`](super::Reply::Changed).
    Suppress {
        /// Whom.
        targets: Vec<SuppressionTarget>,
    },
    /// Removes from the suppression list. Answered by [`Reply::Changed`](super::Reply::Changed).
    Unsuppress {
        /// Whom; the reason of a target is ignored: every reason is removed.
        targets: Vec<SuppressionTarget>,
    },
    /// A page of the suppression list. Answered by [`Reply::Suppressions`](super::Reply::Suppressions).
    Suppressions {
        /// Behind this hash.
        after: Option<[u8; 16]>,
        /// At most this many.
        limit: usize,
    },
}

/// Whom a suppression is about: an address, or a recipient of a source.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SuppressionTarget {
    /// The address, or the key where `source` is given.
    pub text: String,
    /// The source whose key `text` is; `None`: `text` is an email address.
    pub source: Option<SourceName>,
    /// The topic; `None`: everything.
    pub topic: Option<TopicName>,
    /// Why.
    pub reason: SuppressionReason,
    /// Where it comes from: `cli`, a file's name.
    pub origin: String,
    /// Since when; `None`: now.
    pub at: Option<DateTime<Utc>>,
}
