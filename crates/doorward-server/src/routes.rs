//! Which road a request takes. Pure: looks at the path alone, exactly as it came.

/// The paths that doorward answers itself.
#[derive(Clone, Debug)]
pub struct Routes {
    /// Prefix of our own endpoints, without a trailing slash, e.g. `/oauth2`.
    pub prefix: String,
    pub health: Health,
    /// Endpoints about sessions that are switched on. Others belong to the application.
    pub about_sessions: Vec<SessionEndpoint>,
}

/// Endpoints that oauth2-proxy does not have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SessionEndpoint {
    /// Where the provider sends browsers after a sign-out.
    SignedOut,
    BackChannelLogout,
    FrontChannelLogout,
    Admin,
}

impl SessionEndpoint {
    fn find(own: &str) -> Option<Self> {
        match own {
            "signed_out" => Some(Self::SignedOut),
            "backchannel_logout" => Some(Self::BackChannelLogout),
            "frontchannel_logout" => Some(Self::FrontChannelLogout),
            "admin/sessions" => Some(Self::Admin),
            _ => None,
        }
    }
}

/// Liveness and readiness; an empty path switches that answer off.
#[derive(Clone, Debug)]
pub struct Health {
    pub ping_path: String,
    pub ready_path: String,
    /// If set, the health paths answer only clients that send exactly this `User-Agent`.
    pub user_agent: Option<String>,
    pub google: GoogleChecks,
}

/// `--gcp-healthchecks`: the paths that Google's load balancers ask, for their `User-Agent` only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GoogleChecks {
    Answered,
    NotAnswered,
}

const GOOGLE_AGENT: &str = "GoogleHC/1.0";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Route<'a> {
    Ping,
    Ready,
    Robots,
    /// The forward-auth question of nginx, Traefik, Caddy and others.
    Auth,
    SignIn,
    Start,
    Callback,
    /// A file of the pages, by its path below `static/`.
    Static(&'a str),
    UserInfo,
    SignOut,
    AboutSessions(SessionEndpoint),
    /// An endpoint of the built-in OAuth server.
    OAuth,
    /// One whose path ends with the name of a token, or with a token in its place.
    OAuthToken,
    /// Everything else belongs to the application.
    Proxied,
}

impl Routes {
    /// `user_agent` gives the request's `User-Agent`; only the health paths ask for it.
    pub fn find<'a, 'u>(&self, path: &'a str, user_agent: impl FnOnce() -> Option<&'u str>) -> Route<'a> {
        if let Some(own) = path.strip_prefix(self.prefix.as_str()).and_then(|rest| rest.strip_prefix('/')) {
            match own {
                "auth" => return Route::Auth,
                "sign_in" => return Route::SignIn,
                "start" => return Route::Start,
                "callback" => return Route::Callback,
                "userinfo" => return Route::UserInfo,
                "sign_out" => return Route::SignOut,
                _ => {
                    if let Some(file) = own.strip_prefix("static/") {
                        return Route::Static(file);
                    }
                    let found = SessionEndpoint::find(own).filter(|one| self.about_sessions.contains(one));
                    if let Some(endpoint) = found {
                        return Route::AboutSessions(endpoint);
                    }
                }
            }
        }
        if let Some(health) = self.health.find(path, user_agent) {
            return health;
        }
        if path == "/robots.txt" { Route::Robots } else { Route::Proxied }
    }

    /// True for `<prefix>/…` and the bare prefix.
    pub fn is_own(&self, path: &str) -> bool {
        path.strip_prefix(self.prefix.as_str())
            .is_some_and(|rest| rest.is_empty() || rest.starts_with(['/', '?', '#']))
    }
}

impl Health {
    fn find<'u>(&self, path: &str, user_agent: impl FnOnce() -> Option<&'u str>) -> Option<Route<'static>> {
        let google = match path {
            "/liveness_check" => Some(Route::Ping),
            "/readiness_check" => Some(Route::Ready),
            _ => None,
        };
        if self.google == GoogleChecks::Answered && google.is_some() {
            return google.filter(|_| self.is_google(user_agent()));
        }
        let route = if !self.ping_path.is_empty() && path == self.ping_path {
            Route::Ping
        } else if !self.ready_path.is_empty() && path == self.ready_path {
            Route::Ready
        } else {
            return None;
        };
        match &self.user_agent {
            Some(required) if user_agent() != Some(required.as_str()) => None,
            _ => Some(route),
        }
    }

    fn is_google(&self, user_agent: Option<&str>) -> bool {
        user_agent == Some(self.user_agent.as_deref().unwrap_or(GOOGLE_AGENT))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn routes(user_agent: Option<&str>) -> Routes {
        Routes {
            prefix: "/oauth2".into(),
            health: Health {
                ping_path: "/ping".into(),
                ready_path: "/ready".into(),
                user_agent: user_agent.map(Into::into),
                google: GoogleChecks::Answered,
            },
            about_sessions: vec![SessionEndpoint::BackChannelLogout],
        }
    }

    #[test]
    fn endpoints_match_exactly() {
        for (path, expected) in [
            ("/oauth2/auth", Route::Auth),
            ("/oauth2/auth/", Route::Proxied),
            ("/oauth2/nothing", Route::Proxied),
            ("/oauth2", Route::Proxied),
            ("/oauth2x/auth", Route::Proxied),
            ("/OAUTH2/auth", Route::Proxied),
            ("/oauth2/%61uth", Route::Proxied),
            ("/oauth2/backchannel_logout", Route::AboutSessions(SessionEndpoint::BackChannelLogout)),
            ("/oauth2/frontchannel_logout", Route::Proxied),
            ("/oauth2/static/css/a.css", Route::Static("css/a.css")),
            ("/ping", Route::Ping),
            ("/ready", Route::Ready),
            ("/robots.txt", Route::Robots),
            ("/", Route::Proxied),
        ] {
            assert_eq!(routes(None).find(path, || None), expected, "{path}");
        }
    }

    #[test]
    fn a_health_agent_opens_the_health_paths_and_nothing_else() {
        let routes = routes(Some("GoogleHC/1.0"));
        assert_eq!(routes.find("/ping", || Some("GoogleHC/1.0")), Route::Ping);
        assert_eq!(routes.find("/ping", || Some("curl/8")), Route::Proxied);
        assert_eq!(routes.find("/oauth2/auth", || Some("GoogleHC/1.0")), Route::Auth);
        assert_eq!(routes.find("/x", || Some("GoogleHC/1.0")), Route::Proxied);
        assert_eq!(routes.find("/liveness_check", || Some("GoogleHC/1.0")), Route::Ping);
        assert_eq!(routes.find("/readiness_check", || Some("curl/8")), Route::Proxied);
    }
}
