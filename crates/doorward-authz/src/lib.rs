//! May they: identity and request facts become a verdict.
//!
//! Rules stand in one ordered list and the first match decides; what no rule matches has to fulfil the default
//! requirement. Deciding is pure: no IO, no clock, and nothing changes while running. Routes of the gateway ([`gateway`]) have
//! an expression each, which may name policies.
//!
//! For example with `--skip-auth-route=GET=^/public` and `--email-domain=example.com`: anybody may `GET /public/x`;
//! `GET /public/%2e%2e/admin` needs a login, as somebody further on could read it as `/admin`; alice@example.com may
//! do everything; bob@example.org is denied all but the public route.

mod anonymous;
mod api_routes;
mod constraints;
mod email;
pub mod gateway;
mod legacy;
mod network;
mod policy;
mod readings;

pub use anonymous::parse_anonymous_path;
pub use api_routes::ApiRoutes;
pub use constraints::{Constraints, Semicolons};
pub use email::{DomainRule, EmailDomains, EmailFile, EmailRule};
pub use legacy::{
    Config, InvalidRule, Preflight, RuleFault, WithoutAddress, parse_skip_auth_regex, parse_skip_auth_route,
    parse_trusted_ip,
};
pub use network::{InvalidNetwork, Networks};
pub use policy::{
    Access, Attempt, ClientMatch, Denial, DenialReason, GroupRule, GroupRules, Judged, MethodMatch,
    PathMatch, Policy, Provenance, Reading, Requirement, RouteMatch, RouteRule, RuleFit, Verdict, Who,
};
