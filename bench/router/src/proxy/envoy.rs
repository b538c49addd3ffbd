//! Envoy: hashes `x-user-id` by Maglev, or the subject of a token that it has verified.

use std::net::SocketAddr;
use std::path::Path;

use anyhow::Context as _;
use jsonwebtoken::jwk;
use serde_json::{Value, json};

use super::{Task, write};
use crate::sites::SITES;
use crate::users::{AUDIENCE, ISSUER, KEY};

/// As many tokens are remembered as there are users, so that it verifies each only once.
const REMEMBERED: u32 = 200_000;

pub(super) fn prepare(
    folder: &Path,
    address: SocketAddr,
    task: Task,
    program: &Path,
) -> anyhow::Result<Vec<String>> {
    let mut filters = Vec::new();
    if task == Task::Verify {
        filters.push(verify()?);
    }
    filters.push(json!({
        "name": "envoy.filters.http.router",
        "typed_config": {"@type": typed("filters.http.router.v3.Router")},
    }));
    let route = json!({
        "match": {"prefix": "/"},
        "route": {
            "cluster": "sites",
            "hash_policy": [{"header": {"header_name": "x-user-id"}}],
        },
    });
    let manager = json!({
        "@type": typed("filters.network.http_connection_manager.v3.HttpConnectionManager"),
        "stat_prefix": "users",
        "http_filters": filters,
        "route_config": {"virtual_hosts": [{"name": "all", "domains": ["*"], "routes": [route]}]},
    });
    let endpoints: Vec<Value> =
        SITES.iter().map(|site| endpoint(site)).collect::<Result<_, _>>()?;
    let config = json!({
        "static_resources": {
            "listeners": [{
                "name": "users",
                "address": socket(&address),
                "filter_chains": [{"filters": [{
                    "name": "envoy.filters.network.http_connection_manager",
                    "typed_config": manager,
                }]}],
            }],
            "clusters": [{
                "name": "sites",
                "type": "STATIC",
                "lb_policy": "MAGLEV",
                "connect_timeout": "5s",
                "load_assignment": {
                    "cluster_name": "sites",
                    "endpoints": [{"lb_endpoints": endpoints}],
                },
            }],
        },
    });
    let path = write(folder, "envoy.json", &config.to_string())?;
    let program = program.to_string_lossy();
    let words = [&*program, "-c", &path, "--concurrency", "1", "--log-level", "warn"];
    Ok(words.into_iter().chain(["--disable-hot-restart"]).map(ToOwned::to_owned).collect())
}

fn verify() -> anyhow::Result<Value> {
    let key = jsonwebtoken::EncodingKey::from_secret(KEY.as_bytes());
    let key = jwk::Jwk::from_encoding_key(&key, jsonwebtoken::Algorithm::HS256)
        .context("write the key as a JWK")?;
    let keys = json!({"keys": [key]}).to_string();
    Ok(json!({
        "name": "envoy.filters.http.jwt_authn",
        "typed_config": {
            "@type": typed("filters.http.jwt_authn.v3.JwtAuthentication"),
            "providers": {"development": {
                "issuer": ISSUER,
                "audiences": [AUDIENCE],
                "local_jwks": {"inline_string": keys},
                "claim_to_headers": [{"header_name": "x-user-id", "claim_name": "sub"}],
                "jwt_cache_config": {"jwt_cache_size": REMEMBERED},
            }},
            "rules": [{
                "match": {"prefix": "/"},
                "requires": {"provider_name": "development"},
            }],
        },
    }))
}

fn endpoint(site: &str) -> anyhow::Result<Value> {
    let address: SocketAddr = site.parse().context("read a site's address")?;
    Ok(json!({"endpoint": {"address": socket(&address)}}))
}

fn socket(address: &SocketAddr) -> Value {
    let ip = address.ip().to_string();
    json!({"socket_address": {"address": ip, "port_value": address.port()}})
}

fn typed(name: &str) -> String {
    format!("type.googleapis.com/envoy.extensions.{name}")
}
