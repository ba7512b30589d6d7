//! From nothing to a conversation: greeting, EHLO, STARTTLS, certificates, login.

use futures::future::join_all;

use super::{
    smtp_server::{Close, Raw, Reply, Script, Silence, SmtpServer},
    *,
};
use crate::{
    model::{Document, SecretRef, SourceFile},
    transport::smtp::settings::Login,
};

fn encrypted(server: &SmtpServer, tls: Tls) -> SmtpSettings {
    let ca_file = Some(server.ca_file().to_owned());
    SmtpSettings {
        tls,
        ca_file,
        deadlines: Deadlines::default().capped(Duration::from_secs(20)),
        ..settings(server.port())
    }
}

/// A secret in a file, as people have them.
fn login(password: &str) -> (tempfile::TempDir, Option<Login>) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("password");
    std::fs::write(&file, format!("{password}\n")).unwrap();
    let login = Login {
        username: "ada".to_owned(),
        password: SecretRef::File(file),
    };
    (folder, Some(login))
}

async fn takes_mail(settings: SmtpSettings) {
    let mut lane = build(settings).open().await.unwrap();
    assert_eq!(
        send(&mut *lane, &[A, B]).await,
        (Fate::Open, vec!["accepted".to_owned(); 2])
    );
    lane.close().await;
}

#[tokio::test]
async fn tls_by_starttls_and_from_the_first_byte() {
    let server = SmtpServer::start(Script::starttls).await;
    takes_mail(encrypted(&server, Tls::Starttls)).await;
    takes_mail(SmtpSettings {
        host: "localhost".to_owned(),
        ..encrypted(&server, Tls::Starttls)
    })
    .await;
    server.wait_closed().await;
    assert_eq!(
        server
            .commands()
            .iter()
            .filter(|line| *line == "STARTTLS")
            .count(),
        2
    );
    assert_eq!(
        server
            .commands()
            .iter()
            .filter(|line| line.starts_with("EHLO [127.0.0.1]"))
            .count(),
        4
    );

    let server = SmtpServer::start(|s| s.implicit_tls().one_byte_pieces()).await;
    takes_mail(SmtpSettings {
        hello_name: Some("mail.acme.example".to_owned()),
        ..encrypted(&server, Tls::Implicit)
    })
    .await;
    assert_eq!(server.commands()[0], "EHLO mail.acme.example");
}

#[tokio::test]
async fn messages_over_tls_have_the_same_answers() {
    let script = |s: Script| {
        s.starttls()
            .eager_354()
            .rcpt(B, Reply(550, "5.1.1 no"))
            .dot(D, smtp_server::AcceptThenClose)
    };
    let server = SmtpServer::start(script).await;
    let mut lane = build(encrypted(&server, Tls::Starttls))
        .open()
        .await
        .unwrap();
    let mut large = mail(C);
    large.bytes.extend(b"line\r\n".repeat(100_000));
    let (fate, answers) = send_mails(
        &mut *lane,
        vec![mail(A), mail(B), large.clone(), mail(D), mail(A)],
    )
    .await;
    let answers: Vec<_> = answers.iter().map(in_short).collect();
    assert_eq!(
        (fate, answers),
        (
            Fate::Closed,
            [
                "accepted",
                "permanent Recipient missing",
                "accepted",
                "unknown",
                "not started"
            ]
            .map(str::to_owned)
            .to_vec()
        )
    );
    assert!(server.accepted()[1].bytes == large.bytes);
}

#[tokio::test]
async fn a_certificate_nobody_vouches_for_is_refused() {
    let other = SmtpServer::start(Script::starttls).await;
    for (tls, script) in [
        (Tls::Starttls, Script::starttls as fn(Script) -> Script),
        (Tls::Implicit, Script::implicit_tls),
    ] {
        let server = SmtpServer::start(script).await;
        for ca_file in [Some(other.ca_file().to_owned()), None] {
            let error = refused(&build(SmtpSettings {
                ca_file,
                ..encrypted(&server, tls)
            }))
            .await;
            assert!(
                error.permanent && error.words.contains("certificate"),
                "{error}"
            );
        }
        server.wait_closed().await;
        assert!(
            !server
                .commands()
                .iter()
                .any(|line| line.starts_with("AUTH") || line.starts_with("MAIL"))
        );
    }
    // Nor is one for another name.
    let server = SmtpServer::start(Script::starttls).await;
    let error = refused(&build(SmtpSettings {
        host: "127.0.0.2".to_owned(),
        ..encrypted(&server, Tls::Starttls)
    }))
    .await;
    assert!(!error.words.is_empty());
}

#[tokio::test]
async fn starttls_that_is_missing_refused_or_tampered_with() {
    let server = SmtpServer::start(|s| s).await;
    let error = refused(&build(encrypted(&server, Tls::Starttls))).await;
    assert!(
        error.permanent && error.words.contains("no STARTTLS"),
        "{error}"
    );

    let server =
        SmtpServer::start(|s| s.starttls().starttls_answer(Reply(454, "4.7.0 not now"))).await;
    let error = refused(&build(encrypted(&server, Tls::Starttls))).await;
    assert!(
        !error.permanent && error.words.ends_with("STARTTLS: 454 4.7.0 not now"),
        "{error}"
    );

    let server =
        SmtpServer::start(|s| s.starttls().injects_behind_starttls(b"250 AUTH PLAIN\r\n")).await;
    let error = refused(&build(encrypted(&server, Tls::Starttls))).await;
    assert!(
        !error.permanent && error.words.contains("somebody on the way"),
        "{error}"
    );

    let server = SmtpServer::start(|s| s).await;
    let error = refused(&build(encrypted(&server, Tls::Implicit))).await;
    assert!(
        !error.permanent && error.words.contains("does not speak TLS"),
        "{error}"
    );
}

#[tokio::test]
async fn each_step_may_be_refused_cut_off_or_left_unanswered() {
    let acts = [
        Reply(421, "4.3.2 busy"),
        Reply(554, "5.7.1 go away"),
        Close,
        Silence,
        Raw(b"garbage\r\n"),
        Raw(b"220"),
    ];
    let steps: [fn(Script, smtp_server::Act) -> Script; 4] = [
        Script::greeting,
        Script::ehlo,
        Script::starttls_answer,
        Script::auth,
    ];
    let cases = steps.into_iter().enumerate().flat_map(|(at, step)| {
        acts.clone().map(|act| async move {
            let (_folder, login) = login("secret");
            let script = |s: Script| step(s.starttls().user("ada", "secret"), act.clone());
            let server = SmtpServer::start(script).await;
            let deadlines = Deadlines {
                tls: Duration::from_secs(20),
                ..Deadlines::default().capped(SHORT)
            };
            let transport = build(SmtpSettings {
                login,
                deadlines,
                ..encrypted(&server, Tls::Starttls)
            });
            let error = refused(&transport).await;
            // A server without EHLO is greeted with HELO, and offers no STARTTLS; the other is a login refused.
            let for_good = matches!((at, &act), (1 | 3, Reply(554, _)));
            assert_eq!(error.permanent, for_good, "{at} {act:?} {error}");
            assert!(error.words.starts_with("127.0.0.1:"), "{error}");
            server.wait_closed().await;
        })
    });
    join_all(cases).await;
}

#[tokio::test]
async fn nobody_listens() {
    let port = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let error = refused(&build(settings(port))).await;
    assert!(
        !error.permanent && error.words.contains("refused"),
        "{error}"
    );
    let error = refused(&build(SmtpSettings {
        host: "nobody.invalid".to_owned(),
        ..settings(25)
    }))
    .await;
    assert!(
        !error.permanent && error.words.starts_with("nobody.invalid:25: "),
        "{error}"
    );
}

#[tokio::test]
async fn login_by_plain_and_by_login() {
    for ways in [
        "PLAIN LOGIN",
        "PLAIN",
        "LOGIN",
        "CRAM-MD5 LOGIN",
        "DIGEST-MD5 CRAM-MD5 PLAIN",
    ] {
        for pieces in [false, true] {
            let server = SmtpServer::start(|s| {
                let s = s.user("ada", "s3cret ü").login_ways(ways);
                if pieces { s.one_byte_pieces() } else { s }
            })
            .await;
            let (_folder, good) = login("s3cret ü");
            takes_mail(SmtpSettings {
                login: good,
                ..settings(server.port())
            })
            .await;
            let (_folder, wrong) = login("wrong");
            let error = refused(&build(SmtpSettings {
                login: wrong,
                ..settings(server.port())
            }))
            .await;
            assert!(
                error.permanent && error.words.contains("refuses the login of ada: 535"),
                "{error}"
            );
            assert!(!error.words.contains("wrong"));
        }
    }
}

#[tokio::test]
async fn login_that_is_not_offered_or_not_possible_now() {
    let (_folder, good) = login("secret");
    let server = SmtpServer::start(|s| s).await;
    let error = refused(&build(SmtpSettings {
        login: good.clone(),
        ..settings(server.port())
    }))
    .await;
    assert!(
        error.permanent && error.words.contains("offers no login"),
        "{error}"
    );
    let server = SmtpServer::start(|s| {
        s.user("ada", "secret")
            .auth(Reply(454, "4.7.0 database down"))
    })
    .await;
    let error = refused(&build(SmtpSettings {
        login: good,
        ..settings(server.port())
    }))
    .await;
    assert!(!error.permanent && error.words.contains("454"), "{error}");
}

#[test]
fn a_secret_or_certificate_that_is_missing_is_found_when_it_is_built() {
    let context = TransportContext {
        name: "main".parse().unwrap(),
        workspace: PathBuf::from("/nowhere"),
        connections: 1,
    };
    let password = SecretRef::File("password".into());
    let login = Some(Login {
        username: "ada".to_owned(),
        password,
    });
    let error = SmtpTransport::new(
        SmtpSettings {
            login,
            ..settings(25)
        },
        &context,
    )
    .err()
    .unwrap();
    assert!(error.starts_with("password: /nowhere/password"), "{error}");
    let ca_file = Some("ca.pem".into());
    let error = SmtpTransport::new(
        SmtpSettings {
            ca_file,
            tls: Tls::Implicit,
            ..settings(25)
        },
        &context,
    )
    .err()
    .unwrap();
    assert!(error.starts_with("ca_file /nowhere/ca.pem"), "{error}");
}

/// What the settings say to a table, or what is wrong with it.
fn check(toml: &str) -> Result<String, String> {
    let file = SourceFile::new("campanile.toml", toml);
    let (config, found) = Document::new(&file).read(|section| {
        let config = SmtpSettings::read(&section);
        section.finish();
        config
    });
    match config {
        Some(config) if found.is_empty() => Ok(format!("{config:?}")),
        config => {
            assert!(
                config.is_none()
                    || !found.has_errors()
                    || found.iter().all(|found| found.code == "unknown-key")
            );
            Err(found
                .iter()
                .map(ToString::to_string)
                .collect::<Vec<_>>()
                .join("\n"))
        }
    }
}

#[test]
fn settings_have_defaults() {
    let debug = check("host = 'smtp.example.org'").unwrap();
    for part in [
        "port: 587",
        "tls: Starttls",
        "messages_per_connection: 1000",
        "dot: 600s",
    ] {
        assert!(debug.contains(part), "{part}: {debug}");
    }
    assert!(
        check("host = 'x.example'\ntls = 'implicit'")
            .unwrap()
            .contains("port: 465")
    );
    assert!(
        check("host = '[::1]'\ntls = 'none'")
            .unwrap()
            .contains("\"::1\"")
    );
    assert!(
        check("host = 'x.example'\ntimeout = '5s'")
            .unwrap()
            .contains("dot: 5s")
    );
    for fine in [
        "host = 'localhost'\ntls = 'none'\nusername = 'a'\npassword = { env = 'P' }",
        "host = 'mail.example'\ntls = 'none-even-remote'\nport = 25",
        "host = '127.0.0.1'\nport = 2525\ntls = 'none'\nhello_name = 'x.example'\nca_file = 'ca.pem'",
    ] {
        check(fine).unwrap();
    }
}

#[test]
fn settings_that_are_wrong_say_where_and_what_to_do() {
    for (toml, expected) in [
        (
            "port = 25",
            "campanile.toml:1:1: campanile.toml needs `host`",
        ),
        (
            "host = 'a b'",
            "campanile.toml:1:8: `host` is not the name of a server: \"a b\"",
        ),
        (
            "host = 'a.example:25'",
            "campanile.toml:1:8: `host` is not the name of a server: \"a.example:25\" (the host alone stands here; the port has its own key, `port = 587`)",
        ),
        (
            "host = 'a'\nport = 0",
            "campanile.toml:2:8: `port` is not between 1 and 65535",
        ),
        (
            "host = 'a'\ntls = 'start'",
            "campanile.toml:2:7: `tls` is \"start\", expected \"starttls\", \"implicit\" or \"none\"",
        ),
        (
            "host = 'a'\ntls = 'startls'",
            "campanile.toml:2:7: `tls` is \"startls\", expected \"starttls\", \"implicit\" or \"none\" (did you mean `starttls`?)",
        ),
        (
            "host = 'a'\ntls = 'none'",
            "campanile.toml:2:7: mail to a would be readable by everybody on the way (write tls = \"starttls\" or \"implicit\"; if this is meant, \"none-even-remote\")",
        ),
        (
            "host = 'a'\ntls = 'none-even-remote'\nusername = 'u'\npassword = { env = 'P' }",
            "campanile.toml:2:7: the login to a would be readable by everybody on the way (write tls = \"starttls\" or \"implicit\")",
        ),
        (
            "host = 'a'\nusername = 'u'",
            "campanile.toml:2:12: `username` needs `password` beside it",
        ),
        (
            "host = 'a'\npassword = { env = 'P' }",
            "campanile.toml:2:12: `password` needs `username` beside it",
        ),
        (
            "host = 'a'\npassword = 'p'",
            "campanile.toml:2:12: a secret may not stand in the file itself (write { env = \"NAME\" } or { file = \"path\" })",
        ),
        (
            "host = 'a'\nmessages_per_connection = 0",
            "campanile.toml:2:27: `messages_per_connection` must be at least 1",
        ),
        (
            "host = 'a'\nhello_name = 'a b'",
            "campanile.toml:2:14: `hello_name` is a host name such as \"mail.example.org\"",
        ),
        (
            "port = 70000\nhost = 1",
            "campanile.toml:2:8: `host` is an integer, expected a string\ncampanile.toml:1:8: `port` is not between 0 and 65535",
        ),
    ] {
        assert_eq!(check(toml), Err(expected.to_owned()), "{toml}");
    }
}
