//! Servers that hang up, fall silent, or talk nonsense: the message concerned gets the true answer, what stood behind it is not
//! started, and the lane says that it is done.

use futures::{future::join_all, join};

use super::{
    smtp_server::{
        AcceptThenClose, AcceptThenSilence, Act, Close, Raw, Reply, Script, Silence, SmtpServer,
        Stall, When::Always,
    },
    *,
};

const GARBAGE: Act = Raw(b"HTTP/1.1 400 Bad Request\r\n\r\n");

/// What breaks a connection in the middle.
fn breaks() -> [Act; 6] {
    [
        Close,
        Silence,
        GARBAGE,
        Raw(b"250-never ending\r\n25"),
        Raw(b"250-a\r\n550 b\r\n"),
        Raw(&[b'2'; 9000]),
    ]
}

/// Sends A, B and C, pipelined and step by step, to servers where something breaks for B.
async fn broken_for_b(script: impl Fn(Script) -> Script, expected: [&str; 3]) {
    let send_to = |server: SmtpServer| async move {
        let mut lane = impatient(&server).open().await.unwrap();
        let answers = send(&mut *lane, &[A, B, C]).await;
        let more = send(&mut *lane, &[A]).await;
        lane.close().await;
        server.wait_closed().await;
        assert!(!server.recipients().contains(&C.to_owned()));
        assert_eq!(more, (Fate::Closed, vec!["not started".to_owned()]));
        answers
    };
    let pipelined = SmtpServer::start(|s| script(s.extensions(&["PIPELINING"]))).await;
    let by_steps = SmtpServer::start(|s| script(s.extensions(&["8BITMIME"]))).await;
    let expected = (Fate::Closed, expected.map(str::to_owned).to_vec());
    let answers = join!(send_to(pipelined), send_to(by_steps));
    assert_eq!(answers, (expected.clone(), expected));
}

#[tokio::test]
async fn before_the_message_was_written_nothing_has_started() {
    let cases = breaks().map(|act| async move {
        let expected = ["accepted", "not started", "not started"];
        join!(
            broken_for_b(|s| s.mail(2, act.clone()), expected),
            broken_for_b(|s| s.rcpt(B, act.clone()), expected),
            broken_for_b(|s| s.data(B, act.clone()), expected),
        );
    });
    join_all(cases).await;
}

#[tokio::test]
async fn behind_the_dot_nobody_knows() {
    let never_said = [
        AcceptThenClose,
        AcceptThenSilence,
        Reply(354, "more"),
        Raw(b"2"),
    ];
    let cases = breaks()
        .into_iter()
        .chain(never_said)
        .map(|act| async move {
            let expected = ["accepted", "unknown", "not started"];
            broken_for_b(|s| s.dot(B, act.clone()), expected).await;
        });
    join_all(cases).await;
}

#[tokio::test]
async fn a_shutdown_in_the_middle_says_whose_it_is() {
    let act = Reply(421, "4.3.2 shutting down").then_close();
    let expected = ["accepted", "temporary Transport", "not started"];
    broken_for_b(|s| s.mail(2, act.clone()), expected).await;
    broken_for_b(|s| s.rcpt(B, act.clone()), expected).await;
    broken_for_b(|s| s.data(B, act.clone()), expected).await;
    broken_for_b(|s| s.dot(B, act.clone()), expected).await;
}

#[tokio::test]
async fn an_accepted_message_stays_accepted_when_the_server_hangs_up_behind_it() {
    broken_for_b(
        |s| s.dot(A, Reply(250, "2.0.0 ok").then_close()),
        ["accepted", "not started", "not started"],
    )
    .await;
}

#[tokio::test]
async fn a_refusal_stays_one_when_the_rest_breaks_off() {
    broken_for_b(
        |s| s.rcpt(B, Reply(550, "5.1.1 no").then_close()),
        ["accepted", "permanent Recipient missing", "not started"],
    )
    .await;
    broken_for_b(
        |s| s.mail(2, Reply(451, "4.3.0 no").then_close()),
        ["accepted", "temporary Transport", "not started"],
    )
    .await;
}

#[tokio::test]
async fn replies_that_nobody_asked_for_never_count_for_a_message() {
    // All replies slip by one: none may be taken for the answer to a message.
    for act in [
        Raw(b"250 ok\r\n250 ok\r\n"),
        Raw(b"250 ok\r\n354 go on\r\n250 Ok: queued\r\n"),
    ] {
        let server = SmtpServer::start(|s| s.rcpt(A, act)).await;
        let mut lane = impatient(&server).open().await.unwrap();
        assert_eq!(
            send(&mut *lane, &[A, B]).await,
            (Fate::Closed, vec!["not started".to_owned(); 2])
        );
    }
    let server = SmtpServer::start(|s| s.data(A, Raw(b"354 go on\r\n250 Ok: queued\r\n"))).await;
    let mut lane = impatient(&server).open().await.unwrap();
    assert_eq!(
        send(&mut *lane, &[A, B]).await,
        (Fate::Closed, vec!["not started".to_owned(); 2])
    );
}

#[tokio::test]
async fn an_envelope_that_is_refused_in_part_sends_no_empty_message() {
    // MAIL refused, RCPT accepted, 354: a lone dot would be mail.
    let script = |s: Script| {
        s.mail(Always, Reply(550, "5.7.1 no"))
            .rcpt(Always, Reply(250, "ok"))
            .data(Always, Reply(354, "go on"))
    };
    let server = SmtpServer::start(script).await;
    let mut lane = impatient(&server).open().await.unwrap();
    assert_eq!(
        send(&mut *lane, &[A, B]).await.1,
        ["permanent Transport", "not started"]
    );
    drop(lane);
    server.wait_closed().await;
    assert!(server.accepted().is_empty() && !server.commands().contains(&".".to_owned()));
}

#[tokio::test]
async fn a_connection_that_was_ended_while_it_was_idle_burns_nobody() {
    for act in [
        Reply(250, "ok").then_close(),
        Raw(b"250 ok\r\n421 4.4.2 idle too long\r\n").then_close(),
    ] {
        let server = SmtpServer::start(|s| s.dot(A, act)).await;
        let mut lane = to(&server).open().await.unwrap();
        assert_eq!(send(&mut *lane, &[A]).await.1, ["accepted"]);
        server.wait_closed().await;
        assert_eq!(
            send(&mut *lane, &[B, C]).await,
            (Fate::Closed, vec!["not started".to_owned(); 2])
        );
    }
}

#[tokio::test]
async fn a_server_that_speaks_before_the_message_is_over() {
    let mut large = mail(A);
    large.bytes.extend(b"line\r\n".repeat(2_000_000));
    for (act, expected) in [
        (
            Reply(552, "5.3.4 too big").then_close(),
            "permanent Message",
        ),
        (Close, "not started"),
        (Silence, "accepted"),
    ] {
        let silent = matches!(act, Silence);
        let server = SmtpServer::start(|s| if silent { s } else { s.content(A, act) }).await;
        let mut lane = to(&server).open().await.unwrap();
        let (_, answers) = send_mails(&mut *lane, vec![large.clone()]).await;
        // A reset by the other side may throw away what it said before.
        let answer = in_short(&answers[0]);
        assert!(
            answer == expected || (answer == "not started" && !silent),
            "{answers:?}"
        );
    }
}

#[tokio::test]
async fn a_message_that_can_not_be_written_on() {
    let mut large = mail(A);
    large.bytes.extend(b"line\r\n".repeat(4_000_000));
    // It stops reading in the middle, with a word or without: what it has is never whole.
    let refusal = Reply(552, "5.3.4 too big").then(Stall);
    for (act, expected) in [(refusal, "permanent Message"), (Stall, "not started")] {
        let server = SmtpServer::start(|s| s.content(A, act)).await;
        let mut lane = impatient(&server).open().await.unwrap();
        let (fate, answers) = send_mails(&mut *lane, vec![large.clone(), mail(B)]).await;
        assert_eq!(fate, Fate::Closed);
        let answers: Vec<_> = answers.iter().map(in_short).collect();
        assert_eq!(answers, [expected, "not started"]);
    }
}

#[tokio::test]
async fn pipelining_that_is_claimed_and_broken_is_given_up() {
    let server = SmtpServer::start(Script::swallows_pipelined).await;
    let transport = impatient(&server);
    let mut lane = transport.open().await.unwrap();
    assert_eq!(
        send(&mut *lane, &[A, B]).await,
        (Fate::Closed, vec!["not started".to_owned(); 2])
    );
    let mut lane = transport.open().await.unwrap();
    assert_eq!(
        send(&mut *lane, &[A, B]).await,
        (Fate::Open, vec!["accepted".to_owned(); 2])
    );

    let sorry = Reply(
        503,
        "5.5.0 <DATA>: Data command rejected: Improper use of SMTP command pipelining",
    );
    let server = SmtpServer::start(|s| s.data(1, sorry)).await;
    let transport = impatient(&server);
    let mut lane = transport.open().await.unwrap();
    assert_eq!(
        send(&mut *lane, &[A, B]).await,
        (
            Fate::Closed,
            vec!["temporary Transport".to_owned(), "not started".to_owned()]
        )
    );
    assert!(transport.distrust.holds());
}

#[tokio::test]
async fn an_answer_may_take_its_time() {
    let server = SmtpServer::start(|s| s.dot(A, Reply(250, "2.0.0 ok").after(SHORT * 2))).await;
    let deadlines = Deadlines {
        dot: Duration::from_mins(10),
        ..Deadlines::default().capped(SHORT)
    };
    let mut lane = build(SmtpSettings {
        deadlines,
        ..settings(server.port())
    })
    .open()
    .await
    .unwrap();
    assert_eq!(
        send(&mut *lane, &[A, B]).await,
        (Fate::Open, vec!["accepted".to_owned(); 2])
    );
}
