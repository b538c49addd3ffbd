//! What the watchdog knows, and when it must act.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use runtime::clock::BootTime;

/// How long nothing needs to be looked at while no moment has been told.
const IDLE: Duration = Duration::from_mins(1);

/// What the agent tells, one line each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// `server 4711`: this server runs now. What was told of another is over.
    Server(u32),
    /// `until 123456789`: it may run until then, in nanoseconds of the boot-time clock.
    Until(BootTime),
}

#[derive(Debug, thiserror::Error)]
#[error("expected `server PID` or `until NANOSECONDS`")]
pub struct NotAnOrder;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Watch {
    server: Option<u32>,
    until: Option<BootTime>,
}

impl Watch {
    pub fn told(&mut self, order: Order) {
        match order {
            Order::Server(pid) if self.server == Some(pid) => {}
            Order::Server(pid) => *self = Self { server: Some(pid), until: None },
            Order::Until(until) => self.until = Some(until),
        }
    }

    #[must_use]
    pub fn server(&self) -> Option<u32> {
        self.server
    }

    /// Returns how long to wait for another order.
    #[must_use]
    pub fn patience(&self, now: BootTime) -> Duration {
        match (self.server, self.until) {
            (Some(_), Some(until)) => until.since(now),
            (Some(_) | None, _) => IDLE,
        }
    }

    /// Returns whether the server must not run any more.
    #[must_use]
    pub fn is_due(&self, now: BootTime) -> bool {
        self.server.is_some() && self.until.is_some_and(|until| now >= until)
    }

    /// The server has been stopped; the next one is told again.
    pub fn stopped(&mut self) {
        *self = Self::default();
    }
}

impl FromStr for Order {
    type Err = NotAnOrder;

    fn from_str(line: &str) -> Result<Self, NotAnOrder> {
        let (word, number) = line.trim().split_once(' ').ok_or(NotAnOrder)?;
        match word {
            "server" => number.parse().map(Self::Server).map_err(|_not| NotAnOrder),
            "until" => number
                .parse()
                .map(|nanos| Self::Until(BootTime::from_nanos(nanos)))
                .map_err(|_not| NotAnOrder),
            _ => Err(NotAnOrder),
        }
    }
}

impl fmt::Display for Order {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Server(pid) => write!(f, "server {pid}"),
            Self::Until(until) => write!(f, "until {}", until.as_nanos()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_right_that_is_not_renewed_ends_the_server() {
        let watch = told(&["server 7", "until 1000"]);
        assert!(!watch.is_due(at(999)));
        assert_eq!(watch.patience(at(400)), Duration::from_nanos(600));
        assert!(watch.is_due(at(1000)));
        assert!(!told(&["server 7", "until 1000", "until 2000"]).is_due(at(1000)));
    }

    #[test]
    fn a_standby_has_no_end() {
        assert!(!told(&["server 7"]).is_due(at(u64::MAX)));
        assert!(!told(&["until 1000"]).is_due(at(u64::MAX)), "no server");
    }

    #[test]
    fn the_end_of_one_server_is_not_the_next_ones() {
        assert!(!told(&["server 7", "until 1000", "server 8"]).is_due(at(1000)));
        assert!(told(&["server 7", "until 1000", "server 7"]).is_due(at(1000)));
    }

    #[test]
    fn an_order_is_read_as_it_is_written() {
        for order in [Order::Server(4711), Order::Until(at(12))] {
            assert_eq!(order.to_string().parse::<Order>().ok(), Some(order));
        }
        for bad in ["", "server", "server x", "until -1", "stop 7"] {
            assert!(bad.parse::<Order>().is_err(), "{bad}");
        }
    }

    fn told(lines: &[&str]) -> Watch {
        let mut watch = Watch::default();
        for line in lines {
            watch.told(line.parse().unwrap());
        }
        watch
    }

    fn at(nanos: u64) -> BootTime {
        BootTime::from_nanos(nanos)
    }
}
