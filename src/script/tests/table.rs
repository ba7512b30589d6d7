//! The table of functions is what there is, and its examples are true.

use super::*;
use crate::script::{functions, sandbox};

#[test]
fn every_example_gives_what_the_table_says() {
    let mut bench = Bench::new(&[]);
    bench.history = Arc::new(super::history::Yesterday);
    for function in functions::all() {
        let found = bench.value(function.example).map(|value| value.to_string());
        let found = found.unwrap_or_else(|error| panic!("{}: {error}", function.example));
        assert_eq!(found, function.result, "{}", function.example);
        assert!(
            function.example.contains(function.name),
            "{} is not in its example",
            function.name
        );
    }
}

#[test]
fn the_table_has_every_function_that_is_registered_and_no_name_twice() {
    let engine = sandbox::engine();
    let mut registered: Vec<(String, usize)> = engine.collect_fn_metadata(
        None,
        |function| {
            let metadata = function.metadata;
            let name = metadata.name.to_string();
            rhai::is_valid_identifier(&name).then_some((name, metadata.num_params))
        },
        true,
    );
    registered.sort();
    registered.retain(|(name, _)| name != rhai::FUNC_TO_STRING);
    let mut table: Vec<(String, usize)> = functions::all()
        .flat_map(|function| {
            let (fewest, most) = function.arguments;
            (fewest..=most).map(|count| (function.name.to_owned(), count))
        })
        .collect();
    table.sort();
    assert_eq!(registered, table);
    let names: std::collections::BTreeSet<_> = functions::all().map(|f| f.name).collect();
    assert_eq!(names.len(), functions::all().count());
}

#[test]
fn dates_behave_at_their_edges() {
    assert_eq!(
        value("date(r.signed_up)"),
        "2026-12-01",
        "in the campaign's zone"
    );
    assert_eq!(value("days_until(r.signed_up)"), "0");
    assert_eq!(value("add_months(date(\"2028-01-31\"), 1)"), "2028-02-29");
    assert_eq!(value("add_months(date(\"2026-03-31\"), -1)"), "2026-02-28");
    assert_eq!(value("add_years(date(\"2028-02-29\"), 1)"), "2029-02-28");
    for (date, comes_round) in [
        ("2019-12-01", "2026-12-01"),
        ("2019-11-30", "2027-11-30"),
        ("2024-02-29", "2027-02-28"),
        ("2026-11-30", "2027-11-30"),
        ("2026-12-01", "2026-12-01"),
        ("2028-03-01", "2028-03-01"),
    ] {
        let asked = format!("anniversary(date(\"{date}\"))");
        assert_eq!(value(&asked), comes_round);
    }
    assert_eq!(value("end_of_month(date(2028, 2, 1))"), "2028-02-29");
    assert_eq!(value("start_of_month(r.signed_up)"), "2026-11-01");
    assert_eq!(value("age(date(\"2000-12-01\"))"), "26");
    assert_eq!(value("age(date(\"2000-12-02\"))"), "25");
    assert_eq!(value("days_between(r.signed_up, now())"), "0");
    assert_eq!(value("days_between(date(\"2026-12-02\"), today())"), "-1");
    assert_eq!(value("format_date(now(), \"%H:%M\")"), "09:00");
    assert_eq!(
        value("datetime(\"2026-12-01T09:00:00+01:00\") == now()"),
        "true"
    );
    for (condition, message) in [
        (
            "date(\"01.12.2026\") == today()",
            "`date`: \"01.12.2026\" is not a date such as 2026-12-01",
        ),
        ("date(2026, 2, 30) == today()", "there is no date 2026-2-30"),
        ("date(2026, 2) == today()", "a date has three parts"),
        ("datetime(\"later\") == now()", "is not a datetime such as"),
        (
            "days_between(r.signed_up, today()) == 0",
            "one is a date, the other a datetime",
        ),
        (
            "format_date(today(), \"%H\") == \"\"",
            "is not a pattern for a date",
        ),
        (
            "format_date(today(), \"%Q\") == \"\"",
            "is not a pattern for a date",
        ),
        (
            "days_until(r.name) == 0",
            "`date(\"2026-12-01\")` makes one of a text",
        ),
        (
            "add_days(today(), 99999999999999) == today()",
            "out of range",
        ),
        (
            "add_years(today(), 99999999999999) == today()",
            "out of range",
        ),
        ("hour(today()) == 1", "`hour` needs a datetime, not a date"),
    ] {
        let found = failure(condition);
        let message = message.replace(
            "needs a datetime, not",
            "needs a datetime as its argument, not",
        );
        assert!(found.contains(&message), "{condition}: {found}");
    }
}

#[test]
fn money_is_written_as_its_readers_expect() {
    for (expression, expected) in [
        ("money(1234567.5, \"EUR\")", "€1,234,567.50"),
        ("money(-12.5, \"EUR\")", "-€12.50"),
        ("money(0, \"USD\")", "$0.00"),
        ("money(0.005, \"GBP\")", "£0.01"),
        ("money(-0.001, \"GBP\")", "£0.00"),
        ("money(1234.5, \"JPY\")", "¥1,235"),
        ("money(1.2345, \"KWD\")", "KWD\u{a0}1.235"),
        ("money(1234.5, \"CHF\", \"de-CH\")", "CHF\u{a0}1’234.50"),
        ("money(1234.5, \"EUR\", \"de\")", "1.234,50\u{a0}€"),
        ("money(1234.5, \"EUR\", \"de_DE\")", "1.234,50\u{a0}€"),
        ("money(1234.5, \"EUR\", \"fr\")", "1\u{202f}234,50\u{a0}€"),
        ("money(1234.5, \"EUR\", \"nl\")", "€\u{a0}1.234,50"),
        ("money(1234.5, \"PLN\", \"pl\")", "1\u{a0}234,50\u{a0}PLN"),
        ("format_number(1234, 0)", "1,234"),
        ("format_number(999, 2, \"de\")", "999,00"),
        ("round(-2.345, 2)", "-2.35"),
        ("round(2.5)", "3"),
        ("round(7, 2)", "7.00"),
        ("to_integer(3.0)", "3"),
        ("min([])", "`min`: the list is empty"),
        (
            "money(5, \"eur\")",
            "`money`: \"eur\" is not a currency: write its three letters, such as \"EUR\"",
        ),
        (
            "to_decimal(\"1,5\")",
            "`to_decimal`: \"1,5\" is not a number",
        ),
        ("to_integer(\"\")", "`to_integer`: \"\" is not an integer"),
        (
            "to_integer(2.5)",
            "`to_integer`: 2.5 is not an integer: use round(…), floor(…) or ceil(…)",
        ),
    ] {
        let found = match Bench::new(&[]).value(expression) {
            Ok(value) => value.to_string(),
            Err(error) => error.message,
        };
        assert_eq!(found, expected, "{expression}");
    }
}

#[test]
fn texts_and_lists_behave_at_their_edges() {
    for (expression, expected) in [
        ("sub_string(\"äöü\", 1, 1)", "ö"),
        ("sub_string(\"abc\", -2)", "bc"),
        ("sub_string(\"abc\", -9)", "abc"),
        ("sub_string(\"abc\", 9)", ""),
        ("first_word(\"\")", ""),
        ("first_word(\"  Ada King\")", "Ada"),
        ("title(\"o'neill d’arc\")", "O'neill D’arc"),
        ("capitalize(\"\")", ""),
        ("index_of(\"äb\", \"b\")", "1"),
        ("split(\" a  b \").len()", "2"),
        ("len(\"äöü\")", "3"),
        ("matches(\"abc\", \"^b\")", "false"),
        ("\"abc\".foo", "a string has no field `foo`"),
        ("split(\"a\", \"\")", "`split`: the separator is empty"),
        (
            "replace(\"a\", \"\", \"b\")",
            "`replace`: the text to replace is empty",
        ),
        (
            "pad_left(\"a\", 99999999)",
            "`pad_left`: 99999999 is not between 0 and 10000",
        ),
        (
            "matches(\"a\", \"(\")",
            "`matches`: \"(\" is not a regular expression: unclosed group",
        ),
        ("slice([1, 2], 5)", ""),
        ("[3, 1].sort() + [1, 3].reverse()", "1, 3, 3, 1"),
        ("{ let a = [3, 1]; a.sort(); a }", "3, 1"),
        ("[[1, 2], [3]].map(|x| x.len())", "2, 1"),
        (
            "[1, 2].map(|x, y| x)",
            "the closure takes another number of values",
        ),
        (
            "[1, 2].map(5)",
            "`map` needs a closure such as `|x| x > 3` as its second argument, not an integer",
        ),
        ("get(r, \"address.lines.0\", \"-\")", "1 Main Street"),
        ("get(r, \"address.lines.7\", \"-\")", "-"),
        ("get(r, \"no_points\", 5)", "5"),
        ("get(r, \"nope.at.all\", 5)", "5"),
        ("get(r, \"na\" + \"me\", 5)", "Ada King"),
        ("get(r.address, \"city\", 5)", "London"),
        ("r.get(\"name\", 5)", "Ada King"),
        ("has(r, \"no_points\")", "true"),
        (
            "has(r, \"address.city\") && !has(r, \"address.town\")",
            "true",
        ),
        (
            "run.campaign + \" \" + run.occurrence",
            "billing/renewal 2026-12-01",
        ),
        ("run.now == now()", "true"),
        (
            "{ let s = 0; for x in [1, 2] { s += x; } for y in 0..3 { s += y; } s }",
            "6",
        ),
        ("{ let f = |x| x * 2; f.call(4) }", "8"),
    ] {
        let found = match Bench::new(&[]).value(expression) {
            Ok(value) => value.to_string(),
            Err(error) => error.message,
        };
        assert_eq!(found, expected, "{expression}");
    }
}

#[test]
fn buckets_never_change() {
    assert_eq!(
        value("[\"a\", \"b\", \"\"].map(|name| bucket(r, name))"),
        "91, 18, 83"
    );
}
