//! Whatever stands in a file or in a cell.

use proptest::prelude::*;
use rust_decimal::Decimal;

use super::{
    super::value::{from_dynamic, to_dynamic},
    *,
};

fn any_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Empty),
        any::<bool>().prop_map(Value::Boolean),
        any::<i64>().prop_map(Value::Integer),
        (any::<i64>(), 0_u32..28)
            .prop_map(|(digits, scale)| Value::Decimal(Decimal::new(digits, scale))),
        any::<String>().prop_map(Value::Text),
        (-100_000..100_000_i32)
            .prop_map(|day| Value::Date(chrono::NaiveDate::from_epoch_days(day).unwrap())),
        (-4_000_000_000..4_000_000_000_i64, -50_000..50_000_i32).prop_map(|(second, offset)| {
            let zone = chrono::FixedOffset::east_opt(offset).unwrap();
            Value::DateTime(
                DateTime::from_timestamp(second, 0)
                    .unwrap()
                    .with_timezone(&zone),
            )
        }),
    ];
    leaf.prop_recursive(3, 20, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::List),
            prop::collection::btree_map(any::<String>(), inner, 0..5).prop_map(Value::Map),
        ]
    })
}

/// Pieces that make texts which are nearly expressions.
fn pieces() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "r",
        ".",
        "name",
        "r.name",
        "r.points",
        " == ",
        " != ",
        " && ",
        " || ",
        "()",
        "(",
        ")",
        "[",
        "]",
        "{",
        "}",
        "|x| ",
        "x",
        "1",
        "1.5",
        "\"a\"",
        "'a'",
        "`",
        "${",
        ",",
        ";",
        " = ",
        " += ",
        "!",
        "-",
        " in ",
        " ?? ",
        "?.",
        "if ",
        " else ",
        "let x = ",
        "fn f(x) ",
        "upper(",
        "m::",
        "#{",
        "a: ",
        "..",
        "//",
        "/*",
        "*/",
        "\n",
        "é",
        "loop ",
        "for x in ",
        "while ",
        "return ",
        "throw ",
        "this",
        "run",
        ".filter(",
        "1e9",
        "break",
        "continue",
        "try ",
        "catch ",
        "\\",
        "\u{0}",
        "@",
        "#",
        "const y = ",
        ".call(",
        "curry(",
        "..=",
        "switch ",
        "=> ",
        "_",
        "global::",
        "0x",
    ]);
    prop::collection::vec(piece, 0..14).prop_map(|pieces| pieces.concat())
}

fn try_everything(expression: &str) {
    let bench = Bench::checked(&[("scripts/m.rhai", expression)]).0;
    let excerpt = Excerpt::whole(&SourceFile::new("a", expression));
    let (_, found) = bench.compile(Some(&excerpt), &[]);
    for found in &found {
        found.render(false);
    }
    let (program, found) = bench.compile(None, &[variable("x", excerpt.clone())]);
    assert_eq!(program.is_none(), found.has_errors());
    if let Some(program) = program
        && let Err(error) = bench.evaluator(&program).variables(&bench.recipient)
    {
        assert!(!error.message.contains("the script engine failed"));
    }
}

proptest! {
    #[test]
    fn no_text_makes_the_compiler_panic(expression in any::<String>()) {
        try_everything(&expression);
    }

    #[test]
    fn nothing_near_an_expression_makes_it_panic(expression in pieces()) {
        try_everything(&expression);
    }

    #[test]
    fn values_come_back_as_they_went(value in any_value()) {
        let back = from_dynamic(&to_dynamic(&value)).unwrap();
        prop_assert_eq!(&back, &value);
    }

    #[test]
    fn a_cell_comes_through_an_expression_unchanged(value in any_value()) {
        let mut bench = Bench::new(&[]);
        bench.recipient = recipient(vec![("x", FieldType::String, value.clone())]);
        prop_assert_eq!(bench.value("r.x").unwrap(), value.clone());
        prop_assert_eq!(bench.value("[r.x]").unwrap(), Value::List(vec![value]));
    }
}
