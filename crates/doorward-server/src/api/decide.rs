//! Who sends an API request, and may they? The same two steps as in `handle`, with what `apiAuth` and the tokens of the
//! built-in server add: credentials before sessions, acting as somebody else, anonymous requests, and refusals that
//! programs understand.

use std::sync::Arc;

use doorward_authn::{
    chain::{Authenticated, Authenticator, Naming, Outcome, Presented, Rejection},
    x509::{self, Shown},
};
use doorward_authz::{Attempt, Denial, Judged, Provenance, Verdict};
use doorward_core::{Grounds, Identity, Permit, Timestamp, UserInfo, request::Hop};
use doorward_session::Session;
use doorward_template::words::Language;

use crate::{
    api::{Anonymous, ApiAuth, failure, failure::Refusal, identity::Caller, impersonation},
    authenticate::{self, Freshness, Known, Standing, Visitor, without_tokens},
    explain::{self, Explanation, Outcome as Explained, Reason, Shortfall},
    gate::Gate,
    handle::{Decided, Decision, constrained, explanation},
    ingress::Arrival,
    record::Record,
};

/// A request to decide on.
#[derive(Clone, Copy)]
pub(crate) struct Case<'a> {
    pub(crate) gate: &'a Arc<Gate>,
    pub(crate) api: &'a ApiAuth,
    pub(crate) arrival: &'a Arrival,
}

const TWO_HEADERS: &str = "there is more than one Authorization header";

impl Case<'_> {
    /// Authenticate, then authorise.
    pub(crate) async fn decide(&self, judged: Judged, record: &mut Record) -> Decided {
        let Self { gate, api, arrival } = *self;
        let mut visitor = Box::pin(self.authenticate(judged)).await;
        let mut set_cookies = std::mem::take(&mut visitor.set_cookies);
        let decided = |decision, set_cookies| Decided { decision, set_cookies };
        match visitor.standing {
            Standing::Malformed => return decided(self.malformed(record), set_cookies),
            Standing::Forbidden => {
                gate.explain_forbidden(arrival, record, &visitor.shortfall);
                return decided(Decision::Forbidden, set_cookies);
            }
            _ => {}
        }
        if let Err(refusal) = self.act_as_asked(&mut visitor, record) {
            return decided(Decision::Refused(refusal), set_cookies);
        }
        if let Some(session) = visitor.session() {
            record.identify(session);
        }
        let attempt = match (&visitor.standing, api.anonymous) {
            (Standing::Nobody, Anonymous::Everywhere) => Attempt::Anonymous,
            _ => visitor.attempt(),
        };
        let decision = match gate.access.policy.decide(&arrival.facts, judged, attempt) {
            Verdict::Permit(permit) => self.permitted(permit, judged, visitor, record),
            Verdict::Login => {
                if matches!(visitor.standing, Standing::Nobody)
                    && set_cookies.is_empty()
                    && gate.sessions.keeper.always_clears()
                {
                    set_cookies = Box::pin(authenticate::clear(gate, arrival)).await;
                }
                self.turned_away(&visitor, record)
            }
            Verdict::Deny(denial) => {
                if visitor.is_of_session() {
                    set_cookies.extend(Box::pin(authenticate::clear(gate, arrival)).await);
                }
                self.denied(denial, &visitor, record)
            }
        };
        decided(decision, set_cookies)
    }

    /// The chain, then passwords and sessions. A session is believed also after a bad credential: it is one of the union.
    async fn authenticate(&self, judged: Judged) -> Visitor {
        let Self { gate, api, arrival } = *self;
        let freshness = Freshness::Renewed(judged);
        let (standing, rejections) = match self.ask_chain().await {
            Outcome::User(found) => return visitor_of(*found, arrival.now),
            Outcome::Repeated => return Visitor::without(Standing::Malformed, Shortfall::NoSession),
            Outcome::NoOpinion => {
                // A password may be a signed token (`bearer.rs`).
                let visitor = authenticate::authenticate(gate, arrival, freshness).await;
                return rejected_if_refused(described(visitor, api.chain.naming));
            }
            Outcome::Refused(rejections) => (Standing::Rejected, rejections),
            Outcome::Unavailable(rejections) => (Standing::Unknown, rejections),
        };
        let shortfall = Shortfall::Credentials(rejections);
        let visitor = without_tokens(gate, arrival, freshness, Shortfall::NoSession).await;
        match visitor.standing {
            Standing::Known(_) => described(visitor, api.chain.naming),
            // A bad credential is bad, whether or not there is a session that nobody can read now.
            _ => Visitor { standing, shortfall, ..visitor },
        }
    }

    async fn ask_chain(&self) -> Outcome {
        let Self { gate, api, arrival } = *self;
        let certificates = api.certificates(arrival);
        let presented = Presented {
            certificates: certificates.as_deref(),
            of_connection: arrival.connection.certificates.as_deref(),
            headers: arrival.headers(),
            jwt: gate.sign_in.bearer.as_ref().map(|bearer| &bearer.tokens),
            now: arrival.now,
        };
        api.chain.attempt(&presented).await
    }

    /// Puts whom the visitor wants to act as in their place.
    fn act_as_asked(&self, visitor: &mut Visitor, record: &mut Record) -> Result<(), Refusal> {
        if !impersonation::is_asked(self.arrival.headers()) {
            return Ok(());
        }
        let Some(caller) = &visitor.caller else { return Ok(()) };
        let target = self.target(caller, record)?;
        let caller = Caller { acting: Some(caller.user.name.clone()), user: target, ..(**caller).clone() };
        let message = "A request acts as somebody else.";
        let explained = Explanation::new(Explained::Permit, Reason::SignedIn, message);
        self.gate.explain(self.arrival, record, explained.because(&caller.words()));
        let identity = Identity::from(caller.user.clone());
        let session = Session { created_at: Some(self.arrival.now), identity, ..Session::default() };
        *visitor = Visitor {
            key: visitor.key.take(),
            caller: Some(Box::new(caller)),
            ..Visitor::known(Arc::new(session), Provenance::Credential)
        };
        Ok(())
    }

    fn target(&self, caller: &Caller, record: &mut Record) -> Result<UserInfo, Refusal> {
        let Self { gate, api, arrival } = *self;
        api.impersonation.target(&caller.user, arrival.headers()).map_err(|why| {
            let message = "A request to act as somebody else was refused.";
            let detail = format!("{}: {why}", caller.words());
            let explained = Explanation::new(Explained::Deny, Reason::ImpersonationRefused, message);
            gate.explain(arrival, record, explained.because(&detail));
            match why {
                impersonation::ImpersonationRefusal::Malformed => {
                    Refusal::Malformed("the headers to act as somebody else need one Impersonate-User")
                }
                why => Refusal::Forbidden(why.to_string()),
            }
        })
    }

    fn permitted(
        &self,
        permit: Permit,
        judged: Judged,
        mut visitor: Visitor,
        record: &mut Record,
    ) -> Decision {
        let Self { gate, api: _, arrival } = *self;
        if visitor.caller.is_none() && impersonation::is_asked(arrival.headers()) {
            // Nobody acts as somebody else without saying who they are, wherever that is.
            return match self.target(&Caller::anonymous(), record) {
                Err(refusal) => Decision::Refused(refusal),
                Ok(_) => Decision::Refused(Refusal::Unauthenticated),
            };
        }
        if matches!(permit.grounds(), Grounds::Anonymous(_)) {
            visitor = anonymous(arrival.now);
            if let Some(session) = visitor.session() {
                record.identify(session);
            }
        }
        match constrained(gate, arrival, judged, &visitor) {
            Ok(()) => {
                explain::note(&visitor.shortfall);
                let words = visitor.caller.as_ref().map(|caller| caller.words()).unwrap_or_default();
                record.permit_to(permit.grounds(), &words);
                Decision::Permitted { permit, visitor }
            }
            Err(denial) => self.denied(denial, &visitor, record),
        }
    }

    /// No identity where one is needed.
    fn turned_away(&self, visitor: &Visitor, record: &mut Record) -> Decision {
        let Self { gate, api, arrival } = *self;
        let for_people = failure::wants_page(gate, api.errors, arrival);
        match (&visitor.standing, &visitor.shortfall) {
            (Standing::Unknown, shortfall) => {
                gate.explain_unknown(arrival, record, shortfall);
                if for_people { Decision::Unknown } else { Decision::Refused(Refusal::Unavailable) }
            }
            (Standing::Rejected, shortfall) => {
                gate.explain_rejected(arrival, record, shortfall);
                Decision::Refused(refusal(shortfall))
            }
            (_, shortfall) => {
                gate.explain_login(arrival, record, shortfall);
                if for_people { Decision::Login } else { Decision::Refused(Refusal::Unauthenticated) }
            }
        }
    }

    fn denied(&self, denial: Denial, visitor: &Visitor, record: &mut Record) -> Decision {
        let Self { gate, api, arrival } = *self;
        match &visitor.caller {
            Some(caller) if !visitor.is_of_session() => {
                let detail = format!("{}: {denial}", caller.words());
                gate.explain(arrival, record, Explanation::denial(&denial).because(&detail));
            }
            _ => gate.log_denial(arrival, record, visitor, &denial),
        }
        if !failure::wants_page(gate, api.errors, arrival) {
            return Decision::Refused(Refusal::Forbidden(
                explanation(denial.reason).text(Language::English).to_owned(),
            ));
        }
        let who = visitor.session().map(|session| session.identity.display_name().to_owned());
        Decision::Denied { denial, who: who.unwrap_or_default() }
    }

    fn malformed(&self, record: &mut Record) -> Decision {
        let message = "A request was refused: there is more than one Authorization header.";
        let explained = Explanation::new(Explained::Deny, Reason::Malformed, message);
        self.gate.explain(self.arrival, record, explained);
        Decision::Refused(Refusal::Malformed(TWO_HEADERS))
    }

    /// Who asks one of the resources of our own Kubernetes API, by the chain alone: a browser's session must not act
    /// there, since any page can send it along. `None` for nobody known.
    pub(crate) async fn caller(&self, record: &mut Record) -> Result<Option<UserInfo>, Refusal> {
        let Self { gate, api: _, arrival } = *self;
        match self.ask_chain().await {
            Outcome::User(found) => {
                let caller = Caller::of(&found);
                let asked = impersonation::is_asked(arrival.headers());
                let user = if asked { self.target(&caller, record)? } else { caller.user };
                Ok(Some(user))
            }
            Outcome::NoOpinion => Ok(None),
            Outcome::Refused(rejections) => {
                let shortfall = Shortfall::Credentials(rejections);
                gate.explain_rejected(arrival, record, &shortfall);
                Err(refusal(&shortfall))
            }
            Outcome::Unavailable(rejections) => {
                gate.explain_unknown(arrival, record, &Shortfall::Credentials(rejections));
                Err(Refusal::Unavailable)
            }
            Outcome::Repeated => match self.malformed(record) {
                Decision::Refused(refusal) => Err(refusal),
                _ => Err(Refusal::Malformed(TWO_HEADERS)),
            },
        }
    }
}

impl ApiAuth {
    /// The certificates of the client. A trusted proxy that hands on those of its clients is not one of them: what it
    /// says counts, also if it says nothing, and not its own certificate.
    pub(crate) fn certificates(&self, arrival: &Arrival) -> Option<Arc<Shown>> {
        let named = self.certificate_header.as_ref().filter(|_| arrival.facts.hop == Hop::Trusted);
        let Some(name) = named else { return arrival.connection.certificates.clone() };
        let mut lines = arrival.headers().get_all(name).iter();
        match (lines.next(), lines.next()) {
            (None, _) => None,
            (Some(line), None) => Shown::new(x509::from_header(line.as_bytes()).into()),
            // Which of them the proxy has set nobody knows: something that is no certificate.
            (Some(_), Some(_)) => Shown::new(Arc::from([Vec::new()])),
        }
    }
}

fn refusal(shortfall: &Shortfall) -> Refusal {
    let is_token =
        |one: &Rejection| !matches!(one.authenticator, Authenticator::RequestHeader | Authenticator::X509);
    match shortfall {
        Shortfall::Credentials(rejections) if rejections.iter().any(is_token) => Refusal::BadToken(""),
        _ => Refusal::BadCredential,
    }
}

/// Sessions of credentials live for one request.
fn visitor_of(found: Authenticated, now: Timestamp) -> Visitor {
    let caller = Some(Box::new(Caller::of(&found)));
    let Authenticated { user, email, grant, provider, .. } = found;
    let created_at = Some(now);
    let (session, provenance) = if let Some(grant) = grant {
        let identity = Identity { groups: user.groups, ..grant.identity };
        let (expires_on, tokens) = (grant.expires_on, grant.tokens);
        (
            Session { created_at, expires_on, tokens, identity, provider, ..Session::default() },
            Provenance::Provider,
        )
    } else {
        let identity = Identity { email, ..Identity::from(user) };
        (Session { created_at, identity, ..Session::default() }, Provenance::Credential)
    };
    Visitor { caller, ..Visitor::known(Arc::new(session), provenance) }
}

fn anonymous(now: Timestamp) -> Visitor {
    let session = Session { created_at: Some(now), identity: Identity::anonymous(), ..Session::default() };
    Visitor {
        caller: Some(Box::new(Caller::anonymous())),
        ..Visitor::known(Arc::new(session), Provenance::Credential)
    }
}

/// A bad password is a bad credential too: it makes nobody anonymous.
fn rejected_if_refused(visitor: Visitor) -> Visitor {
    match (&visitor.standing, &visitor.shortfall) {
        (Standing::Nobody, Shortfall::Password(_)) => Visitor { standing: Standing::Rejected, ..visitor },
        _ => visitor,
    }
}

/// Somebody with a session or password, as a caller. Groups that nobody may assert are dropped.
fn described(mut visitor: Visitor, naming: Naming) -> Visitor {
    let Standing::Known(Known { session, .. }) = &mut visitor.standing else { return visitor };
    let Some(caller) = Caller::of_session(&session.identity, naming) else {
        return Visitor { standing: Standing::Rejected, shortfall: Shortfall::ReservedName, ..visitor };
    };
    let is_reserved = |group: &String| group.starts_with("system:");
    if session.identity.groups.iter().any(is_reserved) {
        Arc::make_mut(session).identity.groups.retain(|group| !is_reserved(group));
    }
    visitor.caller = Some(Box::new(caller));
    visitor
}
