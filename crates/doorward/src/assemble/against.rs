//! What oauth2-proxy does and doorward does not, each with what it takes for a configuration to meet it, for
//! `doorward check --against oauth2-proxy`. docs/coming-from-oauth2-proxy.md has the same rows, with the tests that hold
//! them.

mod admission;
mod applications;
mod logins;
mod operation;
mod proxies;
mod requests;
mod sessions;

use doorward_options::{
    Options, Source, Sources,
    structured::{Provider, Structured, Upstream},
};

use super::{
    Form,
    differences::{Compat as _, FORWARDING_HEADERS_OF_STRANGERS, LOGIN_FOR_ANY_REQUEST},
};

/// One behaviour that differs. The texts are those of the documentation, with its backquotes.
#[derive(Debug)]
pub(crate) struct Difference {
    /// Stays the same for programs that read it.
    pub(crate) name: &'static str,
    /// What oauth2-proxy does.
    pub(crate) theirs: &'static str,
    /// What doorward does.
    pub(crate) ours: &'static str,
    /// What changes that; empty where nothing does.
    pub(crate) switch: &'static str,
    pub(crate) why: &'static str,
    met: fn(&Setup<'_>) -> bool,
}

/// All of them, by the headings of the documentation and in its order.
const ALL: [&[Difference]; 7] = [
    proxies::DIFFERENCES,
    requests::DIFFERENCES,
    admission::DIFFERENCES,
    logins::DIFFERENCES,
    sessions::DIFFERENCES,
    applications::DIFFERENCES,
    operation::DIFFERENCES,
];

/// A configuration, as far as it decides what differs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Setup<'a> {
    pub(crate) options: &'a Options,
    pub(crate) structured: &'a Structured,
    pub(crate) form: Form,
    pub(crate) sources: &'a Sources,
}

impl Setup<'_> {
    fn brings_back(&self, name: &str) -> bool {
        self.options.brings_back(name)
    }

    fn is_set(&self, option: &str) -> bool {
        self.sources.is_set(option)
    }

    fn is_structured(&self) -> bool {
        self.form == Form::Structured
    }

    /// Whether a length of time stands in a file.
    fn has_durations_in_file(&self) -> bool {
        const NAMES: [&str; 5] =
            ["cookie-expire", "cookie-refresh", "cookie-csrf-expire", "upstream-timeout", "flush-interval"];
        self.is_structured() || NAMES.iter().any(|name| matches!(self.sources.of(name), Source::File { .. }))
    }

    fn has_secret_files(&self) -> bool {
        !self.options.cookie_secret_file.is_empty()
            || self.structured.providers.iter().any(|provider| !provider.client_secret_file.is_empty())
    }

    fn is_behind_proxy(&self) -> bool {
        self.options.reverse_proxy
    }

    fn opens_paths(&self) -> bool {
        !self.options.skip_auth_routes.is_empty() || !self.options.skip_auth_regex.is_empty()
    }

    fn serves_tls(&self) -> bool {
        self.structured.server.tls.is_some()
    }

    fn listens_on_socket(&self) -> bool {
        self.structured.server.bind_address.starts_with("unix:")
    }

    fn has_metrics(&self) -> bool {
        let metrics = &self.structured.metrics_server;
        [&metrics.bind_address, &metrics.secure_bind_address]
            .iter()
            .any(|address| !address.is_empty() && *address != "-")
    }

    fn provider(&self) -> Option<&Provider> {
        self.structured.providers.first()
    }

    fn signs_in(&self) -> bool {
        self.provider().is_some_and(|provider| !provider.client_id.is_empty())
    }

    fn has_provider(&self, types: &[&str]) -> bool {
        self.provider().is_some_and(|provider| types.contains(&provider.provider.as_str()))
    }

    /// Whether the provider gives ID tokens.
    fn is_oidc(&self) -> bool {
        const OTHERS: [&str; 8] = [
            "bitbucket",
            "digitalocean",
            "facebook",
            "github",
            "keycloak",
            "linkedin",
            "nextcloud",
            "sourcehut",
        ];
        self.signs_in()
            && self.provider().is_some_and(|provider| !OTHERS.contains(&provider.provider.as_str()))
    }

    fn discovers(&self) -> bool {
        self.is_oidc()
            && self
                .provider()
                .is_some_and(|provider| !provider.oidc.issuer_url.is_empty() && !provider.oidc.skip_discovery)
    }

    fn has_own_authorities(&self) -> bool {
        self.structured.providers.iter().any(|provider| !provider.ca_files.is_empty())
    }

    fn restricts_groups(&self) -> bool {
        let lists = |provider: &Provider| {
            [
                &provider.allowed_groups,
                &provider.keycloak.groups,
                &provider.keycloak.roles,
                &provider.gitlab.group,
                &provider.google.group,
            ]
            .iter()
            .any(|list| !list.is_empty())
        };
        !self.options.allowed_roles.is_empty() || self.structured.providers.iter().any(lists)
    }

    fn restricts_domains(&self) -> bool {
        self.options.email_domains.iter().any(|domain| domain != "*")
    }

    fn has_passwords(&self) -> bool {
        !self.options.htpasswd_file.is_empty()
    }

    fn stores_sessions(&self) -> bool {
        self.options.session_store_type == "redis"
    }

    fn refreshes(&self) -> bool {
        !self.options.cookie_refresh.is_zero()
    }

    fn injects(&self) -> bool {
        let lists = [&self.structured.inject_request_headers, &self.structured.inject_response_headers];
        self.is_structured() && lists.iter().any(|list| !list.is_empty())
    }

    /// Whether applications or proxies in front get tokens of the provider.
    fn passes_tokens(&self) -> bool {
        let lists = [&self.structured.inject_request_headers, &self.structured.inject_response_headers];
        let mut sources = lists
            .into_iter()
            .flatten()
            .flat_map(|header| &header.values)
            .filter_map(|value| value.claim_source.as_ref());
        sources.any(|source| source.claim.ends_with("_token"))
    }

    fn upstreams(&self) -> impl Iterator<Item = &Upstream> {
        self.structured.upstreams.upstreams.iter()
    }

    /// Whether requests go on to applications.
    fn forwards(&self) -> bool {
        self.upstreams().any(|upstream| !upstream.is_static && !upstream.uri.starts_with("file:"))
    }

    fn verifies_upstreams(&self) -> bool {
        self.upstreams()
            .any(|upstream| upstream.uri.starts_with("https:") && !upstream.insecure_skip_tls_verify)
    }
}

/// Every difference that this configuration meets.
pub(crate) fn met(setup: &Setup<'_>) -> Vec<&'static Difference> {
    ALL.into_iter().flatten().filter(|difference| (difference.met)(setup)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = include_str!("../../../../docs/coming-from-oauth2-proxy.md");

    fn names(options: &Options) -> Vec<&'static str> {
        let (sources, structured) = (Sources::default(), Structured::default());
        let setup = Setup { options, structured: &structured, form: Form::Flat, sources: &sources };
        met(&setup).into_iter().map(|difference| difference.name).collect()
    }

    #[test]
    fn the_page_has_the_same_rows_in_the_same_order() {
        let headings = PAGE.split("## What is different").nth(1).unwrap();
        let tables = headings.split("## Bringing unsafe behaviour back").next().unwrap();
        let cells = |row: &str| row.split(" | ").take(4).collect::<Vec<_>>().join(" | ");
        let rows = tables.lines().filter_map(|line| line.strip_prefix("| ")).map(cells);
        let written: Vec<String> = rows.filter(|row| !row.starts_with("name |")).collect();
        let known =
            ALL.into_iter().flatten().map(|Difference { name, theirs, ours, switch, why, .. }| {
                let ours = if switch.is_empty() { (*ours).to_owned() } else { format!("{ours}; {switch}") };
                format!("{name} | {theirs} | {ours} | {why}")
            });
        assert_eq!(written, known.collect::<Vec<_>>());
    }

    #[test]
    fn names_are_plain_and_none_is_given_twice() {
        let mut names: Vec<&str> = ALL.into_iter().flatten().map(|difference| difference.name).collect();
        let is_plain = |name: &&str| {
            name.bytes().all(|byte| byte.is_ascii_lowercase() || matches!(byte, b'-' | b'0'..=b'9'))
        };
        assert!(names.iter().all(is_plain));
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count);
    }

    #[test]
    fn only_what_a_configuration_meets_is_told() {
        assert!(!names(&Options::defaults()).contains(&"proxies-trusted"));
        let behind = Options { reverse_proxy: true, ..Options::defaults() };
        let told = names(&behind);
        assert!(told.contains(&"proxies-trusted") && told.contains(&"strangers-forwarding-headers"));
        let compat = vec![FORWARDING_HEADERS_OF_STRANGERS.to_owned()];
        let back = Options { compat, trusted_proxy_ips: vec!["10.0.0.1".to_owned()], ..behind };
        let told = names(&back);
        assert!(told.contains(&"client-address"));
        assert!(!told.contains(&"proxies-trusted") && !told.contains(&"strangers-forwarding-headers"));
    }
}
