//! What a router could go back to, for people and for programs.

use std::fmt;
use std::path::Path;

use client::last_known_good::{Content, LastKnownGood};
use client::rollback::Rollback;
use runtime::clock::utc;
use serde::Serialize;

/// One router's generations, the newest first.
#[derive(Serialize)]
pub(super) struct Listing {
    router: u16,
    rollback: Option<Order>,
    generations: Vec<Shown>,
}

#[derive(Serialize)]
struct Order {
    from: u64,
    to: u64,
}

#[derive(Serialize)]
struct Shown {
    version: u64,
    /// When it was put to use, in UTC; none where it does not say.
    since: Option<String>,
    age_seconds: Option<u64>,
    /// What is otherwise in it than in the generation before.
    changes: Vec<String>,
    /// Why it cannot be gone back to; none if it can.
    damaged: Option<String>,
}

impl Listing {
    /// Looks at a folder at `now`, in milliseconds since 1970.
    pub(super) fn of(router: u16, folder: &Path, now: u64) -> anyhow::Result<Self> {
        let order = Rollback::read(folder)?;
        let mut before: Option<Content> = None;
        let mut generations = Vec::new();
        for generation in LastKnownGood::look(folder.to_owned()).list() {
            let version = generation.version.0;
            generations.push(match generation.content {
                Ok(content) => {
                    let shown = Shown::of(version, &content, before.as_ref(), now);
                    before = Some(content);
                    shown
                }
                Err(why) => Shown {
                    version,
                    since: None,
                    age_seconds: None,
                    changes: Vec::new(),
                    damaged: Some(why),
                },
            });
        }
        generations.reverse();
        let rollback = order.map(|order| Order { from: order.from.0, to: order.to.0 });
        Ok(Self { router, rollback, generations })
    }
}

impl Shown {
    fn of(version: u64, content: &Content, before: Option<&Content>, now: u64) -> Self {
        let since = Some(content.since).filter(|since| *since > 0);
        let changes = before.map(|before| content.snapshot.differences(&before.snapshot));
        Self {
            version,
            since: since.map(utc),
            age_seconds: since.map(|since| now.saturating_sub(since) / 1000),
            changes: changes.iter().flatten().map(ToString::to_string).collect(),
            damaged: None,
        }
    }
}

impl fmt::Display for Listing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "router {}", self.router)?;
        if let Some(Order { from, to }) = &self.rollback {
            writeln!(f, "  rolled back from {from} to {to}, until a newer version comes")?;
        }
        for shown in &self.generations {
            let since = shown.since.as_deref().unwrap_or("at an unknown time");
            let age =
                shown.age_seconds.map_or_else(String::new, |age| format!(", {} ago", span(age)));
            writeln!(f, "  {:<12} {since}{age}", shown.version)?;
            for change in &shown.changes {
                writeln!(f, "               {change}")?;
            }
            if let Some(why) = &shown.damaged {
                writeln!(f, "               damaged: {why}")?;
            }
        }
        Ok(())
    }
}

fn span(seconds: u64) -> String {
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3600 => format!("{} min", seconds / 60),
        3600..172_800 => format!("{} h", seconds / 3600),
        _ => format!("{} days", seconds / 86_400),
    }
}
