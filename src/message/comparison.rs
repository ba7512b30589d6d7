//! Comparisons in templates. Jinja's own would put every decimal and every date above every number and call that an answer;
//! so each comparison is spelled as a call of a function of ours when a template is loaded, which compares exactly or refuses.

use std::{cmp::Ordering, ops::Range};

use minijinja::{Error, ErrorKind, machinery::Token, value::Rest, value::Value};

use super::value::Kind;

/// The function's name in compiled templates. `check` refuses it in written ones: it is no variable anybody has.
pub(super) const FUNCTION: &str = "__compare";

/// One comparison, or a chain of them, while its tokens go by.
#[derive(Default)]
struct Group {
    start: Option<usize>,
    end: usize,
    operators: Vec<(Range<usize>, &'static str)>,
}

impl Group {
    fn close(&mut self, edits: &mut Vec<(Range<usize>, String)>) {
        if let Some(start) = self.start
            && !self.operators.is_empty()
        {
            edits.push((start..start, format!("{FUNCTION}(")));
            for (range, operator) in self.operators.drain(..) {
                edits.push((range, format!(",\"{operator}\",")));
            }
            edits.push((self.end..self.end, ")".to_owned()));
        }
        *self = Self::default();
    }
}

/// What to replace so that `a < b` is `__compare(a ,"<", b)`, in ascending order. `tokens` are those of one tag.
pub(super) fn spell_as_calls(
    tokens: &[(Token<'_>, Range<usize>)],
    block: bool,
) -> Vec<(Range<usize>, String)> {
    let mut edits = Vec::new();
    let mut open = vec![Group::default()];
    for (at, (token, range)) in tokens.iter().enumerate() {
        let before = at.checked_sub(1).map(|before| &tokens[before].0);
        let operator = operator(token);
        let Some(group) = open.last_mut() else { break };
        match token {
            Token::ParenOpen | Token::BracketOpen | Token::BraceOpen => {
                group.start.get_or_insert(range.start);
                open.push(Group::default());
            }
            Token::ParenClose | Token::BracketClose | Token::BraceClose => {
                group.close(&mut edits);
                if open.len() > 1 {
                    open.pop();
                }
                if let Some(outer) = open.last_mut() {
                    outer.end = range.end;
                }
            }
            Token::Comma | Token::Colon | Token::Assign => group.close(&mut edits),
            Token::Ident(word) if ends_operand(word, before, block && at == 0) => {
                group.close(&mut edits);
            }
            _ => match operator {
                Some(operator) if group.start.is_some() => {
                    group.operators.push((range.clone(), operator));
                }
                _ => {
                    group.start.get_or_insert(range.start);
                    group.end = range.end;
                }
            },
        }
    }
    for mut group in open {
        group.close(&mut edits);
    }
    edits.sort_by_key(|(range, _)| range.start);
    edits
}

fn operator(token: &Token<'_>) -> Option<&'static str> {
    Some(match token {
        Token::Eq => "==",
        Token::Ne => "!=",
        Token::Lt => "<",
        Token::Lte => "<=",
        Token::Gt => ">",
        Token::Gte => ">=",
        _ => return None,
    })
}

/// Whether a word stands between operands rather than in one.
fn ends_operand(word: &str, before: Option<&Token<'_>>, first_of_block: bool) -> bool {
    if matches!(
        before,
        Some(Token::Dot | Token::Pipe | Token::Ident("is" | "not"))
    ) && !(word == "in" && matches!(before, Some(Token::Ident("not"))))
    {
        return false;
    }
    first_of_block || matches!(word, "and" | "or" | "not" | "in" | "if" | "else")
}

/// `__compare(a, "<", b, "<=", c)`: whether all of the chain holds.
#[expect(
    clippy::needless_pass_by_value,
    reason = "this is how Jinja hands over any number of arguments"
)]
pub(super) fn compare_chain(arguments: Rest<Value>) -> Result<bool, Error> {
    let mut rest = arguments.as_slice();
    while let [left, operator, right, ..] = rest {
        if !compare(left, operator.as_str().unwrap_or_default(), right)? {
            return Ok(false);
        }
        rest = &rest[2..];
    }
    Ok(true)
}

/// One comparison. Values of different types and empty cells have no order and are not equal: asking is an error. Whether
/// a cell is empty may be asked: `r.x == none`.
pub(super) fn compare(left: &Value, operator: &str, right: &Value) -> Result<bool, Error> {
    let equality = matches!(operator, "==" | "!=");
    if left.is_undefined() || right.is_undefined() {
        return Err(refusal("a value that is compared is not defined"));
    }
    if equality && (left.is_none() || right.is_none()) {
        let nothing = |value: &Value| matches!(Kind::of(value), Kind::Empty) || value.is_none();
        return Ok((nothing(left) && nothing(right)) == (operator == "=="));
    }
    let ordering = match (Kind::of(left), Kind::of(right)) {
        (Kind::Empty, Kind::Empty) if equality => Some(Ordering::Equal),
        (Kind::Empty, _) | (_, Kind::Empty) => {
            return Err(refusal(
                "an empty cell is compared; write `r.field or 0`, or ask for it with `r.field == none`",
            ));
        }
        (Kind::Number(left), Kind::Number(right)) => Some(left.cmp(&right)),
        (Kind::Text(left), Kind::Text(right)) => Some(left.cmp(right)),
        (Kind::Boolean(left), Kind::Boolean(right)) => Some(left.cmp(&right)),
        (Kind::Date(left), Kind::Date(right)) => Some(left.cmp(&right)),
        (Kind::DateTime(left), Kind::DateTime(right)) => Some(left.cmp(&right)),
        // A date has no literal of its own in Jinja: its text does.
        (Kind::Date(left), Kind::Text(right)) => right.parse().ok().map(|right| left.cmp(&right)),
        (Kind::Text(left), Kind::Date(right)) => left
            .parse()
            .ok()
            .map(|left: chrono::NaiveDate| left.cmp(&right)),
        (Kind::Other, Kind::Other) if equality => {
            return Ok((left == right) == (operator == "=="));
        }
        _ => None,
    };
    let Some(ordering) = ordering else {
        return Err(refusal(format!(
            "a {} is compared with a {}: `{operator}` needs two values of one type",
            Kind::of(left).name(),
            Kind::of(right).name()
        )));
    };
    Ok(match operator {
        "==" => ordering.is_eq(),
        "!=" => ordering.is_ne(),
        "<" => ordering.is_lt(),
        "<=" => ordering.is_le(),
        ">" => ordering.is_gt(),
        _ => ordering.is_ge(),
    })
}

fn refusal(words: impl Into<std::borrow::Cow<'static, str>>) -> Error {
    Error::new(ErrorKind::InvalidOperation, words)
}

#[cfg(test)]
mod tests {
    use minijinja::{machinery::tokenize, syntax::SyntaxConfig};

    use super::*;

    fn spelled(code: &str, block: bool) -> String {
        let tokens: Vec<_> = tokenize(code, true, SyntaxConfig::default())
            .map(|token| token.unwrap())
            .map(|(token, span)| (token, span.start_offset as usize..span.end_offset as usize))
            .collect();
        let mut text = code.to_owned();
        for (range, new) in spell_as_calls(&tokens, block).into_iter().rev() {
            text.replace_range(range, &new);
        }
        text
    }

    #[test]
    fn comparisons_are_found_at_every_depth() {
        for (code, block, expected) in [
            ("a", false, "a"),
            ("a<b", false, r#"__compare(a,"<",b)"#),
            ("if a<b and c", true, r#"if __compare(a,"<",b) and c"#),
            ("not a==b", false, r#"not __compare(a,"==",b)"#),
            ("a<b<=c", false, r#"__compare(a,"<",b,"<=",c)"#),
            (
                "(a+1)*2>b|f(c!=d)",
                false,
                r#"__compare((a+1)*2,">",b|f(__compare(c,"!=",d)))"#,
            ),
            (
                "x if a>b else c",
                false,
                r#"x if __compare(a,">",b) else c"#,
            ),
            (
                "for x in a if x>1",
                true,
                r#"for x in a if __compare(x,">",1)"#,
            ),
            ("set x = a>=b", true, r#"set x = __compare(a,">=",b)"#),
            ("f(k=a<b, c)", false, r#"f(k=__compare(a,"<",b), c)"#),
            ("r.in<r.if", false, r#"__compare(r.in,"<",r.if)"#),
            (
                "a is not none and b==1",
                false,
                r#"a is not none and __compare(b,"==",1)"#,
            ),
            ("a not in b", false, "a not in b"),
            ("[a<b, c]", false, r#"[__compare(a,"<",b), c]"#),
        ] {
            assert_eq!(spelled(code, block), expected, "{code}");
        }
    }
}
