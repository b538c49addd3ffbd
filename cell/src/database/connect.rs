//! Connections that hear the server's warnings.
//!
//! When somebody cancels a commit that waits for a standby, PostgreSQL reports it as committed, with
//! a warning that no standby may have it. The warning comes before the report: whoever hangs up in
//! between never takes it for a success, and the commit's outcome is unknown.

use std::future::{Future, poll_fn};
use std::pin::Pin;

use deadpool_postgres::Connect;
use tokio::task::JoinHandle;
use tokio_postgres::error::SqlState;
use tokio_postgres::tls::NoTlsStream;
use tokio_postgres::{AsyncMessage, Client, Config, Connection, Error, NoTls, Socket};
use tracing::{debug, warn};

pub(super) struct Connector;

type Connected = Result<(Client, JoinHandle<()>), Error>;

impl Connect for Connector {
    fn connect(&self, config: &Config) -> Pin<Box<dyn Future<Output = Connected> + Send + '_>> {
        let config = config.clone();
        Box::pin(async move {
            let (client, connection) = config.connect(NoTls).await?;
            #[expect(
                clippy::disallowed_methods,
                reason = "the pool keeps the handle, and ends the task with the connection"
            )]
            let task = tokio::spawn(drive(connection));
            Ok((client, task))
        })
    }
}

async fn drive(mut connection: Connection<Socket, NoTlsStream>) {
    while let Some(message) = poll_fn(|context| connection.poll_message(context)).await {
        match message {
            Ok(AsyncMessage::Notice(notice)) if *notice.code() == SqlState::WARNING => {
                warn!(warning = notice.message(), "hanging up on a warning");
                return;
            }
            Ok(_) => {}
            Err(err) => {
                debug!(error = %err, "database connection lost");
                return;
            }
        }
    }
}
