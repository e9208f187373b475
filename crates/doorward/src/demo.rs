//! `doorward demo`: the whole of it on one machine, with nothing to prepare. A small application that shows what it
//! was told about its visitor stands behind the proxy; people sign in with the built-in server, as a user whose password is
//! printed once.

use std::{collections::BTreeMap, convert::Infallible, io, net::SocketAddr};

use doorward_accounts::{NewUser, PasswordHash, UnusablePassword};
use doorward_core::SecretString;
use doorward_net::Body;
use doorward_options::{
    Configuration, Options, Sources,
    structured::own::{AuthServer, IdentityProvider, Own, RecordStore},
};
use doorward_template::{Template, Value};
use http::{HeaderMap, HeaderValue, Request, Response, header::CONTENT_TYPE};
use hyper::{body::Incoming, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::{net::TcpListener, task::JoinSet};

const PAGE: &str = include_str!("../../doorward-server/assets/demo.html");
const STYLE: &str = include_str!("../../doorward-server/assets/style.css");
/// Tells the demo application why its visitor was let in. Nothing outside the demo sends it.
pub(crate) const GROUNDS_HEADER: &str = "x-doorward-grounds";
const USER: &str = "demo";

/// The configuration of the demo, on the given address: the built-in server with one user, who is asked everything that
/// a user may be asked, and nothing kept when it ends.
pub(crate) fn configuration(address: &str, application: SocketAddr) -> Configuration {
    let options = Options {
        http_address: address.to_owned(),
        upstreams: vec![format!("http://{application}")],
        cookie_name: "_doorward_demo".to_owned(),
        ..Options::defaults()
    };
    let users =
        IdentityProvider { name: "local".to_owned(), kind: "static".to_owned(), ..Default::default() };
    let server = AuthServer {
        store: RecordStore { kind: "memory".to_owned(), ..RecordStore::default() },
        identity_providers: vec![users],
        kubernetes_api: true,
        ..AuthServer::default()
    };
    let own = Own { auth_server: Some(server), ..Own::default() };
    let sources = Sources::default();
    Configuration { options: Box::new(options), structured: None, own: Some(Box::new(own)), sources }
}

/// The user of the demo.
pub(crate) fn user(password: &SecretString) -> Result<NewUser, UnusablePassword> {
    Ok(NewUser {
        name: USER.to_owned(),
        full_name: "Demonstration".to_owned(),
        groups: vec!["demo-users".to_owned(), "everybody".to_owned()],
        password: Some(PasswordHash::new(password.expose().as_bytes())?),
        ..NewUser::default()
    })
}

/// The application: bound to a free port of this machine, served until the returned tasks are dropped.
pub(crate) async fn serve_application() -> io::Result<(SocketAddr, JoinSet<Infallible>)> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        let mut connections = JoinSet::new();
        loop {
            if let Ok((socket, _)) = listener.accept().await {
                let service = service_fn(|request| async move { Ok::<_, Infallible>(answer(&request)) });
                connections.spawn(async move {
                    let builder = hyper::server::conn::http1::Builder::new();
                    let _ = builder.serve_connection(TokioIo::new(socket), service).await;
                });
                while connections.try_join_next().is_some() {}
            }
        }
    });
    Ok((address, tasks))
}

fn answer(request: &Request<Incoming>) -> Response<Body> {
    let page = Template::html("demo.html", PAGE)
        .map_err(|error| error.to_string())
        .and_then(|template| template.render(&describe(request.headers())).map_err(|error| error.to_string()))
        .unwrap_or_else(|error| format!("<p>{}</p>", doorward_template::escape_html(&error)));
    let mut response = Response::new(Body::from(page));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    response
}

fn describe(headers: &HeaderMap) -> Value {
    let text = |name: &str| {
        let value = headers.get(name).map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
        Value::from(value.unwrap_or_default())
    };
    let groups = headers.get("x-forwarded-groups").and_then(|value| value.to_str().ok()).unwrap_or("");
    let groups = Value::List(groups.split(',').filter(|group| !group.is_empty()).map(Value::from).collect());
    let shown = headers.iter().filter(|(name, _)| *name != "cookie" && *name != GROUNDS_HEADER).map(
        |(name, value)| {
            Value::Map(BTreeMap::from([
                ("Name".to_owned(), Value::from(name.as_str())),
                ("Value".to_owned(), Value::from(String::from_utf8_lossy(value.as_bytes()).into_owned())),
            ]))
        },
    );
    let vars = [
        ("User", text("x-forwarded-user")),
        ("Email", text("x-forwarded-email")),
        ("Groups", groups),
        ("Grounds", text(GROUNDS_HEADER)),
        ("Style", Value::Html(STYLE.to_owned())),
        ("Headers", Value::List(shown.collect())),
        ("ProxyPrefix", Value::from("/oauth2")),
        ("Version", Value::from(env!("CARGO_PKG_VERSION"))),
    ];
    Value::Map(vars.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
}
