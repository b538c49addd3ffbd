//! The guard's side.

use std::future::pending;
use std::os::fd::AsFd as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use runtime::clock::BootTime;
use runtime::stop_asked;
use rustix::process::Signal;
use tokio::io::AsyncReadExt as _;
use tokio::net::unix::pipe;
use tokio::time::{Instant, sleep_until};

use super::others::Others;
use super::{READY, STOPPED};
use crate::journal::{self, By, Due, Journal, Told};
use crate::lever::{self, Key};
use crate::platform::Platform;
use crate::process::Process;
use crate::terminal::{complain, print};

/// Between two looks at the journal and the lever's file.
const LOOK: Duration = Duration::from_millis(200);
/// What could not be taken away is tried again for this long, and then left to `chaos recover`.
const TRIES: u32 = 10;
const TRY_PAUSE: Duration = Duration::from_millis(500);

/// Returns once the drill is over, one way or another, and everything was taken away.
pub(crate) async fn stand_guard(folder: &Path, silence: Duration) -> anyhow::Result<()> {
    let mut watch = Watch {
        folder: folder.to_owned(),
        length: 0,
        told: Told::default(),
        others: Looking::NotYet,
        stopped: None,
        is_pulled: false,
    };
    let ended = until_over(&mut watch, silence).await;
    let ended = ended.and_then(|over| match over {
        Over::Silent => end_runner(folder),
        Over::Gone | Over::Asked => Ok(()),
    });
    let healed = heal_all(folder).await;
    ended.and(healed)
}

/// Whatever a silent drill would still do if it woke up, nobody would take away.
fn end_runner(folder: &Path) -> anyhow::Result<()> {
    match journal::of(folder)?.and_then(|told| told.runner) {
        Some(runner) => Process::from(runner).signal(Signal::KILL).context("end the silent drill"),
        None => Ok(()),
    }
}

/// Why there is nothing more to watch.
enum Over {
    /// The drill has closed the pipe, or died.
    Gone,
    Silent,
    Asked,
}

struct Watch {
    folder: PathBuf,
    length: u64,
    told: Told,
    others: Looking,
    /// When it has stopped the drill.
    stopped: Option<Instant>,
    /// Whether the lever was pulled in etcd: then the drill is over, even if it is released again.
    is_pulled: bool,
}

/// At the cells that are not touched.
enum Looking {
    /// Nothing was broken.
    NotYet,
    At(Box<Others>),
    /// Nobody needs to, or can, any more.
    Over,
}

impl Looking {
    /// Returns why the drill has to be stopped, if it has; never, while there is nothing to look at.
    async fn turn(&mut self) -> Option<String> {
        match self {
            Self::At(others) => others.turn().await,
            Self::NotYet | Self::Over => std::future::pending().await,
        }
    }
}

async fn until_over(watch: &mut Watch, silence: Duration) -> anyhow::Result<Over> {
    let stdin = std::io::stdin().as_fd().try_clone_to_owned().context("take over the pipe")?;
    let mut pipe = pipe::Receiver::from_owned_fd(stdin).context("read from the pipe")?;
    print(READY)?;
    let mut last_heard = Instant::now();
    let mut signs = [0; 256];
    let mut asked = std::pin::pin!(stop_asked());
    // Its questions to etcd outlast a turn of the loop.
    let folder = watch.folder.clone();
    let mut lever = std::pin::pin!(pulled_in_etcd(&folder));
    loop {
        let next = watch.next_look();
        tokio::select! {
            () = &mut asked => return Ok(Over::Asked),
            read = pipe.read(&mut signs) => {
                if read.context("hear the drill")? == 0 {
                    return Ok(Over::Gone);
                }
                last_heard = Instant::now();
                // A drill that is gone cannot hear it, and is noticed by its end of the pipe.
                drop(print("."));
            }
            met = watch.others.turn() => {
                if let Some(why) = met {
                    watch.stop(&why)?;
                }
            }
            () = &mut lever, if !watch.is_pulled => watch.is_pulled = true,
            () = sleep_until(next) => {}
        }
        // One that was told to stop and goes on is no better than one that is silent.
        let goes_on = watch.stopped.is_some_and(|stopped| stopped.elapsed() > silence);
        if last_heard.elapsed() > silence || goes_on {
            return Ok(Over::Silent);
        }
        watch.look()?;
    }
}

/// Returns only once the lever is pulled in the etcd of the platform that the run of a folder is about.
async fn pulled_in_etcd(folder: &Path) {
    match Platform::find(run_dir(folder)) {
        Ok(Some(platform)) => {
            let say = |said: &str| complain(&format!("the guard: {said}"));
            Key::of(&platform).until_pulled(say).await;
        }
        Ok(None) => pending().await,
        Err(err) => {
            complain(&format!("the guard looks at the lever's file alone: failed to {err:#}"));
            pending::<()>().await;
        }
    }
}

/// A run's folder is in `drills` of its run directory, wherever its report goes.
fn run_dir(folder: &Path) -> &Path {
    folder.ancestors().nth(2).unwrap_or(folder)
}

impl Watch {
    /// Not later than the next fault's end.
    fn next_look(&self) -> Instant {
        let look = Instant::now() + LOOK;
        let left = self.told.first_due().map(|due| due.since(BootTime::now()));
        // What is over and still there could not be taken away: it is tried again, without haste.
        let left = left.filter(|left| !left.is_zero());
        left.map_or(look, |left| look.min(Instant::now() + left))
    }

    /// Takes away what is over, or everything while the lever is pulled or the drill stopped.
    fn look(&mut self) -> anyhow::Result<()> {
        let length = journal::length(&self.folder).unwrap_or(0);
        if length != self.length {
            self.length = length;
            self.told = journal::of(&self.folder)?.unwrap_or_default();
            self.look_at_others();
        }
        let now = BootTime::now();
        let is_due = self.told.first_due().is_some_and(|due| due <= now);
        let is_pulled = self.is_pulled || lever::of_run(&self.folder).is_some();
        let is_stopped = self.stopped.is_some() || is_pulled;
        let all = is_stopped && !self.told.open.is_empty();
        if !is_due && !all {
            return Ok(());
        }
        self.heal(if all { Due::All } else { Due::By(now) })
    }

    /// Begins to look as soon as something is being broken, and leaves out whom it is aimed at.
    fn look_at_others(&mut self) {
        let Some(hit) = &self.told.hit else { return };
        if let (Looking::NotYet, Some(watching)) = (&self.others, &self.told.watching) {
            let others = Platform::find(run_dir(&self.folder)).and_then(|platform| {
                let platform = platform.context("find the platform running")?;
                Others::new(&platform, watching.clone())
            });
            self.others = match others {
                Ok(others) => Looking::At(Box::new(others)),
                Err(err) => {
                    complain(&format!("the guard cannot look at other cells: failed to {err:#}"));
                    Looking::Over
                }
            };
        }
        if let Looking::At(others) = &mut self.others {
            others.hit(hit);
        }
    }

    /// Takes everything away, and tells the run so.
    fn stop(&mut self, why: &str) -> anyhow::Result<()> {
        (self.others, self.stopped) = (Looking::Over, Some(Instant::now()));
        let stopped = journal::Record::Stopped { why: why.to_owned() };
        // That it cannot be written down is no reason not to do it.
        let noted = Journal::open(&self.folder).and_then(|mut journal| journal.append(&[stopped]));
        let healed = self.heal(Due::All);
        print(&format!("{STOPPED}{why}"))?;
        noted.and(healed)
    }

    fn heal(&self, due: Due<'_>) -> anyhow::Result<()> {
        for failed in Journal::open(&self.folder)?.heal(due, By::Guard, || ())? {
            complain(&format!("the guard could not {failed}"));
        }
        Ok(())
    }
}

/// Takes away everything that is open, and closes the journal, which the drill may have done
/// itself. Without a journal nothing was done.
async fn heal_all(folder: &Path) -> anyhow::Result<()> {
    for left in (0..TRIES).rev() {
        let Some(told) = journal::of(folder)? else { return Ok(()) };
        if told.is_closed {
            return Ok(());
        }
        let mut journal = Journal::open(folder)?;
        let failed = journal.heal(Due::All, By::Guard, || ())?;
        let Some(first) = failed.first() else {
            return journal.append(&[journal::Record::Closed { by: By::Guard }]);
        };
        if left == 0 {
            anyhow::bail!("{first}");
        }
        tokio::time::sleep(TRY_PAUSE).await;
    }
    Ok(())
}
