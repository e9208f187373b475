//! Applications: what oauth2-proxy does and doorward does not.

use super::Difference;

pub(super) const DIFFERENCES: &[Difference] = &[
    Difference {
        name: "identity-headers",
        theirs: "identity headers of clients pass where none are set, in other spellings (CVE-2025-64484), or in front of ours",
        ours: "removed in every spelling",
        switch: "`--skip-auth-strip-headers=false` keeps those that nothing replaces",
        why: "visitors could say who they are",
        met: |setup| setup.forwards() && setup.options.skip_auth_strip_headers,
    },
    Difference {
        name: "answer-headers",
        theirs: "applications can add to identity headers of answers",
        ours: "ours replace theirs",
        switch: "",
        why: "they could speak in our name",
        met: |setup| setup.forwards() && !setup.structured.inject_response_headers.is_empty(),
    },
    Difference {
        name: "upstream-trust",
        theirs: "`--ssl-insecure-skip-verify` and `--provider-ca-file` reach upstreams",
        ours: "they are about the provider",
        switch: "`--ssl-upstream-insecure-skip-verify`, and the roots of the system (`SSL_CERT_FILE`)",
        why: "upstreams were not verified",
        met: |setup| {
            setup.verifies_upstreams()
                && (setup.options.ssl_insecure_skip_verify || setup.has_own_authorities())
        },
    },
    Difference {
        name: "websockets-refused",
        theirs: "`--proxy-websockets=false` changes nothing",
        ours: "WebSockets are refused",
        switch: "leave the option out to allow them",
        why: "that is what it says",
        met: |setup| setup.upstreams().any(|upstream| upstream.proxy_websockets == Some(false)),
    },
    Difference {
        name: "folder-lists",
        theirs: "`file://` lists folders",
        ours: "it does not",
        switch: "",
        why: "nobody asked for lists",
        met: |setup| setup.upstreams().any(|upstream| upstream.uri.starts_with("file:")),
    },
    Difference {
        name: "header-lines",
        theirs: "several lines of a header are joined with commas",
        ours: "Cookie lines with semicolons, others not at all",
        switch: "",
        why: "commas spoil cookies",
        met: |setup| setup.forwards(),
    },
    Difference {
        name: "signature-md5",
        theirs: "`--signature-key` knows md5",
        ours: "it does not",
        switch: "",
        why: "md5",
        met: |setup| setup.is_set("signature-key"),
    },
    Difference {
        name: "flush-interval",
        theirs: "`--flush-interval` delays what applications send",
        ours: "nothing is ever delayed; the option has nothing to do",
        switch: "",
        why: "events arrive at once",
        met: |setup| {
            setup.is_set("flush-interval")
                || setup.is_structured()
                    && setup.upstreams().any(|upstream| upstream.flush_interval.is_some())
        },
    },
    Difference {
        name: "websockets-unix",
        theirs: "WebSockets fail over unix sockets, and their failures have no page",
        ours: "they work, and have one",
        switch: "",
        why: "one way for all requests",
        met: |setup| setup.upstreams().any(|upstream| upstream.uri.starts_with("unix:")),
    },
];
