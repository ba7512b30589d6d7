//! Text → [`Value`]: how a cell is read as its declared type. Shared by all kinds of source whose cells are text.

use std::fmt::Write as _;

use chrono::{
    DateTime, Datelike, FixedOffset, NaiveDate, NaiveDateTime,
    format::{Item, Parsed, StrftimeItems, parse},
};
use rust_decimal::Decimal;

use super::FieldFormat;
use crate::model::{FieldType, Value};

/// Reads the cells of one column.
#[derive(Clone, Debug)]
pub struct CellParser {
    kind: FieldType,
    pattern: Option<Pattern>,
}

/// A strftime pattern that can be read.
#[derive(Clone, Debug)]
struct Pattern {
    text: String,
    items: Vec<Item<'static>>,
}

impl CellParser {
    /// A parser for cells of this format; the error says what is wrong with the strftime pattern.
    pub fn new(format: &FieldFormat) -> Result<Self, String> {
        let pattern = match &format.format {
            None => None,
            Some(text) => Some(Pattern::new(format.kind, text)?),
        };
        Ok(Self {
            kind: format.kind,
            pattern,
        })
    }

    /// The type of the column.
    pub fn kind(&self) -> FieldType {
        self.kind
    }

    /// The value of a cell. White space around it counts in strings only. The error says what stands there and what should.
    pub fn parse(&self, text: &str) -> Result<Value, String> {
        if matches!(self.kind, FieldType::String | FieldType::Any) {
            return Ok(Value::Text(text.to_owned()));
        }
        let trimmed = text.trim();
        if self.kind == FieldType::List {
            return Ok(list(trimmed));
        }
        if trimmed.is_empty() {
            return Ok(Value::Empty);
        }
        match self.kind {
            FieldType::Integer => integer(trimmed),
            FieldType::Decimal => decimal(trimmed),
            FieldType::Boolean => boolean(trimmed),
            FieldType::Date => match &self.pattern {
                None => iso_date(trimmed),
                Some(pattern) => pattern.date(trimmed),
            }
            .map(Value::Date),
            FieldType::Datetime => match &self.pattern {
                None => rfc3339(trimmed),
                Some(pattern) => pattern.datetime(trimmed),
            }
            .map(Value::DateTime),
            FieldType::String | FieldType::List | FieldType::Any => {
                unreachable!("these are handled above")
            }
        }
    }
}

/// The cell as errors show it: quoted, escaped, cut.
pub(super) fn shown(text: &str) -> String {
    const MOST: usize = 40;
    match text.char_indices().nth(MOST) {
        None => format!("{text:?}"),
        Some((at, _)) => format!("{:?}…", &text[..at]),
    }
}

fn integer(text: &str) -> Result<Value, String> {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(format!(
            "{} is not an integer: digits only, such as 1200",
            shown(text)
        ));
    }
    text.parse().map(Value::Integer).map_err(|_| {
        format!(
            "{} is not between {} and {}",
            shown(text),
            i64::MIN,
            i64::MAX
        )
    })
}

fn decimal(text: &str) -> Result<Value, String> {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let (whole, fraction) = unsigned.split_once('.').unwrap_or((unsigned, "0"));
    let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    if fraction.is_empty() || !digits(whole) || !digits(fraction) {
        return Err(format!(
            "{} is not a decimal: digits and a point, such as 1200.50",
            shown(text)
        ));
    }
    Decimal::from_str_exact(text)
        .map(Value::Decimal)
        .map_err(|_| {
            format!(
                "{} has more digits than a decimal can hold exactly (28)",
                shown(text)
            )
        })
}

fn boolean(text: &str) -> Result<Value, String> {
    let is_one_of = |words: [&str; 3]| words.iter().any(|word| word.eq_ignore_ascii_case(text));
    if is_one_of(["true", "yes", "1"]) {
        Ok(Value::Boolean(true))
    } else if is_one_of(["false", "no", "0"]) {
        Ok(Value::Boolean(false))
    } else {
        Err(format!(
            "{} is not a boolean: true, false, yes, no, 1 or 0",
            shown(text)
        ))
    }
}

fn list(text: &str) -> Value {
    let parts = text.split([',', ';']).map(str::trim);
    Value::List(
        parts
            .filter(|part| !part.is_empty())
            .map(Value::from)
            .collect(),
    )
}

/// ISO 8601's extended form only: `2026-12-01`. By hand, as chrono's `%Y-%m-%d` takes `+26-1-1` too.
fn iso_date(text: &str) -> Result<NaiveDate, String> {
    let number = |part: &[u8]| {
        part.iter().try_fold(0_u32, |number, digit| {
            digit
                .is_ascii_digit()
                .then(|| number * 10 + u32::from(digit - b'0'))
        })
    };
    let date = match text.as_bytes() {
        [
            y @ ..,
            b'-',
            month_tens,
            month_ones,
            b'-',
            day_tens,
            day_ones,
        ] if y.len() == 4 => number(y)
            .zip(number(&[*month_tens, *month_ones]))
            .zip(number(&[*day_tens, *day_ones]))
            .and_then(|((year, month), day)| NaiveDate::from_ymd_opt(year as i32, month, day)),
        _ => None,
    };
    date.ok_or_else(|| {
        format!(
            "{} is not a date such as 2026-12-01; give the column a format where it is written otherwise: \
             {{ type = \"date\", format = \"%d.%m.%Y\" }}",
            shown(text)
        )
    })
}

fn rfc3339(text: &str) -> Result<DateTime<FixedOffset>, String> {
    DateTime::parse_from_rfc3339(text)
        .or_else(|_| DateTime::parse_from_str(text, "%Y-%m-%dT%H:%M%:z"))
        .map_err(|_| {
            let local = ["%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%dT%H:%M", "%Y-%m-%d %H:%M"]
                .iter()
                .any(|pattern| NaiveDateTime::parse_from_str(text, pattern).is_ok());
            if local || iso_date(text).is_ok() {
                format!(
                    "{} has no UTC offset, so it is no certain moment: write 2026-12-01T09:00:00Z or 2026-12-01T09:00:00+01:00",
                    shown(text)
                )
            } else {
                format!("{} is not a moment such as 2026-12-01T09:00:00+01:00", shown(text))
            }
        })
}

impl Pattern {
    fn new(kind: FieldType, text: &str) -> Result<Self, String> {
        if !matches!(kind, FieldType::Date | FieldType::Datetime) {
            return Err(format!(
                "a {kind} has no `format`: only date and datetime have one"
            ));
        }
        let items = StrftimeItems::new(text)
            .parse_to_owned()
            .map_err(|_| format!("{text:?} is not a strftime pattern; an example: \"%d.%m.%Y\""))?;
        let pattern = Self {
            text: text.to_owned(),
            items,
        };
        // What is written by a pattern must be readable by it: this finds the parts that it lacks.
        let sample = DateTime::parse_from_rfc3339("2026-12-31T23:58:59+01:00")
            .expect("the sample is a valid moment");
        let mut written = String::new();
        if kind == FieldType::Date {
            let date = sample.date_naive();
            let read = write!(written, "{}", date.format_with_items(pattern.items.iter()))
                .ok()
                .and_then(|()| pattern.date(&written).ok());
            if read != Some(date) {
                return Err(format!(
                    "the format {text:?} does not make a whole date: it needs day, month and year, such as \"%d.%m.%Y\", \
                     and no time"
                ));
            }
        } else {
            let read = write!(
                written,
                "{}",
                sample.format_with_items(pattern.items.iter())
            )
            .ok()
            .and_then(|()| pattern.datetime(&written).ok());
            if read.is_none_or(|read| (sample - read).num_seconds().abs() >= 60) {
                return Err(format!(
                    "the format {text:?} does not make a certain moment: it needs date, time and UTC offset, such as \
                     \"%d.%m.%Y %H:%M %z\", or %s"
                ));
            }
        }
        Ok(pattern)
    }

    fn parsed(&self, text: &str) -> Option<Parsed> {
        let mut parsed = Parsed::new();
        parse(&mut parsed, text, self.items.iter()).ok()?;
        Some(parsed)
    }

    fn date(&self, text: &str) -> Result<NaiveDate, String> {
        self.parsed(text)
            .and_then(|parsed| parsed.to_naive_date().ok())
            .filter(|date| (1..=9999).contains(&date.year()))
            .ok_or_else(|| format!("{} is not a date in the form {:?}", shown(text), self.text))
    }

    fn datetime(&self, text: &str) -> Result<DateTime<FixedOffset>, String> {
        self.parsed(text)
            .and_then(|parsed| parsed.to_datetime().ok())
            .filter(|moment| (1..=9999).contains(&moment.year()))
            .ok_or_else(|| {
                format!(
                    "{} is not a moment in the form {:?}",
                    shown(text),
                    self.text
                )
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parser(kind: FieldType, format: Option<&str>) -> CellParser {
        CellParser::new(&FieldFormat {
            kind,
            format: format.map(str::to_owned),
        })
        .unwrap()
    }

    /// The value as its type and text, or the error.
    fn read(kind: FieldType, text: &str) -> String {
        match parser(kind, None).parse(text) {
            Ok(value) => format!("{} {value}", value.type_name()),
            Err(message) => message,
        }
    }

    #[test]
    fn cells_are_read_as_their_type() {
        use FieldType::{Boolean, Date, Datetime, Decimal, Integer, List, String};
        for (kind, text, expected) in [
            (String, "  Ada ", "string   Ada "),
            (String, "", "string "),
            (Integer, " 42 ", "integer 42"),
            (Integer, "+7", "integer 7"),
            (
                Integer,
                "-9223372036854775808",
                "integer -9223372036854775808",
            ),
            (Integer, "\u{a0}", "empty "),
            (Decimal, "12.50", "decimal 12.50"),
            (Decimal, "-.5", "decimal -0.5"),
            (Decimal, "+3", "decimal 3"),
            (Boolean, "YES", "boolean true"),
            (Boolean, "0", "boolean false"),
            (Boolean, "", "empty "),
            (Date, "2028-02-29", "date 2028-02-29"),
            (
                Datetime,
                "2026-12-01T09:00:00Z",
                "datetime 2026-12-01T09:00:00+00:00",
            ),
            (
                Datetime,
                "2026-12-01T09:00+05:30",
                "datetime 2026-12-01T09:00:00+05:30",
            ),
            (List, " a, b;;c ,", "list a, b, c"),
            (List, " ", "list "),
        ] {
            assert_eq!(read(kind, text), expected, "{kind} {text:?}");
        }
    }

    #[test]
    fn what_is_not_of_the_type_is_refused() {
        use FieldType::{Boolean, Date, Datetime, Decimal, Integer};
        for (kind, text) in [
            (Integer, "1,000"),
            (Integer, "1_000"),
            (Integer, "1.0"),
            (Integer, "+-1"),
            (Integer, "+"),
            (Integer, "١٢"),
            (Integer, "9223372036854775808"),
            (Decimal, "12,50"),
            (Decimal, "1e5"),
            (Decimal, "1_0.5"),
            (Decimal, "."),
            (Decimal, "-"),
            (Decimal, "12."),
            (Decimal, "0.00000000000000000000000000001"),
            (Decimal, "99999999999999999999999999999"),
            (Boolean, "y"),
            (Date, "2026-02-29"),
            (Date, "2026-2-9"),
            (Date, "+026-02-09"),
            (Date, "01.12.2026"),
            (Datetime, "2026-12-01"),
            (Datetime, "tomorrow"),
        ] {
            let value = parser(kind, None).parse(text);
            assert!(value.is_err(), "{kind} {text:?}: {value:?}");
        }
        assert!(read(Datetime, "2026-12-01 09:00:00").contains("has no UTC offset"));
        assert!(read(Date, "01.12.2026").contains("%d.%m.%Y"));
        assert!(read(Integer, &"9".repeat(1000)).len() < 200);
    }

    #[test]
    fn dates_may_be_written_in_another_form() {
        let date = parser(FieldType::Date, Some("%d.%m.%Y"));
        assert_eq!(date.parse("01.12.2026").unwrap().to_string(), "2026-12-01");
        assert_eq!(date.parse(" ").unwrap(), Value::Empty);
        assert!(date.parse("2026-12-01").is_err());
        assert!(date.parse("31.02.2026").is_err());
        assert!(date.parse("01.12.+99999").is_err());
        let moment = parser(FieldType::Datetime, Some("%d.%m.%Y %H:%M %z"));
        assert_eq!(
            moment.parse("01.12.2026 09:00 +0100").unwrap().to_string(),
            "2026-12-01T09:00:00+01:00"
        );
        let unix = parser(FieldType::Datetime, Some("%s"));
        assert_eq!(
            unix.parse("0").unwrap().to_string(),
            "1970-01-01T00:00:00+00:00"
        );
    }

    #[test]
    fn a_format_that_can_not_be_read_is_refused() {
        use FieldType::{Date, Datetime, Integer};
        for (kind, text) in [
            (Date, "%d.%m."),
            (Date, "%Q"),
            (Date, "%d.%m.%Y %H:%M"),
            (Date, ""),
            (Datetime, "%d.%m.%Y %H:%M"),
            (Datetime, "%d.%m.%Y %z"),
            (Integer, "%d"),
        ] {
            let format = FieldFormat {
                kind,
                format: Some(text.to_owned()),
            };
            assert!(CellParser::new(&format).is_err(), "{kind} {text:?}");
        }
    }
}
