//! A door with TLS, for whoever may come in. Its certificate is read again when its files change;
//! connections that are open stay.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use axum::serve::Listener;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::version::{TLS12, TLS13};
use rustls::{ServerConfig, ServerConnection};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tracing::{debug, warn};

use crate::Watched;

/// Who may come in, and how many at once.
#[derive(Clone, Copy)]
pub struct Guests {
    /// Handshakes at once.
    pub shaking: usize,
    /// How long one may take.
    pub patience: Duration,
    /// Whether whoever has shaken hands may come in.
    pub may_enter: fn(&ServerConnection) -> anyhow::Result<()>,
}

impl Guests {
    /// Operators and their programs, who are few and say themselves who they are. A client on the other
    /// side of the world shakes hands well within this.
    pub const OPERATORS: Self =
        Self { shaking: 256, patience: Duration::from_secs(5), may_enter: |_| Ok(()) };
}

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

/// Accepts these guests.
pub struct Door {
    tcp: TcpListener,
    certificate: Arc<Certificate>,
    guests: Guests,
    shaking: JoinSet<anyhow::Result<(TlsStream<TcpStream>, SocketAddr)>>,
}

impl Door {
    #[must_use]
    pub fn new(tcp: TcpListener, certificate: Arc<Certificate>, guests: Guests) -> Self {
        Self { tcp, certificate, guests, shaking: JoinSet::new() }
    }
}

impl Listener for Door {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        loop {
            tokio::select! {
                (stream, peer) = Listener::accept(&mut self.tcp),
                    if self.shaking.len() < self.guests.shaking =>
                {
                    let config: Arc<ServerConfig> = Arc::clone(&*self.certificate.current());
                    let acceptor = TlsAcceptor::from(config);
                    self.shaking.spawn(shake(acceptor, self.guests, stream, peer));
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
    guests: Guests,
    stream: TcpStream,
    peer: SocketAddr,
) -> anyhow::Result<(TlsStream<TcpStream>, SocketAddr)> {
    stream.set_nodelay(true).context("send answers at once")?;
    let shaken = timeout(guests.patience, acceptor.accept(stream)).await;
    let stream = shaken.context("wait for the handshake")?;
    let stream = stream.with_context(|| format!("shake hands with {peer}"))?;
    let (_, session) = stream.get_ref();
    (guests.may_enter)(session).with_context(|| format!("let {peer} in"))?;
    Ok((stream, peer))
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
