//! What came of tests as JUnit XML: a suite a campaign, as CI systems read it.

use std::{fmt::Write as _, time::Duration};

use super::{Tested, show::explain};
use crate::{
    cli::print::mask,
    engine::{TestFailure, TestOutcome},
    model::{Diagnostic, Diagnostics, Place},
};

/// The whole file. Addresses are masked unless `unmasked`.
pub(super) fn report(tested: &[Tested], unmasked: bool) -> String {
    let mut report = Report {
        text: String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"),
        unmasked,
    };
    let of = |count: fn(&Tested) -> usize| tested.iter().map(count).sum::<usize>();
    report.open(
        0,
        "testsuites",
        &[
            ("name", "campanile".to_owned()),
            ("tests", of(tests).to_string()),
            ("failures", of(failures).to_string()),
            ("errors", of(errors).to_string()),
            ("time", seconds(tested.iter().map(took).sum())),
        ],
        ">",
    );
    for one in tested {
        report.suite(one);
    }
    report.text.push_str("</testsuites>\n");
    report.text
}

fn tests(one: &Tested) -> usize {
    one.outcomes().len() + errors(one)
}

fn failures(one: &Tested) -> usize {
    one.failed().count()
}

fn errors(one: &Tested) -> usize {
    usize::from(one.outcomes.is_err())
}

fn took(one: &Tested) -> Duration {
    one.outcomes().iter().map(|outcome| outcome.took).sum()
}

fn seconds(took: Duration) -> String {
    format!("{:.3}", took.as_secs_f64())
}

struct Report {
    text: String,
    unmasked: bool,
}

impl Report {
    fn suite(&mut self, one: &Tested) {
        self.open(
            1,
            "testsuite",
            &[
                ("name", one.campaign.to_string()),
                ("file", one.path.clone()),
                ("tests", tests(one).to_string()),
                ("failures", failures(one).to_string()),
                ("errors", errors(one).to_string()),
                ("skipped", "0".to_owned()),
                ("time", seconds(took(one))),
            ],
            ">",
        );
        if let Err(found) = &one.outcomes {
            self.broken(one, found);
        }
        for outcome in one.outcomes() {
            self.case(outcome);
        }
        self.text.push_str("  </testsuite>\n");
    }

    fn case(&mut self, outcome: &TestOutcome) {
        let end = if outcome.failures.is_empty() {
            "/>"
        } else {
            ">"
        };
        let class = outcome.campaign.as_str();
        self.open_case(&outcome.name, class, &outcome.place, outcome.took, end);
        if outcome.failures.is_empty() {
            return;
        }
        let message = |failure: &TestFailure| failure.found.message.clone();
        let details: Vec<_> = outcome
            .failures
            .iter()
            .map(|failure| explain(failure, false))
            .collect();
        let first = outcome.failures.first().map(message).unwrap_or_default();
        self.verdict("failure", &first, &details);
    }

    /// A campaign that does not check has no tests that could be run: that is one error.
    fn broken(&mut self, one: &Tested, found: &Diagnostics) {
        let details: Vec<_> = found.iter().map(|found| found.render(false)).collect();
        let first = found.iter().next();
        let file = crate::model::SourceFile::new(one.path.as_str(), "");
        let place = first.map_or_else(|| Place::start_of(&file), |found| found.place.clone());
        let class = one.campaign.as_str();
        self.open_case("it checks", class, &place, Duration::ZERO, ">");
        let words = first.map(|found: &Diagnostic| found.message.clone());
        self.verdict("error", &words.unwrap_or_default(), &details);
    }

    fn open_case(&mut self, name: &str, class: &str, place: &Place, took: Duration, end: &str) {
        self.open(
            2,
            "testcase",
            &[
                ("name", name.to_owned()),
                ("classname", class.to_owned()),
                ("file", place.file.path().to_owned()),
                ("line", place.line_column().0.to_string()),
                ("time", seconds(took)),
            ],
            end,
        );
    }

    fn verdict(&mut self, tag: &str, message: &str, details: &[String]) {
        let details = escape(&self.shown(&details.join("\n\n")), false);
        let message = escape(&self.shown(message), true);
        writeln!(
            self.text,
            "      <{tag} message=\"{message}\">{details}</{tag}>\n    </testcase>"
        )
        .expect("writing to memory");
    }

    fn open(&mut self, depth: usize, tag: &str, attributes: &[(&str, String)], end: &str) {
        write!(self.text, "{:1$}<{tag}", "", depth * 2).expect("writing to memory");
        for (name, value) in attributes {
            let value = escape(&self.shown(value), true);
            write!(self.text, " {name}=\"{value}\"").expect("writing to memory");
        }
        self.text.push_str(end);
        self.text.push('\n');
    }

    fn shown(&self, text: &str) -> String {
        if self.unmasked {
            text.to_owned()
        } else {
            mask::words(text)
        }
    }
}

/// Text as XML 1.0 may have it: what it can't hold at all becomes U+FFFD.
fn escape(text: &str, attribute: bool) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&apos;"),
            '\n' | '\t' if attribute => {
                write!(escaped, "&#{};", c as u32).expect("writing to memory");
            }
            '\n' | '\t' => escaped.push(c),
            '\r' => escaped.push_str("&#13;"),
            '\0'..='\u{1f}' | '\u{fffe}' | '\u{ffff}' => escaped.push('\u{fffd}'),
            c => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::SourceFile;

    fn tested() -> Vec<Tested> {
        let file = SourceFile::new("campaigns/a.toml", "expect = { subject = \"x\" }\n");
        let place = Place::new(&file, 0..6);
        let failure = TestFailure {
            at: None,
            found: Diagnostic::error("test-failed", place.clone(), "a <b> & \"c\": \u{1b}another"),
            difference: Some(("x".to_owned(), "ada@example.org".to_owned())),
            cause: None,
        };
        let outcome = |name: &str, failures| TestOutcome {
            campaign: "a".parse().unwrap(),
            name: name.to_owned(),
            place: place.clone(),
            recipients: 1,
            failures,
            took: Duration::from_millis(1_500),
        };
        let mut found = Diagnostics::new();
        found.push(Diagnostic::error("unknown-key", place.clone(), "unknown"));
        let one = |campaign: &str, outcomes| Tested {
            campaign: campaign.parse().unwrap(),
            path: "campaigns/a.toml".to_owned(),
            outcomes,
        };
        vec![
            one(
                "a",
                Ok(vec![
                    outcome("good", vec![]),
                    outcome("a <b>", vec![failure]),
                ]),
            ),
            one("b", Err(found)),
        ]
    }

    #[test]
    fn it_is_well_formed_and_counts() {
        let text = report(&tested(), false);
        let document = roxmltree::Document::parse(&text).unwrap();
        let suites = document.root_element();
        let counts = ["tests", "failures", "errors", "time"].map(|name| suites.attribute(name));
        assert_eq!(counts, [Some("3"), Some("1"), Some("1"), Some("3.000")]);
        let failure = document
            .descendants()
            .find(|node| node.has_tag_name("failure"))
            .unwrap();
        assert_eq!(
            failure.attribute("message"),
            Some("a <b> & \"c\": \u{fffd}another")
        );
        let details = failure.text().unwrap();
        assert!(details.contains("campaigns/a.toml:1:1"), "{details}");
        assert!(details.contains("a…@example.org"), "{details}");
        assert!(report(&tested(), true).contains("ada@example.org"));
    }

    #[test]
    fn no_text_breaks_it() {
        let all: String = ('\0'..='\u{2ff}')
            .chain(['\u{fffe}', '\u{10ffff}', ']'])
            .collect();
        let text = format!(
            "<a b=\"{}\">{}]]&gt;</a>",
            escape(&all, true),
            escape(&all, false)
        );
        roxmltree::Document::parse(&text).unwrap();
    }
}
