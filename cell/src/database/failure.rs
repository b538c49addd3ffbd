//! Why a piece of work did not end in its answer.

use axum::response::{IntoResponse, Response};
use runtime::Problem;
use tokio_postgres::error::{Severity, SqlState};
use tracing::{error, warn};

use crate::gateway::refusal;

/// The branches are what the caller is told.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The request is refused; nothing happened.
    #[error("refuse: {}", .0.title)]
    Refused(Problem),
    /// The database cannot be reached or is not the primary; nothing happened.
    #[error("reach the database: {0}")]
    Unreachable(String),
    /// There was no room or no time for the work; nothing happened.
    #[error("find room for the work")]
    Overloaded,
    /// The commit was sent and nobody knows whether it counts.
    #[error("learn the outcome of a commit")]
    Unknown,
    /// Our bug; nothing happened.
    #[error("{0:#}")]
    Broken(anyhow::Error),
}

impl Failure {
    /// Takes an error of a statement before the commit: nothing has happened.
    pub fn of_statement(err: tokio_postgres::Error) -> Self {
        let Some(told) = err.as_db_error() else {
            return if err.is_closed() || std::error::Error::source(&err).is_some_and(is_io) {
                Self::Unreachable(err.to_string())
            } else {
                Self::Broken(err.into())
            };
        };
        if [SqlState::LOCK_NOT_AVAILABLE, SqlState::T_R_SERIALIZATION_FAILURE].contains(told.code())
        {
            // Somebody else's commit waits for a standby, or what a standby's read was looking at
            // has been cleaned up on the primary.
            return Self::Overloaded;
        }
        if is_final(told) || *told.code() == SqlState::READ_ONLY_SQL_TRANSACTION {
            Self::Unreachable(told.message().to_owned())
        } else {
            Self::Broken(err.into())
        }
    }

    /// Takes an error of a commit. Only an ordinary error says that the transaction was rolled
    /// back: a connection that ends while the commit waits for a standby leaves it committed here.
    pub fn of_commit(err: tokio_postgres::Error) -> Self {
        match err.as_db_error() {
            Some(told) if !is_final(told) => Self::Broken(err.into()),
            Some(_) | None => Self::Unknown,
        }
    }
}

fn is_io(source: &(dyn std::error::Error + 'static)) -> bool {
    source.is::<std::io::Error>()
}

/// Returns whether the server ended the connection with this.
fn is_final(told: &tokio_postgres::error::DbError) -> bool {
    match told.parsed_severity() {
        Some(Severity::Fatal | Severity::Panic) => true,
        Some(
            Severity::Error
            | Severity::Warning
            | Severity::Notice
            | Severity::Debug
            | Severity::Info
            | Severity::Log,
        )
        | None => false,
    }
}

impl From<Problem> for Failure {
    fn from(problem: Problem) -> Self {
        Self::Refused(problem)
    }
}

impl From<Failure> for Problem {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Refused(problem) => problem,
            Failure::Unreachable(reason) => {
                warn!(reason, "database not reachable");
                refusal::failing_over("the database cannot be reached")
            }
            Failure::Overloaded => refusal::overload(),
            Failure::Unknown => refusal::outcome_unknown(),
            Failure::Broken(err) => {
                error!(error = format!("{err:#}"), "request failed");
                Problem::new(500, "internal", "Something is broken here")
            }
        }
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        Problem::from(self).into_response()
    }
}
