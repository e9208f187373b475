//! Bodies for fuzzing: each takes any bytes, must not panic, and checks what has to hold of an answer.

use url::Url;

use crate::redirect::AllowedHosts;

/// A return target (`rd`). One that is accepted leads, as browsers read it, to this site or to a host that is listed.
pub fn redirect(bytes: &[u8]) {
    let Ok(target) = str::from_utf8(bytes) else { return };
    let listed = ["app.example", ".below.example", "[2001:db8::1]:8443"].map(str::to_owned);
    let (Ok(hosts), Ok(site)) =
        (AllowedHosts::parse(&listed), Url::parse("https://site.example/oauth2/callback?code=x"))
    else {
        return;
    };
    let Ok(safe) = hosts.check(target) else { return };
    assert_eq!(safe.as_str(), target);
    let Ok(url) = site.join(target) else { return };
    assert!(
        matches!(url.scheme(), "http" | "https") && url.username().is_empty() && url.password().is_none()
    );
    let is_listed = match (url.host_str().unwrap_or(""), url.port()) {
        ("[2001:db8::1]", port) => port == Some(8443),
        (host, None) => {
            let is_of_site = host == "site.example" && target.starts_with('/');
            is_of_site || matches!(host, "app.example" | "below.example") || host.ends_with(".below.example")
        }
        (_, Some(_)) => false,
    };
    assert!(is_listed, "leads to {url}");
}

#[cfg(test)]
mod tests {
    use doorward_testkit::corpus;

    #[test]
    fn an_accepted_redirect_never_leaves_the_site() {
        corpus::run("rd", super::redirect);
    }
}
