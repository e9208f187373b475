//! One upstream, and how a permitted request gets there and its answer back. The steps of [`Upstream::forward`] are
//! the whole road; their order is part of the security of the identity headers.

use std::{net::IpAddr, sync::Arc, time::Duration};

use doorward_core::{Permit, request::origin_form};
use doorward_net::{Body, Cleartext, Destination, KeepAlive, Pool, WorkerId, tls};
use http::{HeaderName, HeaderValue, Method, Request, Response, StatusCode, Version, header, uri::Authority};
use hyper::upgrade::OnUpgrade;
use rustls::{ClientConfig, pki_types::ServerName};

use crate::{
    config::{HostHeader, HttpScheme, PathForm, Target, TlsVerification, UpstreamConfig, WebSockets},
    error::ForwardError,
    exchange::HttpServer,
    files::Files,
    headers,
    rewrite::Rewriter,
    routes::InvalidUpstreams,
    signature::{SignError, Signer},
    simple,
    tether::Tether,
    websocket,
};

const CLOSE: HeaderValue = HeaderValue::from_static("close");
const LOCALHOST: HeaderValue = HeaderValue::from_static("localhost");

/// One upstream, ready to serve.
#[derive(Debug)]
pub struct Upstream {
    id: Arc<str>,
    rewriter: Option<Rewriter>,
    service: Service,
}

#[derive(Debug)]
enum Service {
    Http(Box<Application>),
    Files(Files),
    Static(StatusCode),
}

/// An application that speaks HTTP.
#[derive(Debug)]
struct Application {
    server: HttpServer,
    /// The server's own name, for requests that bring none and for those that must not keep theirs.
    host: HeaderValue,
    pass_host_header: HostHeader,
    websockets: WebSockets,
    signer: Option<Arc<Signer>>,
}

/// What goes with a request.
#[derive(Clone, Copy, Debug)]
pub struct Forwarding<'a> {
    /// The other end of the client's connection; none for a unix socket.
    pub peer: Option<IpAddr>,
    /// Headers to set, whatever the client sent. A name may come several times.
    pub identity: &'a [(HeaderName, HeaderValue)],
    /// Who makes the request, for `GAP-Auth`; empty if unknown. Used only if requests are signed.
    pub user: &'a str,
    /// The current worker.
    pub worker: WorkerId,
    /// Ends the connection from outside, should it become a `WebSocket`.
    pub tether: Option<&'a Tether>,
}

/// What all upstreams have in common, found out once.
pub(crate) struct Common {
    /// How paths are compared.
    pub(crate) form: PathForm,
    /// How many worker threads there will be.
    pub(crate) workers: usize,
    /// For `https` upstreams whose certificates are verified.
    pub(crate) verifying: Option<Arc<ClientConfig>>,
    /// For the other `https` upstreams.
    pub(crate) insecure: Option<Arc<ClientConfig>>,
}

impl Upstream {
    pub(crate) fn new(config: UpstreamConfig, common: &Common) -> Result<Self, InvalidUpstreams> {
        let UpstreamConfig {
            id,
            path,
            rewrite,
            target,
            pass_host_header,
            mut websockets,
            timeout,
            keep_alive,
            tls,
            identity,
        } = config;
        let rewriter = rewrite.map(|rewrite| Rewriter::new(&path, &rewrite)).transpose();
        let rewriter = rewriter.map_err(|reason| InvalidUpstreams::Rewrite { id: id.clone(), reason })?;
        if matches!(target, Target::Http { scheme: HttpScheme::H2c, .. }) {
            // An HTTP/2 connection cannot become a tunnel.
            websockets = WebSockets::Refused;
        }
        let application = |destination, host| {
            let timeout = (timeout > Duration::ZERO).then_some(timeout);
            let server = HttpServer { destination, pool: Pool::new(keep_alive, common.workers), timeout };
            Service::Http(Box::new(Application { server, host, pass_host_header, websockets, signer: None }))
        };
        let service = match target {
            Target::Static { status } => Service::Static(status),
            Target::Files { directory } => {
                // What a rewrite makes is the path below the folder.
                let route = if rewriter.is_some() { "/" } else { path.as_str() };
                Service::Files(Files::new(route, common.form, directory))
            }
            Target::Unix { socket } => application(Destination::Unix(socket), LOCALHOST),
            Target::Http { scheme, authority } => {
                let client = match (tls, identity) {
                    (TlsVerification::Verify, None) => common.verifying.clone(),
                    (TlsVerification::Insecure, None) => common.insecure.clone(),
                    (verification, identity) => Some(tls::client_config(verification.into(), identity)?),
                };
                match (destination(scheme, &authority, client), HeaderValue::from_str(authority.as_str())) {
                    (Some(destination), Ok(host)) => application(destination, host),
                    _ => return Err(InvalidUpstreams::Host { id, authority }),
                }
            }
        };
        Ok(Self { id: id.into(), rewriter, service })
    }

    /// Whether the upstream has a rewrite, and this is a path for it.
    pub(crate) fn rewrites(&self, decoded_path: &str) -> bool {
        self.rewriter.as_ref().is_some_and(|rewriter| rewriter.is_match(decoded_path))
    }

    pub(crate) fn sign_with(&mut self, signer: &Arc<Signer>) {
        if let Service::Http(application) = &mut self.service {
            application.signer = Some(Arc::clone(signer));
        }
    }

    /// The upstream's name in logs.
    pub fn id(&self) -> Arc<str> {
        Arc::clone(&self.id)
    }

    /// Whether the upstream answers the same to everything.
    pub const fn is_static(&self) -> bool {
        matches!(self.service, Service::Static(_))
    }

    /// Carries a permitted request to the application and gives back its answer, which streams. The request's target
    /// is sent as it is, or as the upstream's rewrite makes it. An upgrade needs the client's request as the HTTP engine delivered it, with its extensions.
    pub async fn forward(
        &self,
        permit: Permit,
        mut request: Request<Body>,
        how: Forwarding<'_>,
    ) -> Result<Response<Body>, ForwardError> {
        // A permit is good for one request.
        drop(permit);
        match &self.service {
            Service::Http(application) => {
                if let Some(rewriter) = &self.rewriter {
                    *request.uri_mut() = rewriter.apply(request.uri())?;
                }
                application.forward(request, how).await
            }
            Service::Files(files) => Box::pin(self.serve_file(files, request)).await,
            Service::Static(status) => Ok(simple::fixed(*status)),
        }
    }

    async fn serve_file(
        &self,
        files: &Files,
        request: Request<Body>,
    ) -> Result<Response<Body>, ForwardError> {
        let (parts, _unread) = request.into_parts();
        let rewritten = self.rewriter.as_ref().map(|rewriter| rewriter.apply(&parts.uri)).transpose()?;
        let path = rewritten.as_ref().unwrap_or(&parts.uri).path();
        Ok(files.answer(&parts, path).await)
    }
}

fn destination(
    scheme: HttpScheme,
    authority: &Authority,
    tls: Option<Arc<ClientConfig>>,
) -> Option<Destination> {
    let (host, port) = scheme.host_and_port(authority)?;
    match (scheme, tls) {
        (HttpScheme::Http, _) => Some(Destination::Tcp { host: host.into(), port, http: Cleartext::Http1 }),
        (HttpScheme::H2c, _) => Some(Destination::Tcp { host: host.into(), port, http: Cleartext::Http2 }),
        (HttpScheme::Https, Some(config)) => {
            let name = ServerName::try_from(host.to_owned()).ok()?;
            Some(Destination::Tls { host: host.into(), port, name, config })
        }
        (HttpScheme::Https, None) => None,
    }
}

impl Application {
    async fn forward(
        &self,
        mut request: Request<Body>,
        how: Forwarding<'_>,
    ) -> Result<Response<Body>, ForwardError> {
        if let Some(refusal) = refuse(&request) {
            return Ok(refusal);
        }
        let upgrade = match (websocket::is_asked(&request), self.websockets) {
            (false, _) => None,
            (true, WebSockets::Allowed) => Some(hyper::upgrade::on(&mut request)),
            (true, WebSockets::Refused) => {
                return Ok(simple::refusal(StatusCode::FORBIDDEN, "403 WebSockets are not allowed here\n"));
            }
        };
        let request = self.prepare(request, &how);
        match (&self.signer, upgrade) {
            (None, None) => self.server.exchange(request, how.worker).await,
            (None, Some(client)) => self.upgrade(request, client, how.tether).await,
            (Some(signer), upgrade) => {
                let request = match Box::pin(signer.sign(request, how.user)).await {
                    Ok(request) => request,
                    Err(SignError::TooLarge) => return Ok(too_large()),
                    Err(SignError::Body(error)) => return Err(error),
                };
                match upgrade {
                    None => self.server.exchange(request, how.worker).await,
                    Some(client) => self.upgrade(request, client, how.tether).await,
                }
            }
        }
    }

    /// Apart and boxed, so that ordinary requests do not carry the space for it.
    async fn upgrade(
        &self,
        request: Request<Body>,
        client: OnUpgrade,
        tether: Option<&Tether>,
    ) -> Result<Response<Body>, ForwardError> {
        Box::pin(websocket::open(&self.server.destination, request, client, tether.cloned())).await
    }

    /// Makes the client's request ours: what concerned its connection goes, then come the peer, the identity, and
    /// last what concerns the new connection.
    fn prepare(&self, request: Request<Body>, how: &Forwarding<'_>) -> Request<Body> {
        let (mut parts, body) = request.into_parts();
        let all = &mut parts.headers;
        headers::strip_request(all);
        if let Some(peer) = how.peer {
            headers::append_peer(all, peer);
        }
        headers::join_cookies(all);
        headers::set_identity(all, how.identity);
        match self.pass_host_header {
            HostHeader::FromClient => headers::keep_client_host(all, &parts.uri, &self.host),
            HostHeader::FromTarget => {
                all.insert(header::HOST, self.host.clone());
            }
        }
        headers::frame(&parts.method, all, &body);
        if self.server.pool.keep_alive() == KeepAlive::Close {
            all.insert(header::CONNECTION, CLOSE);
        }
        parts.uri = origin_form(parts.uri);
        parts.version = Version::HTTP_11;
        Request::from_parts(parts, body)
    }
}

/// Requests that no application may get: a tunnel to anywhere, and a target without a path (RFC 9112 section 3.2.3).
fn refuse(request: &Request<Body>) -> Option<Response<Body>> {
    if request.method() == Method::CONNECT {
        return Some(simple::refusal(StatusCode::METHOD_NOT_ALLOWED, "405 method not allowed\n"));
    }
    if request.uri().path().is_empty() {
        return Some(simple::refusal(StatusCode::BAD_REQUEST, "400 bad request target\n"));
    }
    None
}

fn too_large() -> Response<Body> {
    simple::refusal(StatusCode::PAYLOAD_TOO_LARGE, "413 request body too large\n")
}

#[cfg(test)]
mod tests;
