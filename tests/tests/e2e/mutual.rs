//! Routers and sites that prove themselves to each other.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use serde_json::json;
use tests::json::text;
use tests::{Platform, User};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
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
    let mut stream = TcpStream::connect(gateway).await?;
    stream.write_all(b"GET /healthz HTTP/1.1\r\nhost: bulkhead\r\n\r\n").await?;
    let mut answer = Vec::new();
    // It says in TLS that it understood nothing, or hangs up.
    drop(stream.read_to_end(&mut answer).await);
    ensure!(!answer.starts_with(b"HTTP/"), "answered in the open: {answer:?}");

    let to = text(&cell["voters"][0]);
    platform.until_redundant(&id).await?;
    let order = format!("/v1/cells/{id}/switchover");
    let (status, moved) = platform.order(&to.parse()?, &order, &json!({ "to": to })).await?;
    ensure!(status == 200, "move {id} to {to}: {moved:#}");
    user.opens_ticket("and in another region").await?;
    assert_eq!(user.tickets().await?.len(), 2);
    Ok(())
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

    fn folder(&self) -> &Path {
        &self.0
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        // Left behind in the folder for what is temporary, at worst.
        drop(fs::remove_dir_all(self.folder()));
    }
}
