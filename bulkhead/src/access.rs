//! Where the control planes are, and whose token is shown: by flag, by environment, or as a platform on
//! this machine has them.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail, ensure};
use clap::Args;
use topology::Spec;
use topology::address::Port;

/// Tokens of a platform on this machine, the one that may do most first.
const LOCAL: [&str; 3] = ["control-plane.token", "operator.token", "viewer.token"];

#[derive(Clone, Debug, Args)]
pub(crate) struct AccessArgs {
    /// A control plane, as in `http://127.1.0.1:7000`; several are asked in turn.
    #[arg(long, env = "BULKHEAD_ADDRESS", value_delimiter = ',', global = true)]
    pub(crate) address: Vec<String>,
    /// A file with the token; `BULKHEAD_TOKEN` may have the token itself.
    #[arg(long, env = "BULKHEAD_TOKEN_FILE", global = true)]
    pub(crate) token_file: Option<PathBuf>,
    /// Where a platform on this machine keeps its addresses and tokens.
    #[arg(long, env = "BULKHEAD_RUN_DIR", global = true)]
    pub(crate) run_dir: Option<PathBuf>,
}

/// How to get in.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Access {
    /// Without a slash at the end.
    pub(crate) addresses: Vec<String>,
    pub(crate) token: String,
}

impl AccessArgs {
    pub(crate) fn find(&self) -> anyhow::Result<Access> {
        let run_dir = || runtime::run_dir::run_dir(self.run_dir.clone());
        let addresses = if self.address.is_empty() {
            local_addresses(&run_dir()?)?
        } else {
            self.address.iter().map(|address| checked(address)).collect::<Result<_, _>>()?
        };
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
        Ok(Access { addresses, token })
    }
}

fn checked(address: &str) -> anyhow::Result<String> {
    let address = address.trim().trim_end_matches('/');
    if address.strip_prefix("http://").is_none_or(str::is_empty) {
        bail!("use the address {address:?}: it reads http://HOST:PORT");
    }
    Ok(address.to_owned())
}

fn local_addresses(run_dir: &Path) -> anyhow::Result<Vec<String>> {
    let path = run_dir.join("spec.yaml");
    let text = fs::read_to_string(&path).with_context(|| {
        format!(
            "find a control plane: no platform was started in {}; name one with --address or \
             BULKHEAD_ADDRESS, or a run directory with --run-dir",
            run_dir.display()
        )
    })?;
    let spec = Spec::parse(&text).map_err(|findings| {
        let lines: Vec<String> = findings.iter().map(ToString::to_string).collect();
        anyhow::anyhow!("accept {}: {}", path.display(), lines.join("; "))
    })?;
    let regions = spec.regions.iter();
    let addresses =
        regions.filter_map(|region| spec.region_address(&region.id, Port::ControlPlane));
    Ok(addresses.map(|address| format!("http://{address}")).collect())
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
        let args = AccessArgs { address, token_file: None, run_dir: Some(folder.clone()) };
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
        for wrong in ["127.1.0.1:7000", "https://control.example", "http://", ""] {
            assert!(checked(wrong).is_err(), "{wrong:?}");
        }
    }
}
