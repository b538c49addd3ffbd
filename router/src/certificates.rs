//! The certificates users see, each for its names: from files, replaced while they come in.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, bail};
use futures_util::future::join_all;
use pingora_core::listeners::tls::Acceptor;
use prometheus::GaugeVec;
use runtime::Watched;
use rustls::ServerConfig;
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::version::{TLS12, TLS13};
use tokio_util::sync::CancellationToken;
use topology::spec::{self, Tls};
use x509_parser::prelude::{FromDer as _, GeneralName, X509Certificate};

/// A certificate with those that lead to its authority, and its key.
pub(crate) struct Pair {
    pub(crate) chain: Vec<CertificateDer<'static>>,
    pub(crate) key: PrivateKeyDer<'static>,
    certified: Arc<CertifiedKey>,
    /// Seconds since 1970.
    until: i64,
    /// The names that it is for; `*.example` stands for all that are one word longer.
    names: Vec<String>,
}

impl Pair {
    /// Understands two files in PEM, if they belong together.
    pub(crate) fn parse(certificate: &[u8], key: &[u8]) -> anyhow::Result<Self> {
        let chain = chain(certificate)?;
        let Some(own) = chain.first() else { bail!("find a certificate: the file has none") };
        let (_, read) = X509Certificate::from_der(own).context("understand the certificate")?;
        let until = read.validity().not_after.timestamp();
        let names = names(&read).context("understand the certificate's names")?;
        let key = PrivateKeyDer::from_pem_slice(key).context("understand the key")?;
        let provider = ring::default_provider();
        let certified = CertifiedKey::from_der(chain.clone(), key.clone_key(), &provider)
            .context("match the key to the certificate")?;
        Ok(Self { chain, key, certified: Arc::new(certified), until, names })
    }

    fn has(&self, name: &str) -> bool {
        self.names.iter().any(|own| own.eq_ignore_ascii_case(name))
    }
}

fn names(certificate: &X509Certificate<'_>) -> anyhow::Result<Vec<String>> {
    let Some(names) = certificate.subject_alternative_name()? else { return Ok(Vec::new()) };
    let dns = names.value.general_names.iter().filter_map(|name| {
        let GeneralName::DNSName(name) = name else { return None };
        Some((*name).to_owned())
    });
    Ok(dns.collect())
}

/// Returns every certificate in a file.
pub(crate) fn chain(pem: &[u8]) -> anyhow::Result<Vec<CertificateDer<'static>>> {
    CertificateDer::pem_slice_iter(pem)
        .collect::<Result<_, _>>()
        .context("understand the certificate")
}

/// The certificates in use: the first for whoever asks for no other's name.
pub(crate) struct Certificates {
    first: Watched<Pair>,
    /// A mistake in the files of one takes none of the others along; until its files are right it is
    /// missing.
    others: Vec<Watched<Option<Pair>>>,
}

impl Certificates {
    /// Reads the files; `expires` tells of each file until when its certificate is valid.
    pub(crate) fn read(spec: &Tls, run_dir: &Path, expires: &GaugeVec) -> anyhow::Result<Self> {
        let files =
            |certificate: &Path, key: &Path| vec![run_dir.join(certificate), run_dir.join(key)];
        let understand = |certificate: &Path| {
            let until = expires.with_label_values(&[&*certificate.to_string_lossy()]);
            move |bytes: &[Vec<u8>]| {
                let pair = Pair::parse(&bytes[0], &bytes[1])?;
                #[expect(clippy::cast_precision_loss, reason = "seconds since 1970 need 31 bits")]
                until.set(pair.until as f64);
                Ok(pair)
            }
        };
        let first = Watched::read(
            "the users' certificate",
            files(&spec.certificate, &spec.key),
            understand(&spec.certificate),
        )?;
        let other = |pair: &spec::Pair| {
            let understand = understand(&pair.certificate);
            let files = files(&pair.certificate, &pair.key);
            Watched::hope("a further certificate for users", files, move |bytes| {
                understand(bytes).map(Some)
            })
        };
        Ok(Self { first, others: spec.others.iter().map(other).collect() })
    }

    /// Looks at all files until stopped.
    pub(crate) async fn watch(&self, stop: CancellationToken) -> anyhow::Result<()> {
        let others = self.others.iter().map(|other| other.watch(stop.clone()));
        let (first, others) = tokio::join!(self.first.watch(stop.clone()), join_all(others));
        others.into_iter().chain([first]).collect()
    }

    /// Returns the certificate for a name: one that has the very name, one for all names beside it,
    /// or the first.
    fn of(&self, name: Option<&str>) -> Arc<CertifiedKey> {
        let first = self.first.current();
        let others: Vec<_> = self.others.iter().map(Watched::current).collect();
        let pairs =
            || std::iter::once(&*first).chain(others.iter().filter_map(|it| (**it).as_ref()));
        let chosen = name.and_then(|name| {
            let very = pairs().find(|pair| pair.has(name));
            very.or_else(|| {
                let (_, domain) = name.split_once('.')?;
                let all = format!("*.{domain}");
                pairs().find(|pair| pair.has(&all))
            })
        });
        Arc::clone(&chosen.unwrap_or(&first).certified)
    }
}

impl std::fmt::Debug for Certificates {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Certificates").finish_non_exhaustive()
    }
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.of(hello.server_name()))
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
