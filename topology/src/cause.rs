//! What began the change that led to a cell's epoch: what a person asked for, or what had failed.

/// Carried along by whoever changes the cell next, and told to people. Two things are decided by it: a restore
/// leaves a cell alone which a person has failed over since, and nobody waits for the right of a site that has
/// asked for an election itself ([`Failure::GaveUp`]). A kind which is not known here does no harm.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cause {
    /// An operation's kind (`switchover`, `evacuate` …), or a [`Failure`]'s name.
    pub kind: String,
    /// The operation, where a person asked for it.
    pub operation: Option<String>,
}

/// Why a cell begins a new epoch though nobody asked for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The active site was no longer heard, or could not do its work, and a successor is elected.
    SiteLost,
    /// The active site answered, and was of little use: it hands over to a better one.
    SiteGray,
    /// The active site had lost its right or its database, and goes on where it is.
    CameBack,
    /// The active site cannot go on, and asks for an election itself. Only a site whose database has ended, and
    /// whose gateway answers nothing any more, says this: it ends its right.
    GaveUp,
    /// etcd went back to an older record of the cell.
    EtcdWentBack,
}

impl Cause {
    #[must_use]
    pub fn operation(id: &str, kind: &str) -> Self {
        Self { kind: kind.to_owned(), operation: Some(id.to_owned()) }
    }

    #[must_use]
    pub fn failure(failure: Failure) -> Self {
        Self { kind: failure.name().to_owned(), operation: None }
    }
}

impl Failure {
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::SiteLost => "site-lost",
            Self::SiteGray => "site-gray",
            Self::CameBack => "came-back",
            Self::GaveUp => "gave-up",
            Self::EtcdWentBack => "etcd-went-back",
        }
    }
}
