//! A door with TLS, 1.3 or 1.2. Its certificate is read again when its files change; connections that
//! are open stay.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use axum::serve::Listener;
use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::version::{TLS12, TLS13};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tracing::{debug, warn};

use crate::Watched;

/// A client on the other side of the world shakes hands well within this.
const HANDSHAKE_MAX: Duration = Duration::from_secs(5);
/// Handshakes at once: operators and their programs are few.
const HANDSHAKES_MAX: usize = 256;

/// A certificate and its key, as they are shown to whoever comes in.
pub type Certificate = Watched<Arc<ServerConfig>>;

/// Reads a certificate, with those that lead to its authority, and its key, in PEM.
pub fn certificate(certificate: PathBuf, key: PathBuf) -> anyhow::Result<Certificate> {
    Watched::read("certificate", vec![certificate, key], |bytes| config(&bytes[0], &bytes[1]))
}

fn config(certificate: &[u8], key: &[u8]) -> anyhow::Result<Arc<ServerConfig>> {
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(certificate).collect();
    let chain = chain.context("understand the certificate")?;
    ensure!(!chain.is_empty(), "find a certificate: the file has none");
    let key = PrivateKeyDer::from_pem_slice(key).context("understand the key")?;
    let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_protocol_versions(&[&TLS13, &TLS12])
        .context("choose the versions of TLS")?
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .context("match the key to the certificate")?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

/// Accepts whoever speaks TLS.
pub struct Door {
    tcp: TcpListener,
    certificate: Arc<Certificate>,
    shaking: JoinSet<anyhow::Result<(TlsStream<TcpStream>, SocketAddr)>>,
}

impl Door {
    #[must_use]
    pub fn new(tcp: TcpListener, certificate: Arc<Certificate>) -> Self {
        Self { tcp, certificate, shaking: JoinSet::new() }
    }
}

impl Listener for Door {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        loop {
            tokio::select! {
                (stream, peer) = Listener::accept(&mut self.tcp),
                    if self.shaking.len() < HANDSHAKES_MAX =>
                {
                    let config: Arc<ServerConfig> = Arc::clone(&*self.certificate.current());
                    let acceptor = TlsAcceptor::from(config);
                    self.shaking.spawn(shake(acceptor, stream, peer));
                }
                Some(shaken) = self.shaking.join_next() => match shaken {
                    Ok(Ok(accepted)) => return accepted,
                    Ok(Err(err)) => debug!(error = format!("{err:#}"), "connection refused"),
                    Err(err) => warn!(error = %err, "handshake lost"),
                },
            }
        }
    }

    fn local_addr(&self) -> std::io::Result<SocketAddr> {
        self.tcp.local_addr()
    }
}

async fn shake(
    acceptor: TlsAcceptor,
    stream: TcpStream,
    peer: SocketAddr,
) -> anyhow::Result<(TlsStream<TcpStream>, SocketAddr)> {
    stream.set_nodelay(true).context("send answers at once")?;
    let shaken = timeout(HANDSHAKE_MAX, acceptor.accept(stream)).await;
    let stream = shaken.context("wait for the handshake")?;
    Ok((stream.with_context(|| format!("shake hands with {peer}"))?, peer))
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair};

    use super::*;

    #[test]
    fn what_does_not_belong_together_is_refused_with_the_reason() {
        let pair = || {
            let key = KeyPair::generate().unwrap();
            let params = CertificateParams::new(vec!["console.example".to_owned()]).unwrap();
            (params.self_signed(&key).unwrap().pem(), key.serialize_pem())
        };
        let ((certificate, key), (_, other)) = (pair(), pair());
        assert!(config(certificate.as_bytes(), key.as_bytes()).is_ok());
        for (certificate, key, why) in [
            (certificate.as_str(), other.as_str(), "match the key to the certificate"),
            ("", key.as_str(), "find a certificate: the file has none"),
            (certificate.as_str(), "", "understand the key"),
        ] {
            let refused = config(certificate.as_bytes(), key.as_bytes()).unwrap_err();
            assert_eq!(refused.to_string(), why);
        }
    }
}
