//! Scripts can't do harm.

use super::*;

fn fails(bench: &Bench, expression: &str) -> String {
    bench.value(expression).map_or_else(
        |error| error.message,
        |value| panic!("{expression}: gives {value}"),
    )
}

#[test]
fn endless_work_ends() {
    let bench = Bench::new(&[(
        "scripts/m.rhai",
        "fn forever() { loop { } }\nfn again(n) { again(n + 1) }\nfn twice(n) { twice(n + 1) + twice(n + 1) }\n\
         fn nest() { let x = []; loop { x = [x]; } }\nfn caught() { loop { try { loop { } } catch { } } }\n\
         fn lists() { let x = [1]; loop { x = x + x; } }\nfn texts() { let x = \"x\"; loop { x += x; } }\n\
         fn maps() { let m = #{}; let n = 0; loop { m[\"k\" + n] = n; n += 1; } }\n\
         fn strings() { let l = []; loop { l.push(pad_left(\"\", 10000)); } }\n\
         fn within() { loop { [1, 2].map(|x| x); } }\n\
         fn deep() { let f = |n| { let i = 0; while i < 100000 { i += 1; } n }; let all = []; for i in 0..1000 { all.push(i); } all.map(f).map(f) }\n\
         fn big() { let l = []; for i in 0..9000 { l.push(i); } let n = 0; loop { let copy = l; n += copy.len(); } }\n\
         fn replaced() { let t = pad_left(\"\", 10000); replace(t, \" \", t) }\n\
         fn regex() { let n = 0; loop { matches(\"a\", \"a{\" + n + \"}\"); n += 1; } }\n\
         fn until_done() { do { } until false }\n",
    )]);
    for (expression, expected) in [
        ("{ loop { } }", "endless loop"),
        ("{ while true { } 1 }", "endless loop"),
        ("m::forever()", "endless loop"),
        ("m::again(1)", "functions call each other too deeply"),
        ("m::twice(1)", "functions call each other too deeply"),
        ("m::nest()", ""),
        ("m::caught()", "endless loop"),
        ("m::lists()", "becomes too large"),
        ("m::texts()", "becomes too large"),
        ("m::maps()", ""),
        ("m::strings()", "becomes too large"),
        ("m::within()", "endless loop"),
        ("m::deep()", "endless loop"),
        ("m::big()", "endless loop"),
        ("m::replaced()", ""),
        ("m::regex()", ""),
        ("m::until_done()", "endless loop"),
        ("[1, 2].map(|x| { loop { } })", "endless loop"),
    ] {
        let found = fails(&bench, expression);
        assert!(found.contains(expected), "{expression}: {found}");
    }
    assert!(bench.matches("r.vip").unwrap());
}

#[test]
fn an_evaluator_goes_on_after_a_failure() {
    let bench = Bench::new(&[("scripts/m.rhai", "fn f(x) { if x > 5 { loop { } } x }")]);
    let program = bench.program(Some(&quoted("r.vip && m::f(r.points) > 0")), &[]);
    let mut evaluator = bench.evaluator(&program);
    let mut fine = ada();
    fine.values[6] = Value::Integer(1);
    for _ in 0..3 {
        assert!(evaluator.matches(&bench.recipient).is_err());
        assert!(evaluator.matches(&fine).unwrap());
    }
}

#[test]
fn nothing_remains_from_one_recipient_to_the_next() {
    let bench = Bench::new(&[]);
    let program = bench.program(
        Some(&quoted("{ let n = r.points; n += 1; n == 8 }")),
        &[variable(
            "x",
            quoted("{ let y = [r.points]; y.push(1); y }"),
        )],
    );
    let mut evaluator = bench.evaluator(&program);
    for _ in 0..3 {
        assert!(evaluator.matches(&bench.recipient).unwrap());
        assert_eq!(
            evaluator.variables(&bench.recipient).unwrap()[0].to_string(),
            "7, 1"
        );
    }
}

#[test]
fn deep_and_long_texts_do_not_overflow_the_stack() {
    let bench = Bench::new(&[]);
    let many = 5_000;
    for expression in [
        format!("{}1{}", "(".repeat(many), ")".repeat(many)),
        format!("{}1{}", "[".repeat(many), "]".repeat(many)),
        format!("{}true", "!".repeat(many)),
        format!("{}1", "-".repeat(many)),
        format!("1{}", " + 1".repeat(many)),
        format!("true{}", " && true".repeat(many)),
        format!("r{}", ".a".repeat(many)),
        format!("r{}", "[0]".repeat(many)),
        format!("r.name{}", ".upper()".repeat(many)),
        format!("1{}", " ?? 1".repeat(many)),
        format!("{}1{}", "{".repeat(many), "}".repeat(many)),
        format!("{}1", "|x| ".repeat(many)),
        format!(
            "{}1{}",
            "if true { ".repeat(many),
            " } else { 2 }".repeat(many)
        ),
        format!("if true {{ 1 }}{}", " else if true { 1 }".repeat(many)),
        format!("{}1{}", "`${".repeat(many), "}`".repeat(many)),
        format!("{}1{}", "#{a:".repeat(many), "}".repeat(many)),
        format!("{}1{}", "upper(".repeat(many), ")".repeat(many)),
        "x".repeat(200_000),
    ] {
        let (program, _) = bench.compile(
            Some(&quoted(&expression)),
            &[variable("x", quoted(&expression))],
        );
        if let Some(program) = program {
            let mut evaluator = bench.evaluator(&program);
            let _ = evaluator.matches(&bench.recipient);
            let _ = evaluator.variables(&bench.recipient);
        }
    }
}

#[test]
fn the_deepest_calls_of_the_deepest_expressions_fit_the_stack() {
    let sum = format!("{}{}", " + (1".repeat(20), ")".repeat(20));
    let script = format!("fn f(n) {{ if n > 100 {{ n }} else {{ 1{sum} + f(n + 1) }} }}");
    let bench = Bench::new(&[("scripts/m.rhai", &script)]);
    assert_eq!(
        fails(&bench, "m::f(1)"),
        "functions call each other too deeply"
    );
    let nested = format!("{}x{}", "[1].map(|x| ".repeat(12), ")".repeat(12));
    let _ = bench.value(&nested);
}

#[test]
fn whatever_an_expression_does_to_its_variables_the_next_recipient_is_seen() {
    let bench = Bench::new(&[(
        "scripts/m.rhai",
        "fn f(r) { r = 5; r }\nfn g(r) { let r = [r]; r.len() }",
    )]);
    let mut other = ada();
    other.values[6] = Value::Integer(8);
    for expression in [
        "m::f(r) + r.points",
        "m::g(r) + r.points",
        "{ let r = #{points: r.points}; r.points += 1; r.points }",
        "[1].map(|x| x + r.points)[0]",
        "{ let f = |x| x + r.points; f.call(1) }",
        "[2].map(|r| r)[0] + r.points",
        "{ let n = 0; for r in [1, 2] { n += r; } n + r.points }",
        "{ const r = r; r.points }",
        "{ let f = || { let r = 1; r }; f.call() + r.points }",
    ] {
        let program = bench.program(
            None,
            &[
                variable("x", quoted(expression)),
                variable("y", quoted("x + 0")),
            ],
        );
        let mut evaluator = bench.evaluator(&program);
        for _ in 0..2 {
            let first = evaluator.variables(&bench.recipient).unwrap();
            let second = evaluator.variables(&other).unwrap();
            let number = |values: &[Value]| values[1].to_string().parse::<i64>().unwrap();
            assert_eq!(number(&second), number(&first) + 1, "{expression}");
        }
    }
}

#[test]
fn nothing_is_folded_before_it_runs() {
    let engine = crate::script::sandbox::engine();
    budget::start();
    for expression in [
        "\"5\" == 5",
        "\"5\" != 5",
        "() == ( )",
        "if \"5\" == 5 { 1 } else { 2 }",
        "1 == 1 && 5 == true",
    ] {
        let expression = expression.replace("( )", "(())");
        assert!(
            engine.eval::<rhai::Dynamic>(&expression).is_err(),
            "{expression}"
        );
    }
    assert!(engine.eval::<bool>("5 == 5.0").unwrap());
}
