//! What is asked for.

use crate::users::User;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    Small,
    Large,
    Post,
}

/// What a POST carries.
const BODY: [u8; 1024] = [b'b'; 1024];

impl Shape {
    pub(crate) const ALL: [Self; 3] = [Self::Small, Self::Large, Self::Post];

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Small => "GET, 512 B",
            Self::Large => "GET, 16 KB",
            Self::Post => "POST, 1 KB",
        }
    }

    /// Returns the bytes of a user's request. Everybody gets the same: who hashes reads
    /// `x-user-id`, who checks identities reads the token.
    pub(crate) fn request(self, user: &User) -> Vec<u8> {
        let (line, body) = match self {
            Self::Small => ("GET /512", &[][..]),
            Self::Large => ("GET /16k", &[][..]),
            Self::Post => ("POST /post", &BODY[..]),
        };
        let length = if body.is_empty() {
            String::new()
        } else {
            format!("content-length: {}\r\n", body.len())
        };
        let head = format!(
            "{line} HTTP/1.1\r\nhost: bulkhead.example\r\nuser-agent: bench\r\naccept: */*\r\n\
             x-user-id: {}\r\nauthorization: Bearer {}\r\n{length}\r\n",
            user.name, user.token
        );
        [head.as_bytes(), body].concat()
    }
}
