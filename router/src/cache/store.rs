//! The shelf as the cache library asks for it.
//!
//! The library's own `MemCache` is for tests: it has no bound and copies each body on each hit. Its
//! eviction managers bound what a storage reports to them, but leave the removal to a task that runs
//! later, and know no paths to purge by. Here the bound holds at every moment, under one lock that is
//! held for a few map operations.
//!
//! An object appears when it is whole, and readers that came meanwhile wait for it (for a bounded
//! time, see `cache.rs`): nobody is shown the beginning of a file whose end never comes, and where a
//! site dies in the middle the next reader fetches it from another.

use std::any::Any;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use pingora_cache::key::CacheHashKey as _;
use pingora_cache::storage::{HandleHit, HandleMiss, MissFinishType};
use pingora_cache::trace::SpanHandle;
use pingora_cache::{
    CacheKey, CacheMeta, HitHandler, MissHandler, PurgeOutcome, PurgeTarget, PurgeType, Storage,
};
use pingora_core::{Error, ErrorType, Result};

use super::shelf::{Key, Object, Purges, Shelf};
use crate::metrics::EdgeMetrics;

/// Longest body that is kept: several times the chat widget.
pub(super) const OBJECT_MAX: usize = 1024 * 1024;
/// All kept objects together; less than the requests that may be held take.
const BYTES_MAX: usize = 64 * 1024 * 1024;

pub(super) struct Store {
    shelf: Mutex<Shelf>,
    metrics: Arc<EdgeMetrics>,
}

impl Store {
    pub(super) fn new(metrics: Arc<EdgeMetrics>) -> Self {
        Self { shelf: Mutex::new(Shelf::new(BYTES_MAX)), metrics }
    }

    pub(super) fn purge_paths(&self, is_meant: impl Fn(&[u8]) -> bool) -> usize {
        self.with(|shelf| shelf.purge(is_meant))
    }

    /// A panic under the lock would be a bug of the shelf, and leaves plain values.
    fn with<T>(&self, work: impl FnOnce(&mut Shelf) -> T) -> T {
        let mut objects = self.shelf.lock().unwrap_or_else(PoisonError::into_inner);
        let outcome = work(&mut objects);
        self.metrics.cache_holds(objects.len(), objects.bytes());
        outcome
    }
}

#[async_trait]
impl Storage for Store {
    async fn lookup(
        &'static self,
        key: &CacheKey,
        _trace: &SpanHandle,
    ) -> Result<Option<(CacheMeta, HitHandler)>> {
        let found = self.with(|shelf| shelf.get(&key.combined_bin()).cloned());
        let Some(object) = found else { return Ok(None) };
        let meta = CacheMeta::deserialize(&object.meta.0, &object.meta.1)?;
        Ok(Some((meta, Box::new(Hit::of(object.body)))))
    }

    async fn get_miss_handler(
        &'static self,
        key: &CacheKey,
        meta: &CacheMeta,
        _trace: &SpanHandle,
    ) -> Result<MissHandler> {
        Ok(Box::new(Fill {
            store: self,
            key: key.combined_bin(),
            begun: self.with(|shelf| shelf.purges()),
            path: key.primary_key().into(),
            meta: meta.serialize()?,
            body: Some(BytesMut::new()),
        }))
    }

    async fn purge(
        &'static self,
        target: PurgeTarget<'_>,
        _why: PurgeType,
        _trace: &SpanHandle,
    ) -> Result<PurgeOutcome> {
        let was_there = self.with(|shelf| shelf.remove(&target.key().combined_bin()));
        Ok(if was_there { PurgeOutcome::Purged(None) } else { PurgeOutcome::NotFound })
    }

    async fn update_meta(
        &'static self,
        key: &CacheKey,
        meta: &CacheMeta,
        _trace: &SpanHandle,
    ) -> Result<bool> {
        let meta = meta.serialize()?;
        Ok(self.with(|shelf| shelf.renew(&key.combined_bin(), meta)))
    }

    fn as_any(&self) -> &(dyn Any + Send + Sync + 'static) {
        self
    }
}

/// Reads a stored body, or a range of it, at once.
struct Hit {
    whole: Bytes,
    next: Option<Bytes>,
}

impl Hit {
    fn of(whole: Bytes) -> Self {
        Self { next: Some(whole.clone()), whole }
    }
}

#[async_trait]
impl HandleHit for Hit {
    async fn read_body(&mut self) -> Result<Option<Bytes>> {
        Ok(self.next.take().filter(|bytes| !bytes.is_empty()))
    }

    async fn finish(
        self: Box<Self>,
        _storage: &'static (dyn Storage + Sync),
        _key: &CacheKey,
        _trace: &SpanHandle,
    ) -> Result<()> {
        Ok(())
    }

    fn can_seek(&self) -> bool {
        true
    }

    fn seek(&mut self, start: usize, end: Option<usize>) -> Result<()> {
        let end = end.unwrap_or(self.whole.len()).min(self.whole.len());
        if start >= end {
            return Error::e_explain(ErrorType::InternalError, "read a range that is not there");
        }
        self.next = Some(self.whole.slice(start..end));
        Ok(())
    }

    fn as_any(&self) -> &(dyn Any + Send + Sync) {
        self
    }

    fn as_any_mut(&mut self) -> &mut (dyn Any + Send + Sync) {
        self
    }
}

/// Takes a body as it comes; dropped before its end, nothing is kept.
struct Fill {
    store: &'static Store,
    key: Key,
    begun: Purges,
    path: Box<[u8]>,
    meta: (Vec<u8>, Vec<u8>),
    /// None once it has become too long: it goes on to its reader, and is not kept.
    body: Option<BytesMut>,
}

#[async_trait]
impl HandleMiss for Fill {
    async fn write_body(&mut self, data: Bytes, _eof: bool) -> Result<()> {
        self.body = self.body.take().filter(|body| body.len() + data.len() <= OBJECT_MAX);
        if let Some(body) = &mut self.body {
            body.extend_from_slice(&data);
        }
        Ok(())
    }

    async fn finish(self: Box<Self>) -> Result<MissFinishType> {
        let Self { store, key, begun, path, meta, body } = *self;
        let Some(body) = body else { return Ok(MissFinishType::Created(0)) };
        let size = body.len();
        let object = Object { path, meta, body: body.freeze() };
        let left = store.with(|shelf| shelf.put(key, object, begun));
        store.metrics.cache_evicted(left);
        Ok(MissFinishType::Created(size))
    }
}

#[cfg(test)]
mod tests {
    use pingora_cache::trace::Span;
    use pingora_http::ResponseHeader;
    use runtime::clock::wall;

    use super::*;

    #[tokio::test]
    async fn an_object_appears_when_it_is_whole_and_not_before() {
        let store = store();
        let mut fill = fill(store, "/a").await;
        fill.write_body("one ".into(), false).await.unwrap();
        assert_eq!(read(store, "/a").await, None);
        fill.write_body("two".into(), true).await.unwrap();
        fill.finish().await.unwrap();
        assert_eq!(read(store, "/a").await.as_deref(), Some(&b"one two"[..]));
    }

    #[tokio::test]
    async fn a_fill_that_ends_early_keeps_nothing() {
        let store = store();
        let mut fill = fill(store, "/a").await;
        fill.write_body("half".into(), false).await.unwrap();
        drop(fill);
        assert_eq!(read(store, "/a").await, None);
    }

    #[tokio::test]
    async fn a_body_that_grows_too_long_is_let_through_and_not_kept() {
        let store = store();
        let mut fill = fill(store, "/a").await;
        fill.write_body(vec![0; OBJECT_MAX].into(), false).await.unwrap();
        fill.write_body("x".into(), true).await.unwrap();
        fill.finish().await.unwrap();
        assert_eq!(read(store, "/a").await, None);
    }

    #[tokio::test]
    async fn a_range_is_read_from_the_whole_body_as_often_as_asked() {
        let mut hit = Hit::of("0123456789".into());
        hit.seek(2, Some(5)).unwrap();
        assert_eq!(hit.read_body().await.unwrap().unwrap(), "234");
        assert_eq!(hit.read_body().await.unwrap(), None);
        hit.seek(8, Some(99)).unwrap();
        assert_eq!(hit.read_body().await.unwrap().unwrap(), "89");
        assert!(hit.seek(10, None).is_err());
    }

    #[tokio::test]
    async fn a_reader_keeps_what_it_began_to_read_while_it_is_purged() {
        let store = store();
        let mut begun = fill(store, "/a").await;
        begun.write_body("whole".into(), true).await.unwrap();
        begun.finish().await.unwrap();
        let (_, mut hit) = look(store, "/a").await.unwrap();
        assert_eq!(store.purge_paths(|path| path == b"/a"), 1);
        assert_eq!(hit.read_body().await.unwrap().unwrap(), "whole");
        assert_eq!(read(store, "/a").await, None);
    }

    fn store() -> &'static Store {
        Box::leak(Box::new(Store::new(Arc::new(EdgeMetrics::unregistered()))))
    }

    async fn fill(store: &'static Store, path: &str) -> MissHandler {
        let head = ResponseHeader::build(200, None).unwrap();
        let meta = CacheMeta::new(wall(), wall(), 0, 0, head);
        let span = Span::inactive();
        store.get_miss_handler(&CacheKey::new(path, ""), &meta, &span.handle()).await.unwrap()
    }

    async fn look(store: &'static Store, path: &str) -> Option<(CacheMeta, HitHandler)> {
        let span = Span::inactive();
        store.lookup(&CacheKey::new(path, ""), &span.handle()).await.unwrap()
    }

    async fn read(store: &'static Store, path: &str) -> Option<Bytes> {
        let (_, mut hit) = look(store, path).await?;
        hit.read_body().await.unwrap()
    }
}
