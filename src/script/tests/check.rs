//! What is known before anything runs.

use super::*;

#[test]
fn what_is_not_there_is_found() {
    let bench = Bench::new(&[(
        "scripts/renewal.rhai",
        "fn due_within(r, days) { true }\nfn f(a) { a }\nfn f(a, b) { a }",
    )]);
    for (condition, expected) in [
        (
            "r.statsu == \"x\"",
            "the source has no field `statsu` (did you mean `status`?)",
        ),
        (
            "r.zzzzzzzz == 1",
            "the source has no field `zzzzzzzz` (it has account_no, address,",
        ),
        (
            "r[\"statsu\"] == \"x\"",
            "the source has no field `statsu` (did you mean `status`?)",
        ),
        ("r?.statsu == 1", "the source has no field `statsu`"),
        ("r.statsu.len() > 3", "the source has no field `statsu`"),
        ("r.statsu[0] == \"x\"", "the source has no field `statsu`"),
        (
            "[1].any(|x| x == r.statsu)",
            "the source has no field `statsu`",
        ),
        (
            "if r.vip { r.statsu == 1 } else { false }",
            "the source has no field `statsu`",
        ),
        ("`${r.statsu}` == \"\"", "the source has no field `statsu`"),
        ("[r.statsu] == []", "the source has no field `statsu`"),
        ("#{a: r.statsu} == #{}", "the source has no field `statsu`"),
        (
            "{ let x = r.statsu; true }",
            "the source has no field `statsu`",
        ),
        (
            "run.ocurrence == \"\"",
            "`run` has no field `ocurrence` (it has campaign, occurrence, now)",
        ),
        (
            "status == \"active\"",
            "there is no variable `status` (did you mean `r.status`?)",
        ),
        (
            "r.status == active",
            "there is no variable `active` (a text stands in quotes: \"active\")",
        ),
        ("r.points == null", "`null` is a reserved word"),
        (
            "r.points == None",
            "there is no variable `None` (an empty cell is `()`)",
        ),
        (
            "r.vip == True",
            "there is no variable `True` (did you mean `true`?)",
        ),
        (
            "r.name == upper",
            "there is no variable `upper` (call it: `upper(…)`",
        ),
        (
            "uper(r.name) == \"\"",
            "there is no function `uper` (did you mean `upper`?)",
        ),
        (
            "r.name.uper() == \"\"",
            "there is no function `uper` (did you mean `upper`?)",
        ),
        (
            "nothing_like_it(1)",
            "there is no function `nothing_like_it` (`campanile functions` lists what there is)",
        ),
        (
            "due_within(r, 3)",
            "there is no function `due_within` (did you mean `renewal::due_within`?)",
        ),
        (
            "renewl::due_within(r, 3)",
            "there is no script scripts/renewl.rhai (did you mean `renewal`?)",
        ),
        (
            "renewal::due_witin(r, 3)",
            "the script has no function `due_witin` (did you mean `due_within`?)",
        ),
        (
            "renewal::due_within(r)",
            "`due_within` takes 2 arguments, not 1",
        ),
        ("renewal::f() == 1", "`f` takes 1 or 2 arguments, not 0"),
        (
            "upper() == \"\"",
            "`upper` takes 1 argument, not 0 (it is upper(text))",
        ),
        ("r.name.upper(1) == \"\"", "`upper` takes 1 argument, not 2"),
        (
            "money(r.balance) == \"\"",
            "`money` takes 2 or 3 arguments, not 1 (it is money(amount, currency[, locale]))",
        ),
        ("now(1) == now()", "`now` takes no arguments, not 1"),
        (
            "[1].filter(|x| nope(x)) == []",
            "there is no function `nope`",
        ),
        ("[1].filter(|x| x > y) == []", "there is no variable `y`"),
        ("[1].any(|x| x == 1) && x", "there is no variable `x`"),
        ("renewal::LIMIT == 1", "scripts have functions only"),
    ] {
        let found = bench.findings(condition).join("\n");
        assert!(found.contains(expected), "{condition}: {found}");
    }
}

#[test]
fn what_can_not_be_meant_is_refused() {
    for (condition, expected) in [
        ("r.points = 5", "did you mean `==`?"),
        ("r.vip && r.points = 5", "did you mean `==`?"),
        (
            "r.status = \"active\" && r.vip",
            "a.toml:1:19: `=` assigns a value, and an expression can't change anything (did you mean `==`?)",
        ),
        ("r.vip && r.points=5 || r.vip", "a.toml:1:27: `=` assigns"),
        ("(r.vip && [1", "`[` in line 1 is not closed"),
        ("r.points += 5", "`=` assigns"),
        (
            "{ r.points = 5; true }",
            "`r` can't be changed (did you mean `==`?)",
        ),
        ("{ run.now = 5; true }", "`run` can't be changed"),
        (
            "let x = 5",
            "an expression that has a value must stand here",
        ),
        ("r.vip; r.points == 3", "only one expression can stand here"),
        ("fn f() { 1 } true", "functions can't be defined here"),
        ("this == 1", "`this` can't be used here"),
        (
            "switch r.points { 1 => true, _ => false }",
            "`switch` can't be used here (write `if … else if …`",
        ),
        ("eval(\"1\") == 1", "`eval` can't be used here"),
        ("print(r.name)", "`print` can't be used here"),
        ("debug(r.name)", "`debug` can't be used here"),
        (
            "Fn(\"upper\").call(r.name) == \"\"",
            "`Fn` can't be used here",
        ),
        ("type_of(r.name) == \"string\"", "write `type_name(…)`"),
        ("is_def_var(\"x\")", "`is_def_var` can't be used here"),
        ("import \"x\" as y", "`import` can't be used here"),
        ("sleep(10)", "there is no function `sleep`"),
        ("timestamp() == 1", "there is no function `timestamp`"),
        ("exit()", "there is no function `exit`"),
        (
            "open_file(\"/etc/passwd\") == 1",
            "there is no function `open_file`",
        ),
        (
            "parse_json(\"1\") == 1",
            "there is no function `parse_json`",
        ),
        ("5", "a condition is true or false, and this is a number"),
        ("1.5", "a condition is true or false, and this is a number"),
        (
            "\"yes\"",
            "a condition is true or false, and this is a text",
        ),
        ("[true]", "a condition is true or false, and this is a list"),
        (
            "r.points + 1",
            "a condition is true or false, and this is no comparison",
        ),
        ("r.vip && 5", "need true or false here"),
        (
            "r.status == 'active'",
            "'active' is in single quotes, which hold one character only (write \"active\" with double quotes)",
        ),
        ("r.status === \"a\"", "there is no operator `===`"),
        ("r.vip and r.points > 3", ""),
        ("r.vip & | true", ""),
        (
            "1.23456789012345678901234567890123 == 1",
            "is not a number that can be kept exactly",
        ),
        ("1e400 == 1", "is not a number that can be kept exactly"),
        ("() == r.points", "the empty value must stand on the right"),
        (
            "r.points == (())",
            "the empty value is `()`, without more parentheses",
        ),
        (
            "r.points == () ?? 5",
            "`()` behind `==` or `!=` must stand alone",
        ),
        ("\"open", "the string has no end"),
    ] {
        let found = Bench::new(&[]).findings(condition).join("\n");
        assert!(
            !found.is_empty() && found.contains(expected),
            "{condition}: {found}"
        );
    }
}

#[test]
fn all_findings_come_at_once() {
    let bench = Bench::new(&[]);
    let variables = [
        variable("a", quoted("r.nam")),
        variable("b", quoted("a + c")),
        variable("c", quoted("uper(a)")),
        variable("run", quoted("1")),
    ];
    let (program, found) = bench.compile(
        Some(&quoted("r.statsu == 1 && r.pionts == 2 && nope()")),
        &variables,
    );
    assert!(program.is_none());
    let codes: Vec<_> = found.iter().map(|found| found.code).collect();
    assert_eq!(
        codes,
        [
            "unknown-field",
            "unknown-field",
            "unknown-function",
            "unknown-field",
            "unknown-variable",
            "unknown-function",
            "script-name",
        ]
    );
}

#[test]
fn fields_are_not_checked_where_the_source_is_not_known() {
    let bench = Bench::new(&[]);
    let condition = quoted("r.statsu == 1 && nope()");
    let (_, found) = program::compile(&bench.library, Some(&condition), &[], &[], None);
    let codes: Vec<_> = found.iter().map(|found| found.code).collect();
    assert_eq!(codes, ["unknown-function"]);
}

#[test]
fn what_is_right_is_not_complained_about() {
    for condition in [
        "r.tags.map(|r| upper(r)).len() == 2",
        "{ let k = 3; [1, 5].filter(|x| x > k && r.vip).len() == 1 }",
        "[[1]].all(|x| x.all(|y| y == 1 && r.vip))",
        "get(r, \"nope\", 0) == 0",
        "has(r, \"nope\") || true",
        "{ let n = 0; while n < 3 { n += 1; } n == 3 }",
        "{ try { throw \"x\"; } catch (e) { } true }",
        "{ let m = #{status: 1}; m.status == 1 && m[\"status\"] == 1 }",
        "if r.vip { r.points > 3 } else if r.points > 10 { true } else { false }",
        "r.address.city == \"London\" /* a comment */ // another",
        "r.vip == true;",
    ] {
        assert!(holds(condition), "{condition}");
    }
}

#[test]
fn variables_come_in_order_and_may_use_earlier_ones() {
    let bench = Bench::new(&[]);
    let program = bench.program(
        None,
        &[
            variable("first_name", quoted("r.name.split(\" \")[0]")),
            variable("greeting", quoted("`Hi ${first_name}`")),
            variable(
                "amounts",
                quoted("[r.balance, r.points].map(|x| money(x, \"EUR\") + \" \" + first_name)"),
            ),
            variable("nothing", quoted("r.no_points")),
            variable("kept", quoted("#{name: first_name, on: r.renews_on}")),
        ],
    );
    assert_eq!(
        program.variable_names(),
        ["first_name", "greeting", "amounts", "nothing", "kept"]
    );
    let mut evaluator = bench.evaluator(&program);
    for _ in 0..2 {
        let values = evaluator.variables(&bench.recipient).unwrap();
        let shown: Vec<_> = values.iter().map(ToString::to_string).collect();
        assert_eq!(
            shown,
            [
                "Ada",
                "Hi Ada",
                "€1,234.50 Ada, €7.00 Ada",
                "",
                "{\"name\":\"Ada\",\"on\":\"2026-12-12\"}"
            ]
        );
        assert!(
            evaluator.matches(&bench.recipient).unwrap(),
            "no condition: everybody"
        );
    }
    for (expression, message) in [
        ("r", "a recipient can't be the value of a variable"),
        ("|x| x", "a closure can't be the value of a variable"),
        ("[1, r]", "a recipient can't be the value of a variable"),
        ("1..3", "a range can't be the value of a variable"),
    ] {
        let error = bench.value(expression).unwrap_err();
        assert_eq!(error.message, message, "{expression}");
    }
}

#[test]
fn a_condition_is_split_into_clauses() {
    for (condition, expected) in [
        ("r.vip", &["r.vip"][..]),
        (
            "r.vip && r.points > 3 && (r.vip || r.points > 99)",
            &["r.vip", "r.points > 3", "(r.vip || r.points > 99)"],
        ),
        (
            "r.vip || r.points > 3 && r.vip",
            &["r.vip || r.points > 3 && r.vip"],
        ),
        (
            "r.vip && [1, 2].all(|x| x > 0 && x < 3)",
            &["r.vip", "[1, 2].all(|x| x > 0 && x < 3)"],
        ),
        (
            "r.vip\n  && r.name != \"a && b\"\n  && true // && more",
            &["r.vip", "r.name != \"a && b\"", "true // && more"],
        ),
        ("(r.vip && r.points > 3)", &["(r.vip && r.points > 3)"]),
        (
            "(r.vip && r.vip) && r.points > 3",
            &["(r.vip && r.vip)", "r.points > 3"],
        ),
        ("r.vip && `a` == \"a\"", &["r.vip && `a` == \"a\""]),
        (
            "if r.vip { r.vip && true } else { false }",
            &["if r.vip { r.vip && true } else { false }"],
        ),
    ] {
        let bench = Bench::new(&[]);
        let program = bench.program(Some(&quoted(condition)), &[]);
        assert_eq!(program.clauses(), expected, "{condition}");
        let mut evaluator = bench.evaluator(&program);
        let all = evaluator.matches(&bench.recipient).unwrap();
        let (matches, held) = evaluator.matches_by_clause(&bench.recipient);
        assert_eq!(matches.unwrap(), all, "{condition}");
        assert_eq!(all, held == expected.len(), "{condition}");
    }
    let bench = Bench::new(&[]);
    let program = bench.program(Some(&quoted("r.vip && r.points > 30 && r.status > 3")), &[]);
    let mut evaluator = bench.evaluator(&program);
    let (matches, held) = evaluator.matches_by_clause(&bench.recipient);
    assert_eq!((matches.unwrap(), held), (false, 1));
    let program = bench.program(
        Some(&quoted(
            "r.vip &&\n é.x == 1 || true"
                .replace("é.x == 1", "r.points > 3")
                .as_str(),
        )),
        &[],
    );
    assert_eq!(program.clauses().len(), 1);
    let program = bench.program(Some(&quoted("\"é\" == \"é\" &&\n  r.status > 3")), &[]);
    let mut asked = bench.evaluator(&program).clauses(&bench.recipient);
    let error = asked.pop().unwrap().unwrap_err();
    let whole = bench
        .evaluator(&program)
        .matches(&bench.recipient)
        .unwrap_err();
    assert_eq!(error.place, whole.place, "a clause fails at its own place");
}

#[test]
fn habits_from_other_languages_are_understood() {
    for (condition, expected) in [
        (
            "r.vip and r.points > 3",
            "1:16: the expression could end before `and`, and can't go on with it (did you mean `&&`?)",
        ),
        (
            "not r.vip",
            "1:14: the expression could end before `r`, and can't go on with it (did you mean `!`?)",
        ),
        (
            "r.points > 3 ? true : false",
            "1:23: there is no operator `?` (write `if … { … } else { … }`)",
        ),
        ("r.points <> 3", "(did you mean `!=`?)"),
        ("r.points =< 3", "(did you mean `<=`?)"),
        ("r.points => 3", "(did you mean `>=`?"),
        ("r.name like \"a\"", "(write `contains(text, part)`"),
        (
            "r.name == “a”",
            "(a text stands in straight quotes: \"text\")",
        ),
        ("r.points > 3)", "1:22: there is one `)` too many"),
        (
            "r.points > 3,000",
            "(a number has no separators: write 3000 or 3_000)",
        ),
        ("r->name == 1", "there is no operator `->`"),
        ("r.points > 3 # comment", "(a comment starts with `//`)"),
    ] {
        let found = Bench::new(&[]).findings(condition).join("\n");
        assert!(found.contains(expected), "{condition}: {found}");
    }
    let found = failure("r.renews_on < 2026-12-01");
    assert!(
        found.contains("write `date(\"2026-12-01\")` for a date"),
        "{found}"
    );
    let found = failure("r.name.len == 3");
    assert!(found.contains("did you mean the function len("), "{found}");
    assert_eq!(
        failure("r.no_vip | true"),
        "`|` can't be used on these values"
    );
}

#[test]
fn a_comparison_that_can_only_fail_is_found_before() {
    let bench = Bench::new(&[]);
    for (condition, expected) in [
        (
            "r.points == \"7\"",
            "1:19: `==` can't compare a number with a string: it would fail for every recipient (a number stands without quotes)",
        ),
        (
            "r.account_no > 100",
            "`>` can't compare a string with a number: it would fail for every recipient (declare it in the source's fields: account_no = \"decimal\")",
        ),
        (
            "today() > r.name",
            "(declare it in the source's fields: name = \"date\")",
        ),
        (
            "r.renews_on == \"2026-12-12\"",
            "(write `date(\"2026-12-01\")` for a date)",
        ),
        (
            "r.vip != \"yes\"",
            "(it is true or false by itself: `r.vip`, or `!r.vip`)",
        ),
        (
            "r.signed_up < today()",
            "(take the date of the datetime with `date(…)`)",
        ),
        (
            "r.renews_on < r.signed_up",
            "`<` can't compare a date with a datetime",
        ),
        ("r.tags == \"gold\"", "(write `value in list`)"),
        (
            "days_until(r.renews_on) == \"3\"",
            "can't compare a number with a string",
        ),
        (
            "[1].any(|x| r.points == \"7\")",
            "can't compare a number with a string",
        ),
    ] {
        let found = bench.findings(condition).join("\n");
        assert!(found.contains(expected), "{condition}: {found}");
    }
    let (program, found) = bench.compile(
        Some(&quoted(
            "r.phone != () && r.tags == () || r[\"phone\"] == ()",
        )),
        &[],
    );
    assert!(program.is_some());
    let lines: Vec<_> = found.iter().map(ToString::to_string).collect();
    assert_eq!(
        lines,
        [
            "campaigns/a.toml:1:18: this is always true: a text without anything in it is `\"\"`, not `()` (write `… != \"\"`)",
            "campaigns/a.toml:1:34: this is always false: a list without anything in it is `[]`, not `()` (write `… == []`)",
            "campaigns/a.toml:1:54: this is always false: a text without anything in it is `\"\"`, not `()` (write `… == \"\"`)",
        ]
    );
    // Two sources that do not agree: nothing is known.
    let other = recipient(vec![("points", FieldType::String, text("7"))]);
    let schemas = [bench.recipient.schema.clone(), other.schema.clone()];
    let condition = quoted("r.points == \"7\"");
    let (_, found) = program::compile(&bench.library, Some(&condition), &[], &schemas, None);
    assert!(found.is_empty(), "{}", shown(&found));
}
