//! The keys of a campaign.

use serde_json::{Value, json};

use super::shape::{
    any_boolean, boolean, date, line, list, mailbox, moment, named, one_of, pattern, period, rate,
    rhai, secret, share, some, table, text, whole, with_default, words,
};
use crate::model::{Channel, Dedupe, InDoubtPolicy, Missed, NotIncluded, OnBroken, Purpose};

pub(super) fn shape() -> Value {
    table(
        &["topic", "audience"],
        [
            (
                "id",
                text(),
                "Keeps the history when the file is renamed; default: the path under campaigns/ without .toml",
            ),
            ("name", line(), "For people; default: the id"),
            (
                "topic",
                text(),
                "What recipients unsubscribe from: one of [topics] in the settings",
            ),
            (
                "purpose",
                words(Purpose::ALL.iter().map(|purpose| purpose.as_str())),
                "Default: the topic's. It may be stricter than the topic, never laxer",
            ),
            (
                "sender",
                text(),
                "Who is writing: one of [senders] in the settings. It may be left out where there is only one",
            ),
            (
                "enabled",
                boolean(true),
                "With false it starts nothing, and what was not sent is cancelled",
            ),
            (
                "on_broken",
                with_default(
                    words(OnBroken::ALL.iter().map(|what| what.as_str())),
                    "hold",
                ),
                "When the files do not check: wait, or go on with the last ones that did",
            ),
            (
                "was",
                list(&text()),
                "Ids that it had before: it takes over their history",
            ),
            (
                "removal_grace",
                with_default(period("10m"), "10m"),
                "How long its file may be away before what was not sent is cancelled",
            ),
            ("audience", audience(), "Who gets it"),
            (
                "variables",
                named(&rhai()),
                "Rhai expressions, worked out once per recipient, in order: later ones may use earlier ones",
            ),
            (
                "schedule",
                schedule(),
                "When: one of at, every, cron. Without it the campaign is sent when asked",
            ),
            (
                "require_tests",
                boolean(false),
                "Runs are held while its tests fail, or while it has none",
            ),
            (
                "test",
                list(&test()),
                "What becomes of a recipient at a moment: `campanile test` runs it",
            ),
            ("approval", approval(), "Whether a person must approve"),
            ("pace", pace(), "How fast it goes out, and at which hours"),
            (
                "rollout",
                rollout(),
                "A first part, a pause, then the rest by itself",
            ),
            (
                "stop_if",
                stop_if(),
                "Hold the run when more than this share of its deliveries goes wrong",
            ),
            ("reach", reach(), "By which channels"),
            ("email", email(), "The mail"),
            ("after", after(), "What follows each delivery that was sent"),
        ],
    )
}

fn after() -> Value {
    table(
        &[],
        [
            (
                "update",
                text(),
                "A statement on the campaign's SQLite source, with :key, :address, :at, :run, :campaign, :occurrence, :delivery",
            ),
            ("webhook", text(), "Where a signed POST goes: https"),
            ("secret", secret(), "What the webhook is signed with"),
        ],
    )
}

fn rollout() -> Value {
    table(
        &["first", "wait"],
        [
            (
                "first",
                one_of([whole(1, None, None), share("5%")]),
                "How many go out first, or which share",
            ),
            ("wait", period("30m"), "How long the rest waits then"),
        ],
    )
}

fn stop_if() -> Value {
    table(
        &[],
        [
            (
                "after",
                whole(1, None, Some(100)),
                "Not before so many deliveries have an outcome",
            ),
            ("failed", share("5%"), "More than this were refused"),
            (
                "bounced",
                share("3%"),
                "More than this came back, or have an address that does not exist",
            ),
            (
                "complained",
                share("0.1%"),
                "More than this were called spam",
            ),
            (
                "unsubscribed",
                share("2%"),
                "More than this took the way out by the link in the message",
            ),
        ],
    )
}

fn audience() -> Value {
    table(
        &[],
        [
            (
                "source",
                text(),
                "Where recipients come from: one of [sources] in the settings",
            ),
            ("sources", some(&text()), "The same as a list"),
            (
                "where",
                rhai(),
                "A Rhai condition over r, the recipient; without it everybody",
            ),
            (
                "keys",
                one_of([text(), some(&text())]),
                "Only these keys, with spaces, commas or line breaks between them, or as a list",
            ),
            ("keys_file", text(), "A file with such keys"),
            (
                "cooldown",
                one_of([period("30d"), words(["none"])]),
                "Not to anyone who had this campaign within; \"none\" allows it at once",
            ),
            (
                "cooldown_group",
                line(),
                "Campaigns with the same group share the cooldown",
            ),
            (
                "dedupe",
                with_default(
                    words(Dedupe::ALL.iter().map(|dedupe| dedupe.as_str())),
                    "address",
                ),
                "One message per address, or one per row",
            ),
            (
                "min_recipients",
                whole(0, None, Some(1)),
                "Fewer: the run is held",
            ),
            (
                "max_recipients",
                whole(1, None, None),
                "More: the run is held",
            ),
            (
                "max_change",
                share("30%"),
                "More or fewer to send than the last time by more than this: the run is held",
            ),
            (
                "holdout",
                share("5%"),
                "A share that gets nothing, for comparison: always the same people",
            ),
            (
                "max_script_errors",
                whole(0, None, Some(10)),
                "More recipients for whom a script failed: the run is held",
            ),
        ],
    )
}

fn schedule() -> Value {
    let at = moment(
        &["date-time", "date-time-local"],
        r"^\s*(now|\d{4}-\d\d-\d\d[T ]\d\d:\d\d.*)$",
    );
    table(
        &[],
        [
            (
                "at",
                at,
                "Once, local time of the zone; \"now\": once per campaign id, as soon as it is loaded",
            ),
            (
                "every",
                period("1d"),
                "Again and again: days and longer by the calendar, shorter by elapsed time",
            ),
            (
                "cron",
                pattern(r"^\s*\S+(\s+\S+){4}\s*$", "0 9 * * MON"),
                "Minute, hour, day of month, month, day of week",
            ),
            (
                "time",
                moment(&["time-local"], r"^\s*\d\d?:\d\d(:\d\d)?\s*$"),
                "The time of day, where every is in days or longer",
            ),
            (
                "timezone",
                text(),
                "\"recipient\": each recipient's own. Default: default_timezone of the settings",
            ),
            ("start", date(), "Not before this day"),
            ("until", date(), "Not after this day"),
            (
                "missed",
                with_default(
                    words(Missed::ALL.iter().map(|missed| missed.as_str())),
                    "skip",
                ),
                "What happens to an occurrence that was missed by more than grace",
            ),
            (
                "grace",
                with_default(period("1h"), "1h"),
                "How late an occurrence may start",
            ),
            (
                "plan_ahead",
                period("24h"),
                "It is planned this early, so that there is time to look and approve",
            ),
        ],
    )
}

fn pace() -> Value {
    table(
        &[],
        [
            (
                "rate",
                rate("500/1h"),
                "At most, over all runs of the campaign",
            ),
            (
                "window",
                pattern(r"^\s*\d\d?:\d\d\s*[-–]\s*\d\d?:\d\d\s*$", "08:00-20:00"),
                "Messages only begin within; it may cross midnight",
            ),
            (
                "days",
                pattern(r"^\s*[A-Za-z]+\s*([-–,]\s*[A-Za-z]+\s*)*$", "Mon-Fri"),
                "Messages only begin on these days",
            ),
            (
                "timezone",
                text(),
                "Whose clocks count: \"recipient\" is each recipient's own. Default: that of the schedule",
            ),
            (
                "expires_after",
                period("48h"),
                "What was not sent by then, counted from when the run was due, is expired",
            ),
        ],
    )
}

fn test() -> Value {
    table(
        &["name", "expect"],
        [
            ("name", line(), "What it says; each has a name of its own"),
            (
                "now",
                moment(
                    &["date-time", "date-time-local"],
                    r"^\s*\d{4}-\d\d-\d\d[T ]\d\d:\d\d.*$",
                ),
                "The moment at which it plays; default: when the tests are run",
            ),
            (
                "source",
                text(),
                "Which of the campaign's sources its recipients are of; default: the first",
            ),
            (
                "recipient",
                named(&json!({})),
                "Cells by column; columns that are left out are empty",
            ),
            (
                "recipients_file",
                pattern(r"\.(csv|jsonl|ndjson)$", "adults.csv"),
                "Instead: a file beside this one with a recipient a row",
            ),
            ("given", given(), "What happened to them before"),
            ("expect", expect(), "What must become of each of them"),
        ],
    )
}

fn given() -> Value {
    table(
        &[],
        [
            (
                "unsubscribed",
                one_of([any_boolean(), text(), some(&text())]),
                "true: from everything; or a topic, or several",
            ),
            (
                "suppressed",
                one_of([any_boolean(), words(["bounced", "complained", "manual"])]),
                "true: by hand; or why",
            ),
            (
                "last_sent",
                moment(
                    &["date-time", "date-time-local"],
                    r"^\s*(\d+\s*(s|m|min|h|d|w|mo|y)|\d{4}-\d\d-\d\d[T ]\d\d:\d\d.*)$",
                ),
                "When they last had this campaign: a moment, or so long before now",
            ),
            (
                "sent_count",
                whole(1, Some(1_000), Some(1)),
                "How many messages of it they had then",
            ),
        ],
    )
}

fn expect() -> Value {
    let texts = || one_of([text(), some(&text())]);
    table(
        &[],
        [
            ("included", any_boolean(), "Whether they get it"),
            ("reason", words(NotIncluded::names()), "Why they do not"),
            (
                "channel",
                words(Channel::ALL.iter().map(|channel| channel.as_str())),
                "By which channel they get it",
            ),
            ("subject", text(), "The whole subject"),
            ("contains", texts(), "What stands in the message"),
            ("not_contains", texts(), "What does not"),
            (
                "variables",
                named(&json!({})),
                "Values of variables, by name",
            ),
        ],
    )
}

fn approval() -> Value {
    table(
        &["required"],
        [
            (
                "required",
                any_boolean(),
                "Each occurrence waits for `campanile approve`",
            ),
            ("expires", period("48h"), "An approval counts for so long"),
        ],
    )
}

fn reach() -> Value {
    table(
        &[],
        [
            (
                "order",
                list(&words([Channel::Email.as_str()])),
                "The channels, in the order they are tried",
            ),
            (
                "mode",
                with_default(words(["first"]), "first"),
                "Which of the channels a recipient gets it by",
            ),
            (
                "in_doubt",
                with_default(
                    words(InDoubtPolicy::ALL.iter().map(|policy| policy.as_str())),
                    "keep",
                ),
                "What happens to a delivery whose answer was never seen",
            ),
        ],
    )
}

fn language() -> Value {
    pattern(
        r"^\s*[A-Za-z]{2,3}([-_][A-Za-z]{4})?([-_]([A-Za-z]{2}|[0-9]{3}))?\s*$",
        "de-AT",
    )
}

fn attachment() -> Value {
    table(
        &["path"],
        [
            ("path", text(), "The file, relative to this one"),
            (
                "name",
                text(),
                "What it is called in the message; default: its own name",
            ),
            (
                "type",
                pattern(r"^[^/\s]+/[^/\s]+$", "application/pdf"),
                "Its content type; default: by its ending",
            ),
        ],
    )
}

fn email() -> Value {
    table(
        &["via", "subject"],
        [
            (
                "via",
                text(),
                "The way out: one of [transports] in the settings",
            ),
            ("from", mailbox(), "The From; default: the sender's"),
            (
                "subject",
                pattern(r"^[^\r\n]+$", "Your plan renews on {{ r.renews_on }}"),
                "A Jinja template",
            ),
            (
                "body",
                pattern(r"\.(md|html|mjml|txt)$", "renewal.md"),
                "A file beside this one: .md, .html, .mjml or .txt; renewal.de.md beside it is its translation",
            ),
            ("body_text", text(), "The body itself, as plain text"),
            (
                "language",
                language(),
                "The language of subject and body; default: not said",
            ),
            (
                "subjects",
                named(&pattern(r"^[^\r\n]+$", "Ihr Vertrag verlängert sich")),
                "The subject in other languages, by language",
            ),
            (
                "attachments",
                list(&one_of([text(), attachment()])),
                "Files beside this one that go with every message",
            ),
        ],
    )
}
