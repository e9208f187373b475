//! The page on which a user agrees to what a client asks for (norm A3.6). What is decided lies in the store, for one use,
//! bound to the session that it was begun in: the form only says which of the boxes are ticked.

use std::time::Duration;

use doorward_accounts::{Scopes, Subject, Unavailable};
use doorward_template::words::{Message, Words};
use http::{Method, StatusCode, header::SET_COOKIE};
use serde::{Deserialize, Serialize};

use super::{Code, Known, Request};
use crate::{
    OAuthServer, answer,
    audit::{Line, Outcome},
    call::{Answer, Call},
    pages::{ConsentPage, ConsentScope, Notice},
    params::Params,
    scope,
};

/// What a question is kept as.
const KIND: &str = "interaction";
/// How long a person may think about it.
const LIFE: Duration = Duration::from_mins(10);

/// A question that is open.
#[derive(Debug, Serialize, Deserialize)]
struct Interaction {
    /// The parameters of the request.
    query: String,
    /// The session that it was asked in, and its user.
    sid: String,
    uid: String,
    /// What is asked for.
    asked: Scopes,
}

impl OAuthServer {
    /// Leads to the page.
    pub(super) async fn ask_for_consent(
        &self,
        request: &Request<'_>,
        known: Known,
        asked: &Scopes,
        call: &Call,
    ) -> Result<Answer, Unavailable> {
        let known = if known.session.is_none() { self.begin_session(known, call).await? } else { known };
        let interaction = Interaction {
            query: request.query.clone(),
            sid: known.session.as_ref().map(|session| session.sid.clone()).unwrap_or_default(),
            uid: known.user.uid.clone(),
            asked: asked.clone(),
        };
        let raw = self.accounts.keep_once(KIND, &interaction, LIFE, call.now).await?;
        let path = self.path("/oauth/authorize/approve");
        let mut answer = answer::redirect(&format!("{path}?interaction={}", raw.expose()));
        if let Some(cookie) = known.cookie {
            answer.headers_mut().append(SET_COOKIE, cookie);
        }
        Ok(answer)
    }

    /// The page, and its form.
    pub(crate) async fn approve(&self, call: &Call) -> Answer {
        let params = match Params::of_page(call) {
            Ok(params) => params,
            Err(why) => return self.notice_of_request(&why.to_string(), call),
        };
        match self.question(&params, call).await {
            Ok(Ok((known, interaction))) if call.method == Method::POST => self
                .answered(known, &interaction, &params, call)
                .await
                .unwrap_or_else(|why| self.no_store("consent", call, &why.to_string())),
            Ok(Ok((known, interaction))) => self.consent_page(&known, &interaction, &params, call),
            Ok(Err(refusal)) => refusal,
            Err(why) => self.no_store("consent", call, &why.to_string()),
        }
    }

    /// The open question that a request is about, if it comes from the session that it was asked in.
    async fn question(
        &self,
        params: &Params,
        call: &Call,
    ) -> Result<Result<(Known, Interaction), Answer>, Unavailable> {
        if call.method == Method::POST && !self.cookies.is_from_our_page(&call.headers, params.get("csrf")) {
            return Ok(Err(self.refused_form(call)));
        }
        let raw = params.get("interaction").unwrap_or_default();
        let Some(found) = self.session(call).await? else {
            return Ok(Err(self.over(call, "nobody is signed in")));
        };
        let known = Known::by_session(found);
        let Some(interaction) = self.accounts.look_once::<Interaction>(KIND, raw, call.now).await? else {
            return Ok(Err(self.over(call, "the question is not open")));
        };
        let sid = known.session.as_ref().map(|session| session.sid.as_str());
        if sid != Some(interaction.sid.as_str()) || known.user.uid != interaction.uid {
            Line::new("consent", Outcome::Deny)
                .user(&known.user.name)
                .reason("it was asked of another session")
                .write(call);
            return Ok(Err(self.pages.to(call).notice(Notice {
                explanation: Message::BeginAgain.into(),
                ..Notice::new(StatusCode::FORBIDDEN, Message::NotYours, Message::AskedOfSomebodyElse)
            })));
        }
        Ok(Ok((known, interaction)))
    }

    fn consent_page(&self, known: &Known, interaction: &Interaction, params: &Params, call: &Call) -> Answer {
        let kept = Params::of_text(&interaction.query).ok();
        let Some(request) = self.reread(kept.as_ref()) else {
            return self.over(call, "the request is not granted any more");
        };
        let Ok(browser) = self.cookies.browser(&call.headers) else { return answer::server_error() };
        let raw = params.get("interaction").unwrap_or_default().into();
        let scopes = interaction.asked.iter().enumerate().map(|(index, name)| {
            let (description, warning) = scope::explained(&self.config, name);
            let description =
                if description.is_empty() { Words::Foreign(name.to_owned()) } else { description };
            ConsentScope { field: field(index), name: name.to_owned(), description, warning }
        });
        self.pages.to(call).consent(ConsentPage {
            client: request.client.display_name(),
            place: &request.reply.place(),
            user: &known.user.name,
            scopes: scopes.collect(),
            known: request.scopes.iter().filter(|name| !interaction.asked.contains(name)).collect(),
            action: &self.path("/oauth/authorize/approve"),
            interaction: &raw,
            browser: &browser,
            form_target: &self.form_targets(&request),
        })
    }

    /// Does what the user said. Of several answers to one question one counts.
    async fn answered(
        &self,
        known: Known,
        interaction: &Interaction,
        params: &Params,
        call: &Call,
    ) -> Result<Answer, Unavailable> {
        let raw = params.get("interaction").unwrap_or_default();
        if self.accounts.take_once::<Interaction>(KIND, raw, call.now).await?.is_none() {
            return Ok(self.over(call, "the question is not open"));
        }
        let kept = Params::of_text(&interaction.query).ok();
        let Some(request) = self.reread(kept.as_ref()) else {
            return Ok(self.over(call, "the request is not granted any more"));
        };
        let before = request.scopes.clone().without(&interaction.asked);
        let is_ticked = |name: &str| {
            let index = interaction.asked.iter().position(|asked| asked == name);
            index.is_some_and(|index| params.get(&field(index)).is_some())
        };
        let ticked = interaction.asked.clone().filtered(is_ticked);
        // In the order of the request.
        let granted = request.scopes.clone().filtered(|name| before.contains(name) || ticked.contains(name));
        if params.get("answer") != Some("approve") || granted.is_empty() {
            let refused = request.refused(Code::AccessDenied, "the user did not agree");
            return self.refuse_known(&refused, known, call).await;
        }
        let subject = Subject::of_user(&known.user);
        self.accounts.add_consent(&subject, &request.client.id, &ticked, call.now).await?;
        self.give(&request, known, &granted, call).await
    }

    fn over(&self, call: &Call, why: &str) -> Answer {
        Line::new("consent", Outcome::Deny).reason(why).write(call);
        self.pages.to(call).notice(Notice {
            explanation: Message::BeginAgain.into(),
            ..Notice::new(StatusCode::BAD_REQUEST, Message::PageIsOver, Message::AnsweredBefore)
        })
    }

    /// A request that was kept. Clients and scopes may have changed since, so it is checked anew.
    pub(crate) fn reread<'a>(&'a self, kept: Option<&Params>) -> Option<Request<'a>> {
        Request::read(kept?, self.registry()).ok()
    }
}

/// The name of the box of a scope.
fn field(index: usize) -> String {
    format!("scope-{index}")
}
