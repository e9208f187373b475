//! Being a client of an identity provider: discovery, login flow, tokens, claims.
//! A provider is a value ([`Config`] read by one flow), not a class. Whatever the provider answers is
//! parsed at the door, limited in size and time, and never printed unescaped; nothing unverified
//! becomes an identity.

mod bearer;
mod client_authentication;
pub mod config;
mod discovery;
mod dpop;
#[doc(hidden)]
pub mod fuzz;
pub mod http;
mod identify;
mod introspection;
mod issuer_keys;
mod jwks;
pub mod login;
mod logout;
mod printable;
mod provider;
mod pushed;
mod redeem;
mod refresh;
mod roles;
mod strength;
#[cfg(test)]
mod testing;
mod token_endpoint;
mod token_exchange;
mod userinfo;
mod vendor;
mod verify;

pub use self::http::{
    CaFile, ClientIdentity, HttpClient, HttpConfig, HttpError, Trust, local::LocalProvider,
};
pub use bearer::BearerError;
pub use client_authentication::ClientAuth;
pub use config::{
    AllowedValue, AssertionAudience, ClientAuthentication, ClientSecret, Config, Defaults, Discovery,
    EmailVerification, IssuerCheck, KeySource, LoginParameter, LoginStrength, NonceCheck, Pkce,
    ProfileClaims, Protocol, ProviderKind, PushedRequests, Undiscovered,
};
pub use discovery::ConnectError;
pub use identify::IdentifyError;
pub use introspection::{IntrospectionClient, IntrospectionClientConfig, IntrospectionError, Told};
pub use issuer_keys::{InvalidIssuerKeys, IssuerKeys, IssuerKeysConfig, KeysUnavailable, Published, is_safe};
pub use login::{
    AccountChoice, AuthorizationRequest, BeginError, LoginStart, MatchedCallback, PendingLogin,
    StateMismatch, WrongIssuer,
};
pub use logout::{EndSession, LogoutToken, LogoutTokenError, NoEndSession, TokenFacts};
pub use provider::{Provider, Validity};
pub use redeem::{Grant, PublicFailure, RedeemError, RedeemFault, wrong_with_login};
pub use refresh::{RefreshError, Refreshed};
pub use strength::WeakLogin;
pub use token_endpoint::TokenRequestError;
pub use token_exchange::{ExchangedToken, TokenExchange, TokenExchangeConfig, TokenExchangeRequest};
pub use userinfo::UserinfoError;
pub use vendor::{
    ApiFault, Azure, Bitbucket, BitbucketRepository, Circle, DefaultCredentials, EntraId, GitHub,
    GitHubRepository, GitLab, Google, GoogleCredentials, GoogleDirectory, GoogleEndpoints,
    InvalidGoogleCredentials, InvalidProject, Project, ServiceAccount, Team, UserScope, VendorError,
    Workload,
};
pub use verify::IdTokenError;
