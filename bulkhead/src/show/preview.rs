use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use super::{bytes, or_none, read, time};

#[derive(Deserialize)]
struct Preview {
    broken: Vec<Broken>,
    waves: Vec<Vec<String>>,
    blast_radius: BlastRadius,
    expected: Option<Expected>,
    loss: Option<Loss>,
    freeze: Option<Freeze>,
    headroom: BTreeMap<String, Headroom>,
    etag: String,
}

#[derive(Deserialize)]
struct Broken {
    rule: String,
    detail: String,
    may_be_overridden: bool,
}

#[derive(Deserialize)]
struct BlastRadius {
    cells: Vec<String>,
    slots: u64,
    of_slots: u64,
}

#[derive(Deserialize)]
struct Expected {
    took_ms: u64,
    #[serde(default)]
    hold_ms: Option<u64>,
}

/// What a failover could lose.
#[derive(Deserialize)]
struct Loss {
    winner: Option<String>,
    votes: usize,
    votes_needed: usize,
    unheard: Vec<String>,
    acknowledged_writes: bool,
    behind_bytes: Option<u64>,
}

/// What a freeze would mean, or its end.
#[derive(Deserialize)]
struct Freeze {
    lost: Vec<String>,
}

#[derive(Deserialize)]
struct Headroom {
    free_percent: Option<i64>,
    free_percent_after: Option<i64>,
}

pub(crate) fn text(answer: &Value) -> anyhow::Result<String> {
    let preview: Preview = read(answer)?;
    let mut lines = vec!["Nothing was done. This would be:".to_owned()];
    for (wave, steps) in preview.waves.iter().enumerate() {
        lines.push(format!("  wave {}: {}", wave + 1, steps.join(", ")));
    }
    let BlastRadius { cells, slots, of_slots } = &preview.blast_radius;
    if !cells.is_empty() {
        lines.push(format!("  concerns {}: {slots} of {of_slots} slots", cells.join(", ")));
    }
    if let Some(Freeze { lost }) = &preview.freeze {
        lines.push(if lost.is_empty() {
            "  concerns nobody: requests go on as they do".to_owned()
        } else {
            format!("  the active site of {} is lost", lost.join(", "))
        });
    }
    if let Some(Expected { took_ms, hold_ms }) = preview.expected {
        let held = hold_ms.map_or_else(String::new, |ms| format!(", requests held {}", time(ms)));
        lines.push(format!("  by earlier moves, {} for each{held}", time(took_ms)));
    }
    lines.extend(preview.loss.iter().flat_map(lost));
    for (region, headroom) in &preview.headroom {
        if let (Some(now), Some(after)) = (headroom.free_percent, headroom.free_percent_after) {
            lines.push(format!("  headroom in {region}: {now} % now, {after} % after"));
        }
    }
    for Broken { rule, detail, may_be_overridden } in &preview.broken {
        let way = if *may_be_overridden { " (may be overridden)" } else { "" };
        lines.push(format!("  in the way: {rule}{way}: {detail}"));
    }
    lines.push(format!("To do just this: the same with --if-match '{}'", preview.etag));
    Ok(lines.join("\n"))
}

fn lost(loss: &Loss) -> Vec<String> {
    let Loss { winner, votes, votes_needed, unheard, .. } = loss;
    let winner = or_none(winner.clone());
    let mut lines =
        vec![format!("  would promote {winner}: {votes} of {votes_needed} votes needed answer")];
    if loss.acknowledged_writes {
        let unheard = unheard.join(", ");
        lines.push(format!(
            "  could lose acknowledged strong writes, what only {unheard} may have: takes \
             --accept-data-loss"
        ));
    }
    if let Some(count) = loss.behind_bytes {
        lines.push(format!("  {} of write-ahead log behind the site that is lost", bytes(count)));
    }
    lines
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_freeze_concerns_whose_active_site_is_lost_or_nobody() {
        for (cells, slots, expected) in [
            (json!([]), 0, "  concerns nobody: requests go on as they do"),
            (
                json!(["c1"]),
                5462,
                "  concerns c1: 5462 of 16384 slots\n  the active site of c1 is lost",
            ),
        ] {
            let ahead = json!({
                "broken": [],
                "waves": [["freeze everything", "hold up op-000012, to evacuate east"]],
                "blast_radius": { "cells": cells, "slots": slots, "of_slots": 16384 },
                "expected": null,
                "freeze": { "holds": false, "lost": cells, "operations": ["op-000012"] },
                "headroom": {},
                "etag": "\"3\"",
            });
            let expected = format!(
                "Nothing was done. This would be:\n  \
                 wave 1: freeze everything, hold up op-000012, to evacuate east\n\
                 {expected}\n\
                 To do just this: the same with --if-match '\"3\"'"
            );
            assert_eq!(text(&ahead).unwrap(), expected);
        }
    }
}
