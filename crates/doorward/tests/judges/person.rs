//! Somebody who signs in at the pages of the server, without a browser: forms are found and filled in.

use doorward_testkit::{Answer, Browser, Request};

use crate::place::{ALICE, PASSWORD, Place};

const MOST_STEPS: usize = 12;

/// A user with a browser.
pub(crate) struct Person {
    browser: Browser,
    issuer: String,
    name: String,
    password: String,
    /// How often she had to show her password.
    pub(crate) signed_in: usize,
    /// A provider that knows her, and her browser as it is known there.
    upstream: Option<(String, Browser)>,
    /// The address of the page she sees.
    last: String,
}

/// What a form has: where it goes, and the fields that are already filled in.
struct Form {
    action: String,
    fields: Vec<(String, String)>,
}

impl Person {
    pub(crate) fn alice(place: &Place) -> Self {
        let (name, password) = (ALICE.to_owned(), PASSWORD.to_owned());
        let (browser, issuer) = (place.browser(), place.issuer.clone());
        Self { browser, issuer, name, password, signed_in: 0, upstream: None, last: String::new() }
    }

    /// The same, who also goes to this provider when she is sent there.
    pub(crate) fn known_at(mut self, provider: &str) -> Self {
        let address = provider.trim_start_matches("http://").parse().unwrap();
        self.upstream = Some((provider.to_owned(), Browser::new(address)));
        self
    }

    /// Goes where the client sends her, signs in and agrees if asked, until she is sent back or somewhere asks for a
    /// second time with a reason: the address of that.
    #[track_caller]
    pub(crate) fn visit(&mut self, url: &str) -> String {
        let mut url = url.to_owned();
        for _ in 0..MOST_STEPS {
            let mut answer = self.follow(&url);
            if answer.status == 200 {
                if self.last.contains("reason=") {
                    return self.last.clone();
                }
                answer = self.fill_in(&answer.text());
            }
            let location = answer.location().to_owned();
            assert!(!location.is_empty(), "{} {}", answer.status, answer.text());
            if !self.is_here(&location) {
                return location;
            }
            url = location;
        }
        panic!("still not back: {url}");
    }

    /// Opens a page and follows until there is no redirect, or one to somebody else.
    #[track_caller]
    pub(crate) fn follow(&mut self, url: &str) -> Answer {
        let mut answer = self.open(url);
        for _ in 0..MOST_STEPS {
            let location = answer.location().to_owned();
            if location.is_empty() || !self.is_here(&location) {
                return answer;
            }
            answer = self.open(&location);
        }
        panic!("redirected without end: {}", answer.location());
    }

    fn is_here(&self, location: &str) -> bool {
        let upstream = self.upstream.as_ref().is_some_and(|(provider, _)| location.starts_with(provider));
        location.starts_with('/') || location.starts_with(&self.issuer) || upstream
    }

    /// One request, as a browser opens a page.
    #[track_caller]
    fn open(&mut self, url: &str) -> Answer {
        url.clone_into(&mut self.last);
        if let Some((provider, browser)) = &mut self.upstream
            && let Some(target) = url.strip_prefix(provider.as_str())
        {
            let mut answer = browser.send(Request::get(target).header("Accept", "text/html"));
            // Where it leads, seen from the server.
            if answer.location().starts_with('/') {
                let absolute = format!("{provider}{}", answer.location());
                answer.headers.0.retain(|(name, _)| !name.eq_ignore_ascii_case("location"));
                answer.headers.0.push(("Location".into(), absolute));
            }
            return answer;
        }
        let target = url.strip_prefix(&self.issuer).unwrap_or(url);
        self.browser.send(self.with_host(Request::get(target)))
    }

    fn fill_in(&mut self, page: &str) -> Answer {
        let mut form = Form::first_of(page).unwrap_or_else(|| panic!("no form:\n{page}"));
        let is_login = page.contains("name=\"password\"");
        if is_login {
            self.signed_in += 1;
            form.set("username", &self.name.clone());
            form.set("password", &self.password.clone());
        }
        let fields: Vec<_> =
            form.fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let target = form.action.strip_prefix(&self.issuer).unwrap_or(&form.action).to_owned();
        let post = Request::form(&target, &fields).header("Origin", &self.issuer);
        self.browser.send(self.with_host(post))
    }

    fn with_host(&self, request: Request) -> Request {
        let host = self.issuer.trim_start_matches("https://");
        request.header("Host", host).header("Accept", "text/html")
    }
}

impl Form {
    fn first_of(page: &str) -> Option<Self> {
        let (_, form) = page.split_once("<form")?;
        let (form, _) = form.split_once("</form>")?;
        let (head, mut rest) = form.split_once('>')?;
        let action = attribute(head, "action")?;
        let mut fields = Vec::new();
        while let Some(start) = ["<input", "<button"].iter().filter_map(|tag| rest.find(tag)).min() {
            let (tag, after) = rest.split_at(start).1.split_once('>')?;
            rest = after;
            let name = attribute(tag, "name").unwrap_or_default();
            // Of several buttons the first is pressed.
            if !name.is_empty()
                && !fields.iter().any(|(known, _)| *known == name && tag.starts_with("<button"))
            {
                fields.push((name, attribute(tag, "value").unwrap_or_default()));
            }
        }
        Some(Self { action, fields })
    }

    fn set(&mut self, name: &str, value: &str) {
        self.fields.retain(|(known, _)| known != name);
        self.fields.push((name.to_owned(), value.to_owned()));
    }
}

fn attribute(tag: &str, name: &str) -> Option<String> {
    let (_, value) = tag.split_once(&format!(" {name}=\""))?;
    let (value, _) = value.split_once('"')?;
    let plain = value.replace("&#34;", "\"").replace("&#39;", "'").replace("&#43;", "+");
    Some(plain.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&"))
}
