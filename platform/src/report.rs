//! What a platform that serves says: where everything is, and what to try.

use std::path::Path;

use serde_json::{Value, json};
use topology::Spec;
use topology::address::Port;

use crate::decide::readiness::CellSeen;
use crate::run_dir::RunDir;

pub(crate) struct Report<'a> {
    pub(crate) spec: &'a Spec,
    pub(crate) run_dir: &'a RunDir,
    pub(crate) cells: &'a [CellSeen],
    pub(crate) supervisor: u32,
    /// A development token, freshly made.
    pub(crate) token: &'a str,
}

impl Report<'_> {
    pub(crate) fn text(&self) -> String {
        let endpoint = self.endpoint();
        let control_planes = self.control_planes();
        let console =
            control_planes.first().map_or_else(String::new, |url| format!("{url}/console"));
        let control_planes = control_planes.join("  ");
        let token_file = self.run_dir.control_plane_token();
        let (table, conversation) = (self.table(), self.first_conversation().join("\n  "));
        let place = format!("--run-dir {}", self.run_dir.path().display());
        let (chaos, platform) = (program("chaos"), program("platform"));
        format!(
            "Bulkhead serves.\n\n{table}\n\
             chat endpoint   {endpoint}\n\
             console         {console}\n\
             control plane   {control_planes}\n\
             sign in with    {} (or viewer.token)\n\
             its API token   {}\n\n\
             A first conversation:\n\n  {conversation}\n\n\
             lose a region   {chaos} run region-loss {place}\n\
             look            {platform} status {place}\n\
             stop            {platform} down {place}   (or Ctrl-C, if it runs in front)",
            self.run_dir.token_of("operator").display(),
            token_file.display()
        )
    }

    pub(crate) fn json(&self) -> Value {
        let cells: Vec<Value> = self
            .cells
            .iter()
            .map(|cell| {
                let (active, address) = (&cell.active, self.gateway(cell));
                json!({ "cell": cell.id, "active": active, "epoch": cell.epoch, "address": address })
            })
            .collect();
        json!({
            "supervisor": self.supervisor,
            "run_dir": self.run_dir.path(),
            "spec": self.run_dir.spec(),
            "cells": cells,
            "chat": self.endpoint(),
            "token": self.token,
            "first_conversation": self.first_conversation(),
            "console": format!("{}/console", self.control_planes().first().map_or("", String::as_str)),
            "control_planes": self.control_planes(),
            "control_plane_token_file": self.run_dir.control_plane_token(),
            "lose_a_region": [program("chaos"), "run".to_owned(), "region-loss".to_owned(),
                "--run-dir".to_owned(), self.run_dir.path().display().to_string()],
            "stop": [program("platform"), "down".to_owned(),
                "--run-dir".to_owned(), self.run_dir.path().display().to_string()],
        })
    }

    pub(crate) fn table(&self) -> String {
        let rows = self.cells.iter().map(|cell| {
            let active = cell.active.as_deref().unwrap_or("-");
            let address = self.gateway(cell).unwrap_or_else(|| format!("{}…", cell.phase));
            format!("  {:<8}{active:<10}{address}\n", cell.id)
        });
        format!("  {:<8}{:<10}{}\n{}", "cell", "active", "address", rows.collect::<String>())
    }

    fn gateway(&self, cell: &CellSeen) -> Option<String> {
        let (id, region) = (cell.id.parse().ok()?, cell.active.as_ref()?.parse().ok()?);
        self.spec.site_address(&id, &region, Port::Gateway).map(|address| address.to_string())
    }

    fn endpoint(&self) -> String {
        format!("http://{}", self.spec.edge.listen)
    }

    fn control_planes(&self) -> Vec<String> {
        self.spec
            .regions
            .iter()
            .filter_map(|region| self.spec.control_plane_url(&region.id))
            .collect()
    }

    /// Lines for a shell: a conversation is made, and a message is sent in it.
    fn first_conversation(&self) -> Vec<String> {
        let conversations = format!("{}/v1/conversations", self.endpoint());
        let common = "-H \"Authorization: Bearer $TOKEN\" -H 'Content-Type: application/json' \
                      -H \"Idempotency-Key: $(date +%s%N)\"";
        let id = "sed -E 's/.*(cnv_[0-9a-z]+).*/\\1/'";
        vec![
            format!("TOKEN={}", self.token),
            format!("CONVERSATION=$(curl -sS {conversations} {common} -d '{{}}' | {id})"),
            format!(
                "curl -sS {conversations}/$CONVERSATION/messages {common} -d '{{\"text\":\"Where is my order?\"}}'"
            ),
        ]
    }
}

/// Returns how to call a program that lies beside this one, as short as it can be from here.
fn program(name: &str) -> String {
    let Ok(own) = std::env::current_exe() else { return name.to_owned() };
    let path = own.with_file_name(name);
    let here = std::env::current_dir().unwrap_or_default();
    shortened(&path, &here)
}

fn shortened(path: &Path, here: &Path) -> String {
    path.strip_prefix(here).unwrap_or(path).display().to_string()
}
