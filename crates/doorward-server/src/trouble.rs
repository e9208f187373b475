//! Why a sign-in did not work, and how to mend it. The log of the request id says both to whoever runs the site; the page
//! says to the person what can be done. docs/troubleshooting.md has every symptom.

use doorward_authz::DenialReason;
use doorward_core::{RequestFacts, request::Scheme};
use doorward_net::Body;
use doorward_oidc::{RedeemError, RedeemFault, wrong_with_login};
use doorward_session::{
    Coming, CookieKind, CsrfError, InvalidSession, Obstacle, Presented, RequestCookies, Transport, Way,
};
use doorward_template::words::Message;
use http::{
    HeaderMap, HeaderValue, Method, Response, StatusCode,
    header::{LOCATION, SET_COOKIE},
};
use url::Url;

use crate::{
    explain::{Explanation, Outcome, Reason},
    gate::Gate,
    handle::with_cookies,
    ingress::Arrival,
    pages::Problem,
    rounds,
};

/// For a session store that is down.
pub(crate) const STORE: &str = "see whether the store answers at the address of --redis-connection-url, and what it says of \
                                its memory and passwords; sessions are kept meanwhile";

/// Of headers that an answer may have before a proxy in front gives up: nginx takes 4 KiB unless it is told otherwise.
const USUAL_BUFFER_BYTES: usize = 3584;

/// What is wrong and what is to be told.
#[derive(Debug)]
pub(crate) struct Trouble {
    pub(crate) reason: Reason,
    /// More than the error itself says; may be empty.
    pub(crate) cause: String,
    pub(crate) mend: &'static str,
    /// For the person.
    pub(crate) told: Message,
}

impl Trouble {
    const fn new(reason: Reason, mend: &'static str, told: Message) -> Self {
        Self { reason, cause: String::new(), mend, told }
    }

    fn because(self, cause: impl Into<String>) -> Self {
        Self { cause: cause.into(), ..self }
    }
}

/// A callback without the cookie of its login: why the browser did not send it.
pub(crate) fn lost_cookie(
    gate: &Gate,
    arrival: &Arrival,
    error: &CsrfError,
    elsewhere: Elsewhere,
) -> Trouble {
    match error {
        CsrfError::Invalid(InvalidSession::OutsideLifetime) => {
            return Trouble::new(
                Reason::LoginTooSlow,
                "raise --cookie-csrf-expire if people need longer, or compare the clocks of the instances",
                Message::BegunElsewhere,
            );
        }
        CsrfError::Invalid(_) => {
            return Trouble::new(
                Reason::CookieSecretDiffers,
                "give all instances the same --cookie-secret and --cookie-name, and other programs of this domain other \
                 names",
                Message::SecretNotShared,
            );
        }
        CsrfError::Missing | CsrfError::Mismatch { .. } => {}
    }
    let rules = gate.sessions.csrf.rules();
    let facts = &arrival.facts;
    if elsewhere == Elsewhere::Yes {
        let mend = "let logins begin at the host of --redirect-url, or name the domain above both hosts with --cookie-domain";
        let cause = format!("the login began at another host than {}", facts.host_str());
        return Trouble::new(Reason::LoginElsewhere, mend, Message::CookieNotSent).because(cause);
    }
    let way = if facts.method == Method::POST { Way::Posted } else { Way::Followed };
    let coming =
        Coming { host: facts.host_str(), path: facts.target.path(), transport: transport(arrival), way };
    rules.obstacle(CookieKind::Login, &coming).map_or_else(
        || {
            Trouble::new(
                Reason::CsrfMissing,
                "if it happens to everybody, see whether a proxy in front takes cookies out, and whether browsers refuse \
                 them in frames; if after a while only, raise --cookie-csrf-expire; if in several tabs, set \
                 --cookie-csrf-per-request",
                Message::BegunElsewhere,
            )
        },
        |obstacle| in_the_way(&obstacle, facts),
    )
}

/// Whether a login ends at a host that does not get the cookie of its beginning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Elsewhere {
    Yes,
    No,
}

impl Elsewhere {
    /// As a login begins whose callback is at `redirect_uri`.
    pub(crate) fn of(gate: &Gate, facts: &RequestFacts, redirect_uri: &str) -> Self {
        let callback = Url::parse(redirect_uri).ok();
        let host = callback.as_ref().and_then(Url::host_str);
        let rules = gate.sessions.csrf.rules();
        if host.is_some_and(|host| !rules.is_shared(facts.host_str(), host)) { Self::Yes } else { Self::No }
    }
}

/// What is known of the way to the browser. A proxy that we are not told of may speak TLS to it.
fn transport(arrival: &Arrival) -> Transport {
    let has_proxy = ["x-forwarded-proto", "x-forwarded-for", "forwarded", "via"]
        .iter()
        .any(|name| arrival.headers().contains_key(*name));
    match (arrival.facts.scheme, arrival.connection.scheme) {
        (Some(Scheme::Http), _) => Transport::PlainHttp,
        (None, Scheme::Http) if !has_proxy => Transport::PlainHttp,
        _ => Transport::Https,
    }
}

fn in_the_way(obstacle: &Obstacle, facts: &RequestFacts) -> Trouble {
    let (host, path) = (facts.host_str(), facts.target.path());
    match obstacle {
        Obstacle::PlainHttp => Trouble::new(
            Reason::CookieNeedsHttps,
            "serve over https; behind a proxy that does, set --reverse-proxy and let it send X-Forwarded-Proto; for a trial \
             without, set --cookie-secure=false",
            Message::CookieNotSent,
        )
        .because(format!("the browser came to {host} over plain http, and --cookie-secure forbids the cookie there")),
        Obstacle::OtherDomain { domains } => Trouble::new(
            Reason::CookieDomain,
            "name a domain with --cookie-domain that the host belongs to, or leave it out",
            Message::CookieNotSent,
        )
        .because(format!("the host {host} belongs to none of the cookie domains {}", domains.join(", "))),
        Obstacle::OtherPath { path: cookie } => Trouble::new(
            Reason::CookiePath,
            "set --cookie-path to a path above both the applications and --proxy-prefix, such as /",
            Message::CookieNotSent,
        )
        .because(format!("the path {path} does not lie below the cookie path {cookie}")),
        Obstacle::Strict => Trouble::new(
            Reason::CookieSameSite,
            "set --cookie-samesite and --cookie-csrf-samesite to lax",
            Message::CookieNotSent,
        )
        .because("another site (the provider) led here, and SameSite=Strict keeps the cookie back"),
        Obstacle::NoneInsecure => Trouble::new(
            Reason::CookieSameSite,
            "set --cookie-secure, or --cookie-samesite and --cookie-csrf-samesite to lax",
            Message::CookieNotSent,
        )
        .because("browsers refuse cookies with SameSite=None and without Secure"),
        Obstacle::Posted => Trouble::new(
            Reason::CookieSameSite,
            "set --cookie-csrf-samesite=none with --cookie-secure, or take --auth-request-response-mode=form_post away",
            Message::CookieNotSent,
        )
        .because("the provider sent a form, and browsers send cookies along with it only with SameSite=None"),
    }
}

/// A login that the provider finished and we cannot accept.
pub(crate) fn not_redeemed(error: &RedeemError, redirect_uri: &str) -> Trouble {
    match error.fault() {
        RedeemFault::Clock => Trouble::new(
            Reason::ClockSkew,
            "set the clocks of this machine and of the provider by NTP; if they are right, let tokens live longer",
            Message::ClocksDiffer,
        ),
        RedeemFault::Audience => Trouble::new(
            Reason::AudienceMismatch,
            "put the client id into aud at the provider (an audience mapper), or accept the audience with \
             --oidc-extra-audience",
            Message::TokenForSomebodyElse,
        ),
        RedeemFault::Issuer => Trouble::new(
            Reason::IssuerMismatch,
            "write --oidc-issuer-url as the provider writes iss, to the letter and the slash at its end",
            Message::AnswerFromElsewhere,
        ),
        RedeemFault::Nonce => Trouble::new(
            Reason::NonceMismatch,
            "see whether the provider returns the nonce of the request; if it cannot, take \
             --insecure-oidc-skip-nonce=false away",
            Message::OtherSignInAnswered,
        ),
        RedeemFault::RedirectUri => wrong_redirect_uri(redirect_uri),
        RedeemFault::Client => Trouble::new(
            Reason::ClientRefused,
            "compare --client-id and --client-secret with the provider; the secret may have expired or hold a line break",
            Message::SiteNotAccepted,
        ),
        RedeemFault::Pkce => WRONG_PKCE,
        RedeemFault::Code => Trouble::new(
            Reason::CodeNotRedeemed,
            "a code is good once and for a minute or so: see whether something repeats the callback (a proxy that retries, \
             a reload), and whether --redirect-url is the one of the provider",
            Message::NotAccepted,
        ),
        RedeemFault::Unreachable => Trouble::new(
            Reason::ProviderUnreachable,
            "see whether this machine reaches the provider: name, network, proxy, certificate (--provider-ca-file)",
            Message::IdentityProviderUnreachable,
        ),
        fault @ (RedeemFault::EmailMissing
        | RedeemFault::EmailUnverified
        | RedeemFault::NotAdmitted
        | RedeemFault::TooWeak
        | RedeemFault::Token) => not_accepted(fault),
    }
}

/// What the provider says of the account, or how, is not enough.
const fn not_accepted(fault: RedeemFault) -> Trouble {
    match fault {
        RedeemFault::EmailMissing => Trouble::new(
            Reason::EmailMissing,
            "ask for the scope email, name the claim with --oidc-email-claim, or let the provider fill it in",
            Message::ProviderGaveNoEmail,
        ),
        RedeemFault::EmailUnverified => Trouble::new(
            Reason::EmailUnverified,
            "let the provider verify addresses, or believe them with --insecure-oidc-allow-unverified-email",
            Message::EmailNotVerified,
        ),
        RedeemFault::NotAdmitted => Trouble::new(
            Reason::NotAdmitted,
            "add the account to what the options of the provider name (organisation, team, repository, project, tenant), or \
             allow this application to see its memberships there",
            Message::NotAdmitted,
        ),
        RedeemFault::TooWeak => Trouble::new(
            Reason::LoginTooWeak,
            "see whether the provider does what --required-acr and --max-auth-age ask for, and puts acr and auth_time into the ID \
             token",
            Message::TooWeak,
        ),
        _ => Trouble::new(
            Reason::TokenNotAccepted,
            "see whether the provider issues ID tokens (the scope openid), signed with a key that it publishes and by an \
             algorithm of --oidc-enabled-signing-alg",
            Message::TokenNotVerified,
        ),
    }
}

fn wrong_redirect_uri(redirect_uri: &str) -> Trouble {
    Trouble::new(
        Reason::RedirectUriMismatch,
        "register this address at the provider to the letter, or set --redirect-url to the one that is; behind a proxy, see \
         whether it passes host and X-Forwarded-Proto on",
        Message::AddressNotKnown,
    )
    .because(format!("the address to return to was {redirect_uri}"))
}

const WRONG_PKCE: Trouble = Trouble::new(
    Reason::PkceMismatch,
    "set --code-challenge-method=S256, or let the provider allow S256 for this client",
    Message::ProviderAsksForMore,
);

/// What a provider says that sends the browser back without a code (RFC 6749 section 4.1.2.1).
pub(crate) fn sent_back(error: &str, description: &str, redirect_uri: &str) -> Trouble {
    match wrong_with_login(&format!("{error} {description}")) {
        Some(RedeemFault::RedirectUri) => return wrong_redirect_uri(redirect_uri),
        Some(_) => return WRONG_PKCE,
        None => {}
    }
    let (reason, mend) = match error {
        "unauthorized_client" | "invalid_client" => {
            (Reason::ClientRefused, "allow the authorization code flow for --client-id at the provider")
        }
        "temporarily_unavailable" | "server_error" => {
            (Reason::ProviderUnreachable, "see the log of the provider: it had a fault, or is overloaded")
        }
        "invalid_scope" => (Reason::ProviderRefused, "ask with --scope only for what the provider lists"),
        "access_denied" => (
            Reason::ProviderRefused,
            "the person or the provider said no: see who is assigned to this client there",
        ),
        "login_required" | "interaction_required" | "consent_required" => {
            (Reason::ProviderRefused, "the provider has to ask the person: take --prompt=none away")
        }
        _ => (Reason::ProviderRefused, "see the log of the provider for this client"),
    };
    Trouble::new(reason, mend, Message::ProviderError)
}

/// How to mend that somebody who is known may not.
pub(crate) const fn mend_of_denial(reason: DenialReason) -> &'static str {
    match reason {
        DenialReason::EmailMissing => {
            "ask for the scope email, name the claim with --oidc-email-claim, or restrict by groups in place of addresses"
        }
        DenialReason::EmailMalformed => "let the provider give one address with one @",
        DenialReason::EmailNotAllowed => "add the address or its domain if this account shall come in",
        DenialReason::GroupMissing => {
            "compare with the groups of the account at the provider; if it has them and none came, put them into the ID token \
             (--oidc-groups-claim, --scope); with very many groups a provider leaves them out of the token"
        }
        DenialReason::QueryConstraint => "see what the location of the proxy in front asks for",
    }
}

/// What a login asks of the provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Demands {
    Some,
    None,
}

/// Stops a browser that goes round in circles: it has just finished several logins, and begins another.
pub(crate) fn stop_round(gate: &Gate, arrival: &Arrival, demands: Demands) -> Option<Response<Body>> {
    let count = rounds::too_many(gate, arrival)?;
    let (cause, mend) = why_round(gate, arrival, demands);
    let message = "A browser goes round in circles: it is not sent to the provider again.";
    let explanation = Explanation::new(Outcome::Deny, Reason::LoginLoop, message);
    let cause = format!("{count} logins ended well within a minute, and another begins: {cause}");
    gate.say(arrival, &explanation.because(&cause).mended_by(mend));
    let problem = Problem {
        message: Message::GoesRound.into(),
        explanation: Message::SignInNotSeen.into(),
        ..Problem::new(StatusCode::FORBIDDEN)
    };
    let page = gate.error_page(arrival, &problem);
    Some(with_cookies(page, rounds::forget(gate, arrival).into_iter().collect()))
}

fn why_round(gate: &Gate, arrival: &Arrival, demands: Demands) -> (String, &'static str) {
    if demands == Demands::Some {
        let mend = "see whether the provider knows acr_values and max_age and puts acr and auth_time into the ID token";
        return ("the provider does not do what stepUp asks for".to_owned(), mend);
    }
    let rules = gate.sessions.csrf.rules();
    let facts = &arrival.facts;
    let presented = rules.presented(&RequestCookies::new(arrival.headers()));
    let coming = Coming {
        host: facts.host_str(),
        path: facts.target.path(),
        transport: transport(arrival),
        way: Way::Followed,
    };
    match presented {
        Presented::Nothing => match rules.obstacle(CookieKind::Session, &coming) {
            Some(obstacle) => {
                let Trouble { cause, mend, .. } = in_the_way(&obstacle, facts);
                (cause, mend)
            }
            None => (
                "no session cookie comes back".to_owned(),
                "see whether a proxy in front or the application takes cookies out, and whether they are too large for it: \
                 --session-store-type=redis or --session-cookie-minimal make them small",
            ),
        },
        Presented::Incomplete => (
            "a part of the session cookie is missing".to_owned(),
            "something on the way drops large cookies: keep sessions in Redis (--session-store-type=redis), or leave tokens \
             out (--session-cookie-minimal)",
        ),
        Presented::Something if gate.routes.is_own(facts.target.path()) => (
            "the session cookie comes here, and not with the questions of the proxy in front, or another instance judges \
             those"
                .to_owned(),
            "let the proxy in front pass the Cookie header of clients to the auth endpoint, and give all instances the same \
             --cookie-secret, --cookie-name and session store",
        ),
        Presented::Something => (
            "the session cookie comes back and is not accepted; the line before says why".to_owned(),
            "give all instances the same --cookie-secret, --cookie-name and session store, and other programs of this domain \
             another cookie name; compare the clocks",
        ),
    }
}

/// Says so if the answer to a login is larger than proxies take.
pub(crate) fn note_size(gate: &Gate, arrival: &Arrival, headers: &HeaderMap) {
    let lines = headers.get_all(SET_COOKIE).iter().chain(headers.get_all(LOCATION)).map(HeaderValue::len);
    let bytes: usize = lines.sum();
    if bytes <= USUAL_BUFFER_BYTES {
        return;
    }
    let message = "The answer to a login has large headers. A proxy in front may refuse it with 502.";
    let explanation = Explanation::new(Outcome::Permit, Reason::AnswerTooLarge, message);
    let explanation = explanation.because(&format!("cookies and Location have {bytes} bytes"));
    gate.say(
        arrival,
        &explanation.mended_by(
            "raise the buffer of the proxy (nginx: proxy_buffer_size 16k), or make sessions small with \
             --session-store-type=redis or --session-cookie-minimal",
        ),
    );
}

/// Says so if an application refuses a request for the size of its headers.
pub(crate) fn note_refusal(gate: &Gate, arrival: &Arrival, status: StatusCode) {
    if status != StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE {
        return;
    }
    let message = "An application refuses a request for the size of its headers.";
    let explanation = Explanation::new(Outcome::Permit, Reason::RequestTooLarge, message);
    gate.say(
        arrival,
        &explanation.mended_by(
            "let the application take larger headers, keep our cookies from it with --strip-own-cookies, or make sessions \
             small with --session-store-type=redis or --session-cookie-minimal",
        ),
    );
}
