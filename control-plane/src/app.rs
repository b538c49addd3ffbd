//! Builds the process: the one file that knows every part.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use axum::Router;
use clap::Parser as _;
use runtime::door::{Certificate, Door, Guests};
use runtime::{Board, Tasks, admin, server, stop_asked, telemetry};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;
use topology::{RegionId, Spec};

use crate::agents::Agents;
use crate::api::{self, Api};
use crate::config::{Config, RawConfig};
use crate::console::{self, Console};
use crate::decide::drills::Drills;
use crate::decide::{Fact, Policy, State};
use crate::decision_log::DecisionLog;
use crate::event_log::EventLog;
use crate::metrics;
use crate::store::etcd::Store;
use crate::tasks::control::Control;
use crate::tasks::hands::Hands;
use crate::tasks::operate::Executor;
use crate::tasks::rehearse::Rehearse;
use crate::tasks::{
    deeds, drills, hear, history, lead, probe, read, remember, renewals, sight, suite, wishes,
};

/// How long requests and writes in flight may go on after the process was asked to stop.
const GRACE: Duration = Duration::from_secs(3);
/// Facts that wait for the loop: a probe of each of some hundred sites.
const FACTS: usize = 1024;
/// What people asked for that waits for its loop, which takes each at once.
const ORDERS: usize = 16;

/// What is to be remembered that waits for its loop, which takes each at once: a note of every cell of a
/// large platform.
const MEMORIES: usize = 1024;

/// Runs the process that the flags describe, until it is asked to stop.
pub async fn run() -> anyhow::Result<()> {
    let config = Config::read(&RawConfig::parse()).context("read the configuration")?;
    let region = config.region.as_str();
    let _telemetry = telemetry::start("bulkhead-control-plane", region, Some(region))?;
    admin::build_info("control_plane", env!("CARGO_PKG_VERSION"))?;
    serve(config, stop_asked()).await
}

/// Serves until `asked` resolves. Starts without etcd, and outlives it.
#[expect(clippy::too_many_lines, reason = "the wiring of every part, read top to bottom")]
pub async fn serve(config: Config, asked: impl Future<Output = ()>) -> anyhow::Result<()> {
    let Config {
        region,
        spec,
        callers,
        console_key,
        listen,
        admin,
        certificate,
        failpoint,
        rehearsals,
    } = config;
    let (api_listener, admin_listener) = (admin::bind(listen).await?, admin::bind(admin).await?);
    metrics::register();

    let board = Board::default();
    let log = EventLog::default();
    let decisions = DecisionLog::default();
    let store = Store::connect(&spec, &region);
    let agents = Agents::new(&spec);
    let (out, state) = watch::channel(Arc::new(State::default()));
    let (facts, facts_in) = mpsc::channel(FACTS);
    let (orders, orders_in) = mpsc::channel(ORDERS);
    let (under_way, under_way_in) = mpsc::channel(ORDERS);
    let (deeds, deeds_in) = mpsc::channel(ORDERS);
    let hands = Hands {
        policy: Arc::new(Policy::new(&spec, &region)),
        spec: Arc::clone(&spec),
        store: store.clone(),
        agents: agents.clone(),
        state: state.clone(),
        facts: facts.clone(),
        failpoint,
    };
    let executor = Executor::new(hands.clone(), orders, under_way_in);
    let (rehearsed, drills) = watch::channel(Arc::new(Drills::default()));
    let (planned, schedule) = watch::channel(None);
    let runs = (store.clone(), schedule.clone(), board.clone());
    let is_told = rehearsals.is_some();
    let rehearse = rehearsals.map(|rehearsals| Rehearse {
        rehearsals,
        policy: Policy::new(&spec, &region),
        store: store.clone(),
        log: log.clone(),
        board: board.clone(),
    });
    let planning = (store.clone(), log.clone(), planned, board.clone());
    let wanted = (store.clone(), state.clone(), log.clone(), board.clone());
    let seen = sight::nothing_yet();
    let told = (store.clone(), Arc::clone(&seen), board.clone());
    let looking = (state.clone(), Arc::clone(&seen));
    let hearing = (Arc::clone(&spec), region.clone(), agents.clone(), facts.clone());
    let kept = (store.clone(), region.clone(), state.clone(), board.clone());
    let (shelf, shown) = (store.clone(), board.clone());
    let leading = (Arc::clone(&spec), region.clone(), state.clone());
    let answering = (store.clone(), agents.clone(), region, Arc::clone(&spec));
    let (memories, remembered) = mpsc::channel(MEMORIES);
    let control = Control::new(hands, out, log.clone(), decisions.clone(), memories, board.clone());

    let mut tasks = Tasks::default();
    tasks.start("read the store", |stop| read::read(store, facts.clone(), board.clone(), stop));
    let (probed, known) = (Arc::clone(&spec), state.clone());
    tasks.start("probe the sites", |stop| async move {
        probe::probe(&probed, &agents, &known, facts, stop).await
    });
    tasks.start("keep cells active", |stop| control.run(facts_in, orders_in, stop));
    tasks.start("execute operations", |stop| executor.run(stop));
    tasks.start("tell what is seen", |stop| {
        let (store, told, board) = told;
        sight::write(store, told, board, stop)
    });
    tasks.start("look at the sites", |stop| sight::look(looking.0, looking.1, stop));
    hear_past_etcd(&mut tasks, hearing);
    tasks.start("read the drills", |stop| {
        let (store, schedule, board) = runs;
        drills::read(store, rehearsed, schedule, board, stop)
    });
    tasks.start("read the schedule of drills", |stop| {
        let (store, log, planned, board) = planning;
        suite::read(store, log, planned, is_told, board, stop)
    });
    if let Some(rehearse) = rehearse {
        tasks.start("have drills run", |stop| rehearse.run(stop));
    }
    tasks.start("tell what is wanted", |stop| {
        let (store, state, log, board) = wanted;
        wishes::tell(store, state, log, board, stop)
    });
    tasks.start("write the history", |stop| {
        let (store, vantage, state, board) = kept;
        history::keep(store, vantage, state, board, stop)
    });
    tasks.start("keep etcd's leader where it belongs", |stop| {
        let (spec, vantage, state) = leading;
        lead::keep(spec, vantage, state, stop)
    });
    tasks.start("remember the evidence", |stop| remember::remember(shelf, remembered, shown, stop));
    tasks.start("carry out what is asked", |stop| deeds::carry_out(deeds_in, stop));
    let (known, on) = (callers.clone(), board.clone());
    tasks.start("read who may call", |stop| known.follow(on, stop));
    if let Some(certificate) = certificate.clone() {
        tasks.start("read the certificate", |stop| async move { certificate.watch(stop).await });
    }
    tasks.start("serve the API", |stop| {
        let (store, agents, vantage, spec) = answering;
        let stopped = stop.clone();
        let api = Api {
            spec,
            vantage,
            state,
            store,
            agents,
            under_way,
            deeds,
            log,
            drills,
            schedule,
            decisions,
            stop: stopped,
        };
        let calls = api::routes(api.clone(), callers.clone());
        let console = console::routes(Console::new(&api, calls.clone(), callers, console_key));
        serve_all(api_listener, certificate, server::observed(console.merge(calls)), stop)
    });
    tasks.start("serve the admin endpoint", |stop| {
        server::serve(admin_listener, admin::routes(board).merge(sight::routes(seen)), stop)
    });
    tasks.run(asked, GRACE).await
}

/// Starts what hears from others themselves what etcd may say too late.
fn hear_past_etcd(
    tasks: &mut Tasks,
    (spec, own, agents, facts): (Arc<Spec>, RegionId, Agents, mpsc::Sender<Fact>),
) {
    let (renewing, sending) = (Arc::clone(&spec), facts.clone());
    tasks.start("hear the other vantages", |stop| hear::hear(spec, own, facts, stop));
    tasks.start("hear the renewals", |stop| renewals::hear(renewing, agents, sending, stop));
}

/// Serves with TLS, or in the open.
async fn serve_all(
    listener: TcpListener,
    certificate: Option<Arc<Certificate>>,
    routes: Router,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    match certificate {
        Some(certificate) => {
            server::serve(Door::new(listener, certificate, Guests::OPERATORS), routes, stop).await
        }
        None => server::serve(listener, routes, stop).await,
    }
}
