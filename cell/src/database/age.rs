//! How old what a standby shows is.

use std::fmt;

use topology::spec::Durability;

use super::{Connections, Failure, Transaction};

/// Since when the site has not heard of a commit; a read made now shows all that came before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Age {
    /// In whole seconds, rounded up, since the last commit that was replayed was made. An idle cell
    /// looks old and is not: nothing says that nothing happened.
    Seconds(u64),
    /// Nothing has been replayed since the server started, or it is no standby.
    Unknown,
}

/// Asks the site's own PostgreSQL. To be asked before the read it speaks of.
pub async fn age(connections: &Connections) -> Result<Age, Failure> {
    let transaction = Transaction::begin(connections, Durability::Weak).await?;
    let row = transaction
        .row(
            "SELECT CASE WHEN pg_is_in_recovery() THEN
                 greatest(0, ceil(extract(epoch FROM
                     clock_timestamp() - pg_last_xact_replay_timestamp())))::bigint END",
            &[],
        )
        .await;
    let row = transaction.end(row).await?;
    let seconds = row.and_then(|row| row.get::<_, Option<i64>>(0));
    Ok(seconds.and_then(|seconds| u64::try_from(seconds).ok()).map_or(Age::Unknown, Age::Seconds))
}

impl fmt::Display for Age {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Seconds(seconds) => write!(f, "{seconds}"),
            Self::Unknown => f.write_str("unknown"),
        }
    }
}
