//! The time zones of recipients, where they count: each has a number within its plan.

use std::collections::HashMap;

use chrono::{DateTime, NaiveDateTime, Utc};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use crate::{
    model::{Period, Recipient, Zone},
    store::ZoneQueue,
};

/// A source may say anything; more spellings than this are looked up each time.
const SPELLINGS: usize = 4_096;
/// No zone of the database has a longer name.
const LONGEST_NAME: usize = 64;

/// What a plan whose recipients' own zones count is told about them.
#[derive(Clone, Debug)]
pub struct Zoned {
    /// The zone of recipients whose own is not known.
    pub default: Zone,
    /// The local time at which each zone's deliveries are due; `None`: at once, only the sending hours go by zones.
    pub local: Option<NaiveDateTime>,
    /// A zone whose time came longer ago than this when somebody looks is too late; `None`: it is sent all the same.
    pub grace: Option<Period>,
    /// A zone whose time came at or before this moment never gets the occurrence: the campaign was not there yet.
    pub not_before: Option<DateTime<Utc>>,
    /// The moment it is.
    pub now: DateTime<Utc>,
}

impl Zoned {
    /// When the deliveries of a zone open, and until when they must have opened.
    fn queue(&self, zone: &Zone) -> ZoneQueue {
        let opens = self.local.map(|local| zone.to_utc(local));
        let expires = opens.and_then(|opens| match self.not_before {
            Some(not_before) if opens <= not_before => Some(opens),
            _ => self.grace.map(|grace| grace.after(opens)),
        });
        ZoneQueue {
            zone: zone.name().to_owned(),
            opens,
            expires,
        }
    }
}

/// A zone in a plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ZoneShare {
    /// Its name.
    pub zone: String,
    /// When its deliveries are due; `None`: at once.
    pub opens: Option<DateTime<Utc>>,
    /// How many there are.
    pub to_send: u64,
    /// Its time has passed by more than the schedule's grace: they are not sent.
    pub late: bool,
}

/// The zones that were met so far.
pub(super) struct ZoneTable {
    zoned: Zoned,
    met: Mutex<Met>,
}

struct Met {
    /// By number; the first is that of recipients whose own is not known.
    zones: Vec<Zone>,
    /// What sources wrote, and what it stands for; `None`: no zone.
    spellings: HashMap<String, Option<u16>>,
}

impl ZoneTable {
    pub(super) fn new(zoned: Zoned) -> Self {
        let met = Met {
            zones: vec![zoned.default.clone()],
            spellings: HashMap::new(),
        };
        Self {
            zoned,
            met: Mutex::new(met),
        }
    }

    /// The number of a recipient's zone. Where it has none it is the default's; what is written and is no zone is the error.
    pub(super) fn number(&self, recipient: &Recipient) -> Result<u16, String> {
        let Some(written) = recipient.role(|roles| &roles.timezone) else {
            return Ok(0);
        };
        let mut met = self.met.lock();
        let known = met.spellings.get(&written).copied();
        known
            .unwrap_or_else(|| met.look_up(&written))
            .ok_or(written)
    }

    /// The queues of all zones that were met, by number.
    pub(super) fn queues(&self) -> Vec<ZoneQueue> {
        let met = self.met.lock();
        met.zones
            .iter()
            .map(|zone| self.zoned.queue(zone))
            .collect()
    }

    /// The zones that have deliveries, in the order they open; `counts` has them by number.
    pub(super) fn shares(&self, counts: &[u64]) -> Vec<ZoneShare> {
        let mut shares: Vec<_> = self
            .queues()
            .into_iter()
            .zip(counts)
            .filter(|(_, n)| **n > 0)
            .map(|(queue, n)| ZoneShare {
                late: queue
                    .expires
                    .is_some_and(|expires| expires < self.zoned.now),
                zone: queue.zone,
                opens: queue.opens,
                to_send: *n,
            })
            .collect();
        shares.sort_by(|a, b| (a.opens, &a.zone).cmp(&(b.opens, &b.zone)));
        shares
    }

    /// The name of the zone of those whose own is not known.
    pub(super) fn default(&self) -> &str {
        self.zoned.default.name()
    }
}

impl Met {
    fn look_up(&mut self, written: &str) -> Option<u16> {
        let zone = (written.len() <= LONGEST_NAME)
            .then(|| Zone::named(written))
            .flatten();
        let number = zone.and_then(|zone| {
            let known = self.zones.iter().position(|met| met.name() == zone.name());
            let place = known.unwrap_or_else(|| {
                self.zones.push(zone);
                self.zones.len() - 1
            });
            u16::try_from(place).ok()
        });
        if self.spellings.len() < SPELLINGS {
            self.spellings.insert(written.to_owned(), number);
        }
        number
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::model::{FieldType, Roles, Schema, Value};

    fn at(zone: &str) -> Recipient {
        Recipient {
            source: "people".parse().unwrap(),
            schema: Arc::new(Schema {
                columns: vec![("tz".to_owned(), FieldType::String)],
                roles: Roles {
                    timezone: Some("tz".to_owned()),
                    ..Roles::default()
                },
            }),
            key: "A".to_owned(),
            values: vec![Value::from(zone)],
        }
    }

    fn table() -> ZoneTable {
        ZoneTable::new(Zoned {
            default: "Europe/Berlin".parse().unwrap(),
            local: Some("2026-12-01T09:00:00".parse().unwrap()),
            grace: Some(Period::hours(1)),
            not_before: None,
            now: "2026-12-01T05:00:00Z".parse().unwrap(),
        })
    }

    #[test]
    fn a_zone_has_one_number_however_it_is_written() {
        let table = table();
        assert_eq!(table.number(&at("")), Ok(0));
        assert_eq!(table.number(&at("Asia/Kathmandu")), Ok(1));
        assert_eq!(table.number(&at(" asia/kathmandu ")), Ok(1));
        assert_eq!(table.number(&at("europe/berlin")), Ok(0));
        for wrong in ["Mars", "../../etc/passwd", "Etc/Unknown", &"x".repeat(99)] {
            assert_eq!(table.number(&at(wrong)), Err(wrong.to_owned()));
        }
    }

    #[test]
    fn zones_open_at_their_local_time_and_the_missed_are_late() {
        let table = table();
        for zone in [
            "Pacific/Kiritimati",
            "Pacific/Pago_Pago",
            "Asia/Kathmandu",
            "Asia/Tokyo",
        ] {
            table.number(&at(zone)).unwrap();
        }
        let shown: Vec<_> = table
            .shares(&[5, 1, 2, 3, 0])
            .into_iter()
            .map(|share| {
                let opens = share.opens.unwrap().format("%d %H:%M");
                format!("{} {opens} {} {}", share.zone, share.to_send, share.late)
            })
            .collect();
        assert_eq!(
            shown,
            [
                "Pacific/Kiritimati 30 19:00 1 true",
                "Asia/Kathmandu 01 03:15 3 true",
                "Europe/Berlin 01 08:00 5 false",
                "Pacific/Pago_Pago 01 20:00 2 false",
            ]
        );
    }
}
