//! nginx: hashes `x-user-id`.

use std::net::SocketAddr;
use std::path::Path;

use super::write;
use crate::sites::SITES;

pub(super) fn prepare(folder: &Path, address: SocketAddr) -> anyhow::Result<Vec<String>> {
    let sites = SITES.map(|site| format!("server {site};")).join("\n    ");
    let text = format!(
        "daemon off;
master_process off;
pid {folder}/pid;
error_log {folder}/error.log;
events {{ worker_connections 16384; }}
http {{
  access_log off;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  keepalive_requests 100000000;
  keepalive_timeout 600s;
  upstream sites {{
    hash $http_x_user_id consistent;
    {sites}
    keepalive 256;
    keepalive_requests 100000000;
  }}
  server {{
    listen {address} backlog=4096;
    location / {{
      proxy_pass http://sites;
      proxy_http_version 1.1;
      proxy_set_header connection \"\";
    }}
  }}
}}
",
        folder = folder.display(),
    );
    let path = write(folder, "nginx.conf", &text)?;
    Ok(["nginx", "-c", &path].map(ToOwned::to_owned).into())
}
