//! Signing in and out: what oauth2-proxy does and doorward does not.

use super::{Difference, LOGIN_FOR_ANY_REQUEST};

pub(super) const DIFFERENCES: &[Difference] = &[
    Difference {
        name: "pkce",
        theirs: "no PKCE unless asked for",
        ours: "S256 whenever the provider offers it",
        switch: "",
        why: "stolen codes are worth nothing",
        met: |setup| {
            setup.discovers()
                && setup.provider().is_some_and(|provider| provider.code_challenge_method.is_empty())
        },
    },
    Difference {
        name: "nonce",
        theirs: "no nonce unless asked for",
        ours: "sent, and checked if it comes back",
        switch: "`--insecure-oidc-skip-nonce=false` demands it, `=true` sends none",
        why: "stolen tokens are worth nothing",
        met: |setup| {
            setup.is_oidc()
                && setup.provider().is_some_and(|provider| provider.oidc.insecure_skip_nonce.is_none())
        },
    },
    Difference {
        name: "programs",
        theirs: "scripts, previews and programs that take no page get the sign-in page, or a redirect",
        ours: "401 with JSON that holds `login_url`, and 403 with JSON where somebody may not",
        switch: "`--compat=login-for-any-request` answers as oauth2-proxy",
        why: "nobody reads the page; a script cannot follow a redirect to another site",
        met: |setup| !setup.brings_back(LOGIN_FOR_ANY_REQUEST),
    },
    Difference {
        name: "login-url",
        theirs: "a 401 says nothing about where to sign in",
        ours: "it says so in `X-Login-URL`, also at the auth endpoint, and with `--skip-jwt-bearer-tokens` asks for a token (`WWW-Authenticate`)",
        switch: "`--compat=login-for-any-request` leaves it out",
        why: "HTTP demands a challenge; programs know what to open",
        met: |setup| !setup.brings_back(LOGIN_FOR_ANY_REQUEST),
    },
    Difference {
        name: "logins-for-pages",
        theirs: "with `--skip-provider-button` every request without a session begins a login",
        ours: "GET and HEAD do, unless a page loads them as a part of it: others get 401 or the sign-in page",
        switch: "`--compat=login-for-any-request` lets all begin one",
        why: "a body is lost on the way; a picture's login spoils that of the page",
        met: |setup| setup.options.skip_provider_button && !setup.brings_back(LOGIN_FOR_ANY_REQUEST),
    },
    Difference {
        name: "state-first",
        theirs: "the code is redeemed before the state is compared",
        ours: "after it",
        switch: "",
        why: "a foreign code was redeemed",
        met: |setup| setup.signs_in(),
    },
    Difference {
        name: "lost-cookie",
        theirs: "a callback that lost its cookie ends in an error",
        ours: "goes on if somebody is signed in, begins anew once if not",
        switch: "",
        why: "second tabs, old pages",
        met: |setup| setup.signs_in(),
    },
    Difference {
        name: "new-ticket",
        theirs: "a login keeps the ticket that came along",
        ours: "always a new one",
        switch: "",
        why: "session fixation",
        met: |setup| setup.stores_sessions(),
    },
    Difference {
        name: "return-targets",
        theirs: "targets may be below the own prefix, hold user information or control characters",
        ours: "refused; after a sign-out the sign-in page is fine",
        switch: "",
        why: "loops; other sites",
        met: |setup| setup.signs_in(),
    },
    Difference {
        name: "other-sites",
        theirs: "a page of another site can sign its visitors out, or in with a password of its choice",
        ours: "parts of another site's page change nothing, and its form is refused; links and frames still sign out",
        switch: "",
        why: "login CSRF",
        met: |_| true,
    },
    Difference {
        name: "id-token-in-target",
        theirs: "`{id_token}` in a sign-out target crashes without a session, and is filled in for everybody",
        ours: "left out without one, towards this site, and when another site sent the browser",
        switch: "",
        why: "tokens in logs",
        met: |setup| setup.signs_in(),
    },
    Difference {
        name: "unverified-claims",
        theirs: "userinfo and access tokens are believed unverified",
        ours: "the subject must agree, the signature must verify",
        switch: "",
        why: "other people's addresses and roles",
        met: |setup| setup.is_oidc(),
    },
    Difference {
        name: "provider-down-at-start",
        theirs: "the provider must be up at the start",
        ours: "`/ready` says 503 until it is",
        switch: "",
        why: "order of starting",
        met: |setup| setup.discovers(),
    },
    Difference {
        name: "further-providers",
        theirs: "of several `providers` in the structured file the first is used",
        ours: "people choose among all; take away those that nobody is to use",
        switch: "",
        why: "people of several providers; logins and sessions are then kept in a form that oauth2-proxy refuses",
        met: |setup| setup.structured.providers.len() > 1,
    },
    Difference {
        name: "client-authentication",
        theirs: "a code is sent twice, with both ways of client authentication, whatever the provider says",
        ours: "sent in the way that the provider lists, and a second time only to one that does not know us",
        switch: "",
        why: "providers that see a code twice end its session",
        met: |setup| setup.signs_in(),
    },
    Difference {
        name: "unknown-keys",
        theirs: "every token under an unknown key makes a request for keys",
        ours: "one request in a while",
        switch: "",
        why: "strangers could flood the provider",
        met: |setup| setup.is_oidc(),
    },
    Difference {
        name: "audience-types",
        theirs: "an audience that is no text, roles that are no list: the request is cut off",
        ours: "refused with a reason",
        switch: "",
        why: "crashes",
        met: |setup| setup.is_oidc(),
    },
];
