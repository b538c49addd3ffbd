//! Writes what a first start needs.

use anyhow::Context as _;
use client::etcd::PutIf;
use topology::CellId;
use tracing::info;

use super::hands::Hands;
use crate::decide::first_start;

/// Writes the placement, unless another control plane already has.
pub async fn placement(hands: &Hands) -> anyhow::Result<()> {
    let placement = first_start::placement(&hands.spec, &hands.state.borrow());
    match hands.store.create_placement(&placement).await.context("create the placement")? {
        PutIf::Done { .. } => info!("placement created"),
        PutIf::Stale => {}
    }
    Ok(())
}

/// Writes a cell's first activation, unless another control plane already has.
pub async fn cell(hands: &Hands, cell: &CellId) -> anyhow::Result<()> {
    let listed = hands.spec.cell(cell).with_context(|| format!("find cell {cell} in the spec"))?;
    let routed = first_start::cell(&hands.spec, listed);
    match hands.store.create_cell(cell, &routed).await.context("create the cell")? {
        PutIf::Done { .. } => info!(%cell, "cell created"),
        PutIf::Stale => {}
    }
    Ok(())
}
