//! Words of ours that a report itself has in English only, in Chinese. What drills, programs and
//! machines say stays as they said it.

use crate::check::Check;
use crate::metrics::Measure;

/// Returns what a measure is called.
pub(super) fn measure(measure: Measure) -> &'static str {
    match measure {
        Measure::Recover99 => "99% 恢复",
        Measure::RecoverAllUsers => "全部用户恢复",
        Measure::FirstSuccess => "首次成功",
        Measure::FirstStrongAck => "首次强写确认",
        Measure::Detect => "检测",
        Measure::Vote => "选举",
        Measure::Promote => "提升",
        Measure::Publish => "发布",
        Measure::LongestHold => "最长等待",
        Measure::Failed => "失败",
        Measure::OtherCellsFailed => "其他单元失败",
        Measure::FailedAfterHeal => "恢复后失败",
        Measure::AckedStrongLost => "强写丢失",
        Measure::AckedWeakLost => "弱写丢失",
        Measure::WeakLossSeconds => "弱写丢失时长",
        Measure::Moves => "迁移次数",
        Measure::EpochsChanged => "纪元变化",
        Measure::Rebuilt => "数据库重建",
        Measure::RedundancyRestored => "冗余恢复",
        Measure::RecoverAfterHeal => "撤销故障后恢复",
    }
}

/// Returns what a check claims.
pub(super) fn claim(check: Check) -> &'static str {
    match check {
        Check::NoLostAck => "每个已确认的工单及其变更都在每个站点的数据库中",
        Check::ExactlyOnce => "没有请求生效两次",
        Check::SingleWriter => "同一时刻每个单元只有一个站点确认写入(I1)",
        Check::NoLateAck => "被接替之后,站点不再确认任何写入",
        Check::NoStaleStrongRead => "强读能看到此前已确认的内容,每个工单只有一份历史",
        Check::SessionOrder => "每个会话的消息按发送顺序排列",
        Check::BlastRadius => "其他单元没有失败的请求(I8)",
        Check::LostWritesReported => "已确认而丢失的内容都有报告,且报告仅含这些内容",
        Check::ObserverAlone => "被隔离的控制面如实说明了情况,之后重新可信",
    }
}

/// Returns what a verdict's reason says, if it is of a form that is known here.
pub(super) fn reason(text: &str) -> Option<String> {
    if let Some(left) = text.strip_prefix("left behind: ") {
        return Some(format!("有残留:{left}"));
    }
    if let Some(why) = text.strip_prefix("the fault is not proven: ") {
        return Some(format!("故障未证实:{why}"));
    }
    let (name, rest) = text.split_once(' ')?;
    if let Some(check) = Check::named(name) {
        let (result, shown) = rest.split_once(": ")?;
        let result = match result {
            "failed" => "未通过",
            "cannot tell" => "无法判定",
            _ => return None,
        };
        return Some(format!("{name} {result}({}):{shown}", claim(check)));
    }
    let known = Measure::ALL.into_iter().find(|measure| measure.name() == name)?;
    let (told, bound) = rest.split_once(", the ")?;
    let (kind, bound) = bound.split_once(" is ")?;
    let kind = match kind {
        "limit" => "上限",
        "goal" => "目标",
        _ => return None,
    };
    let told = match told {
        "was not seen" => "未观察到",
        "is never" => "从未达到",
        _ => told.strip_prefix("is ")?,
    };
    Some(format!("{}({name}):{told},{kind} {bound}", measure(known)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::tests::example;

    #[test]
    fn every_reason_of_a_failed_run_is_told_in_chinese_too() {
        let document = example();
        assert!(document.reasons.len() > 2, "{:?}", document.reasons);
        for text in document.reasons.iter().chain(&document.warnings) {
            let is_of_load = text.contains(" requests ");
            assert_eq!(reason(text).is_some(), !is_of_load, "{text}");
        }
    }

    #[test]
    fn numbers_and_witnesses_stay_as_they_are() {
        let told = |text: &str| reason(text).unwrap();
        assert_eq!(
            told("recover-99 is 6.10 s, the limit is 5.00 s"),
            "99% 恢复(recover-99):6.10 s,上限 5.00 s"
        );
        assert_eq!(
            told("exactly-once failed: ticket r/7 is there twice"),
            "exactly-once 未通过(没有请求生效两次):ticket r/7 is there twice"
        );
        assert_eq!(reason("somebody else's drill runs"), None);
    }
}
