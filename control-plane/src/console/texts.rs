//! Every text of the console, in both languages, side by side.
//!
//! What processes say of themselves (reasons, details of alerts, refusals) is English wherever it
//! appears, and marked as such.

/// Makes the type, one value of it per language, and the table that is compared in the test.
macro_rules! texts {
    ($($key:ident: $english:literal, $chinese:literal;)*) => {
        /// The console's texts in one language.
        pub(crate) struct Texts {
            $(pub(crate) $key: &'static str,)*
        }

        pub(crate) const ENGLISH: Texts = Texts { $($key: $english,)* };
        pub(crate) const CHINESE: Texts = Texts { $($key: $chinese,)* };

        #[cfg(test)]
        const TABLE: &[(&str, &str, &str)] = &[$((stringify!($key), $english, $chinese),)*];
    };
}

texts! {
    // The frame.
    skip: "Skip to the content", "跳到正文";
    navigation: "Pages", "页面";
    overview: "Overview", "总览";
    vantages: "Vantages", "观察点";
    audit: "Audit", "审计";
    operations: "Operations", "操作";
    drills: "Drills", "演练";
    seen_from: "Seen from {region}", "观察点：{region}";
    other_language: "中文", "English";
    sign_out: "Sign out", "退出";
    signed_in_as: "Signed in as {who}", "已登录：{who}";
    live: "Live", "实时";
    stale_since: "Stale since", "已停更，自";
    connecting: "Connecting", "正在连接";
    without_script: "This page is loaded again every ten seconds.", "本页每十秒重新载入一次。";
    all_times_utc: "All times are UTC.", "所有时间均为 UTC。";

    // Signing in.
    sign_in: "Sign in", "登录";
    sign_in_lead: "Operators of this platform sign in with their token.", "本平台的运维人员使用令牌登录。";
    token: "Token", "令牌";
    token_unknown: "This token is not known here.", "令牌无效。";
    too_many_attempts: "Too many attempts. Try again in {seconds} s.", "尝试次数过多，请在 {seconds} 秒后重试。";

    // Problems.
    not_found: "There is nothing at this address", "此地址没有内容";
    problem: "This cannot be shown now", "暂时无法显示";
    refused: "This was refused", "请求被拒绝";
    form_expired: "The page was too old. Open it again and repeat what you wanted.", "页面已过期，请重新打开后再操作。";
    back_to_overview: "Back to the overview", "返回总览";

    // What is known, and how fresh it is.
    nothing_known: "This control plane has not read etcd yet. It shows what it knows as soon as it knows anything.", "本控制面尚未读取 etcd，读取后将立即显示。";
    etcd_unread: "etcd has not been read since", "etcd 最近一次成功读取于";
    etcd_unread_means: "What is shown may be out of date, and nothing can be moved from here.", "所示内容可能已过时，且无法从此处迁移。";

    // Counts.
    cells: "Cells", "单元";
    sites: "Sites", "站点";
    routers: "Routers", "路由器";
    steady: "steady", "稳定";
    answering: "answering", "有应答";
    up_to_date: "up to date", "最新";

    // What a person should look at.
    attention: "Needs attention", "需要关注";
    all_quiet: "Nothing needs attention.", "一切正常。";
    way_out: "What can be done", "处理办法";
    since: "since", "自";
    until: "until", "至";
    frozen: "Frozen: the active site is lost, and nobody is promoted", "已冻结：活动站点丢失，未自动接管";
    frozen_short: "frozen", "已冻结";
    site_silent: "The site does not answer", "站点无应答";
    region_silent: "No site in the region answers", "该区域所有站点无应答";
    moving: "The cell is being moved", "单元正在迁移";
    router_stale: "A router lives on what it last knew", "路由器仅依据最后已知信息工作";
    bad: "Broken", "故障";
    warning: "Warning", "警告";
    notice: "Notice", "提示";

    alert_at_risk: "At risk: losing this region would lose writes", "有风险：失去该区域将丢失写入";
    alert_archive_failing: "The archive fails", "归档失败";
    alert_archive_gap: "The archive has a gap", "归档有缺口";
    alert_backup_missing: "There is no recent base backup", "缺少近期基础备份";
    alert_disk_full: "The database has no room to write in", "数据库没有可写空间";
    alert_voters_lag: "The voters are far behind", "投票站点严重落后";
    alert_no_passing_drill: "Drills have not passed for too long", "有演练过久未通过";
    alert_lost_writes_not_kept: "Lost writes could not be kept", "丢失的写入未能保留";

    // The map.
    map: "Cells and regions", "单元与区域";
    map_caption: "Each cell's site in each region: its role, how far it is behind, and whether it votes", "各单元在各区域的站点：角色、落后量、是否有投票权";
    cell: "Cell", "单元";
    region: "Region", "区域";
    epoch: "Epoch", "纪元";
    epoch_of: "epoch {epoch}", "纪元 {epoch}";
    share: "{percent} % of users", "{percent}% 的用户";
    active: "active", "活动";
    standby: "standby", "备用";
    no_answer: "no answer", "无应答";
    not_heard: "not heard yet", "尚未应答";
    promoting: "promoting", "正在接管";
    switching: "handing over", "正在移交";
    electing: "electing", "正在选举";
    not_following: "not following", "未跟随";
    not_voting: "no vote", "无投票权";
    behind: "{bytes} behind", "落后 {bytes}";
    in_step: "in step", "同步";
    alerts_here: "alerts: {count}", "告警：{count}";
    traffic: "Users get", "用户所得";
    traffic_rate: "{rate} requests/s", "{rate} 次请求/秒";
    traffic_failed: "{percent} % fail", "失败 {percent}%";
    traffic_median: "half within {millis} ms", "半数在 {millis} 毫秒内";
    traffic_little: "too few requests to tell", "请求过少，无法判断";
    no_site: "no site", "无站点";

    // Routers.
    routers_caption: "Routers, the routing table each has applied, and the requests it holds back", "各路由器、已应用的路由表版本及暂存的请求";
    router: "Router", "路由器";
    table_version: "Routing table", "路由表版本";
    state: "State", "状态";
    held: "Requests held", "暂存请求";
    follows: "follows", "跟随";
    stale: "stale", "滞后";
    no_routers: "No router has reported yet.", "尚无路由器上报。";

    // Events.
    events: "Recent events", "最近事件";
    events_of_cell: "Recent moves and events", "最近迁移与事件";
    no_events: "Nothing has happened since this control plane started.", "本控制面启动以来无事件。";
    event_lease_lost: "{cell} is no longer heard from {region}", "{cell} 在 {region} 的租约中断";
    event_electing: "{cell} elects its active site", "{cell} 正在选举活动站点";
    event_promoting: "{cell} is being promoted in {region}", "{cell} 正在 {region} 接管";
    event_steady: "{cell} is active in {region}", "{cell} 在 {region} 活动";
    event_switching: "{cell} is handed over by {region}", "{cell} 正由 {region} 移交";
    event_frozen: "{cell} is frozen", "{cell} 已冻结";
    event_at_risk: "{cell} is at risk: losing {region} would lose writes", "{cell} 有风险：失去 {region} 将丢失写入";
    event_at_risk_over: "{cell} is no longer at risk", "{cell} 风险解除";
    event_voters: "{cell} has other voters", "{cell} 的投票站点已变更";
    event_site_down: "{cell} in {region} does not answer", "{cell} 在 {region} 无应答";
    event_site_up: "{cell} in {region} answers", "{cell} 在 {region} 恢复应答";

    event_operation_begun: "Operation {operation} has begun", "操作 {operation} 已开始";
    event_operation_moves: "Operation {operation}: {cell} moves to {region}", "操作 {operation}：{cell} 迁移到 {region}";
    event_operation_elects: "Operation {operation}: {cell} fails over", "操作 {operation}：{cell} 故障转移";
    event_operation_marks: "Operation {operation}: a step in {region}", "操作 {operation}：{region} 的一个步骤";
    event_operation_waits: "Operation {operation} waits", "操作 {operation} 等待中";
    event_operation_cancelled: "Operation {operation} is cancelled", "操作 {operation} 被取消";
    event_operation_ended: "Operation {operation} has ended", "操作 {operation} 已结束";
    event_region_drained: "{region} is drained", "{region} 已排空";
    event_region_restored: "{region} is a target again", "{region} 重新成为目标";
    event_freeze: "The platform is frozen", "平台已冻结";
    event_freeze_over: "The platform is no longer frozen", "平台冻结已解除";
    event_suite_followed: "Drills by schedule are run from here", "定期演练由此执行";
    event_suite_let_go: "Drills by schedule are no longer run from here", "定期演练不再由此执行";
    event_drill_begun: "A drill has begun", "演练开始";
    event_drill_ended: "A drill has ended", "演练结束";
    event_drill_waits: "A drill that is due waits", "到期的演练在等待";

    // One cell.
    slots: "Slots", "槽位";
    slots_of: "{slots} of 16,384", "{slots} / 16,384";
    lease: "Lease", "租约";
    lease_of: "held by {region}, renewed {age} ago", "由 {region} 持有，{age}前续租";
    lease_fresh: "held by {region}, and renewed", "由 {region} 持有，正常续租";
    no_lease: "none", "无";
    voters: "Voters", "投票站点";
    acks_needed: "{acks} of them must have a strong write on disk", "强一致写须落盘于其中 {acks} 个";
    redundancy: "Loss of one region", "失去一个区域";
    redundant: "survived: every standby follows and votes", "可承受：所有备用站点均跟随并投票";
    not_redundant: "not survived without harm now", "目前不能无损承受";
    last_change: "Last change", "最近变更";
    sites_caption: "The cell's sites: what each does, and how far it has got", "单元的各站点：状态与进度";
    role: "Role", "角色";
    lag: "Behind", "落后";
    position: "Position", "位置";
    database: "Database", "数据库";
    services: "Services", "服务";
    services_up: "{up} of {all} answer", "{up} / {all} 有应答";
    services_down: "down: {names}", "无应答：{names}";
    vote: "Vote", "投票";
    yes: "yes", "是";
    no: "no", "否";
    unknown: "unknown", "未知";
    levers: "Move", "迁移";

    // A planned move.
    no_lever_now: "The cell is being moved, or has no standby.", "单元正在迁移，或没有备用站点。";
    move_to: "Move to {region}…", "迁移到 {region}…";
    region_drained_short: "The region is drained", "区域已排空";
    region_drained: "This region is drained: no target of any move until it is restored.", "该区域已排空：在恢复之前不作为任何迁移的目标。";
    evacuate: "Evacuate this region…", "撤空该区域…";
    restore: "Let cells back in…", "恢复该区域…";
    kept_out: "kept out", "已停用";
    retire: "Keep {region} out…", "停用 {region} 的站点…";
    add: "Let {region} in again…", "重新启用 {region} 的站点…";
    retire_title: "Keep {site} out", "停用 {site}";
    add_title: "Let {site} in again", "重新启用 {site}";
    failover: "Fail over…", "故障转移…";
    failover_title: "Fail {cell} over", "对 {cell} 进行故障转移";
    failover_to: "Fail {cell} over to {to}", "将 {cell} 故障转移到 {to}";
    confirm_failover: "Fail {cell} over now", "立即对 {cell} 进行故障转移";
    effect_failover: "The active site is lost. The site that is furthest of those that answer is promoted; until then requests of these users wait at the routers, or fail.", "活动站点已丢失。在有应答的站点中，进度最靠前者将接管；在此之前，这些用户的请求在路由器等待或失败。";
    would_win: "Would be promoted", "将接管的站点";
    nobody_answers: "nobody: no site answers with the cell's data", "无：没有站点带着该单元的数据应答";
    could_be_lost: "What could be lost", "可能丢失的数据";
    loss_no_strong: "No strong write that was acknowledged: {votes} of the {needed} votes needed answer, or whoever was active does.", "不会丢失已确认的强一致写入：所需 {needed} 票中有 {votes} 票应答，或原活动站点有应答。";
    loss_strong: "Strong writes that were acknowledged: only {votes} of the {needed} votes needed answer. What only {unheard} may have is given up.", "可能丢失已确认的强一致写入：所需 {needed} 票中仅有 {votes} 票应答。只存在于 {unheard} 的数据将被放弃。";
    loss_no_weak: "Of weak writes, those of the last moment at most.", "弱一致写入最多丢失最后一刻的部分。";
    loss_weak: "Of weak writes, at least the last {bytes} of the write-ahead log.", "弱一致写入至少丢失预写日志的最后 {bytes}。";
    loss_weak_unknown: "How many weak writes is not known.", "弱一致写入的丢失量未知。";
    accept_data_loss: "I accept that acknowledged writes may be lost.", "我接受已确认的写入可能丢失。";
    takes_an_admin: "Accepting the loss of data takes an admin's token.", "接受数据丢失需要管理员令牌。";
    confirm_retire: "Keep {site} out now", "立即停用 {site}";
    confirm_add: "Let {site} in again now", "立即重新启用 {site}";
    effect_retire: "The site leaves the voters, follows nobody and is no target until it is let in again. Its database stays as it is then. No request waits.", "该站点退出投票，不再跟随，也不再作为目标，直到重新启用；其数据库保持当时的状态。请求不受影响。";
    effect_add: "The site catches up first, from the write-ahead log or from a copy, and then votes again. No request waits.", "该站点先通过预写日志或副本追上进度，然后重新参与投票。请求不受影响。";
    drain: "Drain this region…", "排空该区域…";
    undrain: "Make it a target again…", "取消排空…";
    drain_title: "Drain {region}", "排空 {region}";
    undrain_title: "Make {region} a target again", "取消排空 {region}";
    confirm_drain: "Drain {region} now", "立即排空 {region}";
    confirm_undrain: "Make {region} a target now", "立即取消排空 {region}";
    effect_drain: "Nothing is moved into the region any more until it is made a target again. What is active there stays there.", "在取消排空之前，不再有单元迁入该区域；该区域的活动单元保持不动。";
    effect_undrain: "The region is a target again. Nothing is moved.", "该区域重新成为迁移目标，不迁移任何单元。";
    freeze: "Freeze everything…", "冻结平台…";
    unfreeze: "Lift the freeze…", "解除冻结…";
    freeze_title: "Freeze the platform", "冻结平台";
    unfreeze_title: "Lift the freeze", "解除平台冻结";
    confirm_freeze: "Freeze the platform now", "立即冻结平台";
    confirm_unfreeze: "Lift the freeze now", "立即解除冻结";
    effect_freeze: "Until it is lifted, control planes move nothing by themselves: a cell whose active site is lost stays as it is, unless somebody fails it over. Planned moves are refused, and operations that go on wait before their next move. What has begun to move is brought to its end.", "解除之前，控制面不会自动迁移任何单元：活动站点丢失的单元保持原状，除非人工进行故障转移。计划迁移会被拒绝，进行中的操作在下一次迁移前等待；已开始的迁移会完成。";
    effect_unfreeze: "Control planes move cells by themselves again, at once where an active site is lost. Planned moves can be asked for, and operations that wait go on.", "控制面恢复自动迁移；活动站点已丢失的单元会立即接管。可以提出计划迁移，等待中的操作会继续。";
    affected_none: "nobody: requests go on as they do", "无：请求照常处理";
    affected_lost: "those of the cells whose active site is lost: {cells}", "活动站点丢失的单元的用户：{cells}";
    pause_lost: "as long as their cell has no active site", "直到其单元有活动站点";
    operations_wait: "Operations that would wait", "将会等待的操作";
    operations_go_on: "Operations that would go on again", "将会继续的操作";
    none_waits: "none", "无";
    freeze_for: "Seconds until it ends by itself; empty if it shall last until it is lifted", "自动解除前的秒数；留空则直到人工解除";
    freeze_takes_an_admin: "Freezing the platform, and lifting a freeze, takes an admin's token.", "冻结平台或解除冻结需要管理员令牌。";
    nothing_to_lift: "The platform is not frozen.", "平台未被冻结。";
    evacuate_title: "Evacuate {region}", "撤空 {region}";
    restore_title: "Restore {region}", "恢复 {region}";
    confirm_evacuate: "Evacuate {region} now", "立即撤空 {region}";
    confirm_restore: "Restore {region} now", "立即恢复 {region}";
    effect_evacuate: "Every cell that is active there is moved to another region, in waves. The region is no target any more until it is restored.", "该区域的活动单元将分批迁往其他区域；在恢复之前，该区域不再作为迁移目标。";
    effect_restore: "The region is a target again, and the cells that are at home there are moved back, in waves.", "该区域重新成为迁移目标，归属该区域的单元将分批迁回。";
    moves_caption: "Planned moves, wave by wave", "计划的迁移，按批次";
    wave: "Wave", "批次";
    from: "From", "从";
    to: "To", "到";
    epoch_now: "Epoch now", "当前纪元";
    headroom_caption: "How much of each region's capacity is free", "各区域的剩余容量";
    now: "Now", "现在";
    afterwards: "Afterwards", "之后";
    reason_for_audit: "Why, for the audit log", "原因（记入审计日志）";
    wave_pause: "Seconds to watch after each wave", "每批之后的观察秒数";
    move_title: "Move {cell} to {to}", "将 {cell} 迁移到 {to}";
    dry_run: "What this would do", "将会发生什么";
    dry_run_nothing_done: "Nothing has been done yet.", "尚未执行任何操作。";
    affected: "Users affected", "受影响用户";
    affected_of: "{percent} % of all users ({slots} slots), in {cells}", "全部用户的 {percent}%（{slots} 个槽位），位于 {cells}";
    effect: "Effect", "影响";
    effect_move: "Requests of these users wait at the routers while the cell is handed over, and then go on. None is lost.", "移交期间这些用户的请求在路由器等待，随后继续，不会丢失。";
    pause: "Expected pause", "预计停顿";
    pause_of: "{median} ms for each cell, at most {worst} ms (by {count} moves before)", "每个单元 {median} 毫秒，最长 {worst} 毫秒（依据此前 {count} 次迁移）";
    pause_unknown: "not known: no planned move has been recorded yet", "未知：尚无计划迁移记录";
    pause_election: "until a site is promoted; not known for how long: no failover by hand has been recorded yet", "直到有站点接管；时长未知：尚无人工故障转移记录";
    pause_election_of: "until a site is promoted, about {time} from now (by {count} failovers before)", "直到有站点接管，约 {time}（依据此前 {count} 次故障转移）";
    pause_none: "none: nothing is moved", "无：不迁移任何单元";
    refused_now: "It would be refused now", "目前会被拒绝";
    confirm_move: "Move {cell} to {to} now", "立即将 {cell} 迁移到 {to}";
    cancel: "Cancel", "取消";
    changed_since: "Something has changed since this page was shown. This is what would be done now.", "页面显示后情况已变化，以下是现在将执行的操作。";
    viewer: "Your token may look, and change nothing.", "您的令牌只能查看，不能更改。";

    // One region.
    network: "Network", "网段";
    control_plane: "Control plane", "控制面";
    region_caption: "The cells that have a site in this region", "在本区域有站点的单元";
    active_here: "Active here", "在此活动";
    active_elsewhere: "active in {region}", "在 {region} 活动";
    active_nowhere: "active nowhere", "无活动站点";

    // The audit log.
    audit_lead: "Who asked for what, when and why, and what came of it. The newest first.", "谁在何时因何请求了什么，以及结果如何，最新在前。";
    audit_caption: "The last {count} entries of the audit log", "审计日志最近 {count} 条";
    audit_empty: "Nobody has asked for anything yet.", "尚无任何请求。";
    when: "When", "时间";
    who: "Who", "操作者";
    what: "What", "操作";
    why: "Why", "原因";
    about: "About", "对象";
    outcome: "Outcome", "结果";
    done: "done", "完成";
    goes_on: "going on, or never ended", "进行中，或未结束";
    details: "Details", "详情";
    asked_in: "asked in {region}", "在 {region} 提出";

    // Operations.
    operations_lead: "What goes on in several steps, and what has lately. Any control plane carries it on if the one that began it dies.", "分多步进行的操作及最近的操作。若发起的控制面失效，其他控制面会继续执行。";
    operation: "Operation", "操作";
    no_operations: "No operation has been asked for.", "尚无操作。";
    none_went_on: "None went on when etcd was last read. Those that have ended are missing: etcd, which alone has them, does not answer.", "etcd 最近一次成功读取时没有进行中的操作。已结束的操作仅存于 etcd，etcd 无响应，因此未列出。";
    only_those_that_went_on: "Only those that went on when etcd was last read, as they were then. Those that have ended are missing: etcd, which alone has them, does not answer.", "仅列出 etcd 最近一次成功读取时进行中的操作及其当时的状态。已结束的操作仅存于 etcd，etcd 无响应，因此未列出。";
    platform_frozen: "The platform is frozen: nothing is moved.", "平台已冻结：不进行任何迁移。";
    running: "running", "进行中";
    undoing: "being taken back", "正在撤销";
    cancelling: "being cancelled", "正在取消";
    cancelled: "cancelled", "已取消";
    cancelled_by: "cancelled by", "取消者";
    attempt_of: "attempt {count}", "第 {count} 次尝试";
    failed: "failed", "失败";
    waiting: "waiting", "等待中";
    skipped: "skipped", "已跳过";
    ended: "ended", "结束于";
    eta_of: "about {time} left", "约剩 {time}";
    step_move: "Move {cell} from {from} to {to}", "将 {cell} 从 {from} 迁移到 {to}";
    step_drain: "{region} is no target any more", "{region} 不再作为目标";
    step_undrain: "{region} is a target again", "{region} 重新成为目标";
    held_for: "its requests waited {millis} ms", "请求等待 {millis} 毫秒";
    cancel_operation: "Cancel this operation", "取消此操作";
    cancel_means: "Steps that go on are finished. What has been moved stays where it is.", "进行中的步骤会完成，已迁移的保持不变。";

    // Drills.
    drills_lead: "Failures that were rehearsed, and what came of it. The newest first.", "已演练的故障及其结果，最新在前。";
    drills_stopped: "The lever is pulled, and no drill runs:", "演练开关已拉下，不进行任何演练：";
    by_schedule: "By schedule", "定期演练";
    suite_caption: "{suite}: {title}", "{suite}：{title}";
    suite_by: "Run by the control plane of {region}", "由 {region} 的控制面执行";
    suite_by_nobody: "No control plane has them run now", "目前没有控制面执行";
    suite_held: "What is due waits:", "到期的演练在等待：";
    suite_runs: "runs", "进行中";
    suite_due: "due", "待执行";
    suite_succeeded: "succeeded", "成功";
    suite_failed: "failed", "失败";
    suite_interrupted: "interrupted", "被中断";
    suite_skipped: "skipped", "已跳过";
    suite_target: "Whom it hits", "对象";
    drills_empty: "No drill has been run here yet.", "此处尚未进行演练。";
    drills_caption: "The last {count} runs", "最近 {count} 次演练";
    drill: "Drill", "演练项目";
    verdict: "Verdict", "结论";
    recovered: "99 % served after", "99% 恢复用时";
    detected: "Noticed after", "发现用时";
    redundant_after: "Redundant after", "恢复冗余用时";
    lost: "Writes lost", "丢失写入";
    lost_of: "{strong} strong, {weak} weak", "强一致 {strong}，弱一致 {weak}";
    requests: "Requests", "请求";
    requests_of: "{failed} failed, {held} held", "失败 {failed}，等待 {held}";
    never: "never", "未发生";
    seed_of: "seed {seed}, in {environment}", "种子 {seed}，环境 {environment}";
    trend: "How each drill went of late", "各演练近况";
    trend_caption: "The last runs of each drill, the newest at the right: how high is how long until 99 % of the users were served; hollow did not pass", "各演练最近的运行，最新在右：高度为 99% 用户恢复所需时间；空心为未通过";
    last_runs: "Last runs", "最近运行";
    passed_of: "{passed} of {all} passed", "{all} 次中 {passed} 次通过";
    last_time: "Last time", "最近一次";
    verdict_pass: "passed", "通过";
    verdict_fail: "failed", "未通过";
    verdict_inconclusive: "inconclusive", "无结论";
    verdict_no_steady_state: "not steady before", "事前不稳定";
    verdict_aborted: "stopped", "已中止";
    verdict_skipped: "not run", "未执行";
    verdict_residue: "left something behind", "有残留";
    verdict_harness_error: "the drill itself failed", "演练自身失败";

    // The matrix.
    vantages_lead: "Who sees which site how. A bad row is a site's; a bad column is an observer's, and moves nothing.", "各观察点所见的各站点。整行异常是站点的问题；整列异常是观察点的问题，不会引起迁移。";
    vantages_caption: "Each site as each vantage sees it: its health, and how long a probe through gateway, session and database took", "各观察点所见的站点健康状况，以及贯穿网关、会话与数据库的探测用时";
    site: "Site", "站点";
    healthy: "healthy", "健康";
    slow: "slow", "缓慢";
    failing: "failing", "故障";
    counts: "counts", "计入";
    counts_not: "does not count", "不计入";
    heard_ago: "last heard {age} ago", "{age}前收到";
    blind_to: "alone in seeing badly: {regions}", "仅此观察点看不清：{regions}";
}

/// Puts values where a text has their names in braces.
#[must_use]
pub(crate) fn fill(text: &str, values: &[(&str, &str)]) -> String {
    values
        .iter()
        .fold(text.to_owned(), |text, (name, value)| text.replace(&format!("{{{name}}}"), value))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn both_languages_have_every_text_with_the_same_values_in_it() {
        assert!(TABLE.len() > 100);
        for (key, english, chinese) in TABLE {
            assert!(!english.trim().is_empty() && !chinese.trim().is_empty(), "{key} is empty");
            assert_ne!(english, chinese, "{key} is not translated");
            assert_eq!(values(english), values(chinese), "{key}");
        }
    }

    #[test]
    fn a_text_is_filled_by_name() {
        let filled = fill("{cell} in {region}, {cell}", &[("region", "east"), ("cell", "c1")]);
        assert_eq!(filled, "c1 in east, c1");
    }

    fn values(text: &str) -> BTreeSet<&str> {
        text.split('{').skip(1).filter_map(|rest| rest.split('}').next()).collect()
    }
}
