//! Who may call: whoever has the token.

use axum::extract::{Request, State};
use axum::http::header;
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use runtime::Problem;
use sha2::{Digest as _, Sha256};

/// The token's hash: what is kept in memory opens nothing.
#[derive(Clone)]
pub struct Token([u8; 32]);

/// Who calls, as far as a token tells: its fingerprint, which opens nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller(pub String);

impl Token {
    #[must_use]
    pub fn new(text: &str) -> Self {
        Self(Sha256::digest(text.as_bytes()).into())
    }

    /// Compares in a time that does not depend on where they differ.
    fn is(&self, offered: &str) -> bool {
        let offered: [u8; 32] = Sha256::digest(offered.as_bytes()).into();
        let difference =
            self.0.iter().zip(offered).fold(0, |sum, (own, other)| sum | (own ^ other));
        difference == 0
    }

    fn caller(&self) -> Caller {
        let [first, second, third, fourth, ..] = self.0;
        Caller(format!("token {first:02x}{second:02x}{third:02x}{fourth:02x}"))
    }
}

/// Lets a request pass that carries the token, and notes whose it is.
pub async fn require(State(token): State<Token>, mut request: Request, next: Next) -> Response {
    let offered = request.headers().get(header::AUTHORIZATION).map(|value| value.to_str());
    let bearer = match &offered {
        None => return refused("token-missing", "There is no bearer token").into_response(),
        Some(Ok(value)) => {
            value.split_once(' ').filter(|(kind, _)| kind.eq_ignore_ascii_case("bearer"))
        }
        Some(Err(_)) => None,
    };
    match bearer {
        Some((_, offered)) if token.is(offered.trim()) => {
            request.extensions_mut().insert(token.caller());
            next.run(request).await
        }
        Some(_) => refused("token-unknown", "The bearer token is not known here").into_response(),
        None => refused("token-malformed", "This is no bearer token").into_response(),
    }
}

fn refused(code: &str, title: &str) -> Problem {
    Problem::new(401, code, title)
        .detail("send the control plane's token as `Authorization: Bearer …`")
        .header("www-authenticate", "Bearer realm=\"bulkhead control plane\"")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_whole_token_opens() {
        let token = Token::new("secret");
        assert!(token.is("secret"));
        for wrong in ["", "secre", "secrets", "Secret"] {
            assert!(!token.is(wrong), "{wrong:?}");
        }
    }
}
