//! The table of options for shells: scripts that complete words and flags.

use std::fmt::Write as _;

use crate::defs::{Kind, OPTIONS, OptionDef, Support};

/// The first words that are no flags, and what they are for.
pub(crate) const WORDS: &[(&str, &str)] = &[
    ("check", "Say what is wrong or risky about a configuration"),
    ("client", "Make a secret for a client of the built-in server"),
    ("completion", "Print a completion script: bash, zsh or fish"),
    ("convert", "Print a configuration as doorward.yaml"),
    ("demo", "Try it out: an application and a password, on one machine"),
    ("explain", "Print every step of a decision"),
    ("keys", "Rotate the keys of the built-in server"),
    ("man", "Print the manual page"),
    ("schema", "Print the JSON Schema of doorward.yaml, for editors"),
    ("token", "List and revoke tokens of the built-in server"),
    ("user", "Add, list, change and remove users of the built-in server"),
];

const HELP: (&str, &str) = ("help", "Show all flags");

/// A shell that can complete.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shell {
    Bash,
    Zsh,
    Fish,
}

impl Shell {
    /// Reads the name of a shell.
    pub fn parse(name: &str) -> Option<Self> {
        match name {
            "bash" => Some(Self::Bash),
            "zsh" => Some(Self::Zsh),
            "fish" => Some(Self::Fish),
            _ => None,
        }
    }
}

/// The script that makes a shell complete `doorward`.
pub fn completion(shell: Shell) -> String {
    match shell {
        Shell::Bash => bash(),
        Shell::Zsh => zsh(),
        Shell::Fish => fish(),
    }
}

/// What is worth offering: what works and has no better successor.
fn offered() -> impl Iterator<Item = &'static OptionDef> {
    OPTIONS.iter().filter(|def| def.support == Support::Implemented && def.deprecated.is_none())
}

/// The first sentence of the help.
fn summary(help: &str) -> &str {
    help.split(". ").next().unwrap_or(help).trim_end_matches('.')
}

fn words() -> String {
    WORDS.iter().map(|(word, _)| *word).collect::<Vec<_>>().join(" ")
}

/// What has no match is completed as a file name.
fn bash() -> String {
    let mut text = String::from(
        "# Completion for doorward. Use it with: source <(doorward completion bash)\n\
         _doorward() {\n\
         \x20   local word=${COMP_WORDS[COMP_CWORD]} offered=\"\"\n\
         \x20   if [[ $word == -* ]]; then\n\
         \x20       offered=\"--help",
    );
    for def in offered() {
        let _ = write!(text, " --{}", def.flag);
    }
    let _ = write!(
        text,
        "\"\n\
         \x20   elif [[ $COMP_CWORD == 1 ]]; then\n\
         \x20       offered=\"{}\"\n\
         \x20   elif [[ $COMP_CWORD == 2 && ${{COMP_WORDS[1]}} == completion ]]; then\n\
         \x20       offered=\"bash zsh fish\"\n\
         \x20   fi\n\
         \x20   COMPREPLY=($(compgen -W \"$offered\" -- \"$word\"))\n\
         }}\n\
         complete -o default -F _doorward doorward\n",
        words()
    );
    text
}

fn zsh() -> String {
    // Within a description brackets and colons end it; the whole stands in single quotes.
    let escaped = |text: &str| {
        let mut out = String::new();
        for c in text.chars() {
            match c {
                '[' | ']' | ':' | '\\' => out.extend(['\\', c]),
                '\'' => out.push_str("'\\''"),
                _ => out.push(c),
            }
        }
        out
    };
    let mut text = format!(
        "#compdef doorward\n\
         # Completion for doorward. Use it with: source <(doorward completion zsh)\n\
         _doorward() {{\n\
         \x20   if [[ $CURRENT == 3 && $words[2] == completion ]]; then\n\
         \x20       compadd bash zsh fish\n\
         \x20       return\n\
         \x20   fi\n\
         \x20   _arguments \\\n\
         \x20       '1:word:({})' \\\n\
         \x20       '--{}[{}]'",
        words(),
        HELP.0,
        HELP.1
    );
    for def in offered() {
        let summary = escaped(summary(def.help));
        let (several, value) = match def.kind {
            Kind::Bool => ("", ""),
            Kind::BoolWord => ("", ":value:(true false)"),
            Kind::Int => ("", ":number:"),
            Kind::Duration | Kind::Interval => ("", ":duration:"),
            Kind::Text => ("", ":text:_files"),
            Kind::Secret => ("", ":secret:"),
            Kind::List => ("*", ":item:_files"),
            Kind::SecretList => ("*", ":secret:"),
        };
        let equals = if value.is_empty() { "" } else { "=" };
        let _ = write!(text, " \\\n        '{several}--{}{equals}[{summary}]{value}'", def.flag);
    }
    text.push_str(
        "\n}\n\
         if [[ $funcstack[1] == _doorward ]]; then\n\
         \x20   _doorward \"$@\"\n\
         else\n\
         \x20   compdef _doorward doorward\n\
         fi\n",
    );
    text
}

fn fish() -> String {
    let quoted = |text: &str| format!("'{}'", text.replace('\\', "\\\\").replace('\'', "\\'"));
    let mut text = String::from(
        "# Completion for doorward. Use it with: doorward completion fish | source\n\
         complete -c doorward -n '__fish_seen_subcommand_from completion' -f -a 'bash zsh fish'\n",
    );
    for (word, summary) in WORDS {
        let summary = quoted(summary);
        let _ = writeln!(text, "complete -c doorward -n __fish_use_subcommand -f -a {word} -d {summary}");
    }
    let _ = writeln!(text, "complete -c doorward -l {} -d {}", HELP.0, quoted(HELP.1));
    for def in offered() {
        let value = match def.kind {
            Kind::Bool => "",
            Kind::BoolWord => " -x -a 'true false'",
            Kind::Text | Kind::List => " -r",
            Kind::Int | Kind::Duration | Kind::Interval | Kind::Secret | Kind::SecretList => " -x",
        };
        let _ =
            writeln!(text, "complete -c doorward -l {}{value} -d {}", def.flag, quoted(summary(def.help)));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shell_offers_every_flag_that_works() {
        for (shell, before) in [(Shell::Bash, " --"), (Shell::Zsh, "--"), (Shell::Fish, "-l ")] {
            let script = completion(shell);
            for def in OPTIONS {
                let is_there = script.lines().any(|line| {
                    line.split(&format!("{before}{}", def.flag))
                        .skip(1)
                        .any(|rest| !rest.starts_with(|c: char| c == '-' || c.is_ascii_alphanumeric()))
                });
                let wanted = def.support == Support::Implemented && def.deprecated.is_none();
                assert_eq!(is_there, wanted, "{shell:?} {}", def.flag);
            }
            assert!(script.contains("demo") && script.contains("bash zsh fish"), "{shell:?}");
        }
    }

    #[test]
    fn quotes_are_closed_on_every_line() {
        for line in fish().lines().filter(|line| !line.starts_with('#')) {
            assert_eq!(line.replace("\\'", "").matches('\'').count() % 2, 0, "{line}");
        }
        for line in zsh().lines().filter(|line| line.trim_start().starts_with(['\'', '*'])) {
            let line = line.trim_start().trim_end_matches(" \\").replace("'\\''", "");
            let inner = line.strip_prefix('\'').and_then(|line| line.strip_suffix('\''));
            assert!(inner.is_some_and(|inner| !inner.contains('\'')), "{line}");
        }
    }
}
