//! From where a request comes.

use std::net::IpAddr;

use ipnet::IpNet;

/// Proxies in front of this server, which say in `X-Forwarded-For` whom they speak for. Nobody
/// else is believed: everybody can send that header.
#[derive(Clone, Debug, Default)]
pub struct Proxies(Vec<IpNet>);

impl Proxies {
    /// Those in these networks.
    #[must_use]
    pub const fn new(networks: Vec<IpNet>) -> Self {
        Self(networks)
    }

    /// The client's address: whoever connected, or, where that is a proxy of ours, the last in
    /// its list that is none.
    #[must_use]
    pub fn client(&self, peer: IpAddr, forwarded_for: Option<&str>) -> IpAddr {
        let mut client = peer.to_canonical();
        let mut said = forwarded_for.unwrap_or_default().rsplit(',');
        while self.trusts(client) {
            let next = said
                .next()
                .and_then(|text| text.trim().parse::<IpAddr>().ok());
            let Some(next) = next else { break };
            client = next.to_canonical();
        }
        client
    }

    fn trusts(&self, address: IpAddr) -> bool {
        self.0.iter().any(|network| network.contains(&address))
    }
}

/// What guesses from an address are counted by: one household has one IPv4 address, and 2^64
/// addresses of IPv6.
pub(super) fn network_of(address: &str) -> String {
    match address.parse() {
        Ok(IpAddr::V6(address)) => {
            let network = u128::from(address) & (u128::MAX << 64);
            format!("{}/64", std::net::Ipv6Addr::from(network))
        }
        _ => address.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_proxies_of_ours_are_believed() {
        let proxies = Proxies::new(vec!["10.0.0.0/8".parse().unwrap()]);
        let client = |peer: &str, said| proxies.client(peer.parse().unwrap(), said).to_string();
        assert_eq!(client("192.0.2.1", Some("1.1.1.1")), "192.0.2.1");
        assert_eq!(client("10.0.0.1", Some("6.6.6.6, 1.1.1.1")), "1.1.1.1");
        assert_eq!(
            client("10.0.0.1", Some("6.6.6.6, 1.1.1.1, 10.0.0.2")),
            "1.1.1.1"
        );
        assert_eq!(client("10.0.0.1", Some("unknown")), "10.0.0.1");
        assert_eq!(client("10.0.0.1", None), "10.0.0.1");
        assert_eq!(
            client("::ffff:10.0.0.1", Some("2001:db8::1")),
            "2001:db8::1"
        );
    }

    #[test]
    fn neighbours_in_ipv6_are_one() {
        assert_eq!(network_of("2001:db8:0:1:2:3:4:5"), "2001:db8:0:1::/64");
        assert_eq!(network_of("192.0.2.1"), "192.0.2.1");
    }
}
