//! What a server refuses, and that it is the fault of nobody else.

use super::{
    smtp_server::{Reply, SmtpServer, When::Always},
    *,
};

/// A batch of four with PIPELINING and without; nothing but the answers may differ.
async fn both_ways(
    script: impl Fn(smtp_server::Script) -> smtp_server::Script,
    expected: [&str; 4],
) -> [SmtpServer; 2] {
    let mut servers = Vec::new();
    for extensions in [["PIPELINING", "8BITMIME"].as_slice(), &["8BITMIME"]] {
        let server = SmtpServer::start(|s| script(s.extensions(extensions))).await;
        let mut lane = to(&server).open().await.unwrap();
        let (fate, answers) = send(&mut *lane, &[A, B, C, D]).await;
        assert_eq!(
            (fate, answers),
            (Fate::Open, expected.map(str::to_owned).to_vec()),
            "{extensions:?}"
        );
        // The connection is in order afterwards.
        assert_eq!(
            send(&mut *lane, &["e@x.example"]).await,
            (Fate::Open, vec!["accepted".to_owned()]),
            "{extensions:?}"
        );
        let accepted = [A, B, C, D]
            .into_iter()
            .zip(expected)
            .filter(|(_, answer)| *answer == "accepted");
        let expected: Vec<&str> = accepted
            .map(|(address, _)| address)
            .chain(["e@x.example"])
            .collect();
        assert_eq!(server.recipients(), expected, "{extensions:?}");
        assert_eq!(server.connections(), 1);
        servers.push(server);
    }
    servers.try_into().ok().unwrap()
}

#[tokio::test]
async fn one_recipient_refused_stops_nobody_else() {
    for eager in [false, true] {
        let script = |s: smtp_server::Script| {
            let s = s
                .rcpt(B, Reply(550, "5.1.1 no such user"))
                .rcpt(D, Reply(450, "4.2.1 busy"));
            if eager { s.eager_354() } else { s }
        };
        let expected = [
            "accepted",
            "permanent Recipient missing",
            "accepted",
            "temporary Recipient",
        ];
        let [pipelined, by_steps] = both_ways(script, expected).await;
        // A DATA that got 354 all the same is ended by a lone dot, and only then comes RSET.
        let commands = pipelined.commands();
        assert_eq!(
            commands.iter().filter(|line| *line == ".").count(),
            if eager { 2 } else { 0 }
        );
        let before_reset = commands.iter().position(|line| line == "RSET").unwrap() - 1;
        assert_eq!(commands[before_reset], if eager { "." } else { "DATA" });
        let commands = by_steps.commands();
        assert!(!commands.contains(&".".to_owned()));
        assert_eq!(commands.iter().filter(|line| *line == "RSET").count(), 2);
    }
}

#[tokio::test]
async fn every_recipient_refused_with_354_given_anyway() {
    let script = |s: smtp_server::Script| {
        [A, B, C, D].into_iter().fold(s.eager_354(), |s, to| {
            s.rcpt(to, Reply(551, "5.7.1 not for you"))
        })
    };
    both_ways(script, ["permanent Recipient"; 4]).await;
}

#[tokio::test]
async fn a_sender_refused_is_the_transports_trouble() {
    let script = |s: smtp_server::Script| {
        s.mail(2, Reply(451, "4.3.0 later"))
            .mail(3, Reply(553, "5.7.1 sender not owned"))
            .eager_354()
    };
    both_ways(
        script,
        [
            "accepted",
            "temporary Transport",
            "permanent Transport",
            "accepted",
        ],
    )
    .await;
}

#[tokio::test]
async fn data_refused() {
    let script = |s: smtp_server::Script| {
        s.data(A, Reply(451, "4.7.1 later"))
            .data(C, Reply(554, "5.7.1 no"))
    };
    both_ways(
        script,
        [
            "temporary Message",
            "accepted",
            "permanent Message",
            "accepted",
        ],
    )
    .await;
}

#[tokio::test]
async fn a_message_refused_behind_its_dot() {
    let script = |s: smtp_server::Script| {
        s.dot(A, Reply(451, "4.7.1 later"))
            .dot(B, Reply(554, "5.7.1 spam"))
            .dot(D, Reply(550, "5.1.1 unknown"))
    };
    let expected = [
        "temporary Message",
        "permanent Message",
        "accepted",
        "permanent Recipient missing",
    ];
    both_ways(script, expected).await;
}

#[tokio::test]
async fn a_quota_is_the_transports_and_says_when_again() {
    let server =
        SmtpServer::start(|s| s.rcpt(A, Reply(452, "4.5.3 too many, try again in 120 seconds")))
            .await;
    let mut lane = to(&server).open().await.unwrap();
    let (_, answers) = send_mails(&mut *lane, vec![mail(A)]).await;
    let Answer::Refused {
        permanent: false,
        retry_after: Some(after),
        ..
    } = &answers[0]
    else {
        panic!("{answers:?}")
    };
    assert_eq!(after.as_secs(), 120);
}

#[tokio::test]
async fn what_the_server_would_not_take_is_not_sent() {
    let server = SmtpServer::start(|s| s.extensions(&["PIPELINING", "SIZE 100"])).await;
    let mut lane = to(&server).open().await.unwrap();
    let mut large = mail(B);
    large.bytes.extend([b'a'; 100]);
    let foreign = OutgoingEmail {
        to: "jürgen@x.example".parse().unwrap(),
        ..mail(A)
    };
    let (fate, answers) = send_mails(&mut *lane, vec![mail(A), large, foreign, mail(C)]).await;
    let answers: Vec<_> = answers.iter().map(in_short).collect();
    assert_eq!(
        (fate, answers.as_slice()),
        (
            Fate::Open,
            [
                "accepted",
                "permanent Message",
                "permanent Recipient",
                "accepted"
            ]
            .map(str::to_owned)
            .as_slice()
        )
    );
    assert_eq!(
        server
            .commands()
            .iter()
            .filter(|line| line.starts_with("MAIL"))
            .count(),
        2
    );
}

#[tokio::test]
async fn addresses_in_other_scripts_are_sent_where_the_server_can() {
    let server = SmtpServer::start(|s| s).await;
    let mut lane = to(&server).open().await.unwrap();
    let foreign = OutgoingEmail {
        to: "jürgen@müller.example".parse().unwrap(),
        ..mail(A)
    };
    let (_, answers) = send_mails(&mut *lane, vec![foreign]).await;
    assert_eq!(in_short(&answers[0]), "accepted");
    assert_eq!(server.recipients(), ["jürgen@xn--mller-kva.example"]);
    assert_eq!(server.accepted()[0].parameters, "BODY=8BITMIME SMTPUTF8");
}

#[tokio::test]
async fn reset_refused_ends_the_connection_and_burns_nobody() {
    let server =
        SmtpServer::start(|s| s.rcpt(A, Reply(550, "5.7.1 no")).rset(Reply(500, "what?"))).await;
    let mut lane = to(&server).open().await.unwrap();
    let (fate, answers) = send(&mut *lane, &[A, B, C]).await;
    assert_eq!(
        (fate, answers),
        (
            Fate::Closed,
            ["permanent Recipient", "not started", "not started"]
                .map(str::to_owned)
                .to_vec()
        )
    );
}

#[tokio::test]
async fn a_login_asked_for_in_the_middle_is_the_transports_trouble() {
    let server =
        SmtpServer::start(|s| s.mail(Always, Reply(530, "5.7.0 Authentication required"))).await;
    let mut lane = to(&server).open().await.unwrap();
    assert_eq!(
        send(&mut *lane, &[A, B]).await.1,
        ["permanent Transport", "permanent Transport"]
    );
    assert!(server.accepted().is_empty());
}
