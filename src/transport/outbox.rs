//! `kind = "outbox"`: one `.eml` a message in a folder, to be read with any mail program. For trying things out, and where
//! there is no server yet.
//!
//! A file has its final name only when it is whole. It is not synced to the disk: after a power cut a message may be missing
//! that was answered as accepted, which a transport that sends nothing to anybody can afford.

use std::{
    fmt::Write as _,
    fs,
    io::{self, Write as _},
    path::{Path, PathBuf},
    sync::Arc,
};

use async_trait::async_trait;

use super::{
    Caps, Fate, Lane, Messages, OpenError, Transport, TransportConfig, TransportContext,
    TransportKind,
};
use crate::model::{Answer, Channel, Outgoing, OutgoingEmail, Scope, Section};

/// One trip to the blocking threads for so many files.
const BATCH: usize = 64;

/// Longer names than this (file systems allow 255 bytes) end in a hash.
const MAX_NAME: usize = 200;

/// The kind.
pub(super) const KIND: TransportKind = TransportKind {
    name: "outbox",
    read: OutboxSettings::read,
};

/// The keys of an outbox.
#[derive(Debug)]
struct OutboxSettings {
    /// As written in the settings.
    path: PathBuf,
    /// Relative to the workspace.
    folder: PathBuf,
}

impl OutboxSettings {
    fn read(section: &Section<'_>) -> Option<Arc<dyn TransportConfig>> {
        let path = match section.item("path") {
            Some(item) => item.read::<PathBuf>()?,
            None => PathBuf::from("outbox"),
        };
        let folder = section.file().folder().join(&path);
        Some(Arc::new(Self { path, folder }))
    }
}

impl TransportConfig for OutboxSettings {
    fn channel(&self) -> Channel {
        Channel::Email
    }

    fn build(&self, context: &TransportContext) -> Result<Arc<dyn Transport>, String> {
        Ok(Arc::new(Outbox {
            shown: self.path.clone(),
            folder: context.workspace.join(&self.folder),
            lanes: context.connections,
        }))
    }
}

struct Outbox {
    shown: PathBuf,
    folder: PathBuf,
    lanes: usize,
}

#[async_trait]
impl Transport for Outbox {
    fn caps(&self) -> Caps {
        Caps {
            channel: Channel::Email,
            lanes: self.lanes,
            batch: BATCH,
        }
    }

    fn describe(&self) -> String {
        format!(
            "outbox folder {}/",
            self.shown.display().to_string().trim_end_matches('/')
        )
    }

    async fn open(&self) -> Result<Box<dyn Lane>, OpenError> {
        let folder = self.folder.clone();
        let made = tokio::task::spawn_blocking(move || {
            fs::create_dir_all(&folder)
                .map(|()| OutboxLane {
                    folder: folder.clone(),
                })
                .map_err(|error| in_words(&folder, &error))
        });
        match made.await {
            Ok(Ok(lane)) => Ok(Box::new(lane)),
            Ok(Err(words)) => Err(OpenError {
                permanent: false,
                words,
            }),
            Err(error) => Err(OpenError {
                permanent: false,
                words: error.to_string(),
            }),
        }
    }
}

struct OutboxLane {
    folder: PathBuf,
}

#[async_trait]
impl Lane for OutboxLane {
    async fn send(&mut self, messages: &mut Messages<'_>) -> Fate {
        let batch: Vec<_> = messages.take(BATCH).collect();
        let folder = self.folder.clone();
        let written = tokio::task::spawn_blocking(move || {
            for (permit, Outgoing::Email(mail)) in batch {
                let name = file_name(&mail.message_id);
                permit.answer(match write(&folder, &name, &mail) {
                    Ok(()) => Answer::Accepted { words: name },
                    Err(error) => Answer::Refused {
                        permanent: false,
                        scope: Scope::Transport,
                        no_such_mailbox: false,
                        retry_after: None,
                        words: in_words(&folder.join(name), &error),
                    },
                });
            }
        });
        match written.await {
            Ok(()) => Fate::Open,
            Err(_) => Fate::Closed,
        }
    }

    async fn close(self: Box<Self>) {}
}

fn in_words(path: &Path, error: &io::Error) -> String {
    format!("{}: {error}", path.display())
}

/// Writes beside the final name, then renames: who looks into the folder never sees half a message. A message that is sent
/// again replaces itself.
fn write(folder: &Path, name: &str, mail: &OutgoingEmail) -> io::Result<()> {
    let unfinished = folder.join(format!(".{name}.part"));
    let write = || -> io::Result<()> {
        let mut file = fs::File::create(&unfinished)?;
        file.write_all(&mail.bytes)?;
        mail.shared
            .iter()
            .try_for_each(|block| file.write_all(block))
    };
    let result = match write() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            // Somebody emptied the outbox by taking the folder away.
            fs::create_dir_all(folder).and_then(|()| write())
        }
        result => result,
    };
    let result = result.and_then(|()| fs::rename(&unfinished, folder.join(name)));
    if result.is_err() {
        let _ = fs::remove_file(&unfinished);
    }
    result
}

/// The file's name: the Message-ID with everything but plain characters escaped, so that two never share one.
fn file_name(message_id: &str) -> String {
    let mut name = String::with_capacity(message_id.len() + 4);
    for (at, byte) in message_id.bytes().enumerate() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'@' | b'+' => {
                name.push(char::from(byte));
            }
            // Not in front, where it would hide the file.
            b'.' if at > 0 => name.push('.'),
            _ => {
                let _ = write!(name, "%{byte:02X}");
            }
        }
    }
    if name.is_empty() {
        name.push('%');
    }
    if name.len() > MAX_NAME {
        name.truncate(MAX_NAME - 33);
        name.push('%');
        name.push_str(&blake3::hash(message_id.as_bytes()).to_hex()[..32]);
    }
    name.push_str(".eml");
    name
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::model::{Answered, DeliveryId, Document, Outcomes, Permit, SourceFile};

    fn outbox(workspace: &Path, toml: &str) -> Arc<dyn Transport> {
        let (config, found) = Document::new(&SourceFile::new("campanile.toml", toml))
            .read(|section| OutboxSettings::read(&section));
        assert!(found.is_empty());
        let name = "box".parse().unwrap();
        let context = TransportContext {
            name,
            workspace: workspace.to_owned(),
            connections: 3,
        };
        config.unwrap().build(&context).unwrap()
    }

    async fn send(lane: &mut dyn Lane, mails: &[(&str, &str)]) -> Vec<Answer> {
        let (outcomes, mut answers) = Outcomes::channel();
        let mut batch = mails.iter().enumerate().map(|(at, (id, bytes))| {
            let mail = OutgoingEmail {
                from: "a@x.example".parse().unwrap(),
                to: "b@x.example".parse().unwrap(),
                message_id: (*id).to_owned(),
                bytes: bytes.as_bytes().to_owned(),
                shared: Vec::new(),
            };
            (
                Permit::issue(DeliveryId(at as i64), 1, &outcomes),
                Outgoing::Email(mail),
            )
        });
        assert_eq!(lane.send(&mut batch).await, Fate::Open);
        std::iter::from_fn(|| answers.try_recv().ok())
            .map(|Answered { answer, .. }| answer)
            .collect()
    }

    fn files(folder: &Path) -> Vec<String> {
        let mut names: Vec<_> = fs::read_dir(folder)
            .unwrap()
            .map(|file| file.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[tokio::test]
    async fn each_message_is_a_file_exactly_as_it_is() {
        let workspace = tempfile::tempdir().unwrap();
        let transport = outbox(workspace.path(), "path = 'a/b/'\n");
        assert_eq!(transport.describe(), "outbox folder a/b/");
        let mut lane = transport.open().await.unwrap();
        let answers = send(&mut *lane, &[("1@x", "one\r\n"), ("2@x", ".\r\n")]).await;
        assert!(
            answers
                .iter()
                .all(|answer| matches!(answer, Answer::Accepted { .. })),
            "{answers:?}"
        );
        send(&mut *lane, &[("1@x", "one again\r\n")]).await;
        let folder = workspace.path().join("a/b");
        assert_eq!(files(&folder), ["1@x.eml", "2@x.eml"]);
        assert_eq!(
            fs::read_to_string(folder.join("1@x.eml")).unwrap(),
            "one again\r\n"
        );
        assert_eq!(fs::read_to_string(folder.join("2@x.eml")).unwrap(), ".\r\n");
        fs::remove_dir_all(&folder).unwrap();
        send(&mut *lane, &[("3@x", "three\r\n")]).await;
        assert_eq!(files(&folder), ["3@x.eml"]);
    }

    #[tokio::test]
    async fn a_folder_that_can_not_be_written_is_the_transports_fault() {
        let workspace = tempfile::tempdir().unwrap();
        let mut lane = outbox(workspace.path(), "").open().await.unwrap();
        let folder = workspace.path().join("outbox");
        fs::remove_dir(&folder).unwrap();
        fs::write(&folder, "a file").unwrap();
        let answers = send(&mut *lane, &[("1@x", "one")]).await;
        assert!(
            matches!(
                &answers[..],
                [Answer::Refused {
                    permanent: false,
                    scope: Scope::Transport,
                    ..
                }]
            ),
            "{answers:?}"
        );
        let Err(error) = outbox(workspace.path(), "").open().await else {
            panic!("it opened")
        };
        assert!(
            !error.permanent && error.words.contains("outbox"),
            "{error}"
        );
    }

    #[tokio::test]
    async fn a_name_that_is_taken_by_a_folder_leaves_nothing_half_behind() {
        let workspace = tempfile::tempdir().unwrap();
        let mut lane = outbox(workspace.path(), "").open().await.unwrap();
        let folder = workspace.path().join("outbox");
        fs::create_dir(folder.join("1@x.eml")).unwrap();
        let answers = send(&mut *lane, &[("1@x", "one"), ("2@x", "two")]).await;
        assert!(
            matches!(
                &answers[..],
                [Answer::Refused { .. }, Answer::Accepted { .. }]
            ),
            "{answers:?}"
        );
        assert_eq!(files(&folder), ["1@x.eml", "2@x.eml"]);
    }

    #[test]
    fn names_are_safe() {
        assert_eq!(file_name("a.b-1@x.example"), "a.b-1@x.example.eml");
        assert_eq!(
            file_name("../../etc/passwd"),
            "%2E.%2F..%2Fetc%2Fpasswd.eml"
        );
        assert_eq!(file_name("ü b"), "%C3%BC%20b.eml");
    }

    proptest! {
        #[test]
        fn no_two_ids_share_a_name(a in "\\PC{0,40}|[.%a]{0,300}", b in "\\PC{0,40}|[.%a]{0,300}") {
            let (one, two) = (file_name(&a), file_name(&b));
            prop_assert_eq!(a == b, one == two);
            prop_assert!(one.len() <= 240 && !one.starts_with('.') && !one.contains(['/', '\0']));
        }
    }
}
