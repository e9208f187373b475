//! Options of the places where code is kept: GitHub, GitLab, Bitbucket.

use doorward_oidc::{
    Bitbucket, BitbucketRepository, Circle, GitHub, GitHubRepository, GitLab, Project, Team,
};
use doorward_options::structured::Provider;

use crate::assemble::problems::Problems;

const REPOSITORY: &str = "write the repository as owner/name";

/// All that is written is heeded; what cannot be read is told and lets nobody in.
pub(super) fn github(provider: &Provider, problems: &mut Problems<'_>) -> Option<GitHub> {
    let written = &provider.github;
    let circle = circle(&written.org, &written.team);
    let circle =
        problems.take("github-team", circle, "write teams as org:slug, or name the organisation too");
    let repository = match written.repo.as_str() {
        "" if !written.token.expose().is_empty() => {
            let message = "the token is for asking about a repository, and none is named";
            problems.add("github-token", message, "name it by github-repo, or take the token away");
            return None;
        }
        "" => None,
        repo => {
            let (owner, name) = problems.take("github-repo", owner_and_name(repo), REPOSITORY)?;
            let token = Some(written.token.clone()).filter(|token| !token.expose().is_empty());
            Some(GitHubRepository { owner, name, token })
        }
    };
    Some(GitHub { circle: circle?, repository, users: written.users.clone() })
}

fn circle(organisation: &str, teams: &str) -> Result<Circle, String> {
    let slugs: Vec<&str> = teams.split(',').map(str::trim).filter(|slug| !slug.is_empty()).collect();
    match (organisation, slugs.as_slice()) {
        ("", []) if teams.is_empty() => Ok(Circle::Everybody),
        (_, []) if !teams.is_empty() => Err("there is no team in it".to_owned()),
        (organisation, []) => Ok(Circle::Organisation(organisation.to_owned())),
        (organisation, slugs) => {
            slugs.iter().map(|slug| team(organisation, slug)).collect::<Result<_, _>>().map(Circle::Teams)
        }
    }
}

/// With an organisation beside it, a slug; alone, `org:slug`.
fn team(organisation: &str, written: &str) -> Result<Team, String> {
    let parts = if organisation.is_empty() { written.split_once(':') } else { Some((organisation, written)) };
    match parts {
        Some((organisation, slug)) if !organisation.is_empty() && !slug.is_empty() && !slug.contains(':') => {
            Ok(Team { organisation: organisation.to_owned(), slug: slug.to_owned() })
        }
        _ => Err(format!("{written:?} names no team")),
    }
}

fn owner_and_name(written: &str) -> Result<(String, String), String> {
    let is_name = |part: &str| {
        !matches!(part, "" | "." | "..")
            && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'))
    };
    match written.split_once('/') {
        Some((owner, name)) if is_name(owner) && is_name(name) => Ok((owner.to_owned(), name.to_owned())),
        _ => Err(format!("{written:?} names no repository")),
    }
}

pub(super) fn gitlab(provider: &Provider, problems: &mut Problems<'_>) -> Option<GitLab> {
    let mend = "write projects as namespace/project=level, the level being 10, 20, 30 or 40";
    let written = &provider.gitlab.projects;
    let projects =
        written.iter().map(|project| problems.take("gitlab-project", Project::parse(project), mend));
    // All mistakes are told, not only the first.
    let projects: Vec<Option<Project>> = projects.collect();
    Some(GitLab { projects: projects.into_iter().collect::<Option<_>>()? })
}

/// The groups of those who have a part in one of the projects.
pub(super) fn projects(provider: &Provider) -> impl Iterator<Item = String> {
    provider.gitlab.projects.iter().filter_map(|project| Some(Project::parse(project).ok()?.group()))
}

pub(super) fn bitbucket(provider: &Provider, problems: &mut Problems<'_>) -> Option<Bitbucket> {
    let written = &provider.bitbucket;
    let repository = match written.repository.as_str() {
        "" => None,
        repository => {
            let (workspace, name) =
                problems.take("bitbucket-repository", owner_and_name(repository), REPOSITORY)?;
            Some(BitbucketRepository { workspace, name })
        }
    };
    let team = Some(written.team.clone()).filter(|team| !team.is_empty());
    Some(Bitbucket { team, repository })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn teams_are_named_beside_an_organisation_or_with_theirs() {
        let team =
            |organisation: &str, slug: &str| Team { organisation: organisation.into(), slug: slug.into() };
        for (organisation, teams, expected) in [
            ("", "", Some(Circle::Everybody)),
            ("acme", "", Some(Circle::Organisation("acme".into()))),
            ("acme", "core, ops", Some(Circle::Teams(vec![team("acme", "core"), team("acme", "ops")]))),
            ("", "acme:core,b:ops,", Some(Circle::Teams(vec![team("acme", "core"), team("b", "ops")]))),
            ("", "core", None),
            ("", "acme:core,ops", None),
            ("", "acme:", None),
            ("", ":core", None),
            ("", "a:b:c", None),
            ("acme", "other:core", None),
            ("acme", ",", None),
            ("", " ", None),
        ] {
            assert_eq!(circle(organisation, teams).ok(), expected, "{organisation} {teams}");
        }
    }

    #[test]
    fn a_repository_has_an_owner_and_a_name() {
        for (written, is_one) in [
            ("acme/site", true),
            ("a-b/c_d.e", true),
            ("acme", false),
            ("acme/", false),
            ("/site", false),
            ("acme/site/more", false),
            ("acme/..", false),
            ("acme/site?x", false),
            ("acme/si\"te", false),
        ] {
            assert_eq!(owner_and_name(written).is_ok(), is_one, "{written}");
        }
    }
}
