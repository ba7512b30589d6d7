//! The clauses of a condition, put together, are the condition: what holds, what fails, and with which words.

use proptest::prelude::*;

use super::*;

/// Clauses that hold, that do not, that fail, and that only some recipients fail.
const CLAUSES: [&str; 14] = [
    "r.vip",
    "r.points > 3",
    "(r.points > 3 || r.vip)",
    "(r.vip && r.points != 5)",
    "r.status == \"active\"",
    "r.no_points > 1",
    "(r.no_points ?? 0) < 1",
    "r.name.contains(\"&&\") == false",
    "r.tags.some(|tag| tag == \"gold\" && r.vip)",
    "r.points",
    "r.status > 3",
    "r.balance >= 19.99 // && r.vip",
    "#{a: r.vip}.a",
    "[1, 2, 3].all(|x| x < r.points && x > 0)",
];

fn person(vip: Option<bool>, points: Option<i64>, status: &str, tags: &[&str]) -> Recipient {
    let mut person = ada();
    let schema = person.schema.clone();
    let mut set = |name: &str, value| person.values[schema.position(name).unwrap()] = value;
    set("vip", vip.map_or(Value::Empty, Value::Boolean));
    set("points", points.map_or(Value::Empty, Value::Integer));
    set("status", text(status));
    set(
        "tags",
        Value::List(tags.iter().copied().map(text).collect()),
    );
    person
}

fn any_person() -> impl Strategy<Value = Recipient> {
    let tag = prop::sample::select(vec!["gold", "early", "late"]);
    (
        any::<Option<bool>>(),
        prop::option::of(0..8_i64),
        prop::sample::select(vec!["active", "left", ""]),
        prop::collection::vec(tag, 0..3),
    )
        .prop_map(|(vip, points, status, tags)| person(vip, points, status, &tags))
}

/// A result as far as people see it.
fn seen(result: &Result<bool, ScriptError>) -> Result<bool, String> {
    result.as_ref().copied().map_err(ToString::to_string)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]
    #[test]
    fn clause_by_clause_is_the_whole_condition(
        chosen in prop::collection::vec(prop::sample::select(&CLAUSES[..]), 1..6),
        people in prop::collection::vec(any_person(), 1..8),
    ) {
        // A comment would swallow what stands behind it.
        let condition = chosen.join("\n && ");
        let bench = Bench::new(&[]);
        let program = bench.program(Some(&quoted(&condition)), &[]);
        prop_assert_eq!(program.clauses(), &chosen[..]);
        let (mut whole, mut split, mut each) =
            (bench.evaluator(&program), bench.evaluator(&program), bench.evaluator(&program));
        for person in &people {
            let matches = whole.matches(person);
            let (by_clause, held) = split.matches_by_clause(person);
            prop_assert_eq!(seen(&by_clause), seen(&matches), "{}", condition);
            let asked = each.clauses(person);
            match &matches {
                Ok(false) => {
                    prop_assert_eq!(asked.len(), held + 1);
                    prop_assert!(matches!(asked[held], Ok(false)));
                }
                Ok(true) => prop_assert_eq!((asked.len(), held), (chosen.len(), chosen.len())),
                Err(_) => {
                    prop_assert_eq!(held, chosen.len(), "one that fails is not dropped by a clause");
                    prop_assert!(asked.last().unwrap().is_err());
                }
            }
            // Each clause by itself, without the split, tells how many held.
            if matches.is_ok() {
                let alone = chosen.iter().take_while(|clause| {
                    let program = bench.program(Some(&quoted(clause)), &[]);
                    matches!(bench.evaluator(&program).matches(person), Ok(true))
                });
                prop_assert_eq!(alone.count(), held);
            }
        }
    }
}

#[test]
fn two_clauses_do_not_have_two_budgets() {
    let bench = Bench::new(&[(
        "scripts/busy.rhai",
        "fn count(n) { let i = 0; while i < n { i += 1; } true }",
    )]);
    let (mut fits, mut too_much) = (0, 0);
    for n in (1_000..60_000).step_by(5_900) {
        let condition = format!("busy::count({n}) && busy::count({n})");
        let program = bench.program(Some(&quoted(&condition)), &[]);
        assert_eq!(program.clauses().len(), 2);
        let whole = bench.evaluator(&program).matches(&bench.recipient);
        let (by_clause, _) = bench
            .evaluator(&program)
            .matches_by_clause(&bench.recipient);
        assert_eq!(seen(&by_clause), seen(&whole), "{n}");
        match whole {
            Ok(_) => fits += 1,
            Err(_) => too_much += 1,
        }
    }
    assert!(
        fits > 0 && too_much > 0,
        "{fits} fit, {too_much} are too much"
    );
}
