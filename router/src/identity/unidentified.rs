//! Why a request has no identity, and what it is told.

use runtime::Problem;

/// What is wrong with a proof of identity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unidentified {
    #[error("the request carries no bearer token and no visitor's cookie")]
    Missing,
    #[error("the token is not a JSON Web Token")]
    Malformed,
    #[error("the token is longer than 8192 bytes")]
    TooLong,
    #[error("the token is not signed")]
    Unsigned,
    #[error("the token demands an extension that is not known here")]
    Critical,
    #[error("the token's issuer is not trusted")]
    Issuer,
    #[error("the token is signed with an algorithm that its issuer's key is not for")]
    Algorithm,
    #[error("the token is signed with a key that its issuer is not known to have")]
    Key,
    #[error("the keys of the token's issuer have not been fetched yet")]
    NoKeysYet,
    #[error("the token's signature does not match")]
    Signature,
    #[error("the token has expired")]
    Expired,
    #[error("the token is not valid yet")]
    NotYetValid,
    #[error("the token is for another audience")]
    Audience,
    #[error("the token names no user of 1 to 128 visible characters")]
    Subject,
    #[error("the token's role is none of contact, agent and service")]
    Role,
    #[error("the token's cells are no list of at most 64 cells")]
    Cells,
    #[error("a cookie alone changes nothing for a page of another origin; send a bearer token")]
    CrossSite,
}

impl Unidentified {
    fn code(self) -> &'static str {
        match self {
            Self::Missing => "token-missing",
            Self::Malformed => "token-malformed",
            Self::TooLong => "token-too-long",
            Self::Unsigned => "token-unsigned",
            Self::Critical => "token-critical",
            Self::Issuer => "token-issuer",
            Self::Algorithm => "token-algorithm",
            Self::Key => "token-key",
            Self::NoKeysYet => "keys-unavailable",
            Self::Signature => "token-signature",
            Self::Expired => "token-expired",
            Self::NotYetValid => "token-not-yet-valid",
            Self::Audience => "token-audience",
            Self::Subject => "token-subject",
            Self::Role => "token-role",
            Self::Cells => "token-cells",
            Self::CrossSite => "cross-site",
        }
    }

    pub(crate) fn problem(self) -> Problem {
        if self == Self::CrossSite {
            return Problem::new(403, self.code(), "The request comes from another origin")
                .detail(self.to_string());
        }
        // Not the client's fault: it keeps its token.
        if self == Self::NoKeysYet {
            return Problem::new(503, self.code(), "The token cannot be checked right now")
                .detail(self.to_string())
                .header("retry-after", "1");
        }
        // RFC 6750 3.1: a request without any token is told only what is expected.
        let challenge = if self == Self::Missing {
            "Bearer".to_owned()
        } else {
            format!("Bearer error=\"invalid_token\", error_description=\"{self}\"")
        };
        Problem::new(401, self.code(), "The request has no valid identity")
            .detail(self.to_string())
            .header("www-authenticate", challenge)
    }
}
