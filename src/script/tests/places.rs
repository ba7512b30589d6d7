//! Errors stand where the mistake stands, whatever string of TOML it is in.

use super::*;

/// What is found in a campaign file with these keys; `where` is the condition.
fn findings(toml: &str) -> String {
    let bench = Bench::new(&[]);
    shown(&bench.compile(Some(&excerpt(toml, "where")), &[]).1)
}

#[test]
fn a_finding_has_its_place_in_the_toml_file() {
    for (toml, expected) in [
        (
            "where = 'r.statsu == \"active\"'",
            "1:12: the source has no field `statsu`",
        ),
        (
            "where = \"r.statsu == \\\"active\\\"\"",
            "1:12: the source has no field `statsu`",
        ),
        (
            "where = \"\\\"\\u00e9\\\" == r.statsu\"",
            "1:26: the source has no field `statsu`",
        ),
        (
            "where = 'r.name == \"é\" && r.statsu == \"\"'",
            "1:29: the source has no field `statsu`",
        ),
        (
            "where = '''\nr.vip &&\n  r.statsu == \"x\"'''",
            "3:5: the source has no field `statsu`",
        ),
        (
            "where = '''\r\nr.vip &&\r\n  r.statsu == \"x\"'''",
            "3:5: the source has no field `statsu`",
        ),
        (
            "a = 1\nwhere = \"\"\"\nr.vip\n\t&& r.statsu == 1\"\"\"",
            "4:7: the source has no field `statsu`",
        ),
        (
            "where = \"\"\"r.vip && \\\n   r.statsu == 1\"\"\"",
            "2:6: the source has no field `statsu`",
        ),
        ("where = 'r.vip &&'", "1:18: the text ends too early"),
        ("where = 'r.points == == 3'", "1:22: unexpected '=='"),
        (
            "where = 'r.points = 3'",
            "1:19: `=` assigns a value, and an expression can't change anything (did you mean `==`?)",
        ),
        (
            "where = '''\nr.vip\n  && r.points === 3'''",
            "3:15: there is no operator `===`",
        ),
        ("where = ''", "1:9: there is no expression"),
        ("where = '// nothing'", "1:9: there is no expression"),
    ] {
        let found = findings(toml);
        assert!(
            found.starts_with(&format!("campaigns/a.toml:{expected}")),
            "{toml}: {found}"
        );
    }
}

#[test]
fn a_finding_spans_the_name() {
    let bench = Bench::new(&[]);
    let (_, found) = bench.compile(
        Some(&quoted(
            "r.vip && r.statsu == \"x\" && uper(r.name) == \"\"",
        )),
        &[],
    );
    let spans: Vec<_> = found
        .iter()
        .map(|found| &found.place.file.text()[found.place.span.clone()])
        .collect();
    assert_eq!(spans, ["statsu", "uper"]);
    let rendered = found.iter().next().unwrap().render(false);
    assert!(rendered.contains("^^^^^^"), "{rendered}");
}

#[test]
fn a_failure_has_the_innermost_place() {
    let bench = Bench::new(&[(
        "scripts/m.rhai",
        "fn f(x) {\n    let y = x;\n    g(y)\n}\n\nfn g(x) {\n    x > 3\n}\nfn h(x) {\n    [x].filter(|y|\n        y > 3)\n}\nfn s(x) {\n  `${x}`\n}\nfn each(list, f) {\n  list.map(f)\n}\nfn d(x) {\n  days_until(x)\n}",
    )]);
    for (condition, expected) in [
        ("r.status > 3", "campaigns/a.toml:1:19"),
        ("true && r.status > 3", "campaigns/a.toml:1:27"),
        ("days_until(r.no_date) > 3", "campaigns/a.toml:1:10"),
        ("[1].filter(|x| x > \"a\") == []", "campaigns/a.toml:1:27"),
        ("m::f(\"a\")", "scripts/m.rhai:7:7"),
        ("m::h(\"a\") == []", "scripts/m.rhai:11:11"),
        ("m::s(()) == \"\"", "scripts/m.rhai:14:5"),
        ("m::d(()) == 1", "scripts/m.rhai:20:3"),
        ("m::each([1], |x| x > \"a\") == []", "campaigns/a.toml:1:29"),
        ("`${r.no_points}` == \"\"", "campaigns/a.toml:1:12"),
        ("r.points", "campaigns/a.toml:1:9"),
    ] {
        let error = bench.matches(condition).unwrap_err();
        let (line, column) = error.place.line_column();
        let found = format!("{}:{line}:{column}", error.place.file.path());
        assert_eq!(found, expected, "{condition}: {error}");
    }
}

#[test]
fn a_brace_that_is_not_closed_is_where_it_was_opened() {
    for (script, expected) in [
        (
            "fn f(x) {\n  if x {\n    1\n}\n",
            "1:9: `{` in line 1 is not closed",
        ),
        (
            "fn f(x) {\n  if x {\n    1\n}\n\nfn g(x) {\n  x\n}\n",
            "1:9: `{` in line 1 is not closed",
        ),
        ("fn g(x) {\n  x\n}\nfn f(x) {\n  g([1, x)\n}\n", "5:"),
    ] {
        let file = SourceFile::new("scripts/m.rhai", script);
        let (_, found) = Library::compile(&[file], &AddedFunctions::default());
        let found = shown(&found);
        assert!(
            found.starts_with(&format!("scripts/m.rhai:{expected}")),
            "{script}: {found}"
        );
    }
}
