//! What the ledger has about one person: found, handed over, erased.

use rusqlite::{Connection, OptionalExtension, params};

use super::{
    again,
    codes::{At, Id},
    counters::Moves,
    error::Result,
    meta, questions,
};
use crate::{
    model::{AddressHash, DeliveryId, RecipientHash, Status, Subject},
    store::{Forgotten, Lease, Person, PersonDelivery},
};

use chrono::{DateTime, Utc};

/// How many deliveries one look passes.
const LOOK: usize = 20_000;

/// What is left of the reason of a delivery that was still to be sent.
const FORGOTTEN: &str = "the person was forgotten";

/// Deliveries of the person behind a number, and how far was looked; `None`: to the end. The address's own table does not have
/// those that were never to be sent, so every delivery is looked at, in their order.
pub(super) fn find(
    db: &Connection,
    person: &Person,
    after: DeliveryId,
) -> Result<(Vec<DeliveryId>, Option<DeliveryId>)> {
    let mut look = db.prepare_cached(
        "SELECT id, address_hash, recipient_hash FROM delivery WHERE id > ?1 ORDER BY id LIMIT ?2",
    )?;
    let mut rows = look.query(params![Id(after), LOOK as i64])?;
    let (mut found, mut passed, mut last) = (Vec::new(), 0, after);
    while let Some(row) = rows.next()? {
        passed += 1;
        last = row.get::<_, Id<DeliveryId>>(0)?.0;
        let address: Option<Id<AddressHash>> = row.get(1)?;
        if address.is_some_and(|address| address.0 == person.address)
            || person
                .recipients
                .contains(&row.get::<_, Id<RecipientHash>>(2)?.0)
        {
            found.push(last);
        }
    }
    Ok((found, (passed == LOOK).then_some(last)))
}

/// One delivery with all that is stored of it.
pub(super) fn delivery(db: &Connection, id: DeliveryId) -> Result<Option<PersonDelivery>> {
    let Some(delivery) = questions::one(db, id)? else {
        return Ok(None);
    };
    let mut rest = db.prepare_cached(
        "SELECT d.recipient_hash, d.first_try, payload.bytes, run.layout
         FROM delivery d JOIN run ON run.id = d.run LEFT JOIN payload ON payload.id = d.id WHERE d.id = ?1",
    )?;
    let rest = rest.query_row([Id(id)], |row| {
        Ok(PersonDelivery {
            delivery,
            recipient: row.get::<_, Id<_>>(0)?.0,
            first_try: row.get::<_, Option<At>>(1)?.map(|at| at.0),
            payload: row.get(2)?,
            layout: row.get(3)?,
        })
    });
    Ok(rest.optional()?)
}

/// Erases what deliveries have of their person: those that were still to be sent are cancelled first, those on the wire stay as they
/// are. The hashes stay.
pub(super) fn forget(
    db: &Connection,
    lease: Lease,
    ids: &[DeliveryId],
    now: DateTime<Utc>,
) -> Result<Forgotten> {
    meta::check(db, lease)?;
    let mut erase = db.prepare_cached(
        "UPDATE delivery SET key = '', address = '', message_id = NULL, detail = ?2 WHERE id = ?1",
    )?;
    let mut drop_payload = db.prepare_cached("DELETE FROM payload WHERE id = ?1")?;
    let mut on_the_wire =
        db.prepare_cached("SELECT EXISTS (SELECT 1 FROM intent WHERE id = ?1)")?;
    let mut had_any =
        db.prepare_cached("SELECT key <> '' OR address <> '' FROM delivery WHERE id = ?1")?;
    let (mut moves, mut forgotten) = (Moves::default(), Forgotten::default());
    for &id in ids {
        if on_the_wire.query_row([Id(id)], |row| row.get(0))? {
            forgotten.on_the_wire += 1;
            continue;
        }
        let open = [Status::Queued, Status::Deferred];
        let cancelled = again::settle(db, id, &open, Status::Cancelled.into(), now, &mut moves)?;
        forgotten.cancelled += u64::from(cancelled);
        let had: Option<bool> = had_any.query_row([Id(id)], |row| row.get(0)).optional()?;
        forgotten.erased += u64::from(had == Some(true));
        erase.execute(params![Id(id), cancelled.then_some(FORGOTTEN)])?;
        drop_payload.execute([Id(id)])?;
    }
    moves.apply(db)?;
    Ok(forgotten)
}

/// Erases how subjects were written on the suppression list; that they are on it stays.
pub(super) fn forget_shown(db: &Connection, lease: Lease, subjects: &[Subject]) -> Result<u64> {
    meta::check(db, lease)?;
    let mut erase =
        db.prepare_cached("UPDATE suppression SET shown = '' WHERE hash = ?1 AND shown <> ''")?;
    let mut erased = 0;
    for subject in subjects {
        erased += erase.execute([&subject.bytes()[..]])? as u64;
    }
    Ok(erased)
}
