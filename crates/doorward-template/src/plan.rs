//! From a tree to the program that is run: for pages, with the escapers of every printed value chosen.
//! A body called in two contexts becomes two bodies. Branches have to end in the same context, loops in the one they
//! began in, and a page in plain text: anything else is refused here and never reaches a browser.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::escape::{self, Context, Escaper, State};
use crate::tree::{Arm, Body, BranchKind, Command, Fault, Function, Node, Pipe, Source, Store};

/// How many nodes may be looked at: nested loops and contexts multiply.
const MAX_STEPS: usize = 200_000;
/// How deep bodies and calls may nest, together.
const MAX_DEPTH: usize = 160;

/// What is run.
#[derive(Debug)]
pub(crate) struct Program {
    bodies: Vec<Vec<Op>>,
}

impl Program {
    /// The body rendering begins with.
    pub(crate) fn main(&self) -> &[Op] {
        self.body(0)
    }

    pub(crate) fn body(&self, index: usize) -> &[Op] {
        self.bodies.get(index).map(Vec::as_slice).unwrap_or_default()
    }
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Op {
    Write(String),
    Print {
        pipe: Arc<Pipe>,
        escaping: Escaping,
    },
    /// A pipeline run for the variable it sets.
    Set(Arc<Pipe>),
    Branch {
        kind: BranchKind,
        arms: Vec<PlannedArm>,
        otherwise: Vec<Op>,
    },
    /// `again` is the body from the second time on, where that has to escape in another way.
    Range {
        pipe: Arc<Pipe>,
        body: Vec<Op>,
        again: Option<Vec<Op>>,
        otherwise: Vec<Op>,
    },
    Call {
        line: usize,
        body: usize,
        argument: Option<Arc<Pipe>>,
    },
    Break,
    Continue,
}

/// One condition of a branch, and what runs when it holds.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct PlannedArm {
    pub(crate) pipe: Arc<Pipe>,
    pub(crate) body: Vec<Op>,
}

/// What is done to a printed value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Escaping {
    /// Log lines: the value as it is.
    Plain,
    Contextual(Vec<Escaper>),
}

/// What a template makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Output {
    Text,
    Html,
}

/// Makes the program that begins with the body `entry`.
pub(crate) fn plan(source: &Source, entry: &str, output: Output) -> Result<Program, Fault> {
    let mut planner = Planner {
        source,
        output,
        bodies: Vec::new(),
        known: BTreeMap::new(),
        loops: Vec::new(),
        steps: 0,
        depth: 0,
    };
    let (_, end) = planner.body(1, entry, &Context::default())?;
    match end {
        Some(context) if context.state != State::Text => {
            let line = source.defined.get(entry).map_or(1, last_line);
            Err(Fault::new(line, format!("the page ends inside of {}", escape::describe(&context))))
        }
        _ => Ok(Program { bodies: planner.bodies }),
    }
}

fn last_line(body: &Body) -> usize {
    body.last().map_or(1, |node| match node {
        Node::Literal { line, text } => line + text.matches('\n').count(),
        Node::Action { line, .. }
        | Node::Branch { line, .. }
        | Node::Range { line, .. }
        | Node::Call { line, .. }
        | Node::Break { line }
        | Node::Continue { line } => *line,
    })
}

/// The context after some nodes; `None` after a `break` or `continue`, where nothing follows.
type End = Option<Context>;

/// A planned loop: its body the first time, the body from then on if that differs, and the context after it.
struct Looped {
    first: Vec<Op>,
    again: Option<Vec<Op>>,
    end: End,
}

struct Planner<'s> {
    source: &'s Source,
    output: Output,
    bodies: Vec<Vec<Op>>,
    known: BTreeMap<(String, Context), Known>,
    /// Per open loop: the contexts at its `break` and `continue`.
    loops: Vec<Vec<Context>>,
    steps: usize,
    depth: usize,
}

#[derive(Debug, Clone)]
struct Known {
    index: usize,
    end: End,
    /// Still being planned: `end` is assumed.
    state: Knowledge,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Knowledge {
    Assumed,
    AssumedAndUsed,
    Certain,
}

impl Planner<'_> {
    fn spend(&mut self, line: usize) -> Result<(), Fault> {
        self.steps += 1;
        if self.steps > MAX_STEPS { Err(Fault::new(line, "the template is too complex")) } else { Ok(()) }
    }

    /// A named body in a context: its index and the context it ends in.
    fn body(&mut self, line: usize, name: &str, start: &Context) -> Result<(usize, End), Fault> {
        let key = (name.to_owned(), start.clone());
        if let Some(known) = self.known.get_mut(&key) {
            if known.state == Knowledge::Assumed {
                known.state = Knowledge::AssumedAndUsed;
            }
            return Ok((known.index, known.end.clone()));
        }
        let Some(nodes) = self.source.defined.get(name) else {
            return Err(Fault::new(line, format!("template {name:?} is not defined")));
        };
        let index = self.bodies.len();
        // A body that calls itself is assumed to end where it began, and else where the first try ended.
        let mut assumed = Some(start.clone());
        for _attempt in 0..2 {
            self.bodies.truncate(index);
            self.bodies.push(Vec::new());
            self.known.retain(|_, known| known.index < index);
            self.known.insert(key.clone(), Known { index, end: assumed.clone(), state: Knowledge::Assumed });
            let loops = std::mem::take(&mut self.loops);
            let (ops, end) = self.list(line, nodes, start.clone())?;
            self.loops = loops;
            let used = self.known.get(&key).is_some_and(|known| known.state == Knowledge::AssumedAndUsed);
            if !used || end == assumed {
                if let Some(slot) = self.bodies.get_mut(index) {
                    *slot = ops;
                }
                self.known.insert(key, Known { index, end: end.clone(), state: Knowledge::Certain });
                return Ok((index, end));
            }
            assumed = end;
        }
        Err(Fault::new(line, format!("template {name:?} calls itself and ends in different contexts")))
    }

    fn list(&mut self, line: usize, nodes: &Body, start: Context) -> Result<(Vec<Op>, End), Fault> {
        if self.depth >= MAX_DEPTH {
            return Err(Fault::new(line, "the template is nested too deeply"));
        }
        self.depth += 1;
        let mut ops = Vec::with_capacity(nodes.len());
        let mut context = Some(start);
        for node in nodes {
            // What follows a `break` is never run.
            let Some(here) = context else { break };
            context = self.node(node, here, &mut ops)?;
        }
        self.depth -= 1;
        Ok((ops, context))
    }

    fn node(&mut self, node: &Node, context: Context, ops: &mut Vec<Op>) -> Result<End, Fault> {
        match node {
            Node::Literal { line, text } => {
                self.spend(*line)?;
                self.literal(*line, text, context, ops).map(Some)
            }
            Node::Action { line, pipe } => {
                self.spend(*line)?;
                if !matches!(pipe.store, Store::Nowhere) {
                    ops.push(Op::Set(Arc::clone(pipe)));
                    return Ok(Some(context));
                }
                if self.output == Output::Text {
                    ops.push(Op::Print { pipe: Arc::clone(pipe), escaping: Escaping::Plain });
                    return Ok(Some(context));
                }
                let (op, context) = printed(pipe, context).map_err(|message| Fault::new(*line, message))?;
                ops.push(op);
                Ok(Some(context))
            }
            Node::Branch { line, kind, arms, otherwise } => {
                self.spend(*line)?;
                self.branch(*line, (*kind, arms, otherwise), &context, ops)
            }
            Node::Range { line, pipe, body, otherwise } => {
                self.spend(*line)?;
                let Looped { first, again, end } = self.looped(*line, body, &context)?;
                let (otherwise, outer) = self.list(*line, otherwise, context)?;
                ops.push(Op::Range { pipe: Arc::clone(pipe), body: first, again, otherwise });
                join(*line, end, outer)
            }
            Node::Call { line, name, argument } => {
                self.spend(*line)?;
                let (body, end) = self.body(*line, name, &context)?;
                ops.push(Op::Call { line: *line, body, argument: argument.clone() });
                Ok(end)
            }
            Node::Break { .. } | Node::Continue { .. } => {
                if let Some(exits) = self.loops.last_mut() {
                    exits.push(context);
                }
                ops.push(if matches!(node, Node::Break { .. }) { Op::Break } else { Op::Continue });
                Ok(None)
            }
        }
    }

    fn literal(
        &self,
        line: usize,
        text: &str,
        context: Context,
        ops: &mut Vec<Op>,
    ) -> Result<Context, Fault> {
        if self.output == Output::Text {
            ops.push(Op::Write(text.to_owned()));
            return Ok(context);
        }
        let (written, context) = escape::literal(context, text).map_err(|(offset, message)| {
            let passed = text.get(..offset).unwrap_or_default().matches('\n').count();
            Fault::new(line + passed, message)
        })?;
        if !written.is_empty() {
            ops.push(Op::Write(written));
        }
        Ok(context)
    }

    fn branch(
        &mut self,
        line: usize,
        (kind, arms, otherwise): (BranchKind, &[Arm], &Body),
        context: &Context,
        ops: &mut Vec<Op>,
    ) -> Result<End, Fault> {
        let (otherwise, mut end) = self.list(line, otherwise, context.clone())?;
        let mut planned = Vec::with_capacity(arms.len());
        for arm in arms {
            let (body, arm_end) = self.list(line, &arm.body, context.clone())?;
            planned.push(PlannedArm { pipe: Arc::clone(&arm.pipe), body });
            end = join(line, arm_end, end)?;
        }
        ops.push(Op::Branch { kind, arms: planned, otherwise });
        Ok(end)
    }

    /// The body of a loop: it may run again where it ended. A first `/?q=` makes all that follows a query.
    fn looped(&mut self, line: usize, body: &Body, start: &Context) -> Result<Looped, Fault> {
        let (first, once) = self.pass(line, body, start.clone())?;
        let Some(second_start) = once.clone().filter(|context| context != start) else {
            return Ok(Looped { first, again: None, end: once });
        };
        let (second, twice) = self.pass(line, body, second_start)?;
        let again = if second == first { None } else { Some(second) };
        let end = join(line, once, twice)?;
        Ok(Looped { first, again, end })
    }

    fn pass(&mut self, line: usize, body: &Body, start: Context) -> Result<(Vec<Op>, End), Fault> {
        self.loops.push(Vec::new());
        let (ops, mut end) = self.list(line, body, start)?;
        for exit in self.loops.pop().unwrap_or_default() {
            end = join(line, end, Some(exit))?;
        }
        Ok((ops, end))
    }
}

fn join(line: usize, left: End, right: End) -> Result<End, Fault> {
    let (left, right) = match (left, right) {
        (Some(left), Some(right)) => (left, right),
        (one, other) => return Ok(one.or(other)),
    };
    let words = (escape::describe(&left), escape::describe(&right));
    match left.joined(right) {
        Some(context) => Ok(Some(context)),
        None => Err(Fault::new(
            line,
            format!("one branch ends in {}, the other in {} or another part of it", words.0, words.1),
        )),
    }
}

/// A printed value with the escapers of its context.
fn printed(pipe: &Arc<Pipe>, context: Context) -> Result<(Op, Context), String> {
    let start = context.clone().nudged();
    let (chain, context) = escape::chain(context)?;
    let is_escaper = |function: &Function| matches!(function, Function::Html | Function::UrlQuery);
    let Some((last, before)) = pipe.commands.split_last() else {
        return Err("an empty pipeline".to_owned());
    };
    for command in before {
        if let Command::Call { function, .. } = command
            && is_escaper(function)
        {
            return Err(format!("{} may only stand at the end of a pipeline", function.name()));
        }
    }
    let Command::Call { function, arguments } = last else {
        return Ok((Op::Print { pipe: Arc::clone(pipe), escaping: Escaping::Contextual(chain) }, context));
    };
    if !is_escaper(function) {
        return Ok((Op::Print { pipe: Arc::clone(pipe), escaping: Escaping::Contextual(chain) }, context));
    }
    // The author's escaping becomes part of the chain; what is left of the pipeline is what it is given.
    let chain = escape::merge(*function, &start, chain)?;
    let mut commands = before.to_vec();
    match arguments.as_slice() {
        [only] if commands.is_empty() => commands.push(Command::Operand(only.clone())),
        [] if !commands.is_empty() => (),
        _ => commands.push(Command::Call { function: Function::Print, arguments: arguments.clone() }),
    }
    let pipe = Arc::new(Pipe { line: pipe.line, store: Store::Nowhere, commands });
    Ok((Op::Print { pipe, escaping: Escaping::Contextual(chain) }, context))
}
