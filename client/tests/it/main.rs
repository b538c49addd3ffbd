//! Handles and followers against a real etcd that goes back in time.

#![expect(clippy::unwrap_used, reason = "what goes wrong here is a failed test")]

mod etcd;
mod went_back;
