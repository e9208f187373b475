//! From a checked configuration to the running server: the store is opened, upstream providers are contacted, and the
//! first user is made.

use std::{
    io::{self, Write as _},
    sync::Arc,
    time::SystemTime,
};

use doorward_accounts::{Accounts, Bootstrap, NewUser, Rules, SealKey, users::BOOTSTRAP_USER};
use doorward_core::{ClientIp, Secret, SecretString, Timestamp};
use doorward_gateway::IssuerConfig;
use doorward_oauth::{
    Call, Config, OAuthServer,
    config::{Exchange, TrustedIssuer, secret_name},
};
use doorward_oidc::{
    ClientAuthentication, ClientSecret, HttpConfig, LocalProvider,
    http::local::{LocalRequest, LocalRequests},
};
use doorward_store::{Records, RecordsConfig, StoreError};
use http::{Response, StatusCode};
use tokio::task::{JoinSet, spawn_blocking};
use url::Url;

use super::{
    FirstUser, PROXY_CLIENT, Plan,
    providers::KeptProviders,
    records::{self, Beside, RecordsPlan, Seal},
};
use crate::assemble::{gateway, problems::Problems};

/// Under which the store keeps the cookie secret, if nobody wrote one.
const COOKIE_SECRET: &str = "cookie-secret";

/// The running server.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) server: Arc<OAuthServer>,
    /// Who signs for the gateway.
    pub(crate) signer: Option<Arc<doorward_gateway::Issuer>>,
    pub(crate) accounts: Arc<Accounts>,
    pub(crate) kept: KeptAccounts,
    issuer: Url,
}

/// What the next configuration takes over.
#[derive(Clone, Debug)]
pub(crate) struct KeptAccounts {
    plan: RecordsPlan,
    rules: Rules,
    seal: Secret<Vec<u8>>,
    records: Arc<Records>,
    accounts: Arc<Accounts>,
    providers: KeptProviders,
}

/// Opens the store unless `former` has it open, and makes the server.
pub(crate) async fn open(
    (plan, signer, issuers): (Plan, Option<IssuerConfig>, Vec<TrustedIssuer>),
    former: Option<&KeptAccounts>,
    problems: &mut Problems<'_>,
) -> Option<Opened> {
    let Plan { config, providers, records: records_plan, rules, first_user } = plan;
    let mut kept = match accounts(records_plan, rules, former).await {
        Ok(kept) => kept,
        Err(Closed { place, message, mend }) => {
            problems.add(place, message, mend);
            return None;
        }
    };
    let accounts = Arc::clone(&kept.accounts);
    let nothing = KeptProviders::default();
    let former = former.map_or(&nothing, |former| &former.providers);
    let before = problems.count();
    let mut connected = Vec::new();
    for planned in providers {
        connected.extend(planned.connect(former, &mut kept.providers, problems).await);
    }
    if problems.count() > before {
        return None;
    }
    let signer = gateway::signer(signer.as_ref(), Some(&accounts), problems);
    let exchange = Exchange { issuer: signer.clone(), issuers, ..config.exchange };
    let config = Config { providers: connected, exchange, ..config };
    let issuer = Url::parse(config.issuer.as_str());
    let issuer = problems.take("authServer.issuer", issuer, "write a whole URL")?;
    let server = match OAuthServer::new(config.clone(), Arc::clone(&accounts)) {
        Ok(server) => Arc::new(server),
        Err(error) => {
            for mistake in error.mistakes {
                problems.add("authServer", mistake, "correct it");
            }
            return None;
        }
    };
    if let FirstUser::Admin(password) = first_user {
        make_first_user(&accounts, password, &config, problems).await?;
    }
    Some(Opened { server, signer, accounts, kept, issuer })
}

/// The store alone, where nobody serves it but something has to be kept in it.
pub(crate) async fn open_accounts(
    (plan, rules): (RecordsPlan, Rules),
    former: Option<&KeptAccounts>,
    problems: &mut Problems<'_>,
) -> Option<KeptAccounts> {
    match accounts(plan, rules, former).await {
        Ok(kept) => Some(kept),
        Err(Closed { place, message, mend }) => {
            problems.add(place, message, mend);
            None
        }
    }
}

impl KeptAccounts {
    pub(crate) const fn accounts(&self) -> &Arc<Accounts> {
        &self.accounts
    }
}

/// Why the store did not open.
pub(crate) struct Closed {
    pub(crate) place: &'static str,
    pub(crate) message: String,
    pub(crate) mend: &'static str,
}

async fn accounts(
    plan: RecordsPlan,
    rules: Rules,
    former: Option<&KeptAccounts>,
) -> Result<KeptAccounts, Closed> {
    let former = former.filter(|former| former.plan == plan);
    if let Some(former) = former.filter(|former| former.rules == rules) {
        return Ok(KeptAccounts { providers: KeptProviders::default(), ..former.clone() });
    }
    let (records, seal) = if let Some(former) = former {
        (Arc::clone(&former.records), former.seal.clone())
    } else {
        let (records, seal) = open_records(&plan).await?;
        (Arc::new(records), seal)
    };
    let key = SealKey::new(seal.expose()).map_err(|error| no_key(error.to_string()))?;
    let accounts = Arc::new(Accounts::new(Arc::clone(&records), key, rules.clone()));
    Ok(KeptAccounts { plan, rules, seal, records, accounts, providers: KeptProviders::default() })
}

fn no_key(message: String) -> Closed {
    Closed { place: "authServer.secretKeyFile", message, mend: "name a file with a key of 32 bytes or more" }
}

/// The records and the key to them, for the server and for commands.
pub(crate) async fn open_records(plan: &RecordsPlan) -> Result<(Records, Secret<Vec<u8>>), Closed> {
    let (seal, records) = (plan.seal.clone(), plan.records.clone());
    // The key is there before anything is sealed with it.
    let content = spawn_blocking(move || seal.content(&records)).await;
    let content = content.unwrap_or_else(|_| Err("reading it failed badly".to_owned())).map_err(no_key)?;
    let records = Records::open(plan.records.clone()).await.map_err(|error| closed(&plan.records, &error))?;
    Ok((records, content))
}

fn closed(records: &RecordsConfig, error: &StoreError) -> Closed {
    let (place, mend) = match records {
        RecordsConfig::Memory => ("authServer.store", "report this"),
        RecordsConfig::Embedded { .. } => (
            "authServer.store.path",
            "name a file in a folder that the program may write, and that no other process uses",
        ),
        RecordsConfig::Redis { .. } => {
            ("authServer.store.url", "start Redis, or correct address, user and password")
        }
    };
    let message = match error {
        // The place says which option it is.
        StoreError::Misconfigured { reason, .. } => reason.clone(),
        other => other.to_string(),
    };
    Closed { place, message, mend }
}

/// The first user, with a password that is printed unless somebody chose it.
async fn make_first_user(
    accounts: &Accounts,
    given: Option<SecretString>,
    config: &Config,
    problems: &mut Problems<'_>,
) -> Option<()> {
    let made = accounts.bootstrap(given.as_ref(), now()).await;
    let place =
        if given.is_some() { "authServer.bootstrapPasswordFile" } else { "authServer.identityProviders" };
    match problems.take(place, made, "mend the store, or choose another password")? {
        Bootstrap::PasswordSet(password) if given.is_none() => introduce(&password, config),
        Bootstrap::PasswordSet(_) => {
            tracing::info!("The user {BOOTSTRAP_USER} has the password of the file.");
        }
        Bootstrap::Unchanged | Bootstrap::NotFirst => (),
    }
    Some(())
}

/// Tells the password, this once. It is written past the log, which others may read.
fn introduce(password: &SecretString, config: &Config) {
    let issuer = &config.issuer;
    let _ = writeln!(
        io::stderr(),
        "\n  This is the first start: doorward has made a user and shows the password this once.\n\n      \
         user      {BOOTSTRAP_USER}\n      password  {}\n\n  \
         Issuer: {issuer}\n  \
         Sign in and see your token: {issuer}/oauth/token/request\n  \
         The same for a program, which asks for the password:\n      \
         curl -si -u {BOOTSTRAP_USER} -H 'X-CSRF-Token: 1' \
         '{issuer}/oauth/authorize?response_type=token&client_id=openshift-challenging-client'\n",
        password.expose()
    );
}

fn now() -> Timestamp {
    Timestamp::from(SystemTime::now())
}

impl Seal {
    /// The content of the key. Makes the file beside the records if there are none yet.
    fn content(&self, kept: &RecordsConfig) -> Result<Secret<Vec<u8>>, String> {
        match self {
            Self::Given(content) => Ok(content.clone()),
            Self::Passing => records::random(),
            Self::Beside(path) => {
                let beside = match kept {
                    RecordsConfig::Embedded { path } if path.exists() => Beside::Former,
                    RecordsConfig::Embedded { .. } | RecordsConfig::Memory | RecordsConfig::Redis { .. } => {
                        Beside::First
                    }
                };
                records::key_beside(path, beside)
            }
        }
    }
}

impl Opened {
    /// Makes a user.
    pub(crate) async fn add(&self, user: NewUser, problems: &mut Problems<'_>) -> Option<()> {
        let added = self.accounts.add_user(user, now()).await;
        problems.take("authServer.identityProviders", added, "choose another user").map(drop)
    }

    /// The cookie secret that the store keeps.
    pub(crate) async fn cookie_secret(&self, problems: &mut Problems<'_>) -> Option<SecretString> {
        let secret = self.accounts.generated_secret(COOKIE_SECRET, now()).await;
        problems.take("cookie-secret", secret, "mend the store, or write a cookie secret")
    }

    /// Our own sign-in at the server, as [`Plan::own_provider`] planned it, without a network between them.
    pub(crate) async fn own_provider(
        &self,
        planned: doorward_oidc::Config,
        problems: &mut Problems<'_>,
    ) -> Option<doorward_oidc::Config> {
        let secret = self.accounts.generated_secret(&secret_name(PROXY_CLIENT), now()).await;
        let secret = problems.take("authServer.store", secret, "mend the store")?;
        let (local, requests) = LocalProvider::new(&self.issuer);
        tokio::spawn(serve(Arc::clone(&self.server), requests));
        Some(doorward_oidc::Config {
            client_authentication: ClientAuthentication::Secret(ClientSecret::Inline(secret)),
            http: HttpConfig { local: Some(local), ..planned.http },
            ..planned
        })
    }
}

/// Answers what comes the short way, until nobody is left to ask.
async fn serve(server: Arc<OAuthServer>, mut requests: LocalRequests) {
    let mut answering = JoinSet::new();
    while let Some(LocalRequest { request, answer }) = requests.next().await {
        let server = Arc::clone(&server);
        answering.spawn(async move {
            let response = respond(&server, request).await;
            // Whoever asked may have lost patience.
            let _ = answer.send(response);
        });
        while answering.try_join_next().is_some() {}
    }
}

async fn respond(server: &OAuthServer, request: http::Request<bytes::Bytes>) -> Response<bytes::Bytes> {
    let (head, body) = request.into_parts();
    let host = head.uri.host().unwrap_or_default();
    let Some(endpoint) = server.find(host, head.uri.path()) else {
        let mut nothing = Response::new(bytes::Bytes::new());
        *nothing.status_mut() = StatusCode::NOT_FOUND;
        return nothing;
    };
    let call = Call {
        method: head.method,
        path: head.uri.path().to_owned(),
        query: head.uri.query().map(ToOwned::to_owned),
        headers: head.headers,
        body,
        client: ClientIp::Unknown,
        certificates: Arc::default(),
        of_connection: Arc::default(),
        caller: None,
        now: now(),
    };
    server.answer(endpoint, call).await
}
