//! What was sent before.

use rhai::Dynamic;

use super::{
    Function,
    call::{Call, Failure},
    function,
};
use crate::model::{Period, Recipient};

pub(super) const FUNCTIONS: &[Function] = &[
    function!("history", "last_sent(r)", (1, 1), "When the recipient last had this campaign; empty where never.",
    "last_sent(r) == ()" => "false", |call| {
        let found = with_recipient(call, |call, recipient| {
            let run = call.run()?;
            let found = run.history().last_sent(recipient).or_else(|error| call.fail(error))?;
            Ok(found.map(|moment| run.facts().zone.at(moment)))
        })?;
        Ok(found.map_or(Dynamic::UNIT, Dynamic::from))
    }),
    function!("history", "sent_count(r, period)", (2, 2), "How many messages of this campaign the recipient had within a period.",
    "sent_count(r, \"30d\") < 3" => "true", |call| {
        let text = call.text(1)?;
        let period: Period = match text.parse() {
            Ok(period) => period,
            Err(error) => return call.fail(format!("{:?}: {error}", text.as_str())),
        };
        let count = with_recipient(call, |call, recipient| {
            let run = call.run()?;
            let since = period.before(run.facts().now);
            run.history().sent_count(recipient, since).or_else(|error| call.fail(error))
        })?;
        Ok(i64::try_from(count).unwrap_or(i64::MAX).into())
    }),
];

fn with_recipient<T>(
    call: &Call<'_, '_>,
    look: impl FnOnce(&Call<'_, '_>, &Recipient) -> Result<T, Failure>,
) -> Result<T, Failure> {
    let record = call.record(0)?;
    match record.whole() {
        Some(recipient) => look(call, recipient),
        None => call.fail("the recipient was not read"),
    }
}
