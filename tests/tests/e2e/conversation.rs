//! A chat in each language survives the loss of the region it lives in.

use serde_json::json;
use tests::drill::assert_holds;
use tests::{Answer, Platform, User};

#[tokio::test]
async fn a_chat_goes_on_after_its_region_was_lost() -> anyhow::Result<()> {
    let platform = Platform::up()?;
    let chinese = Chat::begin(&platform, "张伟", "zh-CN").await?;
    let english = Chat::begin(&platform, "ada", "en").await?;

    let answer = chinese.say("退货政策是什么？").await?;
    assert_answered(&answer, "return_policy");
    let answer = english.say("What is your return policy?").await?;
    assert_answered(&answer, "return_policy");
    let answer = chinese.say("转人工").await?;
    assert_eq!(answer.body["reply"]["nlu"]["intent"]["name"], "human_agent", "{answer:?}");
    let answer = english.say("I want to talk to a human agent").await?;
    assert_eq!(answer.body["reply"]["nlu"]["intent"]["name"], "human_agent", "{answer:?}");
    for chat in [&chinese, &english] {
        chat.wait_for_ticket().await?;
    }

    // The drill kills the region in which the first user's cell is active.
    let (_, region) = platform.home_of("张伟").await?;
    let drill = include_str!("../../../chaos/drills/region-loss.yaml")
        .replace("region: auto", &format!("region: {region}"));
    let file = platform.folder().join("lose-that-region.yaml");
    std::fs::write(&file, drill)?;
    let before = [chinese.history().await?, english.history().await?];
    let run = platform.run("chaos", &["run", &file.to_string_lossy(), "--json"])?;
    let report: serde_json::Value = serde_json::from_slice(&run.stdout)?;
    assert_holds(&report);

    let (_, now) = platform.home_of("张伟").await?;
    assert_ne!(now, region, "the cell has moved");
    for (chat, before) in [(&chinese, &before[0]), (&english, &before[1])] {
        assert_eq!(chat.history().await?, *before, "nothing is lost, nothing is doubled");
        let answer = chat.say(if chat.locale == "en" { "thank you" } else { "谢谢" }).await?;
        assert_eq!(answer.status, 201, "{answer:?}");
        let after = chat.history().await?;
        assert_eq!(after[..before.len()], before[..], "the same conversation goes on");
        assert_eq!(after.len(), before.len() + 2);
        assert_eq!(chat.tickets().await?, 1);
    }
    Ok(())
}

#[track_caller]
fn assert_answered(answer: &Answer, intent: &str) {
    assert_eq!(answer.status, 201, "{answer:?}");
    let reply = &answer.body["reply"];
    assert_eq!(reply["nlu"]["intent"]["name"], intent, "{reply}");
    assert_eq!(reply["source"]["kind"], "kb", "{reply}");
    assert_eq!(reply["degraded"], false, "{reply}");
}

struct Chat {
    user: User,
    id: String,
    locale: &'static str,
}

impl Chat {
    async fn begin(platform: &Platform, name: &str, locale: &'static str) -> anyhow::Result<Self> {
        let user = User::of(platform, name)?;
        let made = user.post("/v1/conversations", &json!({ "locale": locale })).await?;
        assert_eq!(made.status, 201, "{made:?}");
        let id = made.body["id"].as_str().unwrap_or_default().to_owned();
        Ok(Self { user, id, locale })
    }

    async fn say(&self, text: &str) -> anyhow::Result<Answer> {
        let path = format!("/v1/conversations/{}/messages", self.id);
        self.user.post(&path, &json!({ "text": text })).await
    }

    /// The conversation's messages: sequence number and text.
    async fn history(&self) -> anyhow::Result<Vec<(u64, String)>> {
        let path = format!("/v1/conversations/{}/messages?after_seq=0&limit=200", self.id);
        let answer = self.user.get(&path).await?;
        assert_eq!(answer.status, 200, "{answer:?}");
        let messages = answer.body["data"].as_array().cloned().unwrap_or_default();
        Ok(messages
            .iter()
            .map(|message| {
                let text = message["text"].as_str().unwrap_or_default().to_owned();
                (message["seq"].as_u64().unwrap_or_default(), text)
            })
            .collect())
    }

    async fn tickets(&self) -> anyhow::Result<usize> {
        let answer = self.user.get("/v1/tickets").await?;
        Ok(answer.body["data"].as_array().map_or(0, Vec::len))
    }

    /// The ticket is made after the answer, from the outbox.
    async fn wait_for_ticket(&self) -> anyhow::Result<()> {
        let made = async {
            while self.tickets().await? == 0 {
                tokio::time::sleep(std::time::Duration::from_millis(50)).await;
            }
            anyhow::Ok(())
        };
        tokio::time::timeout(std::time::Duration::from_secs(10), made).await?
    }
}
