//! Handles and followers against a real etcd, which may go back in time.

#![expect(clippy::unwrap_used, reason = "what goes wrong here is a failed test")]

mod etcd;
mod heard;
mod last;
mod lead;
mod went_back;
