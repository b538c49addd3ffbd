//! What does it cost to find a user's cell, from their slot and from their id, alone and while snapshots
//! are swapped; and what does a swap cost while requests look?

#[path = "../tests/common/snapshot.rs"]
mod snapshot;

use std::hint::black_box;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use criterion::{Criterion, criterion_group, criterion_main};
use router::measured::Routes;
use topology::Slot;

use snapshot::snapshot;

/// A platform as it is shipped, and the largest one that is planned for.
const CELLS: [usize; 2] = [3, 1000];

fn lookup(criterion: &mut Criterion) {
    let slots: Vec<Slot> = Slot::all().step_by(7).collect();
    for cells in CELLS {
        let routes = Routes::default();
        routes.apply(snapshot(cells, 1));
        let mut next = slots.iter().cycle();
        criterion.bench_function(&format!("lookup/{cells} cells"), |bencher| {
            bencher.iter(|| routes.find(*black_box(next.next().expect("a cycle has no end"))));
        });
    }
}

/// What a user's first request costs: the slot is a hash of the id.
fn lookup_by_id(criterion: &mut Criterion) {
    let users: Vec<String> = (0..1000).map(|number| format!("user-{number}")).collect();
    for cells in CELLS {
        let routes = Routes::default();
        routes.apply(snapshot(cells, 1));
        let mut next = users.iter().cycle();
        criterion.bench_function(&format!("lookup by id/{cells} cells"), |bencher| {
            bencher.iter(|| {
                let user = black_box(next.next().expect("a cycle has no end"));
                routes.find(Slot::of(user))
            });
        });
    }
}

fn swap(criterion: &mut Criterion) {
    for cells in CELLS {
        let routes = Routes::default();
        let snapshots = [snapshot(cells, 1), snapshot(cells, 1)];
        routes.apply(snapshots[0].clone());
        let is_over = AtomicBool::new(false);
        thread::scope(|scope| {
            scope.spawn(|| {
                while !is_over.load(Ordering::Relaxed) {
                    for slot in Slot::all() {
                        assert_eq!(black_box(routes.find(slot)), Some(1));
                    }
                }
            });
            let mut next = snapshots.iter().cycle();
            criterion.bench_function(&format!("swap under lookups/{cells} cells"), |bencher| {
                bencher.iter(|| routes.apply(next.next().expect("a cycle has no end").clone()));
            });
            is_over.store(true, Ordering::Relaxed);
        });
    }
}

fn lookup_under_swaps(criterion: &mut Criterion) {
    let routes = Routes::default();
    let snapshots = [snapshot(3, 1), snapshot(3, 1)];
    routes.apply(snapshots[0].clone());
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            for snapshot in snapshots.iter().cycle() {
                if is_over.load(Ordering::Relaxed) {
                    return;
                }
                routes.apply(snapshot.clone());
            }
        });
        let slot = Slot::of("ada");
        criterion.bench_function("lookup under swaps/3 cells", |bencher| {
            bencher.iter(|| routes.find(black_box(slot)));
        });
        is_over.store(true, Ordering::Relaxed);
    });
}

criterion_group!(benches, lookup, lookup_by_id, swap, lookup_under_swaps);
criterion_main!(benches);
