//! Whether another member of etcd should lead.
//!
//! Whoever leads hears of every write, and answers it once the nearest other member has it. Where regions are
//! far apart, all that happens takes less time the nearer the leader is to the others: `regions.yaml` has
//! the region in the middle first, and that is where etcd's leader belongs while all is well. It goes
//! elsewhere when its region is lost, and would stay there.

use std::time::Duration;

use tokio::time::Instant;

/// How long all members have to answer, to agree on who leads, and every cell to serve, before that is
/// changed: who has just come back has much to do.
const CALM: Duration = Duration::from_secs(15);
/// Before it is tried again; twice as long each time, as whoever does not keep the lead is no place for it.
const PAUSE: Duration = Duration::from_mins(1);
const PAUSE_MAX: Duration = Duration::from_hours(1);
/// Who has kept the lead for so long is as good a place as any.
const KEPT: Duration = Duration::from_mins(10);

/// The place in the order of regions where the leader belongs.
const FIRST: usize = 0;

/// What a member says of itself.
#[derive(Clone, Copy, Debug)]
pub struct Standing {
    pub member: u64,
    /// Whom it takes for the leader; 0 for nobody.
    pub leader: u64,
}

/// Whose the leader is to hand over to, as the number of a member.
pub type Successor = u64;

/// Where etcd's leader has been lately, by the order of the regions.
#[derive(Debug)]
pub struct Lead {
    /// Which region's member leads while all is well, and since when; and the first region's member.
    calm: Option<(usize, Instant, Successor)>,
    tried: Option<Instant>,
    pause: Duration,
}

impl Default for Lead {
    fn default() -> Self {
        Self { calm: None, tried: None, pause: PAUSE }
    }
}

impl Lead {
    /// Takes in what the members say, in the order of the regions, and whether everything else is well.
    pub fn saw(&mut self, standings: &[Option<Standing>], is_calm: bool, now: Instant) {
        let agreed = agreed(standings).filter(|_| is_calm);
        self.calm = agreed.map(|(leads, first)| match self.calm {
            Some((led, since, _)) if led == leads => (leads, since, first),
            Some(_) | None => (leads, now, first),
        });
        if self.calm.is_some_and(|(leads, since, _)| leads == FIRST && now - since >= KEPT) {
            self.pause = PAUSE;
        }
    }

    /// Returns to whom the leader should hand over now, if that is the member of the region in `place`:
    /// who is beside it asks it.
    #[must_use]
    pub fn decide(&self, place: usize, now: Instant) -> Option<Successor> {
        let (leads, since, first) = self.calm?;
        let was_tried = self.tried.is_some_and(|tried| now < tried + self.pause);
        let is_due = leads == place && leads != FIRST && now >= since + CALM && !was_tried;
        is_due.then_some(first)
    }

    /// The leader is asked to hand over.
    pub fn tried(&mut self, now: Instant) {
        if self.tried.is_some() {
            self.pause = (self.pause * 2).min(PAUSE_MAX);
        }
        self.tried = Some(now);
    }
}

/// Returns whose member leads, and the first region's member; nothing while one does not answer, or takes
/// somebody else for the leader.
fn agreed(standings: &[Option<Standing>]) -> Option<(usize, Successor)> {
    let standings: Vec<Standing> = standings.iter().copied().collect::<Option<_>>()?;
    let first = standings.get(FIRST)?;
    if standings.iter().any(|standing| standing.leader != first.leader) {
        return None;
    }
    let leads = standings.iter().position(|standing| standing.member == first.leader)?;
    Some((leads, first.member))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn the_first_region_leads_again_once_all_has_been_well_for_a_while() {
        let (mut lead, begun) = (Lead::default(), Instant::now());
        lead.saw(&led_by(3), true, begun);
        lead.saw(&led_by(3), true, begun + CALM);
        assert_eq!(lead.decide(2, begun + CALM - SECOND), None);
        assert_eq!(lead.decide(2, begun + CALM), Some(1));
    }

    #[test]
    fn only_who_is_beside_the_leader_asks_it() {
        let (mut lead, begun) = (Lead::default(), Instant::now());
        lead.saw(&led_by(3), true, begun);
        assert_eq!([0, 1, 2].map(|place| lead.decide(place, begun + CALM)), [None, None, Some(1)]);
    }

    #[test]
    fn who_does_not_keep_the_lead_is_asked_less_and_less_often() {
        let (mut lead, mut now) = (Lead::default(), Instant::now());
        lead.saw(&led_by(2), true, now);
        let mut waited = Vec::new();
        now += CALM;
        for _ in 0..9 {
            let begun = now;
            while lead.decide(1, now).is_none() {
                now += SECOND;
            }
            waited.push((now - begun).as_secs());
            lead.tried(now);
        }
        assert_eq!(waited, [0, 60, 120, 240, 480, 960, 1_920, 3_600, 3_600]);
        // It has kept it for long enough in the end.
        lead.saw(&led_by(1), true, now);
        lead.saw(&led_by(1), true, now + KEPT);
        lead.saw(&led_by(2), true, now + KEPT);
        assert_eq!(lead.decide(1, now + KEPT + CALM), Some(1));
    }

    #[test]
    fn nothing_is_changed_where_it_belongs_or_while_anything_is_amiss() {
        let mut away = led_by(3);
        away[1] = None;
        let mut at_odds = led_by(3);
        at_odds[0] = Some(Standing { member: 1, leader: 2 });
        for (standings, is_calm) in [
            (led_by(1), true),
            (led_by(3), false),
            (away, true),
            (at_odds, true),
            (led_by(0), true),
            (Vec::new(), true),
        ] {
            let (mut lead, begun) = (Lead::default(), Instant::now());
            lead.saw(&standings, is_calm, begun);
            let decided = [0, 1, 2].map(|place| lead.decide(place, begun + CALM));
            assert_eq!(decided, [None; 3], "{standings:?}");
        }
    }

    #[test]
    fn what_comes_in_between_begins_the_wait_anew() {
        let (mut lead, begun) = (Lead::default(), Instant::now());
        lead.saw(&led_by(3), true, begun);
        lead.saw(&led_by(3), false, begun + SECOND);
        lead.saw(&led_by(3), true, begun + SECOND * 2);
        assert_eq!(lead.decide(2, begun + CALM + SECOND), None);
        assert_eq!(lead.decide(2, begun + CALM + SECOND * 2), Some(1));
    }

    fn led_by(leader: u64) -> Vec<Option<Standing>> {
        [1, 2, 3].map(|member| Some(Standing { member, leader })).into()
    }
}
