//! What only a file can do wrong.

use std::os::unix::fs::{FileExt as _, PermissionsExt as _};

use redb::ReadableDatabase as _;

use super::*;

async fn refusal(config: RecordsConfig) -> String {
    let error = Records::open(config).await.unwrap_err();
    assert!(matches!(error, StoreError::Misconfigured { option: "authServer.store.path", .. }), "{error:?}");
    error.to_string()
}

#[tokio::test]
async fn a_folder_that_is_not_there_is_named() {
    let folder = Folder::new();
    let path = folder.path("missing").join("records.db");
    let refusal = refusal(RecordsConfig::Embedded { path }).await;
    assert!(refusal.contains("missing for") && refusal.contains("create it"), "{refusal}");
    assert!(!folder.path("missing").exists());
}

#[tokio::test]
async fn nobody_else_may_read_the_file() {
    let folder = Folder::new();
    let mode = || fs::metadata(folder.path("records.db")).unwrap().permissions().mode() & 0o777;
    drop(open(&folder.config()).await);
    assert_eq!(mode(), 0o600);
    fs::set_permissions(folder.path("records.db"), fs::Permissions::from_mode(0o664)).unwrap();
    drop(open(&folder.config()).await);
    assert_eq!(mode(), 0o600);
}

#[tokio::test]
async fn an_empty_file_becomes_a_store_and_any_other_is_left_as_it_is() {
    let folder = Folder::new();
    let path = folder.path("records.db");
    fs::write(&path, "").unwrap();
    drop(open(&folder.config()).await);
    for text in ["x".to_owned(), "\0".repeat(100_000), "text ".repeat(50_000)] {
        fs::write(&path, &text).unwrap();
        let refusal = refusal(folder.config()).await;
        assert!(refusal.contains("records.db was not written by"), "{refusal}");
        assert_eq!(fs::read(&path).unwrap(), text.as_bytes());
    }
    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    assert!(refusal(folder.config()).await.contains("records.db cannot be used"));
}

#[tokio::test]
async fn a_file_of_another_program_that_uses_redb_is_refused() {
    let folder = Folder::new();
    let theirs = redb::TableDefinition::<u64, u64>::new("theirs");
    let database = redb::Database::create(folder.path("records.db")).unwrap();
    let transaction = database.begin_write().unwrap();
    transaction.open_table(theirs).unwrap().insert(1, 2).unwrap();
    transaction.commit().unwrap();
    drop(database);
    assert!(refusal(folder.config()).await.contains("records.db was not written by"));
    let database = redb::Database::open(folder.path("records.db")).unwrap();
    let transaction = database.begin_read().unwrap();
    assert_eq!(transaction.list_tables().unwrap().count(), 1);
    assert_eq!(transaction.open_table(theirs).unwrap().get(1).unwrap().unwrap().value(), 2);
}

/// Wherever it is: either nothing is lost by it, or it is found at the start.
#[tokio::test]
async fn damage_is_found_at_the_start() {
    let folder = Folder::new();
    let path = folder.path("records.db");
    let records = open(&folder.config()).await;
    for number in 0..200 {
        done(&records, put(&format!("key {number}"), &"value".repeat(number)), NOW).await;
    }
    let whole = records.list("", NOW).await.unwrap();
    drop(records);
    let sound = fs::read(&path).unwrap();
    let step = sound.len() / 60;
    let mut refused = 0;
    for place in (0..sound.len()).step_by(step) {
        fs::write(&path, &sound).unwrap();
        let byte = [sound[place] ^ 0x5a];
        fs::OpenOptions::new().write(true).open(&path).unwrap().write_at(&byte, place as u64).unwrap();
        match Records::open(folder.config()).await {
            Ok(records) => assert_eq!(records.list("", NOW).await.unwrap(), whole, "{place}"),
            Err(error) => {
                assert!(error.to_string().contains("records.db"), "{error}");
                refused += 1;
            }
        }
    }
    assert!(refused > 0);
    for length in [10, 4096, sound.len() / 2] {
        fs::write(&path, &sound[..length]).unwrap();
        assert!(refusal(folder.config()).await.contains("records.db"));
    }
}

/// As after a failure of the disk, when somebody has also taken the file away.
#[tokio::test]
async fn a_file_that_has_gone_is_not_made_anew_while_running() {
    let folder = Folder::new();
    let records = open(&folder.config()).await;
    done(&records, put("a", "1"), NOW).await;
    let Records::Embedded(embedded) = &records else { panic!() };
    fs::rename(folder.path("records.db"), folder.path("elsewhere")).unwrap();
    embedded.fail();
    assert!(records.get("a", NOW).await.unwrap_err().is_unavailable());
    assert!(records.commit(put("b", "2"), NOW).await.unwrap_err().is_unavailable());
    assert!(records.ping().await.unwrap_err().is_unavailable());
    assert!(!folder.path("records.db").exists());
    fs::rename(folder.path("elsewhere"), folder.path("records.db")).unwrap();
    while records.ping().await.is_err() {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    assert_eq!(text(&records, "a", NOW).await.as_deref(), Some("1"));
}
