//! What a campaign asks of its audience, ready for use: the parts that do not need a script.

use std::{
    collections::HashMap,
    sync::atomic::{AtomicBool, Ordering},
};

use crate::{
    message::payload::Layout,
    model::{Campaign, CampaignId, Identity, Purpose, Rate, Recipient, Safety, SourceName, Value},
};

use super::{digest, zones::ZoneTable};

/// What is told of those who are not in the plan.
pub(super) struct Look {
    /// The clauses of the condition.
    pub(super) clauses: Vec<String>,
    /// Whether the fate of every row is kept.
    pub(super) fates: bool,
}

/// The rules of one plan.
pub(super) struct Rules {
    /// What the campaign's file says.
    pub(super) campaign: Campaign,
    /// The names of the values in payloads; `None`: there are none, the plan is only looked at.
    pub(super) layout: Option<Layout>,
    /// Makes the hashes.
    pub(super) identity: Identity,
    /// What no campaign can escape.
    pub(super) safety: Safety,
    /// The recipients' zones, where they count.
    pub(super) zones: Option<ZoneTable>,
    /// The keys that are asked for, where not everybody is.
    pub(super) wanted: Option<Wanted>,
    /// Campaigns that share the cooldown with this one.
    pub(super) companions: Vec<CampaignId>,
    /// How much anybody may have, where the campaign is under the cap.
    pub(super) cap: Option<Rate>,
    /// Who is left after which step, where somebody asks.
    pub(super) look: Option<Look>,
    /// For each variable, whether a record carries it beside the payload: the sample shows it, and the payload lacks it.
    carried: Vec<bool>,
}

impl Rules {
    /// `sample`: whether records carry what a sample shows.
    pub(super) fn new(
        mut campaign: Campaign,
        layout: Option<Layout>,
        identity: Identity,
        safety: Safety,
        sample: bool,
    ) -> Self {
        let wanted = campaign
            .audience
            .keys
            .as_mut()
            .map(|keys| Wanted::new(std::mem::take(&mut keys.keys)));
        let carried = campaign
            .variables
            .iter()
            .map(|variable| {
                let frozen = layout
                    .as_ref()
                    .is_some_and(|layout| layout.names().contains(&variable.name));
                sample && !frozen
            })
            .collect();
        Self {
            campaign,
            layout,
            identity,
            safety,
            zones: None,
            wanted,
            companions: Vec::new(),
            cap: None,
            look: None,
            carried,
        }
    }

    /// With campaigns that share the cooldown with this one.
    pub(super) fn beside(mut self, companions: Vec<CampaignId>) -> Self {
        self.companions = companions;
        self
    }

    /// Under the cap over all marketing campaigns, if it is one.
    pub(super) fn capped(mut self, cap: Option<Rate>) -> Self {
        self.cap = cap.filter(|_| self.campaign.purpose == Purpose::Marketing);
        self
    }

    /// The same, with the zones of recipients.
    pub(super) fn with_zones(self, zones: Option<ZoneTable>) -> Self {
        Self { zones, ..self }
    }

    /// The translation that a recipient gets, empty for what was written first; `None` where nothing is translated.
    pub(super) fn translation_for(&self, recipient: &Recipient) -> Option<String> {
        let email = self.campaign.email.as_ref()?;
        if email.translations.is_empty() {
            return None;
        }
        let locale = recipient.role(|roles| &roles.locale).unwrap_or_default();
        let translation = email.translation_for(&locale);
        Some(translation.map(ToString::to_string).unwrap_or_default())
    }

    /// The variables' names and values.
    pub(super) fn variables<'a>(
        &'a self,
        values: &'a [Value],
    ) -> impl Iterator<Item = (&'a str, &'a Value)> {
        let names = self.campaign.variables.iter();
        names
            .map(|variable| variable.name.as_str())
            .zip(values.iter())
    }

    /// The variables that a record carries beside its payload, as places in the list of all.
    pub(super) fn carried(&self) -> impl Iterator<Item = usize> {
        (0..self.carried.len()).filter(|at| self.carried[*at])
    }

    /// Whether the recipient is in the part that gets nothing, for comparison: the same for every occurrence of the campaign,
    /// and on every machine.
    pub(super) fn holds_out(&self, source: &SourceName, key: &str) -> bool {
        let Some(share) = self.campaign.audience.holdout else {
            return false;
        };
        let parts = [
            self.campaign.id.as_str().as_bytes(),
            source.as_str().as_bytes(),
            key.as_bytes(),
        ];
        let hash = digest::tagged("campanile holdout 1", &parts);
        let mut draw = [0; 8];
        draw.copy_from_slice(&hash.as_bytes()[..8]);
        let draw = u128::from(u64::from_le_bytes(draw));
        (draw * 1_000_000) >> 64 < u128::from(share.millionths())
    }
}

/// The keys that are asked for, and which of them were seen.
pub(super) struct Wanted {
    places: HashMap<String, usize>,
    seen: Vec<AtomicBool>,
}

impl Wanted {
    fn new(keys: Vec<String>) -> Self {
        let mut places = HashMap::with_capacity(keys.len());
        for key in keys {
            let next = places.len();
            places.entry(key).or_insert(next);
        }
        let seen = places.iter().map(|_| AtomicBool::new(false)).collect();
        Self { places, seen }
    }

    /// Whether a key that a source has is asked for.
    pub(super) fn meets(&self, key: &str) -> bool {
        match self.places.get(key) {
            Some(place) => {
                self.seen[*place].store(true, Ordering::Relaxed);
                true
            }
            None => false,
        }
    }

    /// Whether a key is asked for.
    pub(super) fn has(&self, key: &str) -> bool {
        self.places.contains_key(key)
    }

    /// The keys that no source had, in the order they were written.
    pub(super) fn unseen(&self) -> Vec<&str> {
        let mut unseen: Vec<_> = self
            .places
            .iter()
            .filter(|(_, place)| !self.seen[**place].load(Ordering::Relaxed))
            .collect();
        unseen.sort_by_key(|(_, place)| **place);
        unseen.into_iter().map(|(key, _)| key.as_str()).collect()
    }
}
