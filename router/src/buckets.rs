//! How often one user, and one cell, may be asked: token buckets.
//!
//! Users' buckets are kept up to a number and then forgotten, the least used first: a forgotten
//! user starts with a full bucket, and their cell's bucket still counts. A flood of new users
//! therefore costs a bounded amount of memory, and is stopped at the cell.

use std::hash::{BuildHasher as _, RandomState};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use governor::clock::{Clock as _, QuantaClock};
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use quick_cache::sync::Cache;
use topology::spec::edge::Rate;

/// Users whose buckets are remembered; at some 200 bytes each, 20 MiB.
const USERS_MAX: usize = 100_000;

/// All users' buckets.
pub(crate) struct Users {
    quota: Quota,
    /// All buckets': to make a clock costs more than to route a request.
    clock: QuantaClock,
    hasher: RandomState,
    buckets: Cache<u64, Arc<DefaultDirectRateLimiter>>,
}

impl Users {
    pub(crate) fn new(rate: Rate) -> Self {
        Self::remembering(rate, USERS_MAX)
    }

    fn remembering(rate: Rate, users: usize) -> Self {
        let (clock, hasher) = (QuantaClock::default(), RandomState::new());
        Self { quota: quota(rate, 1), clock, hasher, buckets: Cache::new(users) }
    }

    /// Takes one request of this user's, or says how long until there is one.
    pub(crate) fn take(&self, user: &[u8]) -> Result<(), Duration> {
        // A keyed hash of 64 bits: nobody can choose an id that shares another's bucket.
        let key = self.hasher.hash_one(user);
        let bucket = self.buckets.get(&key).unwrap_or_else(|| {
            let bucket = RateLimiter::direct_with_clock(self.quota, self.clock.clone());
            let bucket = Arc::new(bucket);
            self.buckets.insert(key, Arc::clone(&bucket));
            bucket
        });
        take(&bucket)
    }
}

/// One cell's bucket in this router: its part of what all routers together may ask.
#[derive(Default)]
pub(crate) struct CellBucket(ArcSwapOption<Part>);

struct Part {
    routers: u32,
    bucket: DefaultDirectRateLimiter,
}

impl CellBucket {
    /// Takes one request to this cell, or says how long until there is one.
    pub(crate) fn take(&self, rate: Rate, routers: u32) -> Result<(), Duration> {
        let part = self.0.load();
        if let Some(part) = part.as_ref().filter(|part| part.routers == routers) {
            return take(&part.bucket);
        }
        let bucket = RateLimiter::direct(quota(rate, routers));
        let part = Arc::new(Part { routers, bucket });
        self.0.store(Some(Arc::clone(&part)));
        take(&part.bucket)
    }
}

/// How many routers share what a cell may be asked, as far as this one knows.
pub(crate) struct LiveRouters(AtomicU32);

impl Default for LiveRouters {
    fn default() -> Self {
        Self(AtomicU32::new(1))
    }
}

impl LiveRouters {
    pub(crate) fn count(&self) -> u32 {
        self.0.load(Ordering::Relaxed)
    }

    pub(crate) fn set(&self, count: u32) {
        self.0.store(count.max(1), Ordering::Relaxed);
    }
}

fn take(bucket: &DefaultDirectRateLimiter) -> Result<(), Duration> {
    bucket.check().map_err(|not_until| not_until.wait_time_from(bucket.clock().now()))
}

fn quota(rate: Rate, parts: u32) -> Quota {
    let part =
        |number: u32| NonZeroU32::new(number.div_ceil(parts.max(1))).unwrap_or(NonZeroU32::MIN);
    Quota::per_second(part(rate.rate)).allow_burst(part(rate.burst))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// So slow that no test sees a second token.
    const RATE: Rate = Rate { rate: 1, burst: 3 };

    #[test]
    fn a_user_has_a_burst_and_then_waits_while_others_do_not() {
        let users = Users::new(RATE);
        for _ in 0..3 {
            assert_eq!(users.take(b"ada"), Ok(()));
        }
        let wait = users.take(b"ada").unwrap_err();
        assert!(wait <= Duration::from_secs(1), "{wait:?}");
        assert_eq!(users.take(b"bob"), Ok(()));
    }

    #[test]
    fn a_flood_of_new_users_is_forgotten_again() {
        let users = Users::remembering(RATE, 1000);
        for number in 0..100_000_u32 {
            assert_eq!(users.take(&number.to_be_bytes()), Ok(()));
        }
        assert!(users.buckets.len() <= 1000, "{}", users.buckets.len());
    }

    #[test]
    fn a_cells_burst_is_divided_by_the_routers() {
        let rate = Rate { rate: 2, burst: 8 };
        let burst = |routers| {
            let bucket = CellBucket::default();
            (0..20).take_while(|_| bucket.take(rate, routers).is_ok()).count()
        };
        assert_eq!((burst(1), burst(2), burst(4)), (8, 4, 2));
    }

    #[test]
    fn a_change_of_the_number_of_routers_is_followed() {
        let bucket = CellBucket::default();
        let rate = Rate { rate: 2, burst: 8 };
        assert_eq!(bucket.take(rate, 8), Ok(()));
        assert!(bucket.take(rate, 8).is_err());
        assert_eq!(bucket.take(rate, 4), Ok(()));
    }
}
