//! Sending, at a desk where nobody works.

use super::*;
use crate::{
    cli::{
        print::Captured,
        samples::{Sitting, plan, run},
    },
    control::{Reply, SendOffer},
    model::{Channel, RunState, Status},
};

fn offer() -> SendOffer {
    SendOffer {
        campaign: "billing/renewal".parse().unwrap(),
        label: OccurrenceName::label("manual").unwrap(),
        environment: None,
        safety: crate::model::Safety::default(),
        plan: Some(plan()),
        name: "Renewal reminder".to_owned(),
        ways: [(
            Channel::Email,
            "smtp smtp.example.org:587 (starttls)".to_owned(),
        )]
        .into(),
        sender: "Acme Energy <news@acme.example>".to_owned(),
        condition: Some("r.status == \"active\" &&\nr.age > 3".to_owned()),
        template: "campaigns/billing/renewal.md".to_owned(),
        subject: Some("Your plan renews".to_owned()),
        now: "2026-12-01T09:00:00+01:00".parse().unwrap(),
    }
}

fn arguments(line: &str) -> Arguments {
    use clap::{Args, FromArgMatches};
    let command = Arguments::augment_args(clap::Command::new("send"));
    let matches = command.get_matches_from(line.split(' '));
    Arguments::from_arg_matches(&matches).unwrap()
}

/// A desk that offers, and sends to the end.
fn desk() -> Sitting {
    desk_with(offer())
}

/// The same for somebody who does not look.
fn unplanned() -> Sitting {
    desk_with(SendOffer {
        plan: None,
        ..offer()
    })
}

fn desk_with(offer: SendOffer) -> Sitting {
    let sending = run(RunState::Sending, &[(Status::Queued, 1_234)]);
    Sitting::answering([Reply::Offer(Box::new(offer)), Reply::Run(Box::new(sending))])
        .and_driving(run(RunState::Finished, &[(Status::Sent, 1_234)]))
}

#[tokio::test]
async fn what_was_shown_and_confirmed_is_what_is_sent() {
    let (desk, mut captured) = (desk(), Captured::answering("1,234\n"));
    let exit = carry_out(
        arguments("send billing/renewal --as first"),
        &desk,
        &mut captured.output,
    )
    .await;
    assert_eq!(exit.unwrap(), Exit::Done);
    let asked = desk.asked.lock();
    let Command::Send { label, digest, .. } = &asked[1] else {
        panic!("{asked:?}")
    };
    assert_eq!((label.as_str(), digest.as_deref()), ("first", Some("d1")));
    let shown = captured.out();
    let (offer, summary) = shown.split_at(shown.find("Run 3").unwrap());
    insta::assert_snapshot!(offer, @r#"
    Renewal reminder (billing/renewal), occurrence manual
      way       email by smtp smtp.example.org:587 (starttls)
      from      Acme Energy <news@acme.example>
      subject   Your plan renews
      template  campaigns/billing/renewal.md
      audience  r.status == "active" &&
                r.age > 3
      time      2026-12-01 09:00 +01:00
      source    10,000 recipients, 2,000 match
      skipped   unsubscribed 766
      to send   1,234
      channels  email 1,234
      finishes  2026-12-01 09:20 +01:00 (main takes 1/1s)
      problem   line 7, column "email": "ada@example.org x" is not one

    KEY  CHANNEL  ADDRESS          VARIABLES
    A1   email    ada@example.org  first_name=Ada, contact=ada@example.org

    The run will be held, and nothing leaves until a person lets it go (`campanile status` says how):
      too_many: 1,234 to send, more than max_recipients
    "#);
    assert!(summary.contains("finished"));
    assert!(
        captured
            .err()
            .starts_with("Send 1,234 messages? Type 1234 to send, anything else to leave it: ")
    );
}

#[tokio::test]
async fn another_answer_sends_nothing() {
    for answer in ["yes\n", "\n", "", "12345\n"] {
        let (desk, mut captured) = (desk(), Captured::answering(answer));
        let exit = carry_out(arguments("send a"), &desk, &mut captured.output).await;
        assert_eq!(exit.unwrap(), Exit::Held);
        assert_eq!(desk.asked.lock().len(), 1);
        assert!(captured.err().ends_with("nothing was sent\n"));
    }
}

#[tokio::test]
async fn without_a_terminal_it_must_be_said_beforehand() {
    let (refusing, mut captured) = (desk(), Captured::plain());
    let failure = carry_out(arguments("send a"), &refusing, &mut captured.output)
        .await
        .unwrap_err();
    assert_eq!(failure.exit(), Exit::Usage);
    assert!(failure.to_string().contains("--yes"));
    assert_eq!(refusing.asked.lock().len(), 1);
}

#[tokio::test]
async fn what_nobody_looks_at_is_planned_once() {
    let (desk, mut captured) = (unplanned(), Captured::plain());
    let exit = carry_out(arguments("send a --yes"), &desk, &mut captured.output).await;
    assert_eq!(exit.unwrap(), Exit::Done);
    assert!(matches!(
        &desk.asked.lock()[..],
        [
            Command::OfferSend {
                unplanned: true,
                ..
            },
            Command::Send {
                digest: None,
                somebody: true,
                ..
            }
        ]
    ));
    let shown = captured.out();
    insta::assert_snapshot!(shown.split_at(shown.find("Run 3").unwrap()).0, @r#"
    Renewal reminder (billing/renewal), occurrence manual
      way       email by smtp smtp.example.org:587 (starttls)
      from      Acme Energy <news@acme.example>
      subject   Your plan renews
      template  campaigns/billing/renewal.md
      audience  r.status == "active" &&
                r.age > 3
      time      2026-12-01 09:00 +01:00
      source    10 recipients, 5 match
      skipped   cooldown 2
      to send   1,234
    "#);
}

#[tokio::test]
async fn an_audience_of_nobody_is_not_sent_to() {
    let mut offer = offer();
    offer.plan.as_mut().unwrap().totals.to_send = 0;
    let desk = Sitting::answering([Reply::Offer(Box::new(offer))]);
    let mut captured = Captured::plain();
    let exit = carry_out(arguments("send a"), &desk, &mut captured.output).await;
    assert_eq!(exit.unwrap(), Exit::Held);
    assert!(captured.err().starts_with("nobody would get it"));
}

#[tokio::test]
async fn a_test_send_is_one_message() {
    let desk = Sitting::answering([Reply::Done(
        "sent the message of A1 to me@example.org".to_owned(),
    )]);
    let mut captured = Captured::plain();
    let test = arguments("send a --to me@example.org --recipient A1");
    carry_out(test, &desk, &mut captured.output).await.unwrap();
    assert!(
        matches!(&desk.asked.lock()[..], [Command::TestSend { recipient: Some(key), .. }] if key == "A1")
    );
    assert_eq!(captured.out(), "sent the message of A1 to me@example.org\n");
}

#[tokio::test]
async fn programs_get_the_run_alone() {
    let (desk, mut captured) = (unplanned(), Captured::json());
    carry_out(arguments("send a --yes"), &desk, &mut captured.output)
        .await
        .unwrap();
    let run: serde_json::Value = serde_json::from_str(&captured.out()).unwrap();
    assert_eq!((&run["id"], &run["state"]), (&3.into(), &"finished".into()));
}
