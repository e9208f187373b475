//! Which e-mail addresses are allowed: domains, and a list kept in a file (reference: providers.md section 5).
//! Addresses that different readers could understand differently match no domain and no list.

use std::{collections::HashSet, fmt};

use crate::{
    legacy::WithoutAddress,
    policy::{DenialReason, Provenance, Who},
};

/// Who is allowed by e-mail address: somebody in an allowed domain, or on the list.
#[derive(Clone, Debug)]
pub struct EmailRule {
    domains: EmailDomains,
    listed: Option<EmailFile>,
    without_address: WithoutAddress,
}

impl EmailRule {
    /// Without a list, domains decide alone.
    pub const fn new(
        domains: EmailDomains,
        listed: Option<EmailFile>,
        without_address: WithoutAddress,
    ) -> Self {
        Self { domains, listed, without_address }
    }

    /// The rule for requests of somebody who is logged in. Users of a password file have no address and need none.
    pub(crate) fn check(&self, who: Who<'_>) -> Result<(), DenialReason> {
        if !who.identity.email.is_empty() {
            return self.check_address(&who.identity.email);
        }
        match (&self.domains, who.provenance) {
            (EmailDomains::Everybody, _) | (_, Provenance::PasswordFile) => Ok(()),
            (EmailDomains::Listed(_), Provenance::Provider | Provenance::Credential) => {
                Err(DenialReason::EmailMissing)
            }
        }
    }

    /// The rule for somebody who comes back from an identity provider: without an address nobody gets in, unless
    /// every address would do and the provider's users need none.
    pub(crate) fn check_at_login(&self, email: &str) -> Result<(), DenialReason> {
        if !email.is_empty() {
            return self.check_address(email);
        }
        match (&self.domains, self.without_address) {
            (EmailDomains::Everybody, WithoutAddress::Admitted) => Ok(()),
            (EmailDomains::Everybody, WithoutAddress::Refused) | (EmailDomains::Listed(_), _) => {
                Err(DenialReason::EmailMissing)
            }
        }
    }

    fn check_address(&self, email: &str) -> Result<(), DenialReason> {
        let EmailDomains::Listed(domains) = &self.domains else {
            return Ok(());
        };
        let Some(address) = Address::parse(email) else {
            return Err(DenialReason::EmailMalformed);
        };
        let in_domain = address.domain().is_some_and(|domain| domains.iter().any(|rule| rule.covers(domain)));
        if in_domain || self.listed.as_ref().is_some_and(|list| list.contains(&address)) {
            Ok(())
        } else {
            Err(DenialReason::EmailNotAllowed)
        }
    }
}

/// The allowed e-mail domains (`--email-domain`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EmailDomains {
    /// `*`: whatever the provider calls an address.
    Everybody,
    /// Any of these; none means that only the list decides.
    Listed(Vec<DomainRule>),
}

impl EmailDomains {
    /// Reads `*`, `example.com` (itself only), and `.example.com` or `*.example.com` (subdomains only). Entries that can
    /// match no address match none.
    pub fn parse(entries: &[String]) -> Self {
        let mut rules = Vec::with_capacity(entries.len());
        for entry in entries {
            let entry = fold_case(entry.trim());
            if entry == "*" {
                return Self::Everybody;
            }
            match entry.strip_prefix("*.").or_else(|| entry.strip_prefix('.')) {
                Some(parent) if !parent.is_empty() => rules.push(DomainRule::Below(format!(".{parent}"))),
                None if !entry.is_empty() => rules.push(DomainRule::Itself(entry)),
                _ => (),
            }
        }
        Self::Listed(rules)
    }
}

/// One allowed e-mail domain, in lower case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DomainRule {
    Itself(String),
    /// Subdomains of a domain; the text starts with a dot.
    Below(String),
}

impl DomainRule {
    /// `domain` is lower case and has no empty label.
    fn covers(&self, domain: &str) -> bool {
        match self {
            Self::Itself(listed) => listed == domain,
            Self::Below(suffix) => domain.ends_with(suffix.as_str()),
        }
    }
}

/// An address in lower case that every reader understands alike: at most one `@`, with text on both sides; no blanks,
/// no control characters; no empty labels in the domain.
struct Address(String);

impl Address {
    fn parse(email: &str) -> Option<Self> {
        if email.is_empty() || email.chars().any(|c| c.is_control() || c.is_whitespace()) {
            return None;
        }
        let address = Self(fold_case(email));
        if let Some((local, domain)) = address.0.split_once('@') {
            let clear = !domain.contains('@') && domain.split('.').all(|label| !label.is_empty());
            return (clear && !local.is_empty()).then_some(address);
        }
        Some(address)
    }

    fn domain(&self) -> Option<&str> {
        self.0.split_once('@').map(|(_, domain)| domain)
    }
}

/// The content of a file of allowed addresses (`--authenticated-emails-file`).
#[derive(Clone, Default, PartialEq, Eq)]
pub struct EmailFile(HashSet<String>);

impl EmailFile {
    /// One address per line: the first comma-separated column, in quotes or not; blanks around it and the case of its
    /// letters do not matter. Lines that start with `#` are comments.
    pub fn parse(text: &str) -> Self {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let lines = text.lines().map(str::trim).filter(|line| !line.starts_with('#'));
        Self(lines.map(first_column).filter(|address| !address.is_empty()).collect())
    }

    fn contains(&self, address: &Address) -> bool {
        self.0.contains(&address.0)
    }
}

impl fmt::Debug for EmailFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EmailFile({} addresses)", self.0.len())
    }
}

fn first_column(line: &str) -> String {
    let column = match line.strip_prefix('"') {
        Some(quoted) => quoted.split('"').next(),
        None => line.split(',').next(),
    };
    fold_case(column.unwrap_or_default().trim())
}

/// Lower case, except that no foreign letter becomes an ASCII one: the Kelvin sign must not pass for a `k`.
fn fold_case(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_ascii() || c.to_lowercase().any(|lower| lower.is_ascii()) {
            out.push(c.to_ascii_lowercase());
        } else {
            out.extend(c.to_lowercase());
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use doorward_core::Identity;

    use super::*;

    fn rule(domains: &[&str], listed: Option<&str>) -> EmailRule {
        let domains: Vec<String> = domains.iter().map(|&domain| domain.to_owned()).collect();
        EmailRule::new(EmailDomains::parse(&domains), listed.map(EmailFile::parse), WithoutAddress::Refused)
    }

    fn ask(rule: &EmailRule, email: &str, provenance: Provenance) -> Result<(), DenialReason> {
        let identity = Identity { user: "u".to_owned(), email: email.to_owned(), ..Identity::default() };
        rule.check(Who { identity: &identity, provenance, provider: None })
    }

    #[test]
    fn domains_match_as_a_whole_or_below_a_dot() {
        use DenialReason::{EmailMalformed, EmailNotAllowed};
        for (domain, email, expected) in [
            ("example.com", "a@example.com", Ok(())),
            ("example.com", "A@EXAMPLE.COM", Ok(())),
            ("EXAMPLE.com", "a@example.com", Ok(())),
            ("example.com", "a@example.org", Err(EmailNotAllowed)),
            ("example.com", "a@sub.example.com", Err(EmailNotAllowed)),
            ("example.com", "a@notexample.com", Err(EmailNotAllowed)),
            ("example.com", "example.com", Err(EmailNotAllowed)),
            ("example.com", "@example.com", Err(EmailMalformed)),
            ("example.com", "a@evil.com@example.com", Err(EmailMalformed)),
            ("example.com", "a@example.com@evil.com", Err(EmailMalformed)),
            ("example.com", "a@@example.com", Err(EmailMalformed)),
            ("example.com", "a@example.com.", Err(EmailMalformed)),
            ("example.com", "a@example.com\0.evil.com", Err(EmailMalformed)),
            ("example.com", "a@evil.com\0@example.com", Err(EmailMalformed)),
            ("example.com", "a @example.com", Err(EmailMalformed)),
            ("example.com", "a@example.com ", Err(EmailMalformed)),
            ("example.com", "a@example.com\n", Err(EmailMalformed)),
            ("example.com", "a\u{a0}@example.com", Err(EmailMalformed)),
            ("kexample.com", "a@\u{212a}example.com", Err(EmailNotAllowed)),
            ("example.com", "a@ex\u{430}mple.com", Err(EmailNotAllowed)),
            (".example.com", "a@sub.example.com", Ok(())),
            (".example.com", "a@x.y.example.com", Ok(())),
            (".example.com", "a@example.com", Err(EmailNotAllowed)),
            (".example.com", "a@badexample.com", Err(EmailNotAllowed)),
            (".example.com", "a@.example.com", Err(EmailMalformed)),
            ("*.example.com", "a@sub.example.com", Ok(())),
            ("*.example.com", "a@example.com", Err(EmailNotAllowed)),
            ("*", "a@whatever.test", Ok(())),
            ("*", "plain-user", Ok(())),
            ("*", "a@b@c", Ok(())),
            ("", "a@", Err(EmailMalformed)),
            (".", "a@b.c", Err(EmailNotAllowed)),
        ] {
            assert_eq!(
                ask(&rule(&[domain], None), email, Provenance::Provider),
                expected,
                "{email} in {domain}"
            );
        }
    }

    #[test]
    fn the_list_adds_to_the_domains() {
        let rule = rule(&["corp.test"], Some("guest@other.test\nplain-user\nbad@a@b\n"));
        for (email, expected) in [
            ("x@corp.test", Ok(())),
            ("Guest@Other.Test", Ok(())),
            ("plain-user", Ok(())),
            ("mallory@other.test", Err(DenialReason::EmailNotAllowed)),
            ("bad@a@b", Err(DenialReason::EmailMalformed)),
        ] {
            assert_eq!(ask(&rule, email, Provenance::Provider), expected, "{email}");
        }
    }

    #[test]
    fn a_missing_address_passes_only_where_none_can_be_asked_for() {
        for (domains, provenance, expected) in [
            (&["*"][..], Provenance::Provider, Ok(())),
            (&["*", "example.com"], Provenance::Provider, Ok(())),
            (&["example.com"], Provenance::Provider, Err(DenialReason::EmailMissing)),
            (&[], Provenance::Provider, Err(DenialReason::EmailMissing)),
            (&["example.com"], Provenance::PasswordFile, Ok(())),
        ] {
            let rule = rule(domains, None);
            assert_eq!(ask(&rule, "", provenance), expected, "{domains:?} {provenance:?}");
            assert_eq!(rule.check_at_login(""), Err(DenialReason::EmailMissing), "at login: {domains:?}");
            let own = EmailRule { without_address: WithoutAddress::Admitted, ..rule };
            assert_eq!(
                own.check_at_login("").is_ok(),
                domains.contains(&"*"),
                "own users at login: {domains:?}"
            );
        }
    }

    #[test]
    fn files_are_read_line_by_line() {
        let text = "\u{feff}# people\ncarol@example.com\r\n  Dave@Example.com  \n\n\"eve@example.com\",Eve,x\n\
                    frank@example.com,Frank\n  # gone@example.com\n,x\n\"\"\n";
        let file = EmailFile::parse(text);
        let mut found: Vec<&str> = file.0.iter().map(String::as_str).collect();
        found.sort_unstable();
        assert_eq!(found, ["carol@example.com", "dave@example.com", "eve@example.com", "frank@example.com"]);
    }
}
