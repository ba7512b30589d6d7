//! The policy: asked for every campaign, and what is wrong with it is found.

use super::{Bench, shown};
use crate::{model::Campaign, script::Program, script::ScriptError};

const PATH: &str = "scripts/policy.rhai";

fn veto(script: &str) -> Result<Option<String>, ScriptError> {
    let bench = Bench::new(&[(PATH, script)]);
    let mut campaign = Campaign::for_tests("campaigns/a.toml", "news");
    campaign.name = "The news".to_owned();
    let schemas = [bench.recipient.schema.clone()];
    let (program, found) = Program::compile(&bench.library, &campaign, &schemas);
    let program = program.unwrap_or_else(|| panic!("{}", shown(&found)));
    bench
        .evaluator(&program)
        .veto(&bench.recipient, crate::model::Channel::Email)
}

fn body(body: &str) -> Result<Option<String>, ScriptError> {
    veto(&format!("fn never(r, campaign, channel) {{\n{body}\n}}"))
}

#[test]
fn it_sees_the_recipient_the_campaign_and_the_channel() {
    let reason = body(
        "`${r.name} ${campaign.id} ${campaign.name} ${campaign.topic} ${campaign.purpose} ${channel} ${today()}`",
    );
    assert_eq!(
        reason.unwrap().unwrap(),
        "Ada King news The news offers marketing email 2026-12-01"
    );
    assert_eq!(body("if r.points > 7 { \"too many\" }").unwrap(), None);
    assert_eq!(
        body("if get(r, \"employee\", false) { \"no\" }").unwrap(),
        None
    );
    let helper = "fn never(r, campaign, channel) { why(r) }\nfn why(r) { if r.vip { \"vip\" } }";
    assert_eq!(veto(helper).unwrap().as_deref(), Some("vip"));
}

#[test]
fn what_is_neither_a_reason_nor_nothing_is_a_failure() {
    for (wrong, what) in [
        ("true", "a boolean"),
        ("3", "an integer"),
        ("\"  \"", "empty"),
    ] {
        let error = body(wrong).unwrap_err();
        assert!(error.message.ends_with("is no reason"), "{error}");
        assert!(error.message.contains(what), "{error}");
        assert!(
            error.to_string().starts_with("scripts/policy.rhai:1:4: "),
            "{error}"
        );
    }
    for (wrong, place) in [
        ("r.nickname", "2:"),
        ("r.no_points > 1", "2:"),
        ("campaign.topci", "2:"),
        ("r.name > 1", "2:"),
    ] {
        let error = body(wrong).unwrap_err().to_string();
        assert!(
            error.starts_with(&format!("scripts/policy.rhai:{place}")),
            "{error}"
        );
    }
}

#[test]
fn never_has_three_parameters() {
    for (script, found) in [
        (
            "fn never(r) { () }",
            "scripts/policy.rhai:1:4: `never` of the policy has three parameters, not 1",
        ),
        (
            "fn a() { 1 }\n  fn never(r, c, x, y) { () }",
            "scripts/policy.rhai:2:6: `never` of the policy has three parameters, not 4",
        ),
        (
            "private fn never(r, c, x) { () }",
            "scripts/policy.rhai:1:12: `never` is private: the policy would not be asked",
        ),
        (
            "fn never(r, c, x) { () }\nfn never(r) { () }",
            "scripts/policy.rhai:1:4: the policy has more than one `never`",
        ),
        (
            "fn nevr(r, c, x) { () }",
            "scripts/policy.rhai:1:1: this policy stops nobody: it has no function `never`",
        ),
    ] {
        let (_, all) = Bench::checked(&[(PATH, script)]);
        assert!(shown(&all).starts_with(found), "{}", shown(&all));
        assert_eq!(all.len(), 1);
    }
    assert!(
        Bench::checked(&[("scripts/other.rhai", "fn never(r) { () }")])
            .1
            .is_empty()
    );
}

#[test]
fn one_that_does_not_check_is_never_taken_for_none() {
    for broken in [
        "fn never(r) { () }",
        "fn never(r, campaign, channel) { nope() }",
        "fn never(",
    ] {
        let (bench, found) = Bench::checked(&[(PATH, broken)]);
        assert!(found.has_errors(), "{broken}");
        let campaign = Campaign::for_tests("campaigns/a.toml", "news");
        let (program, found) = Program::compile(&bench.library, &campaign, &[]);
        assert!(program.is_none() && found.has_errors(), "{broken}");
    }
}
