//! The ordered list of rules, and the decision it yields.
//!
//! First match wins. Rules that open are decided without looking at who asks; only what needs an identity asks for one.
//! Where a path can be read in several ways, the strictest of the resulting verdicts counts.

mod explain;

use std::fmt;

use doorward_core::{
    ClientIp, Grounds, Identity, InvalidPattern, PathPattern, PathPatterns, Permit, RequestFacts, RuleId,
    Target,
};
use http::Method;

use crate::{
    email::EmailRule,
    network::Networks,
    readings::{Readings, readings},
};

pub use self::explain::{Reading, RuleFit};

/// All rules of one configuration.
#[derive(Clone, Debug)]
pub struct Policy {
    /// In order: the first that matches decides.
    rules: Vec<RouteRule>,
    /// The expressions of all rules that want one to be found in the path, and the places of these rules.
    patterns: PathPatterns,
    with_pattern: Vec<usize>,
    /// The places of all other rules.
    without_pattern: Vec<usize>,
    /// What is asked where no rule matches, and of everybody at login.
    default: Requirement,
}

impl Policy {
    /// `rules` in order: the first that matches decides. `default` is asked where none does, and of everybody at login.
    ///
    /// # Errors
    /// None is expected: the expressions of the rules have been compiled.
    pub fn new(rules: Vec<RouteRule>, default: Requirement) -> Result<Self, InvalidPattern> {
        let mut patterns = Vec::new();
        let (mut with_pattern, mut without_pattern) = (Vec::new(), Vec::new());
        for (place, rule) in rules.iter().enumerate() {
            if let PathMatch::Found(pattern) = &rule.matches.path {
                patterns.push(pattern);
                with_pattern.push(place);
            } else {
                without_pattern.push(place);
            }
        }
        let patterns = PathPatterns::new(patterns.into_iter())?;
        Ok(Self { rules, patterns, with_pattern, without_pattern, default })
    }

    /// Decides on a request. `judged` says which target is looked at; `who` is what authentication found out.
    pub fn decide(&self, facts: &RequestFacts, judged: Judged, who: Attempt<'_>) -> Verdict {
        let (target, question) = Question::about(facts, judged, who);
        let finding = match readings(target) {
            Readings::One(path) => self.find(&question, path),
            Readings::Several(paths) => {
                let findings = paths.iter().map(|path| self.find(&question, path));
                findings.reduce(Finding::stricter).unwrap_or(Finding::Login)
            }
            Readings::Unclear => self.find_without_path(&question),
        };
        match finding {
            Finding::Pass(grounds) => Verdict::Permit(permit(grounds)),
            Finding::Login => Verdict::Login,
            Finding::Refuse(denial) => Verdict::Deny(denial),
        }
    }

    /// Whether somebody who just came back from an identity provider may have a session at all.
    /// `provider` is the id of that provider, where there are several.
    pub fn check_at_login(&self, identity: &Identity, provider: Option<&str>) -> Result<(), Denial> {
        self.default.check_at_login(identity, provider)
    }

    /// The rules that open every path but some. They open nothing for a question that does not say which request it
    /// is about ([`Judged::Original`] without `X-Forwarded-Uri` of a trusted proxy): worth a notice at the start
    /// where such questions are to be expected.
    pub fn rules_that_need_the_original(&self) -> impl Iterator<Item = &RuleId> {
        self.rules.iter().filter(|rule| rule.opens_by_absence()).map(|rule| &rule.id)
    }

    fn find(&self, question: &Question<'_>, path: &str) -> Finding {
        let found =
            self.patterns.found_in(path).filter_map(|pattern| self.with_pattern.get(pattern).copied());
        let found = self.first(found, |rule| rule.matches.holds(question));
        let other = self.first(self.without_pattern.iter().copied(), |rule| {
            rule.matches.holds(question) && rule.matches.path.holds(path) && question.may_be_met_by(rule)
        });
        let first = found.into_iter().chain(other).min_by_key(|(place, _)| *place);
        first.map_or_else(|| self.default.find(question.who), |(_, rule)| rule.find(question.who))
    }

    /// The first of the rules at `places` that holds, and its place.
    fn first(
        &self,
        mut places: impl Iterator<Item = usize>,
        holds: impl Fn(&RouteRule) -> bool,
    ) -> Option<(usize, &RouteRule)> {
        places.find_map(|place| self.rules.get(place).filter(|rule| holds(rule)).map(|rule| (place, rule)))
    }

    /// The path is unknowable: rules that would open it are passed over, and every rule that could demand something does.
    fn find_without_path(&self, question: &Question<'_>) -> Finding {
        let who = question.who;
        let mut strictest = None;
        for rule in self.rules.iter().filter(|rule| rule.matches.holds(question)) {
            let certain = matches!(rule.matches.path, PathMatch::Any);
            if certain || matches!(rule.access, Access::Require(_)) {
                strictest = Some(rule.find(who).stricter_than(strictest));
            }
            if certain {
                return strictest.unwrap_or(Finding::Login);
            }
        }
        self.default.find(who).stricter_than(strictest)
    }
}

/// Which of a request's targets is judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Judged {
    /// What the request itself asks for. The only choice for requests that are carried on.
    Own,
    /// What a trusted proxy asks about (`X-Forwarded-Uri`), for questions that are answered and never carried on. If it
    /// does not say, the path of the question counts for rules that open by an expression found in it, and for no others.
    Original,
}

/// A request to decide on, all but its path.
struct Question<'a> {
    method: &'a Method,
    client: ClientIp,
    subject: Subject,
    who: Attempt<'a>,
}

impl<'a> Question<'a> {
    /// The target that is looked at, and what is asked about it.
    fn about(facts: &'a RequestFacts, judged: Judged, who: Attempt<'a>) -> (&'a Target, Self) {
        let (target, subject) = match (judged, &facts.original) {
            (Judged::Own, _) => (&facts.target, Subject::Itself),
            (Judged::Original, Some(original)) => (original, Subject::Itself),
            (Judged::Original, None) => (&facts.target, Subject::Unnamed),
        };
        let method = match judged {
            Judged::Own => &facts.method,
            Judged::Original => facts.judged_method(),
        };
        (target, Self { method, client: facts.client, subject, who })
    }

    /// That the path of a question misses an expression says nothing about the request the question is about.
    fn may_be_met_by(&self, rule: &RouteRule) -> bool {
        self.subject == Subject::Itself || !rule.opens_by_absence()
    }
}

/// Whose path is judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Subject {
    /// That of the very request the verdict is about.
    Itself,
    /// The verdict is about a request nobody named; the path is that of the question.
    Unnamed,
}

/// What authentication found out.
#[derive(Clone, Copy, Debug)]
pub enum Attempt<'a> {
    /// No credential came.
    NotPresented,
    /// One came and is worth nothing, or nobody can tell what it is worth.
    Refused,
    /// No credential came, and requests may be anonymous everywhere. They pass where somebody without an address, in no
    /// group but that of anonymous requests, would.
    Anonymous,
    Accepted(Who<'a>),
}

/// Somebody whose credential was accepted.
#[derive(Clone, Copy, Debug)]
pub struct Who<'a> {
    pub identity: &'a Identity,
    pub provenance: Provenance,
    /// The id of the provider that vouches, where there are several: its groups are names of its own.
    pub provider: Option<&'a str>,
}

impl<'a> Who<'a> {
    const fn anonymous(identity: &'a Identity) -> Self {
        Self { identity, provenance: Provenance::Credential, provider: None }
    }
}

/// Who vouches for an identity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Provenance {
    /// An identity provider, at login or by a token.
    Provider,
    /// Our own password file, which knows no e-mail addresses.
    PasswordFile,
    /// A credential of an API request: a certificate, a token, or the word of a proxy in front.
    Credential,
}

/// The answer to a request.
#[derive(Debug)]
pub enum Verdict {
    Permit(Permit),
    /// Somebody has to log in first.
    Login,
    Deny(Denial),
}

/// Why somebody known may not pass, for logs.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason} (rule {rule})")]
pub struct Denial {
    pub reason: DenialReason,
    pub rule: RuleId,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DenialReason {
    EmailMissing,
    /// The address has several readings, so that no domain or list can vouch for it.
    EmailMalformed,
    EmailNotAllowed,
    GroupMissing,
    /// The query of the request asks for more (see [`crate::Constraints`]).
    QueryConstraint,
}

impl fmt::Display for DenialReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::EmailMissing => "the identity has no e-mail address",
            Self::EmailMalformed => "the e-mail address is malformed",
            Self::EmailNotAllowed => "the e-mail address is not allowed",
            Self::GroupMissing => "no allowed group",
            Self::QueryConstraint => "a restriction in the query does not hold",
        })
    }
}

/// Some requests, and what is asked of them.
#[derive(Clone, Debug)]
pub struct RouteRule {
    pub id: RuleId,
    pub matches: RouteMatch,
    pub access: Access,
}

impl RouteRule {
    const fn opens_by_absence(&self) -> bool {
        matches!(self.matches.path, PathMatch::Absent(_)) && !matches!(self.access, Access::Require(_))
    }

    fn find(&self, who: Attempt<'_>) -> Finding {
        match &self.access {
            Access::Public => Finding::Pass(Grounds::PublicRoute(self.id.clone())),
            Access::PublicPreflight => Finding::Pass(Grounds::Preflight),
            Access::TrustedNetwork => Finding::Pass(Grounds::TrustedNetwork(self.id.clone())),
            Access::Anonymous => match who {
                Attempt::NotPresented | Attempt::Anonymous => {
                    Finding::Pass(Grounds::Anonymous(self.id.clone()))
                }
                Attempt::Accepted(_) => Finding::Pass(Grounds::Rule(self.id.clone())),
                Attempt::Refused => Finding::Login,
            },
            Access::Require(requirement) => requirement.find(who),
        }
    }
}

/// Which requests a rule is about: all conditions must hold.
#[derive(Clone, Debug)]
pub struct RouteMatch {
    pub methods: MethodMatch,
    pub path: PathMatch,
    pub client: ClientMatch,
}

impl RouteMatch {
    /// All conditions but the path.
    fn holds(&self, question: &Question<'_>) -> bool {
        self.methods.holds(question.method)
            && match &self.client {
                ClientMatch::Any => true,
                ClientMatch::Within(networks) => {
                    question.client.known().is_some_and(|address| networks.contains(address))
                }
            }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MethodMatch {
    Any,
    /// Exactly this method. It may be a text that no method can be; then it matches nothing.
    Only(String),
}

impl MethodMatch {
    fn holds(&self, method: &Method) -> bool {
        match self {
            Self::Any => true,
            Self::Only(name) => name == method.as_str(),
        }
    }
}

/// A condition on the decoded path, without query and fragment.
#[derive(Clone, Debug)]
pub enum PathMatch {
    Any,
    /// The expression is found in the path.
    Found(PathPattern),
    /// The expression is not found in the path.
    Absent(PathPattern),
    /// The path is this one.
    Exactly(String),
    /// The path begins with this text, which ends with a slash.
    Below(String),
}

impl PathMatch {
    fn holds(&self, path: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Found(pattern) => pattern.is_match(path),
            Self::Absent(pattern) => !pattern.is_match(path),
            Self::Exactly(whole) => path == whole,
            Self::Below(start) => path.starts_with(start.as_str()),
        }
    }
}

/// A condition on the client's address. An unknown address is within no network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClientMatch {
    Any,
    Within(Networks),
}

/// What a rule asks.
#[derive(Clone, Debug)]
pub enum Access {
    Public,
    PublicPreflight,
    TrustedNetwork,
    /// Whoever says who they are, truly, and whoever does not. Those whose credential is bad do not pass.
    Anonymous,
    Require(Requirement),
}

/// What is asked of an identity. All parts must hold.
#[derive(Clone, Debug)]
pub struct Requirement {
    pub id: RuleId,
    pub emails: EmailRule,
    pub groups: GroupRules,
}

impl Requirement {
    /// Whether somebody who is logged in may pass.
    pub fn check(&self, who: Who<'_>) -> Result<(), Denial> {
        self.emails
            .check(who)
            .and_then(|()| self.groups.check(who.identity, who.provider))
            .map_err(|reason| self.denial(reason))
    }

    /// Like [`Self::check`], but somebody without an e-mail address always fails.
    pub fn check_at_login(&self, identity: &Identity, provider: Option<&str>) -> Result<(), Denial> {
        let email = self.emails.check_at_login(&identity.email);
        email.and_then(|()| self.groups.check(identity, provider)).map_err(|reason| self.denial(reason))
    }

    fn denial(&self, reason: DenialReason) -> Denial {
        Denial { reason, rule: self.id.clone() }
    }

    fn find(&self, who: Attempt<'_>) -> Finding {
        match who {
            Attempt::Anonymous if self.check(Who::anonymous(&Identity::anonymous())).is_ok() => {
                Finding::Pass(Grounds::Anonymous(self.id.clone()))
            }
            Attempt::NotPresented | Attempt::Refused | Attempt::Anonymous => Finding::Login,
            Attempt::Accepted(who) => match self.check(who) {
                Ok(()) => Finding::Pass(Grounds::Rule(self.id.clone())),
                Err(denial) => Finding::Refuse(denial),
            },
        }
    }
}

/// Which groups are asked for, of those that each provider vouches for. A group is known by its provider: another that uses
/// the same name says nothing about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupRules {
    usual: GroupRule,
    by_provider: Vec<(String, GroupRule)>,
}

impl GroupRules {
    /// `usual` is for those of whom no provider is named, `by_provider` for those of the provider with this id.
    pub const fn new(usual: GroupRule, by_provider: Vec<(String, GroupRule)>) -> Self {
        Self { usual, by_provider }
    }

    /// Providers that are not known vouch for nobody.
    fn check(&self, identity: &Identity, provider: Option<&str>) -> Result<(), DenialReason> {
        let Some(provider) = provider else { return self.usual.check(identity) };
        let rule = self.by_provider.iter().find(|(id, _)| id == provider);
        rule.map_or(Err(DenialReason::GroupMissing), |(_, rule)| rule.check(identity))
    }
}

impl From<GroupRule> for GroupRules {
    fn from(usual: GroupRule) -> Self {
        Self::new(usual, Vec::new())
    }
}

/// Which groups are asked for. Names match exactly.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GroupRule {
    Unrestricted,
    AnyOf(Vec<String>),
}

impl GroupRule {
    /// No names mean no restriction, as for `--allowed-group`.
    pub fn any_of(names: Vec<String>) -> Self {
        if names.is_empty() { Self::Unrestricted } else { Self::AnyOf(names) }
    }

    fn check(&self, identity: &Identity) -> Result<(), DenialReason> {
        match self {
            Self::Unrestricted => Ok(()),
            Self::AnyOf(names) if identity.groups.iter().any(|own| names.contains(own)) => Ok(()),
            Self::AnyOf(_) => Err(DenialReason::GroupMissing),
        }
    }
}

/// A verdict before it becomes one.
#[derive(Debug)]
enum Finding {
    Pass(Grounds),
    Login,
    Refuse(Denial),
}

impl Finding {
    const fn strictness(&self) -> u8 {
        match self {
            Self::Pass(_) => 0,
            Self::Login => 1,
            Self::Refuse(_) => 2,
        }
    }

    /// The stricter of two; the earlier if both are alike.
    fn stricter(self, other: Self) -> Self {
        if self.strictness() < other.strictness() { other } else { self }
    }

    fn stricter_than(self, earlier: Option<Self>) -> Self {
        match earlier {
            Some(earlier) => earlier.stricter(self),
            None => self,
        }
    }
}

/// The only place where a permit is made.
const fn permit(grounds: Grounds) -> Permit {
    Permit::assertion(grounds)
}

#[cfg(test)]
mod tests;
