//! Sets of client addresses. An IPv4 address and its IPv6-mapped form are the same client.

use std::{net::IpAddr, str::FromStr};

/// Addresses and CIDR ranges; empty contains nobody.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Networks(Vec<Network>);

impl Networks {
    /// Reads addresses and CIDR ranges. Ranges with host bits (`10.0.0.1/8`) are refused, because one cannot know
    /// whether the address or the range was meant.
    pub fn parse(entries: &[String]) -> Result<Self, InvalidNetwork> {
        entries.iter().map(|entry| entry.parse()).collect::<Result<_, _>>().map(Self)
    }

    pub fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.0.iter().any(|network| network.contains(address))
    }

    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether each network of `other` lies within one of these.
    pub(crate) fn cover(&self, other: &Self) -> bool {
        let is_within =
            |inner: &Network, outer: &Network| outer.prefix <= inner.prefix && outer.contains(inner.base);
        other.0.iter().all(|inner| self.0.iter().any(|outer| is_within(inner, outer)))
    }
}

/// A text that is neither an IP address nor a CIDR range.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{entry:?} could not be recognized: {reason}")]
pub struct InvalidNetwork {
    pub entry: String,
    pub reason: &'static str,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Network {
    base: IpAddr,
    /// How many leading bits count; at most the length of the address.
    prefix: u32,
}

impl Network {
    fn contains(self, address: IpAddr) -> bool {
        match (self.base, address) {
            (IpAddr::V4(base), IpAddr::V4(address)) => {
                (base.to_bits() ^ address.to_bits()).checked_shr(32 - self.prefix).unwrap_or(0) == 0
            }
            (IpAddr::V6(base), IpAddr::V6(address)) => {
                (base.to_bits() ^ address.to_bits()).checked_shr(128 - self.prefix).unwrap_or(0) == 0
            }
            _ => false,
        }
    }

    fn has_host_bits(self) -> bool {
        match self.base {
            IpAddr::V4(base) => base.to_bits().checked_shl(self.prefix).unwrap_or(0) != 0,
            IpAddr::V6(base) => base.to_bits().checked_shl(self.prefix).unwrap_or(0) != 0,
        }
    }

    /// Ranges inside `::ffff:0:0/96` are IPv4 ranges.
    fn canonical(self) -> Self {
        match (self.base.to_canonical(), self.base) {
            (base @ IpAddr::V4(_), IpAddr::V6(_)) if 96 <= self.prefix => {
                Self { base, prefix: self.prefix - 96 }
            }
            _ => self,
        }
    }
}

impl FromStr for Network {
    type Err = InvalidNetwork;

    fn from_str(entry: &str) -> Result<Self, InvalidNetwork> {
        let refuse = |reason| InvalidNetwork { entry: entry.to_owned(), reason };
        let (base, prefix) = match entry.split_once('/') {
            Some((base, prefix)) => (base, Some(prefix)),
            None => (entry, None),
        };
        let base: IpAddr = base.parse().map_err(|_| refuse("this is no IP address or CIDR range"))?;
        let longest = if base.is_ipv4() { 32 } else { 128 };
        let prefix = match prefix {
            None => longest,
            Some(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => match digits.parse() {
                Ok(prefix) if prefix <= longest => prefix,
                _ => return Err(refuse("the prefix length is out of range")),
            },
            Some(_) => return Err(refuse("the prefix length is no number")),
        };
        let network = Self { base, prefix };
        if network.has_host_bits() {
            return Err(refuse(
                "the address has bits beyond its prefix length; write the network's first address",
            ));
        }
        Ok(network.canonical())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_in_its_networks_only() {
        for (network, address, expected) in [
            ("127.0.0.1", "127.0.0.1", true),
            ("127.0.0.1", "127.0.0.2", false),
            ("127.0.0.0/8", "127.9.9.9", true),
            ("127.0.0.0/8", "128.0.0.0", false),
            ("0.0.0.0/0", "203.0.113.9", true),
            ("0.0.0.0/0", "2001:db8::1", false),
            ("10.0.0.0/8", "::ffff:10.1.2.3", true),
            ("::ffff:10.0.0.0/104", "10.1.2.3", true),
            ("::ffff:10.0.0.1", "10.0.0.1", true),
            ("2001:db8::/32", "2001:db8::1", true),
            ("2001:db8::/32", "2001:db9::1", false),
            ("fd00::7", "fd00::7", true),
            ("fd00::7", "fd00::8", false),
            ("::/0", "2001:db8::1", true),
            ("::/0", "10.0.0.1", false),
        ] {
            let networks = Networks::parse(&[network.to_owned()]).unwrap();
            assert_eq!(networks.contains(address.parse().unwrap()), expected, "{address} in {network}");
        }
        assert!(!Networks::default().contains("127.0.0.1".parse().unwrap()));
    }

    #[test]
    fn unclear_networks_are_refused() {
        for entry in [
            "",
            "x",
            "10.0.0.1/8",
            "10.0.0.0/33",
            "10.0.0.0/+8",
            "10.0.0.0/",
            "::1/64",
            "fe80::1%eth0",
            "10.0.0.0/40",
            " 10.0.0.1",
        ] {
            assert!(Networks::parse(&[entry.to_owned()]).is_err(), "{entry}");
        }
    }
}
