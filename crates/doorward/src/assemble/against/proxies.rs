//! Proxies in front: what oauth2-proxy does and doorward does not.

use super::{Difference, FORWARDING_HEADERS_OF_STRANGERS};

pub(super) const DIFFERENCES: &[Difference] = &[
    Difference {
        name: "proxies-trusted",
        theirs: "with `--reverse-proxy`, everybody's forwarding headers are believed",
        ours: "those of this machine and of private networks",
        switch: "`--trusted-proxy-ip` names others, `0.0.0.0/0` and `::/0` everybody",
        why: "a visitor could name another host, path or address (CVE-2026-40575)",
        met: |setup| setup.is_behind_proxy() && setup.options.trusted_proxy_ips.is_empty(),
    },
    Difference {
        name: "client-address",
        theirs: "the client address header is believed from peers that `--trusted-proxy-ip` does not name",
        ours: "believed from trusted proxies only; a list is read from its near end",
        switch: "",
        why: "it opened `--trusted-ip` and falsified logs (CVE-2024-21494)",
        met: |setup| setup.is_behind_proxy(),
    },
    Difference {
        name: "forwarded-uri",
        theirs: "`X-Forwarded-Uri` decides about `--skip-auth-route`",
        ours: "for questions at the auth endpoint and for `static://` upstreams only",
        switch: "",
        why: "`/closed` was served to whoever wrote `X-Forwarded-Uri: /open`",
        met: |setup| setup.is_behind_proxy() && setup.opens_paths(),
    },
    Difference {
        name: "repeated-forwarding-headers",
        theirs: "repeated forwarding headers: the first counts",
        ours: "400",
        switch: "",
        why: "proxy and program may mean different ones",
        met: |setup| setup.is_behind_proxy(),
    },
    Difference {
        name: "strangers-forwarding-headers",
        theirs: "forwarding headers of peers that are no trusted proxies reach applications",
        ours: "removed",
        switch: "`--compat=forwarding-headers-of-strangers` passes them on",
        why: "applications believe them",
        met: |setup| setup.is_behind_proxy() && !setup.brings_back(FORWARDING_HEADERS_OF_STRANGERS),
    },
    Difference {
        name: "redirect-header",
        theirs: "`X-Auth-Request-Redirect` is believed from everybody",
        ours: "with `--reverse-proxy` from trusted proxies only",
        switch: "",
        why: "a visitor's own wish is `rd`",
        met: |setup| setup.is_behind_proxy(),
    },
    Difference {
        name: "force-https",
        theirs: "`--force-https` needs a certificate and redirects health checks",
        ours: "works behind a proxy that ends TLS; health checks are exempt",
        switch: "",
        why: "it was of no use there",
        met: |setup| setup.options.force_https,
    },
];
