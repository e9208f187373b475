//! How a decision came about, for explanations: which rule matched first, and why the others did not.

use doorward_core::{RequestFacts, RuleId};

use super::{Attempt, Judged, Policy, Question, RouteRule};
use crate::readings::{Readings, readings};

/// The rules that were looked at for one reading of the path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reading {
    /// As rules see it; `None` where nobody can tell how the path will be read, so that no rule opens it by the path.
    pub path: Option<String>,
    /// In order, up to the first that holds; the default requirement has none.
    pub rules: Vec<(RuleId, RuleFit)>,
}

/// How a request fits a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RuleFit {
    Holds,
    Method,
    Client,
    Path,
    /// The request in question was not named, and the rule opens by what a path lacks.
    Unnamed,
}

impl std::fmt::Display for RuleFit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Holds => "yes",
            Self::Method => "no: another method",
            Self::Client => "no: another client address",
            Self::Path => "no: another path",
            Self::Unnamed => "no: nobody said which request the question is about",
        })
    }
}

impl Policy {
    /// What [`Self::decide`] looked at, for each way in which the path can be read. The strictest result counts.
    pub fn explain(&self, facts: &RequestFacts, judged: Judged) -> Vec<Reading> {
        let (target, question) = Question::about(facts, judged, Attempt::NotPresented);
        match readings(target) {
            Readings::One(path) => vec![self.reading(&question, path)],
            Readings::Several(paths) => paths.iter().map(|path| self.reading(&question, path)).collect(),
            Readings::Unclear => vec![Reading { path: None, rules: Vec::new() }],
        }
    }

    fn reading(&self, question: &Question<'_>, path: &str) -> Reading {
        let mut rules = Vec::new();
        for rule in &self.rules {
            let fit = question.fit(rule, path);
            rules.push((rule.id.clone(), fit));
            if fit == RuleFit::Holds {
                break;
            }
        }
        Reading { path: Some(path.to_owned()), rules }
    }

    /// What is asked where no rule matches.
    pub const fn default_rule(&self) -> &RuleId {
        &self.default.id
    }
}

impl Question<'_> {
    fn fit(&self, rule: &RouteRule, path: &str) -> RuleFit {
        if !rule.matches.methods.holds(self.method) {
            return RuleFit::Method;
        }
        if !rule.matches.holds(self) {
            return RuleFit::Client;
        }
        if !rule.matches.path.holds(path) {
            return RuleFit::Path;
        }
        if self.may_be_met_by(rule) { RuleFit::Holds } else { RuleFit::Unnamed }
    }
}
