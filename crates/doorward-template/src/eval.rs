//! Running a program over values. Output, work and depth are bounded; every failure is an error with its line.
//! What is missing is empty and not an error, as in a page that must be shown whatever happens.

use std::rc::Rc;

use crate::escape;
use crate::functions;
use crate::plan::{Escaping, Op, PlannedArm, Program};
use crate::print;
use crate::tree::{BranchKind, Command, Function, Operand, Pipe, Store};
use crate::value::Value;

/// The longest output in bytes.
const MAX_OUTPUT: usize = 4 << 20;
/// How many operations may be run.
const MAX_STEPS: usize = 1_000_000;
/// How many bytes functions may make.
const MAX_MADE: usize = 16 << 20;
/// How deep bodies and calls may nest, together.
const MAX_DEPTH: usize = 160;

/// Why a rendering failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RenderError {
    /// The output grew past 4 MiB.
    #[error("the output of the template is too long")]
    OutputTooLong,
    /// The template did too much: too many steps, or too much text made by functions.
    #[error("the template does too much")]
    TooMuchWork,
    /// Templates called each other too deeply.
    #[error("line {line}: templates call each other too deeply")]
    TooDeep {
        /// The line of the call, from 1.
        line: usize,
    },
    /// A value does not fit what the template does with it.
    #[error("line {line}: {message}")]
    Misfit {
        /// The line of the action, from 1.
        line: usize,
        /// What does not fit. Holds names and kinds, no values.
        message: String,
    },
}

/// A value in use: one of the caller's or of the template's own, or one made on the way.
#[derive(Debug, Clone)]
pub(crate) enum Cell<'v> {
    Lent(&'v Value),
    Made(Rc<Value>),
}

impl std::ops::Deref for Cell<'_> {
    type Target = Value;

    fn deref(&self) -> &Value {
        match self {
            Self::Lent(value) => value,
            Self::Made(value) => value,
        }
    }
}

/// Runs a program.
pub(crate) fn run(program: &Program, vars: &Value) -> Result<String, RenderError> {
    let dot = Cell::Lent(vars);
    let mut runner = Runner {
        program,
        out: String::with_capacity(1024),
        variables: vec![("$", dot.clone())],
        frame: 0,
        steps: 0,
        made: 0,
        depth: 0,
    };
    runner.list(program.main(), &dot)?;
    Ok(runner.out)
}

struct Runner<'v> {
    program: &'v Program,
    out: String,
    variables: Vec<(&'v str, Cell<'v>)>,
    /// Where the variables of the current template begin.
    frame: usize,
    steps: usize,
    made: usize,
    depth: usize,
}

/// What comes after a list of operations.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Flow {
    Next,
    Break,
    Continue,
}

impl<'v> Runner<'v> {
    fn list(&mut self, ops: &'v [Op], dot: &Cell<'v>) -> Result<Flow, RenderError> {
        for op in ops {
            self.step()?;
            match self.op(op, dot)? {
                Flow::Next => (),
                flow => return Ok(flow),
            }
        }
        Ok(Flow::Next)
    }

    fn step(&mut self) -> Result<(), RenderError> {
        self.steps += 1;
        if self.steps > MAX_STEPS { Err(RenderError::TooMuchWork) } else { Ok(()) }
    }

    fn charge(&mut self, bytes: usize) -> Result<(), RenderError> {
        self.made = self.made.saturating_add(bytes);
        if self.made > MAX_MADE { Err(RenderError::TooMuchWork) } else { Ok(()) }
    }

    fn write(&mut self, text: &str) -> Result<(), RenderError> {
        if self.out.len().saturating_add(text.len()) > MAX_OUTPUT {
            return Err(RenderError::OutputTooLong);
        }
        self.out.push_str(text);
        Ok(())
    }

    /// A list one level deeper, whose variables end with it.
    fn scoped(&mut self, line: usize, ops: &'v [Op], dot: &Cell<'v>) -> Result<Flow, RenderError> {
        if self.depth >= MAX_DEPTH {
            return Err(RenderError::TooDeep { line });
        }
        self.depth += 1;
        let scope = self.variables.len();
        let flow = self.list(ops, dot)?;
        self.variables.truncate(scope);
        self.depth -= 1;
        Ok(flow)
    }

    fn op(&mut self, op: &'v Op, dot: &Cell<'v>) -> Result<Flow, RenderError> {
        match op {
            Op::Write(text) => self.write(text)?,
            Op::Print { pipe, escaping } => {
                let value = self.commands(pipe, dot)?;
                self.print(&value, escaping)?;
            }
            Op::Set(pipe) => drop(self.pipe(pipe, dot)?),
            Op::Branch { kind, arms, otherwise } => return self.branch((*kind, arms, otherwise), dot),
            Op::Range { pipe, body, again, otherwise } => {
                let scope = self.variables.len();
                let again = again.as_deref().unwrap_or(body);
                let flow = self.range(pipe, (body, again), otherwise, dot)?;
                self.variables.truncate(scope);
                return Ok(flow);
            }
            Op::Call { line, body, argument } => {
                let argument = match argument {
                    Some(pipe) => self.pipe(pipe, dot)?,
                    None => Cell::Lent(&Value::Nil),
                };
                self.call(*line, *body, &argument)?;
            }
            Op::Break => return Ok(Flow::Break),
            Op::Continue => return Ok(Flow::Continue),
        }
        Ok(Flow::Next)
    }

    fn print(&mut self, value: &Value, escaping: &Escaping) -> Result<(), RenderError> {
        match escaping {
            Escaping::Plain if *value == Value::Nil => self.write("<no value>"),
            Escaping::Plain => self.write(&print::text(value)),
            Escaping::Contextual(chain) => {
                let escaped = escape::apply(chain, value);
                self.write(&escaped)
            }
        }
    }

    /// A called template sees its argument as `.` and `$`, and no variable of its caller.
    fn call(&mut self, line: usize, body: usize, argument: &Cell<'v>) -> Result<(), RenderError> {
        let frame = std::mem::replace(&mut self.frame, self.variables.len());
        self.variables.push(("$", argument.clone()));
        let program = self.program;
        self.scoped(line, program.body(body), argument)?;
        self.variables.truncate(self.frame);
        self.frame = frame;
        Ok(())
    }

    fn branch(
        &mut self,
        (kind, arms, otherwise): (BranchKind, &'v [PlannedArm], &'v [Op]),
        dot: &Cell<'v>,
    ) -> Result<Flow, RenderError> {
        let scope = self.variables.len();
        let mut flow = None;
        for PlannedArm { pipe, body } in arms {
            let value = self.pipe(pipe, dot)?;
            if value.is_true() {
                let inner = if kind == BranchKind::With { &value } else { dot };
                flow = Some(self.scoped(pipe.line, body, inner)?);
                break;
            }
        }
        let flow = match flow {
            Some(flow) => flow,
            None => self.scoped(0, otherwise, dot)?,
        };
        self.variables.truncate(scope);
        Ok(flow)
    }

    fn range(
        &mut self,
        pipe: &'v Pipe,
        (first, again): (&'v [Op], &'v [Op]),
        otherwise: &'v [Op],
        dot: &Cell<'v>,
    ) -> Result<Flow, RenderError> {
        let over = self.commands(pipe, dot)?;
        let length = match &*over {
            Value::List(items) => items.len(),
            Value::Map(entries) => entries.len(),
            Value::Int(number) => usize::try_from(*number).unwrap_or(0),
            Value::Nil => 0,
            other => return Err(misfit(pipe.line, format!("range cannot go over {}", other.kind()))),
        };
        let two = matches!(&pipe.store, Store::Declare(names) | Store::Assign(names) if names.len() > 1);
        if two && matches!(&*over, Value::Int(_)) {
            return Err(misfit(pipe.line, "range over a number sets one variable only"));
        }
        if length == 0 {
            self.store(pipe, &over)?;
            return self.scoped(pipe.line, otherwise, dot);
        }
        let keys: Vec<Cell<'v>> = match &*over {
            Value::Map(entries) if two => {
                entries.keys().map(|key| Cell::Made(Rc::new(Value::Text(key.clone())))).collect()
            }
            _ => Vec::new(),
        };
        for index in 0..length {
            self.step()?;
            let scope = self.variables.len();
            let item = self.item(&over, index)?;
            let key = match keys.get(index) {
                Some(key) => key.clone(),
                None => Cell::Made(Rc::new(Value::Int(i64::try_from(index).unwrap_or(i64::MAX)))),
            };
            self.store_item(pipe, &key, &item)?;
            let ops = if index == 0 { first } else { again };
            let flow = self.scoped(pipe.line, ops, &item)?;
            self.variables.truncate(scope);
            if flow == Flow::Break {
                break;
            }
        }
        Ok(Flow::Next)
    }

    /// The element of a value at a position of a `range`.
    fn item(&mut self, over: &Cell<'v>, index: usize) -> Result<Cell<'v>, RenderError> {
        match over {
            Cell::Lent(Value::List(items)) => Ok(items.get(index).map_or(NIL, Cell::Lent)),
            Cell::Lent(Value::Map(entries)) => Ok(entries.values().nth(index).map_or(NIL, Cell::Lent)),
            Cell::Made(made) => match &**made {
                Value::List(items) => self.copied(items.get(index)),
                Value::Map(entries) => self.copied(entries.values().nth(index)),
                _ => self.counted(index),
            },
            Cell::Lent(_) => self.counted(index),
        }
    }

    fn counted(&mut self, index: usize) -> Result<Cell<'v>, RenderError> {
        self.made(Value::Int(i64::try_from(index).unwrap_or(i64::MAX)))
    }

    fn copied(&mut self, value: Option<&Value>) -> Result<Cell<'v>, RenderError> {
        match value {
            Some(value) => self.made(value.clone()),
            None => Ok(NIL),
        }
    }

    fn made(&mut self, value: Value) -> Result<Cell<'v>, RenderError> {
        self.charge(value.weight())?;
        Ok(Cell::Made(Rc::new(value)))
    }

    /// The value of a pipeline, stored in its variable if it names one.
    fn pipe(&mut self, pipe: &'v Pipe, dot: &Cell<'v>) -> Result<Cell<'v>, RenderError> {
        let value = self.commands(pipe, dot)?;
        self.store(pipe, &value)?;
        Ok(value)
    }

    fn store(&mut self, pipe: &'v Pipe, value: &Cell<'v>) -> Result<(), RenderError> {
        match &pipe.store {
            Store::Nowhere => (),
            Store::Declare(names) => {
                for name in names {
                    self.variables.push((name, value.clone()));
                }
            }
            Store::Assign(names) => {
                for name in names {
                    self.assign(pipe.line, name, value)?;
                }
            }
        }
        Ok(())
    }

    fn store_item(&mut self, pipe: &'v Pipe, key: &Cell<'v>, item: &Cell<'v>) -> Result<(), RenderError> {
        let (Store::Declare(names) | Store::Assign(names)) = &pipe.store else {
            return Ok(());
        };
        let values = match names.len() {
            1 => vec![item],
            _ => vec![key, item],
        };
        for (name, value) in names.iter().zip(values) {
            if matches!(pipe.store, Store::Declare(_)) {
                self.variables.push((name, value.clone()));
            } else {
                self.assign(pipe.line, name, value)?;
            }
        }
        Ok(())
    }

    fn assign(&mut self, line: usize, name: &str, value: &Cell<'v>) -> Result<(), RenderError> {
        match self.variables.iter_mut().skip(self.frame).rev().find(|(known, _)| *known == name) {
            Some((_, slot)) => {
                *slot = value.clone();
                Ok(())
            }
            None => Err(misfit(line, format!("undefined variable {name}"))),
        }
    }

    fn commands(&mut self, pipe: &'v Pipe, dot: &Cell<'v>) -> Result<Cell<'v>, RenderError> {
        let mut piped: Option<Cell<'v>> = None;
        for command in &pipe.commands {
            self.step()?;
            piped = Some(match command {
                Command::Operand(operand) => self.operand(pipe.line, operand, dot)?,
                Command::Call { function, arguments } => {
                    self.function(pipe.line, (*function, arguments), piped, dot)?
                }
            });
        }
        Ok(piped.unwrap_or(NIL))
    }

    fn function(
        &mut self,
        line: usize,
        (function, operands): (Function, &'v [Operand]),
        piped: Option<Cell<'v>>,
        dot: &Cell<'v>,
    ) -> Result<Cell<'v>, RenderError> {
        if let Function::And | Function::Or = function {
            return self.choose(line, (function, operands), piped, dot);
        }
        let mut arguments = Vec::with_capacity(operands.len() + 1);
        for operand in operands {
            self.step()?;
            arguments.push(self.operand(line, operand, dot)?);
        }
        arguments.extend(piped);
        let size: usize = arguments.iter().map(|argument| argument.as_text().map_or(16, str::len)).sum();
        // Charged before it is made: the longest escape is six times its character, fields of printf are bounded.
        self.charge(size)?;
        let values: Vec<&Value> = arguments.iter().map(|argument| &**argument).collect();
        match functions::call(function, &values).map_err(|message| misfit(line, message))? {
            functions::Answer::Value(value) => self.made(value),
            functions::Answer::Inside(path) => self.inside(arguments.into_iter().next(), &path),
        }
    }

    /// `and` and `or` stop at the argument that decides.
    fn choose(
        &mut self,
        line: usize,
        (function, operands): (Function, &'v [Operand]),
        piped: Option<Cell<'v>>,
        dot: &Cell<'v>,
    ) -> Result<Cell<'v>, RenderError> {
        let mut last = NIL;
        for operand in operands {
            self.step()?;
            last = self.operand(line, operand, dot)?;
            if last.is_true() == (function == Function::Or) {
                return Ok(last);
            }
        }
        Ok(piped.unwrap_or(last))
    }

    /// What `index` found, without copying what is only lent.
    fn inside(
        &mut self,
        container: Option<Cell<'v>>,
        path: &[functions::Key],
    ) -> Result<Cell<'v>, RenderError> {
        match container {
            Some(Cell::Lent(value)) => Ok(functions::follow(value, path).map_or(NIL, Cell::Lent)),
            Some(Cell::Made(value)) => self.copied(functions::follow(&value, path)),
            None => Ok(NIL),
        }
    }

    fn operand(
        &mut self,
        line: usize,
        operand: &'v Operand,
        dot: &Cell<'v>,
    ) -> Result<Cell<'v>, RenderError> {
        match operand {
            Operand::Dot => Ok(dot.clone()),
            Operand::Constant(value) => Ok(Cell::Lent(value)),
            Operand::Field(fields) => self.fields(line, dot.clone(), fields),
            Operand::Variable { name, fields } => {
                let found = self.variables.iter().skip(self.frame).rev().find(|(known, _)| known == name);
                let value = found.map_or(NIL, |(_, value)| value.clone());
                self.fields(line, value, fields)
            }
            Operand::Call(function) => self.function(line, (*function, &[]), None, dot),
            Operand::Group { pipe, fields } => {
                let value = self.pipe(pipe, dot)?;
                self.fields(line, value, fields)
            }
        }
    }

    fn fields(&mut self, line: usize, value: Cell<'v>, fields: &[String]) -> Result<Cell<'v>, RenderError> {
        let mut current = value;
        for field in fields {
            current = match &current {
                Cell::Lent(Value::Map(entries)) => entries.get(field).map_or(NIL, Cell::Lent),
                Cell::Made(made) if matches!(&**made, Value::Map(_)) => {
                    let entry = match &**made {
                        Value::Map(entries) => entries.get(field),
                        _ => None,
                    };
                    self.copied(entry)?
                }
                other if **other == Value::Nil => NIL,
                other => return Err(misfit(line, format!("{} has no field {field}", other.kind()))),
            };
        }
        Ok(current)
    }
}

const NIL: Cell<'static> = Cell::Lent(&Value::Nil);

fn misfit(line: usize, message: impl Into<String>) -> RenderError {
    RenderError::Misfit { line, message: message.into() }
}
