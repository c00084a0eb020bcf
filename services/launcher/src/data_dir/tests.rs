#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use super::*;

fn token(data_dir: &Path) -> anyhow::Result<String> {
    let mut auth = auth::Config::default();
    prepare(data_dir)?;
    complete_auth(&mut auth, data_dir)?;
    Ok(auth.mesh_token.expose().to_owned())
}

#[test]
fn all_who_start_together_have_the_first_ones_token() {
    let dir = tempfile::tempdir().unwrap();
    let tokens = std::thread::scope(|scope| {
        let starting: Vec<_> = (0..16).map(|_| scope.spawn(|| token(dir.path()).unwrap())).collect();
        starting.into_iter().map(|start| start.join().unwrap()).collect::<Vec<_>>()
    });
    assert!(tokens.iter().all(|token| token.len() == 64 && *token == tokens[0]), "{tokens:?}");
    let left: Vec<_> = fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, [FILE], "no draft is left behind");
}

#[test]
fn an_empty_token_is_refused_not_taken() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join(FILE), "\n").unwrap();
    assert!(token(dir.path()).unwrap_err().to_string().contains("is empty"));
}
