//! Deployments that must work when pasted, each tried on real parts: Keycloak, nginx, Redis, Chromium.
//! The configurations come from `docs/integrations/*.md`, so the documentation is what is tested.
//! A missing part fails the run and names `scripts/parts install`; nothing is ever skipped.
//!
//! `DOORWARD_BIN` names another binary to try than the one just built.

#[cfg(test)]
mod apache;
#[cfg(test)]
mod askers;
#[cfg(test)]
mod audience;
#[cfg(test)]
mod browser;
#[cfg(test)]
mod built_in;
#[cfg(test)]
mod docs;
#[cfg(test)]
mod doorward;
#[cfg(test)]
mod echo;
#[cfg(test)]
mod fake_traefik;
#[cfg(test)]
mod http;
#[cfg(test)]
mod issuer;
#[cfg(test)]
mod keycloak_direct;
#[cfg(test)]
mod logouts;
#[cfg(test)]
mod nginx;
#[cfg(test)]
mod parts;
#[cfg(test)]
mod process;
#[cfg(test)]
mod redis_sessions;
#[cfg(test)]
mod refresh;
#[cfg(test)]
mod reverse_proxy;
#[cfg(test)]
mod screenshots;
#[cfg(test)]
mod several;
#[cfg(test)]
mod several_providers;
#[cfg(test)]
mod tabs;
#[cfg(test)]
mod traefik;
