//! Commands, carried out.

use std::sync::Arc;

use crate::{
    control::{Command, Refused, RefusedKind, Reply},
    model::{CampaignId, Occurrence},
    store::DeliveryFilter,
    workspace::Entry,
};

use super::{
    Engine,
    planning::{Order, Wanted},
};

/// The most deliveries or suppressions a page has.
const PAGE: usize = 1_000;

impl Engine {
    /// Carries a command out.
    pub async fn execute(self: &Arc<Self>, command: Command) -> Result<Reply, Refused> {
        match command {
            Command::Status => Ok(Reply::Status(Box::new(self.status().await?))),
            Command::Run { run } => self.reply_run(run).await,
            Command::Plan { campaigns, sample } => {
                let mut plans = Vec::new();
                for id in self.named_or_enabled(campaigns) {
                    plans.push(self.plan(&id, sample).await?);
                }
                Ok(Reply::Plans(plans))
            }
            Command::Compare {
                revision,
                campaigns,
                sample,
            } => Ok(Reply::Compared(Box::new(
                self.compare_with(&revision, campaigns, sample).await?,
            ))),
            Command::Explain { campaign, key } => Ok(Reply::Explanation(Box::new(
                self.explain_recipient(&campaign, &key).await?,
            ))),
            Command::ExplainPast {
                campaign,
                key,
                occurrence,
            } => Ok(Reply::Past(Box::new(
                self.explain_past(&campaign, &key, &occurrence).await?,
            ))),
            Command::ExplainAsTest { campaign, key } => {
                Ok(Reply::Done(self.explain_as_test(&campaign, &key).await?))
            }
            Command::ExplainCampaign { campaign } => Ok(Reply::Standing(Box::new(
                self.explain_campaign(&campaign).await?,
            ))),
            Command::Preview {
                campaign,
                recipient,
                locale,
            } => Ok(Reply::Preview(Box::new(
                self.preview(&campaign, recipient.as_deref(), locale.as_ref())
                    .await?,
            ))),
            Command::OfferSend {
                campaign,
                label,
                unplanned,
            } => Ok(Reply::Offer(Box::new(
                self.offer_send(&campaign, label, unplanned).await?,
            ))),
            Command::Send {
                campaign,
                label,
                digest,
                somebody,
            } => {
                let loaded = self.loaded(&campaign)?;
                self.refuse_disabled(&loaded).await?;
                self.refuse_unusable_ways(&loaded)?;
                let occurrence = Occurrence {
                    name: label,
                    due: self.clock.now(),
                };
                let run = self
                    .start_run(Order {
                        loaded,
                        occurrence,
                        asked: true,
                        wanted: Wanted { digest, somebody },
                        hold: None,
                        keep: false,
                        untested: false,
                        again: None,
                    })
                    .await?;
                self.reply_run(run.id).await
            }
            Command::TestSend {
                campaign,
                to,
                recipient,
            } => Ok(Reply::Done(
                self.test_send(&campaign, &to, recipient.as_deref()).await?,
            )),
            Command::Pause { run } => {
                self.pause(run).await?;
                self.reply_run(run).await
            }
            Command::Resume { run } => {
                let run = self.resume(run).await?;
                self.reply_run(run).await
            }
            Command::Approve {
                run,
                by,
                not_by,
                digest,
            } => {
                self.approve(run, by, not_by.as_deref(), digest.as_deref())
                    .await?;
                self.reply_run(run).await
            }
            Command::Cancel { run } => {
                self.cancel(run).await?;
                self.reply_run(run).await
            }
            Command::Retry { run, statuses } => {
                self.retry(run, &statuses).await?;
                self.reply_run(run).await
            }
            Command::Stop { campaigns } => {
                Ok(Reply::Done(self.set_stopped(&campaigns, true).await?))
            }
            Command::Start { campaigns } => {
                Ok(Reply::Done(self.set_stopped(&campaigns, false).await?))
            }
            Command::Deliveries {
                run,
                statuses,
                channel,
                since,
                key,
                after,
                limit,
            } => {
                if let Some(run) = run {
                    self.run(run).await?;
                }
                let limit = limit.clamp(1, PAGE);
                let filter = DeliveryFilter {
                    run,
                    statuses,
                    channel,
                    since,
                    key,
                    after,
                    limit,
                };
                Ok(Reply::Deliveries(self.store()?.deliveries(filter).await?))
            }
            Command::ExportPerson { address, keys } => {
                Ok(Reply::Person(Box::new(self.person(&address, &keys).await?)))
            }
            Command::ForgetPerson { address, keys } => {
                Ok(Reply::Forgotten(self.forget(&address, &keys).await?))
            }
            Command::Suppress { targets } => Ok(Reply::Changed(self.suppress(targets).await?)),
            Command::Unsuppress { targets } => Ok(Reply::Changed(self.unsuppress(targets).await?)),
            Command::Suppressions { after, limit } => {
                let page = self
                    .store()?
                    .suppressions(after, limit.clamp(1, PAGE))
                    .await?;
                Ok(Reply::Suppressions(page))
            }
        }
    }

    async fn reply_run(&self, run: crate::model::RunId) -> Result<Reply, Refused> {
        Ok(Reply::Run(Box::new(self.run_status(run).await?)))
    }

    fn named_or_enabled(&self, campaigns: Vec<CampaignId>) -> Vec<CampaignId> {
        if !campaigns.is_empty() {
            return campaigns;
        }
        let snapshot = self.snapshot();
        let enabled = snapshot.campaigns.iter().filter(|(_, entry)| match entry {
            Entry::Ready(loaded) => loaded.campaign.enabled,
            Entry::Broken(_) => true,
        });
        enabled.map(|(id, _)| id.clone()).collect()
    }

    /// A campaign that its file disables, or that `campanile stop` holds, starts nothing, whoever asks.
    pub(super) async fn refuse_disabled(
        &self,
        loaded: &crate::workspace::Loaded,
    ) -> Result<(), Refused> {
        let id = &loaded.campaign.id;
        let held = |message: String| Err(Refused::new(RefusedKind::Held, message));
        if !loaded.campaign.enabled {
            return held(format!("{id} says `enabled = false`"));
        }
        if let Some(store) = &self.store
            && store
                .campaigns()
                .await?
                .iter()
                .any(|record| record.id == *id && record.stopped_at.is_some())
        {
            return held(format!("{id} is stopped: `campanile start {id}` ends that"));
        }
        Ok(())
    }
}
