//! What words on a command line are, for commands that take files without the options that name them.

use std::path::Path;

use crate::defs::{self, Kind};
use crate::yaml::{self, Data};

/// Keys that stand at the top of the file of `--alpha-config` and of no other.
const ALPHA: [&str; 5] =
    ["injectRequestHeaders", "injectResponseHeaders", "metricsServer", "server", "upstreamConfig"];

/// The option (without dashes) that names files such as this, by the ending of its name and, for YAML, by the keys at
/// its top. `None` if the name does not tell.
pub fn recognised(name: &str, content: &str) -> Option<&'static str> {
    let ending = Path::new(name).extension()?.to_str()?.to_ascii_lowercase();
    match ending.as_str() {
        "toml" | "cfg" | "conf" => Some("config"),
        // What cannot be read is told by who reads it.
        "yaml" | "yml" => match yaml::parse(content).ok().as_deref().map(|node| &node.data) {
            Some(Data::Mapping(entries)) if entries.iter().any(|entry| ALPHA.contains(&&*entry.key)) => {
                Some("alpha-config")
            }
            _ => Some("doorward-config"),
        },
        _ => None,
    }
}

/// Whether the word after this one, which begins with a dash, is its value.
pub fn takes_next_word(word: &str) -> bool {
    let flag = word.strip_prefix("--").filter(|flag| !flag.contains('='));
    flag.and_then(defs::find).is_some_and(|def| def.kind != Kind::Bool)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_known_by_their_endings_and_keys() {
        for (name, content, expected) in [
            ("oauth2-proxy.cfg", "", Some("config")),
            ("a/b.TOML", "", Some("config")),
            ("x.yaml", "gateway:\n  routes: []\n", Some("doorward-config")),
            ("x.yml", "providers: []\nupstreamConfig: {}\n", Some("alpha-config")),
            ("x.yaml", "server: {bindAddress: x}\n", Some("alpha-config")),
            ("x.yaml", "providers: []\nupstreams: []\n", Some("doorward-config")),
            ("x.yaml", "- not: [a mapping", Some("doorward-config")),
            ("doorward", "", None),
            ("x.txt", "", None),
        ] {
            assert_eq!(recognised(name, content), expected, "{name}");
        }
    }

    #[test]
    fn values_are_told_from_files() {
        for (word, expected) in [
            ("--upstream", true),
            ("--upstream=x", false),
            ("--reverse-proxy", false),
            ("--nothing-of-the-kind", false),
            ("-h", false),
        ] {
            assert_eq!(takes_next_word(word), expected, "{word}");
        }
    }
}
