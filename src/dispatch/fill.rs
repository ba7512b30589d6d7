//! Some deliveries of one queue: claimed, and rendered on a thread for such work.

use std::{panic::AssertUnwindSafe, sync::Arc};

use chrono::TimeDelta;

use crate::{
    model::{HoldReason, Outgoing, SkipReason},
    store::{Begin, Claimed, Done, Outcome, StoreError},
};

use super::{
    Shared,
    claims::Position,
    flight::{QueueState, Ready},
    pace::Admitted,
};

/// What may be claimed.
pub(super) enum Allowed {
    /// Up to so many.
    As(usize),
    /// As many as the campaign's pace has admitted.
    By(Vec<Admitted>),
    /// Nothing: whether there is something is all that is asked.
    ToLook,
}

/// What came of it.
pub(super) struct Filled {
    pub(super) queue: Arc<QueueState>,
    pub(super) made: Vec<Ready>,
    /// How large the largest message is.
    pub(super) size: usize,
    /// How many were claimed (or were seen); 0: there is nothing now.
    pub(super) claimed: Result<usize, StoreError>,
}

/// Claims and renders as many deliveries as are allowed.
pub(super) async fn fill(shared: &Shared, queue: Arc<QueueState>, allowed: Allowed) -> Filled {
    let (limit, admitted) = match allowed {
        Allowed::As(limit) => (limit, Vec::new()),
        Allowed::By(admitted) => (admitted.len(), admitted),
        Allowed::ToLook => {
            return Filled {
                claimed: look(shared, &queue).await,
                queue,
                made: Vec::new(),
                size: 0,
            };
        }
    };
    let mut filled = Filled {
        queue: queue.clone(),
        made: Vec::new(),
        size: 0,
        claimed: Ok(0),
    };
    let claims = match claim(shared, &queue, limit).await {
        Ok(claims) => claims,
        Err(error) => {
            filled.claimed = Err(error);
            return filled;
        }
    };
    filled.claimed = Ok(claims.len());
    if claims.is_empty() {
        return filled;
    }
    let (mut made, failed) = render(shared, &queue, claims).await;
    let mut places = admitted.into_iter();
    for message in &mut made {
        message.admitted = places.next();
    }
    drop(places);
    record_failures(shared, &queue, failed).await;
    filled.size = made.iter().map(size).max().unwrap_or(0);
    filled.made = made;
    filled
}

/// Whether there is something to claim.
async fn look(shared: &Shared, queue: &QueueState) -> Result<usize, StoreError> {
    let (store, now, id) = (&shared.store, shared.clock.now(), queue.queue.id);
    if queue.claims.may_claim_due(now) {
        let due = store.claim_due(id, now, 1).await?;
        if !due.is_empty() {
            return Ok(due.len());
        }
    }
    let Position::Behind(after) = queue.claims.position(now) else {
        return Ok(0);
    };
    let next = store.claim(id, after, 1).await?;
    if next.is_empty() {
        queue.claims.exhausted();
    }
    Ok(next.len())
}

/// Those whose time has come, else the next ones in order.
async fn claim(
    shared: &Shared,
    queue: &QueueState,
    limit: usize,
) -> Result<Vec<Claimed>, StoreError> {
    let (store, now) = (&shared.store, shared.clock.now());
    let mut claims = Vec::new();
    if queue.claims.may_claim_due(now) {
        let due = store.claim_due(queue.queue.id, now, limit).await?;
        claims = queue.claims.claimed(due, false);
    }
    if claims.is_empty()
        && let Position::Behind(after) = queue.claims.position(now)
    {
        let next = store.claim(queue.queue.id, after, limit).await?;
        if next.is_empty() {
            queue.claims.exhausted();
        }
        claims = queue.claims.claimed(next, true);
    }
    Ok(claims)
}

/// Why a delivery that was claimed does not go on.
struct Failure {
    claimed: Claimed,
    reason: SkipReason,
    words: Option<String>,
}

async fn render(
    shared: &Shared,
    queue: &Arc<QueueState>,
    claims: Vec<Claimed>,
) -> (Vec<Ready>, Vec<Failure>) {
    let (queue, now) = (queue.clone(), shared.clock.now());
    let rendering = tokio::task::spawn_blocking(move || {
        let (mut made, mut failed) = (Vec::with_capacity(claims.len()), Vec::new());
        let guard = queue.work.guard.load_full();
        for claimed in claims {
            if !guard.allows(queue.queue.channel, &claimed.address) {
                failed.push(Failure {
                    claimed,
                    reason: SkipReason::Safety,
                    words: None,
                });
                continue;
            }
            // A panic costs one recipient, not the sending of all others.
            let rendered = std::panic::catch_unwind(AssertUnwindSafe(|| {
                queue
                    .work
                    .render(&claimed, queue.queue.channel, now, &guard)
            }));
            match rendered.unwrap_or_else(|_| Err("the template made the program panic".to_owned()))
            {
                Ok(outgoing) => made.push(Ready {
                    begin: Begin {
                        delivery: claimed.id,
                        recipient: claimed.recipient,
                        address_hash: guard.hash(claimed.address_hash),
                        message_id: queue.work.message_id(&claimed, queue.queue.channel),
                    },
                    outgoing,
                    attempts: claimed.attempts,
                    first_try: claimed.first_try,
                    queue: queue.clone(),
                    admitted: None,
                    guard: guard.clone(),
                }),
                Err(words) => failed.push(Failure {
                    claimed,
                    reason: SkipReason::RenderError,
                    words: Some(words),
                }),
            }
        }
        (made, failed)
    });
    rendering.await.expect("rendering does not panic")
}

fn size(message: &Ready) -> usize {
    match &message.outgoing {
        Outgoing::Email(mail) => mail.bytes.len(),
    }
}

/// A recipient whose message can't be made, or may not leave, is skipped; too many that can't be made hold the run, as script
/// errors do.
async fn record_failures(shared: &Shared, queue: &Arc<QueueState>, failed: Vec<Failure>) {
    let most = queue.work.loaded.campaign.audience.max_script_errors;
    let mut failed = failed.into_iter();
    while let Some(failure) = failed.next() {
        let reason = failure.reason;
        if reason == SkipReason::RenderError {
            tracing::warn!(run = %queue.queue.run, delivery = %failure.claimed.id, error = failure.words, "not rendered");
        }
        let done = Done {
            delivery: failure.claimed.id,
            outcome: Outcome::Skipped(reason),
            reason: failure.words,
            suppress: false,
        };
        shared.journal.record(done, queue.clone());
        if reason != SkipReason::RenderError {
            continue;
        }
        let errors = queue.work.count_error();
        if errors > most && !queue.work.run.released {
            let words = format!("{errors} messages could not be made");
            shared
                .runs
                .hold(queue.queue.run, HoldReason::ScriptErrors, &words)
                .await;
            // The others that were claimed with it stay queued: nobody is skipped for a mistake that holds the run.
            let later = shared.clock.now() + TimeDelta::seconds(1);
            for spared in failed.by_ref() {
                queue.claims.give_back(spared.claimed.id, later);
            }
        }
    }
}
