//! HAProxy: hashes `x-user-id`, or the subject of a token that it has verified.

use std::net::SocketAddr;
use std::path::Path;

use super::{Task, write};
use crate::sites::SITES;
use crate::users::{AUDIENCE, ISSUER, KEY};

pub(super) fn prepare(
    folder: &Path,
    address: SocketAddr,
    task: Task,
) -> anyhow::Result<Vec<String>> {
    let rules = match task {
        Task::Hash | Task::Everything => String::new(),
        Task::Verify => verify(),
    };
    // It wants two files for each connection, whether it opens them or not, and does with fewer.
    let sites = SITES.map(|site| format!("  server {site} {site}")).join("\n");
    let text = format!(
        "global
  maxconn 12000
  no strict-limits
  nbthread 1
defaults
  mode http
  timeout connect 5s
  timeout client 600s
  timeout server 600s
  http-reuse always
frontend users
  bind {address}
{rules}  default_backend sites
backend sites
  balance hdr(x-user-id)
  hash-type consistent
{sites}
"
    );
    let path = write(folder, "haproxy.cfg", &text)?;
    Ok(["haproxy", "-db", "-f", &path].map(ToOwned::to_owned).into())
}

/// As in HAProxy's own example, with every claim looked at that the router looks at.
fn verify() -> String {
    format!(
        "  http-request set-var(txn.token) http_auth_bearer
  http-request set-var(txn.alg) var(txn.token),jwt_header_query('$.alg')
  http-request set-var(txn.iss) var(txn.token),jwt_payload_query('$.iss')
  http-request set-var(txn.aud) var(txn.token),jwt_payload_query('$.aud')
  http-request set-var(txn.sub) var(txn.token),jwt_payload_query('$.sub')
  http-request set-var(txn.exp) var(txn.token),jwt_payload_query('$.exp','int')
  http-request set-var(txn.now) date()
  http-request deny deny_status 401 unless {{ var(txn.alg) -m str HS256 }}
  http-request deny deny_status 401 unless {{ var(txn.iss) -m str {ISSUER} }}
  http-request deny deny_status 401 unless {{ var(txn.aud) -m str {AUDIENCE} }}
  http-request deny deny_status 401 if {{ var(txn.exp),sub(txn.now) -m int lt 0 }}
  http-request deny deny_status 401 unless {{ var(txn.token),jwt_verify(txn.alg,\"{KEY}\") -m int 1 }}
  http-request set-header x-user-id %[var(txn.sub)]
"
    )
}
