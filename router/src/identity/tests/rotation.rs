//! Keys that come and go.

use super::*;

const EDDSA: &[Algorithm] = &[Algorithm::EdDsa];

#[test]
fn a_token_of_a_key_that_was_removed_counts_no_more_although_it_was_checked_before() {
    let old = jwk(Algorithm::EdDsa, "old");
    let new = jwk(Algorithm::Es256, "new");
    let algorithms = [Algorithm::EdDsa, Algorithm::Es256];
    let identities = us(jwks(std::slice::from_ref(&old), &algorithms), &algorithms);
    let token = signed(Algorithm::EdDsa, &private(Algorithm::EdDsa), Some("old"), &valid());
    let before = identities.check(&token, NOW).unwrap();
    // A key more forgets nothing.
    identities.trust(&identities.issuers[0], jwks(&[old, new.clone()], &algorithms));
    assert!(Arc::ptr_eq(&identities.check(&token, NOW).unwrap(), &before));
    identities.trust(&identities.issuers[0], jwks(&[new], &algorithms));
    assert_eq!(identities.verified.len(), 0);
    assert_eq!(identities.check(&token, NOW), Err(Unidentified::Key));
}

#[tokio::test(start_paused = true)]
async fn a_key_that_is_not_known_is_asked_for_and_the_token_is_refused_meanwhile() {
    let identities = us(jwks(&[jwk(Algorithm::EdDsa, "old")], EDDSA), EDDSA);
    let token = signed(Algorithm::EdDsa, &private(Algorithm::EdDsa), Some("new"), &valid());
    assert_eq!(identities.check(&token, NOW), Err(Unidentified::Key));
    // Resolves at once, or the test would not end.
    identities.issuers[0].missed.notified().await;
    identities.trust(&identities.issuers[0], jwks(&[jwk(Algorithm::EdDsa, "new")], EDDSA));
    assert!(identities.check(&token, NOW).is_ok());
}

#[test]
fn before_the_first_keys_have_come_it_is_nobodys_fault() {
    let spec = spec::Issuer { algorithms: EDDSA.to_vec(), ..own_issuer(NAME, "us") };
    let issuer = Issuer::new(&spec, Speaks::ForUsers, Source::Secret("unused".into()));
    let identities = Identities { issuers: vec![issuer], verified: Verified::default() };
    let told = identities.check(&token(&valid()), NOW);
    assert_eq!(told, Err(Unidentified::NoKeysYet));
    assert_eq!(told.unwrap_err().problem().status, 503);
}

#[test]
fn every_line_of_a_file_with_secrets_counts() {
    let newer = "the newer secret of the same issuer";
    let keys = KeySet::secrets(&format!("  {newer}\n{SECRET}\r\n")).unwrap();
    let identities = us(keys, &[Algorithm::Hs256]);
    for key in [newer, SECRET] {
        let token = signed(Algorithm::Hs256, &secret(key), None, &valid());
        assert!(identities.check(&token, NOW).is_ok(), "{key}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_file_is_read_again_and_a_broken_one_changes_nothing() {
    let folder = std::env::temp_dir().join(format!("bulkhead-keys-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let file = folder.join("issuer.keys");
    let newer = "the newer secret of the same issuer";
    let spec = own_issuer(NAME, "us");
    let issuer = Issuer::new(&spec, Speaks::ForUsers, Source::Secret(file.clone()));
    issuer.trust(KeySet::secrets(SECRET).unwrap());
    let identities = Arc::new(Identities { issuers: vec![issuer], verified: Verified::default() });
    let stop = tokio_util::sync::CancellationToken::new();
    let is_good = |key: &str| {
        identities.check(&signed(Algorithm::Hs256, &secret(key), None, &valid()), NOW).is_ok()
    };
    let look = async {
        std::fs::write(&file, "too short").unwrap();
        tokio::time::sleep(std::time::Duration::from_secs(15)).await;
        assert_eq!((is_good(SECRET), is_good(newer)), (true, false));
        std::fs::write(&file, newer).unwrap();
        tokio::time::sleep(std::time::Duration::from_secs(15)).await;
        assert_eq!((is_good(SECRET), is_good(newer)), (false, true));
        stop.cancel();
    };
    let (kept, ()) = tokio::join!(keep_fresh(Arc::clone(&identities), 0, stop.clone()), look);
    kept.unwrap();
    std::fs::remove_dir_all(&folder).unwrap();
}
