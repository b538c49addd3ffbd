//! The certificate users see: from files, replaced while they come in.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context as _, bail};
use pingora_core::listeners::tls::Acceptor;
use prometheus::Gauge;
use rustls::ServerConfig;
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::version::{TLS12, TLS13};
use x509_parser::prelude::{FromDer as _, X509Certificate};

use crate::files::Watched;

/// A certificate with those that lead to its authority, and its key.
pub(crate) struct Pair {
    pub(crate) chain: Vec<CertificateDer<'static>>,
    pub(crate) key: PrivateKeyDer<'static>,
    certified: Arc<CertifiedKey>,
    /// Seconds since 1970.
    until: i64,
}

impl Pair {
    /// Understands two files in PEM, if they belong together.
    pub(crate) fn parse(certificate: &[u8], key: &[u8]) -> anyhow::Result<Self> {
        let chain = chain(certificate)?;
        let Some(own) = chain.first() else { bail!("find a certificate: the file has none") };
        let (_, read) = X509Certificate::from_der(own).context("understand the certificate")?;
        let until = read.validity().not_after.timestamp();
        let key = PrivateKeyDer::from_pem_slice(key).context("understand the key")?;
        let provider = ring::default_provider();
        let certified = CertifiedKey::from_der(chain.clone(), key.clone_key(), &provider)
            .context("match the key to the certificate")?;
        Ok(Self { chain, key, certified: Arc::new(certified), until })
    }
}

/// Returns every certificate in a file.
pub(crate) fn chain(pem: &[u8]) -> anyhow::Result<Vec<CertificateDer<'static>>> {
    CertificateDer::pem_slice_iter(pem)
        .collect::<Result<_, _>>()
        .context("understand the certificate")
}

/// The certificate in use.
pub(crate) struct Certificates(pub(crate) Watched<Pair>);

impl Certificates {
    /// Reads the files; `expires` tells until when the certificate in use is valid.
    pub(crate) fn read(certificate: PathBuf, key: PathBuf, expires: Gauge) -> anyhow::Result<Self> {
        let files = vec![certificate, key];
        let watched = Watched::read("the users' certificate", files, move |bytes| {
            let pair = Pair::parse(&bytes[0], &bytes[1])?;
            #[expect(clippy::cast_precision_loss, reason = "seconds since 1970 need 31 bits")]
            expires.set(pair.until as f64);
            Ok(pair)
        })?;
        Ok(Self(watched))
    }
}

impl std::fmt::Debug for Certificates {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Certificates").finish_non_exhaustive()
    }
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0.current().certified))
    }
}

/// Returns what shakes hands with users: TLS 1.3 and 1.2, HTTP/2 if the client speaks it.
pub(crate) fn acceptor(certificates: Arc<Certificates>) -> anyhow::Result<Acceptor> {
    let provider: Arc<CryptoProvider> = Arc::new(ring::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&TLS13, &TLS12])
        .context("choose the versions of TLS")?
        .with_no_client_auth()
        .with_cert_resolver(certificates);
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Acceptor::from_server_config(Arc::new(config)))
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair, date_time_ymd};

    use super::*;

    #[test]
    fn a_pair_knows_when_it_ends() {
        let (certificate, key) = pair(2040);
        let pair = Pair::parse(certificate.as_bytes(), key.as_bytes()).unwrap();
        assert_eq!(pair.until, 2_208_988_800);
    }

    #[test]
    fn what_is_no_pair_is_refused_with_the_reason() {
        let ((certificate, key), (_, other)) = (pair(2040), pair(2041));
        for (certificate, key, why) in [
            (certificate.as_str(), other.as_str(), "match the key to the certificate"),
            ("", key.as_str(), "find a certificate: the file has none"),
            (certificate.as_str(), "", "understand the key"),
        ] {
            let refused = Pair::parse(certificate.as_bytes(), key.as_bytes()).err().unwrap();
            assert_eq!(refused.to_string(), why);
        }
    }

    fn pair(year: i32) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec!["edge.example".to_owned()]).unwrap();
        params.not_after = date_time_ymd(year, 1, 1);
        (params.self_signed(&key).unwrap().pem(), key.serialize_pem())
    }
}
