//! What every request does, and does without asking for memory: finding its cell, and knowing a
//! token that was checked before.

#[path = "common/snapshot.rs"]
mod snapshot;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use router::measured::{Routes, Tokens};
use serde_json::json;
use topology::Slot;
use topology::spec::edge::identity::Algorithm;

#[global_allocator]
static COUNTING: Counting = Counting;

thread_local! {
    static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
}

struct Counting;

// SAFETY: passes everything on to the system's allocator as it came.
#[expect(unsafe_code, reason = "an allocator is unsafe by its trait")]
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        unsafe { System.dealloc(memory, layout) }
    }
}

#[test]
fn finding_a_cell_asks_for_no_memory() {
    let routes = Routes::default();
    routes.apply(snapshot::snapshot(3, 7));
    let (found, allocations) = counted(|| Slot::all().all(|slot| routes.find(slot) == Some(7)));
    assert!(found);
    assert_eq!(allocations, 0);
}

#[test]
fn knowing_a_token_again_asks_for_no_memory() {
    let secret = "0123456789abcdef0123456789abcdef";
    let tokens = Tokens::trusting(Algorithm::Hs256, secret).unwrap();
    let claims = json!({"sub": "ada", "aud": "bench", "iss": "bench", "exp": 100});
    let key = jsonwebtoken::EncodingKey::from_secret(secret.as_bytes());
    let token = jsonwebtoken::encode(&jsonwebtoken::Header::default(), &claims, &key).unwrap();
    let (first, allocations) = counted(|| tokens.are_good(&token, 50));
    assert!(first && allocations > 0, "the counter counts");
    let (again, allocations) = counted(|| (0..1000).all(|_| tokens.are_good(&token, 50)));
    assert!(again);
    assert_eq!(allocations, 0);
}

/// Returns how often this thread has asked for memory meanwhile.
fn counted<T>(work: impl FnOnce() -> T) -> (T, usize) {
    let before = ALLOCATIONS.get();
    let done = work();
    (done, ALLOCATIONS.get() - before)
}
