//! JSON (RFC 8259) → [`Value`]s: numbers stay exact, a key stands once, and what is wrong has its place. Written by hand for that:
//! the usual readers go by way of binary floating-point numbers, and take the last of two equal keys.

use std::{borrow::Cow, collections::BTreeMap};

use rust_decimal::Decimal;

use crate::model::Value;

/// Objects and arrays within each other: whoever takes a value apart does so by recursion.
const DEEPEST: usize = 32;

/// All entries of one object's objects and arrays together: what a script's lists and maps may have.
const MOST_ENTRIES: usize = 10_000;

/// A decimal has no more digits; an exponent beyond leads out of it.
const MOST_DIGITS: i64 = 28;

/// What is wrong, and at which byte.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Wrong {
    /// Where.
    pub(super) at: usize,
    /// What.
    pub(super) message: String,
}

/// Reads one object that is all of `text`; `field` gets its keys in their order with their values, and says what is wrong with
/// one.
pub(super) fn object(
    text: &str,
    mut field: impl FnMut(Cow<'_, str>, Value) -> Result<(), String>,
) -> Result<(), Wrong> {
    let mut reader = Reader {
        text,
        at: 0,
        entries: 0,
    };
    reader.space();
    if reader.peek() != Some(b'{') {
        return reader.wrong("a JSON object must stand here: { … }");
    }
    reader.members(0, &mut |key, at, value| {
        field(key, value).map_err(|message| Wrong { at, message })
    })?;
    reader.space();
    match reader.peek() {
        None => Ok(()),
        Some(_) => reader.wrong("the object ends before: only one may stand on a line"),
    }
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
    entries: usize,
}

impl<'a> Reader<'a> {
    fn wrong<T>(&self, message: impl Into<String>) -> Result<T, Wrong> {
        Err(Wrong {
            at: self.at,
            message: message.into(),
        })
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn space(&mut self) {
        while let Some(b' ' | b'\t' | b'\r' | b'\n') = self.peek() {
            self.at += 1;
        }
    }

    fn expect(&mut self, byte: u8, what: &str) -> Result<(), Wrong> {
        self.space();
        match self.peek() {
            Some(found) if found == byte => {
                self.at += 1;
                Ok(())
            }
            Some(_) => self.wrong(format!("{what} must stand here")),
            None => self.wrong(format!("the line ends where {what} must stand")),
        }
    }

    /// The members of an object, from its brace on.
    fn members(
        &mut self,
        depth: usize,
        member: &mut dyn FnMut(Cow<'a, str>, usize, Value) -> Result<(), Wrong>,
    ) -> Result<(), Wrong> {
        self.at += 1;
        self.space();
        if self.peek() == Some(b'}') {
            self.at += 1;
            return Ok(());
        }
        loop {
            self.space();
            let at = self.at;
            if self.peek() != Some(b'"') {
                return match self.peek() {
                    Some(_) => self.wrong("a key in double quotes must stand here"),
                    None => self.wrong("the line ends within an object"),
                };
            }
            let key = self.string()?;
            self.expect(b':', "`:`")?;
            let value = self.value(depth + 1)?;
            self.count()?;
            member(key, at, value)?;
            self.space();
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b'}') => {
                    self.at += 1;
                    return Ok(());
                }
                Some(_) => return self.wrong("`,` or `}` must stand here"),
                None => return self.wrong("the line ends within an object"),
            }
        }
    }

    fn count(&mut self) -> Result<(), Wrong> {
        self.entries += 1;
        if self.entries > MOST_ENTRIES {
            return self.wrong(format!("the object has more than {MOST_ENTRIES} values"));
        }
        Ok(())
    }

    fn value(&mut self, depth: usize) -> Result<Value, Wrong> {
        self.space();
        if depth > DEEPEST {
            return self.wrong(format!(
                "objects and arrays are nested more than {DEEPEST} levels deep"
            ));
        }
        match self.peek() {
            Some(b'{') => {
                let mut map = BTreeMap::new();
                self.members(
                    depth,
                    &mut |key, at, value| match map.insert(key.into_owned(), value) {
                        None => Ok(()),
                        Some(_) => Err(Wrong {
                            at,
                            message: TWICE.to_owned(),
                        }),
                    },
                )?;
                Ok(Value::Map(map))
            }
            Some(b'[') => self.array(depth).map(Value::List),
            Some(b'"') => self.string().map(|text| Value::Text(text.into_owned())),
            Some(b't') => self.word("true", Value::Boolean(true)),
            Some(b'f') => self.word("false", Value::Boolean(false)),
            Some(b'n') => self.word("null", Value::Empty),
            Some(b'-' | b'0'..=b'9') => self.number(),
            Some(_) => self.wrong("a value must stand here"),
            None => self.wrong("the line ends where a value must stand"),
        }
    }

    fn array(&mut self, depth: usize) -> Result<Vec<Value>, Wrong> {
        self.at += 1;
        let mut values = Vec::new();
        self.space();
        if self.peek() == Some(b']') {
            self.at += 1;
            return Ok(values);
        }
        loop {
            values.push(self.value(depth + 1)?);
            self.count()?;
            self.space();
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b']') => {
                    self.at += 1;
                    return Ok(values);
                }
                Some(_) => return self.wrong("`,` or `]` must stand here"),
                None => return self.wrong("the line ends within an array"),
            }
        }
    }

    fn word(&mut self, word: &str, value: Value) -> Result<Value, Wrong> {
        if !self.text[self.at..].starts_with(word) {
            return self.wrong("a value must stand here");
        }
        self.at += word.len();
        Ok(value)
    }

    fn string(&mut self) -> Result<Cow<'a, str>, Wrong> {
        self.at += 1;
        let start = self.at;
        let mut owned: Option<String> = None;
        let mut copied = start;
        loop {
            let rest = &self.text.as_bytes()[self.at..];
            let plain = rest
                .iter()
                .position(|byte| matches!(byte, b'"' | b'\\' | 0..0x20));
            let Some(plain) = plain else {
                self.at = self.text.len();
                return self.wrong("the line ends within a string");
            };
            self.at += plain;
            match rest[plain] {
                b'"' => {
                    let tail = &self.text[copied..self.at];
                    self.at += 1;
                    return Ok(match owned {
                        None => Cow::Borrowed(tail),
                        Some(text) => Cow::Owned(text + tail),
                    });
                }
                b'\\' => {
                    let text = owned.get_or_insert_default();
                    text.push_str(&self.text[copied..self.at]);
                    let c = self.escape()?;
                    owned.get_or_insert_default().push(c);
                    copied = self.at;
                }
                _ => return self.wrong("a control character must be written as an escape"),
            }
        }
    }

    fn escape(&mut self) -> Result<char, Wrong> {
        let escape = self.text.as_bytes().get(self.at + 1).copied();
        let c = match escape {
            Some(b'"') => '"',
            Some(b'\\') => '\\',
            Some(b'/') => '/',
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => return self.unicode(),
            _ => return self.wrong("there is no such escape"),
        };
        self.at += 2;
        Ok(c)
    }

    fn unicode(&mut self) -> Result<char, Wrong> {
        let unit = |at: usize| {
            let digits = self.text.get(at..at + 6)?.strip_prefix("\\u")?;
            let is_hex = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
            is_hex.then(|| u16::from_str_radix(digits, 16).ok())?
        };
        let (first, second) = (unit(self.at), unit(self.at + 6));
        let Some(first) = first else {
            return self.wrong("four hexadecimal digits must stand behind \\u");
        };
        let mut decoded = char::decode_utf16([first].into_iter().chain(second));
        match decoded.next() {
            Some(Ok(c)) => {
                self.at += 6 * c.len_utf16();
                Ok(c)
            }
            _ => self.wrong("half a surrogate pair is no character"),
        }
    }

    fn number(&mut self) -> Result<Value, Wrong> {
        let start = self.at;
        let bytes = self.text.as_bytes();
        let digits = |mut at: usize| {
            while bytes.get(at).is_some_and(u8::is_ascii_digit) {
                at += 1;
            }
            at
        };
        let mut at = start + usize::from(bytes[start] == b'-');
        let whole = at;
        at = digits(at);
        let well_formed = at > whole && (at == whole + 1 || bytes[whole] != b'0');
        let mut fraction = at..at;
        let has_point = well_formed && bytes.get(at) == Some(&b'.');
        if has_point {
            fraction = at + 1..digits(at + 1);
            at = fraction.end;
        }
        let mut exponent = None;
        let complete = well_formed && (!has_point || !fraction.is_empty());
        if complete && matches!(bytes.get(at), Some(b'e' | b'E')) {
            let sign = usize::from(matches!(bytes.get(at + 1), Some(b'+' | b'-')));
            let end = digits(at + 1 + sign);
            if end > at + 1 + sign {
                exponent = Some(&self.text[at + 1..end]);
                at = end;
            } else {
                return self.wrong("the number has no exponent behind its `e`");
            }
        }
        if !complete {
            return self.wrong("this is not a number: digits, perhaps a point and more digits");
        }
        let text = &self.text[start..at];
        let exact = match (fraction.is_empty(), exponent) {
            (true, None) => text
                .parse()
                .map(Value::Integer)
                .ok()
                .or_else(|| Decimal::from_str_exact(text).ok().map(Value::Decimal)),
            (_, None) => Decimal::from_str_exact(text).ok().map(Value::Decimal),
            (_, Some(exponent)) => shifted(text, exponent).map(Value::Decimal),
        };
        match exact {
            Some(value) => {
                self.at = at;
                Ok(value)
            }
            None => self.wrong(format!(
                "the number has more digits than a decimal can hold exactly ({MOST_DIGITS})"
            )),
        }
    }
}

/// What is said of a key that an object has twice.
pub(super) const TWICE: &str = "the object has this key twice";

/// The number with its point moved as its exponent says.
fn shifted(text: &str, exponent: &str) -> Option<Decimal> {
    let mantissa = &text[..text.len() - exponent.len() - 1];
    let (negative, unsigned) = match mantissa.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, mantissa),
    };
    let (whole, fraction) = unsigned.split_once('.').unwrap_or((unsigned, ""));
    let digits: String = format!("{whole}{fraction}");
    if digits.bytes().all(|digit| digit == b'0') {
        return Some(Decimal::ZERO);
    }
    let exponent: i64 = exponent.parse().ok()?;
    if exponent.abs() > 10 * MOST_DIGITS || digits.len() > 20 * MOST_DIGITS as usize {
        return None;
    }
    let point = whole.len() as i64 + exponent;
    let length = digits.len() as i64;
    let moved = if point <= 0 {
        format!("0.{}{digits}", "0".repeat(point.unsigned_abs() as usize))
    } else if point >= length {
        format!("{digits}{}", "0".repeat((point - length) as usize))
    } else {
        let (before, behind) = digits.split_at(point as usize);
        format!("{before}.{behind}")
    };
    // Zeros at either end are no digits that count.
    let moved = moved.trim_start_matches('0');
    let moved = match moved.split_once('.') {
        Some(_) => moved.trim_end_matches('0').trim_end_matches('.'),
        None => moved,
    };
    let value = Decimal::from_str_exact(if moved.is_empty() { "0" } else { moved }).ok()?;
    Some(if negative { -value } else { value })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(text: &str) -> Result<Vec<(String, Value)>, Wrong> {
        let mut all = Vec::new();
        object(text, |key, value| {
            all.push((key.into_owned(), value));
            Ok(())
        })?;
        Ok(all)
    }

    fn one(value: &str) -> Result<Value, Wrong> {
        read(&format!("{{\"a\":{value}}}")).map(|mut all| all.remove(0).1)
    }

    fn decimal(text: &str) -> Value {
        Value::Decimal(text.parse().unwrap())
    }

    #[test]
    fn every_kind_of_value_is_read_exactly() {
        for (text, expected) in [
            ("null", Value::Empty),
            (" true ", Value::Boolean(true)),
            ("false", Value::Boolean(false)),
            ("-0", Value::Integer(0)),
            ("9223372036854775807", Value::Integer(i64::MAX)),
            ("9223372036854775808", decimal("9223372036854775808")),
            ("0.1", decimal("0.1")),
            ("12.50", decimal("12.50")),
            ("1e3", decimal("1000")),
            ("-1.25E-2", decimal("-0.0125")),
            ("1.5e+1", decimal("15")),
            ("0e999999999999", decimal("0")),
            ("\"\"", "".into()),
            (r#""\u00e9\uD83D\uDE00\n\/\\\"""#, "é😀\n/\\\"".into()),
            ("[]", Value::List(Vec::new())),
            (
                "[1, \"a\", [null]]",
                Value::List(vec![
                    Value::Integer(1),
                    "a".into(),
                    Value::List(vec![Value::Empty]),
                ]),
            ),
        ] {
            assert_eq!(one(text), Ok(expected), "{text}");
        }
        assert_eq!(read("{}"), Ok(Vec::new()));
        let Ok(Value::Map(map)) = one(r#"{"b": {"c": 1}}"#) else {
            panic!("it is a map");
        };
        assert_eq!(Value::Map(map).to_string(), r#"{"b":{"c":1}}"#);
    }

    #[test]
    fn what_is_wrong_is_said_with_its_place() {
        for (text, at, words) in [
            ("", 0, "a JSON object"),
            ("[1]", 0, "a JSON object"),
            ("{", 1, "ends within an object"),
            ("{\"a\"", 4, "where `:` must stand"),
            ("{\"a\" 1}", 5, "`:` must stand"),
            ("{\"a\":}", 5, "a value"),
            ("{\"a\":1,}", 7, "a key in double quotes"),
            ("{'a':1}", 1, "a key in double quotes"),
            ("{\"a\":1 \"b\":2}", 7, "`,` or `}`"),
            ("{\"a\":[1,2}", 9, "`,` or `]`"),
            ("{\"a\":\"x", 7, "ends within a string"),
            ("{\"a\":\"x\ty\"}", 7, "control character"),
            ("{\"a\":\"\\x\"}", 6, "no such escape"),
            ("{\"a\":\"\\ud800\"}", 6, "surrogate"),
            ("{\"a\":\"\\u12g4\"}", 6, "hexadecimal"),
            ("{\"a\":\"\\u12", 6, "hexadecimal"),
            ("{\"a\":01}", 5, "not a number"),
            ("{\"a\":1.}", 5, "not a number"),
            ("{\"a\":-}", 5, "not a number"),
            ("{\"a\":1e}", 5, "no exponent"),
            ("{\"a\":1e999}", 5, "more digits"),
            ("{\"a\":0.00000000000000000000000000001}", 5, "more digits"),
            ("{\"a\":nul}", 5, "a value"),
            ("{\"a\":NaN}", 5, "a value"),
            ("{\"a\":{\"b\":1,\"b\":2}}", 12, "this key twice"),
            ("{\"a\":1} {\"a\":2}", 8, "only one may stand"),
        ] {
            let wrong = read(text).unwrap_err();
            assert!(wrong.message.contains(words), "{text}: {wrong:?}");
            assert_eq!(wrong.at, at, "{text}: {wrong:?}");
        }
    }

    #[test]
    fn depth_and_size_are_bounded() {
        let deep = |levels: usize| one(&format!("{}{}", "[".repeat(levels), "]".repeat(levels)));
        assert!(deep(DEEPEST).is_ok());
        assert!(deep(DEEPEST + 1).is_err());
        assert!(deep(1_000_000).is_err());
        let long = |count: usize| one(&format!("[{}1]", "1,".repeat(count - 1)));
        assert!(long(MOST_ENTRIES - 1).is_ok());
        assert!(long(MOST_ENTRIES + 1).is_err());
    }

    fn json() -> impl Strategy<Value = serde_json::Value> {
        let leaf = prop_oneof![
            Just(serde_json::Value::Null),
            any::<bool>().prop_map(Into::into),
            any::<i64>().prop_map(Into::into),
            any::<String>().prop_map(Into::into),
        ];
        leaf.prop_recursive(4, 32, 6, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..6).prop_map(Into::into),
                prop::collection::btree_map(any::<String>(), inner, 0..6)
                    .prop_map(|map| serde_json::Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn it_reads_what_others_write(value in json()) {
            let text = serde_json::json!({ "a": value }).to_string();
            let (_, read) = read(&text).unwrap().remove(0);
            prop_assert_eq!(read.to_json(), value);
        }

        #[test]
        fn it_takes_only_what_others_take(text in r#"[\{\}\[\]",:0-9a-f\.eE+ntrulse\\\-" ]{0,24}"#) {
            let text = format!("{{\"a\":{text}}}");
            if read(&text).is_ok() {
                prop_assert!(serde_json::from_str::<serde_json::Value>(&text).is_ok(), "{}", text);
            }
        }

        #[test]
        fn nothing_makes_it_panic(text in any::<String>()) {
            let _ = read(&text);
            let _ = read(&format!("{{\"a\":{text}}}"));
        }
    }
}
