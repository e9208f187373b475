//! The table of options as a manual page (`groff_man(7)`).

use std::fmt::Write as _;

use crate::defs::OPTIONS;
use crate::docs::{remarks, type_word};

/// `doorward(1)`.
pub fn man() -> String {
    let mut page = format!(
        ".TH DOORWARD 1 \"\" \"doorward {}\" \"User Commands\"\n\
         .SH NAME\n\
         doorward \\- logins in front of applications: a drop\\-in for oauth2\\-proxy\n\
         .SH SYNOPSIS\n\
         .B doorward\n\
         .RI [ flags ]\n\
         .br\n\
         .B doorward demo\n\
         .RI [ address ]\n\
         .br\n\
         .B doorward\n\
         .BR user | client | token | keys\n\
         .RI ...\n\
         .br\n\
         .B doorward check\n\
         .RI [ file ]...\n\
         .RI [ flags ]\n\
         .br\n\
         .B doorward convert\n\
         .RI [ flags ]\n\
         .br\n\
         .B doorward explain\n\
         .RI \\-\\-url=URL...\n\
         .br\n\
         .B doorward schema\n\
         .br\n\
         .B doorward completion\n\
         .BR bash | zsh | fish\n\
         .br\n\
         .B doorward man\n\
         .SH DESCRIPTION\n\
         doorward stands in front of applications: it finds out who is asking, decides whether they may, and either \
         carries the request to the application or answers for it.\n\
         .PP\n\
         A flag wins over its environment variable, which wins over the file that\n\
         .B \\-\\-config\n\
         names, which wins over that of\n\
         .BR \\-\\-doorward\\-config .\n\
         .SH OPTIONS\n",
        env!("CARGO_PKG_VERSION")
    );
    let mut group = None;
    for def in OPTIONS {
        if group != Some(def.group) {
            group = Some(def.group);
            let _ = writeln!(page, ".SS {}", escaped(def.group.title()));
        }
        let _ = write!(page, ".TP\n\\fB\\-\\-{}\\fR", escaped(def.flag));
        match type_word(def.kind) {
            "" => page.push('\n'),
            word => {
                let _ = writeln!(page, " \\fI{}\\fR", escaped(word));
            }
        }
        let _ = writeln!(page, "{}", escaped(&format!("{}{}", def.help, remarks(def))));
        if let Some(env) = def.env {
            let _ = writeln!(page, ".br\nEnvironment: {}", escaped(env));
        }
    }
    page.push_str(
        ".SH EXIT STATUS\n\
         0 after a stop that was asked for, 1 if the program cannot start or the configuration that it checks is not valid, 2 if the command line cannot be read.\n",
    );
    page
}

/// Text that stands for itself: no escape, no request at the beginning of a line, minus signs that can be copied.
fn escaped(text: &str) -> String {
    let mut out = String::new();
    if text.starts_with(['.', '\'']) {
        out.push_str("\\&");
    }
    for c in text.chars() {
        match c {
            '\\' => out.push_str("\\e"),
            '-' => out.push_str("\\-"),
            '\'' => out.push_str("\\(aq"),
            '`' => out.push_str("\\(ga"),
            '^' => out.push_str("\\(ha"),
            '~' => out.push_str("\\(ti"),
            _ => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_option_has_its_paragraph() {
        let page = man();
        for def in OPTIONS {
            let head = format!(".TP\n\\fB\\-\\-{}\\fR", def.flag.replace('-', "\\-"));
            let after = page.split_once(&head).map(|(_, after)| after);
            assert!(after.is_some_and(|after| after.starts_with(['\n', ' '])), "{}", def.flag);
        }
    }

    #[test]
    fn nothing_but_what_we_mean_is_a_request_or_an_escape() {
        const REQUESTS: &[&str] = &[".TH", ".SH", ".SS", ".TP", ".PP", ".B", ".BR", ".RI", ".br"];
        const ESCAPES: &[&str] = &["fB", "fI", "fR", "-", "e", "&", "(aq", "(ga", "(ha", "(ti"];
        for line in man().lines() {
            assert!(line.is_ascii() && !line.is_empty(), "{line}");
            if line.starts_with(['.', '\'']) {
                let request = line.split(' ').next().unwrap_or_default();
                assert!(REQUESTS.contains(&request), "{line}");
            }
            for rest in line.split('\\').skip(1) {
                assert!(ESCAPES.iter().any(|escape| rest.starts_with(escape)), "{line}");
            }
        }
        assert_eq!(escaped(".x \\ 'a-b'"), "\\&.x \\e \\(aqa\\-b\\(aq");
    }
}
