//! The command line by the rules of pflag: `--flag=value`, `--flag value`, bare `--bool`; no short flags; words
//! that are no flags are ignored; `--` ends the flags. Values are collected here and read later.

use std::collections::BTreeMap;
use std::ffi::OsString;

use crate::defs::{self, Kind, OPTIONS, OptionDef};

/// What the command line holds.
#[derive(Default)]
pub(crate) struct CommandLine {
    /// The values of each flag, in the order written.
    values: BTreeMap<&'static str, Vec<String>>,
    /// Whether help is asked for.
    pub(crate) help: bool,
    /// What does not parse, one line each.
    pub(crate) problems: Vec<String>,
    /// Sentences about words that are ignored. The words themselves are not shown: they may be secrets.
    pub(crate) ignored: Vec<String>,
}

impl CommandLine {
    /// The values of this flag; empty when it is not given.
    pub(crate) fn values(&self, flag: &str) -> &[String] {
        self.values.get(flag).map_or(&[], Vec::as_slice)
    }

    fn push(&mut self, def: &OptionDef, value: &str) {
        self.values.entry(def.flag).or_default().push(value.to_owned());
    }
}

/// Reads all arguments (without the name of the program), past every problem.
pub(crate) fn parse(args: &[OsString]) -> CommandLine {
    let mut line = CommandLine::default();
    let mut words = args.iter();
    let mut before = "the name of the program".to_owned();
    while let Some(word) = words.next() {
        let Some(word) = word.to_str() else {
            line.problems.push("an argument is not valid UTF-8".to_owned());
            continue;
        };
        if word == "--" {
            break;
        }
        if let Some(flag) = word.strip_prefix("--") {
            long(&mut line, flag, || words.next());
            before = format!("--{}", flag.split('=').next().unwrap_or_default());
        } else if let Some(flag) = word.strip_prefix('-') {
            short(&mut line, flag);
        } else {
            let sentence =
                format!("a word after {before} is no flag and is ignored; values of switches need =");
            line.ignored.push(sentence);
        }
    }
    line
}

fn long<'a>(line: &mut CommandLine, flag: &str, next_word: impl FnOnce() -> Option<&'a OsString>) {
    let (name, value) = flag.split_once('=').map_or((flag, None), |(name, value)| (name, Some(value)));
    if name.is_empty() || name.starts_with('-') {
        line.problems.push(format!("bad flag syntax: --{name}"));
        return;
    }
    let Some(def) = OPTIONS.iter().find(|def| def.flag == name) else {
        match name {
            "help" => line.help = true,
            _ => line.problems.push(format!("unknown flag: --{}{}", name.escape_debug(), suggestion(name))),
        }
        return;
    };
    match (value, def.kind) {
        (Some(value), _) => line.push(def, value),
        (None, Kind::Bool) => line.push(def, "true"),
        (None, _) => match next_word().map(|word| word.to_str()) {
            Some(Some(value)) => line.push(def, value),
            Some(None) => line.problems.push(format!("the argument of --{name} is not valid UTF-8")),
            None => line.problems.push(format!("flag needs an argument: --{name}")),
        },
    }
}

/// A word with one dash. There are no short flags except for help; a dash alone is an ordinary word.
fn short(line: &mut CommandLine, flag: &str) {
    let Some(first) = flag.chars().next() else { return };
    if first == 'h' {
        line.help = true;
        return;
    }
    let name = flag.split_once('=').map_or(flag, |(name, _)| name);
    // What follows the name may be a secret: it is repeated only where it cannot be one.
    let shown = match defs::resembling(name).map(|def| def.kind) {
        Some(Kind::Secret | Kind::SecretList) | None => name,
        Some(_) => flag,
    };
    line.problems.push(format!(
        "unknown shorthand flag: '{}' in -{}{}",
        first.escape_debug(),
        shown.escape_debug(),
        suggestion(name)
    ));
}

fn suggestion(name: &str) -> String {
    defs::resembling(name).map_or_else(String::new, |def| format!(" (did you mean --{}?)", def.flag))
}
