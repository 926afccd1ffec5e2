//! What reports write, opened by others: a CSV parser, the schemas of SARIF and CycloneDX; and names that mean harm in each of them.

use crate::support;

use std::fs;
use std::path::Path;

use crate::support::{World, fleet};
use serde_json::{Value, json};

/// A name that is code in CSV, Markdown, HTML, URIs and terminals.
const HOSTILE: &str = "=cmd|' /C calc'!A0`|<img src=x onerror=alert(1)>\n\u{1b}[2J@all [a](http://b.example) {0} \"q\",;../../x:1";

fn hostile_fleet() -> World {
    let world = fleet();
    let image = support::base().named(HOSTILE).layer(support::files("srv/hostile", 2));
    world.save("hostile.tar", &[image]);
    assert_eq!(world.run(&["ingest", "hostile.tar"]).status, 0);
    world
}

fn schema(name: &str) -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/schemas").join(name);
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

fn written(world: &World, file: &str) -> Value {
    serde_json::from_slice(&fs::read(world.path(file)).unwrap()).unwrap()
}

fn errors(validator: &jsonschema::Validator, document: &Value) -> Vec<String> {
    let told = |error: jsonschema::ValidationError| format!("{}: {error}", error.instance_path());
    validator.iter_errors(document).map(told).collect()
}

#[test]
fn all_formats_come_from_one_run_and_are_the_same_for_any_number_of_threads() {
    let world = hostile_fleet();
    let files = ["a.txt", "a.jsonl", "a.csv", "a.md", "a.sarif", "a.cdx.json"];
    let write = |jobs: &str| {
        let mut args = vec!["report", "--as-of", "2026-07-01", "--jobs", jobs];
        files.iter().for_each(|file| args.extend(["-o", file]));
        assert_eq!(world.run(&args).status, 0);
        files.map(|file| fs::read(world.path(file)).unwrap())
    };
    let first = write("1");
    assert!(first == write("4"));
    for (file, bytes) in files.iter().zip(&first) {
        let text = std::str::from_utf8(bytes).unwrap();
        assert!(!text.contains('\u{1b}'), "{file} moves no cursor");
    }
}

#[test]
fn csv_is_read_back_by_a_parser_and_no_cell_is_a_formula() {
    let world = hostile_fleet();
    let csv = world.run(&["report", "--format", "csv"]).stdout;
    let mut reader = csv::Reader::from_reader(csv.as_bytes());
    let header = reader.headers().unwrap().clone();
    let records: Vec<csv::StringRecord> = reader.records().collect::<Result<_, _>>().unwrap();
    let rows = world.json(&["report", "--json"]);
    assert_eq!(records.len(), rows.len());
    let column = |name: &str| header.iter().position(|title| title == name).unwrap();
    let documented = include_str!("../docs/report.md");
    let is_told = |name: &&str| documented.contains(&format!("`{name}`"));
    assert_eq!(header.iter().filter(|name| !is_told(name)).collect::<Vec<_>>(), [""; 0]);
    for (record, row) in records.iter().zip(&rows) {
        let source = row["source"].as_str().unwrap();
        let escaped = || source.replace('\n', "\\n").replace('\u{1b}', "\\u{1b}");
        let shown = if source == HOSTILE { format!("'{}", escaped()) } else { source.to_owned() };
        assert_eq!(record[column("image")], shown);
        assert_eq!(record[column("verdict")], *row["verdict"].as_str().unwrap());
        assert_eq!(record[column("files")], row["image"]["files"].to_string());
        let harmless = |cell: &str| !cell.starts_with(['=', '+', '-', '@', '\t', '\r']);
        assert!(record.iter().all(harmless), "{record:?}");
    }
    assert!(rows.iter().any(|row| row["source"] == HOSTILE));
}

#[test]
fn sarif_is_valid_and_has_what_code_hosts_ask_for() {
    let world = hostile_fleet();
    fs::write(world.path("policy.toml"), "[base]\nallow = [\"base:2\"]\n").unwrap();
    let args = ["report", "--as-of", "2026-07-01", "--policy", "policy.toml", "-o", "a.sarif", "--quiet"];
    assert_eq!(world.run(&args).status, 1);
    let sarif = written(&world, "a.sarif");
    let validator = jsonschema::validator_for(&schema("sarif-2.1.0.schema.json")).unwrap();
    assert_eq!(errors(&validator, &sarif), [""; 0]);
    let mut broken = sarif.clone();
    broken["runs"][0]["results"][0]["level"] = json!("fatal");
    assert!(!validator.is_valid(&broken), "the schema is asked");

    let run = &sarif["runs"][0];
    let rules = run["tool"]["driver"]["rules"].as_array().unwrap();
    let results = run["results"].as_array().unwrap();
    for result in results {
        let index = usize::try_from(result["ruleIndex"].as_u64().unwrap()).unwrap();
        assert_eq!(rules[index]["id"], result["ruleId"]);
        let place = &result["locations"][0]["physicalLocation"];
        assert_eq!(place["region"]["startLine"], 1);
        let uri = place["artifactLocation"]["uri"].as_str().unwrap();
        let is_uri = |c: char| c.is_ascii_alphanumeric() || "-._~%/".contains(c);
        assert!(uri.chars().all(is_uri) && !uri.starts_with('/') && !uri.contains("/../"), "{uri}");
    }
    let told = |result: &Value| {
        let [rule, level, text] = [&result["ruleId"], &result["level"], &result["message"]["text"]]
            .map(|text| text.as_str().unwrap());
        format!("{rule} {level} {}", text.chars().take(60).collect::<String>())
    };
    let escaped = "=cmd|' /C calc'!A0`|<img src=x onerror=alert(1)>\\n\\u{{1b}}[2J";
    let hostile = |rest: &str| format!("{rest} {}", escaped.chars().take(60).collect::<String>());
    let expected = [
        hostile("base-not-allowed error"),
        "base-not-allowed error app:1: base:1 is no base that is allowed".into(),
        "base-unknown error base:2: ".into(),
        "base-not-allowed error mid:1: base:1 is no base that is allowed".into(),
        "base-unknown error other:1: ".into(),
        "base-not-allowed error svc:1: mid:1 is no base that is allowed, nor is anything th".into(),
        hostile("base-outdated warning"),
        "base-outdated warning app:1: 1 newer image than base:1 is stored".into(),
        "base-outdated warning mid:1: 1 newer image than base:1 is stored".into(),
    ];
    assert_eq!(results.len(), expected.len(), "{results:#?}");
    for (result, expected) in results.iter().zip(&expected) {
        assert!(told(result).starts_with(expected), "{}\n{expected}", told(result));
    }
    // No link but ours, and no placeholder.
    let text = results[0]["message"]["text"].as_str().unwrap();
    assert!(text.contains("[a] (http") && text.contains("{{0}}"), "{text}");

    // Another day finds the same alerts, under the same fingerprints; each once.
    let later = ["report", "--as-of", "2026-08-01", "--policy", "policy.toml", "-o", "b.sarif", "--quiet"];
    assert_eq!(world.run(&later).status, 1);
    let prints = |sarif: &Value| -> Vec<String> {
        let results = sarif["runs"][0]["results"].as_array().unwrap();
        results.iter().map(|result| result["partialFingerprints"].to_string()).collect()
    };
    let first = prints(&sarif);
    assert_eq!(prints(&written(&world, "b.sarif")), first);
    let distinct: std::collections::BTreeSet<&String> = first.iter().collect();
    assert_eq!(distinct.len(), first.len());
}

#[test]
fn cyclonedx_is_valid_and_says_who_descends_from_whom() {
    let world = hostile_fleet();
    assert_eq!(world.run(&["report", "-o", "a.cdx.json"]).status, 0);
    let bom = written(&world, "a.cdx.json");
    let registry = jsonschema::Registry::new()
        .add("http://cyclonedx.org/schema/jsf-0.82.schema.json", schema("jsf-0.82.schema.json"))
        .unwrap()
        .add("http://cyclonedx.org/schema/spdx.schema.json", schema("spdx.schema.json"))
        .unwrap()
        .prepare()
        .unwrap();
    let schema = schema("cyclonedx-1.6.schema.json");
    let validator = jsonschema::options().with_registry(&registry).build(&schema).unwrap();
    assert_eq!(errors(&validator, &bom), [""; 0]);
    let mut broken = bom.clone();
    broken["components"][0]["type"] = json!("image");
    assert!(!validator.is_valid(&broken), "the schema is asked");

    let components = bom["components"].as_array().unwrap();
    let of = |name: &str| components.iter().find(|component| component["name"] == name).unwrap();
    let service = of("svc");
    let id = service["bom-ref"].as_str().unwrap();
    assert_eq!(service["purl"], format!("pkg:docker/svc@{}", id.replace(':', "%3A")));
    assert_eq!((&service["type"], &service["version"]), (&json!("container"), &json!("1")));
    let names = |ancestors: &Value| -> Vec<String> {
        let ancestors = ancestors.as_array().unwrap();
        ancestors.iter().map(|one| one["purl"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(names(&service["pedigree"]["ancestors"]), ["pkg:docker/mid@1", "pkg:docker/base@1"]);
    assert_eq!(of("other").get("pedigree"), None);
    let dependency = |name: &str| {
        let id = &of(name)["bom-ref"];
        let all = bom["dependencies"].as_array().unwrap();
        all.iter().find(|dependency| dependency["ref"] == *id).unwrap()["dependsOn"].clone()
    };
    assert_eq!(dependency("svc"), json!([of("mid")["bom-ref"]]));
    assert_eq!(dependency("other"), json!([]));
    // A hostile name makes no package URL.
    let hostile = components.iter().find(|one| one["name"].as_str().unwrap().starts_with("=cmd")).unwrap();
    assert_eq!(hostile.get("purl"), None);

    // A part of the fleet has another serial number, and names no base that is not told.
    assert_eq!(world.run(&["report", "svc", "-o", "b.cdx.json"]).status, 0);
    let part = written(&world, "b.cdx.json");
    assert_ne!(part["serialNumber"], bom["serialNumber"]);
    assert_eq!(part["dependencies"], json!([{"ref": id, "dependsOn": []}]));
}

#[test]
fn markdown_says_first_what_to_look_at_and_no_name_leaves_its_cell() {
    let world = hostile_fleet();
    fs::write(world.path("policy.toml"), "[base]\nunknown = \"ignore\"\nforbid = [\"base:1\"]\n").unwrap();
    let args = ["report", "--as-of", "2026-07-01", "--policy", "policy.toml", "--format", "markdown"];
    let page = world.run(&args);
    let mut told = page.stderr.lines();
    assert_eq!(
        (page.status, told.next()),
        (1, Some("policy policy.toml: 5 of 7 images break it; as of 2026-07-01 (--as-of)"))
    );
    let offences: Vec<&str> = told.collect();
    assert_eq!(offences.len(), 5);
    assert_eq!(
        offences[1..],
        [
            "  app:1  base-forbidden  base:1: base:1 is forbidden",
            "  base:1  base-forbidden  is itself forbidden base base:1: base:1 is forbidden",
            "  mid:1  base-forbidden  base:1: base:1 is forbidden",
            "  svc:1  base-forbidden  mid:1 is built on base:1: base:1 is forbidden",
        ]
    );
    let hostile = "`=cmd\\u{7c}' /C calc'!A0\\u{60}\\u{7c}<img src=x onerror=alert(1)>\\n\\u{1b}[2J@all [a](http://b.example) {0} \"q\",;../../x:1`";
    let (offenders, rest) = page.stdout.split_once("\n### Remarks\n").unwrap();
    let expected = format!(
        "## What 7 images are built on\n\n7 images, 2.93 MiB, as of 2026-07-01.\n\n\
         **Not met**: `policy policy.toml: 5 of 7 images break it; as of 2026-07-01 (--as-of)`\n\n\
         | Image | Rule | Why |\n| --- | --- | --- |\n\
         | {hostile} | base-forbidden | `base:1: base:1 is forbidden` |\n\
         | `app:1` | base-forbidden | `base:1: base:1 is forbidden` |\n\
         | `base:1` | base-forbidden | `is itself forbidden base base:1: base:1 is forbidden` |\n\
         | `mid:1` | base-forbidden | `base:1: base:1 is forbidden` |\n\
         | `svc:1` | base-forbidden | `mid:1 is built on base:1: base:1 is forbidden` |\n"
    );
    let size = offenders.split(", ").nth(1).unwrap();
    assert_eq!(offenders, expected.replace("2.93 MiB", size));
    let (_, images) = rest.split_once("<summary>All images</summary>\n").unwrap();
    assert_eq!(images.lines().filter(|line| line.starts_with("| `")).count(), 7);
    for line in images.lines().filter(|line| line.starts_with('|')) {
        assert_eq!(line.matches('|').count(), 7, "{line}");
    }
}

#[test]
fn endings_choose_formats_and_unknown_ones_are_refused() {
    let world = fleet();
    let ran = world.run(&["report", "-o", "a.xlsx"]);
    assert_eq!(ran.status, 2);
    assert!(ran.stderr.starts_with("error: a.xlsx: no format ends like this"), "{}", ran.stderr);
    assert_eq!(world.run(&["report", "-o", "a.sarif.json"]).status, 0);
    assert_eq!(written(&world, "a.sarif.json")["version"], "2.1.0");
}
