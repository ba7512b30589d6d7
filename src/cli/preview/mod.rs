//! `campanile preview`: the message of one recipient.

mod headers;
mod page;

use std::{
    fs,
    path::{Path, PathBuf},
};

use serde_json::{Value, json};

use self::headers::headers;
use super::{
    desk::{Desk, answer},
    exit::Exit,
    failure::Failure,
    print::{Facts, Output, mask},
};
use crate::{
    control::{Command, Preview, Session},
    model::{CampaignId, Channel, Locale},
    workspace::Location,
};

/// The headers that people look for, in the order they are shown.
const SHOWN: [&str; 8] = [
    "From",
    "To",
    "Reply-To",
    "Subject",
    "Message-ID",
    "List-Id",
    "List-Unsubscribe",
    "List-Unsubscribe-Post",
];

/// The arguments of `preview`.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The campaign
    #[arg(value_name = "ID")]
    campaign: CampaignId,
    /// Whose message; the first that matches if not given
    #[arg(long, value_name = "KEY")]
    recipient: Option<String>,
    /// As if this were the recipient's language
    #[arg(long, value_name = "LOCALE")]
    locale: Option<Locale>,
    /// On which channel
    #[arg(long, value_name = "CHANNEL", default_value = "email")]
    channel: Channel,
    /// Write message.eml, message.html, message.txt and index.html, which shows them, into this folder
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

/// Shows a message.
pub(super) async fn run(
    arguments: Arguments,
    workspace: &Location,
    output: &mut Output,
) -> Result<Exit, Failure> {
    let session = Session::read(workspace).await?;
    carry_out(arguments, &session, output).await
}

async fn carry_out(
    arguments: Arguments,
    desk: &impl Desk,
    output: &mut Output,
) -> Result<Exit, Failure> {
    if arguments.channel != Channel::Email {
        return Err(Failure::usage(format!(
            "messages by {} can't be previewed yet: only mail can",
            arguments.channel
        )));
    }
    let campaign = arguments.campaign.to_string();
    let command = Command::Preview {
        campaign: arguments.campaign,
        recipient: arguments.recipient,
        locale: arguments.locale,
    };
    let preview = answer!(desk, command, Preview)?;
    if output.is_json() {
        output.json(&object(&preview, output.is_unmasked()))?;
    } else {
        show(&preview, output)?;
    }
    if let Some(folder) = arguments.out {
        write(&campaign, &preview, &folder, output)?;
    }
    Ok(Exit::Done)
}

fn show(preview: &Preview, output: &mut Output) -> Result<(), Failure> {
    output.title(format!("To {} by {}", preview.address, preview.way))?;
    let mut facts = Facts::default();
    let found = headers(&preview.eml);
    for name in SHOWN {
        match found
            .iter()
            .find(|(other, _)| other.eq_ignore_ascii_case(name))
        {
            Some((_, value)) => facts.add(name, value.as_str()),
            None if name == "Subject" => facts.add(name, preview.subject.as_str()),
            None => {}
        }
    }
    match preview.locale.as_deref() {
        Some("") => facts.add("Language", "not translated"),
        Some(locale) => facts.add("Language", locale),
        None => {}
    }
    for line in facts.lines() {
        output.line(line)?;
    }
    if !preview.variables.is_empty() {
        output.line("")?;
        output.title("Variables")?;
        for (name, value) in &preview.variables {
            output.line(format!("  {name} = {value}"))?;
        }
    }
    output.line("")?;
    output.line(preview.text.trim_end())?;
    if let Some(reason) = &preview.not_sent {
        output.note(format!("{} would not get it now: {reason}", preview.key))?;
    }
    Ok(())
}

fn object(preview: &Preview, unmasked: bool) -> Value {
    let shown = |text: &str, masked: fn(&str) -> String| {
        if unmasked {
            text.to_owned()
        } else {
            masked(text)
        }
    };
    let variables: serde_json::Map<_, _> = preview
        .variables
        .iter()
        .map(|(name, value)| (name.clone(), shown(value, mask::words).into()))
        .collect();
    json!({
        "key": shown(&preview.key, mask::key), "channel": Channel::Email,
        "address": shown(&preview.address, crate::model::mask), "way": preview.way, "locale": preview.locale,
        "subject": shown(&preview.subject, mask::words), "text": shown(&preview.text, mask::words),
        "html": preview.html.as_deref().map(|html| shown(html, mask::words)), "variables": variables,
        "not_sent": preview.not_sent.as_deref().map(|words| shown(words, mask::words)),
    })
}

fn write(
    campaign: &str,
    preview: &Preview,
    folder: &Path,
    output: &mut Output,
) -> Result<(), Failure> {
    let failed = |path: &Path, error: std::io::Error| {
        Failure::failed(format!("{} can't be written: {error}", path.display()))
    };
    fs::create_dir_all(folder).map_err(|error| failed(folder, error))?;
    let html = preview.html.as_deref().map(str::as_bytes);
    let page = page::page(campaign, preview);
    for (name, bytes) in [
        ("message.eml", Some(&*preview.eml)),
        ("message.html", html),
        ("message.txt", Some(preview.text.as_bytes())),
        ("index.html", Some(page.as_bytes())),
    ] {
        let path = folder.join(name);
        match bytes {
            Some(bytes) => {
                fs::write(&path, bytes).map_err(|error| failed(&path, error))?;
                output.note(format!("wrote {}", path.display()))?;
            }
            // Of an earlier preview: it would be taken for a part of this message.
            None if path.exists() => {
                fs::remove_file(&path).map_err(|error| failed(&path, error))?;
            }
            None => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        cli::{print::Captured, samples::Sitting},
        control::Reply,
    };

    fn preview() -> Preview {
        Preview {
            key: "A1".to_owned(),
            address: "ada@example.org".to_owned(),
            way: "outbox folder outbox/".to_owned(),
            subject: "Grüße".to_owned(),
            text: "Hi Ada\u{1b}[2J\n".to_owned(),
            html: Some("<p>Hi Ada".to_owned()),
            eml: b"From: =?utf-8?B?WsO8cmljaA==?= <news@acme.example>\r\nTo: ada@example.org\r\nSubject: =?utf-8?Q?Gr=C3=BC=C3=9Fe?=\r\nX-Other: 1\r\n\r\nHi".to_vec(),
            locale: None,
            variables: vec![("contact".to_owned(), "ada@example.org".to_owned())],
            not_sent: Some("unsubscribed".to_owned()),
        }
    }

    fn arguments(out: Option<PathBuf>) -> Arguments {
        Arguments {
            campaign: "a".parse().unwrap(),
            recipient: None,
            locale: None,
            channel: Channel::Email,
            out,
        }
    }

    async fn print(mut captured: Captured, arguments: Arguments) -> Captured {
        let desk = Sitting::answering([Reply::Preview(Box::new(preview()))]);
        carry_out(arguments, &desk, &mut captured.output)
            .await
            .unwrap();
        captured
    }

    #[tokio::test]
    async fn people_see_headers_variables_and_text() {
        let captured = print(Captured::plain(), arguments(None)).await;
        assert_eq!(
            captured.out(),
            "To ada@example.org by outbox folder outbox/\n\
            \x20 From     Zürich <news@acme.example>\n\
            \x20 To       ada@example.org\n\
            \x20 Subject  Grüße\n\
             \n\
             Variables\n\
            \x20 contact = ada@example.org\n\
             \n\
             Hi Ada\\u{1b}[2J\n"
        );
        assert_eq!(captured.err(), "A1 would not get it now: unsubscribed\n");
    }

    #[tokio::test]
    async fn programs_see_no_address() {
        let text = print(Captured::json(), arguments(None)).await.out();
        let value: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(value["address"], "a…@example.org");
        assert_eq!(value["variables"]["contact"], "a…@example.org");
        assert_eq!(value["html"], "<p>Hi Ada");
    }

    #[tokio::test]
    async fn files_are_written() {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().join("deep/er");
        print(Captured::plain(), arguments(Some(out.clone()))).await;
        assert_eq!(fs::read(out.join("message.eml")).unwrap(), preview().eml);
        assert_eq!(
            fs::read_to_string(out.join("message.html")).unwrap(),
            "<p>Hi Ada"
        );
        assert!(out.join("message.txt").exists());
    }
}
