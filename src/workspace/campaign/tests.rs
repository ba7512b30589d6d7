//! Campaign files, right and wrong.

use chrono::NaiveTime;
use proptest::prelude::*;

use super::{Draft, read};
use crate::{
    model::{
        BodyFormat, CampaignId, Channel, Cooldown, Dedupe, OnBroken, Purpose, SourceFile, Timing,
    },
    workspace::tests::{CAMPAIGN, SETTINGS, lines, settings, tree},
};

/// The draft of a campaign in `campaigns/x/a.toml`, with some files beside it.
fn draft(text: &str) -> Draft {
    let tree = tree(&[
        ("campaigns/x/body.md", "# Hello"),
        ("campaigns/x/body.html", "<p>Hello"),
        ("campaigns/x/empty.md", " \n"),
        ("campaigns/keys.txt", "A1,A2\r\nA3 A1\n"),
        ("campaigns/empty.txt", "\n"),
        ("templates/shared.txt", "Hello"),
    ]);
    let settings = settings(SETTINGS).0.unwrap();
    read(
        &SourceFile::new("campaigns/x/a.toml", text),
        &tree,
        Some(&settings),
    )
}

/// A campaign that checks, with `extra` as its first lines.
fn good(extra: &str) -> Draft {
    let draft = draft(&format!("{extra}{CAMPAIGN}"));
    assert_eq!(lines(&draft.diagnostics), Vec::<String>::new(), "{extra}");
    draft
}

/// The findings in a campaign, without the name of the file.
fn findings(text: &str) -> Vec<String> {
    let found = draft(text).diagnostics;
    lines(&found)
        .into_iter()
        .map(|line| line.replace("campaigns/x/a.toml:", ""))
        .collect()
}

/// The findings in a campaign that has `section` besides what it needs.
fn found_with(section: &str) -> Vec<String> {
    findings(&format!("{}{section}", CAMPAIGN.trim_start()))
}

/// The findings with `lines` in the audience, which starts in the first line.
fn found_in_audience(lines: &str) -> Vec<String> {
    findings(&format!(
        "audience.source = 'customers'\n{lines}\ntopic = 'offers'\nemail = {{ via = 'main', subject = 's', body_text = 'b' }}"
    ))
}

#[test]
fn a_short_campaign_has_the_defaults() {
    let Draft { campaign, zone, .. } = good("");
    assert_eq!(campaign.id.as_str(), "x/a");
    assert_eq!(campaign.name, "x/a");
    assert_eq!(campaign.purpose, Purpose::Marketing);
    assert_eq!(campaign.sender.as_str(), "acme");
    assert!(campaign.enabled);
    assert!(campaign.schedule.is_none());
    assert_eq!(campaign.reach.order, [Channel::Email]);
    assert_eq!(campaign.audience.min_recipients, 1);
    assert_eq!(campaign.audience.max_script_errors, 10);
    assert_eq!(campaign.audience.dedupe, Dedupe::Address);
    assert_eq!(campaign.audience.cooldown, None);
    assert_eq!(zone.name(), "Europe/Berlin");
    assert_eq!(campaign.email.unwrap().body.format, BodyFormat::Text);
}

#[test]
fn everything_that_is_built_is_read() {
    let draft = draft(
        r#"
name = "Renewal reminder"
id = "renewals"
was = ["renewal", "billing/renewal"]
on_broken = "last_good"
removal_grace = "3d"
topic = "billing"
purpose = "marketing"
sender = "acme"
enabled = false
[audience]
sources = ["customers"]
where = 'r.status == "active"'
keys_file = "../keys.txt"
cooldown = "30d"
dedupe = "none"
min_recipients = 2
max_recipients = 50_000
holdout = "5%"
max_script_errors = 0
[variables]
zeta = 'r.name'
alpha = 'zeta + "!"'
[schedule]
every = "2w"
time = "09:00"
timezone = "America/New_York"
start = 2026-12-01
until = 2027-03-31
missed = "send"
grace = "2h"
plan_ahead = "1d"
[approval]
required = true
expires = "36h"
[pace]
rate = "500/1h"
window = "08:00-20:00"
days = "Mon-Fri"
[reach]
order = ["email"]
mode = "first"
in_doubt = "resend"
[email]
via = "main"
from = "Ada <ada@acme.example>"
subject = "Hello {{ zeta }}"
body = "./body.md"
"#,
    );
    assert_eq!(lines(&draft.diagnostics), Vec::<String>::new());
    let campaign = draft.campaign;
    assert_eq!(campaign.id.as_str(), "renewals");
    assert_eq!(campaign.purpose, Purpose::Marketing);
    assert!(!campaign.enabled);
    assert_eq!(campaign.audience.keys.unwrap().keys, ["A1", "A2", "A3"]);
    assert!(matches!(
        campaign.audience.cooldown,
        Some(Cooldown::Within(_))
    ));
    assert_eq!(campaign.audience.max_recipients, Some(50_000));
    let names: Vec<_> = campaign
        .variables
        .iter()
        .map(|one| one.name.as_str())
        .collect();
    assert_eq!(names, ["zeta", "alpha"]);
    let schedule = campaign.schedule.unwrap();
    assert!(matches!(schedule.timing, Timing::Every { period, time }
        if period.to_string() == "2w" && time == NaiveTime::from_hms_opt(9, 0, 0).unwrap()));
    assert_eq!(schedule.start.unwrap().to_string(), "2026-12-01");
    assert_eq!(schedule.grace.to_string(), "2h");
    assert_eq!(schedule.plan_ahead.unwrap().to_string(), "1d");
    assert!(campaign.approval.required);
    assert_eq!(campaign.approval.expires.to_string(), "36h");
    assert_eq!(campaign.removal_grace.to_string(), "3d");
    assert_eq!(campaign.on_broken, OnBroken::LastGood);
    let was: Vec<_> = campaign.was.iter().map(CampaignId::as_str).collect();
    assert_eq!(was, ["renewal", "billing/renewal"]);
    assert_eq!(draft.zone.name(), "America/New_York");
    let pace = campaign.pace.unwrap();
    assert_eq!(pace.rate.unwrap().to_string(), "500/1h");
    assert_eq!(pace.window.unwrap().hours.to_string(), "08:00-20:00");
    assert_eq!(pace.timezone.name(), "America/New_York");
    let email = campaign.email.unwrap();
    assert_eq!(email.body.format, BodyFormat::Markdown);
    assert_eq!(
        email.body.template.place().file.path(),
        "campaigns/x/body.md"
    );
    let files: Vec<_> = draft.files.iter().map(String::as_str).collect();
    assert_eq!(files, ["campaigns/keys.txt", "campaigns/x/body.md"]);
}

#[test]
fn what_holds_a_campaign_is_checked() {
    let text = |top: &str, more: &str| format!("{top}\n{CAMPAIGN}\n{more}");
    let found = findings(&text(
        "was = [\"x/a\", \"b\", \"b\", 3]\nremoval_grace = \"soon\"\non_broken = \"stop\"",
        "[approval]\nrequire = true\n[schedule]\nat = \"now\"\nplan_ahead = \"1d\"",
    ));
    let starts = [
        "1:8: `x/a` is its id now",
        "1:20: `b` stands twice in `was`",
        "1:25: ",
        "2:17: `removal_grace`: expected",
        "3:13: `on_broken`: expected one of hold, last_good",
    ];
    for (found, start) in found.iter().zip(starts) {
        assert!(found.starts_with(start), "{found}: {start}");
    }
    let has = |words: &str| found.iter().any(|line| line.contains(words));
    assert!(
        has("unknown key `require` in [approval] (did you mean `required`?)"),
        "{found:?}"
    );
    assert!(
        has("`plan_ahead` says nothing with `at = \"now\"`"),
        "{found:?}"
    );
    let found = findings(&text(
        "",
        "[approval]\nrequired = true\nexpires = \"2h\"\n[schedule]\nevery = \"1d\"\nplan_ahead = \"1d\"",
    ));
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(
        found[0].contains("has expired before it is due"),
        "{found:?}"
    );
}

#[test]
fn what_is_to_come_is_refused_by_name() {
    let text = r#"
topic = "offers"
[audience]
source = "customers"
[schedule]
at = "now"
timezone = "UTC"
[pace]
rate = "500/1h"
[reach]
mode = "all"
[email]
via = "main"
subject = "s"
body_text = "x"
[sms]
via = "text"
text = "Hi"
[letter]
via = "post"
"#;
    let found = findings(text);
    let expected = ["11:8", "16:2", "19:2"];
    let places: Vec<_> = found
        .iter()
        .map(|line| {
            let (place, message) = line.split_once(": ").unwrap();
            assert!(message.ends_with("not built yet"), "{line}");
            place
        })
        .collect();
    assert_eq!(places, expected);
}

#[test]
fn a_wrong_pace_says_what_was_expected() {
    let pace = |lines: &str| {
        let found = findings(&format!("{CAMPAIGN}[pace]\n{lines}"));
        found
            .iter()
            .map(|line| line.split_once(": ").unwrap().1.to_owned())
            .collect::<Vec<_>>()
            .join(" | ")
    };
    assert_eq!(pace("rate = \"10/m\"\n"), "");
    assert!(pace("window = \"8-20\"").contains("\"08:00-20:00\""));
    assert!(pace("window = \"08:00-08:00\"").contains("it closes when it opens"));
    assert!(pace("days = \"Mo-Fr\"").contains("\"Mo\" is no day of the week"));
    assert!(pace("timezone = \"UTC\"").contains("says nothing without `window` or `days`"));
    assert!(pace("windows = \"08:00-20:00\"").contains("did you mean `window`?"));
    assert!(pace("rate = \"fast\"").contains("\"500/1h\""));
}

#[test]
fn every_error_is_found_in_one_go_with_its_place() {
    let found = findings(
        r#"
tpoic = "offers"
topic = "ofers"
sender = "acne"
enabled = "yes"
[audience]
source = "customer"
where = ""
cooldown = "thirty days"
dedupe = "adress"
holdout = "100%"
min_recipients = -1
[variables]
r = 'r.name'
first-name = 'r.name'
number = 3
if = '1'
[schedule]
every = "1d"
cron = "* * * * *"
[email]
via = "mian"
subject = """
Hello
"""
body = "bodi.md"
body_html = "x"
"#,
    );
    assert_eq!(
        found,
        [
            "2:1: unknown key `tpoic` (did you mean `topic`?)",
            "3:9: there is no topic `ofers` (did you mean `offers`?)",
            "4:10: there is no sender `acne` (did you mean `acme`?)",
            "5:11: `enabled` is a string, expected true or false",
            "7:10: there is no source `customer` (did you mean `customers`?)",
            "8:9: `where` is empty (leave it out where everybody of the source is meant)",
            "9:12: `cooldown`: expected a number and a unit such as \"10m\", \"24h\" or \"30d\" (s, m, h, d, w, mo, y; m is minutes); or \"none\" to allow it at once",
            "10:10: `dedupe`: expected one of address, none",
            "11:11: `holdout` is everybody: nobody would get it",
            "12:18: `min_recipients` must be 0 or more",
            "14:1: `r` means something else in scripts or templates (choose another name)",
            "15:1: `first-name` can't be the name of a variable: letters a to z, digits and `_` may stand in it, no digit in front (choose another name)",
            "16:10: the variable `number` is not an expression in quotes (write the Rhai expression as a string, such as 'r.balance * 2' or '\"a text\"')",
            "17:1: `if` is a word of the script or template language (choose another name)",
            "20:1: give one of `at`, `every` and `cron`",
            "22:7: there is no transport `mian` (did you mean `main`?)",
            "24:6: `subject` has a line break or another control character (write it on one line)",
            "26:8: there is no text file campaigns/x/bodi.md in the workspace (did you mean `body.md`?)",
            "27:1: unknown key `body_html` in [email] (known here: via, from, subject, body, body_text, language, subjects, attachments)",
        ]
    );
}

#[test]
fn a_campaign_of_nothing_says_what_it_needs() {
    assert_eq!(
        findings("name = 'x'"),
        [
            "1:1: campaigns/x/a.toml needs `topic`",
            "1:1: campaigns/x/a.toml needs `audience`",
            "1:1: the campaign has no message (add an [email] section)",
        ]
    );
    assert_eq!(
        findings("topic = 'offers'\n[audience]\n[email]"),
        [
            "2:2: [audience] needs `source`",
            "3:2: [email] needs `via`",
            "3:2: [email] needs `subject`",
            "3:2: [email] needs a body (add `body = \"FILE.md\"`, or `body_text = \"…\"`)",
        ]
    );
}

#[test]
fn a_misspelt_message_is_no_missing_message() {
    let found = findings("topic = 'offers'\naudience.source = 'customers'\n[emial]\nvia = 'main'");
    assert_eq!(found, ["3:2: unknown key `emial` (did you mean `email`?)"]);
}

#[test]
fn what_is_known_is_said_once_and_without_what_is_not_built() {
    let found = found_with("[colour]\n").join("\n");
    let (_, known) = found.split_once("known here: ").unwrap();
    let mut names: Vec<_> = known.trim_end_matches(')').split(", ").collect();
    assert!(
        names.contains(&"email") && !names.contains(&"sms"),
        "{found}"
    );
    let all = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), all, "{found}");
}

#[test]
fn a_file_that_is_not_toml_is_reported_as_that_alone() {
    let found = findings("topic = offers\n[audience\nsource = \"customers\"");
    assert!(found[0].starts_with("1:9: "), "{found:?}");
    assert!(
        found.iter().all(|line| !line.contains("needs")),
        "{found:?}"
    );
}

#[test]
fn a_campaign_may_be_stricter_than_its_topic_but_not_laxer() {
    let with = |topic: &str, purpose: &str| {
        let draft = draft(&CAMPAIGN.replace(
            "topic = \"offers\"",
            &format!("topic = '{topic}'\npurpose = '{purpose}'"),
        ));
        (draft.campaign.purpose, lines(&draft.diagnostics))
    };
    assert_eq!(with("billing", "marketing"), (Purpose::Marketing, vec![]));
    assert_eq!(
        with("billing", "transactional"),
        (Purpose::Transactional, vec![])
    );
    assert_eq!(
        with("offers", "transactional").1,
        [
            "campaigns/x/a.toml:3:11: a transactional campaign may not stand in the marketing topic `offers`: \
             it would ignore unsubscribes from it (take a topic with `purpose = \"transactional\"`)"
        ]
    );
}

#[test]
fn marketing_needs_a_sender_with_a_postal_address() {
    let settings_of = |text: &str| settings(text).0.unwrap();
    let without = settings_of(&SETTINGS.replace("address =", "reply_to = \"a@b.example\" #"));
    let two = settings_of(&format!(
        "{SETTINGS}\n[senders.b]\nname = 'B'\nfrom = 'b@b.example'"
    ));
    let none = settings_of(
        &SETTINGS
            .replace("[senders.acme]", "[topics.acme]\npurpose = 'marketing'\n#")
            .replace("name = \"Acme Energy\"\n", "")
            .replace("address = \"1 Main Street, 12345 Springfield\"\n", "")
            .replace("from = \"Acme Energy <news@acme.example>\"\n", ""),
    );
    let found = |settings, topic: &str| {
        let file = SourceFile::new("a", CAMPAIGN.replace("offers", topic));
        lines(&read(&file, &tree(&[]), Some(settings)).diagnostics)
    };
    assert_eq!(
        found(&without, "offers"),
        [
            "a:1:1: the sender `acme` has no postal address, which marketing mail must show \
             (add `address = \"…\"` to [senders.acme] in campanile.toml)"
        ]
    );
    assert_eq!(found(&without, "billing"), Vec::<String>::new());
    assert_eq!(
        found(&two, "billing"),
        ["a:1:1: the campaign needs `sender` (add `sender = \"…\"`: one of acme, b)"]
    );
    assert_eq!(
        found(&none, "billing"),
        [
            "a:1:1: no sender is declared (declare who is writing as [senders.NAME] in campanile.toml)"
        ]
    );
}

#[test]
fn keys_are_a_text_a_list_or_a_file() {
    let keys = |line: &str| {
        let text = format!(
            "audience.source = 'customers'\naudience.{line}\ntopic = 'offers'\nemail = {{ via = 'main', subject = 's', body_text = 'b' }}"
        );
        draft(&text).campaign.audience.keys.map(|keys| keys.keys)
    };
    let some = |keys: &[&str]| Some(keys.iter().map(|key| (*key).to_owned()).collect::<Vec<_>>());
    assert_eq!(keys("keys = 'A1, A2 A3,,A1'"), some(&["A1", "A2", "A3"]));
    assert_eq!(keys("keys = ['A 1', ' B ']"), some(&["A 1", "B"]));
    assert_eq!(keys("keys_file = '../keys.txt'"), some(&["A1", "A2", "A3"]));
    assert_eq!(
        found_in_audience("audience.keys = ' ,'"),
        ["2:17: `keys` names no key: nobody would get it"]
    );
    assert_eq!(
        found_in_audience("audience.keys_file = '../empty.txt'"),
        ["2:22: `keys_file` names no key: nobody would get it"]
    );
    assert_eq!(
        found_in_audience("audience.keys = [1]"),
        ["2:18: `keys` is an integer, expected a string"]
    );
    assert_eq!(
        found_in_audience("audience.keys = 'A'\naudience.keys_file = 'a'"),
        ["3:22: `keys` and `keys_file`: give one of them"]
    );
    assert_eq!(
        found_in_audience("audience.max_recipients = 0"),
        ["2:27: `max_recipients` is less than 1: every run would be held"]
    );
}

#[test]
fn files_lie_in_the_workspace() {
    let body = |path: &str| {
        let text = CAMPAIGN.replace("body_text = \"Hello.\"", &format!("body = '{path}'"));
        lines(&draft(&text).diagnostics).join("\n")
    };
    assert_eq!(body("body.html"), "");
    assert_eq!(body("../x/body.md"), "");
    assert_eq!(body("../../templates/shared.txt"), "");
    for outside in ["../../../x.md", "/etc/x.md"] {
        assert!(
            body(outside).contains("does not lie in the workspace"),
            "{outside}"
        );
    }
    assert!(body("empty.md").contains("campaigns/x/empty.md is empty"));
    assert!(body("body.doc").contains("is not a file that ends in .md, .html, .mjml or .txt"));
    assert!(
        body("nothing-like-it.md")
            .contains("files that campaigns name lie in campaigns/ or templates/")
    );
}

#[test]
fn a_transport_must_be_for_mail() {
    let text = CAMPAIGN.replace("\"main\"", "\"text\"");
    assert_eq!(
        findings(text.trim_start()),
        ["5:7: the transport `text` is for sms, not for email"]
    );
}

#[test]
fn schedules_know_moments_dates_and_times() {
    let timing = |lines: &str| {
        let schedule = good("").campaign.schedule;
        assert!(schedule.is_none());
        let draft = draft(&format!("{CAMPAIGN}[schedule]\n{lines}"));
        assert_eq!(
            super::super::tests::lines(&draft.diagnostics),
            Vec::<String>::new()
        );
        match draft.campaign.schedule.unwrap().timing {
            Timing::Now => "now".to_owned(),
            Timing::At(at) => at.to_string(),
            Timing::Every { period, time } => format!("{period} {time}"),
            Timing::Cron(cron) => cron.as_str().to_owned(),
        }
    };
    assert_eq!(timing("at = 'now'"), "now");
    assert_eq!(timing("at = 2026-12-01T09:00:00"), "2026-12-01 09:00:00");
    assert_eq!(timing("at = 2026-12-01 09:00"), "2026-12-01 09:00:00");
    assert_eq!(timing("at = '2026-12-01 09:00'"), "2026-12-01 09:00:00");
    // A moment with its offset is what clocks in Berlin show then.
    assert_eq!(timing("at = 2026-12-01T09:00:00Z"), "2026-12-01 10:00:00");
    assert_eq!(
        timing("at = '2026-07-01T09:00:00-04:00'"),
        "2026-07-01 15:00:00"
    );
    assert_eq!(timing("every = '1d'\ntime = '09:30'"), "1d 09:30:00");
    assert_eq!(timing("every = '1mo'\ntime = 09:30:00"), "1mo 09:30:00");
    assert_eq!(timing("every = '1d'"), "1d 00:00:00");
    assert_eq!(timing("every = '10m'"), "10m 00:00:00");
    assert_eq!(timing("cron = '0 9 * * MON-FRI'"), "0 9 * * MON-FRI");
}

#[test]
fn schedules_that_contradict_themselves_are_refused() {
    let found = |lines: &str| found_with(&format!("[schedule]\n{lines}\n")).join("\n");
    assert_eq!(found("timezone = 'Europe/Vienna'"), "");
    assert_eq!(
        found("time = '09:00'"),
        "9:1: `time` says nothing without `every` or `cron` (add `every = \"1d\"`, or take it out)"
    );
    assert_eq!(
        found("every = '6h'\ntime = '09:00'"),
        "10:1: `time` needs `every` in days or longer, and 6h counts by elapsed time (write `every = \"1d\"` for once a day)"
    );
    assert_eq!(
        found("every = '90s'"),
        "9:9: `every`: expected whole minutes"
    );
    assert_eq!(
        found("every = '101y'"),
        "9:9: `every` is more than a hundred years"
    );
    assert_eq!(
        found("every = '1d'\nstart = 2026-02-01\nuntil = 2026-01-31"),
        "11:9: `until` lies before `start`, 2026-02-01: it would never be due"
    );
    assert_eq!(
        found("every = '1d'\nstart = 2026-02-01T09:00:00"),
        "10:9: `start`: expected a date without a time, such as 2026-12-01"
    );
    assert_eq!(
        found("at = 2026-12-01\ntime = '09:00'"),
        "9:6: `at`: the time of day is missing: expected \"now\" or a date with a time such as 2026-12-01T09:00:00 (local to the schedule's time zone)\n\
         10:1: the time of day belongs into `at`"
    );
    assert_eq!(
        found("at = 'now'\nuntil = 2026-12-01"),
        "10:1: `at` is one moment and has no `until`"
    );
    assert!(found("cron = '0 9 * *'").starts_with("9:8: `cron`: expected five fields"));
    for (cron, expected) in [
        ("0 25 * * *", "`cron`: the hour is 0 to 23, not 25"),
        (
            "0,70 9 * * *",
            "`cron`: the minute is 0 to 59, and 70 in `0,70` is not",
        ),
        (
            "0 9 0 * *",
            "`cron`: the day of the month is 1 to 31, not 0",
        ),
        (
            "0 9 * Foo *",
            "`cron`: `Foo` is no month: 1 to 12, `*`, a list (1,2), a range (1-5) or a step (*/5)",
        ),
        ("0 9 30 2 *", "this never happens: no date matches it"),
        ("0 9 29 2 MON", ""),
        ("0 9 L * 5#2", ""),
    ] {
        let line = found(&format!("cron = '{cron}'"));
        assert_eq!(
            line.strip_prefix("9:8: ").unwrap_or(&line),
            expected,
            "{cron}"
        );
    }
    assert!(found("at = 'tomorrow'").starts_with("9:6: `at`: expected \"now\" or"));
    assert!(
        found("time = '25:00'\nevery = '1d'").starts_with("9:8: `time`: expected a time of day")
    );
    assert_eq!(
        found("at = 2026-10-25T01:30:00Z"),
        "9:6: `at`: clocks in Europe/Berlin show 2026-10-25 02:30:00 twice that day, and this is the second: write the local time"
    );
    assert_eq!(
        found("at = 2026-03-29T02:30:00"),
        "9:6: this time does not exist in Europe/Berlin, where clocks go forward: it is due at 2026-03-29 03:00:00"
    );
}

#[test]
fn channels_in_the_order_have_a_message() {
    assert_eq!(
        found_with("[reach]\norder = ['sms', 'email', 'email', 'pigeon']\n"),
        [
            "9:10: the campaign has no message for sms (add a [sms] section, or take it out)",
            "9:26: email stands twice in `order`",
            "9:35: `order`: expected \"email\", \"sms\" or \"letter\"",
        ]
    );
    assert_eq!(
        found_with("[reach]\norder = []\n"),
        ["9:9: [email] would never be sent: email is missing in `order`"]
    );
}

#[test]
fn a_path_that_is_not_an_id_is_said_and_near_to_one() {
    let (id, error) = super::id_of_path("campaigns/a+b/c?.toml");
    assert_eq!(id.as_str(), "a_b/c_");
    assert!(error.unwrap().starts_with("'+' may not stand in a name"));
    assert_eq!(super::id_of_path("campaigns//.toml").0.as_str(), "unnamed");
    let file = SourceFile::new("campaigns/a+b.toml", format!("id = 'ab'\n{CAMPAIGN}"));
    let settings = settings(SETTINGS).0.unwrap();
    let draft = read(&file, &tree(&[]), Some(&settings));
    assert_eq!(lines(&draft.diagnostics), Vec::<String>::new());
    assert_eq!(draft.campaign.id.as_str(), "ab");
}

proptest! {
    #[test]
    fn no_text_breaks_it(text in "\\PC{0,60}", at in 0..CAMPAIGN.len()) {
        let at = (0..=at).rev().find(|at| CAMPAIGN.is_char_boundary(*at)).unwrap_or(0);
        let draft = draft(&format!("{}{text}{}", &CAMPAIGN[..at], &CAMPAIGN[at..]));
        for finding in &draft.diagnostics {
            prop_assert!(!finding.render(false).is_empty());
        }
    }

    #[test]
    fn no_schedule_breaks_it(key in "(at|every|cron|time|start|until|timezone|grace)", value in "['\"]?[-0-9TZ:+ .a-z*]{0,24}['\"]?") {
        let draft = draft(&format!("{CAMPAIGN}[schedule]\n{key} = {value}\n"));
        drop(draft);
    }
}
