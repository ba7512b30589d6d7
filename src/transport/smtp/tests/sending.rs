//! What goes well: messages arrive whole and once, pipelined or step by step, in any pieces.

use super::{
    smtp_server::{Reply, SmtpServer},
    smtp_sink::SmtpSink,
    *,
};

#[tokio::test]
async fn messages_arrive_whole_with_their_envelopes() {
    let server = SmtpServer::start(|s| s.extensions(&["PIPELINING", "SIZE 10000"])).await;
    let mut lane = to(&server).open().await.unwrap();
    let (fate, answers) = send_mails(&mut *lane, vec![mail(A), mail(B), mail(C)]).await;
    assert_eq!(fate, Fate::Open);
    assert_eq!(words(&answers[0]), "250 2.0.0 Ok: queued");
    let accepted = server.accepted();
    assert_eq!(server.recipients(), [A, B, C]);
    for (message, address) in accepted.iter().zip([A, B, C]) {
        assert_eq!(message.from, "news@acme.example");
        assert_eq!(message.bytes, mail(address).bytes);
        assert_eq!(message.parameters, format!("SIZE={}", message.bytes.len()));
    }
    lane.close().await;
    server.wait_closed().await;
    assert_eq!(server.commands().last().unwrap(), "QUIT");
    assert_eq!(server.connections(), 1);
}

#[tokio::test]
async fn batches_follow_each_other_on_one_connection() {
    let server = SmtpServer::start(|s| s).await;
    let mut lane = to(&server).open().await.unwrap();
    for _ in 0..3 {
        assert_eq!(
            send(&mut *lane, &[A, B]).await,
            (Fate::Open, vec!["accepted".to_owned(); 2])
        );
    }
    assert_eq!(send(&mut *lane, &[]).await.0, Fate::Open);
    assert_eq!((server.accepted().len(), server.connections()), (6, 1));
    assert!(!server.commands().contains(&"RSET".to_owned()));
}

#[tokio::test]
async fn a_server_without_pipelining_is_asked_step_by_step() {
    for script in [
        |s: smtp_server::Script| s.extensions(&["8BITMIME"]).swallows_pipelined(),
        |s: smtp_server::Script| s.only_helo().swallows_pipelined(),
    ] {
        let server = SmtpServer::start(script).await;
        let mut lane = to(&server).open().await.unwrap();
        assert_eq!(
            send(&mut *lane, &[A, B, C]).await,
            (Fate::Open, vec!["accepted".to_owned(); 3])
        );
        assert_eq!(server.recipients(), [A, B, C]);
    }
}

#[tokio::test]
async fn replies_in_one_byte_pieces_are_put_together() {
    for pipelining in ["PIPELINING", "8BITMIME"] {
        let script = |s: smtp_server::Script| {
            s.one_byte_pieces()
                .extensions(&[pipelining, "ENHANCEDSTATUSCODES"])
                .rcpt(B, Reply(550, "5.1.1 no\nsuch user"))
        };
        let server = SmtpServer::start(script).await;
        let mut lane = to(&server).open().await.unwrap();
        let (fate, answers) = send_mails(&mut *lane, vec![mail(A), mail(B), mail(C)]).await;
        assert_eq!(fate, Fate::Open);
        assert_eq!(
            answers.iter().map(in_short).collect::<Vec<_>>(),
            ["accepted", "permanent Recipient missing", "accepted"]
        );
        assert_eq!(words(&answers[1]), "550 5.1.1 no such user");
    }
}

#[tokio::test]
async fn large_messages_go_in_blocks() {
    let server = SmtpServer::start(|s| s).await;
    let mut lane = to(&server).open().await.unwrap();
    let mut large = mail(A);
    large
        .bytes
        .extend(b".line that begins with a dot\r\n".repeat(60_000));
    let (fate, answers) = send_mails(&mut *lane, vec![large.clone(), mail(B)]).await;
    assert_eq!((fate, answers.len()), (Fate::Open, 2));
    assert!(server.accepted()[0].bytes == large.bytes);
}

#[tokio::test]
async fn a_connection_carries_no_more_than_its_share() {
    let server = SmtpServer::start(|s| s).await;
    let transport = build(SmtpSettings {
        messages_per_connection: 5,
        ..settings(server.port())
    });
    let mut lane = transport.open().await.unwrap();
    assert_eq!(send(&mut *lane, &[A, B, C]).await.0, Fate::Open);
    let (fate, answers) = send(&mut *lane, &[A, B, C]).await;
    assert_eq!(
        (fate, answers),
        (
            Fate::Closed,
            ["accepted", "accepted", "not started"]
                .map(str::to_owned)
                .to_vec()
        )
    );
    assert_eq!(send(&mut *lane, &[A]).await.1, ["not started"]);
    lane.close().await;
    assert_eq!(server.commands().last().unwrap(), "QUIT");
}

#[tokio::test]
async fn a_lane_that_is_dropped_leaves_no_connection() {
    let server = SmtpServer::start(|s| s).await;
    let transport = to(&server);
    let mut lane = transport.open().await.unwrap();
    send(&mut *lane, &[A]).await;
    drop(lane);
    server.wait_closed().await;
    // Nor does one that is dropped in the middle of a message: what became of it is unknown.
    let silent =
        SmtpServer::start(|s| s.dot(smtp_server::When::Always, smtp_server::AcceptThenSilence))
            .await;
    let mut lane = to(&silent).open().await.unwrap();
    let (outcomes, mut answers) = Outcomes::channel();
    let mut one = std::iter::once((
        Permit::issue(DeliveryId(1), 1, &outcomes),
        Outgoing::Email(mail(A)),
    ));
    tokio::select! {
        _ = lane.send(&mut one) => panic!("it ended"),
        _ = silent.wait_accepted(1) => {}
    }
    drop(lane);
    silent.wait_closed().await;
    assert!(matches!(
        answers.recv().await.unwrap().answer,
        Answer::Unknown { .. }
    ));
}

#[tokio::test]
async fn postfixs_sink_takes_a_thousand() {
    let folder = tempfile::tempdir().unwrap();
    let Some(sink) = SmtpSink::start_dumping(folder.path()) else {
        return;
    };
    let transport = build(settings(sink.port()));
    let mut lane = transport.open().await.unwrap();
    for _ in 0..125 {
        let batch = transport.caps().batch;
        assert_eq!(
            send(&mut *lane, &vec![A; batch]).await.1,
            vec!["accepted"; batch]
        );
    }
    lane.close().await;
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1000);
}
