//! Approvals, plans that are made anew, and histories that are taken over.

use super::*;
use crate::{model::Approval, store::CampaignChange};

#[tokio::test]
async fn approvals_are_kept_with_who_and_when() {
    let ledger = Ledger::new().await;
    let run = ledger.sending(1).await;
    let approval = |who: &str, n| Approval {
        run,
        content_digest: "content".to_owned(),
        plan_digest: "plan".to_owned(),
        who: who.to_owned(),
        at: at(n),
    };
    for (who, n) in [("Ada", 1), ("Grace", 2)] {
        ledger
            .approve(ledger.lease, approval(who, n))
            .await
            .unwrap();
    }
    let kept = ledger.approvals(run).await.unwrap();
    assert_eq!(kept, [approval("Grace", 2), approval("Ada", 1)]);
    assert_eq!(ledger.approvals(RunId(99)).await.unwrap(), []);
}

#[tokio::test]
async fn a_plan_is_made_anew_under_the_same_number_until_it_is_sending() {
    let ledger = Ledger::new().await;
    let Opened::New(run) = ledger
        .open_run(ledger.lease, new_run("spring"), at(0))
        .await
        .unwrap()
    else {
        panic!("it is new");
    };
    let rows: Vec<_> = (0..3).map(row).collect();
    ledger.freeze(ledger.lease, run.id, rows).await.unwrap();
    let held = Seal {
        limit: Some("too_many".to_owned()),
        reason: Some("too_many".to_owned()),
        ..seal(RunState::Held)
    };
    ledger
        .seal(ledger.lease, run.id, held, at(1))
        .await
        .unwrap();
    let sealed = ledger.run(run.id).await.unwrap().unwrap();
    assert_eq!(sealed.limit.as_deref(), Some("too_many"));

    let other = NewRun {
        layout: "[\"a\"]".to_owned(),
        queues: vec![(Channel::Email, "other".parse().unwrap())],
        ..new_run("spring")
    };
    let again = ledger.replan(ledger.lease, run.id, other).await.unwrap();
    assert_eq!((again.id, again.state), (run.id, RunState::Planning));
    assert_eq!((again.limit, again.content_digest), (None, None));
    assert_eq!(ledger.counts(run.id).await.unwrap().all(), 0);
    ledger
        .freeze(ledger.lease, run.id, vec![row(0)])
        .await
        .unwrap();
    ledger
        .seal(ledger.lease, run.id, seal(RunState::Sending), at(2))
        .await
        .unwrap();
    ledger.check();
    let queues = ledger.queues().await.unwrap();
    assert_eq!(queues.len(), 1);
    assert_eq!(queues[0].transport.as_str(), "other");

    // What was claimed of it could meet the new plan: never once it was sending.
    ledger.to(run.id, RunState::Paused).await;
    let error = ledger
        .replan(ledger.lease, run.id, new_run("spring"))
        .await
        .unwrap_err();
    assert!(words(&error).contains("was sending"));
    assert_eq!(ledger.counts(run.id).await.unwrap().all(), 1);
}

#[tokio::test]
async fn a_history_is_taken_over_with_the_runs_that_have_not_begun() {
    let ledger = Ledger::new().await;
    let begun = ledger.sending(1).await;
    let seen = |id: &str| crate::store::Sighting {
        id: id.parse().unwrap(),
        name: id.to_owned(),
        source: None,
        topic: None,
        removal_grace: None,
        cooldown_group: None,
    };
    let both = vec![seen("spring"), seen("autumn")];
    ledger.sight(both, at(0)).await.unwrap();
    let stopped = CampaignChange::StoppedAt(Some(at(1)));
    let spring = "spring".parse().unwrap();
    ledger.change_campaign(&spring, stopped).await.unwrap();
    let Opened::New(waiting) = ledger
        .open_run(ledger.lease, new_run("spring"), at(0))
        .await
        .unwrap()
    else {
        panic!("it is new");
    };
    let (heir, was) = ("autumn".parse().unwrap(), vec!["spring".parse().unwrap()]);
    let take = async || {
        let was = was.clone();
        ledger.take_over_history(&heir, was, at(3)).await.unwrap()
    };
    assert_eq!(take().await, was);
    assert_eq!(take().await, []);
    let histories = ledger.histories().await.unwrap();
    assert_eq!(histories, [(heir.clone(), was[0].clone())]);
    let campaign = async |run| ledger.run(run).await.unwrap().unwrap().campaign;
    assert_eq!(campaign(begun).await, was[0]);
    assert_eq!(campaign(waiting.id).await, heir);
    let records = ledger.campaigns().await.unwrap();
    assert!(
        records
            .iter()
            .all(|record| record.stopped_at == Some(at(1)))
    );
    // Once: who lets it go again has the last word.
    let started = CampaignChange::StoppedAt(None);
    ledger.change_campaign(&heir, started).await.unwrap();
    take().await;
    assert_eq!(ledger.campaigns().await.unwrap()[0].stopped_at, None);
}

#[tokio::test]
async fn how_long_a_file_may_be_away_outlives_the_file() {
    let ledger = Ledger::new().await;
    let sighting = |grace: Option<&str>| crate::store::Sighting {
        id: "spring".parse().unwrap(),
        name: "Spring".to_owned(),
        source: None,
        topic: None,
        removal_grace: grace.map(|grace| grace.parse().unwrap()),
        cooldown_group: None,
    };
    let seen = ledger.sight(vec![sighting(Some("3d"))], at(0)).await;
    let id = seen.unwrap()[0].id.clone();
    let vanished = CampaignChange::VanishedAt(Some(at(1)));
    ledger.change_campaign(&id, vanished).await.unwrap();
    let gone = &ledger.campaigns().await.unwrap()[0];
    assert_eq!(gone.removal_grace.unwrap().to_string(), "3d");
    assert_eq!(gone.vanished_at, Some(at(1)));
    // A broken file says nothing about it.
    let back = ledger.sight(vec![sighting(None)], at(2)).await.unwrap();
    assert_eq!(back[0].removal_grace, gone.removal_grace);
    assert_eq!(back[0].vanished_at, None);
}

#[tokio::test]
async fn what_is_too_old_expires_but_for_what_is_on_the_wire() {
    let ledger = Ledger::new().await;
    let run = ledger.sending(4).await;
    let (wire, later) = (DeliveryId::new(run, 0), DeliveryId::new(run, 1));
    let _permit = ledger.permit(wire, 1).await;
    {
        let _permit = ledger.permit(later, 1).await;
        ledger.done(later, Outcome::Deferred(at(50)), 2).await;
    }
    let expire = async || {
        ledger
            .expire_rows(run, "too old", 100, at(3))
            .await
            .unwrap()
    };
    assert_eq!((expire().await, expire().await), (3, 0));
    let counts = ledger.counts(run).await.unwrap();
    assert_eq!(
        (counts.of(Status::Expired), counts.of(Status::Sending)),
        (3, 1)
    );
    let filter = crate::store::DeliveryFilter {
        run: Some(run),
        statuses: vec![Status::Expired],
        limit: 9,
        ..crate::store::DeliveryFilter::default()
    };
    let expired = ledger.deliveries(filter).await.unwrap();
    assert!(
        expired
            .iter()
            .all(|one| one.reason.as_deref() == Some("too old"))
    );
    ledger.done(wire, Outcome::Sent, 4).await;
    assert_eq!(ledger.counts(run).await.unwrap().open(), 0);
    let payloads: i64 = ledger.look("SELECT count(*) FROM payload");
    assert_eq!(payloads, 0);
    ledger.check();
    // What is over stays as it is.
    ledger.to(run, RunState::Finished).await;
    assert_eq!(expire().await, 0);
}
