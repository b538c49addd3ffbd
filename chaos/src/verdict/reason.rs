//! Why a run is no pass, in both languages.

use std::fmt;
use std::time::Duration;

use super::words;
use crate::check::Check;
use crate::metrics::{Measure, Measured, Value};

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Reason {
    /// What a program or a person said, in their words.
    Said(String),
    LeftBehind(String),
    NotProven(String),
    Unsteady(OkRatio),
    FewBefore {
        asked: usize,
        needed: usize,
    },
    FewUnderFault {
        asked: usize,
        needed: usize,
    },
    SentLate {
        p99: Duration,
        allowed: Duration,
    },
    /// A check, and its first witness.
    Failed(Check, String),
    /// A check, and what it lacks first.
    CannotTell(Check, String),
    BeyondLimit(Measure, Measured, Value),
    NotSeen(Measure, Value),
    BeyondGoal(Measure, Measured, Value),
}

/// Too few of the baseline's requests were answered; shares are in percent.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct OkRatio {
    pub(super) name: String,
    pub(super) answered: f64,
    pub(super) asked: usize,
    pub(super) needed: f64,
}

/// What is around the numbers of an [`OkRatio`].
const STEADY_STATE: &str = "steady state ";
const OF: &str = " % of ";
const AT_LEAST: &str = " requests answered before the fault, at least ";
const EXPECTED: &str = " % expected";

impl Reason {
    /// Takes up what a course keeps of a steady state that was not met: text, of programs or from here.
    pub(super) fn unsteady(told: &str) -> Self {
        OkRatio::told(told).map_or_else(|| Self::Said(told.to_owned()), Self::Unsteady)
    }

    pub(super) fn chinese(&self) -> String {
        match self {
            Self::Said(text) => text.clone(),
            Self::LeftBehind(left) => format!("有残留:{left}"),
            Self::NotProven(why) => format!("故障未证实:{why}"),
            Self::Unsteady(OkRatio { name, answered, asked, needed }) => format!(
                "未达稳态({name}):故障前 {asked} 个请求中 {answered:.1}% 得到应答,至少应为 {needed:.1}%"
            ),
            Self::FewBefore { asked, needed } => {
                format!("故障前只有 {asked} 个请求,至少需要 {needed} 个")
            }
            Self::FewUnderFault { asked, needed } => {
                format!("故障期间只有 {asked} 个请求,至少需要 {needed} 个")
            }
            Self::SentLate { p99, allowed } => {
                format!("负载发送滞后 {p99:.1?}(p99),至多允许 {allowed:?}")
            }
            Self::Failed(check, witness) => {
                format!("{} 未通过({}):{witness}", check.name(), words::claim(*check).chinese)
            }
            Self::CannotTell(check, missing) => {
                format!("{} 无法判定({}):{missing}", check.name(), words::claim(*check).chinese)
            }
            Self::BeyondLimit(measure, measured, limit) => {
                format!("{}:{},上限 {limit}", name(*measure), chinese(*measured))
            }
            Self::NotSeen(measure, limit) => {
                format!("{}:{},上限 {limit}", name(*measure), chinese(Measured::Unseen))
            }
            Self::BeyondGoal(measure, measured, goal) => {
                format!("{}:{},目标 {goal}", name(*measure), chinese(*measured))
            }
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Said(text) => f.write_str(text),
            Self::LeftBehind(left) => write!(f, "left behind: {left}"),
            Self::NotProven(why) => write!(f, "the fault is not proven: {why}"),
            Self::Unsteady(ok_ratio) => ok_ratio.fmt(f),
            Self::FewBefore { asked, needed } => {
                write!(f, "{asked} requests before the fault, {needed} needed")
            }
            Self::FewUnderFault { asked, needed } => {
                write!(f, "{asked} requests under the fault, {needed} needed")
            }
            Self::SentLate { p99, allowed } => {
                write!(f, "the load was sent {p99:.1?} late (p99), {allowed:?} allowed")
            }
            Self::Failed(check, witness) => write!(f, "{} failed: {witness}", check.name()),
            Self::CannotTell(check, missing) => {
                write!(f, "{} cannot tell: {missing}", check.name())
            }
            Self::BeyondLimit(measure, measured, limit) => {
                write!(f, "{} is {measured}, the limit is {limit}", measure.name())
            }
            Self::NotSeen(measure, limit) => {
                write!(f, "{} was not seen, the limit is {limit}", measure.name())
            }
            Self::BeyondGoal(measure, measured, goal) => {
                write!(f, "{} is {measured}, the goal is {goal}", measure.name())
            }
        }
    }
}

impl OkRatio {
    /// Reads what [`fmt::Display`] wrote.
    fn told(text: &str) -> Option<Self> {
        let rest = text.strip_prefix(STEADY_STATE)?.strip_suffix(EXPECTED)?;
        let (rest, needed) = rest.rsplit_once(AT_LEAST)?;
        let (rest, asked) = rest.rsplit_once(OF)?;
        let (name, answered) = rest.rsplit_once(": ")?;
        Some(Self {
            name: name.to_owned(),
            answered: answered.parse().ok()?,
            asked: asked.parse().ok()?,
            needed: needed.parse().ok()?,
        })
    }
}

impl fmt::Display for OkRatio {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, answered, asked, needed } = self;
        write!(f, "{STEADY_STATE}{name}: {answered:.1}{OF}{asked}{AT_LEAST}{needed:.1}{EXPECTED}")
    }
}

fn name(measure: Measure) -> String {
    let name = words::name(measure);
    format!("{}({})", name.chinese, name.english)
}

fn chinese(measured: Measured) -> String {
    match measured {
        Measured::Got(value) => value.to_string(),
        Measured::Never => "从未达到".to_owned(),
        Measured::Unseen => "未观察到".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ok_ratio() -> OkRatio {
        let name = "answers: all of them".to_owned();
        OkRatio { name, answered: 93.1, asked: 100, needed: 99.5 }
    }

    /// Every form; whoever adds one adds it here.
    #[test]
    fn every_reason_is_told_in_both_languages() {
        let seconds = |seconds| Value::Time(Duration::from_secs(seconds));
        let ms = Duration::from_millis;
        let told = [
            (
                Reason::Said("stopped by a signal".to_owned()),
                "stopped by a signal",
                "stopped by a signal",
            ),
            (
                Reason::LeftBehind("holds/c1@east.json".to_owned()),
                "left behind: holds/c1@east.json",
                "有残留:holds/c1@east.json",
            ),
            (
                Reason::NotProven("it still runs".to_owned()),
                "the fault is not proven: it still runs",
                "故障未证实:it still runs",
            ),
            (
                Reason::Unsteady(ok_ratio()),
                "steady state answers: all of them: 93.1 % of 100 requests answered before the \
                 fault, at least 99.5 % expected",
                "未达稳态(answers: all of them):故障前 100 个请求中 93.1% 得到应答,至少应为 99.5%",
            ),
            (
                Reason::FewBefore { asked: 7, needed: 100 },
                "7 requests before the fault, 100 needed",
                "故障前只有 7 个请求,至少需要 100 个",
            ),
            (
                Reason::FewUnderFault { asked: 8, needed: 200 },
                "8 requests under the fault, 200 needed",
                "故障期间只有 8 个请求,至少需要 200 个",
            ),
            (
                Reason::SentLate { p99: ms(80), allowed: ms(50) },
                "the load was sent 80.0ms late (p99), 50ms allowed",
                "负载发送滞后 80.0ms(p99),至多允许 50ms",
            ),
            (
                Reason::Failed(Check::ExactlyOnce, "ticket r/7 is there twice".to_owned()),
                "exactly-once failed: ticket r/7 is there twice",
                "exactly-once 未通过(没有请求生效两次):ticket r/7 is there twice",
            ),
            (
                Reason::CannotTell(Check::ExactlyOnce, "nobody looked".to_owned()),
                "exactly-once cannot tell: nobody looked",
                "exactly-once 无法判定(没有请求生效两次):nobody looked",
            ),
            (
                Reason::BeyondLimit(Measure::Recover99, Measured::Got(seconds(6)), seconds(5)),
                "recover-99 is 6.00 s, the limit is 5.00 s",
                "99% 恢复(recover-99):6.00 s,上限 5.00 s",
            ),
            (
                Reason::BeyondLimit(Measure::Recover99, Measured::Never, seconds(5)),
                "recover-99 is never, the limit is 5.00 s",
                "99% 恢复(recover-99):从未达到,上限 5.00 s",
            ),
            (
                Reason::NotSeen(Measure::Publish, seconds(30)),
                "publish was not seen, the limit is 30.00 s",
                "发布(publish):未观察到,上限 30.00 s",
            ),
            (
                Reason::BeyondGoal(
                    Measure::Failed,
                    Measured::Got(Value::Count(20)),
                    Value::Count(0),
                ),
                "failed is 20, the goal is 0",
                "失败(failed):20,目标 0",
            ),
        ];
        for (reason, english, chinese) in told {
            let told = (reason.to_string(), reason.chinese());
            assert_eq!(told, (english.to_owned(), chinese.to_owned()));
        }
    }

    #[test]
    fn a_steady_state_that_a_course_kept_as_text_is_known_again_and_what_others_said_is_left() {
        let kept = ok_ratio().to_string();
        assert_eq!(Reason::unsteady(&kept), Reason::Unsteady(ok_ratio()));
        for said in ["c1 is electing", "no target: the drill does nothing"] {
            assert_eq!(Reason::unsteady(said), Reason::Said(said.to_owned()));
        }
    }
}
