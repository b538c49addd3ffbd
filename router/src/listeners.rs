//! What this router listens on: taken from its predecessor, shared with its siblings, or new.

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;

use anyhow::{Context as _, anyhow};
use pingora_core::listeners::tls::Acceptor;

use crate::certificates::{Certificates, acceptor};
use crate::config::Config;
use crate::doors::Opening;
use crate::sockets::{self, Listening, Sharing};

pub(crate) struct Listeners {
    pub(crate) opening: Opening,
    pub(crate) admin: TcpListener,
    pub(crate) sharing: Sharing,
}

impl Listeners {
    /// Opens everything, or says what stands in the way, before anybody sees this router.
    pub(crate) fn open(
        config: &Config,
        certificates: Option<&Arc<Certificates>>,
    ) -> anyhow::Result<Self> {
        let tls = config.spec.edge.tls.as_ref();
        let users: Vec<SocketAddr> =
            std::iter::once(config.listen).chain(tls.map(|tls| tls.listen)).collect();
        let (mut sockets, predecessor) = if config.replace {
            let (sockets, predecessor) = sockets::succeed(&config.meeting)?;
            (sockets, Some(predecessor))
        } else {
            (Listening::new(), None)
        };
        // A successor may listen on more than its predecessor did.
        let missing: Vec<SocketAddr> =
            users.iter().filter(|address| !sockets.contains_key(address)).copied().collect();
        sockets.extend(sockets::share(&missing, &config.meeting)?);
        let admin = match sockets.remove(&config.admin) {
            Some(admin) => admin,
            None => sockets::bind(config.admin).with_context(|| {
                format!("listen on {}; is another process using it", config.admin)
            })?,
        };
        sockets.retain(|address, _| users.contains(address));
        let opening = Opening {
            plain: copy(&sockets, config.listen)?,
            tls: match (tls, certificates) {
                (Some(tls), Some(certificates)) => {
                    Some(secured(&sockets, tls.listen, certificates)?)
                }
                (Some(_) | None, _) => None,
            },
            is_successor: predecessor.is_some(),
        };
        let own = Listening::from([(config.admin, again(&admin)?)]);
        let sharing = Sharing { meeting: config.meeting.clone(), users: sockets, own, predecessor };
        Ok(Self { opening, admin, sharing })
    }
}

fn secured(
    sockets: &Listening,
    address: SocketAddr,
    certificates: &Arc<Certificates>,
) -> anyhow::Result<(TcpListener, Arc<Acceptor>)> {
    Ok((copy(sockets, address)?, Arc::new(acceptor(Arc::clone(certificates))?)))
}

fn copy(sockets: &Listening, address: SocketAddr) -> anyhow::Result<TcpListener> {
    again(sockets.get(&address).ok_or_else(|| anyhow!("find the socket of {address}"))?)
}

/// A second handle on the same socket: one accepts, the other is there to be given away.
fn again(socket: &TcpListener) -> anyhow::Result<TcpListener> {
    socket.try_clone().context("keep a second handle on a socket")
}
