//! Options of Google: which groups are looked for, and by which credentials its directory is asked.

use std::env;

use doorward_oidc::{
    DefaultCredentials, Google, GoogleCredentials, GoogleDirectory, GoogleEndpoints, ProviderKind,
    ServiceAccount, UserScope,
};
use doorward_options::structured::{Google as Written, Provider};

use crate::assemble::problems::Problems;

/// Where the directory is, unless `--profile-url` says otherwise: Google has no profile of its own.
const DIRECTORY: &str = "https://admin.googleapis.com";
/// Google's own names of what programs find at their place.
const CREDENTIALS_FILE: &str = "GOOGLE_APPLICATION_CREDENTIALS";
const METADATA_HOST: &str = "GCE_METADATA_HOST";

/// Google with what the options say. A restriction to groups that nobody would look for is a mistake.
pub(super) fn kind(provider: &Provider, problems: &mut Problems<'_>) -> Option<ProviderKind> {
    let written = &provider.google;
    let asks = !written.admin_email.is_empty()
        || !written.service_account_json.is_empty()
        || written.use_application_default_credentials
        || written.use_organization_id;
    if !asks {
        let mend = "give the credentials for the directory: --google-admin-email with --google-service-account-json \
                    or --google-use-application-default-credentials=true";
        for (option, groups) in
            [("google-group", &written.group), ("allowed-group", &provider.allowed_groups)]
        {
            if !groups.is_empty() {
                problems.add(
                    option,
                    "without credentials for Google's directory nobody's groups are known",
                    mend,
                );
                return None;
            }
        }
        return Some(ProviderKind::Google(Box::default()));
    }
    if written.admin_email.is_empty() {
        let mend = "name an administrator of the Workspace, in whose name the directory is asked";
        problems.add("google-admin-email", "missing setting: google-admin-email", mend);
    }
    let credentials = credentials(written, problems)?;
    let base = Some(&provider.profile_url).filter(|url| !url.is_empty());
    let directory = GoogleDirectory {
        credentials,
        admin_email: written.admin_email.clone(),
        organization_id: written.use_organization_id.then_some(match written.admin_api_user_scope.as_str() {
            "cloud" => UserScope::CloudPlatform,
            "user" => UserScope::User,
            _ => UserScope::UserReadonly,
        }),
        base: base.map_or_else(|| DIRECTORY.to_owned(), Clone::clone),
    };
    Some(ProviderKind::Google(Box::new(Google { groups: groups(provider), directory: Some(directory) })))
}

/// The groups that are looked for. With none named for Google, all groups of a user are read.
fn groups(provider: &Provider) -> Vec<String> {
    if provider.google.group.is_empty() { Vec::new() } else { super::allowed_groups(provider) }
}

fn credentials(written: &Written, problems: &mut Problems<'_>) -> Option<GoogleCredentials> {
    let file = written.service_account_json.as_str();
    match (file, written.use_application_default_credentials) {
        ("", true) => place(written, problems),
        ("", false) => {
            let message = "missing setting: google-service-account-json or \
                           google-use-application-default-credentials";
            problems.add("google-service-account-json", message, "name the key file of a service account");
            None
        }
        (_, true) => {
            let message =
                "both google-service-account-json and google-use-application-default-credentials are set";
            problems.add("google-service-account-json", message, "write one of them");
            None
        }
        (file, false) => {
            let mend = "name the JSON file with the key of a service account";
            let content = read(file, problems);
            let content = problems.take("google-service-account-json", content, mend)?;
            let parsed =
                ServiceAccount::parse(&content).map_err(|error| format!("the file {file:?}: {error}"));
            problems.take("google-service-account-json", parsed, mend).map(GoogleCredentials::ServiceAccount)
        }
    }
}

fn place(written: &Written, problems: &mut Problems<'_>) -> Option<GoogleCredentials> {
    let option = "google-use-application-default-credentials";
    let variable = |name: &str| env::var(name).ok().filter(|value| !value.is_empty());
    let mut endpoints = GoogleEndpoints::default();
    if let Some(host) = variable(METADATA_HOST) {
        endpoints.metadata = format!("http://{host}");
    }
    let place = match variable(CREDENTIALS_FILE) {
        None => DefaultCredentials::MetadataServer,
        Some(file) => {
            let mend = "let GOOGLE_APPLICATION_CREDENTIALS name a file of credentials";
            let content = read(&file, problems);
            let content = problems.take(option, content, mend)?;
            let parsed =
                DefaultCredentials::parse(&content).map_err(|error| format!("the file {file:?}: {error}"));
            problems.take(option, parsed, mend)?
        }
    };
    let principal = Some(written.target_principal.clone()).filter(|principal| !principal.is_empty());
    if principal.is_none() && matches!(place, DefaultCredentials::AuthorizedUser { .. }) {
        let message = "the default credentials are those of a person, so a service account has to be named";
        problems.add("google-target-principal", message, "name the service account that has the delegation");
    }
    Some(GoogleCredentials::Impersonation { place, principal, endpoints })
}

fn read(file: &str, problems: &Problems<'_>) -> Result<Vec<u8>, String> {
    problems.read(file).map_err(|error| format!("the file {file:?} cannot be read: {error}"))
}
