//! The options of oauth2-proxy about who may pass, compiled into a [`Policy`] (reference: endpoints.md sections 1 and 6,
//! options-rules.md). Rules that open come first, then the one requirement that holds everywhere.

use doorward_core::{InvalidPattern, PathPattern, RuleId};

use crate::{
    anonymous::parse_anonymous_path,
    email::{EmailDomains, EmailFile, EmailRule},
    network::{InvalidNetwork, Networks},
    policy::{
        Access, ClientMatch, GroupRule, GroupRules, MethodMatch, PathMatch, Policy, Requirement, RouteMatch,
        RouteRule,
    },
};

/// The options, as written.
#[derive(Clone, Debug)]
pub struct Config {
    /// `--skip-auth-preflight`
    pub preflight: Preflight,
    /// `--skip-auth-regex`
    pub skip_auth_regex: Vec<String>,
    /// `--skip-auth-route`
    pub skip_auth_routes: Vec<String>,
    /// `--trusted-ip`
    pub trusted_ips: Vec<String>,
    /// `--email-domain`
    pub email_domains: Vec<String>,
    /// `--authenticated-emails-file`
    pub authenticated_emails: Option<EmailFile>,
    pub without_address: WithoutAddress,
    /// `--allowed-group`, and whatever else the provider's options turn into groups.
    pub allowed_groups: Vec<String>,
    /// The same of each provider, by their ids.
    pub groups_by_provider: Vec<(String, Vec<String>)>,
    /// `apiAuth.anonymous.paths`
    pub anonymous_paths: Vec<String>,
}

/// Whether somebody who logs in without an e-mail address may be let in where every address is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WithoutAddress {
    Refused,
    /// The provider is our own server, whose users need none.
    Admitted,
}

/// Whether `OPTIONS` requests need a login.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Preflight {
    NeedsLogin,
    Open,
}

impl Policy {
    /// Compiles the options. All mistakes are reported together.
    pub fn compile(config: Config) -> Result<Self, Vec<InvalidRule>> {
        let Config {
            preflight,
            skip_auth_regex,
            skip_auth_routes,
            trusted_ips,
            email_domains,
            authenticated_emails,
            without_address,
            allowed_groups,
            groups_by_provider,
            anonymous_paths,
        } = config;
        let mut rules = Vec::new();
        let mut faults = Vec::new();
        if preflight == Preflight::Open {
            rules.push(preflight_rule());
        }
        for (index, entry) in skip_auth_regex.iter().enumerate() {
            collect("skip-auth-regex", index, parse_skip_auth_regex(entry), &mut rules, &mut faults);
        }
        for (index, entry) in skip_auth_routes.iter().enumerate() {
            collect("skip-auth-route", index, parse_skip_auth_route(entry), &mut rules, &mut faults);
        }
        for (index, entry) in trusted_ips.iter().enumerate() {
            collect("trusted-ip", index, parse_trusted_ip(entry), &mut rules, &mut faults);
        }
        for (index, entry) in anonymous_paths.iter().enumerate() {
            collect("apiAuth.anonymous.paths", index, parse_anonymous_path(entry), &mut rules, &mut faults);
        }
        if !faults.is_empty() {
            return Err(faults);
        }
        let default = Requirement {
            id: RuleId::new("default"),
            emails: EmailRule::new(
                EmailDomains::parse(&email_domains),
                authenticated_emails,
                without_address,
            ),
            groups: GroupRules::new(
                GroupRule::any_of(allowed_groups),
                groups_by_provider.into_iter().map(|(id, groups)| (id, GroupRule::any_of(groups))).collect(),
            ),
        };
        Self::new(rules, default).map_err(|fault| {
            vec![InvalidRule { option: "skip-auth-route", index: 0, fault: RuleFault::Pattern(fault) }]
        })
    }
}

/// Reads one `--skip-auth-regex`: an expression for paths that everybody may reach with every method.
pub fn parse_skip_auth_regex(expression: &str) -> Result<(RouteMatch, Access), RuleFault> {
    let path = PathMatch::Found(PathPattern::parse(expression)?);
    Ok((RouteMatch { methods: MethodMatch::Any, path, client: ClientMatch::Any }, Access::Public))
}

/// Reads one `--skip-auth-route`: `expression`, `METHOD=expression`, `!=expression` or `METHOD!=expression`. As in the
/// reference, everything before the first `=` or `!=` is the method, and `!=` anywhere negates.
pub fn parse_skip_auth_route(entry: &str) -> Result<(RouteMatch, Access), RuleFault> {
    let (method, expression) = match entry.split_once('=') {
        Some((method, expression)) => (method.strip_suffix('!').unwrap_or(method), expression),
        None => ("", entry),
    };
    let pattern = PathPattern::parse(expression)?;
    let path = if entry.contains("!=") { PathMatch::Absent(pattern) } else { PathMatch::Found(pattern) };
    let methods = match method {
        "" => MethodMatch::Any,
        name => MethodMatch::Only(name.to_uppercase()),
    };
    Ok((RouteMatch { methods, path, client: ClientMatch::Any }, Access::Public))
}

/// Reads one `--trusted-ip`: an address or a CIDR range whose clients need no login.
pub fn parse_trusted_ip(entry: &str) -> Result<(RouteMatch, Access), RuleFault> {
    let client = ClientMatch::Within(Networks::parse(&[entry.to_owned()])?);
    Ok((RouteMatch { methods: MethodMatch::Any, path: PathMatch::Any, client }, Access::TrustedNetwork))
}

/// An entry of an option that makes no rule.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{option}[{index}]: {fault}")]
pub struct InvalidRule {
    /// The option's name on the command line.
    pub option: &'static str,
    /// Which entry of the option, counted from 0.
    pub index: usize,
    pub fault: RuleFault,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RuleFault {
    #[error(transparent)]
    Pattern(#[from] InvalidPattern),
    #[error(transparent)]
    Network(#[from] InvalidNetwork),
    #[error("it is no path: write a slash at its start, and /* at its end for all below it")]
    Path,
}

fn preflight_rule() -> RouteRule {
    RouteRule {
        id: RuleId::new("skip-auth-preflight"),
        matches: RouteMatch {
            methods: MethodMatch::Only("OPTIONS".to_owned()),
            path: PathMatch::Any,
            client: ClientMatch::Any,
        },
        access: Access::PublicPreflight,
    }
}

fn collect(
    option: &'static str,
    index: usize,
    parsed: Result<(RouteMatch, Access), RuleFault>,
    rules: &mut Vec<RouteRule>,
    faults: &mut Vec<InvalidRule>,
) {
    match parsed {
        Ok((matches, access)) => {
            rules.push(RouteRule { id: RuleId::new(&format!("{option}[{index}]")), matches, access });
        }
        Err(fault) => faults.push(InvalidRule { option, index, fault }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn routes_are_split_at_the_first_equals_sign() {
        for (entry, method, negated) in [
            ("^/api", None, false),
            ("GET=^/api", Some("GET"), false),
            ("post=^/hook", Some("POST"), false),
            ("!=^/admin", None, true),
            ("GET!=^/api", Some("GET"), true),
            ("=^/x", None, false),
            ("GET=^/a!=b", Some("GET"), true),
            ("^/x?a=b", Some("^/X?A"), false),
        ] {
            let (matches, access) = parse_skip_auth_route(entry).unwrap();
            let expected = method.map_or(MethodMatch::Any, |name| MethodMatch::Only(name.to_owned()));
            assert_eq!(matches.methods, expected, "{entry}");
            assert_eq!(matches!(matches.path, PathMatch::Absent(_)), negated, "{entry}");
            assert!(matches!(access, Access::Public), "{entry}");
        }
    }

    #[test]
    fn all_mistakes_are_reported_together() {
        let faults = Policy::compile(Config {
            preflight: Preflight::NeedsLogin,
            skip_auth_regex: vec!["^/ok".to_owned(), "(".to_owned()],
            skip_auth_routes: vec!["GET=(".to_owned()],
            trusted_ips: vec!["10.0.0.1/8".to_owned()],
            email_domains: vec![],
            authenticated_emails: None,
            without_address: WithoutAddress::Refused,
            allowed_groups: vec![],
            groups_by_provider: vec![],
            anonymous_paths: vec![],
        })
        .unwrap_err();
        let named: Vec<(&str, usize)> = faults.iter().map(|fault| (fault.option, fault.index)).collect();
        assert_eq!(named, [("skip-auth-regex", 1), ("skip-auth-route", 0), ("trusted-ip", 0)]);
        let text = faults.last().unwrap().to_string();
        assert!(text.starts_with("trusted-ip[0]: \"10.0.0.1/8\" could not be recognized"), "{text}");
    }
}
