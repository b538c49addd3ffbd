//! A value that is watched, as `tokio::sync::watch`: that one wakes its watchers in an order of its
//! own, this one in theirs, so that a seed stays one history.

use std::cell::{Cell, Ref, RefCell};
use std::rc::Rc;

use tokio::sync::Notify;

struct Inner<T> {
    value: RefCell<T>,
    version: Cell<u64>,
    changed: Notify,
}

pub struct Sender<T>(Rc<Inner<T>>);

pub struct Receiver<T> {
    inner: Rc<Inner<T>>,
    seen: u64,
}

impl<T> Sender<T> {
    #[must_use]
    pub fn new(value: T) -> Self {
        let (value, version) = (RefCell::new(value), Cell::new(0));
        Self(Rc::new(Inner { value, version, changed: Notify::new() }))
    }

    #[must_use]
    pub fn subscribe(&self) -> Receiver<T> {
        Receiver { inner: Rc::clone(&self.0), seen: self.0.version.get() }
    }

    pub fn borrow(&self) -> Ref<'_, T> {
        self.0.value.borrow()
    }

    pub fn send_modify(&self, modify: impl FnOnce(&mut T)) {
        self.send_if_modified(|value| {
            modify(value);
            true
        });
    }

    pub fn send_replace(&self, value: T) {
        self.send_modify(|old| *old = value);
    }

    pub fn send_if_modified(&self, modify: impl FnOnce(&mut T) -> bool) {
        if modify(&mut self.0.value.borrow_mut()) {
            self.0.version.set(self.0.version.get() + 1);
            self.0.changed.notify_waiters();
        }
    }
}

impl<T> Receiver<T> {
    pub fn borrow_and_update(&mut self) -> Ref<'_, T> {
        self.seen = self.inner.version.get();
        self.inner.value.borrow()
    }

    /// Resolves when there is a value that was not seen yet.
    pub async fn changed(&mut self) {
        while self.seen == self.inner.version.get() {
            self.inner.changed.notified().await;
        }
        self.seen = self.inner.version.get();
    }

    pub async fn wait_for(&mut self, holds: impl Fn(&T) -> bool) {
        while !holds(&self.borrow_and_update()) {
            self.changed().await;
        }
    }
}
