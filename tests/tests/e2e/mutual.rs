//! Routers and sites that prove themselves to each other.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context as _, ensure};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use serde_json::json;
use tests::json::text;
use tests::{Platform, User};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::{self, ClientConfig, RootCertStore};
use topology::address::Port;

/// Users notice nothing of it, not even when their cell moves; and nobody else gets an answer.
#[tokio::test]
async fn sites_answer_routers_and_nobody_else() -> anyhow::Result<()> {
    let files = Files::write()?;
    let section = files.section();
    let platform = Platform::up_with(|text| text.replace("\nedge:\n", &section))?;
    let user = User::of(&platform, "ada")?;
    user.opens_ticket("over a line of their own").await?;
    let cell = platform.cell_of("ada").await?;
    let (id, home) = (text(&cell["id"]), text(&cell["active"]));

    let gateway = platform.site_address(&id, &home, Port::Gateway)?;
    let in_the_open = answer(TcpStream::connect(gateway).await?).await;
    ensure!(!in_the_open, "answered in the open");
    // A router's certificate gets an answer; one of the same authority for somebody else does not.
    for (name, expected) in [("router", true), ("site", false)] {
        let stream = TcpStream::connect(gateway).await?;
        let shaken = files.connector(name)?.connect("site.bulkhead.internal".try_into()?, stream);
        let answered = match shaken.await {
            Ok(stream) => answer(stream).await,
            Err(_refused) => false,
        };
        ensure!(answered == expected, "answered a {name}: {answered}");
    }

    let to = text(&cell["voters"][0]);
    platform.until_redundant(&id).await?;
    let order = format!("/v1/cells/{id}/switchover");
    let (status, moved) = platform.order(&to.parse()?, &order, &json!({ "to": to })).await?;
    ensure!(status == 200, "move {id} to {to}: {moved:#}");
    user.opens_ticket("and in another region").await?;
    assert_eq!(user.tickets().await?.len(), 2);
    Ok(())
}

/// Asks, and returns whether an answer of HTTP comes. Who is refused hears so in TLS, or is hung up on.
async fn answer(mut stream: impl AsyncRead + AsyncWrite + Unpin) -> bool {
    let asked = b"GET /healthz HTTP/1.1\r\nhost: bulkhead\r\nconnection: close\r\n\r\n";
    let mut answer = Vec::new();
    if stream.write_all(asked).await.is_ok() {
        drop(stream.read_to_end(&mut answer).await);
    }
    answer.starts_with(b"HTTP/")
}

/// One authority, and what it has signed for routers and for sites.
struct Files(PathBuf);

impl Files {
    fn write() -> anyhow::Result<Self> {
        let folder = std::env::temp_dir().join(format!("bulkhead-mutual-{}", std::process::id()));
        fs::create_dir_all(&folder).context("make a folder for certificates")?;
        let mut params = CertificateParams::new(Vec::<String>::new())?;
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority = CertifiedIssuer::self_signed(params, KeyPair::generate()?)?;
        fs::write(folder.join("authority.pem"), authority.pem()).context("write the authority")?;
        for name in ["router", "site"] {
            let key = KeyPair::generate()?;
            let params = CertificateParams::new(vec![format!("{name}.bulkhead.internal")])?;
            let certificate = params.signed_by(&key, &authority)?;
            fs::write(folder.join(name).with_extension("pem"), certificate.pem())?;
            fs::write(folder.join(name).with_extension("key"), key.serialize_pem())?;
        }
        Ok(Self(folder))
    }

    fn section(&self) -> String {
        let file = |name: &str| self.0.join(name).display().to_string();
        let pair = |name: &str| {
            format!(
                "{{certificate: {}, key: {}}}",
                file(&format!("{name}.pem")),
                file(&format!("{name}.key"))
            )
        };
        format!(
            "\nedge:\n  sites: {{authority: {}, router: {}, site: {}}}\n",
            file("authority.pem"),
            pair("router"),
            pair("site")
        )
    }

    /// Makes connections that show one of the certificates.
    fn connector(&self, name: &str) -> anyhow::Result<TlsConnector> {
        let pem = |file: String| self.0.join(file);
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(pem("authority.pem".to_owned()))?)?;
        let own = CertificateDer::from_pem_file(pem(format!("{name}.pem")))?;
        let key = PrivateKeyDer::from_pem_file(pem(format!("{name}.key")))?;
        let provider = rustls::crypto::ring::default_provider();
        let config = ClientConfig::builder_with_provider(Arc::new(provider))
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_client_auth_cert(vec![own], key)?;
        Ok(TlsConnector::from(Arc::new(config)))
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        // Left behind in the folder for what is temporary, at worst.
        drop(fs::remove_dir_all(&self.0));
    }
}
