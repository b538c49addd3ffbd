//! Users, behind one router that follows the cell's record as well as it can.
//!
//! A strong write without an answer is sent again with the same key, to whatever site is active
//! then; weak writes and reads are not. Now and then the router is wrong on purpose.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use tokio::sync::Notify;
use topology::{Epoch, Slot};

use super::site::gateway;
use super::traffic::{self, Counted};
use super::wal::At;
use super::{Proc, Sim};

pub type OpId = usize;

/// How many users there are, each with one request at a time.
pub const USERS: usize = 4;
const PATIENCE: Duration = Duration::from_millis(2500);
const READ: Duration = Duration::from_millis(700);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    Strong,
    Weak,
    Read,
}

#[derive(Clone, Copy, Debug)]
pub struct Request {
    pub op: OpId,
    pub what: What,
    /// The epoch the router has heard of.
    pub epoch: Epoch,
    /// The newest strong write that was acknowledged when this was sent.
    pub before: At,
    pub sent: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    Done {
        epoch: Epoch,
        site: usize,
    },
    /// Nothing has happened.
    Refused,
    Unknown,
}

/// The users' one identity, and where their router sends them.
pub struct Users {
    pub name: String,
    pub slot: String,
    pub wake: Rc<Notify>,
    pub counted: Counted,
    view: Cell<Option<(Epoch, usize)>>,
}

impl Default for Users {
    fn default() -> Self {
        let name = "ada".to_owned();
        let slot = Slot::of(&name).number().to_string();
        Self {
            name,
            slot,
            wake: Rc::new(Notify::new()),
            counted: Counted::default(),
            view: Cell::new(None),
        }
    }
}

impl Sim {
    pub fn start_users(self: &Rc<Self>) {
        let proc = self.proc(self.users_proc());
        self.exec.spawn(proc.id, follow(proc.clone()));
        self.exec.spawn(proc.id, traffic::report(proc.clone()));
        for _ in 0..USERS {
            self.exec.spawn(proc.id, use_the_cell(proc.clone()));
        }
    }
}

async fn follow(router: Proc) {
    loop {
        if let Ok(stored) = router.sim.read(&router).await
            && let Some(kept) = stored.cell
        {
            let activation = &kept.value.activation;
            let view = &router.sim.users.view;
            let newer = view.get().is_none_or(|(epoch, _)| activation.epoch >= epoch);
            if let Some(active) = activation.serving().filter(|_| newer) {
                view.set(Some((activation.epoch, router.sim.index(active))));
            }
        }
        tokio::select! {
            biased;
            () = router.sim.users.wake.notified() => {}
            () = router.sleep(READ) => {}
        }
    }
}

async fn use_the_cell(user: Proc) {
    let sim = Rc::clone(&user.sim);
    loop {
        user.sleep(Duration::from_millis(sim.exec.pick(30..220))).await;
        let what = match sim.exec.pick(0..10) {
            0..6 => What::Strong,
            6..8 => What::Weak,
            _ => What::Read,
        };
        let op = sim.checker.borrow_mut().begin();
        let began = sim.exec.now();
        loop {
            let sent = sim.exec.now();
            let answer = ask(&user, op, what).await;
            if let Some(Answer::Done { epoch, site }) = answer {
                sim.check_answered(what, epoch, site, (began, sent));
                break;
            }
            if what != What::Strong {
                break;
            }
            user.sleep(Duration::from_millis(sim.exec.pick(50..250))).await;
        }
    }
}

async fn ask(user: &Proc, op: OpId, what: What) -> Option<Answer> {
    let sim = &user.sim;
    let (epoch, mut site) = sim.users.view.get()?;
    if sim.exec.chance() < 0.02 {
        site = usize::try_from(sim.exec.pick(0..sim.sites.len() as u64)).unwrap_or(0);
    }
    let before = sim.checker.borrow().frontier();
    let request = Request { op, what, epoch, before, sent: sim.exec.now() };
    let (gateway, began) = (sim.sites[site].gateway, user.now());
    let answer = sim.call(user, gateway, PATIENCE, move |proc, reply| async move {
        reply.send(gateway::serve(&proc, site, request).await);
    });
    let answer = answer.await;
    sim.users.counted.note(answer, user.now().since(began));
    answer
}
