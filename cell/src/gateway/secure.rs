//! The gateway's door where routers and sites prove themselves to each other: TLS, with a client
//! certificate that the authority has signed for a router.
//!
//! Certificates are read again when their files change. Files that do not belong together change
//! nothing; connections that are open stay.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use axum::Router;
use axum::serve::Listener;
use rustls::client::verify_server_name;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::server::{ParsedCertificate, WebPkiClientVerifier};
use rustls::{RootCertStore, ServerConfig};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};
use tokio_rustls::server::TlsStream;
use tokio_rustls::{TlsAcceptor, rustls};
use tokio_util::sync::CancellationToken;
use topology::spec::MutualTls;
use tracing::{debug, info, warn};

/// Routers are near, or a round trip between regions away.
const HANDSHAKE_MAX: Duration = Duration::from_secs(2);
/// Handshakes at once; a router that comes back opens some hundred connections.
const HANDSHAKES_MAX: usize = 512;
/// How often the files are looked at, when somebody connects.
const LOOK: Duration = Duration::from_secs(2);

/// How long requests may go on after the process was asked to stop.
const GRACE: Duration = Duration::from_secs(2);

/// Accepts routers, and nobody else.
pub struct Secure {
    tcp: TcpListener,
    files: [PathBuf; 3],
    seen: [Vec<u8>; 3],
    looked: Instant,
    acceptor: TlsAcceptor,
    shaking: JoinSet<anyhow::Result<(TlsStream<TcpStream>, SocketAddr)>>,
}

impl Secure {
    /// Reads the files. Relative paths are in the run directory.
    pub fn new(tcp: TcpListener, spec: &MutualTls, run_dir: &Path) -> anyhow::Result<Self> {
        let files = [&spec.authority, &spec.site.certificate, &spec.site.key];
        let files = files.map(|file| run_dir.join(file));
        let seen = read(&files)?;
        let acceptor = acceptor(&seen)?;
        Ok(Self { tcp, files, seen, looked: Instant::now(), acceptor, shaking: JoinSet::new() })
    }

    /// Puts changed files to use, if they belong together.
    fn look(&mut self) {
        if self.looked.elapsed() < LOOK {
            return;
        }
        self.looked = Instant::now();
        let found = match read(&self.files) {
            Ok(found) if found != self.seen => found,
            Ok(_) => return,
            Err(err) => return warn!(error = format!("{err:#}"), "certificates not read"),
        };
        match acceptor(&found) {
            Ok(acceptor) => {
                info!("changed certificates are in use");
                self.acceptor = acceptor;
            }
            Err(err) => warn!(error = format!("{err:#}"), "certificates refused, the old stay"),
        }
        self.seen = found;
    }
}

/// Serves routers until stopped; then finishes what is in flight, for at most two seconds.
pub async fn serve(door: Secure, routes: Router, stop: CancellationToken) -> anyhow::Result<()> {
    let asked = stop.clone();
    let server =
        axum::serve(door, routes).with_graceful_shutdown(async move { asked.cancelled().await });
    tokio::select! {
        ended = async { server.await } => ended.context("serve requests"),
        () = async { stop.cancelled().await; tokio::time::sleep(GRACE).await } => Ok(()),
    }
}

impl Listener for Secure {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        loop {
            tokio::select! {
                (stream, peer) = Listener::accept(&mut self.tcp),
                    if self.shaking.len() < HANDSHAKES_MAX =>
                {
                    self.look();
                    self.shaking.spawn(shake(self.acceptor.clone(), stream, peer));
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

/// Shakes hands, and looks who it is.
async fn shake(
    acceptor: TlsAcceptor,
    stream: TcpStream,
    peer: SocketAddr,
) -> anyhow::Result<(TlsStream<TcpStream>, SocketAddr)> {
    stream.set_nodelay(true).context("send answers at once")?;
    let stream = timeout(HANDSHAKE_MAX, acceptor.accept(stream))
        .await
        .context("wait for the handshake")?
        .with_context(|| format!("shake hands with {peer}"))?;
    let (_, session) = stream.get_ref();
    let own = session.peer_certificates().and_then(|chain| chain.first());
    let own = own.context("look who it is: no certificate")?;
    let parsed = ParsedCertificate::try_from(own).context("understand the certificate")?;
    let router = ServerName::try_from(MutualTls::ROUTER).context("know a router's name")?;
    verify_server_name(&parsed, &router)
        .with_context(|| format!("take {peer} for a router: another name is in its certificate"))?;
    Ok((stream, peer))
}

fn read(files: &[PathBuf; 3]) -> anyhow::Result<[Vec<u8>; 3]> {
    let read =
        |path: &PathBuf| std::fs::read(path).with_context(|| format!("read {}", path.display()));
    let [authority, certificate, key] = files;
    Ok([read(authority)?, read(certificate)?, read(key)?])
}

fn acceptor([authority, certificate, key]: &[Vec<u8>; 3]) -> anyhow::Result<TlsAcceptor> {
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
    Ok(TlsAcceptor::from(Arc::new(config)))
}

fn chain(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, rustls::pki_types::pem::Error> {
    CertificateDer::pem_slice_iter(pem).collect()
}
