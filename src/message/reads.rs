//! What a template reads, from its syntax tree: names, fields, filters, tests and calls, each with its place.

use std::{borrow::Cow, collections::HashSet, ops::Range};

use minijinja::machinery::{
    Span,
    ast::{Call, CallArg, CallBlock, CallType, Expr, Macro, Stmt},
};

/// One thing a template reads or does.
#[derive(Debug)]
pub(super) enum Use<'a> {
    /// A name that the template does not set itself, as a whole: `first_name`, `r`.
    Name(&'a str),
    /// A part of such a name (`r.balance`, `r["account no"]`), and where the name itself stands.
    Part(&'a str, Cow<'a, str>, Range<usize>),
    /// `| name`, with the text of its first argument where that is written out.
    Filter(&'a str, Option<String>),
    /// `is name`
    Test(&'a str),
    /// `name(…)`, where the template does not define `name` itself.
    Function(&'a str),
    /// `value.name(…)`
    Method(&'a str),
    /// A statement that templates of messages can't have: `include`.
    Forbidden(&'static str),
    /// A block whose text becomes a value before it is printed: `{% set x %}…{% endset %}`, macros.
    Capture,
}

/// Goes through a template and tells `see` what it uses, and where.
pub(super) fn walk<'a>(template: &Stmt<'a>, see: &mut dyn FnMut(Use<'a>, Range<usize>)) {
    let mut walk = Walk {
        scopes: vec![HashSet::new()],
        see,
    };
    walk.statement(template);
}

struct Walk<'a, 'f> {
    scopes: Vec<HashSet<&'a str>>,
    see: &'f mut dyn FnMut(Use<'a>, Range<usize>),
}

fn range(span: Span) -> Range<usize> {
    span.start_offset as usize..span.end_offset as usize
}

/// The first `length` bytes of a span: the name it begins with.
fn first(span: Span, length: usize) -> Range<usize> {
    let start = span.start_offset as usize;
    start..start + length
}

/// The last `length` bytes of a span: the name it ends with.
fn last(span: Span, length: usize) -> Range<usize> {
    let end = span.end_offset as usize;
    end.saturating_sub(length)..end
}

impl<'a> Walk<'a, '_> {
    fn own(&self, name: &str) -> bool {
        self.scopes.iter().any(|scope| scope.contains(name))
    }

    fn set(&mut self, name: &'a str) {
        if let Some(scope) = self.scopes.last_mut() {
            scope.insert(name);
        }
    }

    fn see(&mut self, what: Use<'a>, range: Range<usize>) {
        (self.see)(what, range);
    }

    fn target(&mut self, target: &Expr<'a>) {
        match target {
            Expr::Var(name) => self.set(name.id),
            Expr::List(list) => {
                for item in &list.items {
                    self.target(item);
                }
            }
            Expr::Tuple(tuple) => {
                for item in &tuple.items {
                    self.target(item);
                }
            }
            // `{% set space.name = … %}`: the part of a namespace.
            other => self.expression(other),
        }
    }

    fn within(&mut self, body: &[Stmt<'a>]) {
        for statement in body {
            self.statement(statement);
        }
    }

    fn statement(&mut self, statement: &Stmt<'a>) {
        match statement {
            Stmt::Template(template) => self.within(&template.children),
            Stmt::EmitExpr(emit) => self.expression(&emit.expr),
            Stmt::EmitRaw(_) => {}
            Stmt::ForLoop(block) => {
                self.expression(&block.iter);
                self.scopes.push(HashSet::from(["loop"]));
                self.target(&block.target);
                if let Some(filter) = &block.filter_expr {
                    self.expression(filter);
                }
                self.within(&block.body);
                self.scopes.pop();
                self.within(&block.else_body);
            }
            // A branch is no scope of its own in Jinja: what it sets is there afterwards.
            Stmt::IfCond(block) => {
                self.expression(&block.expr);
                self.within(&block.true_body);
                self.within(&block.false_body);
            }
            Stmt::WithBlock(block) => {
                self.scopes.push(HashSet::new());
                for (target, value) in &block.assignments {
                    self.expression(value);
                    self.target(target);
                }
                self.within(&block.body);
                self.scopes.pop();
            }
            Stmt::Set(set) => {
                self.expression(&set.expr);
                self.target(&set.target);
            }
            Stmt::SetBlock(block) => {
                self.see(Use::Capture, range(block.span()));
                if let Some(filter) = &block.filter {
                    self.expression(filter);
                }
                self.within(&block.body);
                self.target(&block.target);
            }
            Stmt::AutoEscape(block) => {
                self.expression(&block.enabled);
                self.within(&block.body);
            }
            Stmt::FilterBlock(block) => {
                self.see(Use::Capture, range(block.span()));
                self.expression(&block.filter);
                self.within(&block.body);
            }
            Stmt::Block(block) => self.see(Use::Forbidden("block"), range(block.span())),
            Stmt::Import(import) => self.see(Use::Forbidden("import"), range(import.span())),
            Stmt::FromImport(import) => self.see(Use::Forbidden("import"), range(import.span())),
            Stmt::Extends(extends) => self.see(Use::Forbidden("extends"), range(extends.span())),
            Stmt::Include(include) => self.see(Use::Forbidden("include"), range(include.span())),
            Stmt::Macro(block) => {
                self.see(Use::Capture, range(block.span()));
                self.set(block.name);
                self.macro_body(block);
            }
            Stmt::CallBlock(block) => self.call_block(block, block.span()),
            Stmt::Do(block) => self.call(&block.call, block.call.span()),
        }
    }

    fn call_block(&mut self, block: &CallBlock<'a>, span: Span) {
        self.see(Use::Capture, range(span));
        self.call(&block.call, block.call.span());
        self.macro_body(&block.macro_decl);
    }

    fn macro_body(&mut self, block: &Macro<'a>) {
        self.scopes.push(HashSet::from(["caller"]));
        block
            .defaults
            .iter()
            .for_each(|value| self.expression(value));
        for target in &block.args {
            self.target(target);
        }
        self.within(&block.body);
        self.scopes.pop();
    }

    fn arguments(&mut self, arguments: &[CallArg<'a>]) {
        for argument in arguments {
            match argument {
                CallArg::Pos(value)
                | CallArg::Kwarg(_, value)
                | CallArg::PosSplat(value)
                | CallArg::KwargSplat(value) => self.expression(value),
            }
        }
    }

    fn call(&mut self, call: &Call<'a>, span: Span) {
        match call.identify_call() {
            CallType::Function(name) if !self.own(name) => {
                self.see(Use::Function(name), first(span, name.len()));
            }
            CallType::Function(_) => {}
            CallType::Method(Expr::Var(base), _) if base.id == "loop" => {}
            CallType::Method(base, name) => {
                self.see(Use::Method(name), last(call.expr.span(), name.len()));
                self.expression(base);
            }
            CallType::Block(_) => self.see(Use::Forbidden("block"), range(span)),
            CallType::Object(value) => self.expression(value),
        }
        self.arguments(&call.args);
    }

    /// `base.name` or `base["name"]`.
    fn part(&mut self, base: &Expr<'a>, name: Cow<'a, str>, place: Range<usize>) {
        match base {
            Expr::Var(root) if !self.own(root.id) => {
                self.see(Use::Part(root.id, name, range(root.span())), place);
            }
            base => self.expression(base),
        }
    }

    fn expression(&mut self, expression: &Expr<'a>) {
        match expression {
            Expr::Var(name) => {
                if !self.own(name.id) {
                    self.see(Use::Name(name.id), range(name.span()));
                }
            }
            Expr::Const(_) => {}
            Expr::UnaryOp(operation) => self.expression(&operation.expr),
            Expr::BinOp(operation) => {
                self.expression(&operation.left);
                self.expression(&operation.right);
            }
            Expr::Compare(chain) => {
                self.expression(&chain.expr);
                chain
                    .ops
                    .iter()
                    .for_each(|next| self.expression(&next.expr));
            }
            Expr::IfExpr(choice) => {
                self.expression(&choice.test_expr);
                self.expression(&choice.true_expr);
                if let Some(other) = &choice.false_expr {
                    self.expression(other);
                }
            }
            Expr::Filter(filter) => {
                if let Some(value) = &filter.expr {
                    self.expression(value);
                }
                let written_out = match filter.args.first() {
                    Some(CallArg::Pos(Expr::Const(value))) => {
                        value.value.as_str().map(ToOwned::to_owned)
                    }
                    _ => None,
                };
                self.see(
                    Use::Filter(filter.name, written_out),
                    first(filter.span(), filter.name.len()),
                );
                self.arguments(&filter.args);
            }
            Expr::Test(test) => {
                self.expression(&test.expr);
                self.see(Use::Test(test.name), first(test.span(), test.name.len()));
                self.arguments(&test.args);
            }
            Expr::GetAttr(get) => {
                let place = last(get.span(), get.name.len());
                self.part(&get.expr, Cow::Borrowed(get.name), place);
            }
            Expr::GetItem(get) => {
                if let Expr::Const(key) = &get.subscript_expr
                    && let Some(name) = key.value.as_str()
                {
                    let place = range(get.subscript_expr.span());
                    self.part(&get.expr, Cow::Owned(name.to_owned()), place);
                } else {
                    self.expression(&get.expr);
                    self.expression(&get.subscript_expr);
                }
            }
            Expr::Slice(slice) => {
                self.expression(&slice.expr);
                for bound in [&slice.start, &slice.stop, &slice.step]
                    .into_iter()
                    .flatten()
                {
                    self.expression(bound);
                }
            }
            Expr::Call(call) => self.call(call, call.span()),
            Expr::List(list) => {
                for item in &list.items {
                    self.expression(item);
                }
            }
            Expr::Tuple(tuple) => {
                for item in &tuple.items {
                    self.expression(item);
                }
            }
            Expr::Map(map) => {
                for key in &map.keys {
                    self.expression(key);
                }
                for value in &map.values {
                    self.expression(value);
                }
            }
        }
    }
}

/// Whether a template prints `wanted` whatever the recipient is: not only in one branch, nor in a loop that may be empty.
/// `wanted` is a name (`unsubscribe_url`) or a part of one (`sender.address`).
pub(super) fn always_prints(template: &Stmt<'_>, wanted: &str) -> bool {
    let all = |body: &[Stmt<'_>]| body.iter().any(|inner| always_prints(inner, wanted));
    match template {
        Stmt::Template(template) => all(&template.children),
        Stmt::EmitExpr(emit) => shows(&emit.expr, wanted),
        Stmt::IfCond(block) => all(&block.true_body) && all(&block.false_body),
        Stmt::WithBlock(block) => all(&block.body),
        Stmt::AutoEscape(block) => all(&block.body),
        Stmt::FilterBlock(block) => all(&block.body),
        _ => false,
    }
}

fn shows(expression: &Expr<'_>, wanted: &str) -> bool {
    match expression {
        Expr::Var(name) => name.id == wanted,
        Expr::GetAttr(get) => matches!(&get.expr, Expr::Var(root)
            if wanted.split_once('.') == Some((root.id, get.name))),
        Expr::Filter(filter) => filter
            .expr
            .as_ref()
            .is_some_and(|value| shows(value, wanted)),
        Expr::BinOp(operation) => shows(&operation.left, wanted) || shows(&operation.right, wanted),
        _ => false,
    }
}
