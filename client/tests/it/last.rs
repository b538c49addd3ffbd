use crate::etcd::Etcd;

#[tokio::test(flavor = "multi_thread")]
async fn a_log_is_read_from_its_end_and_shortened_from_its_beginning() {
    let etcd = Etcd::start("last").await;
    for number in 1..=5 {
        etcd.client.put(&format!("/log/{number}"), number.to_string()).await.unwrap();
    }
    etcd.client.put("/other", "kept").await.unwrap();
    assert_eq!(keys(&etcd, 2).await, ["/log/5", "/log/4"]);
    etcd.client.remove("/log/", "/log/2").await.unwrap();
    etcd.client.shorten("/log/", 9).await.unwrap();
    assert_eq!(keys(&etcd, 9).await, ["/log/5", "/log/4", "/log/3", "/log/2"]);
    etcd.client.shorten("/log/", 2).await.unwrap();
    assert_eq!(keys(&etcd, 9).await, ["/log/5", "/log/4"]);
    assert_eq!(etcd.client.read(&["/other"]).await.unwrap().len(), 1);
}

async fn keys(etcd: &Etcd, limit: u16) -> Vec<String> {
    let stored = etcd.client.read_last("/log/", limit).await.unwrap();
    stored.into_iter().map(|stored| stored.key).collect()
}
