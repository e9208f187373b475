//! Judging an expression. Pure: it says which policy has to be asked next, hears the answer, and begins anew with what
//! is known. So each policy is asked once and only if the answer depends on it, and the order is that of the expression.
//!
//! There are three values. What cannot be judged is no part of a yes: `not` leaves it as it is, `all` ends with it, and `any`
//! holds only through another part.

use std::{fmt, sync::Arc, time::Duration};

use doorward_core::{Grounds, Permit, Principal, Timestamp};
use doorward_policy::{Decision, Policies, PolicyFault, PolicyIndex, Question, Verdict};
use serde_json::Value;

use super::{
    Route, StepUp,
    expression::{Expression, Wanted},
    ruling::{Denial, Effects, Fault, Grant, PolicyAnswer, Ruling, Unfulfilled, says_how},
};

/// A decision under way.
#[derive(Debug)]
pub struct Trial<'a> {
    route: &'a Route,
    who: &'a Principal,
    now: Timestamp,
    answers: Vec<(PolicyIndex, Result<Decision, PolicyFault>)>,
    trace: Trace,
}

/// How a trial goes on.
#[derive(Debug)]
pub enum Next {
    /// This policy has to be asked, and [`Trial::hear`] told what it said.
    Ask(PolicyIndex),
    Ruled(Ruling),
}

/// One condition that was judged, for explanations.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// How many other conditions it is inside of.
    pub depth: usize,
    pub what: String,
    pub truth: Truth,
    pub why: String,
}

/// The three values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Truth {
    Holds,
    Fails,
    Fault,
}

impl fmt::Display for Truth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Holds => "yes",
            Self::Fails => "no",
            Self::Fault => "cannot be judged",
        })
    }
}

/// Whether steps are kept.
#[derive(Debug)]
enum Trace {
    Off,
    On(Vec<Step>),
}

type Answers = [(PolicyIndex, Result<Decision, PolicyFault>)];

/// What one condition came to.
enum Outcome<'j> {
    Holds,
    Fails(Failure<'j>),
    /// The policy of this name gave no decision.
    Fault(&'j Arc<str>, &'j PolicyFault),
    /// This policy has to be asked first.
    Open(PolicyIndex),
}

/// Why a condition does not hold.
#[derive(Clone, Copy)]
struct Failure<'j> {
    condition: &'j Expression,
    scopes: Option<&'j Wanted>,
    denial: Option<(&'j Arc<str>, &'j Decision)>,
}

/// Reads an expression with the answers that are there.
struct Judge<'j, 't> {
    who: &'j Principal,
    answers: &'j Answers,
    /// The decisions on which it rests that the expression holds.
    granted: Vec<&'j Decision>,
    trace: &'t mut Trace,
}

impl<'a> Trial<'a> {
    pub(super) const fn new(route: &'a Route, who: &'a Principal, now: Timestamp) -> Self {
        Self { route, who, now, answers: Vec::new(), trace: Trace::Off }
    }

    /// Keeps the steps.
    #[must_use]
    pub fn traced(self) -> Self {
        Self { trace: Trace::On(Vec::new()), ..self }
    }

    /// Whose request it is.
    pub const fn who(&self) -> &'a Principal {
        self.who
    }

    /// What has been judged, in order; nothing unless the trial is [`Self::traced`].
    pub fn steps(&self) -> &[Step] {
        match &self.trace {
            Trace::Off => &[],
            Trace::On(steps) => steps,
        }
    }

    /// Asks all policies that are needed.
    pub async fn run(&mut self, policies: &Policies, question: &Question<'_>) -> Ruling {
        loop {
            match self.proceed() {
                Next::Ruled(ruling) => return ruling,
                Next::Ask(policy) => {
                    let answer = policies.ask(policy, question).await;
                    self.hear(policy, answer);
                }
            }
        }
    }

    /// What a policy said.
    pub fn hear(&mut self, policy: PolicyIndex, answer: Result<Decision, PolicyFault>) {
        self.answers.push((policy, answer));
    }

    /// Judges with what is known.
    pub fn proceed(&mut self) -> Next {
        let Self { route, who, now: _, answers, trace } = self;
        if let Trace::On(steps) = trace {
            steps.clear();
        }
        let mut judge = Judge { who, answers, granted: Vec::new(), trace };
        let ruling = match judge.judge(&route.authorize, 0) {
            Outcome::Open(policy) => return Next::Ask(policy),
            Outcome::Fault(policy, fault) => {
                Ruling::Fault(Fault { policy: Arc::clone(policy), fault: fault.clone() })
            }
            Outcome::Fails(failure) => Ruling::Deny(Box::new(failure.denial(who))),
            Outcome::Holds => {
                let mut effects = Effects::default();
                judge.granted.iter().for_each(|decision| effects.merge(decision));
                self.admit(effects)
            }
        };
        Next::Ruled(ruling)
    }

    /// Somebody who may pass: whether they signed in well enough, and to which upstream.
    fn admit(&mut self, effects: Effects) -> Ruling {
        let Self { route, who, now, answers: _, trace } = self;
        if let Some(step_up) = &route.step_up {
            let shortfall = step_up.shortfall(who, *now);
            trace.note(|| Step {
                depth: 0,
                what: step_up.to_string(),
                truth: if shortfall.is_some() { Truth::Fails } else { Truth::Holds },
                why: shortfall.unwrap_or_default().to_owned(),
            });
            if shortfall.is_some() {
                return Ruling::StepUp(step_up.clone());
            }
        }
        let Some(upstream) = choose(&route.upstreams, who, trace) else {
            let unfulfilled = Unfulfilled::Upstream;
            return Ruling::Deny(Box::new(Denial { unfulfilled, missing_scopes: Vec::new(), answer: None }));
        };
        let rule = route.id.clone();
        let grounds = if who.is_anonymous() { Grounds::Anonymous(rule) } else { Grounds::Route(rule) };
        Ruling::Permit(Box::new(Grant { permit: Permit::assertion(grounds), effects, upstream }))
    }
}

/// The first upstream that is for this sender.
fn choose(upstreams: &[Expression], who: &Principal, trace: &mut Trace) -> Option<usize> {
    if upstreams.is_empty() {
        return Some(0);
    }
    upstreams.iter().enumerate().position(|(place, when)| {
        let what = || format!("upstream {place}");
        let own = trace.begin(0, what);
        let mut judge = Judge { who, answers: &[], granted: Vec::new(), trace };
        let outcome = judge.judge(when, 1);
        trace.end(own, &outcome);
        matches!(outcome, Outcome::Holds)
    })
}

impl<'j> Judge<'j, '_> {
    fn judge(&mut self, expression: &'j Expression, depth: usize) -> Outcome<'j> {
        let own = self.trace.begin(depth, || expression.to_string());
        let before = self.granted.len();
        let outcome = match expression {
            Expression::All(parts) => self.judge_all(expression, parts, depth + 1),
            Expression::Any(parts) => self.judge_any(expression, parts, depth + 1),
            Expression::Not(part) => match self.judge(part, depth + 1) {
                Outcome::Holds => Outcome::fails(expression),
                Outcome::Fails(_) => {
                    self.granted.truncate(before);
                    Outcome::Holds
                }
                unjudged => unjudged,
            },
            Expression::Policy { name, index } => self.judge_policy(expression, name, *index),
            Expression::Scopes(wanted) => {
                if expression.holds_simply(self.who) {
                    Outcome::Holds
                } else {
                    let scopes = Some(wanted);
                    Outcome::Fails(Failure { condition: expression, scopes, denial: None })
                }
            }
            simple if simple.holds_simply(self.who) => Outcome::Holds,
            simple => Outcome::fails(simple),
        };
        if !matches!(outcome, Outcome::Holds) {
            self.granted.truncate(before);
        }
        self.trace.end(own, &outcome);
        outcome
    }

    /// Of nothing at all nobody fulfils anything; it is refused at the start.
    fn judge_all(&mut self, whole: &'j Expression, parts: &'j [Expression], depth: usize) -> Outcome<'j> {
        let mut last = Outcome::fails(whole);
        for part in parts {
            last = self.judge(part, depth);
            if !matches!(last, Outcome::Holds) {
                break;
            }
        }
        last
    }

    fn judge_any(&mut self, whole: &'j Expression, parts: &'j [Expression], depth: usize) -> Outcome<'j> {
        let mut failure = Failure { condition: whole, scopes: None, denial: None };
        let mut fault = None;
        for part in parts {
            match self.judge(part, depth) {
                Outcome::Fails(next) => {
                    failure.condition = next.condition;
                    failure.scopes = failure.scopes.or(next.scopes);
                    failure.denial =
                        failure.denial.filter(|(_, decision)| says_how(decision)).or(next.denial);
                }
                Outcome::Fault(policy, why) => {
                    fault.get_or_insert((policy, why));
                }
                decisive @ (Outcome::Holds | Outcome::Open(_)) => return decisive,
            }
        }
        match fault {
            Some((policy, why)) => Outcome::Fault(policy, why),
            None => Outcome::Fails(failure),
        }
    }

    fn judge_policy(
        &mut self,
        condition: &'j Expression,
        name: &'j Arc<str>,
        index: PolicyIndex,
    ) -> Outcome<'j> {
        let answers = self.answers;
        match answers.iter().find(|(policy, _)| *policy == index) {
            None => Outcome::Open(index),
            Some((_, Err(fault))) => Outcome::Fault(name, fault),
            Some((_, Ok(decision))) => match decision.verdict {
                Verdict::Allow => {
                    self.granted.push(decision);
                    Outcome::Holds
                }
                Verdict::Deny => {
                    Outcome::Fails(Failure { condition, scopes: None, denial: Some((name, decision)) })
                }
            },
        }
    }
}

impl<'j> Outcome<'j> {
    const fn fails(condition: &'j Expression) -> Self {
        Self::Fails(Failure { condition, scopes: None, denial: None })
    }

    const fn truth(&self) -> Truth {
        match self {
            Self::Holds => Truth::Holds,
            Self::Fails(_) => Truth::Fails,
            Self::Fault(..) | Self::Open(_) => Truth::Fault,
        }
    }

    fn why(&self) -> String {
        match self {
            Self::Holds => String::new(),
            Self::Fails(failure) => failure.unfulfilled().to_string(),
            Self::Fault(policy, fault) => format!("policy {policy}: {fault}"),
            Self::Open(_) => "a policy has to be asked first".to_owned(),
        }
    }
}

impl Failure<'_> {
    fn unfulfilled(&self) -> Unfulfilled {
        match self.condition {
            Expression::Scopes(_) => Unfulfilled::Scopes,
            Expression::Groups(_) => Unfulfilled::Groups,
            Expression::Users(_) => Unfulfilled::Users,
            Expression::Claim { path, .. } => Unfulfilled::Claim(path.clone()),
            Expression::Authenticator(_) => Unfulfilled::Authenticator,
            Expression::Policy { name, .. } => Unfulfilled::Policy(Arc::clone(name)),
            Expression::AnyoneKnown => Unfulfilled::Anonymous,
            Expression::All(_) | Expression::Any(_) | Expression::Not(_) | Expression::Public => {
                Unfulfilled::Excluded
            }
        }
    }

    fn denial(&self, who: &Principal) -> Denial {
        Denial {
            unfulfilled: self.unfulfilled(),
            missing_scopes: self.scopes.map(|wanted| wanted.missing(&who.scopes)).unwrap_or_default(),
            answer: self
                .denial
                .filter(|(_, decision)| says_how(decision))
                .map(|(policy, decision)| PolicyAnswer::new(policy, decision)),
        }
    }
}

impl Trace {
    /// Keeps a place for a step before those inside of it.
    fn begin(&mut self, depth: usize, what: impl FnOnce() -> String) -> usize {
        match self {
            Self::Off => 0,
            Self::On(steps) => {
                steps.push(Step { depth, what: what(), truth: Truth::Fault, why: String::new() });
                steps.len() - 1
            }
        }
    }

    fn end(&mut self, place: usize, outcome: &Outcome<'_>) {
        if let Self::On(steps) = self
            && let Some(step) = steps.get_mut(place)
        {
            step.truth = outcome.truth();
            step.why = outcome.why();
        }
    }

    fn note(&mut self, step: impl FnOnce() -> Step) {
        if let Self::On(steps) = self {
            steps.push(step());
        }
    }
}

/// How far the clock of an identity provider may be ahead of ours.
const LEEWAY: Duration = Duration::from_mins(5);

impl StepUp {
    /// What is missing.
    fn shortfall(&self, who: &Principal, now: Timestamp) -> Option<&'static str> {
        let acr = who.claim("acr").and_then(Value::as_str);
        if !self.acr.is_empty() && !acr.is_some_and(|own| self.acr.iter().any(|wanted| wanted == own)) {
            return Some("the claim acr is none of these");
        }
        let max_age = self.max_age?;
        let Some(signed_in) = who.claim("auth_time").and_then(Value::as_i64).map(Timestamp::from_seconds)
        else {
            return Some("the claim auth_time is missing");
        };
        if now.saturating_add(LEEWAY) < signed_in {
            return Some("the claim auth_time is in the future");
        }
        if max_age < now.truncated().since(signed_in) { Some("the sign-in is too long ago") } else { None }
    }
}

impl fmt::Display for StepUp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("signed in")?;
        if !self.acr.is_empty() {
            write!(f, " with acr {}", self.acr.join(" or "))?;
        }
        match self.max_age {
            Some(age) => write!(f, " within {} s", age.as_secs()),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests;
