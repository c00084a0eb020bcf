//! The edge's pages in a real browser, driven over WebDriver. Skipped, loudly, where there is none.

use std::process::Stdio;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};

use crate::support::{Mesh, Topology};

/// A browser with one window, closed when dropped.
struct Browser {
    http: reqwest::Client,
    session: String,
    _driver: Child,
    _profile: tempfile::TempDir,
}

impl Browser {
    /// `None` where no browser is installed.
    async fn start() -> Option<Self> {
        let mut driver = Command::new("chromedriver");
        driver.arg("--port=0").stdout(Stdio::piped()).stderr(Stdio::null()).kill_on_drop(true);
        let mut driver = driver.spawn().ok()?;
        let mut lines = BufReader::new(driver.stdout.take().unwrap()).lines();
        let port = loop {
            let line = lines.next_line().await.unwrap().expect("chromedriver says its port");
            if let Some((_, port)) = line.split_once("successfully on port ") {
                break port.trim_end_matches('.').to_owned();
            }
        };
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        let profile = tempfile::tempdir().unwrap();
        let user_data = format!("--user-data-dir={}", profile.path().display());
        let arguments = [
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--disable-dev-shm-usage",
            &user_data,
        ];
        let (http, base) = (reqwest::Client::new(), format!("http://127.0.0.1:{port}/session"));
        let wanted = json!({"capabilities": {"alwaysMatch": {"goog:chromeOptions": {"args": arguments}}}});
        let answer: Value = http.post(&base).json(&wanted).send().await.unwrap().json().await.unwrap();
        let id = answer["value"]["sessionId"].as_str().unwrap_or_else(|| panic!("{answer}"));
        Some(Self { session: format!("{base}/{id}"), http, _driver: driver, _profile: profile })
    }

    async fn open(&self, url: &str) {
        let answer = self.http.post(format!("{}/url", self.session)).json(&json!({"url": url})).send().await.unwrap();
        assert!(answer.status().is_success(), "{}", answer.text().await.unwrap());
    }

    async fn run(&self, script: &str) -> Value {
        let body = json!({"script": script, "args": []});
        let answer = self.http.post(format!("{}/execute/sync", self.session)).json(&body).send().await.unwrap();
        answer.json::<Value>().await.unwrap()["value"].clone()
    }

    /// Waits until the page's text satisfies `enough`.
    async fn until(&self, what: &str, enough: impl Fn(&str) -> bool) {
        let mut text = String::new();
        for _ in 0..200 {
            text = self.run("return document.body.innerText").await.as_str().unwrap_or_default().to_owned();
            if enough(&text) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("never {what}: {text}");
    }

    async fn close(self) {
        let _ = self.http.delete(&self.session).send().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_status_page_shows_every_service_and_updates_itself() {
    let Some(browser) = Browser::start().await else {
        eprintln!("SKIP: no chromedriver: the status page was not tested (make test-setup installs it)");
        return;
    };
    let mut mesh = Mesh::start(Topology::ProcessPerService).await;
    browser.open(mesh.edge()).await;
    let bad = |text: &str| text.matches("not serving").count();
    browser.until("all serving", |text| text.matches("● serving").count() == 11 && bad(text) == 0).await;
    let names = browser.run("return document.getElementById('list').innerText").await;
    for name in
        ["availability", "pricing", "comments", "queue", "files", "search", "users", "beers", "orders", "operations"]
    {
        assert!(names.as_str().unwrap().contains(name), "{name} in {names}");
    }
    let loaded =
        browser.run("return performance.getEntriesByType('resource').map(entry => new URL(entry.name).origin)").await;
    let loaded = loaded.as_array().unwrap().clone();
    assert!(!loaded.is_empty() && loaded.iter().all(|origin| origin == mesh.edge()), "only from here: {loaded:?}");

    mesh.kill("beers").await;
    browser.until("beers shown as down, and why", |text| bad(text) >= 1 && text.contains("cannot connect")).await;
    mesh.restart("beers").await;
    browser.until("beers shown as up again", |text| bad(text) == 0).await;
    browser.close().await;
}

/// As a person would: find an operation, open it, fill it in, send it.
#[tokio::test(flavor = "multi_thread")]
async fn the_docs_page_lists_operations_and_tries_them() {
    let Some(browser) = Browser::start().await else {
        eprintln!("SKIP: no chromedriver: the docs page was not tested (make test-setup installs it)");
        return;
    };
    let mesh = Mesh::start(Topology::OneProcess).await;
    browser.open(&format!("{}/docs", mesh.edge())).await;
    browser.until("all services", |text| text.contains("malla.beers.v1") && text.contains("malla.users.v1")).await;
    let fill = "const row = document.getElementById('malla.files.v1.FilesService.ListFiles'); row.open = true;";
    browser.run(fill).await;
    browser.until("a form", |text| text.contains("page_size") && text.contains("Send")).await;
    let send = "const row = document.getElementById('malla.files.v1.FilesService.ListFiles');\
                row.querySelector('input').value = 'no-such-folder'; row.querySelector('button').click();";
    browser.run(send).await;
    browser.until("the answer", |text| text.contains("404") && text.contains("\"code\": 5")).await;
    let loaded =
        browser.run("return performance.getEntriesByType('resource').map(entry => new URL(entry.name).origin)").await;
    let loaded = loaded.as_array().unwrap().clone();
    assert!(!loaded.is_empty() && loaded.iter().all(|origin| origin == mesh.edge()), "only from here: {loaded:?}");
    let all = "return document.querySelectorAll('.operation').length";
    let all = browser.run(all).await.as_u64().unwrap();
    browser.run("const find = document.getElementById('find'); find.value = 'files list'; find.dispatchEvent(new Event('input'))").await;
    let shown =
        browser.run("return document.querySelectorAll('.operation:not([hidden])').length").await.as_u64().unwrap();
    assert!((1..all).contains(&shown), "{shown} of {all}");
    browser.close().await;
}
