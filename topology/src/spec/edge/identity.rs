//! Whose tokens the routers trust, and with which keys these are checked.

use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use marked_yaml::Node;

use crate::spec::Problem;
use crate::spec::reader::{Reader, Section};

/// What the routers sign visitors' tokens as; no issuer of that name can be configured.
pub const VISITOR_ISSUER: &str = "bulkhead-visitor";
/// How far an issuer's clock may be off if nothing else is said …
const LEEWAY: Duration = Duration::from_secs(5);
/// … and at most: beyond this an expiry means little.
const LEEWAY_MAX: Duration = Duration::from_mins(5);
/// Every token is looked up among these.
const ISSUERS_MAX: usize = 16;

/// Whose tokens count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trust {
    /// Whoever has the key in the run directory is any user: on one machine only.
    Development,
    Issuers(Vec<Issuer>),
}

/// One identity provider.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Issuer {
    /// What its tokens say as `iss`.
    pub name: String,
    /// What they must say as `aud`.
    pub audience: String,
    /// What it signs with; keys for anything else are not used.
    pub algorithms: Vec<Algorithm>,
    pub keys: Keys,
    /// How far its clock may be off.
    pub leeway: Duration,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Algorithm {
    Hs256,
    Rs256,
    Es256,
    EdDsa,
}

/// Where an issuer's keys are. Relative files are in the run directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Keys {
    /// A file with one secret a line, shared with the issuer.
    Secret(PathBuf),
    /// Files with one public key each.
    Pem(Vec<PathBuf>),
    /// A file with a JSON Web Key Set.
    Jwks(PathBuf),
    /// Where the issuer publishes such a set.
    Url(KeyUrl),
}

/// Where keys are fetched. Without TLS only from this machine: whoever can change them on the way
/// is any user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyUrl {
    pub is_tls: bool,
    pub host: String,
    pub port: u16,
    pub path: String,
}

impl Algorithm {
    pub const ALL: [Self; 4] = [Self::Hs256, Self::Rs256, Self::Es256, Self::EdDsa];

    /// Returns its name in tokens and key sets.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Hs256 => "HS256",
            Self::Rs256 => "RS256",
            Self::Es256 => "ES256",
            Self::EdDsa => "EdDSA",
        }
    }

    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|algorithm| algorithm.as_str() == name)
    }
}

impl fmt::Display for KeyUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.is_tls { "https" } else { "http" };
        write!(f, "{scheme}://{}:{}{}", self.host, self.port, self.path)
    }
}

impl FromStr for KeyUrl {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, &'static str> {
        let (is_tls, rest) = match text.split_once("://") {
            Some(("https", rest)) => (true, rest),
            Some(("http", rest)) => (false, rest),
            Some(_) | None => return Err("a URL that begins with https://"),
        };
        let (authority, path) = match rest.find('/') {
            Some(end) => rest.split_at(end),
            None => (rest, "/"),
        };
        let default = if is_tls { 443 } else { 80 };
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) => (host, port.parse().map_err(|_not| "a URL with a valid port")?),
            None => (authority, default),
        };
        let is_host = |c: char| c.is_ascii_alphanumeric() || c == '.' || c == '-';
        if host.is_empty() || !host.chars().all(is_host) {
            return Err("a URL with a host's name or IPv4 address");
        }
        if path.contains('#') || !path.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err("a URL whose path is printable ASCII without #");
        }
        let is_here = host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback());
        if !is_tls && !is_here {
            return Err("a URL that begins with https://, for it is not on this machine");
        }
        Ok(Self { is_tls, host: host.to_owned(), port, path: path.to_owned() })
    }
}

impl Reader {
    /// Reads the list of issuers; without one, the development issuer is trusted.
    pub(super) fn identity(&mut self, edge: &Section<'_>) -> Option<Trust> {
        let Some(node) = edge.map.get_node("identity") else { return Some(Trust::Development) };
        let place = edge.place_of("identity");
        let Node::Sequence(list) = node else {
            self.mistyped(node, place, "a list of issuers");
            return None;
        };
        if list.is_empty() || list.len() > ISSUERS_MAX {
            let count = format!("{} issuers", list.len());
            self.report(edge, "identity", Problem::OutOfRange(count, "1 to 16"));
        }
        let mut issuers: Vec<Issuer> = Vec::new();
        let mut whole = true;
        for (index, node) in list.iter().enumerate() {
            let keys = ["issuer", "audience", "algorithms", "keys", "leeway"];
            let item = self.section(node, format!("{place}[{index}]"), &keys);
            let Some((item, issuer)) = item.and_then(|item| {
                let issuer = self.issuer(&item)?;
                Some((item, issuer))
            }) else {
                whole = false;
                continue;
            };
            if issuer.name == VISITOR_ISSUER {
                let problem = Problem::OutOfRange(issuer.name.clone(), "the routers' own");
                self.report(&item, "issuer", problem);
            }
            if issuers.iter().any(|listed| listed.name == issuer.name) {
                let problem = Problem::Repeated(format!("issuer {}", issuer.name));
                self.report(&item, "issuer", problem);
            }
            issuers.push(issuer);
        }
        whole.then_some(Trust::Issuers(issuers))
    }

    fn issuer(&mut self, item: &Section<'_>) -> Option<Issuer> {
        let name = self.text(item, "issuer").map(|node| node.as_str().to_owned());
        let audience = self.text(item, "audience").map(|node| node.as_str().to_owned());
        let algorithms = self.algorithms(item);
        let keys = self.keys(item);
        let leeway = match item.map.get_node("leeway") {
            Some(_) => self.duration(item, "leeway"),
            None => Some(LEEWAY),
        };
        if let Some(leeway) = leeway.filter(|leeway| *leeway > LEEWAY_MAX) {
            let problem = Problem::OutOfRange(format!("{leeway:?}"), "at most 5 minutes");
            self.report(item, "leeway", problem);
        }
        let (algorithms, keys) = (algorithms?, keys?);
        if let Some(wrong) = contradiction(&algorithms, &keys) {
            let found = algorithms.iter().map(|algorithm| algorithm.as_str()).collect::<Vec<_>>();
            self.report(item, "algorithms", Problem::OutOfRange(found.join(", "), wrong));
        }
        Some(Issuer { name: name?, audience: audience?, algorithms, keys, leeway: leeway? })
    }

    fn algorithms(&mut self, item: &Section<'_>) -> Option<Vec<Algorithm>> {
        let names = self.texts(item, "algorithms", "a list of algorithms")?;
        let algorithms: Option<Vec<_>> = names.iter().map(|name| Algorithm::named(name)).collect();
        if algorithms.as_ref().is_none_or(Vec::is_empty) {
            let problem = Problem::WrongType {
                expected: "some of HS256, RS256, ES256 and EdDSA",
                found: format!("[{}]", names.join(", ")),
            };
            self.report(item, "algorithms", problem);
        }
        algorithms
    }

    fn keys(&mut self, item: &Section<'_>) -> Option<Keys> {
        let node = self.get(item, "keys")?;
        let words = ["secret", "pem", "jwks", "jwks-url"];
        let keys = self.section(node, item.place_of("keys"), &words)?;
        let given: Vec<&str> =
            words.into_iter().filter(|word| keys.map.get_node(word).is_some()).collect();
        let [one] = given[..] else {
            let expected = "one of secret, pem, jwks and jwks-url";
            let found = format!("[{}]", given.join(", "));
            self.report(item, "keys", Problem::WrongType { expected, found });
            return None;
        };
        match one {
            "secret" => Some(Keys::Secret(self.text(&keys, "secret")?.as_str().into())),
            "jwks" => Some(Keys::Jwks(self.text(&keys, "jwks")?.as_str().into())),
            "pem" => {
                let files = self.texts(&keys, "pem", "a list of files")?;
                Some(Keys::Pem(files.into_iter().map(PathBuf::from).collect()))
            }
            _ => {
                let text = self.text(&keys, "jwks-url")?.as_str();
                let url = text.parse().map_err(|expected| {
                    let found = format!("{text:?}");
                    self.report(&keys, "jwks-url", Problem::WrongType { expected, found });
                });
                url.ok().map(Keys::Url)
            }
        }
    }
}

/// Returns what is wrong with keys of this kind for these algorithms: a secret is no public key,
/// and what everybody can read is no secret.
fn contradiction(algorithms: &[Algorithm], keys: &Keys) -> Option<&'static str> {
    let has_secret = algorithms.contains(&Algorithm::Hs256);
    match keys {
        Keys::Secret(_) if algorithms != [Algorithm::Hs256] => Some("a secret is for HS256 only"),
        Keys::Pem(_) if has_secret => Some("a public key is not for HS256"),
        Keys::Url(_) if has_secret => Some("what is published is no secret for HS256"),
        Keys::Secret(_) | Keys::Pem(_) | Keys::Jwks(_) | Keys::Url(_) => None,
    }
}

#[cfg(test)]
mod tests;
