//! Messages in a browser: what a link in a message shows to whoever has it. They are made again from what was kept of them and
//! from the files that their run is pinned to.

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};

use crate::{
    control::Refused,
    message::{
        EmailFacts, WebPage,
        links::{Claim, LinkKind},
        payload::{self, Layout},
    },
    model::{EmailAddress, Purpose, Run},
    workspace::Loaded,
};

use super::{Engine, loading::blocking};

/// How often what is too old to be shown is dropped.
const DROP_EVERY: TimeDelta = TimeDelta::minutes(10);

impl Engine {
    /// The message of a claim as a browser shows it. `None`: it is too old, was never sent, or its person was forgotten.
    pub async fn view(&self, claim: &Claim) -> Result<Option<WebPage>, Refused> {
        let store = self.store()?;
        let Some(kept) = store.kept_message(claim.delivery).await? else {
            return Ok(None);
        };
        let (Some(delivery), Some(run)) = (
            store.delivery(claim.delivery).await?,
            store.run(claim.delivery.run()).await?,
        ) else {
            return Ok(None);
        };
        // Dropping takes a while; what is too old is not shown any more meanwhile.
        if delivery.at < self.oldest_view() || delivery.address.is_empty() {
            return Ok(None);
        }
        let Some(loaded) = self.viewed(&run).await else {
            return Ok(None);
        };
        let unsubscribe_mailto = self.settings().web.unsubscribe_mailto.clone();
        let (links, claim) = (self.links.load_full(), claim.clone());
        let page = blocking(move || {
            let template = loaded.email.as_ref()?;
            let to: EmailAddress = delivery.address.parse().ok()?;
            let layout = Layout::from_text(&kept.layout).ok()?;
            let values = payload::decode(&kept.payload).ok()?;
            let link = |kind| links.url(kind, &claim);
            let unsubscribe =
                (run.purpose == Purpose::Marketing).then(|| link(LinkKind::Unsubscribe));
            let (view, preferences) = (link(LinkKind::View), link(LinkKind::Preferences));
            let facts = EmailFacts {
                to: &to,
                redirected_from: None,
                layout: &layout,
                values: &values,
                occurrence: &run.occurrence,
                now: run.due,
                zone: &loaded.zone,
                date: delivery.at,
                message_id: delivery.message_id.as_deref().unwrap_or("view@localhost"),
                unsubscribe_url: unsubscribe.as_deref(),
                unsubscribe_mailto: unsubscribe_mailto.as_ref(),
                view_url: Some(&view),
                preferences_url: Some(&preferences),
            };
            template.page(&facts).ok()
        });
        Ok(page.await)
    }

    /// The campaign of a run as it was pinned.
    async fn viewed(&self, run: &Run) -> Option<Arc<Loaded>> {
        if let Some((id, loaded)) = &*self.viewed.lock()
            && *id == run.id
        {
            return Some(loaded.clone());
        }
        let loaded = self.pinned(run).await.ok()?;
        *self.viewed.lock() = Some((run.id, loaded.clone()));
        Some(loaded)
    }

    fn oldest_view(&self) -> DateTime<Utc> {
        let keep = self.settings().web.view_keep.nominal();
        self.clock.now() - TimeDelta::from_std(keep).unwrap_or(TimeDelta::MAX / 2)
    }

    /// Drops what is too old to be shown, now and then.
    pub(crate) async fn drop_old_views(&self) -> Result<(), Refused> {
        let now = self.clock.now();
        {
            let mut last = self.views_dropped_at.lock();
            if last.is_some_and(|last| (now - last).abs() < DROP_EVERY) {
                return Ok(());
            }
            *last = Some(now);
        }
        self.lease()?;
        let dropped = self.store()?.drop_views(self.oldest_view()).await?;
        if dropped > 0 {
            tracing::info!(
                messages = dropped,
                "too old to be read in a browser: dropped"
            );
        }
        Ok(())
    }
}
