//! What a request's headers say on the way to a site: nothing that only the router may say, and for
//! whom it asks.

use std::net::IpAddr;

use http::header::{AUTHORIZATION, COOKIE, FORWARDED};
use http::{HeaderName, HeaderValue};
use pingora_core::Result;
use pingora_core::protocols::Digest;
use pingora_http::RequestHeader;
use topology::spec::edge::Cidr;
use topology::wire::header;

use crate::identity::visitor;

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// Who stands at the other end of the client's connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Client {
    pub(crate) address: IpAddr,
    pub(crate) is_tls: bool,
}

impl Client {
    /// Returns none for a connection that is not over IP.
    pub(crate) fn of(digest: Option<&Digest>) -> Option<Self> {
        let digest = digest?;
        let socket = digest.socket_digest.as_ref()?;
        let address = socket.peer_addr()?.as_inet()?.ip().to_canonical();
        Some(Self { address, is_tls: digest.ssl_digest.is_some() })
    }
}

/// Removes what only the router may say, and what only it may read; says who asked, and how.
pub(crate) fn prepare(
    request: &mut RequestHeader,
    client: Option<Client>,
    trusted: &[Cidr],
) -> Result<()> {
    let is_trusted =
        client.is_some_and(|client| trusted.iter().any(|network| network.contains(client.address)));
    strip(request, is_trusted);
    if let Some(others) = visitor::without(&request.headers) {
        request.remove_header(&COOKIE);
        if let Ok(others) = HeaderValue::try_from(others)
            && !others.is_empty()
        {
            request.insert_header(COOKIE, others)?;
        }
    }
    let Some(client) = client else { return Ok(()) };
    let proto = if client.is_tls { "https" } else { "http" };
    let node = match client.address {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => format!("\"[{address}]\""),
    };
    request.append_header(FORWARDED, format!("for={node};proto={proto}"))?;
    request.append_header(FORWARDED_FOR, client.address.to_string())?;
    if !request.headers.contains_key(FORWARDED_PROTO) {
        request.insert_header(FORWARDED_PROTO, proto)?;
    }
    Ok(())
}

/// Removes what only the router may say, what only it may read, and unless its proxy is trusted what
/// a client says of itself.
pub(crate) fn strip(request: &mut RequestHeader, is_trusted: bool) {
    let unwanted: Vec<HeaderName> = request
        .headers
        .keys()
        .filter(|name| is_ours(name.as_str()) || (!is_trusted && is_hearsay(name.as_str())))
        .cloned()
        .collect();
    for name in &unwanted {
        request.remove_header(name);
    }
    request.remove_header(&AUTHORIZATION);
}

/// An underscore is no different from a hyphen to programs that read headers from an environment,
/// so a name with one could pass for any other.
fn is_ours(name: &str) -> bool {
    name.starts_with(header::PREFIX) || name.contains('_')
}

/// What a client says of itself, and only a proxy could know.
fn is_hearsay(name: &str) -> bool {
    name.starts_with("x-forwarded-") || name == "forwarded" || name == "x-real-ip"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_not_trusted_is_not_believed() {
        assert_eq!(
            sent("192.0.2.7", false),
            "accept: */*\nforwarded: for=192.0.2.7;proto=https\nx-forwarded-for: 192.0.2.7\n\
             x-forwarded-proto: https"
        );
    }

    #[test]
    fn the_word_of_a_trusted_proxy_is_kept_and_its_address_added() {
        assert_eq!(
            sent("10.0.0.9", true),
            "accept: */*\nforwarded: for=198.51.100.1\nforwarded: for=10.0.0.9;proto=https\n\
             x-forwarded-for: 198.51.100.1\nx-forwarded-for: 10.0.0.9\nx-forwarded-host: there\n\
             x-forwarded-proto: http\nx-real-ip: 198.51.100.1"
        );
    }

    /// Sorted by name.
    fn sent(from: &str, is_trusted: bool) -> String {
        let mut request = RequestHeader::build("GET", b"/", None).unwrap();
        for (name, value) in [
            ("Accept", "*/*"),
            ("Authorization", "Bearer x"),
            ("X-Bulkhead-User", "eve"),
            ("X_Bulkhead_User", "eve"),
            ("content_length", "7"),
            ("Forwarded", "for=198.51.100.1"),
            ("X-Forwarded-For", "198.51.100.1"),
            ("X-Forwarded-Proto", "http"),
            ("X-Forwarded-Host", "there"),
            ("X-Real-IP", "198.51.100.1"),
        ] {
            request.append_header(name, value).unwrap();
        }
        let client = Client { address: from.parse().unwrap(), is_tls: true };
        let trusted: &[Cidr] = if is_trusted { &["10.0.0.0/8".parse().unwrap()] } else { &[] };
        prepare(&mut request, Some(client), trusted).unwrap();
        let mut lines: Vec<String> = Vec::new();
        for name in request.headers.keys() {
            for value in request.headers.get_all(name) {
                lines.push(format!("{name}: {}", value.to_str().unwrap()));
            }
        }
        lines.sort_by_key(|line| line.split(':').next().unwrap_or_default().to_owned());
        lines.join("\n")
    }
}
