//! The HTML report as people meet it: in a browser, with a mouse, with keys alone, in the dark, and with names that want harm.
//!
//! Needs Chromium; where there is none each test says that it was skipped.

#![expect(clippy::unwrap_used, reason = "a test that cannot set itself up should stop there")]

#[path = "report_html/addresses.rs"]
mod addresses;
#[path = "support/browser.rs"]
mod browser;
#[path = "support/fleet.rs"]
mod fleet;
#[path = "report_html/looks.rs"]
mod looks;
mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use browser::Page;
use layerprint_ingest::write::{Image, Layer};
use serde_json::{Value, json};
use support::{Ran, World};

const WINDOW: (u32, u32) = (1440, 1000);

/// Tells a file of rows again.
fn told_from(world: &World, rows: &str, more: &[&str]) -> Ran {
    world.run(&[&["report", "--from", rows, "--as-of", fleet::AS_OF][..], more].concat())
}

/// Writes rows, and the page that tells them.
fn tell(world: &World, rows: &[Value]) -> PathBuf {
    fs::write(world.path("rows.jsonl"), fleet::lines(rows)).unwrap();
    let ran = told_from(world, "rows.jsonl", &["-o", "fleet.html"]);
    assert_eq!((ran.status, ran.stderr.as_str()), (0, ""));
    world.path("fleet.html")
}

/// A page about a fleet of 300, ready.
fn fleet_of_300(test: &str, world: &World) -> Option<Page> {
    open(test, &tell(world, &fleet::rows(300)))
}

/// A page, ready.
fn open(test: &str, file: &Path) -> Option<Page> {
    let page = browser::open(test, file, WINDOW)?;
    page.wait(READY);
    Some(page)
}

/// A page whose script may not run.
fn open_without_script(test: &str, file: &Path) -> Option<Page> {
    let page = browser::open(test, Path::new("/dev/null"), WINDOW)?;
    page.run_no_scripts();
    page.go(&browser::address(file));
    Some(page)
}

fn wait_for_panel(page: &Page) {
    page.wait("document.querySelector('#panel').open");
}

fn close_panel(page: &Page) {
    page.press("Escape");
    page.wait("!document.querySelector('#panel').open");
}

/// A page about the same fleet that is judged by a policy and compared with an earlier report.
fn judged(world: &World) -> PathBuf {
    fs::write(world.path("rows.jsonl"), fleet::lines(&fleet::rows(300))).unwrap();
    fs::write(world.path("january.jsonl"), fleet::lines(&fleet::earlier(300))).unwrap();
    fs::write(world.path("policy.toml"), fleet::POLICY).unwrap();
    let asked = ["--policy", "policy.toml", "--diff", "january.jsonl"];
    let ran =
        told_from(world, "rows.jsonl", &[&asked[..], &["-o", "judged.html", "-o", "judged.jsonl"]].concat());
    assert_eq!(ran.status, 1, "{}", ran.stderr);
    world.path("judged.html")
}

/// The rows behind that page, and the lines of what is gone.
fn judged_rows(world: &World) -> (Vec<Value>, Vec<Value>) {
    let lines = support::lines(&fs::read_to_string(world.path("judged.jsonl")).unwrap());
    lines.into_iter().partition(|line| line["change"]["kind"] != "gone")
}

const READY: &str = "document.documentElement.classList.contains('ready')";

/// The texts of a column of the table, page by page.
fn column(page: &Page, number: usize) -> Vec<String> {
    let all = page.get(&format!(
        "(() => {{ const all = []; const click = (id) => document.getElementById(id).click(); click('page-first'); \
         for (;;) {{ all.push(...[...document.querySelectorAll('#rows tr > :nth-child({number})')].map((c) => c.textContent)); \
         if (document.getElementById('page-on').disabled) return all; click('page-on'); }} }})()"
    ));
    all.as_array().unwrap().iter().map(|text| text.as_str().unwrap().to_owned()).collect()
}

fn sources(rows: &[Value], is_meant: impl Fn(&Value) -> bool) -> Vec<String> {
    let meant = rows.iter().filter(|row| is_meant(row));
    meant.map(|row| row["source"].as_str().unwrap().to_owned()).collect()
}

/// The same names, in any order.
fn same(mut found: Vec<String>, mut expected: Vec<String>) {
    found.sort();
    expected.sort();
    assert_eq!(found, expected);
}

fn is_outdated(row: &Value) -> bool {
    row["freshness"]["newer"].as_u64() > Some(0)
}

fn choose(page: &Page, select: &str, value: &str) {
    page.run(&format!(
        "(() => {{ const s = document.querySelector({select:?}); s.value = {value:?}; s.dispatchEvent(new Event('change')) }})()"
    ));
}

#[test]
fn a_page_is_written_alike_each_time_and_loads_without_a_word() {
    let world = World::new();
    let file = tell(&world, &fleet::rows(300));
    let first = fs::read(&file).unwrap();
    assert_eq!(fs::read(tell(&world, &fleet::rows(300))).unwrap(), first);

    let Some(page) = open("a_page_loads_without_a_word", &file) else { return };
    let figures = page.texts(".tiles strong");
    let rows = fleet::rows(300);
    let based = sources(&rows, |row| row["verdict"] == "base").len();
    let outdated = sources(&rows, is_outdated).len();
    assert_eq!((based, &figures[0]), (249, &"300".to_owned()));
    assert_eq!(figures[1..3], [(based - outdated).to_string(), outdated.to_string()]);
    page.click(".cell.family");
    page.click("#rows a");
    wait_for_panel(&page);
    assert_eq!(page.complaints(), [""; 0]);
}

#[test]
fn a_page_of_a_store_is_the_same_whatever_the_threads() {
    let world = World::with_base();
    let page = |jobs: &str| {
        let ran = world.run(&["report", "--jobs", jobs, "-o", "fleet.html", "-o", "fleet.jsonl"]);
        assert_eq!((ran.status, ran.stderr.as_str()), (0, ""));
        fs::read_to_string(world.path("fleet.html")).unwrap()
    };
    let told = page("1");
    assert_eq!(page("4"), told);
    assert!(told.contains("Each content once") && told.contains("store store"), "{told}");

    // What is told again from rows is the same but for what rows do not say.
    let rows = world.run(&["report", "--from", "fleet.jsonl", "--as-of", "2026-01-31", "--json"]);
    assert_eq!((rows.status, rows.stdout), (0, fs::read_to_string(world.path("fleet.jsonl")).unwrap()));
}

#[test]
fn rows_that_are_none_are_told_by_file_and_line() {
    let world = World::new();
    let row = fleet::rows(1)[0].to_string();
    fs::write(world.path("rows.jsonl"), format!("{row}\n{{\"image\": 1}}\n")).unwrap();
    let ran = told_from(&world, "rows.jsonl", &[]);
    assert_eq!((ran.status, ran.stdout.as_str()), (2, ""));
    assert!(ran.stderr.starts_with("error: rows.jsonl, line 2: not a row of a report: "), "{}", ran.stderr);
    let ran = world.run(&["report", "--from", "rows.jsonl"]);
    assert!(ran.status == 2 && ran.stderr.contains("--as-of <DAY>"), "{}", ran.stderr);
}

#[test]
fn every_column_sorts_both_ways() {
    let world = World::new();
    let Some(page) = fleet_of_300("every_column_sorts_both_ways", &world) else { return };
    let heads = page.texts("#images th[data-sort]");
    for (at, head) in heads.iter().enumerate() {
        let nth = at + 1;
        // The table is sorted by the first already.
        let how = if at == 0 { ["descending", "ascending"] } else { ["ascending", "descending"] };
        let sorts = |how: &str| {
            page.run(&format!("document.querySelector('#images th:nth-child({nth}) button').click()"));
            assert_eq!(
                page.get(&format!("document.querySelector('#images th:nth-child({nth})').ariaSort")),
                how,
                "{head}"
            );
            column(&page, nth)
        };
        let [one, other] = how.map(sorts);
        let told = |texts: &[String]| texts.iter().filter(|text| *text != "–").cloned().collect::<Vec<_>>();
        assert_eq!((one.len(), other.len()), (300, 300), "{head}");
        // Of a tie the first name counts, not how many there are.
        let values = |texts: &[String]| {
            told(texts).iter().map(|text| text.split(" +").next().unwrap().to_owned()).collect::<Vec<_>>()
        };
        assert!(
            values(&one).iter().eq(values(&other).iter().rev()),
            "{head}: {one:?} is not {other:?} backwards"
        );
        // What is not known comes last, either way.
        assert!(other.starts_with(&told(&other)) && one.starts_with(&told(&one)), "{head}");
        let up = if at == 0 { &other } else { &one };
        let numbers: Vec<f64> = told(up).iter().filter_map(|text| number(text)).collect();
        assert!(numbers.is_sorted(), "{head}: {numbers:?}");
    }
    assert_eq!(heads.len(), 9);
}

/// What a figure is worth, so that figures can be compared.
fn number(text: &str) -> Option<f64> {
    let units = [(" KiB", 1024.0), (" MiB", 1048576.0), (" GiB", 1073741824.0), (" %", 1.0), ("", 1.0)];
    let of = |(unit, worth): (&str, f64)| {
        Some(text.strip_suffix(unit)?.replace([',', '-'], "").parse::<f64>().ok()? * worth)
    };
    units.into_iter().find_map(of)
}

#[test]
fn search_and_filters_find_what_rows_say() {
    let world = World::new();
    let Some(page) = fleet_of_300("search_and_filters_find_what_rows_say", &world) else { return };
    let rows = fleet::rows(300);
    page.click("#search");
    page.write("payments jvm");
    page.wait("document.querySelector('#found').textContent.includes('found')");
    let has = |row: &Value, text: &str| {
        row["source"].as_str().unwrap().contains(text) || row["base"]["names"].to_string().contains(text)
    };
    same(column(&page, 1), sources(&rows, |row| has(row, "payments") && has(row, "jvm")));

    page.click("#reset");
    choose(&page, "#filter-answer", "2");
    same(column(&page, 1), sources(&rows, |row| row["verdict"] == "family"));
    choose(&page, "#filter-family", "=node");
    same(column(&page, 1), sources(&rows, |row| row["verdict"] == "family" && row["family"] == "node"));

    page.click("[data-remark='base-outdated warning']");
    same(column(&page, 1), sources(&rows, is_outdated));
    page.click("#reset");
    page.write("no such image");
    page.wait("!document.querySelector('#none-found').hidden");
    assert_eq!(page.text("#found"), "no image found, of 300");
}

#[test]
fn what_changed_is_counted_listed_and_told_of_each_image() {
    let world = World::new();
    let file = judged(&world);
    let (rows, gone) = judged_rows(&world);
    let Some(page) = open("what_changed_is_counted_listed_and_told", &file) else { return };
    let kinds =
        [("fell-behind", "Fell behind"), ("moved", "Moved"), ("came-back", "Came back"), ("new", "New")];
    for (kind, label) in kinds {
        let is_so = |row: &Value| row["change"]["kind"] == kind;
        let expected = sources(&rows, is_so);
        assert!(!expected.is_empty(), "{kind}");
        assert_eq!(page.text(&format!("[data-change={kind}] strong")), expected.len().to_string());
        page.click(&format!("[data-change={kind}]"));
        same(column(&page, 1), expected);

        page.click("#rows a");
        wait_for_panel(&page);
        let id = page.text("#panel code");
        let was = &rows.iter().find(|row| row["image"]["id"] == *id).unwrap()["change"]["was"];
        let told = match was["base"][0].as_str() {
            Some(base) => format!("{label}; before: {base}, {} newer", was["newer"]),
            None => format!("{label}; the earlier report does not have it"),
        };
        let section = "[...document.querySelectorAll('#panel section')].find((s) => s.querySelector('h3').textContent === 'What changed')";
        assert_eq!(page.get(&format!("{section}.querySelector('p').textContent")), told);
        close_panel(&page);
    }
    let told = page.texts(".gone tbody th");
    assert_eq!((gone.len(), told), (13, sources(&gone, |_| true)[..10].to_vec()));
    assert_eq!(page.text("#changes .hint"), "and 3 more images");
    let changed = rows.iter().filter(|row| row.get("change").is_some()).count();
    assert_eq!(
        page.text("#changes .what"),
        format!("Since january.jsonl. {} images are as they were.", 300 - changed)
    );
    page.click("#reset");
    assert_eq!((column(&page, 1).len(), page.complaints()), (300, vec![]));
}

#[test]
fn a_policy_is_judged_near_the_top_and_its_offences_are_filters() {
    let world = World::new();
    let file = judged(&world);
    let (rows, _) = judged_rows(&world);
    let Some(page) = open("a_policy_is_judged_near_the_top", &file) else { return };
    let has = |row: &Value, rule: Option<&str>, level: &str| {
        let remarks = row["remarks"].as_array().unwrap();
        remarks
            .iter()
            .any(|remark| rule.is_none_or(|rule| remark["rule"] == rule) && remark["level"] == level)
    };
    let offenders = sources(&rows, |row| has(row, None, "error"));
    let exempt = sources(&rows, |row| row["source"].as_str().unwrap().starts_with("ledger/")).len();
    assert_eq!(
        page.text(".verdict"),
        format!("✗ Policy broken {} of 300 images break policy.toml {exempt} are exempt", offenders.len())
    );
    page.click(".verdict a");
    same(column(&page, 1), offenders);

    let offences = page.texts("#policy .counts a");
    let rules = ["base-outdated", "base-forbidden", "base-too-old"];
    assert_eq!(offences.len(), rules.len(), "{offences:?}");
    for (rule, told) in rules.into_iter().zip(&offences) {
        let expected = sources(&rows, |row| has(row, Some(rule), "error"));
        assert!(told.starts_with(&expected.len().to_string()) && told.ends_with(" error"), "{told}");
        page.click(&format!("#policy [data-remark='{rule} error']"));
        same(column(&page, 1), expected);
    }
    // The same rule may be a warning, too: that is another figure.
    page.click("[data-remark='base-outdated warning']");
    same(column(&page, 1), sources(&rows, |row| has(row, Some("base-outdated"), "warning")));
    page.click("a[data-outdated=yes]");
    same(column(&page, 1), sources(&rows, is_outdated));
    assert_eq!(page.complaints(), [""; 0]);
}

#[test]
fn what_a_report_said_is_told_again_from_its_rows() {
    let world = World::new();
    judged(&world);
    let rows = fs::read_to_string(world.path("judged.jsonl")).unwrap();
    let ran = told_from(&world, "judged.jsonl", &["--json"]);
    assert_eq!((ran.status, ran.stdout, ran.stderr.as_str()), (0, rows, ""));

    let content = format!("blake3:{}", "1".repeat(64));
    let file = format!("[[file]]\ncontent = \"{content}\"\nreason = \"hole\"\n");
    fs::write(world.path("files.toml"), file).unwrap();
    let ran = told_from(&world, "rows.jsonl", &["--policy", "files.toml"]);
    let told = "error: files.toml: rows do not tell which images hold a [[file]]\n\
                hint: leave out --from, so that the store is asked\n";
    assert_eq!((ran.status, ran.stderr.as_str()), (2, told));
}

#[test]
fn a_policy_that_is_met_says_so_and_nothing_changed_either() {
    let world = World::new();
    let rows = fleet::lines(&fleet::rows(100));
    fs::write(world.path("rows.jsonl"), &rows).unwrap();
    fs::write(world.path("p.toml"), "[base]\nunknown = \"warning\"\nuncertain = \"warning\"\n").unwrap();
    let asked = ["--policy", "p.toml", "--diff", "rows.jsonl", "-o", "fleet.html"];
    let ran = told_from(&world, "rows.jsonl", &asked);
    assert_eq!((ran.status, ran.stderr.as_str()), (0, ""));
    let page = fs::read_to_string(world.path("fleet.html")).unwrap();
    for text in [
        "✓ Policy met",
        "All 100 images meet p.toml",
        "No image breaks a rule of it.",
        "Nothing changed since rows.jsonl.",
    ] {
        assert!(page.contains(text), "{text}");
    }
    let place = format!("<time datetime=\"{0}\">{0}</time> · <bdi>from rows.jsonl</bdi></p>", fleet::AS_OF);
    assert!(page.contains(&place) && !page.contains("id=\"storage-title\""));
}

/// A store in which some images could share layers with their bases, and one of them that is judged by a policy.
fn squashed() -> World {
    let world = World::new();
    let platform = |name: &str, folder: &str, day: &str| {
        Image::new(name).created(day).layer(support::files(folder, support::BASE_FILES))
    };
    let squash = |name: &str, bases: &[&str], own: usize| {
        let layer = bases.iter().fold(Layer::new(), |layer, folder| {
            (0..support::BASE_FILES).fold(layer, |layer, at| {
                let path = format!("{folder}/{at:02}");
                layer.file(&path, format!("{path}\n").repeat(10_000 / (path.len() + 1)))
            })
        });
        let layer = (0..own).fold(layer, |layer, at| {
            layer.file(format!("srv/{name}/{at}"), format!("{name}{at}\n").repeat(2_000))
        });
        Image::new(name).created("2026-06-01T00:00:00Z").layer(layer)
    };
    let mut images = vec![
        platform("platform/jvm:2026.01", "usr/lib/jvm", "2026-01-01T00:00:00Z"),
        platform("platform/python:2026.02", "usr/lib/python", "2026-02-01T00:00:00Z"),
        platform("platform/node:2026.03", "usr/lib/node", "2026-03-01T00:00:00Z"),
    ];
    for (at, team) in ["payments", "ledger", "search", "fraud", "data"].into_iter().enumerate() {
        images.push(squash(&format!("{team}/api:1"), &["usr/lib/jvm"], 2 + at * 3));
        if at < 3 {
            images.push(squash(&format!("{team}/worker:1"), &["usr/lib/python"], 4 + at * 5));
        }
    }
    images.push(squash("mobile/web:1", &["usr/lib/node"], 9));
    images.push(
        platform("platform/jvm:2026.01", "usr/lib/jvm", "2026-01-01T00:00:00Z")
            .named("shop/api:1")
            .layer(support::files("srv/shop", 9)),
    );
    world.save("images.tar", &images);
    assert_eq!(world.run(&["ingest", "images.tar"]).status, 0);
    world
}

#[test]
fn what_could_be_shared_is_told_as_the_savings_tell_it() {
    let world = squashed();
    let ran = world.run(&["report", "-o", "fleet.html"]);
    assert_eq!((ran.status, ran.stderr.as_str()), (0, ""));
    let savings = world.json(&["savings", "--json"]);
    let groups: Vec<&Value> = savings.iter().filter(|row| row["kind"] == "base").collect();
    let file = world.path("fleet.html");
    let Some(page) = open_without_script("what_could_be_shared_is_told", &file) else { return };
    assert_eq!(
        page.texts(".savings tbody th"),
        ["platform/jvm:2026.01", "platform/python:2026.02", "platform/node:2026.03"]
    );
    // The first screen leads to it, with as many images.
    let step = page.get("(() => { const step = document.querySelector('.steps li:has([href=\"#storage\"])'); \
        return [step.querySelector('strong').textContent, step.querySelector('a').textContent, document.querySelector('#storage') !== null]; })()");
    assert_eq!(step, json!(["9 images", "Share the layers of bases", true]));
    let told = page.texts(".savings tbody td:nth-child(3)");
    let images: Vec<String> = groups.iter().map(|group| group["images"].to_string()).collect();
    assert_eq!(
        (told, images),
        (vec!["5".to_owned(), "3".into(), "1".into()], vec!["5".to_owned(), "3".into(), "1".into()])
    );
    for (at, column) in [(5, "bytes"), (6, "saved_bytes")] {
        for (told, group) in page.texts(&format!(".savings tbody td:nth-child({at})")).iter().zip(&groups) {
            let expected = group[column].as_f64().unwrap();
            assert!((number(told).unwrap() - expected).abs() < 0.01 * expected, "{told} is not {expected}");
        }
    }
    assert_eq!(page.complaints(), [""; 0]);
}

#[test]
fn a_panel_opens_by_keys_and_by_link_and_tells_its_row() {
    let world = World::new();
    let Some(page) = fleet_of_300("a_panel_opens_by_keys_and_by_link", &world) else { return };
    let first = column(&page, 1)[0].clone();
    page.run("document.getElementById('page-first').click(); document.querySelector('#table-box').focus()");
    for _ in 0..10 {
        page.press("Tab");
    }
    let link = page.get("document.activeElement.textContent");
    assert_eq!(link, first);
    page.press("Enter");
    wait_for_panel(&page);
    assert_eq!(page.get("document.querySelector('#panel-title').textContent"), link);
    assert!(page.get("location.hash").as_str().unwrap().starts_with("#image=sha256:"));
    close_panel(&page);
    assert_eq!(page.get("[location.hash, document.activeElement.textContent]"), json!(["", link]));

    let rows = fleet::rows(300);
    let row = rows.iter().find(|row| row["made_of"].as_array().unwrap().len() == 5).unwrap();
    let address = browser::address(&world.path("fleet.html"));
    page.go(&format!("{address}#image={}", row["image"]["id"].as_str().unwrap()));
    page.wait("document.querySelector('#panel')?.open");
    assert_eq!(page.text("#panel-title"), row["source"].as_str().unwrap());
    let told = page.texts("#panel-body .plain tbody td:nth-child(5)");
    let parts = row["made_of"].as_array().unwrap();
    let contents: Vec<u64> = told.iter().map(|text| text.replace(',', "").parse().unwrap()).collect();
    let expected: Vec<u64> = parts.iter().map(|part| part["contents"].as_u64().unwrap()).collect();
    assert_eq!(contents, expected);
    assert_eq!(contents.iter().sum::<u64>(), row["image"]["contents"].as_u64().unwrap());
    assert_eq!(page.count("#panel-body .bar .segment"), 5);
    assert_eq!(page.complaints(), [""; 0]);
}

#[test]
fn the_tree_zooms_by_mouse_and_by_keys() {
    let world = World::new();
    let Some(page) = fleet_of_300("the_tree_zooms_by_mouse_and_by_keys", &world) else { return };
    assert_eq!(page.texts("#crumbs li"), ["All images"]);
    assert_eq!(page.texts(".cell.root .figure"), ["300 images"]);
    page.click(".cell.family");
    assert_eq!(page.texts("#crumbs li"), ["All images", "debian"]);
    page.click("#tree-out");
    assert_eq!(page.texts("#crumbs li"), ["All images"]);

    // Into the first family, its first base, and so on down to an image; its panel opens.
    let (mut steps, here) = (Vec::new(), || page.get("document.activeElement.getAttribute('title')"));
    while page.get("document.querySelector('#panel').open") == false {
        page.press("ArrowRight");
        page.press("Enter");
        page.wait("document.querySelector('#panel').open || document.activeElement.matches('.cell')");
        steps.push(here());
        assert!(steps.len() < 8, "{steps:?}");
    }
    assert!(steps[0].as_str().unwrap().starts_with("family debian, 147 images, "), "{steps:?}");
    close_panel(&page);
    page.wait("document.activeElement.matches('.cell')");
    for _ in 0..steps.len() {
        page.press("Escape");
    }
    assert_eq!(page.texts("#crumbs li"), ["All images"]);
    page.press("ArrowRight");
    page.press("ArrowDown");
    assert!(here().as_str().unwrap().starts_with("family ubuntu, "), "{}", here());
    page.press("ArrowLeft");
    assert!(here().as_str().unwrap().starts_with("All images, 300 images, "), "{}", here());

    page.click(".cell.family");
    page.click("#tree-list");
    assert_eq!(page.text("#found"), "1–25 of 147 images found, of 300");
    assert_eq!(page.complaints(), [""; 0]);
}

/// The least contrast of all texts that are shown, each with what is behind it.
const CONTRASTS: &str = r"(() => {
    const context = Object.assign(document.createElement('canvas'), { width: 1, height: 1 }).getContext('2d', { willReadFrequently: true });
    const rgba = (color) => { context.clearRect(0, 0, 1, 1); context.fillStyle = color; context.fillRect(0, 0, 1, 1); return [...context.getImageData(0, 0, 1, 1).data]; };
    const over = (top, under) => { const a = top[3] / 255; return [0, 1, 2].map((i) => top[i] * a + under[i] * (1 - a)).concat(255); };
    const behind = (e) => { if (!e) return rgba(getComputedStyle(document.body).backgroundColor); const own = rgba(getComputedStyle(e).backgroundColor); return own[3] === 255 ? own : over(own, behind(e.parentElement)); };
    const light = (c) => { const [r, g, b] = c.slice(0, 3).map((v) => { v /= 255; return v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4; }); return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
    const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    const found = new Map();
    while (walker.nextNode()) {
        const e = walker.currentNode.parentElement;
        if (!walker.currentNode.data.trim() || e.closest('script, style, noscript, option, title, :disabled') || !e.checkVisibility({ visibilityProperty: true })) continue;
        const style = getComputedStyle(e);
        const back = behind(e);
        const front = over(rgba(e instanceof SVGElement ? style.fill : style.color), back);
        const [high, low] = [light(front), light(back)].sort((a, b) => b - a);
        found.set(`${e.tagName}.${e.className.baseVal ?? e.className}`, (high + 0.05) / (low + 0.05));
    }
    return [...found].filter(([, ratio]) => ratio < 4.5).map(([what, ratio]) => `${what} ${ratio.toFixed(2)}`).concat(found.size > 20 ? [] : ['too few texts']);
})()";

#[test]
fn texts_can_be_read_in_light_and_dark() {
    let world = World::new();
    let Some(page) = open("texts_can_be_read_in_light_and_dark", &judged(&world)) else { return };
    let colour = || page.get("getComputedStyle(document.body).backgroundColor");
    let mut seen = Vec::new();
    for theme in ["light", "dark"] {
        page.prefer(theme);
        seen.push(colour());
        assert_eq!(page.get(CONTRASTS), json!([]), "{theme}");
        page.run("location.hash = document.querySelector('#rows tr:nth-child(9) a').hash");
        wait_for_panel(&page);
        assert_eq!(page.get(CONTRASTS), json!([]), "{theme}, with a panel");
        close_panel(&page);
    }
    assert_ne!(seen[0], seen[1]);

    // Chosen by hand it stays, whatever the system prefers.
    page.prefer("light");
    page.click("#theme");
    assert_eq!(colour(), seen[1]);
    page.go(&browser::address(&world.path("judged.html")));
    page.wait(READY);
    assert_eq!((colour(), page.text("#theme")), (seen[1].clone(), "Light theme".into()));
}

#[test]
fn a_page_fits_narrow_and_wide_windows() {
    let world = World::new();
    let Some(page) = open("a_page_fits_narrow_and_wide_windows", &judged(&world)) else { return };
    // 640 is a window of 1280 at 200 %, 320 the same at 400 %.
    for width in [320, 400, 640, 800, 1600] {
        page.resize((width, 900));
        page.wait(&format!("innerWidth === {width}"));
        assert_eq!(page.get("document.documentElement.scrollWidth"), width, "it scrolls sideways");
    }
}

#[test]
fn ten_thousand_images_are_no_burden() {
    let world = World::new();
    let file = tell(&world, &fleet::rows(10_000));
    let started = Instant::now();
    let Some(page) = open("ten_thousand_images_are_no_burden", &file) else { return };
    let size_bytes = fs::metadata(&file).unwrap().len();
    let loaded_ms = page.get("Math.round(performance.now())");
    eprintln!(
        "10,000 images: {size_bytes} bytes, browser and page {:?}, at {loaded_ms} ms of the page",
        started.elapsed()
    );
    let time = |what: &str, script: &str| {
        let took = page.get(&format!("(() => {{ const start = performance.now(); {script}; document.body.offsetHeight; return performance.now() - start }})()"));
        eprintln!("10,000 images: {what} took {:.0} ms", took.as_f64().unwrap());
        assert!(took.as_f64().unwrap() < browser::HANGS.as_secs_f64() * 1000.0, "{what} hangs");
    };
    for sort in ["name", "base", "bytes", "remarks"] {
        time(
            &format!("sorting by {sort}"),
            &format!("document.querySelector('th[data-sort={sort}] button').click()"),
        );
    }
    time(
        "searching",
        "const s = document.querySelector('#search'); s.value = 'ledger api 2'; s.dispatchEvent(new Event('input'))",
    );
    time("resetting", "document.querySelector('#reset').click()");
    time("zooming in", "document.querySelector('.cell.family').click()");
    time("listing a family", "document.querySelector('#tree-list').click()");
    assert!(page.count("*") < 3_000, "{} elements", page.count("*"));
    assert_eq!(page.complaints(), [""; 0]);
}

#[test]
fn hostile_names_are_text_and_nothing_else() {
    let world = World::new();
    let rows = fleet::hostile();
    let file = tell_hostile(&world, &rows);
    let Some(page) = open("hostile_names_are_text_and_nothing_else", &file) else { return };
    let scripts =
        "script, img, iframe, object, embed, base, [onmouseover], [onerror], [onfocus], [autofocus]";
    let look = |place: &str| {
        assert_eq!(page.get("window.harmed ?? null"), Value::Null, "{place}");
        // Ours: what runs early, the figures, what runs late.
        assert_eq!(page.count(scripts), 3, "{place}");
        assert_eq!(page.complaints(), [""; 0], "{place}");
    };
    look("the page");
    same(column(&page, 1), rows.iter().map(|row| harmless(row["source"].as_str().unwrap())).collect());
    for at in 0..rows.len() {
        page.run(&format!("location.hash = document.querySelectorAll('#rows a')[{at}].hash"));
        let id = page.get(&format!("document.querySelectorAll('#rows a')[{at}].hash.slice(7)"));
        page.wait(&format!("document.querySelector('#panel').open && document.querySelector('#panel code').textContent === {id}"));
        look("a panel");
    }
    page.press("Escape");
    let all = |names: &[&str]| names.iter().map(|name| harmless(name)).collect::<Vec<_>>();
    same(page.texts(".gone tbody th"), all(&fleet::HOSTILE[2..12]));
    assert!(page.text(".verdict").contains("13 of 13 images break <img src=x onerror=window.harmed=7>.toml"));
    assert!(page.text("#changes .what").contains("Since <script>window.harmed = 8<!-- .jsonl."));
    page.click("[data-change=moved]");
    look("a filter");
    page.run("document.getElementById('reset').click()");
    for _ in 0..3 {
        page.click(".cell:not(.root):last-child");
        look("the tree");
    }
    page.run("document.querySelectorAll('details').forEach((d) => d.open = true)");
    look("the lists");
    assert_eq!(page.get("document.documentElement.scrollWidth <= innerWidth"), true);
}

/// The page of these rows, judged and compared with files whose names want harm as well: each image stood on another base,
/// which is named in all messages, and some are gone.
fn tell_hostile(world: &World, rows: &[Value]) -> PathBuf {
    let policy = "<img src=x onerror=window.harmed=7>.toml";
    let old = "<script>window.harmed = 8<!-- .jsonl";
    fs::write(world.path(policy), "[base]\nallow = []\nuncertain = \"error\"\n").unwrap();
    let earlier = rows.iter().zip(rows.iter().rev()).map(|(row, other)| {
        let mut row = row.clone();
        row["base"]["images"][0]["id"] = json!(fleet::id("another"));
        row["base"]["names"] = json!([format!("was {}", other["source"].as_str().unwrap())]);
        row
    });
    let gone = fleet::HOSTILE.iter().skip(2).map(|name| {
        let mut row = rows[0].clone();
        (row["image"]["id"], row["image"]["names"]) =
            (json!(fleet::id(&format!("gone {name}"))), json!([name]));
        (row["image"]["platform"], row["base"]["names"]) = (json!(format!("gone {name}")), json!([name]));
        row
    });
    fs::write(world.path(old), fleet::lines(&earlier.chain(gone).collect::<Vec<_>>())).unwrap();
    fs::write(world.path("rows.jsonl"), fleet::lines(rows)).unwrap();
    let ran = told_from(world, "rows.jsonl", &["--policy", policy, "--diff", old, "-o", "fleet.html"]);
    assert_eq!(ran.status, 1, "{}", ran.stderr);
    world.path("fleet.html")
}

/// Characters that move the cursor, change the direction or are not seen are written as escapes.
fn harmless(name: &str) -> String {
    let is_harmful =
        |c: &char| c.is_control() || matches!(c, '\u{200b}' | '\u{202e}' | '\u{2028}' | '\u{2029}');
    name.chars()
        .map(|c| if is_harmful(&c) { c.escape_default().to_string() } else { c.to_string() })
        .collect()
}

#[test]
fn without_a_script_the_figures_are_there() {
    let world = World::new();
    let file = judged(&world);
    let Some(page) = open_without_script("without_a_script_the_figures_are_there", &file) else { return };
    assert_eq!(page.texts(".tiles strong").len(), 6);
    assert_eq!(page.texts(".bars svg").len(), 22);
    assert_eq!(page.texts(".columns .value").iter().filter(|text| !text.is_empty()).count(), 12);
    assert_eq!(page.texts("noscript p").len(), 2);
    assert_eq!(page.texts("#changes .counts strong").len(), 5);
    assert_eq!(page.texts(".gone tbody tr").len(), 10);
    assert_eq!(
        (page.texts(".verdict strong"), page.texts("#policy li").len()),
        (vec!["✗ Policy broken".into()], 3)
    );
    // Who breaks it is named, as far as there is room.
    let (rows, _) = judged_rows(&world);
    let is_error = |remark: &Value| remark["level"] == "error";
    let offenders = sources(&rows, |row| row["remarks"].as_array().unwrap().iter().any(is_error));
    assert_eq!(page.texts(".offenders tbody th"), offenders[..10]);
    assert_eq!(page.text("#policy .hint"), format!("and {} more images", offenders.len() - 10));
    assert_eq!(page.texts("#first .steps li").len(), 5);
    assert!(page.text("#images").contains("layerprint report -o fleet.csv"));
    assert_eq!(page.texts("#tree, #search, #theme"), [""; 0]);
}

/// What axe, a checker of accessibility, finds in what is shown: each rule with the elements that break it.
const VIOLATIONS: &str =
    "axe.run(document, { resultTypes: ['violations'] }).then((found) => JSON.stringify(found.violations.map(
    (rule) => `${rule.id}: ${rule.help}: ${rule.nodes.map((node) => node.target.join(' ')).join(', ')}`)))";

#[test]
fn a_checker_of_accessibility_finds_nothing() {
    let test = "a_checker_of_accessibility_finds_nothing";
    let Some(axe) = std::env::var_os("LAYERPRINT_AXE") else {
        return eprintln!(
            "{test}: skipped, LAYERPRINT_AXE names no axe.min.js (of the npm package axe-core)"
        );
    };
    let axe = fs::read_to_string(axe).unwrap();
    let world = World::new();
    let Some(page) = fleet_of_300(test, &world) else { return };
    page.run(&axe);
    let check = |what: &str| {
        let found: Vec<String> = serde_json::from_str(&page.promised(VIOLATIONS)).unwrap();
        assert_eq!(found, [""; 0], "{what}");
    };
    for theme in ["light", "dark"] {
        page.prefer(theme);
        check(theme);
    }
    page.run("document.querySelector('.cell.family').click()");
    check("the tree");
    page.run("document.querySelectorAll('details').forEach((d) => d.open = true)");
    check("the lists");
    page.run("location.hash = document.querySelector('#rows tr:nth-child(9) a').hash");
    wait_for_panel(&page);
    check("a panel");
}

#[test]
#[ignore = "takes pictures for the documentation: just screenshots"]
fn pictures_are_taken() {
    let world = World::new();
    let Some(page) = open("pictures_are_taken", &judged(&world)) else { return };
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/report");
    fs::create_dir_all(&folder).unwrap();
    let take = |name: &str, of: Option<&str>| fs::write(folder.join(name), page.picture(of)).unwrap();
    page.resize((1280, 1400));
    page.prefer("light");
    take("light.png", None);
    page.prefer("dark");
    take("dark.png", None);
    page.prefer("light");
    page.run("document.querySelector('.pair:has(#changes)').style.marginBottom = '3rem'");
    take("changes.png", Some(".pair:has(#changes)"));
    page.run("document.querySelector('.cell.family').click()");
    take("tree.png", Some("section:has(#tree)"));
    page.run("document.querySelector('#search').value = 'platform python'; document.querySelector('#search').dispatchEvent(new Event('input'))");
    take("table.png", Some("#images"));
    page.resize((1280, 900));
    page.run("location.hash = document.querySelector('#rows tr:nth-child(7) a').getAttribute('href')");
    wait_for_panel(&page);
    page.run("document.activeElement.blur()");
    take("panel.png", None);
    page.run("document.querySelector('#panel').close(); scrollTo({ top: 0, behavior: 'instant' })");
    page.resize((400, 900));
    take("narrow.png", None);

    let world = squashed();
    assert_eq!(world.run(&["report", "-o", "fleet.html"]).status, 0);
    page.resize((1280, 900));
    page.go(&browser::address(&world.path("fleet.html")));
    page.wait(READY);
    take("storage.png", Some("section:has(#storage-title)"));
}
