//! How this router proves itself to sites, and makes sure of them.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, ensure};
use pingora_core::protocols::ALPN;
use pingora_core::protocols::tls::CaType;
use pingora_core::upstreams::peer::HttpPeer;
use pingora_core::utils::tls::{CertKey, WrappedX509, parse_x509};
use runtime::Watched;
use tokio_util::sync::CancellationToken;
use topology::spec::MutualTls;
use x509_parser::prelude::{FromDer as _, X509Certificate};

use crate::certificates::{Pair, chain};
use crate::stream::Kind;

/// The router's certificate for sites, and the authority that signs theirs.
#[derive(Clone)]
pub(crate) struct Mutual(Arc<Watched<Proof>>);

struct Proof {
    authority: Arc<CaType>,
    own: Arc<CertKey>,
}

impl Mutual {
    pub(crate) fn read(spec: &MutualTls, run_dir: &Path) -> anyhow::Result<Self> {
        let files = [&spec.authority, &spec.router.certificate, &spec.router.key];
        let files: Vec<PathBuf> = files.into_iter().map(|file| run_dir.join(file)).collect();
        let watched = Watched::read("the router's certificate for sites", files, |bytes| {
            let pair = Pair::parse(&bytes[1], &bytes[2])?;
            let certificates = pair.chain.iter().map(|certificate| certificate.to_vec()).collect();
            let key = pair.key.secret_der().to_vec();
            Ok(Proof {
                authority: authority(&bytes[0])?,
                own: Arc::new(CertKey::new(certificates, key)),
            })
        })?;
        Ok(Self(Arc::new(watched)))
    }

    pub(crate) async fn watch(&self, stop: CancellationToken) -> anyhow::Result<()> {
        self.0.watch(stop).await
    }

    /// Makes a peer one that must be a site, and to which this router proves itself.
    pub(crate) fn secure(&self, peer: &mut HttpPeer, stream: Option<Kind>) {
        let proof = self.0.current();
        peer.options.ca = Some(Arc::clone(&proof.authority));
        peer.client_cert_key = Some(Arc::clone(&proof.own));
        // An upgrade needs HTTP/1.1; anything else shares connections where the site can.
        peer.options.alpn = match stream {
            Some(_) => ALPN::H1,
            None => ALPN::H2H1,
        };
    }
}

fn authority(pem: &[u8]) -> anyhow::Result<Arc<CaType>> {
    let certificates = chain(pem).context("understand the authority")?;
    ensure!(!certificates.is_empty(), "find the authority: the file has no certificate");
    for certificate in &certificates {
        X509Certificate::from_der(certificate).context("understand the authority")?;
    }
    let certificates: Vec<WrappedX509> = certificates
        .iter()
        .map(|certificate| WrappedX509::new(certificate.to_vec(), parse_x509))
        .collect();
    Ok(certificates.into())
}
