//! Restrictions that a request carries in its own query: `allowed_groups`, `allowed_emails`, `allowed_email_domains`
//! (reference: endpoints.md section 1), and `allowed_providers`. They only ever narrow; they never replace a login.

use doorward_core::{Identity, RuleId, redirect::HostPattern};

use crate::policy::{Denial, DenialReason};

/// What the query asks of an identity. Each present restriction must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Constraints {
    groups: AnyOf,
    emails: AnyOf,
    domains: AnyOf,
    providers: AnyOf,
}

impl Constraints {
    /// Reads a query as it came, without the `?`. Parameters may repeat and take lists with commas; empty items count
    /// for nothing. What is not well encoded is taken literally, so that it restricts rather than vanishes.
    pub fn from_query(query: &str, semicolons: Semicolons) -> Self {
        let mut found = Self::default();
        match semicolons {
            Semicolons::Literal => found.read(query),
            Semicolons::Separators => query.split(';').for_each(|part| found.read(part)),
        }
        found
    }

    fn read(&mut self, query: &str) {
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            match name.as_ref() {
                "allowed_groups" => self.groups.add(&value),
                "allowed_emails" => self.emails.add(&value),
                "allowed_email_domains" => self.domains.add(&value),
                "allowed_providers" => self.providers.add(&value),
                _ => (),
            }
        }
    }

    /// Groups and addresses match exactly. Domains follow the rules of `--whitelist-domain`: `example.com` is only
    /// itself; `.example.com` and `*.example.com` are the domain and all below it.
    pub fn check(&self, identity: &Identity) -> Result<(), Denial> {
        if !self.groups.allows(|group| identity.groups.iter().any(|own| own == group)) {
            return Err(refusal("allowed_groups"));
        }
        let domain = domain_of(&identity.email);
        if !self.domains.allows(|entry| domain.is_some_and(|domain| covers(entry, domain))) {
            return Err(refusal("allowed_email_domains"));
        }
        if !self.emails.allows(|email| email == identity.email) {
            return Err(refusal("allowed_emails"));
        }
        Ok(())
    }
}

impl Constraints {
    /// The same of the provider at which somebody signed in, by its id; `None` if it was at none. For questions of
    /// forward-auth proxies: elsewhere the name may be an application's.
    pub fn check_provider(&self, provider: Option<&str>) -> Result<(), Denial> {
        if self.providers.allows(|id| provider == Some(id)) {
            return Ok(());
        }
        Err(refusal("allowed_providers"))
    }
}

/// What a `;` in a query is (`--allow-query-semicolons`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Semicolons {
    /// Part of a value.
    Literal,
    /// Another way to write `&`.
    Separators,
}

/// A restriction to some values.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
enum AnyOf {
    #[default]
    Unrestricted,
    These(Vec<String>),
}

impl AnyOf {
    fn add(&mut self, list: &str) {
        for item in list.split(',').filter(|item| !item.is_empty()) {
            match self {
                Self::Unrestricted => *self = Self::These(vec![item.to_owned()]),
                Self::These(items) => items.push(item.to_owned()),
            }
        }
    }

    fn allows(&self, matches: impl Fn(&str) -> bool) -> bool {
        match self {
            Self::Unrestricted => true,
            Self::These(items) => items.iter().any(|item| matches(item)),
        }
    }
}

fn refusal(parameter: &str) -> Denial {
    Denial { reason: DenialReason::QueryConstraint, rule: RuleId::new(parameter) }
}

fn domain_of(email: &str) -> Option<&str> {
    email.split_once('@').map(|(_, domain)| domain).filter(|domain| !domain.contains('@'))
}

fn covers(entry: &str, domain: &str) -> bool {
    entry.parse::<HostPattern>().is_ok_and(|pattern| pattern.covers(domain, None))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(query: &str, expected: Result<(), &str>) {
        let identity = Identity {
            email: "alice@sub.example.com".to_owned(),
            groups: vec!["ops".to_owned(), "a;b".to_owned()],
            ..Identity::default()
        };
        let answer = Constraints::from_query(query, Semicolons::Literal).check(&identity);
        let rule = answer.map_err(|denial| denial.rule.to_string());
        assert_eq!(rule, expected.map_err(str::to_owned), "{query}");
    }

    #[test]
    fn each_present_restriction_must_hold() {
        check("", Ok(()));
        check("x=y&groups=admins", Ok(()));
        check("allowed_groups=ops", Ok(()));
        check("allowed_groups=admins,ops", Ok(()));
        check("allowed_groups=admins&allowed_groups=ops", Ok(()));
        check("allowed_groups=admins", Err("allowed_groups"));
        check("allowed_groups=op", Err("allowed_groups"));
        check("allowed_groups=OPS", Err("allowed_groups"));
        check("allowed%5fgroups=admins", Err("allowed_groups"));
        check("allowed_groups=%6fps", Ok(()));
        check("allowed_groups=", Ok(()));
        check("allowed_groups=,", Ok(()));
        check("allowed_groups=%zz", Err("allowed_groups"));
        check("allowed_groups=a;b", Ok(()));
        check("allowed_groups=admins;x", Err("allowed_groups"));
        check("allowed_emails=alice@sub.example.com", Ok(()));
        check("allowed_emails=bob@x,alice%40sub.example.com", Ok(()));
        check("allowed_emails=Alice@sub.example.com", Err("allowed_emails"));
        check("allowed_emails=*", Err("allowed_emails"));
        check("allowed_email_domains=*.example.com", Ok(()));
        check("allowed_email_domains=.example.com", Ok(()));
        check("allowed_email_domains=.sub.example.com", Ok(()));
        check("allowed_email_domains=sub.example.com", Ok(()));
        check("allowed_email_domains=SUB.example.com:*", Ok(()));
        check("allowed_email_domains=sub.example.com:80", Err("allowed_email_domains"));
        check("allowed_email_domains=example.com", Err("allowed_email_domains"));
        check("allowed_email_domains=.b.example.com", Err("allowed_email_domains"));
        check("allowed_email_domains=*", Err("allowed_email_domains"));
        check("allowed_groups=ops&allowed_emails=alice@sub.example.com", Ok(()));
        check("allowed_groups=ops&allowed_emails=bob@example.com", Err("allowed_emails"));
        check("allowed_groups=admins&allowed_emails=alice@sub.example.com", Err("allowed_groups"));
    }

    #[test]
    fn a_question_may_ask_for_providers() {
        for (query, provider, passes) in [
            ("", None, true),
            ("allowed_providers=staff", Some("staff"), true),
            ("allowed_providers=x,staff", Some("staff"), true),
            ("allowed_providers=staff", Some("Staff"), false),
            ("allowed_providers=staff", None, false),
            ("allowed_providers=", None, true),
        ] {
            let constraints = Constraints::from_query(query, Semicolons::Literal);
            assert_eq!(constraints.check_provider(provider).is_ok(), passes, "{query} {provider:?}");
            assert!(constraints.check(&Identity::default()).is_ok(), "{query}");
        }
    }

    #[test]
    fn an_identity_without_address_or_with_two_fulfils_no_domain() {
        for email in ["", "plain", "a@evil.example@example.com", "a@", "a@example.com\0", "a@example.com:*"] {
            let identity = Identity { email: email.to_owned(), ..Identity::default() };
            for query in ["allowed_email_domains=example.com", "allowed_emails=example.com"] {
                let constraints = Constraints::from_query(query, Semicolons::Literal);
                assert!(constraints.check(&identity).is_err(), "{email:?} {query}");
            }
        }
    }

    #[test]
    fn semicolons_separate_only_on_request() {
        let query = "x=1;allowed_groups=admins";
        assert_eq!(Constraints::from_query(query, Semicolons::Literal), Constraints::default());
        let separated = Constraints::from_query(query, Semicolons::Separators);
        assert!(separated.check(&Identity::default()).is_err());
    }
}
