//! The table of options as text: `--help` and the reference page `docs/options.md`.

use std::fmt::Write;

use crate::defs::{Group, Kind, OPTIONS, OptionDef, Support};

/// The text of `--help`: all flags by purpose.
pub fn help() -> String {
    let mut text = String::from(
        "Usage: doorward [flags]\n\
         \x20      doorward demo [address]\n\
         \x20      doorward user|client|token|keys|session ...\n\
         \x20      doorward check [file] ... [flags]\n\
         \x20      doorward convert [flags]\n\
         \x20      doorward explain --url=URL [--as=USER] ... [flags]\n\
         \x20      doorward schema\n\
         \x20      doorward completion bash|zsh|fish\n\
         \x20      doorward man\n\n\
         A flag wins over its environment variable, which wins over the file that --config names,\n\
         which wins over that of --doorward-config.\n\
         Flags take two dashes. --help shows this text.\n",
    );
    let mut group = None;
    for def in OPTIONS {
        if group != Some(def.group) {
            group = Some(def.group);
            let _ = writeln!(text, "\n{}:", def.group.title());
        }
        // A blank always follows the name, so that tools find the end of it.
        let _ = write!(text, "  --{} {}", def.flag, type_word(def.kind));
        let _ = writeln!(text, "{}", def.env.map_or_else(String::new, |env| format!("  [{env}]")));
        let _ = writeln!(text, "      {}{}", def.help, remarks(def));
    }
    text
}

/// What a value looks like; nothing for flags that stand alone.
pub(crate) const fn type_word(kind: Kind) -> &'static str {
    match kind {
        Kind::Bool => "",
        Kind::BoolWord => "true|false",
        Kind::Int => "int",
        Kind::Duration | Kind::Interval => "duration",
        Kind::Text | Kind::Secret => "string",
        Kind::List | Kind::SecretList => "list",
    }
}

pub(crate) fn remarks(def: &OptionDef) -> String {
    let mut text = String::new();
    if let Some(note) = def.deprecated {
        let _ = write!(text, " Deprecated: {note}.");
    }
    if def.support == Support::Later {
        text.push_str(" Not implemented yet.");
    }
    if !is_plain(def) {
        let _ = write!(text, " (default {})", def.default);
    }
    text
}

/// Whether the default is what everybody expects: nothing, off, zero.
fn is_plain(def: &OptionDef) -> bool {
    matches!(def.default, "" | "false" | "0" | "0s")
}

/// The reference page of all options, in Markdown.
pub fn reference_markdown() -> String {
    let mut text = String::from(
        "<!-- Made from crates/doorward-options/src/defs.rs; do not edit. -->\n\
         # Options\n\n\
         Every option can be given as a flag, as an environment variable or in the TOML file named by `--config`.\n\
         A flag wins over the variable, the variable over the file, the file over the default.\n\n\
         | type | flag | environment | file |\n|---|---|---|---|\n\
         | bool | `--x`, `--x=false`; never the next word | true, false, 1, 0, t, f | the same, or a boolean |\n\
         | true or false | `--x=true` or `--x true` | as above | as above |\n\
         | int | `--x=5` or `--x 5` | 5 | 5 or \"5\" |\n\
         | duration | numbers with units: `1h30m`, `300ms`; only 0 needs no unit | the same | the same, in quotes |\n\
         | string | `--x=text` or `--x text` | the text | in quotes |\n\
         | list | repeat the flag, or separate by commas; double quotes protect a comma; `--x=` is the empty list \
         | separated by commas | a list, or one text separated by commas |\n\n\
         An empty variable counts as not set. Blanks around the items of a list are removed in variables and in the \
         file.\nKeys of the file may be written in any case; an unknown key stops the start.\n",
    );
    let mut group: Option<Group> = None;
    for def in OPTIONS {
        if group != Some(def.group) {
            group = Some(def.group);
            let _ = write!(
                text,
                "\n## {}\n\n| flag | environment | file | type | default | meaning |\n|---|---|---|---|---|---|\n",
                def.group.title()
            );
        }
        let _ = writeln!(text, "{}", row(def));
    }
    text
}

fn row(def: &OptionDef) -> String {
    let kind = match def.kind {
        Kind::Bool => "bool",
        Kind::BoolWord => "true or false",
        other => type_word(other),
    };
    let mut meaning = escaped(def.help);
    if let Some(former) = &def.former {
        let _ = write!(meaning, " Older names: `{}`, `{}`.", former.env, former.key);
    }
    if let Some(note) = def.deprecated {
        let _ = write!(meaning, " Deprecated: {note}.");
    }
    if def.support == Support::Later {
        meaning.push_str(" **Not implemented yet.**");
    }
    let code = |text: &str| if text.is_empty() { String::new() } else { format!("`{text}`") };
    format!(
        "| `--{}` | {} | {} | {kind} | {} | {meaning} |",
        def.flag,
        code(def.env.unwrap_or_default()),
        code(def.key.unwrap_or_default()),
        code(def.default),
    )
}

/// Plain text for a cell of a table.
fn escaped(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        if matches!(c, '|' | '*' | '_' | '<' | '\\' | '`') {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

#[cfg(test)]
mod tests;
