//! Which addresses may be reached.
//!
//! A connector's URL, a customer's server address and a webhook's target are all written by
//! somebody else. None of them may lead into the network this process stands in.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;

/// Judges one address.
///
/// IPv4 in IPv6 (mapped, or translated by NAT64) is judged as the IPv4 address that the packets
/// would go to. `allowed` is the operator's list; it opens everything but cloud metadata services.
///
/// # Errors
/// What kind of address it is, with its article: `a private address`.
pub fn verdict(address: IpAddr, allowed: &[IpNet]) -> Result<(), &'static str> {
    let address = effective(address);
    if METADATA.contains(&address) {
        return Err(METADATA_NAME);
    }
    if is_allowed(address, allowed) {
        return Ok(());
    }
    special(address).map_or(Ok(()), Err)
}

/// Whether the operator's list names the address.
pub(super) fn is_allowed(address: IpAddr, allowed: &[IpNet]) -> bool {
    let address = effective(address);
    allowed.iter().any(|network| network.contains(&address))
}

/// A sentence for people: what the address is, and what the operator could do about it. `host` is
/// the name that led to it, if a name did.
pub(super) fn refusal(host: Option<&str>, address: IpAddr, kind: &str) -> String {
    let address = effective(address);
    let subject = match host {
        Some(host) => format!("{host} resolves to {address}, {kind}"),
        None => format!("{address} is {kind}"),
    };
    if METADATA.contains(&address) {
        return format!("{subject}, which is never reached");
    }
    format!(
        "{subject}; an operator can allow it with {}",
        allowing(address)
    )
}

/// The setting that would allow the address.
pub(super) fn allowing(address: IpAddr) -> String {
    let network = IpNet::from(effective(address));
    format!("egress.allow_private = [\"{network}\"]")
}

const METADATA_NAME: &str = "a cloud metadata address";

/// Where clouds hand out machine credentials to whoever asks from inside.
const METADATA: [IpAddr; 7] = [
    IpAddr::V4(Ipv4Addr::new(169, 254, 169, 254)),
    IpAddr::V4(Ipv4Addr::new(169, 254, 170, 2)),
    IpAddr::V4(Ipv4Addr::new(100, 100, 100, 200)),
    IpAddr::V4(Ipv4Addr::new(168, 63, 129, 16)),
    IpAddr::V4(Ipv4Addr::new(192, 0, 0, 192)),
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254)),
    IpAddr::V6(Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254)),
];

/// The first range that holds an address names it.
const SPECIAL_V4: &[([u8; 4], u32, &str)] = &[
    ([0, 0, 0, 0], 32, "the unspecified address"),
    ([0, 0, 0, 0], 8, "an address of this network"),
    ([10, 0, 0, 0], 8, "a private address"),
    ([100, 64, 0, 0], 10, "a shared carrier address"),
    ([127, 0, 0, 0], 8, "a loopback address"),
    ([169, 254, 0, 0], 16, "a link-local address"),
    ([172, 16, 0, 0], 12, "a private address"),
    ([192, 0, 0, 0], 24, "a protocol assignment"),
    ([192, 0, 2, 0], 24, "a documentation address"),
    ([192, 88, 99, 0], 24, "a 6to4 relay address"),
    ([192, 168, 0, 0], 16, "a private address"),
    ([198, 18, 0, 0], 15, "a benchmarking address"),
    ([198, 51, 100, 0], 24, "a documentation address"),
    ([203, 0, 113, 0], 24, "a documentation address"),
    ([224, 0, 0, 0], 4, "a multicast address"),
    ([255, 255, 255, 255], 32, "the broadcast address"),
    ([240, 0, 0, 0], 4, "a reserved address"),
];

/// As above, by the first four of the eight groups. What is outside `2000::/3` and not named is
/// reserved too.
const SPECIAL_V6: &[([u16; 4], u32, &str)] = &[
    ([0x64, 0xff9b, 1, 0], 48, "a local translation address"),
    ([0, 0, 0, 0], 8, "a reserved address"),
    ([0x100, 0, 0, 0], 64, "a discard address"),
    ([0x2001, 0, 0, 0], 32, "a Teredo address"),
    ([0x2001, 0xdb8, 0, 0], 32, "a documentation address"),
    ([0x2001, 0, 0, 0], 23, "a protocol assignment"),
    ([0x2002, 0, 0, 0], 16, "a 6to4 address"),
    ([0x3fff, 0, 0, 0], 20, "a documentation address"),
    ([0x5f00, 0, 0, 0], 16, "a segment routing address"),
    ([0xfc00, 0, 0, 0], 7, "a private address"),
    ([0xfe80, 0, 0, 0], 10, "a link-local address"),
    ([0xfec0, 0, 0, 0], 10, "a site-local address"),
    ([0xff00, 0, 0, 0], 8, "a multicast address"),
];

/// The address that packets would really go to.
fn effective(address: IpAddr) -> IpAddr {
    let IpAddr::V6(v6) = address else {
        return address;
    };
    if let Some(mapped) = v6.to_ipv4_mapped() {
        return IpAddr::V4(mapped);
    }
    match v6.segments() {
        [0x64, 0xff9b, 0, 0, 0, 0, _, _] => {
            let [.., a, b, c, d] = v6.octets();
            IpAddr::V4(Ipv4Addr::new(a, b, c, d))
        }
        _ => address,
    }
}

fn special(address: IpAddr) -> Option<&'static str> {
    match address {
        IpAddr::V4(v4) => SPECIAL_V4
            .iter()
            .find(|(base, length, _)| {
                let shift = 32 - length;
                v4.to_bits() >> shift == u32::from_be_bytes(*base) >> shift
            })
            .map(|(_, _, name)| *name),
        IpAddr::V6(Ipv6Addr::UNSPECIFIED) => Some("the unspecified address"),
        IpAddr::V6(Ipv6Addr::LOCALHOST) => Some("a loopback address"),
        IpAddr::V6(v6) => {
            let named = SPECIAL_V6.iter().find(|([a, b, c, d], length, _)| {
                let base = Ipv6Addr::new(*a, *b, *c, *d, 0, 0, 0, 0);
                let shift = 128 - length;
                v6.to_bits() >> shift == base.to_bits() >> shift
            });
            let global = v6.to_bits() >> 125 == 0b001;
            named
                .map(|(_, _, name)| *name)
                .or_else(|| (!global).then_some("a reserved address"))
        }
    }
}

#[cfg(test)]
mod tests {
    use url::{Host, Url};

    use super::*;

    /// The address that a URL's host is, as the client would see it.
    fn address(url: &str) -> IpAddr {
        match Url::parse(url).unwrap().host().unwrap() {
            Host::Ipv4(v4) => v4.into(),
            Host::Ipv6(v6) => v6.into(),
            Host::Domain(name) => panic!("{url} has the name {name}"),
        }
    }

    #[test]
    fn every_spelling_of_a_special_address_is_refused() {
        let table = [
            // loopback
            ("http://127.0.0.1/", "loopback"),
            ("http://127.0.0.1./", "loopback"),
            ("http://127.1/", "loopback"),
            ("http://127.0.1/", "loopback"),
            ("http://127.255.255.254/", "loopback"),
            ("http://2130706433/", "loopback"),
            ("http://0x7f000001/", "loopback"),
            ("http://0x7f.1/", "loopback"),
            ("http://0x7F.0x0.0x0.0x1/", "loopback"),
            ("http://0177.0.0.1/", "loopback"),
            ("http://0177.1/", "loopback"),
            ("http://017700000001/", "loopback"),
            ("http://127.0.0.0x1/", "loopback"),
            ("http://%31%32%37.0.0.1/", "loopback"),
            ("http://１２７.０.０.１/", "loopback"),
            ("http://①②⑦.⓪.⓪.①/", "loopback"),
            ("http://127。0。0。1/", "loopback"),
            ("http:\\\\127.0.0.1\\", "loopback"),
            ("http:127.0.0.1", "loopback"),
            ("http:////127.0.0.1", "loopback"),
            ("https://user@127.0.0.1/", "loopback"),
            ("http://[::1]/", "loopback"),
            ("http://[0:0:0:0:0:0:0:1]/", "loopback"),
            ("http://[0000:0000::0001]/", "loopback"),
            ("http://[::ffff:127.0.0.1]/", "loopback"),
            ("http://[::ffff:7f00:1]/", "loopback"),
            ("http://[0:0:0:0:0:FFFF:7F00:0001]/", "loopback"),
            ("http://[64:ff9b::127.0.0.1]/", "loopback"),
            ("http://[64:ff9b::7f00:1]/", "loopback"),
            // unspecified
            ("http://0.0.0.0/", "unspecified"),
            ("http://0/", "unspecified"),
            ("http://0x0/", "unspecified"),
            ("http://[::]/", "unspecified"),
            ("http://[::ffff:0.0.0.0]/", "unspecified"),
            ("http://0.1.2.3/", "this network"),
            // private
            ("http://10.0.0.5/", "private"),
            ("http://10.5/", "private"),
            ("http://167772165/", "private"),
            ("http://012.0.0.5/", "private"),
            ("http://172.16.0.1/", "private"),
            ("http://172.31.255.255/", "private"),
            ("http://192.168.0.1/", "private"),
            ("http://192.168.257/", "private"),
            ("http://0xc0a80001/", "private"),
            ("http://[::ffff:10.0.0.5]/", "private"),
            ("http://[64:ff9b::a00:5]/", "private"),
            ("http://[fc00::1]/", "private"),
            ("http://[fd12:3456:789a::1]/", "private"),
            // link-local and metadata
            ("http://169.254.1.1/", "link-local"),
            ("http://[fe80::1]/", "link-local"),
            ("http://[febf::1]/", "link-local"),
            ("http://169.254.169.254/", "metadata"),
            ("http://2852039166/", "metadata"),
            ("http://0xa9fea9fe/", "metadata"),
            ("http://0251.0376.0251.0376/", "metadata"),
            ("http://[::ffff:a9fe:a9fe]/", "metadata"),
            ("http://[::ffff:169.254.169.254]/", "metadata"),
            ("http://[64:ff9b::169.254.169.254]/", "metadata"),
            ("http://[fd00:ec2::254]/", "metadata"),
            ("http://169.254.170.2/", "metadata"),
            ("http://100.100.100.200/", "metadata"),
            ("http://168.63.129.16/", "metadata"),
            // the rest
            ("http://100.64.0.1/", "shared"),
            ("http://100.127.255.255/", "shared"),
            ("http://192.0.0.8/", "protocol"),
            ("http://192.0.2.1/", "documentation"),
            ("http://198.51.100.7/", "documentation"),
            ("http://203.0.113.9/", "documentation"),
            ("http://192.88.99.1/", "6to4"),
            ("http://198.18.0.1/", "benchmarking"),
            ("http://198.19.255.255/", "benchmarking"),
            ("http://224.0.0.1/", "multicast"),
            ("http://239.255.255.255/", "multicast"),
            ("http://240.0.0.1/", "reserved"),
            ("http://255.255.255.255/", "broadcast"),
            ("http://4294967295/", "broadcast"),
            ("http://[::127.0.0.1]/", "reserved"),
            ("http://[::2]/", "reserved"),
            ("http://[64:ff9b:1::1]/", "translation"),
            ("http://[100::1]/", "discard"),
            ("http://[2001::1]/", "Teredo"),
            ("http://[2001:1::1]/", "protocol"),
            ("http://[2001:10::1]/", "protocol"),
            ("http://[2001:db8::1]/", "documentation"),
            ("http://[3fff::1]/", "documentation"),
            ("http://[2002:7f00:1::]/", "6to4"),
            ("http://[5f00::1]/", "segment"),
            ("http://[4000::1]/", "reserved"),
            ("http://[fec0::1]/", "site-local"),
            ("http://[ff02::1]/", "multicast"),
        ];
        for (url, kind) in table {
            let found = verdict(address(url), &[]);
            assert!(
                found.is_err_and(|name| name.contains(kind)),
                "{url}: {found:?}"
            );
        }
    }

    #[test]
    fn public_addresses_pass() {
        for url in [
            "http://1.1.1.1/",
            "http://9.255.255.255/",
            "http://11.0.0.0/",
            "http://100.63.255.255/",
            "http://100.128.0.0/",
            "http://126.255.255.255/",
            "http://128.0.0.0/",
            "http://172.15.255.255/",
            "http://172.32.0.0/",
            "http://192.167.255.255/",
            "http://198.17.255.255/",
            "http://198.20.0.0/",
            "http://223.255.255.255/",
            "http://[::ffff:1.1.1.1]/",
            "http://[64:ff9b::1.1.1.1]/",
            "http://[2001:200::1]/",
            "http://[2606:4700:4700::1111]/",
            "http://[2a00:1450::1]/",
        ] {
            assert_eq!(verdict(address(url), &[]), Ok(()), "{url}");
        }
    }

    #[test]
    fn the_operator_opens_ranges_but_never_metadata() {
        let allowed = ["127.0.0.0/8".parse().unwrap(), "fd00::/8".parse().unwrap()];
        for url in [
            "http://127.0.0.1/",
            "http://[::ffff:127.0.0.1]/",
            "http://[fd12::1]/",
        ] {
            assert_eq!(verdict(address(url), &allowed), Ok(()), "{url}");
        }
        assert!(verdict(address("http://[::1]/"), &allowed).is_err());
        assert!(verdict(address("http://10.0.0.1/"), &allowed).is_err());
        let everything = ["0.0.0.0/0".parse().unwrap(), "::/0".parse().unwrap()];
        for url in ["http://169.254.169.254/", "http://[fd00:ec2::254]/"] {
            assert_eq!(
                verdict(address(url), &everything),
                Err(METADATA_NAME),
                "{url}"
            );
        }
    }

    #[test]
    fn refusals_say_what_to_add() {
        let five = address("http://10.0.0.5/");
        assert_eq!(
            refusal(None, five, "a private address"),
            "10.0.0.5 is a private address; an operator can allow it with egress.allow_private = [\"10.0.0.5/32\"]"
        );
        assert_eq!(
            refusal(
                Some("crm.internal"),
                address("http://[fd12::1]/"),
                "a private address"
            ),
            "crm.internal resolves to fd12::1, a private address; an operator can allow it with egress.allow_private = [\"fd12::1/128\"]"
        );
        assert_eq!(
            refusal(None, address("http://[::ffff:a9fe:a9fe]/"), METADATA_NAME),
            "169.254.169.254 is a cloud metadata address, which is never reached"
        );
    }
}
