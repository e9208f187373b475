//! A person at the pages of the built-in server.

use crate::browser::{Answer, Browser, Request};

/// What stands in a field of a form.
#[track_caller]
pub fn field(page: &Answer, name: &str) -> String {
    let text = page.text();
    let (_, after) = text
        .split_once(&format!("name=\"{name}\" value=\""))
        .unwrap_or_else(|| panic!("no field {name}: {} {text}", page.status));
    let (value, _) = after.split_once('"').unwrap();
    value.replace("&amp;", "&").replace("&#43;", "+")
}

/// The path and query of an address of the program itself.
pub fn here(location: &str) -> String {
    let after = location
        .split_once("://")
        .map_or(location, |(_, rest)| rest.split_once('/').map_or("", |(_, path)| path));
    if location.starts_with('/') { location.to_owned() } else { format!("/{after}") }
}

/// A person's browser asks for a page.
pub fn visit(browser: &mut Browser, target: &str) -> Answer {
    browser.send(Request::get(target).header("Accept", "text/html"))
}

/// Follows redirects until a page comes.
pub fn follow(browser: &mut Browser, mut answer: Answer) -> Answer {
    for _ in 0..10 {
        if !matches!(answer.status, 302 | 303) {
            return answer;
        }
        answer = visit(browser, &here(answer.location()));
    }
    panic!("redirected for ever: {}", answer.location());
}

/// Signs in at the built-in server by its form, on the way to `/`.
pub fn sign_in(browser: &mut Browser, user: &str, password: &str) -> Answer {
    let first = visit(browser, "/");
    let page = follow(browser, first);
    let (then, csrf) = (field(&page, "then"), field(&page, "csrf"));
    let form = [("then", then.as_str()), ("csrf", &csrf), ("username", user), ("password", password)];
    let answer = browser.send(Request::form("/oauth/login/local", &form));
    follow(browser, answer)
}
