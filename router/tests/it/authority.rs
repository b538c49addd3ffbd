//! An authority that signs certificates, for tests.

use std::path::Path;
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::{
    ClientConfig, DEFAULT_VERSIONS, RootCertStore, ServerConfig, SupportedProtocolVersion,
};

pub(crate) struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::new(Vec::<String>::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    /// Returns a certificate for a name, and its key, in PEM.
    pub(crate) fn sign(&self, name: &str) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        (params.signed_by(&key, &self.0).unwrap().pem(), key.serialize_pem())
    }

    /// Writes a certificate and its key: `{file}.pem` and `{file}.key`.
    pub(crate) fn write(&self, folder: &Path, file: &str, name: &str) {
        let (certificate, key) = self.sign(name);
        std::fs::write(folder.join(format!("{file}.key")), key).unwrap();
        std::fs::write(folder.join(format!("{file}.pem")), certificate).unwrap();
    }

    pub(crate) fn pem(&self) -> String {
        self.0.pem()
    }

    fn roots(&self) -> Arc<RootCertStore> {
        let mut roots = RootCertStore::empty();
        roots.add(self.0.der().clone()).unwrap();
        roots.into()
    }

    /// A user who trusts this authority.
    pub(crate) fn user(&self, protocol: &str) -> Arc<ClientConfig> {
        self.user_with(DEFAULT_VERSIONS, protocol)
    }

    /// The same, who speaks only these versions of TLS.
    pub(crate) fn user_with(
        &self,
        versions: &[&'static SupportedProtocolVersion],
        protocol: &str,
    ) -> Arc<ClientConfig> {
        let mut config = ClientConfig::builder_with_provider(provider())
            .with_protocol_versions(versions)
            .unwrap()
            .with_root_certificates(self.roots())
            .with_no_client_auth();
        config.alpn_protocols = vec![protocol.into()];
        config.into()
    }

    /// A site that takes only clients with a certificate of this authority.
    pub(crate) fn site(&self, name: &str) -> Arc<ServerConfig> {
        let (certificate, key) = self.sign(name);
        let clients = WebPkiClientVerifier::builder_with_provider(self.roots(), provider());
        let config = ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_client_cert_verifier(clients.build().unwrap());
        let chain = vec![CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap()];
        let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap();
        config.with_single_cert(chain, key).unwrap().into()
    }
}

fn provider() -> Arc<tokio_rustls::rustls::crypto::CryptoProvider> {
    tokio_rustls::rustls::crypto::ring::default_provider().into()
}
