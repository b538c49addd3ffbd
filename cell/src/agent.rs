//! The site's agent: holds the right to serve, runs PostgreSQL, supervises the services.
//!
//! ```text
//!  etcd ──▶ follow_cell ──▶ keep ──▶ postgres           what the site is
//!                            │ ▲
//!             standing, claim│ │votes, hand-overs
//!                            ▼ │
//!  etcd ◀── right ──▶ tenure lines ──▶ services        until when it may say so
//! ```
//!
//! It decides nothing about its cell: who is active is the activation's business, and the agent
//! only ever asks for an election, or for a new epoch in place.

mod backup;
mod ballot;
mod calls;
pub mod decide;
mod follow_cell;
mod keep;
mod lost_writes;
mod postgres;
mod relay;
mod report;
mod right;
mod shared;
mod successor;
mod supervise;
mod watchdog;

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use client::Etcd;
use runtime::clock::BootTime;
use runtime::{Board, HttpClient, Tasks, admin, server};
use tokio::sync::mpsc;
use topology::address::Port;

use crate::config::Site;
use backup::Backups;
use ballot::Ballot;
use decide::voter::Voter;
use keep::{Keeper, Tools};
use postgres::Postgres;
use shared::Shared;
use supervise::SERVICES;

/// Services finish what is in flight, PostgreSQL writes its checkpoint.
const GRACE: Duration = Duration::from_secs(9);

pub async fn run(site: Site) -> anyhow::Result<()> {
    let site = Arc::new(site);
    let calls_listener = admin::bind(site.address(Port::Agent)).await?;
    let admin_listener = admin::bind(site.address(Port::AgentAdmin)).await?;
    std::fs::create_dir_all(site.folder())
        .with_context(|| format!("make {}", site.folder().display()))?;
    let ballot = Ballot::new(site.folder().join("ballot.json"));
    let voted = ballot.read()?;
    let mut postgres = Postgres::open(&site)?;
    let ways = relay::open(&site, &postgres.binaries);
    postgres.comes_by(ways.iter().map(|way| (way.region.clone(), way.folder.clone())).collect());
    let postgres = Arc::new(postgres);
    let backups = Backups::prepare(&site, &postgres)?;
    let shared = Arc::new(Shared::new(Voter::new(voted, BootTime::now())));
    let etcd =
        Etcd::connect(site.spec.etcd_endpoints(Some(&site.id.region))).over(site.spec.round_trip);
    let http = HttpClient::default();
    let board = Board::default();
    let (calls, asked) = mpsc::channel(calls::CALLS);
    let restarts = supervise::Metrics::register()?;
    for (service, _) in SERVICES {
        board.condition(service, Err("not started".to_owned()));
    }

    let tools = Tools {
        site: Arc::clone(&site),
        etcd: etcd.clone(),
        http: http.clone(),
        postgres: Arc::clone(&postgres),
        shared: Arc::clone(&shared),
    };
    let keeper = Keeper::new(tools, ballot, asked, board.clone());
    let routes = calls::routes(Arc::clone(&site), Arc::clone(&shared), calls);

    let mut tasks = Tasks::default();
    tasks.start("answer calls", |stop| server::serve(calls_listener, routes, stop));
    tasks.start("serve admin", |stop| {
        server::serve(admin_listener, admin::routes(board.clone()), stop)
    });
    tasks.start("follow the cell", |stop| {
        let site = Arc::clone(&site);
        follow_cell::follow_cell(site, etcd.clone(), Arc::clone(&shared), board.clone(), stop)
    });
    tasks.start("keep the role", |stop| keeper.run(stop));
    tasks.start("renew the lease", |stop| {
        right::renew(Arc::clone(&site), etcd.clone(), Arc::clone(&shared), stop)
    });
    tasks.start("collect promises", |stop| {
        right::collect_promises(Arc::clone(&site), http.clone(), Arc::clone(&shared), stop)
    });
    tasks.start("guard the right", |stop| {
        right::guard(Arc::clone(&postgres), Arc::clone(&shared), stop)
    });
    tasks.start("keep pace", |stop| right::keep_pace(Arc::clone(&shared), stop));
    tasks.start("feed the watchdog", |stop| {
        let (site, postgres) = (Arc::clone(&site), Arc::clone(&postgres));
        watchdog::feed(site, postgres, Arc::clone(&shared), board.clone(), stop)
    });
    // Who follows nobody over a way of its own takes a timeline up by itself.
    if !ways.is_empty() {
        tasks.start("ask successors ahead", |stop| {
            successor::ask_ahead(Arc::clone(&site), http.clone(), Arc::clone(&shared), stop)
        });
    }
    for way in ways {
        let (own, postgres, shared) = (site.id.clone(), Arc::clone(&postgres), Arc::clone(&shared));
        tasks.start(&format!("pass WAL on from {}", way.region), |stop| {
            way.run(own, postgres, shared, stop)
        });
    }
    let alerts = backups.alerts();
    tasks.start("keep backups", |stop| backups.keep(shared.tenure.subscribe(), stop));
    tasks.start("report", |stop| {
        let (site, postgres, shared) =
            (Arc::clone(&site), Arc::clone(&postgres), Arc::clone(&shared));
        report::report(site, etcd.clone(), postgres, shared, alerts, board.clone(), stop)
    });
    for (service, port) in SERVICES {
        let (site, http) = (Arc::clone(&site), http.clone());
        let (board, restarts) = (board.clone(), restarts.clone());
        tasks.start(&format!("supervise {service}"), |stop| {
            supervise::supervise(site, service, port, http, board, restarts, stop)
        });
    }
    tasks.run(runtime::stop_asked(), GRACE).await
}
