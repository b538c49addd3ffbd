//! What a request's headers say on the way to a site: nothing that only the router may say, and for
//! whom it asks.

use std::mem;
use std::net::IpAddr;

use http::header::{AUTHORIZATION, COOKIE, FORWARDED};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Request};
use pingora_core::Result;
use pingora_core::protocols::Digest;
use pingora_http::RequestHeader;
use topology::spec::edge::Cidr;
use topology::wire::header;

use crate::identity::visitor;

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
/// How many headers the router adds: room is made for them once.
const ADDED: usize = 10;

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

/// Changes a request's headers. How the client had written their names is forgotten: Pingora keeps
/// that in a second map, and a change of both costs four times one of the first.
pub(crate) fn rewrite(
    request: &mut RequestHeader,
    change: impl FnOnce(&mut HeaderMap),
) -> Result<()> {
    // Other targets than a path are not kept by what a request is taken apart into.
    let target = request.raw_path();
    let is_path = target.starts_with(b"/") && request.raw_path_is_utf8();
    let target = (!is_path).then(|| target.to_vec());
    let nothing = Request::new(()).into_parts().0;
    let mut parts = Parts::from(mem::replace(request, nothing.into()));
    parts.headers.reserve(ADDED);
    change(&mut parts.headers);
    *request = parts.into();
    target.map_or(Ok(()), |target| request.set_raw_path(&target))
}

/// Removes what only the router may say, and what only it may read; says who asked, and how.
pub(crate) fn prepare(headers: &mut HeaderMap, client: Option<Client>, trusted: &[Cidr]) {
    let is_trusted =
        client.is_some_and(|client| trusted.iter().any(|network| network.contains(client.address)));
    strip(headers, is_trusted);
    if let Some(others) = visitor::without(headers) {
        headers.remove(COOKIE);
        if let Ok(others) = HeaderValue::try_from(others)
            && !others.is_empty()
        {
            headers.insert(COOKIE, others);
        }
    }
    let Some(client) = client else { return };
    let proto = if client.is_tls { "https" } else { "http" };
    let node = client.address.to_string();
    let forwarded = match client.address {
        IpAddr::V4(_) => ["for=", &node, ";proto=", proto].concat(),
        IpAddr::V6(_) => ["for=\"[", &node, "]\";proto=", proto].concat(),
    };
    // An address is printable, and so both are values.
    if let (Ok(forwarded), Ok(node)) = (forwarded.try_into(), node.try_into()) {
        headers.append(FORWARDED, forwarded);
        headers.append(FORWARDED_FOR, node);
    }
    headers.entry(FORWARDED_PROTO).or_insert(HeaderValue::from_static(proto));
}

/// Removes what only the router may say, what only it may read, and unless its proxy is trusted what
/// a client says of itself.
pub(crate) fn strip(headers: &mut HeaderMap, is_trusted: bool) {
    let unwanted: Vec<HeaderName> = headers
        .keys()
        .filter(|name| is_ours(name.as_str()) || (!is_trusted && is_hearsay(name.as_str())))
        .cloned()
        .collect();
    for name in &unwanted {
        headers.remove(name);
    }
    headers.remove(AUTHORIZATION);
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

    #[test]
    fn a_target_that_is_no_path_is_sent_as_it_came() {
        for target in ["/v1/tickets?q=1", "*", "http://support.example/v1/tickets?q=1"] {
            let mut request = RequestHeader::build("OPTIONS", target.as_bytes(), None).unwrap();
            request.append_header("Accept", "*/*").unwrap();
            rewrite(&mut request, |headers| {
                headers.insert(FORWARDED_PROTO, HeaderValue::from_static("http"));
            })
            .unwrap();
            let mut wire = Vec::new();
            request.header_to_h1_wire(&mut wire);
            assert_eq!(request.raw_path(), target.as_bytes());
            let wire = String::from_utf8(wire).unwrap();
            assert_eq!(wire, "accept: */*\r\nx-forwarded-proto: http\r\n");
        }
    }

    /// Sorted by name.
    fn sent(from: &str, is_trusted: bool) -> String {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("accept", "*/*"),
            ("authorization", "Bearer x"),
            ("x-bulkhead-user", "eve"),
            ("x_bulkhead_user", "eve"),
            ("content_length", "7"),
            ("forwarded", "for=198.51.100.1"),
            ("x-forwarded-for", "198.51.100.1"),
            ("x-forwarded-proto", "http"),
            ("x-forwarded-host", "there"),
            ("x-real-ip", "198.51.100.1"),
        ] {
            headers.append(name, HeaderValue::from_static(value));
        }
        let client = Client { address: from.parse().unwrap(), is_tls: true };
        let trusted: &[Cidr] = if is_trusted { &["10.0.0.0/8".parse().unwrap()] } else { &[] };
        prepare(&mut headers, Some(client), trusted);
        let mut lines: Vec<String> = Vec::new();
        for name in headers.keys() {
            for value in headers.get_all(name) {
                lines.push(format!("{name}: {}", value.to_str().unwrap()));
            }
        }
        lines.sort_by_key(|line| line.split(':').next().unwrap_or_default().to_owned());
        lines.join("\n")
    }
}
