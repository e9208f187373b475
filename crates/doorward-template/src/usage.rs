//! What a template uses: the fields it looks at, and whether it is simple enough to be written without running it.

use std::collections::BTreeSet;

use crate::Segment;
use crate::plan::{Escaping, Op};
use crate::tree::{Body, BranchKind, Command, Node, Operand, Pipe, Source, Store};

/// The segments of a body of literal text and plain fields.
pub(crate) fn segments(ops: &[Op]) -> Option<Vec<Segment>> {
    let mut segments: Vec<Segment> = Vec::with_capacity(ops.len());
    for op in ops {
        match op {
            Op::Write(text) => match segments.last_mut() {
                Some(Segment::Literal(before)) => before.push_str(text),
                _ => segments.push(Segment::Literal(text.clone())),
            },
            Op::Print { pipe, escaping: Escaping::Plain } => {
                segments.push(Segment::Field(plain_field(pipe)?));
            }
            _ => return None,
        }
    }
    Some(segments)
}

fn plain_field(pipe: &Pipe) -> Option<String> {
    match pipe.commands.as_slice() {
        [Command::Operand(Operand::Field(path))] => match path.as_slice() {
            [name] => Some(name.clone()),
            _ => None,
        },
        _ => None,
    }
}

/// The names of the top-level fields that a body and those it calls look at.
pub(crate) fn fields(source: &Source, entry: &str) -> Vec<String> {
    let mut search = Search { source, found: BTreeSet::new(), seen: BTreeSet::new() };
    search.template(entry, Place { dot: Root::Here, dollar: Root::Here });
    search.found.into_iter().collect()
}

/// Whether a name is the value the template was given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Root {
    Here,
    Elsewhere,
}

/// What `.` and `$` are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    dot: Root,
    dollar: Root,
}

struct Search<'s> {
    source: &'s Source,
    found: BTreeSet<String>,
    seen: BTreeSet<(String, Place)>,
}

impl Search<'_> {
    fn template(&mut self, name: &str, place: Place) {
        if !self.seen.insert((name.to_owned(), place)) {
            return;
        }
        if let Some(body) = self.source.defined.get(name) {
            self.body(body, place);
        }
    }

    fn body(&mut self, body: &Body, place: Place) {
        let away = Place { dot: Root::Elsewhere, ..place };
        for node in body {
            match node {
                Node::Literal { .. } | Node::Break { .. } | Node::Continue { .. } => (),
                Node::Action { pipe, .. } => self.pipe(pipe, place),
                Node::Branch { kind, arms, otherwise, .. } => {
                    for arm in arms {
                        self.pipe(&arm.pipe, place);
                        let root = root_of(&arm.pipe, place);
                        let inner =
                            if *kind == BranchKind::With { Place { dot: root, ..place } } else { place };
                        self.body(&arm.body, inner);
                    }
                    self.body(otherwise, place);
                }
                Node::Range { pipe, body, otherwise, .. } => {
                    self.pipe(pipe, place);
                    self.body(body, away);
                    self.body(otherwise, place);
                }
                Node::Call { name, argument, .. } => {
                    let root = argument.as_ref().map_or(Root::Elsewhere, |pipe| {
                        self.pipe(pipe, place);
                        root_of(pipe, place)
                    });
                    self.template(name, Place { dot: root, dollar: root });
                }
            }
        }
    }

    fn pipe(&mut self, pipe: &Pipe, place: Place) {
        for command in &pipe.commands {
            match command {
                Command::Operand(operand) => self.operand(operand, place),
                Command::Call { arguments, .. } => {
                    for operand in arguments {
                        self.operand(operand, place);
                    }
                }
            }
        }
    }

    fn operand(&mut self, operand: &Operand, place: Place) {
        let (root, fields) = match operand {
            Operand::Field(fields) => (place.dot, fields),
            Operand::Variable { name, fields } if name == "$" => (place.dollar, fields),
            Operand::Group { pipe, fields } => {
                self.pipe(pipe, place);
                (root_of(pipe, place), fields)
            }
            Operand::Dot | Operand::Constant(_) | Operand::Variable { .. } | Operand::Call(_) => return,
        };
        if let (Root::Here, Some(name)) = (root, fields.first()) {
            self.found.insert(name.clone());
        }
    }
}

/// Whether a pipeline hands on the value the template was given.
fn root_of(pipe: &Pipe, place: Place) -> Root {
    match (&pipe.store, pipe.commands.as_slice()) {
        (Store::Nowhere, [Command::Operand(Operand::Dot)]) => place.dot,
        (Store::Nowhere, [Command::Operand(Operand::Variable { name, fields })])
            if name == "$" && fields.is_empty() =>
        {
            place.dollar
        }
        _ => Root::Elsewhere,
    }
}
