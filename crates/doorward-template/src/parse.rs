//! From tokens to a tree, by the grammar of Go's templates (package text/template).
//! Names, variables, functions and their argument counts are checked here, so that a mistake stops the start and
//! not a page. Nesting is bounded: no source can exhaust the stack.

use std::sync::Arc;

use crate::lex::{Kind, Spacing, Token, lex};
use crate::tree::{Arm, Body, BranchKind, Command, Fault, Function, Node, Operand, Pipe, Source, Store};
use crate::value::Value;

/// How deep actions and parentheses may nest, together.
const MAX_NESTING: usize = 64;

/// Parses a whole source.
pub(crate) fn parse(source: &str) -> Result<Source, Fault> {
    let tokens = lex(source)?;
    let mut parser = Parser {
        tokens: &tokens,
        variables: vec!["$".to_owned()],
        source: Source::default(),
        nesting: 0,
        loops: 0,
        line: 1,
    };
    parser.main()?;
    Ok(parser.source)
}

struct Parser<'t, 's> {
    tokens: &'t [Token<'s>],
    variables: Vec<String>,
    source: Source,
    nesting: usize,
    loops: usize,
    line: usize,
}

/// What ended a list of nodes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Terminator {
    End,
    Else,
    ElseIf,
    ElseWith,
    EndOfSource,
}

/// Where a pipeline stands: only the one of `range` may set two variables.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Action,
    Range,
    Group,
}

impl<'t, 's> Parser<'t, 's> {
    fn main(&mut self) -> Result<(), Fault> {
        let mut body = Vec::new();
        match self.list(&mut body)? {
            Terminator::EndOfSource => (),
            Terminator::End => return self.fault("unexpected {{end}}"),
            Terminator::Else | Terminator::ElseIf | Terminator::ElseWith => {
                return self.fault("unexpected {{else}}");
            }
        }
        self.source.main = body;
        Ok(())
    }

    fn fault<T>(&self, message: impl Into<String>) -> Result<T, Fault> {
        Err(Fault::new(self.line, message))
    }

    fn peek(&self) -> Option<&'t Token<'s>> {
        self.tokens.first()
    }

    fn next(&mut self) -> Option<&'t Token<'s>> {
        let (token, rest) = self.tokens.split_first()?;
        self.tokens = rest;
        self.line = token.line;
        Some(token)
    }

    /// Takes the next token if it is of this kind.
    fn take(&mut self, kind: &Kind<'_>) -> bool {
        let found = self.peek().is_some_and(|token| token.kind == *kind);
        if found {
            self.next();
        }
        found
    }

    fn expect_close(&mut self, after: &str) -> Result<(), Fault> {
        if self.take(&Kind::Close) { Ok(()) } else { self.fault(format!("unexpected token after {after}")) }
    }

    /// Runs `inner` one level deeper.
    fn nested<T>(&mut self, inner: impl FnOnce(&mut Self) -> Result<T, Fault>) -> Result<T, Fault> {
        if self.nesting >= MAX_NESTING {
            return self.fault("nested too deeply");
        }
        self.nesting += 1;
        let result = inner(self);
        self.nesting -= 1;
        result
    }

    /// Appends nodes to `body` up to the next `end` or `else` of this level.
    fn list(&mut self, body: &mut Body) -> Result<Terminator, Fault> {
        while let Some(token) = self.next() {
            match &token.kind {
                Kind::Markup(text) => body.push(Node::Literal { line: token.line, text: (*text).to_owned() }),
                Kind::Open => {
                    if let Some(terminator) = self.action(body)? {
                        return Ok(terminator);
                    }
                }
                _ => return self.fault("unexpected token"),
            }
        }
        Ok(Terminator::EndOfSource)
    }

    /// One action, its opening braces taken.
    fn action(&mut self, body: &mut Body) -> Result<Option<Terminator>, Fault> {
        let line = self.line;
        let word = match self.peek().map(|token| &token.kind) {
            Some(Kind::Word(word)) => *word,
            _ => "",
        };
        if !matches!(
            word,
            "if" | "with" | "range" | "template" | "block" | "define" | "end" | "else" | "break" | "continue"
        ) {
            let pipe = self.pipeline(Place::Action)?;
            body.push(Node::Action { line, pipe });
            return Ok(None);
        }
        self.next();
        match word {
            "if" => body.push(self.nested(|parser| parser.branch(BranchKind::If))?),
            "with" => body.push(self.nested(|parser| parser.branch(BranchKind::With))?),
            "range" => body.push(self.nested(Self::range)?),
            "template" => {
                let name = self.template_name()?;
                let argument =
                    if self.take(&Kind::Close) { None } else { Some(self.pipeline(Place::Action)?) };
                body.push(Node::Call { line, name, argument });
            }
            "block" => {
                let name = self.template_name()?;
                let argument = Some(self.pipeline(Place::Action)?);
                self.definition(&name)?;
                body.push(Node::Call { line, name, argument });
            }
            "define" => {
                if self.nesting > 0 {
                    return self.fault("{{define}} must not stand inside of another action");
                }
                let name = self.template_name()?;
                self.expect_close("{{define}}")?;
                self.definition(&name)?;
            }
            "break" | "continue" => {
                self.expect_close(word)?;
                if self.loops == 0 {
                    return self.fault(format!("{{{{{word}}}}} outside of {{{{range}}}}"));
                }
                body.push(if word == "break" { Node::Break { line } } else { Node::Continue { line } });
            }
            "end" => {
                self.expect_close("end")?;
                return Ok(Some(Terminator::End));
            }
            _ => return self.otherwise().map(Some),
        }
        Ok(None)
    }

    fn otherwise(&mut self) -> Result<Terminator, Fault> {
        if self.take(&Kind::Word("if")) {
            return Ok(Terminator::ElseIf);
        }
        if self.take(&Kind::Word("with")) {
            return Ok(Terminator::ElseWith);
        }
        self.expect_close("else")?;
        Ok(Terminator::Else)
    }

    fn template_name(&mut self) -> Result<String, Fault> {
        match self.next().map(|token| &token.kind) {
            Some(Kind::Quoted(name)) => Ok(name.clone()),
            _ => self.fault("expected the quoted name of a template"),
        }
    }

    /// The body of a `define` or `block`, up to its `end`: no variable or loop of the outside reaches into it.
    fn definition(&mut self, name: &str) -> Result<(), Fault> {
        let variables = std::mem::replace(&mut self.variables, vec!["$".to_owned()]);
        let loops = std::mem::take(&mut self.loops);
        let mut body = Vec::new();
        let line = self.line;
        let terminator = self.nested(|parser| parser.list(&mut body))?;
        self.expect_end(terminator, line)?;
        self.variables = variables;
        self.loops = loops;
        match self.source.defined.get(name) {
            Some(known) if !is_blank(known) && !is_blank(&body) => {
                Err(Fault::new(line, format!("template {name:?} is defined twice")))
            }
            Some(_) if is_blank(&body) => Ok(()),
            _ => {
                self.source.defined.insert(name.to_owned(), body);
                Ok(())
            }
        }
    }

    fn expect_end(&self, terminator: Terminator, opened: usize) -> Result<(), Fault> {
        match terminator {
            Terminator::End => Ok(()),
            Terminator::EndOfSource => {
                self.fault(format!("missing {{{{end}}}} of the action in line {opened}"))
            }
            Terminator::Else | Terminator::ElseIf | Terminator::ElseWith => self.fault("unexpected {{else}}"),
        }
    }

    /// An `if` or `with` with all its `else` parts, the keyword taken.
    fn branch(&mut self, kind: BranchKind) -> Result<Node, Fault> {
        let line = self.line;
        let scope = self.variables.len();
        let mut arms = Vec::new();
        let mut otherwise = Vec::new();
        loop {
            let pipe = self.pipeline(Place::Action)?;
            let mut body = Vec::new();
            let terminator = self.list(&mut body)?;
            arms.push(Arm { pipe, body });
            match (terminator, kind) {
                (Terminator::ElseIf, BranchKind::If) | (Terminator::ElseWith, BranchKind::With) => (),
                (Terminator::Else, _) => {
                    let terminator = self.list(&mut otherwise)?;
                    self.expect_end(terminator, line)?;
                    break;
                }
                (terminator, _) => {
                    self.expect_end(terminator, line)?;
                    break;
                }
            }
        }
        self.variables.truncate(scope);
        Ok(Node::Branch { line, kind, arms, otherwise })
    }

    fn range(&mut self) -> Result<Node, Fault> {
        let line = self.line;
        let scope = self.variables.len();
        let pipe = self.pipeline(Place::Range)?;
        let mut body = Vec::new();
        let mut otherwise = Vec::new();
        self.loops += 1;
        let mut terminator = self.list(&mut body)?;
        self.loops -= 1;
        if terminator == Terminator::Else {
            terminator = self.list(&mut otherwise)?;
        }
        self.expect_end(terminator, line)?;
        self.variables.truncate(scope);
        Ok(Node::Range { line, pipe, body, otherwise })
    }

    /// A pipeline up to and including the token that closes it.
    fn pipeline(&mut self, place: Place) -> Result<Arc<Pipe>, Fault> {
        let line = self.line;
        let store = self.store(place)?;
        let mut commands = Vec::new();
        loop {
            let command = self.command(commands.len())?;
            commands.push(command);
            let end = if place == Place::Group { Kind::RightParen } else { Kind::Close };
            if self.take(&end) {
                break;
            }
            if !self.take(&Kind::Pipe) {
                return self.fault("unexpected token in a pipeline");
            }
        }
        // A new variable can be seen only after its own pipeline.
        if let Store::Declare(names) = &store {
            self.variables.extend(names.iter().cloned());
        }
        Ok(Arc::new(Pipe { line, store, commands }))
    }

    /// `$x :=`, `$x =` or, for `range`, `$i, $x :=`.
    fn store(&mut self, place: Place) -> Result<Store, Fault> {
        let [Token { kind: Kind::Variable(first), .. }, sign, rest @ ..] = self.tokens else {
            return Ok(Store::Nowhere);
        };
        let (names, sign, rest) = match (&sign.kind, rest) {
            (Kind::Comma, [Token { kind: Kind::Variable(second), .. }, sign, rest @ ..])
                if place == Place::Range =>
            {
                (vec![*first, *second], sign, rest)
            }
            (Kind::Comma, _) => return self.fault("too many variables"),
            _ => (vec![*first], sign, rest),
        };
        let names: Vec<String> = names.into_iter().map(str::to_owned).collect();
        let store = match sign.kind {
            Kind::Declare if names.iter().any(|name| name == "$") => {
                return self.fault("$ cannot be declared");
            }
            Kind::Declare => Store::Declare(names),
            Kind::Assign => {
                if let Some(unknown) = names.iter().find(|name| !self.variables.contains(name)) {
                    return self.fault(format!("undefined variable {unknown}"));
                }
                Store::Assign(names)
            }
            _ => return Ok(Store::Nowhere),
        };
        self.tokens = rest;
        Ok(store)
    }

    /// One stage of a pipeline; `stage` is its index.
    fn command(&mut self, stage: usize) -> Result<Command, Fault> {
        let line = self.line;
        let mut operands = vec![self.operand()?];
        loop {
            match self.peek() {
                None => return self.fault("unclosed action"),
                Some(token) if matches!(token.kind, Kind::Close | Kind::RightParen | Kind::Pipe) => break,
                Some(token) if token.spacing == Spacing::Joined => {
                    return self.fault("unexpected token after a value");
                }
                Some(_) => operands.push(self.operand()?),
            }
        }
        let first = operands.remove(0);
        let starved = operands.iter().find_map(|operand| match operand {
            Operand::Call(function) if function.arity().0 > 0 => Some(function.name()),
            _ => None,
        });
        if let Some(name) = starved {
            return Err(Fault::new(line, format!("{name} needs arguments: put it in parentheses")));
        }
        let Operand::Call(function) = first else {
            if stage > 0 || !operands.is_empty() {
                return Err(Fault::new(line, "only a function can be given arguments"));
            }
            if matches!(first, Operand::Constant(Value::Nil)) {
                return Err(Fault::new(line, "nil is not a command"));
            }
            return Ok(Command::Operand(first));
        };
        let given = operands.len() + usize::from(stage > 0);
        let (fewest, most) = function.arity();
        if !(fewest..=most).contains(&given) {
            return Err(Fault::new(
                line,
                format!("wrong number of arguments for {}: {given}", function.name()),
            ));
        }
        Ok(Command::Call { function, arguments: operands })
    }

    fn operand(&mut self) -> Result<Operand, Fault> {
        let Some(token) = self.next() else {
            return self.fault("unclosed action");
        };
        let mut operand = match &token.kind {
            Kind::Dot => Operand::Dot,
            Kind::Quoted(text) => Operand::Constant(Value::Text(text.clone())),
            Kind::Int(number) => Operand::Constant(Value::Int(*number)),
            Kind::Field(name) => Operand::Field(vec![(*name).to_owned()]),
            Kind::Variable(name) => self.variable(name)?,
            Kind::Word(word) => self.word(word)?,
            Kind::LeftParen => {
                let pipe = self.nested(|parser| parser.pipeline(Place::Group))?;
                Operand::Group { pipe: Box::new(Arc::unwrap_or_clone(pipe)), fields: Vec::new() }
            }
            Kind::Close => return self.fault("missing value"),
            _ => return self.fault("unexpected token where a value should stand"),
        };
        while let Some(Token { kind: Kind::Field(name), spacing: Spacing::Joined, .. }) = self.peek() {
            match &mut operand {
                Operand::Field(fields) | Operand::Variable { fields, .. } | Operand::Group { fields, .. } => {
                    fields.push((*name).to_owned());
                }
                Operand::Dot | Operand::Constant(_) | Operand::Call(_) => {
                    return self.fault(format!("unexpected .{name} after a value"));
                }
            }
            self.next();
        }
        Ok(operand)
    }

    fn variable(&self, name: &str) -> Result<Operand, Fault> {
        if self.variables.iter().any(|known| known == name) {
            return Ok(Operand::Variable { name: name.to_owned(), fields: Vec::new() });
        }
        self.fault(format!("undefined variable {name}"))
    }

    fn word(&self, word: &str) -> Result<Operand, Fault> {
        match word {
            "true" => Ok(Operand::Constant(Value::Bool(true))),
            "false" => Ok(Operand::Constant(Value::Bool(false))),
            "nil" => Ok(Operand::Constant(Value::Nil)),
            _ => match Function::parse(word) {
                Some(function) => Ok(Operand::Call(function)),
                None => self.fault(format!("function {word:?} is not known")),
            },
        }
    }
}

/// A body of white space and definitions only: it may be replaced by a later definition of the same name.
pub(crate) fn is_blank(body: &Body) -> bool {
    body.iter().all(|node| matches!(node, Node::Literal { text, .. } if text.trim().is_empty()))
}
