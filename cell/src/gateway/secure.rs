//! Who may come in at the gateway's door where routers and sites prove themselves to each other: a
//! client with a certificate that the authority has signed for a router.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use runtime::Watched;
use runtime::door::{Certificate, Guests};
use rustls::client::verify_server_name;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::server::{ParsedCertificate, WebPkiClientVerifier};
use rustls::{RootCertStore, ServerConfig, ServerConnection};
use tokio_rustls::rustls;
use topology::spec::MutualTls;

/// Routers, and nobody else: they are near, or a round trip between regions away, and one that comes
/// back opens some hundred connections.
pub const ROUTERS: Guests =
    Guests { shaking: 512, patience: Duration::from_secs(2), may_enter: is_router };

/// Reads the site's certificate, its key and the authority. Relative paths are in the run directory.
pub fn certificate(spec: &MutualTls, run_dir: &Path) -> anyhow::Result<Certificate> {
    let files = [&spec.authority, &spec.site.certificate, &spec.site.key];
    let files = files.map(|file| run_dir.join(file)).to_vec();
    Watched::read("the site's certificate", files, |bytes| config(&bytes[0], &bytes[1], &bytes[2]))
}

/// The authority signs for sites, too.
fn is_router(session: &ServerConnection) -> anyhow::Result<()> {
    let own = session.peer_certificates().and_then(|chain| chain.first());
    let own = own.context("look who it is: no certificate")?;
    let parsed = ParsedCertificate::try_from(own).context("understand the certificate")?;
    let router = ServerName::try_from(MutualTls::ROUTER).context("know a router's name")?;
    verify_server_name(&parsed, &router)
        .context("take it for a router: another name is in its certificate")
}

fn config(authority: &[u8], certificate: &[u8], key: &[u8]) -> anyhow::Result<Arc<ServerConfig>> {
    let mut roots = RootCertStore::empty();
    for root in chain(authority).context("understand the authority")? {
        roots.add(root).context("trust the authority")?;
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let routers = WebPkiClientVerifier::builder_with_provider(roots.into(), Arc::clone(&provider))
        .build()
        .context("trust the authority")?;
    let chain = chain(certificate).context("understand the site's certificate")?;
    ensure!(!chain.is_empty(), "find the site's certificate: the file has none");
    let key = PrivateKeyDer::from_pem_slice(key).context("understand the site's key")?;
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .context("choose the versions of TLS")?
        .with_client_cert_verifier(routers)
        .with_single_cert(chain, key)
        .context("match the key to the site's certificate")?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

fn chain(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, rustls::pki_types::pem::Error> {
    CertificateDer::pem_slice_iter(pem).collect()
}
