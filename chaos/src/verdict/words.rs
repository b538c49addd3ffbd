//! What a verdict is about, in both languages: measures and checks.

use crate::check::Check;
use crate::metrics::Measure;

/// Words of ours. What drills, programs and machines say stays as they said it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Text {
    pub(crate) english: &'static str,
    pub(crate) chinese: &'static str,
}

/// Returns what a measure is called; in English as drills have it.
pub(crate) fn name(measure: Measure) -> Text {
    let chinese = match measure {
        Measure::Recover99 => "99% 恢复",
        Measure::RecoverAllUsers => "全部用户恢复",
        Measure::FirstSuccess => "首次成功",
        Measure::FirstStrongAck => "首次强写确认",
        Measure::Detect => "检测",
        Measure::Vote => "选举",
        Measure::Promote => "提升",
        Measure::Publish => "发布",
        Measure::LongestHold => "最长等待",
        Measure::AddedP99 => "P99 增加",
        Measure::Failed => "失败",
        Measure::FailedNotUnderWay => "未在途而失败",
        Measure::RefusedAsExpected => "按预期拒绝",
        Measure::OtherCellsFailed => "其他单元失败",
        Measure::FailedAfterHeal => "恢复后失败",
        Measure::AckedStrongLost => "强写丢失",
        Measure::AckedWeakLost => "弱写丢失",
        Measure::WeakLossSeconds => "弱写丢失时长",
        Measure::StreamsReopened => "事件流重连次数",
        Measure::LongestStreamPause => "事件流最长中断",
        Measure::UnheardAfterLoss => "丢失后未送达",
        Measure::Moves => "迁移次数",
        Measure::EpochsChanged => "纪元变化",
        Measure::Rebuilt => "数据库重建",
        Measure::RedundancyRestored => "冗余恢复",
        Measure::RecoverAfterHeal => "撤销故障后恢复",
        Measure::RestoredIn => "备份还原用时",
        Measure::TablesDiffering => "还原后不一致的表",
        Measure::ArchiveBehind => "归档滞后",
        Measure::EtcdLedAgain => "etcd 重新有主",
    };
    Text { english: measure.name(), chinese }
}

/// Returns what a measure means.
pub(crate) fn means(measure: Measure) -> Text {
    let (english, chinese) = match measure {
        Measure::Recover99 => (
            "from then on 99 % of each second's requests were answered within a second",
            "此后每秒 99% 的请求在一秒内得到应答",
        ),
        Measure::RecoverAllUsers => {
            ("the last user's last wait ended", "最后一位用户的最后一次等待结束")
        }
        Measure::FirstSuccess => ("the first new request was answered", "首个新请求得到应答"),
        Measure::FirstStrongAck => ("the first new ticket was acknowledged", "首个新工单得到确认"),
        Measure::Detect => ("a control plane took the site for lost", "控制面判定站点失联"),
        Measure::Vote => ("from the election to its winner", "从选举开始到选出新主"),
        Measure::Promote => ("the winner was told to promote", "新主开始提升"),
        Measure::Publish => ("the new site was open", "新站点开放"),
        Measure::LongestHold => ("the longest wait of an answered request", "已应答请求的最长等待"),
        Measure::AddedP99 => (
            "by how much the 99th percentile was longer while the fault was there",
            "故障期间第 99 百分位延迟的增加量",
        ),
        Measure::Failed => ("failed requests of the cells that were hit", "受影响单元的失败请求"),
        Measure::FailedNotUnderWay => (
            "failed requests that were not under way in a router when it was killed",
            "路由器被杀死时并不在其中处理、却仍失败的请求",
        ),
        Measure::RefusedAsExpected => (
            "requests that were refused, with when to come again, while that was to be",
            "应拒绝写入期间得到明确拒绝(并告知何时重试)的请求",
        ),
        Measure::OtherCellsFailed => ("failed requests of other cells", "其他单元的失败请求"),
        Measure::FailedAfterHeal => ("failed requests after it was healed", "恢复之后的失败请求"),
        Measure::AckedStrongLost => ("acknowledged tickets that are lost", "已确认而丢失的工单"),
        Measure::AckedWeakLost => ("acknowledged messages that are lost", "已确认而丢失的消息"),
        Measure::WeakLossSeconds => ("how far back lost messages reach", "丢失消息回溯的时长"),
        Measure::StreamsReopened => {
            ("how often a user's stream was opened again", "用户的事件流重新打开的次数")
        }
        Measure::LongestStreamPause => (
            "the longest time between a stream's end and its next beginning",
            "事件流从中断到重新打开的最长时间",
        ),
        Measure::UnheardAfterLoss => (
            "messages a stream did not tell, as it had told a lost one under their number",
            "因同一编号的消息曾送达而后丢失,事件流未送达的消息",
        ),
        Measure::Moves => {
            ("how often cells went on in another region", "单元改由其他地域服务的次数")
        }
        Measure::EpochsChanged => ("by how much epochs have grown", "纪元增长的数量"),
        Measure::Rebuilt => ("databases rewound or copied anew", "回退或重建的数据库"),
        Measure::RedundancyRestored => {
            ("from healing until every cell is redundant", "从恢复到所有单元重新具备冗余")
        }
        Measure::RecoverAfterHeal => (
            "from healing until 99 % of each second's requests were answered within a second",
            "从恢复到每秒 99% 的请求在一秒内得到应答",
        ),
        Measure::RestoredIn => (
            "until a cell restored from its backups had been compared",
            "直到从备份还原的单元比对完毕",
        ),
        Measure::TablesDiffering => (
            "restored tables that are not as the cell had them at the same position of its WAL",
            "还原后与单元在同一 WAL 位置时内容不同的表",
        ),
        Measure::EtcdLedAgain => (
            "from when the leader of etcd was broken to when another one led",
            "从 etcd 的主节点失效到另一节点成为主节点",
        ),
        Measure::ArchiveBehind => (
            "how old the end of the archive was: what is written since is lost with all sites",
            "归档末尾距当时的时长:若所有站点同时丢失,此后的写入将丢失",
        ),
    };
    Text { english, chinese }
}

/// Returns what a check claims.
pub(crate) fn claim(check: Check) -> Text {
    let chinese = match check {
        Check::NoLostAck => "每个已确认的工单及其变更都在每个站点的数据库中",
        Check::ExactlyOnce => "没有请求生效两次",
        Check::SingleWriter => "同一时刻每个单元只有一个站点确认写入(I1)",
        Check::NoLateAck => "被接替之后,站点不再确认任何写入",
        Check::NoStaleStrongRead => "强读能看到此前已确认的内容,每个工单只有一份历史",
        Check::SessionOrder => "每个会话的消息按发送顺序排列",
        Check::StreamOrder => "事件流按顺序且仅一次送达会话中每条已确认的消息",
        Check::BlastRadius => "其他单元没有失败的请求(I8)",
        Check::LostWritesReported => "已确认而丢失的内容都有报告,且报告仅含这些内容",
        Check::ObserverAlone => "被隔离的控制面如实说明了情况,之后重新可信",
        Check::NoForbiddenAck => "应拒绝写入期间,没有确认任何工单及其变更(I5)",
        Check::CleanRefusals => "无法执行的请求都得到明确拒绝并告知何时重试,读取照常",
        Check::Ledger => "每个写入都记在应答它的纪元之下,每个纪元只有一个写入者",
        Check::Convergence => "最终每个单元各站点的数据库内容相同",
        Check::LogPatterns => "没有进程记录崩溃或数据损坏",
    };
    Text { english: check.claim(), chinese }
}
