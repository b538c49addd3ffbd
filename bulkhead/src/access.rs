//! Where the control planes are, and whose token is shown: by flag, by environment, or as a platform on
//! this machine has them.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail, ensure};
use clap::Args;
use topology::Spec;

/// Tokens of a platform on this machine, the one that may do most first.
const LOCAL: [&str; 3] = ["control-plane.token", "operator.token", "viewer.token"];

#[derive(Clone, Debug, Args)]
pub(crate) struct AccessArgs {
    /// A control plane, as in `https://control.example:7000`; several are asked in turn.
    #[arg(long, env = "BULKHEAD_ADDRESS", value_delimiter = ',', global = true)]
    pub(crate) address: Vec<String>,
    /// A file with the token; `BULKHEAD_TOKEN` may have the token itself.
    #[arg(long, env = "BULKHEAD_TOKEN_FILE", global = true)]
    pub(crate) token_file: Option<PathBuf>,
    /// A file with the authorities that the control planes' certificates are of, in PEM.
    #[arg(long, env = "BULKHEAD_CA", global = true, value_name = "FILE")]
    pub(crate) ca: Option<PathBuf>,
    /// Where a platform on this machine keeps its addresses and tokens.
    #[arg(long, env = "BULKHEAD_RUN_DIR", global = true)]
    pub(crate) run_dir: Option<PathBuf>,
}

/// How to get in.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Access {
    /// Without a slash at the end.
    pub(crate) addresses: Vec<String>,
    /// Whom to trust that the control planes are who they say.
    pub(crate) ca: Option<PathBuf>,
    pub(crate) token: String,
}

impl AccessArgs {
    pub(crate) fn find(&self) -> anyhow::Result<Access> {
        let run_dir = || runtime::run_dir::run_dir(self.run_dir.clone());
        let (addresses, ca) = if self.address.is_empty() {
            let run_dir = run_dir()?;
            let spec = local_spec(&run_dir)?;
            let tls = spec.control_plane_tls.as_ref();
            (local_addresses(&spec), tls.map(|tls| run_dir.join(&tls.authority)))
        } else {
            let addresses = self.address.iter().map(|address| checked(address));
            (addresses.collect::<Result<_, _>>()?, None)
        };
        let ca = self.ca.clone().or(ca);
        let token = match (&self.token_file, std::env::var("BULKHEAD_TOKEN")) {
            (Some(path), _) => read(path)?,
            (None, Ok(token)) => token,
            (None, Err(_)) => {
                // A platform's token is shown to that platform and to nobody else.
                ensure!(
                    self.address.is_empty(),
                    "find a token for {}: name one with --token-file or BULKHEAD_TOKEN",
                    addresses.join(", ")
                );
                local_token(&run_dir()?)?
            }
        };
        let token = token.trim().to_owned();
        ensure!(!token.is_empty(), "find a token: it is empty");
        Ok(Access { addresses, ca, token })
    }
}

fn checked(address: &str) -> anyhow::Result<String> {
    let address = address.trim().trim_end_matches('/');
    let host = address.strip_prefix("https://").or_else(|| address.strip_prefix("http://"));
    if host.is_none_or(str::is_empty) {
        bail!("use the address {address:?}: it reads https://HOST:PORT, or http://HOST:PORT");
    }
    Ok(address.to_owned())
}

fn local_spec(run_dir: &Path) -> anyhow::Result<Spec> {
    let path = run_dir.join("spec.yaml");
    let text = fs::read_to_string(&path).with_context(|| {
        format!(
            "find a control plane: no platform was started in {}; name one with --address or \
             BULKHEAD_ADDRESS, or a run directory with --run-dir",
            run_dir.display()
        )
    })?;
    Spec::parse(&text).map_err(|findings| {
        let lines: Vec<String> = findings.iter().map(ToString::to_string).collect();
        anyhow::anyhow!("accept {}: {}", path.display(), lines.join("; "))
    })
}

fn local_addresses(spec: &Spec) -> Vec<String> {
    spec.regions.iter().filter_map(|region| spec.control_plane_url(&region.id)).collect()
}

fn local_token(run_dir: &Path) -> anyhow::Result<String> {
    let folder = run_dir.join("secrets");
    let readable = LOCAL.iter().find_map(|name| fs::read_to_string(folder.join(name)).ok());
    readable.with_context(|| {
        format!(
            "find a token: none in {} can be read; name one with --token-file or BULKHEAD_TOKEN",
            folder.display()
        )
    })
}

fn read(path: &Path) -> anyhow::Result<String> {
    fs::read_to_string(path).with_context(|| format!("read {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_token_of_a_platform_here_is_not_shown_elsewhere() {
        let folder = std::env::temp_dir().join(format!("bulkhead-access-{}", std::process::id()));
        fs::create_dir_all(folder.join("secrets")).unwrap();
        fs::write(folder.join("secrets").join(LOCAL[0]), "secret").unwrap();
        let address = vec!["http://control.example".to_owned()];
        let args =
            AccessArgs { address, token_file: None, ca: None, run_dir: Some(folder.clone()) };
        let refused = args.find().unwrap_err().to_string();
        fs::remove_dir_all(&folder).unwrap();
        assert_eq!(
            refused,
            "find a token for http://control.example: name one with --token-file or BULKHEAD_TOKEN"
        );
    }

    #[test]
    fn an_address_is_http_and_a_host() {
        assert_eq!(checked(" http://127.1.0.1:7000/ ").unwrap(), "http://127.1.0.1:7000");
        assert_eq!(checked("https://control.example").unwrap(), "https://control.example");
        for wrong in ["127.1.0.1:7000", "ftp://control.example", "https://", "http://", ""] {
            assert!(checked(wrong).is_err(), "{wrong:?}");
        }
    }
}
