//! A real browser: Debian's chromium, driven through chromedriver (W3C WebDriver).

use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};

use super::{free_port, http, peers::program, wait_for};

/// A headless browser with one page; closed when dropped.
pub struct Browser {
    driver: Child,
    session: String,
    client: reqwest::blocking::Client,
    _profile: tempfile::TempDir,
}

impl Browser {
    /// Starts one; `None` where chromium or its driver is not installed.
    pub fn start() -> Option<Self> {
        let (chromium, driver) = (program("chromium")?, program("chromedriver")?);
        let port = free_port();
        let driver = Command::new(driver)
            .arg(format!("--port={port}"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let profile = tempfile::tempdir().unwrap();
        let client = http().build().unwrap();
        let base = format!("http://127.0.0.1:{port}");
        let data = format!("--user-data-dir={}", profile.path().display());
        let arguments = [
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--disable-quic",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            &data,
        ];
        let options = json!({"binary": chromium, "args": arguments});
        let wanted = json!({"capabilities": {"alwaysMatch": {"browserName": "chrome", "goog:chromeOptions": options}}});
        let answer = wait_for("the browser", || {
            let answer = client
                .post(format!("{base}/session"))
                .body(wanted.to_string())
                .send()
                .ok()?;
            serde_json::from_str::<Value>(&answer.text().ok()?).ok()
        });
        let id = answer["value"]["sessionId"]
            .as_str()
            .unwrap_or_else(|| panic!("{answer}"))
            .to_owned();
        Some(Self {
            driver,
            session: format!("{base}/session/{id}"),
            client,
            _profile: profile,
        })
    }

    /// Opens a page.
    pub fn open(&self, url: &str) {
        self.post("url", &json!({"url": url}));
    }

    /// Presses the first element that a CSS selector finds.
    pub fn press(&self, selector: &str) {
        let found = self.post(
            "element",
            &json!({"using": "css selector", "value": selector}),
        );
        let element = found
            .as_object()
            .unwrap()
            .values()
            .next()
            .unwrap()
            .as_str()
            .unwrap()
            .to_owned();
        self.post(&format!("element/{element}/click"), &json!({}));
    }

    /// The text of the page as a person sees it.
    pub fn text(&self) -> String {
        let text = self.post(
            "execute/sync",
            &json!({"script": "return document.body.innerText", "args": []}),
        );
        text.as_str().unwrap_or_default().to_owned()
    }

    /// What a script gives in the page.
    pub fn evaluate(&self, script: &str) -> Value {
        self.post("execute/sync", &json!({"script": script, "args": []}))
    }

    #[track_caller]
    fn post(&self, path: &str, body: &Value) -> Value {
        let answer = self
            .client
            .post(format!("{}/{path}", self.session))
            .body(body.to_string())
            .send()
            .unwrap();
        let status = answer.status();
        let answer: Value = serde_json::from_str(&answer.text().unwrap()).unwrap();
        assert!(status.is_success(), "{path}: {answer}");
        answer["value"].clone()
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = self.client.delete(&self.session).send();
        let _ = self.driver.kill();
        let _ = self.driver.wait();
    }
}
