//! The three sites behind every proxy: nginx with answers from memory, on the core of the load.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;

use anyhow::Context as _;

use crate::process::Process;

pub(crate) const SITES: [&str; 3] = ["127.0.0.1:18101", "127.0.0.1:18102", "127.0.0.1:18103"];

/// Returns where each of them listens.
pub(crate) fn all() -> anyhow::Result<Vec<SocketAddr>> {
    SITES.iter().map(|site| site.parse().context("read a site's address")).collect()
}

/// Starts them.
pub(crate) fn start(folder: &Path, core: u32) -> anyhow::Result<Process> {
    let files = folder.join("sites");
    fs::create_dir_all(&files).with_context(|| format!("make {}", files.display()))?;
    for (name, size) in [("512", 512), ("16k", 16 * 1024)] {
        fs::write(files.join(name), vec![b'a'; size]).context("write what the sites answer")?;
    }
    let config = folder.join("sites.conf");
    fs::write(&config, text(folder, &files)).context("configure the sites")?;
    let words = ["nginx", "-c", &config.to_string_lossy()].map(ToOwned::to_owned);
    let address: SocketAddr = SITES[0].parse().context("read a site's address")?;
    let log = folder.join("sites.log");
    Process::start(core, words.iter().map(String::as_str), &log, address)
}

fn text(folder: &Path, files: &Path) -> String {
    let listens = SITES.map(|site| format!("listen {site};")).join("\n    ");
    format!(
        "daemon off;
master_process off;
pid {folder}/sites.pid;
error_log {folder}/sites.error.log;
events {{ worker_connections 16384; }}
http {{
  access_log off;
  client_body_temp_path {folder}/sites.body;
  keepalive_requests 100000000;
  keepalive_timeout 600s;
  open_file_cache max=10;
  server {{
    {listens}
    root {files};
    location /post {{ return 200 \"done\\n\"; }}
  }}
}}
",
        folder = folder.display(),
        files = files.display(),
    )
}
