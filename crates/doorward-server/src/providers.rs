//! The identity providers of a configuration: none, one, or several among which people choose.
//!
//! With one, nothing says which: sessions, login cookies and pages are those of oauth2-proxy. With several, the login
//! cookie and the session hold the id of theirs, and whatever is done with either of them concerns that provider alone.
//! An id that is not configured (any more) is nobody's: it is never taken for another provider's. What holds no id was
//! made while there was one provider, and is of the first.

use std::sync::Arc;

use doorward_oidc::Provider;
use doorward_session::{At, LoginAttempt, Session};

/// The providers, in the order in which they are shown.
#[derive(Debug, Default)]
pub struct Providers {
    all: Vec<Known>,
}

/// One provider, and how sessions call it.
#[derive(Clone, Debug)]
pub struct Known {
    /// Not that of another.
    pub id: Arc<str>,
    pub client: Provider,
}

/// Which providers somebody may choose, where not all of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Offer<'a> {
    All,
    /// Those with these ids.
    Only(&'a [Arc<str>]),
}

impl Offer<'_> {
    pub(crate) fn holds(self, id: &str) -> bool {
        match self {
            Self::All => true,
            Self::Only(ids) => ids.iter().any(|own| **own == *id),
        }
    }
}

impl Providers {
    /// In order, each with an id of its own: of two with the same id the second is never found.
    pub const fn new(all: Vec<Known>) -> Self {
        Self { all }
    }

    /// Whether people sign in with passwords alone, or not at all.
    pub const fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// Whether people choose.
    pub const fn are_several(&self) -> bool {
        self.all.len() > 1
    }

    pub fn iter(&self) -> impl Iterator<Item = &Known> {
        self.all.iter()
    }

    /// The provider, where there is no other.
    pub const fn only(&self) -> Option<&Known> {
        match self.all.as_slice() {
            [only] => Some(only),
            _ => None,
        }
    }

    pub fn by_id(&self, id: &str) -> Option<&Known> {
        self.all.iter().find(|known| *known.id == *id)
    }

    /// The provider that a session comes from; nothing if it is not configured any more.
    pub fn of_session(&self, session: &Session) -> Option<&Known> {
        self.named(session.provider.as_deref())
    }

    /// The id of that provider.
    pub(crate) fn id_of(&self, session: &Session) -> Option<&str> {
        self.of_session(session).map(|known| &*known.id)
    }

    /// The provider to which the browser was sent; nothing if it is not configured any more.
    pub fn of_attempt(&self, attempt: &LoginAttempt) -> Option<&Known> {
        self.named(attempt.provider.as_deref())
    }

    fn named(&self, id: Option<&str>) -> Option<&Known> {
        id.map_or_else(|| self.all.first(), |id| self.by_id(id))
    }

    /// Whether a session says that it comes from a provider that is none of these.
    pub(crate) fn disowns(&self, session: &Session) -> bool {
        session.provider.as_deref().is_some_and(|id| self.by_id(id).is_none())
    }

    /// What sessions and login cookies of this provider are to say: its id, if there are several.
    pub(crate) fn mark(&self, provider: &Known) -> Option<Arc<str>> {
        self.are_several().then(|| Arc::clone(&provider.id))
    }

    /// Whose names of sessions and users a provider means.
    pub(crate) fn at(&self, provider: &Known) -> At {
        let id = Arc::clone(&provider.id);
        if self.is_first(provider) { At::First(id) } else { At::Provider(id) }
    }

    pub(crate) fn is_first(&self, provider: &Known) -> bool {
        self.all.first().is_some_and(|first| first.id == provider.id)
    }

    /// The one provider that somebody may choose; nothing if there is a choice.
    pub(crate) fn only_of(&self, offer: Offer<'_>) -> Option<&Known> {
        let mut offered = self.offered(offer);
        let first = offered.next();
        first.filter(|_| offered.next().is_none())
    }

    pub(crate) fn offered(&self, offer: Offer<'_>) -> impl Iterator<Item = &Known> {
        self.all.iter().filter(move |known| offer.holds(&known.id))
    }

    /// Whether somebody could sign in with `former` who cannot any more, because a provider does not answer.
    pub fn are_behind(&self, former: &Self) -> bool {
        let was_ready = |id: &str| former.by_id(id).is_some_and(|known| known.client.is_ready());
        let has_lost = self.all.iter().any(|known| !known.client.is_ready() && was_ready(&known.id));
        has_lost || (former.is_any_ready() && !self.is_any_ready())
    }

    /// Whether somebody can sign in: with several, one that answers is enough.
    pub(crate) fn is_any_ready(&self) -> bool {
        self.is_empty() || self.all.iter().any(|known| known.client.is_ready())
    }
}

#[cfg(test)]
mod tests {
    use doorward_oidc::{Config, Discovery, KeySource};

    use super::*;

    async fn known(id: &str) -> Known {
        let issuer = format!("https://{id}.example.com");
        let config = Config {
            discovery: Discovery::Skip,
            login_url: Some(format!("{issuer}/auth")),
            redeem_url: Some(format!("{issuer}/token")),
            keys: KeySource::Url(format!("{issuer}/keys")),
            ..Config::new(issuer.clone(), "us".to_owned())
        };
        Known { id: id.into(), client: Provider::connect(config).await.unwrap() }
    }

    fn of(provider: Option<&str>) -> (Session, LoginAttempt) {
        let provider: Option<Arc<str>> = provider.map(Into::into);
        let session = Session { provider: provider.clone(), ..Session::default() };
        (session, LoginAttempt { provider, ..LoginAttempt::new([1; 32], [2; 32]) })
    }

    /// What is marked with an id is of that provider or of none; without a mark it is of the first.
    #[tokio::test]
    async fn a_session_and_an_attempt_are_of_their_own_provider_or_of_none() {
        let none = Providers::default();
        let one = Providers::new(vec![known("main").await]);
        let two = Providers::new(vec![known("main").await, known("partner").await]);
        let swapped = Providers::new(vec![known("partner").await, known("main").await]);
        for (mark, expected) in [
            (None, [None, Some("main"), Some("main"), Some("partner")]),
            (Some("main"), [None, Some("main"), Some("main"), Some("main")]),
            (Some("partner"), [None, None, Some("partner"), Some("partner")]),
            (Some("gone"), [None; 4]),
            (Some(""), [None; 4]),
            (Some("Main"), [None; 4]),
        ] {
            let (session, attempt) = of(mark);
            for (providers, expected) in [&none, &one, &two, &swapped].into_iter().zip(expected) {
                let id = |found: Option<&Known>| found.map(|known| known.id.to_string());
                assert_eq!(id(providers.of_session(&session)).as_deref(), expected, "{mark:?}");
                assert_eq!(id(providers.of_attempt(&attempt)).as_deref(), expected, "{mark:?}");
                assert_eq!(providers.disowns(&session), mark.is_some() && expected.is_none(), "{mark:?}");
            }
        }
        let first = |providers: &Providers| providers.mark(providers.by_id("main").unwrap());
        assert_eq!(first(&one), None, "with one provider nothing is marked");
        assert_eq!(first(&two).as_deref(), Some("main"));
    }

    #[tokio::test]
    async fn an_offer_of_one_provider_is_no_choice() {
        let two = Providers::new(vec![known("main").await, known("partner").await]);
        let ids: [Arc<str>; 3] = ["partner".into(), "gone".into(), "main".into()];
        for (offer, expected, count) in [
            (Offer::All, None, 2),
            (Offer::Only(&ids[..1]), Some("partner"), 1),
            (Offer::Only(&ids[..2]), Some("partner"), 1),
            (Offer::Only(&ids[1..2]), None, 0),
            (Offer::Only(&ids), None, 2),
            (Offer::Only(&[]), None, 0),
        ] {
            assert_eq!(two.only_of(offer).map(|known| &*known.id), expected, "{offer:?}");
            assert_eq!(two.offered(offer).count(), count, "{offer:?}");
        }
    }
}
