//! The stages of a way back, as the page names them.

use super::super::document::Stage;
use crate::verdict::Text;

/// Returns what the style sheet knows a stage by.
pub(super) fn class(stage: Stage) -> &'static str {
    match stage {
        Stage::Detect => "detect",
        Stage::Fence => "fence",
        Stage::Promote => "promote",
        Stage::Publish => "publish",
        Stage::RouterApplied => "applied",
        Stage::FirstSuccess => "first",
    }
}

/// Returns what there is room for beside its mark.
pub(super) fn mark(stage: Stage) -> Text {
    let (english, chinese) = match stage {
        Stage::Detect => ("detect", "检测"),
        Stage::Fence => ("fence", "隔离"),
        Stage::Promote => ("promote", "提升"),
        Stage::Publish => ("publish", "发布"),
        Stage::RouterApplied => ("routed", "路由"),
        Stage::FirstSuccess => ("success", "成功"),
    };
    Text { english, chinese }
}

/// Returns what it is, in a line.
pub(super) fn line(stage: Stage) -> Text {
    let (english, chinese) = match stage {
        Stage::Detect => ("detect: the site is taken for lost", "检测:判定站点失联"),
        Stage::Fence => ("fence: the voters are asked", "隔离:请求投票"),
        Stage::Promote => ("promote: the winner is known", "提升:选出新主"),
        Stage::Publish => ("publish: the new site is open", "发布:新站点开放"),
        Stage::RouterApplied => {
            ("router applied: first answer under the new epoch", "路由生效:新纪元首次应答")
        }
        Stage::FirstSuccess => ("first success of a new request", "新请求首次成功"),
    };
    Text { english, chinese }
}
