//! A page in a headless Chromium: what it says, what is typed into it, and whether it complains.

use std::ffi::OsStr;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use headless_chrome::protocol::cdp::types::Event;
use headless_chrome::protocol::cdp::{Emulation, Input, Log, Network, Page as CdpPage, Runtime};
use headless_chrome::{Browser, LaunchOptions, Tab};
use serde_json::Value;

/// After this a page hangs: generous, for the machine may have other things to do.
pub const HANGS: Duration = Duration::from_secs(30);

pub struct Page {
    pub tab: Arc<Tab>,
    complaints: Arc<Mutex<Vec<String>>>,
    _browser: Browser,
}

/// Starts a browser of the size of a window. Nothing, and a word why, if there is none.
pub fn open(test: &str, file: &Path, size: (u32, u32)) -> Option<Page> {
    let browser = match Browser::new(options()) {
        Ok(browser) => browser,
        Err(error) => {
            eprintln!("{test}: skipped, no Chromium can be started: {error:#}");
            return None;
        }
    };
    let tab = browser.new_tab().unwrap();
    tab.set_default_timeout(HANGS);
    let page = Page { tab, complaints: Arc::default(), _browser: browser };
    page.listen();
    page.resize(size);
    page.go(&address(file));
    Some(page)
}

/// Root cannot have the sandbox, and containers have little shared memory.
fn options() -> LaunchOptions<'static> {
    let is_root = std::fs::metadata("/proc/self").is_ok_and(|process| process.uid() == 0);
    LaunchOptions {
        sandbox: !is_root,
        idle_browser_timeout: HANGS * 4,
        args: ["--disable-dev-shm-usage", "--hide-scrollbars", "--force-color-profile=srgb"]
            .map(OsStr::new)
            .to_vec(),
        ..LaunchOptions::default()
    }
}

pub fn address(file: &Path) -> String {
    format!("file://{}", file.display())
}

impl Page {
    fn listen(&self) {
        let complaints = Arc::clone(&self.complaints);
        let network: Network::Enable = serde_json::from_value(serde_json::json!({})).unwrap();
        self.tab.call_method(network).unwrap();
        self.tab.call_method(Log::Enable(None)).unwrap();
        self.tab.call_method(Runtime::Enable(None)).unwrap();
        let listener = move |event: &Event| {
            let complaint = match event {
                Event::RuntimeConsoleAPICalled(event) => Some(format!("console: {:?}", event.params.args)),
                Event::RuntimeExceptionThrown(event) => {
                    Some(format!("exception: {:?}", event.params.exception_details))
                }
                Event::LogEntryAdded(event) => Some(format!("log: {}", event.params.entry.text)),
                Event::NetworkRequestWillBeSent(event)
                    if !event.params.request.url.starts_with("file:///") =>
                {
                    Some(format!("request: {}", event.params.request.url))
                }
                _ => None,
            };
            complaints.lock().unwrap().extend(complaint);
        };
        self.tab.add_event_listener(Arc::new(listener)).unwrap();
    }

    /// What the console, the log and the network had to say.
    pub fn complaints(&self) -> Vec<String> {
        self.complaints.lock().unwrap().clone()
    }

    pub fn go(&self, address: &str) {
        self.tab.navigate_to(address).unwrap();
        self.wait("document.readyState === 'complete'");
    }

    pub fn resize(&self, (width, height): (u32, u32)) {
        let metrics = serde_json::json!({ "width": width, "height": height, "deviceScaleFactor": 1.0, "mobile": false });
        let metrics: Emulation::SetDeviceMetricsOverride = serde_json::from_value(metrics).unwrap();
        self.tab.call_method(metrics).unwrap();
    }

    /// Sets what the system prefers: `light` or `dark`.
    pub fn prefer(&self, theme: &str) {
        let features =
            vec![Emulation::MediaFeature { name: "prefers-color-scheme".into(), value: theme.into() }];
        self.tab.call_method(Emulation::SetEmulatedMedia { media: None, features: Some(features) }).unwrap();
    }

    /// Shows the page as paper does.
    pub fn print(&self) {
        let media = Emulation::SetEmulatedMedia { media: Some("print".into()), features: None };
        self.tab.call_method(media).unwrap();
    }

    /// Runs no script of pages from here on; questions are still answered.
    pub fn run_no_scripts(&self) {
        self.tab.call_method(Emulation::SetScriptExecutionDisabled { value: true }).unwrap();
    }

    /// What an expression is worth.
    pub fn get(&self, expression: &str) -> Value {
        let told = self.tab.evaluate(&format!("JSON.stringify({expression})"), true).unwrap();
        let text = told.value.unwrap_or_else(|| panic!("{expression} is nothing: {:?}", told.description));
        serde_json::from_str(text.as_str().unwrap_or("null")).unwrap()
    }

    /// The text that an expression promises.
    pub fn promised(&self, expression: &str) -> String {
        let told = self.tab.evaluate(expression, true).unwrap();
        told.value.as_ref().and_then(Value::as_str).unwrap_or_default().to_owned()
    }

    pub fn text(&self, selector: &str) -> String {
        self.get(&format!("document.querySelector({selector:?}).textContent")).as_str().unwrap().to_owned()
    }

    /// The texts of all elements that are shown.
    pub fn texts(&self, selector: &str) -> Vec<String> {
        let shown = "filter((e) => e.checkVisibility()).map((e) => e.textContent.trim())";
        let texts = self.get(&format!("[...document.querySelectorAll({selector:?})].{shown}"));
        texts.as_array().unwrap().iter().map(|text| text.as_str().unwrap().to_owned()).collect()
    }

    pub fn count(&self, selector: &str) -> usize {
        let count = self.get(&format!("document.querySelectorAll({selector:?}).length"));
        usize::try_from(count.as_u64().unwrap()).unwrap()
    }

    /// Clicks as a mouse does: where the element is.
    pub fn click(&self, selector: &str) {
        self.run(&format!(
            "document.querySelector({selector:?}).scrollIntoView({{ block: 'center', behavior: 'instant' }})"
        ));
        self.tab.find_element(selector).unwrap().click().unwrap();
    }

    pub fn run(&self, script: &str) {
        self.tab.evaluate(script, true).unwrap();
    }

    pub fn press(&self, key: &str) {
        // What the driver leaves out, and links wait for.
        if key == "Enter" {
            let event = |kind| {
                serde_json::json!({
                    "type": kind, "key": "Enter", "code": "Enter", "text": "\r", "windowsVirtualKeyCode": 13,
                })
            };
            for kind in ["keyDown", "keyUp"] {
                let event: Input::DispatchKeyEvent = serde_json::from_value(event(kind)).unwrap();
                self.tab.call_method(event).unwrap();
            }
            return;
        }
        self.tab.press_key(key).unwrap();
    }

    /// Types into what has the focus.
    pub fn write(&self, text: &str) {
        self.tab.type_str(text).unwrap();
    }

    /// Waits until something is true, as long as a page may take.
    pub fn wait(&self, condition: &str) {
        let started = Instant::now();
        while self.get(&format!("Boolean({condition})")) != true {
            assert!(started.elapsed() < HANGS, "{condition} did not come true; {:?}", self.complaints());
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// A picture of the window, or of an element.
    pub fn picture(&self, of: Option<&str>) -> Vec<u8> {
        let clip = of.map(|selector| {
            let box_of = format!(
                "(() => {{ const b = document.querySelector({selector:?}).getBoundingClientRect(); \
                 return {{ x: b.x + scrollX, y: b.y + scrollY, width: b.width, height: b.height, scale: 1 }} }})()"
            );
            serde_json::from_value::<CdpPage::Viewport>(self.get(&box_of)).unwrap()
        });
        let beyond = serde_json::json!({ "format": "png", "captureBeyondViewport": of.is_some() });
        let mut capture: CdpPage::CaptureScreenshot = serde_json::from_value(beyond).unwrap();
        capture.clip = clip;
        let told = self.tab.call_method(capture).unwrap();
        data_encoding::BASE64.decode(told.data.as_bytes()).unwrap()
    }
}
