//! The smallest proxy that can be built with Pingora: hashes `x-user-id` over the sites it is given, and
//! does nothing else. `make bench-router` measures it beside the router: what it costs is what no router
//! built with Pingora can be below.
//!
//! ```text
//! smallest_proxy 127.0.0.1:18007 127.0.0.1:18101 127.0.0.1:18102 127.0.0.1:18103
//! ```

use std::env::args;
use std::net::SocketAddr;

use anyhow::{Context as _, ensure};
use async_trait::async_trait;
use mimalloc::MiMalloc;
use pingora_core::modules::http::HttpModules;
use pingora_core::server::Server;
use pingora_core::server::configuration::ServerConf;
use pingora_core::upstreams::peer::HttpPeer;
use pingora_core::{Error, ErrorType, Result};
use pingora_proxy::{ProxyHttp, Session, http_proxy_service};
use topology::Slot;

/// As the router has it.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

/// As the router has it: more than there are busy connections.
const POOL: usize = 1024;

struct Smallest {
    sites: Vec<SocketAddr>,
}

#[async_trait]
impl ProxyHttp for Smallest {
    type CTX = ();

    fn new_ctx(&self) {}

    fn init_downstream_modules(&self, _modules: &mut HttpModules) {}

    async fn upstream_peer(&self, session: &mut Session, _ctx: &mut ()) -> Result<Box<HttpPeer>> {
        let user = session.req_header().headers.get("x-user-id");
        let user = user.and_then(|user| user.to_str().ok());
        let user = user.ok_or_else(|| Error::new_in(ErrorType::InvalidHTTPHeader))?;
        let site = self.sites[usize::from(Slot::of(user).number()) % self.sites.len()];
        Ok(Box::new(HttpPeer::new(site, false, String::new())))
    }
}

fn main() -> anyhow::Result<()> {
    let mut addresses = args().skip(1);
    let listen = addresses.next().context("read the first word: where to listen")?;
    let sites = addresses.map(|site| site.parse().with_context(|| format!("read the site {site}")));
    let sites = sites.collect::<anyhow::Result<Vec<SocketAddr>>>()?;
    ensure!(!sites.is_empty(), "find a site in the words after the first: there is none");
    let configuration = ServerConf {
        threads: 1,
        work_stealing: false,
        upstream_keepalive_pool_size: POOL,
        ..ServerConf::default()
    };
    let mut server = Server::new_with_opt_and_conf(None, configuration);
    server.bootstrap();
    let mut service = http_proxy_service(&server.configuration, Smallest { sites });
    service.add_tcp(&listen);
    server.add_service(service);
    server.run_forever()
}
