//! Law 4, for every way to write a comparison.

use super::*;

#[test]
fn values_of_one_type_compare() {
    for condition in [
        "r.status == \"active\"",
        "r.status == 'active'.trim() || true",
        "r.status != \"gone\"",
        "r.balance == 1234.50",
        "r.balance == 1234.5",
        "r.balance > 1000",
        "1000 < r.balance",
        "r.points == 7.0",
        "r.points >= 7",
        "0.1 + 0.2 == 0.3",
        "r.vip == true",
        "r.renews_on == date(\"2026-12-12\")",
        "r.renews_on > today()",
        "r.renews_on - today() == 11",
        "r.renews_on <= today() + 14",
        "r.signed_up < now()",
        "r.tags == [\"gold\", \"early\"]",
        "r.tags != [\"gold\"]",
        "[1, 2.0] == [1.0, 2]",
        "#{a: 1} == #{a: 1.0}",
        "#{a: 1} != #{a: 1, b: 2}",
        "\"gold\" in r.tags",
        "!(\"iron\" in r.tags)",
        "\"iron\" !in r.tags",
        "r.tags.contains(\"early\")",
        "\"King\" in r.name",
        "r.points in [1, 7.0]",
        "r.points in 1..10",
        "r.points in 1..=7",
        "\"city\" in r.address",
        "r.name[0] == \"A\"",
        "\"A\" == r.name[0]",
        "r.account_no == 'A' + 1",
        "\"a\" < \"b\"",
        "-r.points == -7",
        "-r.balance == -1234.5",
        "+r.points == 7",
    ] {
        let condition = condition.replace("'active'.trim()", "\"active\"");
        assert!(holds(&condition), "{condition}");
    }
}

#[test]
fn values_of_different_types_do_not() {
    for (condition, message) in [
        (
            "to_text(\"5\") == 5",
            "`==` can't compare a string with an integer",
        ),
        (
            "1 * 5 == \"5\"",
            "`==` can't compare an integer with a string",
        ),
        (
            "r.points == \"7\"",
            "`==` can't compare an integer with a string",
        ),
        (
            "r.points != \"7\"",
            "`!=` can't compare an integer with a string",
        ),
        ("!(r.points == \"7\")", "`==` can't compare"),
        (
            "r.balance == \"1234.50\"",
            "`==` can't compare a decimal with a string",
        ),
        (
            "r.status == true",
            "`==` can't compare a string with a boolean",
        ),
        ("r.status > 3", "`>` can't compare a string with an integer"),
        ("r.vip == 1", "`==` can't compare a boolean with an integer"),
        (
            "r.vip == \"true\"",
            "`==` can't compare a boolean with a string",
        ),
        (
            "r.renews_on == \"2026-12-12\"",
            "write `date(\"2026-12-01\")` for a date",
        ),
        (
            "r.renews_on < r.signed_up",
            "take the date of the datetime with `date(…)`",
        ),
        (
            "r.renews_on == r.signed_up",
            "`==` can't compare a date with a datetime",
        ),
        (
            "r.signed_up >= today()",
            "`>=` can't compare a datetime with a date",
        ),
        (
            "r.tags == \"gold\"",
            "`==` can't compare a list with a string",
        ),
        (
            "r.tags != \"gold\"",
            "`!=` can't compare a list with a string",
        ),
        (
            "[1, [2]] == [1, [\"2\"]]",
            "`==` can't compare an integer with a string",
        ),
        (
            "[1, \"a\"] == [2, 3]",
            "`==` can't compare a string with an integer",
        ),
        (
            "#{a: 1} == #{a: \"1\"}",
            "`==` can't compare an integer with a string",
        ),
        ("[#{a: [1]}] != [#{a: [\"1\"]}]", "`!=` can't compare"),
        ("7 in r.tags", "`in` can't compare a string with an integer"),
        (
            "7 !in r.tags",
            "`in` can't compare a string with an integer",
        ),
        (
            "\"a\" in [\"a\", 1]",
            "`in` can't compare an integer with a string",
        ),
        (
            "r.tags.contains(7)",
            "`in` can't compare a string with an integer",
        ),
        (
            "r.name.contains(7)",
            "`contains` needs a string as its second argument, not an integer",
        ),
        (
            "7 in r.name",
            "`contains` needs a string as its second argument, not an integer",
        ),
        (
            "contains(7, 7)",
            "`contains` needs a string, list or map as its first argument",
        ),
        ("index_of(r.tags, 7) == 0", "`index_of` can't compare"),
        ("[1, \"a\"].unique().len() == 2", "`unique` can't compare"),
        ("[1, \"a\"].sort().len() == 2", "`sort` can't compare"),
        (
            "true > false",
            "`>` can't put a boolean and a boolean in order",
        ),
        ("[1] < [2]", "`<` can't put a list and a list in order"),
        ("r == 5", "`==` can't compare a recipient with an integer"),
        (
            "(|x| x) == 5",
            "`==` can't compare a closure with an integer",
        ),
        (
            "[1, 5].filter(|x| x > \"3\").len() == 1",
            "`>` can't compare an integer with a string",
        ),
        (
            "[1, 5].all(|x| x != \"3\")",
            "`!=` can't compare an integer with a string",
        ),
        (
            "{ let k = \"3\"; [1, 5].any(|x| x == k) }",
            "`==` can't compare an integer with a string",
        ),
        (
            "`${1 * 5 == \"5\"}` == \"false\"",
            "`==` can't compare an integer with a string",
        ),
    ] {
        let found = failure(condition);
        assert!(found.contains(message), "{condition}: {found}");
    }
}

#[test]
fn whether_a_cell_is_empty_can_be_asked() {
    for (condition, expected) in [
        ("r.no_balance == ()", true),
        ("r.no_balance != ()", false),
        ("r.balance == ()", false),
        ("r.balance != ()", true),
        ("r.no_date == () || r.no_date < today()", true),
        ("r.no_date != () && r.no_date < today()", false),
        ("r.phone == ()", false),
        ("r.phone == \"\"", true),
        ("r.no_tags == []", true),
        ("r.no_tags == ()", false),
        ("r.no_points ?? 0 == 0", true),
        ("(r.no_balance ?? 0) < 10", true),
        ("(r.balance ?? 0) < 10", false),
        (
            "is_empty(r.no_date) && is_empty(r.phone) && is_empty(r.no_tags) && !is_empty(r.points)",
            true,
        ),
        ("[(), 1].filter(|x| x != ()).len() == 1", true),
        ("[(), 1] == [(), 1]", true),
        ("r.address.zip == ()", true),
        ("if r.no_points == () { true } else { false }", true),
        ("first([]) == ()", true),
        ("`${r.no_points == ()}` == \"true\"", true),
    ] {
        assert_eq!(holds(condition), expected, "{condition}");
    }
}

#[test]
fn an_empty_cell_takes_part_in_nothing_else() {
    for condition in [
        "r.no_points == 17",
        "r.no_points != 17",
        "17 != r.no_points",
        "!(r.no_points >= 18)",
        "r.no_points > 3",
        "3 < r.no_points",
        "r.no_points == r.no_balance",
        "r.no_points != r.no_balance",
        "r.no_points == r.points",
        "r.points == r.no_points",
        "r.no_date < today()",
        "today() > r.no_date",
        "r.no_points in [1, 2]",
        "r.no_points !in [1, 2]",
        "r.no_points in r.name",
        "\"a\" in r.no_points",
        "[1, ()] == [1, 2]",
        "1 in [(), 1]",
        "r.no_points + 1 == 1",
        "1 - r.no_points == 1",
        "r.no_points * 2 == 0",
        "\"a\" + r.no_points == \"a\"",
        "-r.no_points == 0",
        "!r.no_vip",
        "r.no_vip && true",
        "true && r.no_vip",
        "r.no_vip || true",
        "if r.no_vip { true } else { false }",
        "`${r.no_points}` == \"\"",
        "`a ${r.no_points} b ${r.points}` == \"\"",
        "days_until(r.no_date) < 3",
        "upper(r.no_date) == \"\"",
        "r.no_date.upper() == \"\"",
        "format_date(r.no_date, \"%d\") == \"\"",
        "money(r.no_balance, \"EUR\") == \"\"",
        "max(r.no_points, 3) == 3",
        "max([r.no_points]) == 3",
        "sum([1, r.no_points]) == 1",
        "len(r.no_points) == 0",
        "[3, r.no_points].sort() == [3]",
        "join([r.no_points]) == \"\"",
        "[1, 2].filter(|x| r.no_vip).len() == 0",
        "[1, 2].any(|x| x > r.no_points)",
        "r.no_date.year == 2026",
        "r.address.zip == 5",
        "{ let n = r.no_points; n += 1; n == 1 }",
        "{ let t = \"a\"; t += r.no_points; t == \"a\" }",
    ] {
        let found = failure(condition);
        assert!(
            found.contains("empty")
                && (found.contains("r.x ?? 0")
                    || found.contains("true or false")
                    || found.contains("closure")
                    || found.contains("in a text")
                    || found.contains("`+`")
                    || found.contains("the list has")
                    || found.contains("`-`")),
            "{condition}: {found}"
        );
    }
}

#[test]
fn true_or_false_is_never_guessed() {
    for condition in [
        "r.points && true",
        "r.status || true",
        "true && r.status",
        "!r.status",
        "!r.points",
        "if r.points { true } else { false }",
        "[1].filter(|x| x).len() == 0",
        "[1].any(|x| \"yes\")",
        "[1].all(|x| 1)",
        "[1].find(|x| 0) == 1",
        "{ let n = 1; while n { n = 0; } true }",
    ] {
        let found = failure(condition);
        assert!(found.contains("true or false"), "{condition}: {found}");
    }
    for condition in [
        "r.points",
        "r.name",
        "r.no_vip",
        "r.tags",
        "if r.vip { 1 }",
        "if !r.vip { true }",
    ] {
        let found = failure(condition);
        assert!(
            found.contains("a condition must give true or false"),
            "{condition}: {found}"
        );
    }
}

#[test]
fn arithmetic_is_exact_and_checked() {
    assert_eq!(value("r.balance * 3"), "3703.50");
    assert_eq!(value("7 / 2"), "3");
    assert_eq!(value("7 / 2.0"), "3.5");
    assert_eq!(value("2 ** 10"), "1024");
    assert_eq!(value("1.5 ** 2"), "2.25");
    assert_eq!(value("1_000.25 + 1"), "1001.25");
    assert_eq!(value("1.5e3"), "1500");
    assert_eq!(value("99999999999999999999"), "99999999999999999999");
    assert_eq!(value("r.renews_on + 1"), "2026-12-13");
    assert_eq!(value("r.renews_on - 12"), "2026-11-30");
    assert_eq!(value("r.signed_up + 1"), "2026-12-01T23:30:00+00:00");
    assert_eq!(
        value("\"n\" + 1 + 2.50 + true + r.renews_on"),
        "n12.50true2026-12-12"
    );
    assert_eq!(value("[1] + [2]"), "1, 2");
    assert_eq!(value("(#{a: 1} + #{b: 2}).b"), "2");
    assert_eq!(value("{ let n = 1; n += 2; n *= 1.5; n }"), "4.5");
    assert_eq!(value("{ let t = \"a\"; t += 1; t }"), "a1");
    for (condition, message) in [
        ("1 / 0 == 1", "division by zero"),
        ("1.0 / 0 == 1", "division by zero"),
        ("1 % 0 == 1", "division by zero"),
        ("9223372036854775807 + 1 == 0", "too large"),
        ("79228162514264337593543950335 * 10 == 0", "too large"),
        ("10 ** 100 == 0", "too large"),
        ("2 ** 1000000000 == 0", "the exponent must be between"),
        ("r.renews_on + 99999999999 == today()", "out of range"),
        (
            "r.renews_on + 9223372036854775807 == today()",
            "out of range",
        ),
        (
            "r.renews_on - (-9223372036854775807 - 1) == today()",
            "out of range",
        ),
        (
            "r.renews_on + 1.5 == today()",
            "`+` can't be used on a date and a decimal",
        ),
        ("r.signed_up - now() == 1", "write `hours_between(…)`"),
        (
            "\"a\" * 2 == \"aa\"",
            "`*` can't be used on a string and an integer",
        ),
        (
            "\"a\" + [1] == \"a\"",
            "`+` can't be used on a string and a list",
        ),
        (
            "true + 1 == 2",
            "`+` can't be used on a boolean and an integer",
        ),
    ] {
        let found = failure(condition);
        assert!(found.contains(message), "{condition}: {found}");
    }
}

#[test]
fn a_field_that_is_not_there_is_an_error() {
    for (condition, message) in [
        (
            "r[\"stat\" + \"us_\"] == 1",
            "the source has no field `status_`: did you mean `status`?",
        ),
        ("r.address.ctiy == \"London\"", "the map has no `ctiy`"),
        ("r.name.first == \"Ada\"", "a string has no field `first`"),
        (
            "r.no_points.first == \"Ada\"",
            "an empty value has no field `first`",
        ),
        (
            "r.tags[2] == \"x\"",
            "there is no element 2: the list has 2, counted from 0",
        ),
        ("r.name[99] == \"x\"", "there is no character 99"),
        ("r.points.x == 1", "an integer has no field `x`"),
        ("r.renews_on.x == 1", "a date has no field `x`"),
    ] {
        let found = failure(condition);
        assert!(found.contains(message), "{condition}: {found}");
    }
    assert!(holds("r[\"sta\" + \"tus\"] == \"active\""));
    assert!(holds("r[\"status\"] == \"active\""));
    assert!(holds(
        "r.address.city == \"London\" && r.address[\"city\"] == \"London\""
    ));
    assert!(holds(
        "r.address.lines[0] == \"1 Main Street\" && r.tags[-1] == \"early\""
    ));
    assert!(holds("r.no_points?.anything == ()"));
}

#[test]
fn a_source_without_the_column_is_an_error_where_another_has_it() {
    let bench = Bench::new(&[]);
    let other = recipient(vec![("status", FieldType::String, text("active"))]);
    let schemas = [bench.recipient.schema.clone(), other.schema.clone()];
    let condition = quoted("r.points > 3");
    let (program, found) = program::compile(&bench.library, Some(&condition), &[], &schemas, None);
    assert!(found.is_empty());
    let mut evaluator = bench.evaluator(&program.unwrap());
    assert!(evaluator.matches(&bench.recipient).unwrap());
    let error = evaluator.matches(&other).unwrap_err();
    assert_eq!(error.message, "the source has no field `points`");
    assert!(evaluator.matches(&bench.recipient).unwrap());
}
