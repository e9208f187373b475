//! Certificates of clients, made by `certificates/make.sh`: every one has the same key, so that who somebody is depends on
//! nothing but the certificate shown.

macro_rules! certificates {
    ($($(#[$doc:meta])* $name:ident = $file:literal;)*) => {
        $($(#[$doc])* pub const $name: &str = include_str!(concat!("../certificates/", $file));)*
    };
}

certificates! {
    /// The key of all clients.
    KEY = "client-key.pem";
    /// The authority of clients.
    CLIENTS = "clients.pem";
    /// Its list of what it has revoked.
    CLIENTS_CRL = "clients.crl";
    /// Another authority that nobody trusts.
    STRANGERS = "strangers.pem";
    /// The authority of proxies in front.
    PROXIES = "proxies.pem";
    /// In the groups dev and ops.
    BOB = "bob.pem";
    /// With the uid c-1.
    CAROL = "carol.pem";
    TWO_UIDS = "two-uids.pem";
    /// In the group dev.
    NAMELESS = "nameless.pem";
    TWO_NAMES = "two-names.pem";
    /// Called dave, in dev, and in the groups that nobody may assert.
    RESERVED_GROUPS = "reserved-groups.pem";
    RESERVED_NAME = "reserved-name.pem";
    /// Called bob, for servers only.
    SERVER_ONLY = "server-only.pem";
    /// Called bob, until 2001.
    EXPIRED = "expired.pem";
    /// Called bob, from 2100 on.
    FUTURE = "future.pem";
    /// Called erin.
    REVOKED = "revoked.pem";
    /// Called bob, of the authority that nobody trusts.
    STRANGER = "stranger.pem";
    /// The proxy in front, `edge`.
    EDGE = "edge.pem";
    /// Another proxy, `other`.
    OTHER_EDGE = "other-edge.pem";
    /// Called frank, with the intermediate authority.
    FRANK_CHAIN = "frank-chain.pem";
    /// The same without it.
    FRANK_ALONE = "frank-alone.pem";
}
