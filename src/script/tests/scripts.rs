//! Functions of scripts.

use super::*;

#[test]
fn expressions_call_functions_of_scripts() {
    let bench = Bench::new(&[
        (
            "scripts/renewal.rhai",
            "// How near it is.\nfn due_within(r, days) {\n    let left = days_until(r.renews_on);\n    left >= 0 && left <= days\n}\n\
             fn greeting(name) { if name == \"\" { \"Hello\" } else { `Hello ${first(name)}` } }\n\
             private fn first(name) { first_word(name) }\n",
        ),
        (
            "scripts/billing/dunning.rhai",
            "fn level(r) { helper(r.points) }\nfn helper(n) { n + 1 }\n",
        ),
    ]);
    assert!(
        bench
            .matches("r.status == \"active\" && renewal::due_within(r, 14)")
            .unwrap()
    );
    assert!(!bench.matches("renewal::due_within(r, 3)").unwrap());
    assert_eq!(
        bench.value("renewal::greeting(r.name)").unwrap(),
        text("Hello Ada")
    );
    assert_eq!(
        bench.value("billing::dunning::level(r)").unwrap(),
        Value::Integer(8)
    );
    assert_eq!(
        bench
            .value("[1, 2].map(|n| billing::dunning::helper(n))")
            .unwrap()
            .to_string(),
        "2, 3"
    );
}

#[test]
fn helpers_of_the_same_name_in_two_scripts_are_two_functions() {
    let bench = Bench::new(&[
        (
            "scripts/a.rhai",
            "fn f(x) { helper(x) + helper(x) + [x].map(|y| helper(y))[0] }\nprivate fn helper(x) { x + 1 }",
        ),
        (
            "scripts/b.rhai",
            "fn f(x) { helper(x) + helper(x) + [x].map(|y| helper(y))[0] }\nprivate fn helper(x) { x * 100 }",
        ),
    ]);
    let program = bench.program(
        None,
        &[
            variable("x", quoted("[a::f(1), b::f(1), a::f(1), b::f(1)]")),
            variable("y", quoted("[b::f(1), a::f(1)]")),
        ],
    );
    let mut evaluator = bench.evaluator(&program);
    for _ in 0..3 {
        let values = evaluator.variables(&bench.recipient).unwrap();
        assert_eq!(values[0].to_string(), "6, 300, 6, 300");
        assert_eq!(values[1].to_string(), "300, 6");
    }
}

#[test]
fn law_4_holds_within_scripts() {
    let bench = Bench::new(&[(
        "scripts/m.rhai",
        "fn same(a, b) { a == b }\nfn other(a, b) { a != b }\nfn less(a, b) { a < b }\nfn within(a, b) { a in b }\n\
         fn not(a) { !a }\nfn both(a, b) { a && b }\nfn when(a) { if a { 1 } else { 2 } }\nfn empty(a) { a == () }\n\
         fn kept(list, k) { list.filter(|x| x > k) }\nfn field(r) { r.nope }\nfn shown(a) { `<${a}>` }\n\
         fn shown_last(a) { let t = `<${a}>`; t }\nfn nothing() { }\nfn text(a) { \"\" + a }\n",
    )]);
    for (condition, message) in [
        (
            "m::same(\"5\", 5)",
            "`==` can't compare a string with an integer",
        ),
        (
            "m::other(\"5\", 5)",
            "`!=` can't compare a string with an integer",
        ),
        (
            "m::less(\"5\", 5)",
            "`<` can't compare a string with an integer",
        ),
        (
            "m::same(r.no_points, 5)",
            "the value on the left of `==` is empty",
        ),
        (
            "m::same(5, r.no_points)",
            "the value on the right of `==` is empty",
        ),
        (
            "m::same(r.no_points, r.no_points)",
            "the value on the left of `==` is empty",
        ),
        ("m::same((), ())", "the value on the left of `==` is empty"),
        (
            "m::within(5, [\"5\"])",
            "`in` can't compare a string with an integer",
        ),
        (
            "m::within((), [5])",
            "`contains` needs a value as its second argument, not an empty value",
        ),
        ("m::not(())", "`!` needs true or false, not an empty value"),
        (
            "m::both(1, true)",
            "true or false is needed here, not an integer",
        ),
        (
            "m::both(true, ())",
            "true or false is needed here, not an empty value",
        ),
        (
            "m::when(()) == 1",
            "true or false is needed here, not an empty value",
        ),
        (
            "m::kept([1], \"3\") == []",
            "`>` can't compare an integer with a string",
        ),
        ("m::field(r) == 1", "the source has no field `nope`"),
        (
            "m::shown(r.no_points) == \"\"",
            "an empty value can't stand in a text",
        ),
        (
            "m::shown_last(r.no_points) == \"\"",
            "an empty value can't stand in a text",
        ),
        ("m::shown([]) == \"\"", "a list can't stand in a text"),
        (
            "m::text(r.no_points) == \"\"",
            "`+` can't be used on a string and an empty value",
        ),
        (
            "m::nothing() == 1",
            "the value on the left of `==` is empty",
        ),
        (
            "m::nothing()",
            "a condition must give true or false, not an empty value",
        ),
    ] {
        let error = bench.matches(condition).unwrap_err();
        assert!(error.message.contains(message), "{condition}: {error}");
    }
    assert!(
        bench
            .matches("m::empty(r.no_points) && !m::empty(r.points)")
            .unwrap()
    );
    assert_eq!(
        bench.value("m::shown(r.balance)").unwrap(),
        text("<1234.50>")
    );
}

#[test]
fn functions_of_scripts_see_their_parameters_only() {
    let (_, found) = Bench::checked(&[(
        "scripts/m.rhai",
        "fn a() { r.status }\nfn b(x) { x + y }\nfn c() { run.now }\nfn d(x) { other::f(x) }\nfn e(list) { list.filter(|i| i > limit) }",
    )]);
    let lines: Vec<_> = found.iter().map(ToString::to_string).collect();
    assert_eq!(
        lines,
        [
            "scripts/m.rhai:1:10: there is no variable `r` (a script sees its parameters only: pass it on)",
            "scripts/m.rhai:2:15: there is no variable `y` (did you mean `x`?)",
            "scripts/m.rhai:3:10: there is no variable `run` (a script sees its parameters only: pass it on)",
            "scripts/m.rhai:4:11: scripts can't call each other (pass on what the other script gives, or put the function into this file)",
            "scripts/m.rhai:5:34: there is no variable `limit`",
        ]
    );
}

#[test]
fn a_script_that_does_not_check_breaks_what_calls_it() {
    let (bench, found) = Bench::checked(&[
        ("scripts/bad.rhai", "fn f(x) { x +\n}\n"),
        ("scripts/good.rhai", "fn f(x) { x }\n"),
    ]);
    assert_eq!(shown(&found), "scripts/bad.rhai:2:1: unexpected '}'");
    assert_eq!(
        bench.findings("bad::f(1) == 1"),
        ["campaigns/a.toml:1:10: scripts/bad.rhai does not check"]
    );
    assert!(bench.matches("good::f(1) == 1").unwrap());
}

#[test]
fn what_a_script_may_not_hold_is_said() {
    for (script, expected) in [
        (
            "let x = 1;\nfn f() { x }",
            "scripts/m.rhai:1:1: a script has functions only",
        ),
        (
            "fn f(x) { nope(x) }",
            "scripts/m.rhai:1:11: there is no function `nope`",
        ),
        (
            "fn f(x) { uper(x) }",
            "scripts/m.rhai:1:11: there is no function `uper` (did you mean `upper`?)",
        ),
        (
            "fn f(x) { x.uper() }",
            "scripts/m.rhai:1:13: there is no function `uper` (did you mean `upper`?)",
        ),
        (
            "fn f(x) { upper() }",
            "scripts/m.rhai:1:11: `upper` takes 1 argument, not 0",
        ),
        (
            "fn f(x) { g(x, x) }\nfn g(x) { x }",
            "scripts/m.rhai:1:11: `g` takes 1 argument, not 2",
        ),
        (
            "fn f(x) { x.g() }\nfn g(x) { x }",
            "scripts/m.rhai:1:13: `g` is no method (write `g(…)`)",
        ),
        (
            "fn f(x) { this }",
            "scripts/m.rhai:1:11: `this` can't be used here",
        ),
        (
            "fn __f(x) { x }",
            "scripts/m.rhai:1:4: `__f`: names that start with `__` are not for scripts",
        ),
        (
            "fn f(x) { switch x { 1 => 2 } }",
            "scripts/m.rhai:1:11: `switch` can't be used here",
        ),
        (
            "import \"x\" as y;",
            "scripts/m.rhai:1:1: `import` can't be used here",
        ),
        ("fn f(x) { if x = 1 { 2 } }", "`=` assigns"),
        (
            "fn f(x) { x == (()) }",
            "scripts/m.rhai:1:17: the empty value is `()`, without more parentheses",
        ),
        (
            "fn f(x) { () == x }",
            "scripts/m.rhai:1:11: the empty value must stand on the right",
        ),
    ] {
        let (_, found) = Bench::checked(&[("scripts/m.rhai", script)]);
        assert!(
            shown(&found).contains(expected),
            "{script}: {}",
            shown(&found)
        );
    }
    for path in [
        "scripts/my-script.rhai",
        "scripts/1a.rhai",
        "scripts/if.rhai",
        "scripts/a b/c.rhai",
        "scripts/.rhai",
    ] {
        let (_, found) = Bench::checked(&[(path, "fn f() { 1 }")]);
        assert!(
            shown(&found).contains("can't be the name of a script"),
            "{path}: {}",
            shown(&found)
        );
    }
}

#[test]
fn private_functions_are_private() {
    let bench = Bench::new(&[("scripts/m.rhai", "fn f(x) { g(x) }\nprivate fn g(x) { x }")]);
    assert_eq!(
        bench.findings("m::g(1) == 1"),
        ["campaigns/a.toml:1:13: `m::g` is private to its script"]
    );
    assert!(bench.matches("m::f(1) == 1").unwrap());
}
