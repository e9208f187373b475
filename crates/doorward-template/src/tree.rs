//! What a parsed template is made of. Data only: `parse` builds it, `plan` reads it.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::value::Value;

/// A fault found before anything was rendered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) line: usize,
    pub(crate) message: String,
}

impl Fault {
    pub(crate) fn new(line: usize, message: impl Into<String>) -> Self {
        Self { line, message: message.into() }
    }
}

/// All bodies of one source: what stands outside of `define`, and the named ones.
#[derive(Debug, Default)]
pub(crate) struct Source {
    pub(crate) main: Body,
    pub(crate) defined: BTreeMap<String, Body>,
}

pub(crate) type Body = Vec<Node>;

#[derive(Debug, Clone)]
pub(crate) enum Node {
    Literal { line: usize, text: String },
    Action { line: usize, pipe: Arc<Pipe> },
    Branch { line: usize, kind: BranchKind, arms: Vec<Arm>, otherwise: Body },
    Range { line: usize, pipe: Arc<Pipe>, body: Body, otherwise: Body },
    Call { line: usize, name: String, argument: Option<Arc<Pipe>> },
    Break { line: usize },
    Continue { line: usize },
}

/// One condition of an `if … else if …` chain, and what runs when it holds.
#[derive(Debug, Clone)]
pub(crate) struct Arm {
    pub(crate) pipe: Arc<Pipe>,
    pub(crate) body: Body,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BranchKind {
    If,
    /// Like `If`, and the value becomes the dot.
    With,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Pipe {
    pub(crate) line: usize,
    pub(crate) store: Store,
    pub(crate) commands: Vec<Command>,
}

/// Where the value of a pipeline goes besides to its reader.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Store {
    Nowhere,
    Declare(Vec<String>),
    Assign(Vec<String>),
}

/// One stage of a pipeline.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Command {
    Operand(Operand),
    Call { function: Function, arguments: Vec<Operand> },
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Operand {
    Dot,
    Constant(Value),
    Field(Vec<String>),
    Variable { name: String, fields: Vec<String> },
    Call(Function),
    Group { pipe: Box<Pipe>, fields: Vec<String> },
}

/// The functions a template may call: Go's own and the two oauth2-proxy adds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Function {
    And,
    Or,
    Not,
    Len,
    Index,
    Slice,
    Print,
    Printf,
    Println,
    Html,
    Js,
    UrlQuery,
    Eq,
    Ne,
    Lt,
    Le,
    Gt,
    Ge,
    ToUpper,
    ToLower,
}

impl Function {
    pub(crate) fn parse(name: &str) -> Option<Self> {
        ALL.iter().copied().find(|function| function.name() == name)
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::And => "and",
            Self::Or => "or",
            Self::Not => "not",
            Self::Len => "len",
            Self::Index => "index",
            Self::Slice => "slice",
            Self::Print => "print",
            Self::Printf => "printf",
            Self::Println => "println",
            Self::Html => "html",
            Self::Js => "js",
            Self::UrlQuery => "urlquery",
            Self::Eq => "eq",
            Self::Ne => "ne",
            Self::Lt => "lt",
            Self::Le => "le",
            Self::Gt => "gt",
            Self::Ge => "ge",
            Self::ToUpper => "ToUpper",
            Self::ToLower => "ToLower",
        }
    }

    /// The fewest and the most arguments, the piped one included.
    pub(crate) fn arity(self) -> (usize, usize) {
        match self {
            Self::Not | Self::Len | Self::ToUpper | Self::ToLower => (1, 1),
            Self::Ne | Self::Lt | Self::Le | Self::Gt | Self::Ge => (2, 2),
            Self::Eq => (2, usize::MAX),
            Self::Slice => (1, 4),
            Self::And | Self::Or | Self::Index | Self::Printf => (1, usize::MAX),
            Self::Print | Self::Println | Self::Html | Self::Js | Self::UrlQuery => (0, usize::MAX),
        }
    }
}

const ALL: [Function; 20] = [
    Function::And,
    Function::Or,
    Function::Not,
    Function::Len,
    Function::Index,
    Function::Slice,
    Function::Print,
    Function::Printf,
    Function::Println,
    Function::Html,
    Function::Js,
    Function::UrlQuery,
    Function::Eq,
    Function::Ne,
    Function::Lt,
    Function::Le,
    Function::Gt,
    Function::Ge,
    Function::ToUpper,
    Function::ToLower,
];
