//! The zones of a plan's recipients, where they count.

use super::{moment, thousands};
use crate::plan::{Plan, ZoneShare};

/// What is to be said about them, as facts.
pub(in crate::cli) fn zones(plan: &Plan) -> Vec<(&'static str, String)> {
    let mut facts = Vec::new();
    if let (Some(first), Some(last)) = (plan.zones.first(), plan.zones.last()) {
        let words = match plan.zones.len() {
            1 => zone(first),
            n => format!("{n}, from {} to {}", zone(first), zone(last)),
        };
        facts.push(("zones", words));
    }
    let late = plan.zones.iter().filter(|zone| zone.late);
    let late: u64 = late.map(|zone| zone.to_send).sum();
    if late > 0 {
        let words = format!(
            "{}: their time has passed, they would expire",
            thousands(late)
        );
        facts.push(("too late", words));
    }
    if plan.unknown_zones > 0 {
        let words = format!("{}: the default counts", thousands(plan.unknown_zones));
        facts.push(("unknown zones", words));
    }
    facts
}

fn zone(share: &ZoneShare) -> String {
    match share.opens {
        Some(opens) => format!("{} ({})", moment(opens), share.zone),
        None => share.zone.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::samples::plan;

    #[test]
    fn the_first_and_the_last_and_what_is_wrong() {
        let mut plan = plan();
        assert_eq!(zones(&plan), []);
        let share = |zone: &str, opens: &str, late| ZoneShare {
            zone: zone.to_owned(),
            opens: Some(opens.parse().unwrap()),
            to_send: 7,
            late,
        };
        plan.zones = vec![
            share("Pacific/Kiritimati", "2026-11-30T19:00:00Z", true),
            share("Europe/Berlin", "2026-12-01T08:00:00Z", false),
        ];
        plan.unknown_zones = 1_000;
        let said = zones(&plan)
            .into_iter()
            .map(|(label, words)| format!("{label}: {words}"));
        assert_eq!(
            said.collect::<Vec<_>>(),
            [
                "zones: 2, from 2026-11-30 19:00:00 UTC (Pacific/Kiritimati) to 2026-12-01 08:00:00 UTC (Europe/Berlin)",
                "too late: 7: their time has passed, they would expire",
                "unknown zones: 1,000: the default counts",
            ]
        );
    }
}
