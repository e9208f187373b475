//! GitHub, GitHub Enterprise Server, and Gitea, which answers in the same way.
//! Organisations and teams become groups (`org`, `org:slug`).

use doorward_core::{Identity, SecretString};
use serde_json::Value;
use url::Url;

use super::{Api, ApiFault, VendorError, below, pages::Paging, text};
use crate::{config::Defaults, identify::IdentifyError, printable::printable};

pub(crate) const DEFAULTS: Defaults = Defaults {
    name: "GitHub",
    login_url: "https://github.com/login/oauth/authorize",
    redeem_url: "https://github.com/login/oauth/access_token",
    profile_url: "",
    validate_url: "https://api.github.com/",
    scope: "user:email read:org",
};

/// Who of GitHub may sign in. By default everybody.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GitHub {
    pub circle: Circle,
    /// The repository that somebody must have a part in, besides being of the circle.
    pub repository: Option<GitHubRepository>,
    /// Login names that are let in without that; if they are all that is written, nobody else is.
    pub users: Vec<String>,
}

/// Who is one of ours. Names are compared without regard to case, as GitHub does.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Circle {
    #[default]
    Everybody,
    /// The members of an organisation.
    Organisation(String),
    /// The members of any of these teams.
    Teams(Vec<Team>),
}

/// A team of an organisation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Team {
    pub organisation: String,
    pub slug: String,
}

impl Team {
    fn is(&self, other: &Self) -> bool {
        self.organisation.eq_ignore_ascii_case(&other.organisation)
            && self.slug.eq_ignore_ascii_case(&other.slug)
    }
}

/// `owner/name`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GitHubRepository {
    pub owner: String,
    pub name: String,
    /// A token of somebody who may see the collaborators. With it, users must be among these; without, the user's own
    /// token says whether they may push to it, or read it if it is private.
    pub token: Option<SecretString>,
}

pub(super) async fn describe(api: Api<'_>, settings: &GitHub) -> Result<Identity, VendorError> {
    let validate = api.validate.ok_or_else(|| VendorError::malformed("the user", "no validate URL"))?;
    let asking = Asking { api, root: root(validate) };
    let organisations = asking.organisations().await?;
    let teams = asking.teams().await?;
    let login = asking.login().await?;
    asking.admit(settings, &Member { login: &login, organisations: &organisations, teams: &teams }).await?;
    let email = asking.email().await?;
    let mut groups = organisations;
    for team in teams {
        let group = format!("{}:{}", team.organisation, team.slug);
        if !groups.contains(&group) {
            groups.push(group);
        }
    }
    Ok(Identity { user: login, email, groups, ..Identity::default() })
}

struct Asking<'a> {
    api: Api<'a>,
    root: Url,
}

struct Member<'a> {
    login: &'a str,
    organisations: &'a [String],
    teams: &'a [Team],
}

impl Asking<'_> {
    async fn organisations(&self) -> Result<Vec<String>, VendorError> {
        self.list("the organisations", &["user", "orgs"], |item| organisation(Some(item))).await
    }

    async fn teams(&self) -> Result<Vec<Team>, VendorError> {
        let read = |item: &Value| {
            let owner = item.get("organization");
            let organisation = organisation(owner)?;
            // The display name of a team at GitHub is anybody's guess; at Gitea it is what the team is known by.
            let is_gitea = text(owner.and_then(|owner| owner.get("login"))).is_none();
            let slug = text(item.get(if is_gitea { "name" } else { "slug" })).ok_or("a team has no name")?;
            Ok(Team { organisation, slug: slug.to_owned() })
        };
        self.list("the teams", &["user", "teams"], read).await
    }

    async fn login(&self) -> Result<String, VendorError> {
        let what = "the user";
        let user = self.api.json(what, &below(&self.root, &["user"])).await?;
        let login =
            text(user.get("login")).ok_or_else(|| VendorError::malformed(what, "there is no login"))?;
        Ok(login.to_owned())
    }

    /// The address that is both primary and verified.
    async fn email(&self) -> Result<String, VendorError> {
        let read = |item: &Value| {
            let says = |name: &str| item.get(name).and_then(Value::as_bool) == Some(true);
            let email = text(item.get("email")).map(str::to_owned);
            Ok(email.filter(|_| says("primary")).map(|email| (email, says("verified"))))
        };
        let primary =
            self.list("the e-mail addresses", &["user", "emails"], read).await?.into_iter().flatten().next();
        match primary {
            None => Err(IdentifyError::EmailMissing.into()),
            Some((_, false)) => Err(IdentifyError::EmailUnverified.into()),
            Some((email, true)) => Ok(email),
        }
    }

    async fn admit(&self, settings: &GitHub, member: &Member<'_>) -> Result<(), VendorError> {
        if settings.users.iter().any(|user| user.eq_ignore_ascii_case(member.login)) {
            return Ok(());
        }
        let is_one = match &settings.circle {
            Circle::Everybody => settings.users.is_empty() || settings.repository.is_some(),
            Circle::Organisation(name) => {
                member.organisations.iter().any(|own| own.eq_ignore_ascii_case(name))
            }
            Circle::Teams(teams) => member.teams.iter().any(|own| teams.iter().any(|team| team.is(own))),
        };
        if !is_one {
            return Err(
                member.restricted("is in none of the organisations, teams and lists that are admitted")
            );
        }
        match &settings.repository {
            None => Ok(()),
            Some(repository) => match &repository.token {
                Some(token) => self.collaborator(repository, token, member).await,
                None => self.may_use(repository, member).await,
            },
        }
    }

    async fn collaborator(
        &self,
        repository: &GitHubRepository,
        token: &SecretString,
        member: &Member<'_>,
    ) -> Result<(), VendorError> {
        let GitHubRepository { owner, name, .. } = repository;
        let url = below(&self.root, &["repos", owner, name, "collaborators", member.login]);
        let fault = match self.api.with(token).ask(&url).await {
            Ok(answer) if answer.status.as_u16() == 204 => return Ok(()),
            Ok(answer) => ApiFault::Malformed(format!("the status is {}", answer.status.as_u16())),
            Err(ApiFault::Status(404)) => {
                return Err(member.restricted("is no collaborator of the repository"));
            }
            // It is the token of the configuration that may not ask this.
            Err(ApiFault::Status(status)) if status < 500 => {
                ApiFault::OwnToken { option: "github-token", status }
            }
            Err(fault) => fault,
        };
        Err(VendorError::Api { what: "the collaborators of the repository", fault })
    }

    /// Everybody may read a public repository, so that says nothing.
    async fn may_use(&self, repository: &GitHubRepository, member: &Member<'_>) -> Result<(), VendorError> {
        let url = below(&self.root, &["repos", &repository.owner, &repository.name]);
        let found = match self.api.json("the repository", &url).await {
            // Also for private ones that the user may not see.
            Err(VendorError::Api { fault: ApiFault::Status(403 | 404), .. }) => Value::Null,
            other => other?,
        };
        let says = |place: &str| found.pointer(place).and_then(Value::as_bool) == Some(true);
        if says("/permissions/push") || (says("/private") && says("/permissions/pull")) {
            Ok(())
        } else {
            Err(member.restricted("has no part in the repository"))
        }
    }

    async fn list<T: Send>(
        &self,
        what: &'static str,
        place: &[&str],
        read: impl Fn(&Value) -> Result<T, &'static str> + Send + Sync,
    ) -> Result<Vec<T>, VendorError> {
        let mut url = below(&self.root, place);
        url.set_query(Some("per_page=100"));
        self.api.list(what, &url, Paging::Header, read).await
    }
}

impl Member<'_> {
    fn restricted(&self, why: &str) -> VendorError {
        VendorError::Restricted(format!("the user {:?} {why}", printable(self.login, 100)))
    }
}

/// GitHub's `login`, Gitea's `name`. Neither may look like that of a team.
fn organisation(value: Option<&Value>) -> Result<String, &'static str> {
    let named = |field: &str| text(value?.get(field));
    let name = named("login").or_else(|| named("name")).ok_or("an organisation has no name")?;
    if name.contains(':') { Err("the name of an organisation has a colon") } else { Ok(name.to_owned()) }
}

/// Where the API begins: the validate URL, of which `/api/v3` and the like stay alone (GitHub Enterprise Server, Gitea).
fn root(validate: &Url) -> Url {
    let mut root = validate.clone();
    root.set_query(None);
    root.set_fragment(None);
    if let Some(versioned) = versioned(validate.path()) {
        root.set_path(&versioned);
    }
    root
}

fn versioned(path: &str) -> Option<String> {
    let mut segments = path.strip_prefix("/api/v")?.split('/');
    let number = segments.next().filter(|number| !number.is_empty())?;
    number.bytes().all(|byte| byte.is_ascii_digit()).then(|| format!("/api/v{number}"))
}
