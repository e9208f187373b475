//! The parts of doorward.yaml that say what options say: providers, upstreams, listeners and headers as records, in the
//! words of the structured form; every other option under its own name, in the section of its group.

use doorward_core::Secret;
use serde_json::Value;

use super::print::{self, Printable as _, Printed};
use super::read::{Mapping, Readable, Reader};
use super::schema::{self, Described as _};
use super::{Header, Provider, Server, Structured, Upstream, UpstreamSet};
use crate::defs::{self, Group, Kind, OPTIONS, OptionDef, Options, Scope};
use crate::source::{Source, Sources};
use crate::value::Plain;
use crate::yaml::{Data, Entry, Node, Position};

/// The sections that hold options, with the groups that each holds. `listeners` and `headers` hold records besides.
pub(crate) const SECTIONS: [(&str, &[Group]); 13] = [
    ("program", &[Group::Program]),
    ("listeners", &[Group::Listeners]),
    ("proxies", &[Group::Hops]),
    ("login", &[Group::Provider, Group::Login, Group::OpenIdConnect, Group::Particular]),
    ("access", &[Group::Access, Group::Open]),
    ("cookies", &[Group::Cookies]),
    ("sessions", &[Group::Sessions]),
    ("proxying", &[Group::Upstreams]),
    ("headers", &[Group::Headers]),
    ("pages", &[Group::Pages]),
    ("logging", &[Group::Logging]),
    ("health", &[Group::Health]),
    ("compatibility", &[Group::Compatibility]),
];

/// The sections that hold nothing but options.
pub(crate) fn plain_sections() -> impl Iterator<Item = &'static str> {
    SECTIONS.iter().map(|(name, _)| *name).filter(|name| !["listeners", "headers"].contains(name))
}

/// The section that holds this option and its key there; none if its place is in a record, or on the command line.
pub(crate) fn place_of(def: &OptionDef) -> Option<(&'static str, &'static str)> {
    let key = def.key.filter(|_| def.scope == Scope::Core && def.flag != "doorward-config")?;
    let (section, _) = SECTIONS.iter().find(|(_, groups)| groups.contains(&def.group))?;
    Some((section, key))
}

/// Where the native form has what stands at `place` of the structured form.
pub(crate) fn native_place(place: &str) -> String {
    const RENAMED: [(&str, &str); 6] = [
        ("upstreamConfig.upstreams", "upstreams"),
        ("upstreamConfig.proxyRawPath", "proxyRawPath"),
        ("metricsServer", "listeners.metrics"),
        ("server", "listeners.main"),
        ("injectRequestHeaders", "headers.request"),
        ("injectResponseHeaders", "headers.response"),
    ];
    let renamed = RENAMED.iter().find_map(|(alpha, native)| {
        let rest = place.strip_prefix(alpha)?;
        (rest.is_empty() || rest.starts_with(['.', '['])).then(|| format!("{native}{rest}"))
    });
    renamed.unwrap_or_else(|| place.to_owned())
}

/// What options say, as far as it stands in the file.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Native {
    pub(super) providers: Option<Vec<Provider>>,
    pub(super) upstreams: Option<Vec<Upstream>>,
    pub(super) proxy_raw_path: Option<bool>,
    pub(super) listeners: Listeners,
    pub(super) headers: Headers,
    /// All sections but those two.
    pub(super) sections: Section,
}

/// An option in a section.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Said {
    pub(crate) flag: &'static str,
    pub(crate) at: Position,
    /// It may be a secret.
    pub(crate) value: Secret<Plain>,
}

/// The options of a section, or of several.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Section(Vec<Said>);

/// `listeners`.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Listeners {
    main: Option<Server>,
    metrics: Option<Server>,
    options: Section,
}

/// `headers`.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Headers {
    request: Option<Vec<Header>>,
    response: Option<Vec<Header>>,
    options: Section,
}

impl Native {
    /// The structured form, if the file has any part of it.
    pub(crate) fn structured(&self) -> Option<Structured> {
        let Self { providers, upstreams, proxy_raw_path, listeners, headers, .. } = self;
        let is_there = providers.is_some()
            || upstreams.is_some()
            || proxy_raw_path.is_some()
            || listeners.main.is_some()
            || listeners.metrics.is_some()
            || headers.request.is_some()
            || headers.response.is_some();
        is_there.then(|| Structured {
            inject_request_headers: headers.request.clone().unwrap_or_default(),
            inject_response_headers: headers.response.clone().unwrap_or_default(),
            metrics_server: listeners.metrics.clone().unwrap_or_default(),
            providers: providers.clone().unwrap_or_default(),
            server: listeners.main.clone().unwrap_or_default(),
            upstreams: UpstreamSet {
                proxy_raw_path: proxy_raw_path.unwrap_or_default(),
                upstreams: upstreams.clone().unwrap_or_default(),
            },
        })
    }

    /// The keys of the file's top, with what may stand there.
    pub(super) fn fields() -> Vec<(&'static str, Value)> {
        let with_options = |records: [(&'static str, Value); 2], section| {
            schema::record(records.into_iter().chain(schema::section(section)))
        };
        let headers = Vec::<Header>::schema;
        let mut fields = vec![
            ("providers", Vec::<Provider>::schema()),
            ("upstreams", Vec::<Upstream>::schema()),
            ("proxyRawPath", bool::schema()),
            (
                "listeners",
                with_options([("main", Server::schema()), ("metrics", Server::schema())], "listeners"),
            ),
            ("headers", with_options([("request", headers()), ("response", headers())], "headers")),
        ];
        fields.extend(schema::plain_sections());
        fields
    }

    /// Reads what it knows of the file's top.
    pub(super) fn read(&mut self, mapping: &mut Mapping<'_>, reader: &mut Reader<'_>) {
        mapping.field("providers", &mut self.providers, reader);
        mapping.field("upstreams", &mut self.upstreams, reader);
        mapping.field("proxyRawPath", &mut self.proxy_raw_path, reader);
        mapping.field("listeners", &mut self.listeners, reader);
        mapping.field("headers", &mut self.headers, reader);
        for section in plain_sections() {
            mapping.field(section, &mut self.sections, reader);
        }
    }

    /// What the file says of an option.
    pub(crate) fn said(&self, flag: &str) -> Option<&Said> {
        let all = [&self.sections, &self.listeners.options, &self.headers.options];
        all.into_iter().flat_map(|section| &section.0).find(|said| said.flag == flag)
    }
}

impl Readable for Section {
    fn read(&mut self, node: &Node, reader: &mut Reader<'_>) {
        if let Some(mapping) = reader.mapping(node) {
            self.take(mapping, reader);
        }
    }
}

impl Section {
    /// Reads what is left of a mapping. Its place names the section.
    fn take(&mut self, mapping: Mapping<'_>, reader: &mut Reader<'_>) {
        let section = reader.here().to_owned();
        let (entries, known) = mapping.into_rest();
        for Entry { key, at, value } in entries {
            let def = OPTIONS.iter().find(|def| {
                place_of(def).is_some_and(|(place, name)| place == section && name.eq_ignore_ascii_case(key))
            });
            let Some(def) = def else {
                reader.refuse_key(key, *at, &mend(key, &known));
                continue;
            };
            let step = format!(".{}", def.key.unwrap_or(def.flag));
            reader.below(&step, *at, |reader| {
                if self.0.iter().any(|earlier| earlier.flag == def.flag) {
                    reader.complain_here(*at, "the key stands here twice", "remove one of the two");
                }
                if def.group == Group::Access {
                    reader.refuse_lost(value);
                }
                // A key without a value says nothing.
                if matches!(value.data, Data::Null) {
                    return;
                }
                match plain(value) {
                    Some(value) => {
                        self.0.push(Said { flag: def.flag, at: *at, value: Secret::new(value) });
                    }
                    None => reader.wrong_type(value, "write a value, or a list of texts, each after a dash"),
                }
            });
        }
    }
}

/// How to mend a key that is none of its section.
fn mend(key: &str, known: &[&str]) -> String {
    let named = OPTIONS.iter().find(|def| def.key.is_some_and(|name| name.eq_ignore_ascii_case(key)));
    let named = named.or_else(|| defs::resembling(key));
    match named.map(|def| (def, place_of(def))) {
        Some((_, Some((section, key)))) => format!("write {key} under {section}"),
        Some((def, None)) => match super::path_of(def.flag) {
            Some(place) => format!("write it as {}", native_place(place)),
            None => format!("give it on the command line as --{}", def.flag),
        },
        None if known.is_empty() => "remove it, or correct it with the help of --help".to_owned(),
        None => {
            format!("write one of {} or the name of an option, or remove it", known.join(", "))
        }
    }
}

/// A scalar, or a list of scalars.
fn plain(node: &Node) -> Option<Plain> {
    match &node.data {
        Data::List(items) => {
            items.iter().map(|item| scalar(&item.data)).collect::<Option<Vec<_>>>().map(Plain::List)
        }
        data => scalar(data).map(Plain::One),
    }
}

fn scalar(data: &Data) -> Option<String> {
    match data {
        Data::Bool(value) => Some(value.to_string()),
        Data::Int(value) => Some(value.to_string()),
        Data::Text(text) => Some(text.clone()),
        Data::Null | Data::Float(_) | Data::List(_) | Data::Mapping(_) => None,
    }
}

impl Readable for Listeners {
    fn read(&mut self, node: &Node, reader: &mut Reader<'_>) {
        let Some(mut mapping) = reader.mapping(node) else { return };
        mapping.field("main", &mut self.main, reader);
        mapping.field("metrics", &mut self.metrics, reader);
        self.options.take(mapping, reader);
    }
}

impl Readable for Headers {
    fn read(&mut self, node: &Node, reader: &mut Reader<'_>) {
        let Some(mut mapping) = reader.mapping(node) else { return };
        mapping.field("request", &mut self.request, reader);
        mapping.field("response", &mut self.response, reader);
        self.options.take(mapping, reader);
    }
}

/// The native form of a configuration: doorward.yaml, with comments that say what became what. `structured` is what
/// the options of providers, upstreams, listeners and headers come to. Secrets from the environment stay there.
pub fn to_native(structured: &Structured, options: &Options, sources: &Sources) -> String {
    let mut text = String::from("# doorward.yaml, for --doorward-config.\n");
    let became = |def: &'static OptionDef| {
        let place = super::path_of(def.flag).filter(|_| sources.is_set(def.flag))?;
        Some(format!("#   {} was {} ({})\n", native_place(place), def.flag, sources.of(def.flag)))
    };
    let moved: String = OPTIONS.iter().filter_map(became).collect();
    if !moved.is_empty() {
        text.push_str("#\n");
        text.push_str(&moved);
    }
    let UpstreamSet { proxy_raw_path, upstreams } = &structured.upstreams;
    let mut sections: Vec<_> =
        SECTIONS.iter().map(|(section, _)| (*section, section_entries(section, options, sources))).collect();
    for (name, records) in [
        ("listeners", [("main", structured.server.print()), ("metrics", structured.metrics_server.print())]),
        (
            "headers",
            [
                ("request", structured.inject_request_headers.print()),
                ("response", structured.inject_response_headers.print()),
            ],
        ),
    ] {
        if let Some((_, entries)) = sections.iter_mut().find(|(section, _)| *section == name) {
            entries.splice(0..0, records);
        }
    }
    let records = [
        ("providers", structured.providers.print()),
        ("upstreams", upstreams.print()),
        ("proxyRawPath", if *proxy_raw_path { proxy_raw_path.print() } else { Printed::Nothing }),
    ];
    let sections = sections.into_iter().map(|(section, entries)| (section, print::mapping(entries)));
    text.push_str(&print::text(&print::mapping(records.into_iter().chain(sections).collect())));
    text
}

/// The options of a section that somebody wrote.
fn section_entries(section: &str, options: &Options, sources: &Sources) -> Vec<(&'static str, Printed)> {
    let entry = |def: &'static OptionDef| {
        let (_, key) = place_of(def).filter(|(place, _)| *place == section && sources.is_set(def.flag))?;
        let source = sources.of(def.flag);
        let value = match (source, def.kind) {
            (Source::Environment(name), Kind::Secret | Kind::SecretList) => {
                Printed::Scalar(format!("\"${{{name}}}\""))
            }
            _ => match defs::printed(options, def) {
                Printed::Nothing if matches!(def.kind, Kind::List | Kind::SecretList) => {
                    Printed::Scalar("[]".to_owned())
                }
                Printed::Nothing => Printed::Scalar("\"\"".to_owned()),
                printed => printed,
            },
        };
        Some((key, Printed::Commented(format!("was {} ({source})", def.flag), Box::new(value))))
    };
    OPTIONS.iter().filter_map(entry).collect()
}

#[cfg(test)]
mod tests;
