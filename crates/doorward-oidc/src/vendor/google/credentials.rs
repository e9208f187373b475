//! How we come by a token for the directory of a Workspace. A service account signs that it asks in the name of an
//! administrator (RFC 7523 section 2.1), with its own key; or Google signs that for it, if we prove by the credentials of
//! the place where we run that we may act for it (signJwt of the IAM Credentials API). A token is kept until shortly
//! before its end.

use std::{
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use doorward_core::{SecretString, Timestamp};
use doorward_jose::{Algorithm, ClientKey};
use http::{StatusCode, header};
use reqwest::RequestBuilder;
use serde_json::{Map, Value, json};
use url::Url;

use super::{GoogleDirectory, failed, malformed, scopes};
use crate::{
    http::HttpClient,
    printable::printable,
    token_endpoint::{TokenRequestError, read_answer},
    vendor::{ApiFault, VendorError},
};

/// Scopes to ask for, separated by blanks.
pub(crate) type Scopes = String;

/// What proves that we may ask the directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GoogleCredentials {
    /// The key file of a service account, to which the administrator delegated the scopes.
    ServiceAccount(ServiceAccount),
    /// Google signs for `principal`, a service account to which the scopes were delegated; nothing: for the one that
    /// `place` names.
    Impersonation { place: DefaultCredentials, principal: Option<String>, endpoints: GoogleEndpoints },
}

/// A service account with its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceAccount {
    pub email: String,
    pub key: Arc<ClientKey>,
    /// Where it gets tokens.
    pub token_url: String,
}

/// What there is to show at the place where we run (Application Default Credentials).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DefaultCredentials {
    /// The metadata server of Google Cloud.
    MetadataServer,
    ServiceAccount(ServiceAccount),
    /// What a person left behind with `gcloud auth application-default login`.
    AuthorizedUser {
        client_id: String,
        client_secret: SecretString,
        refresh_token: SecretString,
    },
    /// Workload identity federation (RFC 8693): a token that another platform writes into a file.
    Workload(Workload),
}

/// A workload that another platform vouches for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Workload {
    /// The provider of the workload identity pool.
    pub audience: String,
    pub subject_token_type: String,
    pub token_url: String,
    /// Read again each time.
    pub subject_token_file: PathBuf,
    /// The member of a JSON document in that file that is the token; nothing: the file is the token.
    pub subject_token_field: Option<String>,
    /// Whom to become with it, by a URL of the IAM Credentials API.
    pub impersonation_url: Option<String>,
}

/// Where Google is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GoogleEndpoints {
    pub token: String,
    pub iam_credentials: String,
    pub metadata: String,
}

impl Default for GoogleEndpoints {
    fn default() -> Self {
        Self {
            token: "https://oauth2.googleapis.com/token".to_owned(),
            iam_credentials: "https://iamcredentials.googleapis.com".to_owned(),
            metadata: "http://metadata.google.internal".to_owned(),
        }
    }
}

/// Why a file holds no credentials of Google.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidGoogleCredentials {
    #[error("it is not a JSON object")]
    NoObject,
    #[error("it has no text {0}")]
    Missing(&'static str),
    #[error("its {0} is not an http or https URL")]
    Url(&'static str),
    #[error("its private_key cannot be used: {0}")]
    Key(String),
    #[error("its type {0:?} is none of service_account, authorized_user and external_account")]
    Type(String),
    #[error("its credential_source is not a file; doorward reads the token of a workload from files only")]
    Source,
}

impl ServiceAccount {
    /// Reads a key file.
    pub fn parse(file: &[u8]) -> Result<Self, InvalidGoogleCredentials> {
        Self::of(&object(file)?)
    }

    fn of(fields: &Map<String, Value>) -> Result<Self, InvalidGoogleCredentials> {
        let key_id = fields.get("private_key_id").and_then(Value::as_str);
        let key = ClientKey::read(text(fields, "private_key")?.as_bytes(), Some(Algorithm::Rs256), key_id)
            .map_err(|error| InvalidGoogleCredentials::Key(error.to_string()))?;
        let token_url = match fields.get("token_uri") {
            None => GoogleEndpoints::default().token,
            Some(_) => url(fields, "token_uri")?,
        };
        Ok(Self { email: text(fields, "client_email")?.to_owned(), key: Arc::new(key), token_url })
    }
}

impl DefaultCredentials {
    /// Reads the file that `GOOGLE_APPLICATION_CREDENTIALS` names.
    pub fn parse(file: &[u8]) -> Result<Self, InvalidGoogleCredentials> {
        let fields = &object(file)?;
        Ok(match text(fields, "type")? {
            "service_account" => Self::ServiceAccount(ServiceAccount::of(fields)?),
            "authorized_user" => Self::AuthorizedUser {
                client_id: text(fields, "client_id")?.to_owned(),
                client_secret: text(fields, "client_secret")?.into(),
                refresh_token: text(fields, "refresh_token")?.into(),
            },
            "external_account" => Self::Workload(workload(fields)?),
            other => return Err(InvalidGoogleCredentials::Type(printable(other, 60))),
        })
    }

    /// Whose they are, if that is a service account they name.
    fn principal(&self) -> Option<&str> {
        match self {
            Self::ServiceAccount(account) => Some(&account.email),
            // …/serviceAccounts/NAME:generateAccessToken
            Self::Workload(workload) => {
                let (_, last) = workload.impersonation_url.as_deref()?.rsplit_once('/')?;
                last.split_once(':').map(|(name, _)| name)
            }
            Self::MetadataServer | Self::AuthorizedUser { .. } => None,
        }
    }
}

fn workload(fields: &Map<String, Value>) -> Result<Workload, InvalidGoogleCredentials> {
    let source = fields.get("credential_source").ok_or(InvalidGoogleCredentials::Source)?;
    let file = source.get("file").and_then(Value::as_str).ok_or(InvalidGoogleCredentials::Source)?;
    let field = match source.pointer("/format/type").and_then(Value::as_str) {
        None | Some("text") => None,
        Some(_) => {
            let field = source.pointer("/format/subject_token_field_name").and_then(Value::as_str);
            Some(field.ok_or(InvalidGoogleCredentials::Missing("subject_token_field_name"))?.to_owned())
        }
    };
    let impersonation_url = match fields.get("service_account_impersonation_url") {
        None | Some(Value::Null) => None,
        Some(_) => Some(url(fields, "service_account_impersonation_url")?),
    };
    Ok(Workload {
        audience: text(fields, "audience")?.to_owned(),
        subject_token_type: text(fields, "subject_token_type")?.to_owned(),
        token_url: url(fields, "token_url")?,
        subject_token_file: file.into(),
        subject_token_field: field,
        impersonation_url,
    })
}

fn object(file: &[u8]) -> Result<Map<String, Value>, InvalidGoogleCredentials> {
    serde_json::from_slice(file).map_err(|_| InvalidGoogleCredentials::NoObject)
}

fn text<'a>(fields: &'a Map<String, Value>, name: &'static str) -> Result<&'a str, InvalidGoogleCredentials> {
    let found = fields.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
    found.ok_or(InvalidGoogleCredentials::Missing(name))
}

fn url(fields: &Map<String, Value>, name: &'static str) -> Result<String, InvalidGoogleCredentials> {
    let written = text(fields, name)?;
    let is_web = |url: &Url| matches!(url.scheme(), "http" | "https") && url.has_host();
    match Url::parse(written) {
        Ok(url) if is_web(&url) => Ok(written.to_owned()),
        _ => Err(InvalidGoogleCredentials::Url(name)),
    }
}

/// The token of this hour.
#[derive(Debug, Default)]
pub(crate) struct TokenCache(Mutex<Option<(SecretString, Timestamp)>>);

/// A token is asked for anew this long before its end.
const MARGIN: Duration = Duration::from_mins(1);
/// What Google allows an assertion to last at most.
const ASSERTION_LIFE: Duration = Duration::from_hours(1);
const JWT_BEARER: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";
const CLOUD: &str = "https://www.googleapis.com/auth/cloud-platform";
const WHAT: &str = "a token for the directory (is the delegation to the service account set up?)";

impl TokenCache {
    /// A token that the directory takes, kept or new.
    pub(super) async fn token(
        &self,
        directory: &GoogleDirectory,
        http: &HttpClient,
        now: Timestamp,
    ) -> Result<SecretString, VendorError> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some((token, end)) = kept
            && now.saturating_add(MARGIN) < end
        {
            return Ok(token);
        }
        let (token, life) = fetch(directory, Clerk { http, now }).await?;
        let end = now.saturating_add(life);
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some((token.clone(), end));
        Ok(token)
    }

    /// The kept token turned out to be worth nothing.
    pub(super) fn forget(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

/// Tries one scope after the other: Google refuses those that nobody delegated.
async fn fetch(
    directory: &GoogleDirectory,
    clerk: Clerk<'_>,
) -> Result<(SecretString, Duration), VendorError> {
    let mut refused = None;
    for scope in scopes(directory) {
        let (assertion, token_url) = clerk.assertion(directory, &scope).await?;
        let fields = [("grant_type", JWT_BEARER), ("assertion", assertion.expose())];
        match clerk.exchange(token_url, &fields, &assertion).await {
            Err(error) if error.is_undelegated() => refused = Some(error),
            outcome => return outcome.map_err(Refusal::into_error),
        }
    }
    Err(refused.map_or_else(|| malformed(WHAT, "there is no scope to ask for"), Refusal::into_error))
}

/// Whoever gets tokens.
#[derive(Clone, Copy)]
struct Clerk<'a> {
    http: &'a HttpClient,
    now: Timestamp,
}

/// Why a token endpoint of Google gave nothing.
struct Refusal(TokenRequestError);

impl Refusal {
    fn is_undelegated(&self) -> bool {
        matches!(&self.0, TokenRequestError::Refused { error, .. } if error == "unauthorized_client")
    }

    fn into_error(self) -> VendorError {
        let fault = match self.0 {
            TokenRequestError::Http(error) => ApiFault::Http(error),
            TokenRequestError::Failed { status } => ApiFault::Status(status),
            TokenRequestError::Refused { status: 429, .. } => ApiFault::RateLimited,
            refused @ TokenRequestError::Refused { .. } => ApiFault::Refused(refused.to_string()),
            other => ApiFault::Malformed(other.to_string()),
        };
        VendorError::Api { what: WHAT, fault }
    }
}

impl Clerk<'_> {
    /// A signed word that we ask in the administrator's name, and the token endpoint that it is for.
    async fn assertion<'a>(
        &self,
        directory: &'a GoogleDirectory,
        scope: &str,
    ) -> Result<(SecretString, &'a str), VendorError> {
        match &directory.credentials {
            GoogleCredentials::ServiceAccount(account) => {
                let claims =
                    self.claims(&account.email, Some(&directory.admin_email), (scope, &account.token_url));
                Ok((sign(account, &claims)?, &account.token_url))
            }
            GoogleCredentials::Impersonation { place, principal, endpoints } => {
                let ours = self.place_token(place, endpoints).await?;
                let named = principal.as_deref().or_else(|| place.principal());
                let principal = match (named, place) {
                    (Some(name), _) => name.to_owned(),
                    (None, DefaultCredentials::MetadataServer) => {
                        let path = "/computeMetadata/v1/instance/service-accounts/default/email";
                        let body = self.metadata(&endpoints.metadata, path).await?;
                        String::from_utf8_lossy(&body).trim().to_owned()
                    }
                    (None, _) => {
                        return Err(malformed(
                            WHAT,
                            "--google-target-principal has to name the service account",
                        ));
                    }
                };
                let claims = self.claims(&principal, Some(&directory.admin_email), (scope, &endpoints.token));
                let signed =
                    self.signed_by_google(&endpoints.iam_credentials, &principal, (&claims, &ours)).await?;
                Ok((signed, &endpoints.token))
            }
        }
    }

    fn claims(&self, account: &str, subject: Option<&str>, (scope, audience): (&str, &str)) -> Value {
        let mut claims = json!({
            "iss": account, "scope": scope, "aud": audience,
            "iat": self.now.seconds, "exp": self.now.saturating_add(ASSERTION_LIFE).seconds,
        });
        if let (Some(subject), Value::Object(claims)) = (subject, &mut claims) {
            claims.insert("sub".to_owned(), subject.into());
        }
        claims
    }

    /// A token by which Google's own services know the place where we run.
    async fn place_token(
        &self,
        place: &DefaultCredentials,
        endpoints: &GoogleEndpoints,
    ) -> Result<SecretString, VendorError> {
        let token = match place {
            DefaultCredentials::MetadataServer => {
                let path = "/computeMetadata/v1/instance/service-accounts/default/token";
                let body = self.metadata(&endpoints.metadata, path).await?;
                return access_token(&body, "access_token");
            }
            DefaultCredentials::ServiceAccount(account) => {
                let claims = self.claims(&account.email, None, (CLOUD, &account.token_url));
                let assertion = sign(account, &claims)?;
                let fields = [("grant_type", JWT_BEARER), ("assertion", assertion.expose())];
                self.exchange(&account.token_url, &fields, &assertion).await
            }
            DefaultCredentials::AuthorizedUser { client_id, client_secret, refresh_token } => {
                let fields = [
                    ("grant_type", "refresh_token"),
                    ("client_id", client_id),
                    ("client_secret", client_secret.expose()),
                    ("refresh_token", refresh_token.expose()),
                ];
                self.exchange(&endpoints.token, &fields, refresh_token).await
            }
            DefaultCredentials::Workload(workload) => return self.workload_token(workload).await,
        };
        token.map(|(token, _)| token).map_err(Refusal::into_error)
    }

    async fn workload_token(&self, workload: &Workload) -> Result<SecretString, VendorError> {
        let subject = subject_token(workload).await?;
        let fields = [
            ("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange"),
            ("requested_token_type", "urn:ietf:params:oauth:token-type:access_token"),
            ("audience", &workload.audience),
            ("scope", CLOUD),
            ("subject_token_type", &workload.subject_token_type),
            ("subject_token", subject.expose()),
        ];
        let exchanged = self.exchange(&workload.token_url, &fields, &subject).await;
        let (token, _) = exchanged.map_err(Refusal::into_error)?;
        match &workload.impersonation_url {
            None => Ok(token),
            Some(url) => {
                let body = self.call(url, &json!({"scope": [CLOUD]}), &token).await?;
                access_token(&body, "accessToken")
            }
        }
    }

    async fn signed_by_google(
        &self,
        base: &str,
        principal: &str,
        (claims, ours): (&Value, &SecretString),
    ) -> Result<SecretString, VendorError> {
        let mut url = Url::parse(base).map_err(|_| malformed(WHAT, "the address of IAM is not a URL"))?;
        url.path_segments_mut()
            .map_err(|()| malformed(WHAT, "the address of IAM is not a URL"))?
            .pop_if_empty()
            .extend(["v1", "projects", "-", "serviceAccounts", &format!("{principal}:signJwt")]);
        let body = self.call(url.as_str(), &json!({"payload": claims.to_string()}), ours).await?;
        access_token(&body, "signedJwt")
    }

    /// Calls an API of Google's with a JSON document.
    async fn call(&self, url: &str, body: &Value, token: &SecretString) -> Result<Vec<u8>, VendorError> {
        let url = Url::parse(url).map_err(|_| malformed(WHAT, "an address is not a URL"))?;
        let request = self.http.post(url).bearer_auth(token.expose());
        let request = request.header(header::CONTENT_TYPE, "application/json").body(body.to_string());
        self.body(request).await
    }

    async fn metadata(&self, base: &str, path: &str) -> Result<Vec<u8>, VendorError> {
        let url = Url::parse(base).and_then(|base| base.join(path));
        let url = url.map_err(|_| malformed(WHAT, "the address of the metadata server is not a URL"))?;
        self.body(self.http.get(url).header("metadata-flavor", "Google")).await
    }

    async fn body(&self, request: RequestBuilder) -> Result<Vec<u8>, VendorError> {
        let answer = self.http.send(request).await.map_err(|error| failed(WHAT, error))?;
        match answer.status {
            StatusCode::OK => Ok(answer.body),
            status => Err(super::refused(WHAT, &answer, status)),
        }
    }

    /// Asks a token endpoint; `secret` must not turn up in messages.
    async fn exchange(
        &self,
        url: &str,
        fields: &[(&str, &str)],
        secret: &SecretString,
    ) -> Result<(SecretString, Duration), Refusal> {
        let url = Url::parse(url).map_err(|_| Refusal(TokenRequestError::NoRedeemUrl))?;
        let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        let request = self.http.post(url).header(header::ACCEPT, "application/json");
        let request = request.header(header::CONTENT_TYPE, "application/x-www-form-urlencoded").body(body);
        let answer = self.http.send(request).await.map_err(|error| Refusal(error.into()))?;
        let tokens = read_answer(&answer, [secret].into_iter()).map_err(Refusal)?;
        Ok((tokens.access, tokens.expires_in.unwrap_or(MARGIN)))
    }
}

fn sign(account: &ServiceAccount, claims: &Value) -> Result<SecretString, VendorError> {
    account.key.sign("JWT", claims).map_err(|error| malformed(WHAT, &error.to_string()))
}

fn access_token(body: &[u8], field: &str) -> Result<SecretString, VendorError> {
    let document: Value = serde_json::from_slice(body).unwrap_or_default();
    let token = document.get(field).and_then(Value::as_str).filter(|token| !token.is_empty());
    token.map(SecretString::from).ok_or_else(|| malformed(WHAT, "an answer holds no token"))
}

async fn subject_token(workload: &Workload) -> Result<SecretString, VendorError> {
    let path = workload.subject_token_file.display();
    let wrong =
        |reason: &str| malformed(WHAT, &format!("the file {path} with the token of the workload: {reason}"));
    let text = tokio::fs::read_to_string(&workload.subject_token_file).await;
    let text = text.map_err(|error| wrong(&error.to_string()))?;
    let token = match &workload.subject_token_field {
        None => text.trim().to_owned(),
        Some(field) => {
            let document: Value = serde_json::from_str(&text).unwrap_or_default();
            document.get(field).and_then(Value::as_str).unwrap_or_default().to_owned()
        }
    };
    if token.is_empty() { Err(wrong("there is no token in it")) } else { Ok(token.into()) }
}
