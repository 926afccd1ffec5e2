//! Rows of a report on a fleet that is not there: names, ages and proportions as fleets have them, from a fixed seed.

use std::collections::HashSet;

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

/// The day to which the ages of these images are counted.
pub const AS_OF: &str = "2026-07-01";

const MIB: u64 = 1 << 20;

/// Repository, flavour, what it stands on, releases with the month of each since January 2023, contents, size in MiB.
type Line = (&'static str, &'static str, Option<&'static str>, &'static [(&'static str, u64)], u64, u64);

const LINES: &[Line] = &[
    (
        "debian",
        "slim",
        None,
        &[("11.9", 13), ("11.11", 20), ("12.5", 14), ("12.8", 22), ("12.11", 29), ("13.1", 33), ("13.4", 39)],
        2_300,
        74,
    ),
    (
        "ubuntu",
        "",
        None,
        &[("20.04", 8), ("22.04", 17), ("22.04.5", 24), ("24.04", 19), ("24.04.3", 32)],
        2_500,
        78,
    ),
    (
        "alpine",
        "",
        None,
        &[("3.17.3", 3), ("3.18.6", 12), ("3.19.4", 20), ("3.20.3", 21), ("3.21.5", 30), ("3.22.2", 37)],
        80,
        8,
    ),
    ("redhat/ubi9", "", None, &[("9.3", 11), ("9.4", 17), ("9.5", 23), ("9.6", 30)], 6_100, 215),
    ("distroless/static", "", None, &[("2024-06", 18), ("2025-09", 33)], 1_950, 3),
    (
        "python",
        "slim",
        Some("debian"),
        &[("3.10.14", 15), ("3.11.9", 19), ("3.12.4", 23), ("3.12.11", 31), ("3.13.7", 34)],
        3_400,
        50,
    ),
    (
        "node",
        "slim",
        Some("debian"),
        &[("18.20", 16), ("20.11", 15), ("20.19", 28), ("22.18", 31), ("22.21", 36)],
        2_700,
        130,
    ),
    ("node", "alpine", Some("alpine"), &[("18.20", 16), ("20.19", 28), ("22.21", 36)], 2_500, 122),
    ("nginx", "alpine", Some("alpine"), &[("1.25.5", 16), ("1.27.2", 22), ("1.29.1", 33)], 420, 34),
    ("redis", "alpine", Some("alpine"), &[("7.2.5", 17), ("7.4.1", 22)], 90, 22),
    ("eclipse-temurin", "jre", Some("ubuntu"), &[("17.0.11", 16), ("21.0.4", 19), ("21.0.8", 31)], 900, 172),
    ("golang", "", Some("debian"), &[("1.22.5", 19), ("1.24.6", 32)], 11_000, 590),
    ("php", "fpm", Some("debian"), &[("8.2.20", 18), ("8.3.11", 21)], 1_700, 310),
    (
        "platform/python",
        "",
        Some("python"),
        &[("2024.09", 21), ("2025.03", 27), ("2025.10", 34), ("2026.02", 38)],
        1_900,
        96,
    ),
    ("platform/jvm", "", Some("eclipse-temurin"), &[("2024.11", 23), ("2025.09", 33)], 300, 41),
    ("platform/node", "", Some("node"), &[("2025.01", 25), ("2025.11", 35)], 1_200, 38),
];
/// How much each line is used, in the order of `LINES`.
const USE: [usize; 16] = [10, 11, 7, 9, 6, 15, 12, 8, 9, 3, 7, 2, 4, 34, 22, 15];

const TEAMS: [&str; 12] = [
    "payments", "checkout", "search", "catalog", "identity", "ledger", "shipping", "mobile", "data", "fraud",
    "support", "infra",
];
const SERVICES: [&str; 14] = [
    "api",
    "worker",
    "gateway",
    "web",
    "scheduler",
    "exporter",
    "consumer",
    "admin",
    "migrations",
    "reports",
    "proxy",
    "sync",
    "notifier",
    "batch",
];

/// A stored base.
struct Base {
    name: String,
    line: usize,
    parent: Option<usize>,
    month: u64,
    contents: u64,
    bytes: u64,
}

/// Makes the rows of so many images, bases included, sorted by name.
pub fn rows(images: usize) -> Vec<Value> {
    let mut random = Random(0x5eed_1a7e_c0de_2026);
    let bases = bases();
    let mut rows: Vec<Value> = (0..bases.len()).map(|at| base_row(&bases, at)).collect();
    let lines: Vec<usize> = USE.iter().enumerate().flat_map(|(line, times)| vec![line; *times]).collect();
    let mut at = 0;
    while rows.len() < images {
        let team = random.of(&TEAMS);
        let service = random.of(&SERVICES);
        let name = match images {
            ..1_000 => format!("{team}/{service}:{}.{}.{}", 1 + random.below(4), random.below(30), at),
            _ => format!(
                "{team}-{}/{service}:{}.{}.{at}",
                random.below(90),
                1 + random.below(4),
                random.below(30)
            ),
        };
        let line = random.of(&lines);
        rows.push(app_row(&bases, line, &name, &mut random));
        at += 1;
    }
    rows.sort_by_key(|row| row["source"].as_str().unwrap().to_owned());
    remark(&mut rows);
    rows
}

/// Rows as a file of JSON lines.
pub fn lines(rows: &[Value]) -> String {
    rows.iter().map(|row| format!("{row}\n")).collect()
}

fn bases() -> Vec<Base> {
    let mut bases: Vec<Base> = Vec::new();
    for (line, (repository, flavour, on, releases, contents, mib)) in LINES.iter().enumerate() {
        for (release, month) in *releases {
            let suffix = if flavour.is_empty() { String::new() } else { format!("-{flavour}") };
            let stands = |base: &Base| {
                let (parent, parent_flavour, ..) = LINES[base.line];
                Some(parent) == *on && (parent != "node" || parent_flavour == "slim") && base.month <= *month
            };
            let parent =
                bases.iter().enumerate().filter(|(_, base)| stands(base)).max_by_key(|(_, base)| base.month);
            let (parent, under) =
                parent.map_or((None, (0, 0)), |(at, base)| (Some(at), (base.contents, base.bytes)));
            bases.push(Base {
                name: format!("{repository}:{release}{suffix}"),
                line,
                parent,
                month: *month,
                contents: contents + under.0,
                bytes: mib * MIB + under.1,
            });
        }
    }
    bases
}

fn base_row(bases: &[Base], at: usize) -> Value {
    let base = &bases[at];
    let own = Own { name: &base.name, created: created(base.month, 3), contents: 0, bytes: 0 };
    match base.parent {
        Some(parent) => {
            let under = &bases[parent];
            let own =
                Own { contents: base.contents - under.contents, bytes: base.bytes - under.bytes, ..own };
            row(bases, Some(parent), Said::ByLayers, &own)
        }
        None => row(bases, None, Said::Nothing, &Own { contents: base.contents, bytes: base.bytes, ..own }),
    }
}

fn app_row(bases: &[Base], line: usize, name: &str, random: &mut Random) -> Value {
    // Recent releases are used more than old ones.
    let releases: Vec<usize> = (0..bases.len()).filter(|at| bases[*at].line == line).collect();
    let at = random.of(&releases).max(random.of(&releases));
    let said = match random.below(100) {
        0..68 => Said::ByLayers,
        68..84 => Said::ByContent,
        84..90 => Said::Family,
        _ => Said::Nothing,
    };
    let month = (bases[at].month + random.below(8)).min(41);
    let mut own = Own {
        name,
        created: created(month, 1 + random.below(28)),
        contents: 120 + random.below(5_000),
        bytes: (2 + random.below(60) * random.below(9)) * MIB + random.below(MIB),
    };
    if matches!(said, Said::Nothing) {
        own.contents += 2_000;
        own.bytes += 80 * MIB;
        return row(bases, None, said, &own);
    }
    row(bases, Some(at), said, &own)
}

/// What is said of an image.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Said {
    ByLayers,
    ByContent,
    Family,
    Nothing,
}

/// What an image has of its own.
struct Own<'a> {
    name: &'a str,
    created: String,
    contents: u64,
    bytes: u64,
}

fn row(bases: &[Base], on: Option<usize>, said: Said, own: &Own) -> Value {
    let under = on.map_or((0, 0), |at| (bases[at].contents, bases[at].bytes));
    let kept = if said == Said::ByLayers { under } else { (under.0 * 47 / 50, under.1 * 24 / 25) };
    let (contents, bytes) = (kept.0 + own.contents, kept.1 + own.bytes);
    let id = id(own.name);
    let names: Vec<String> = on.map(|at| bases[at].name.clone()).into_iter().collect();
    let (verdict, confidence, reason) = match said {
        Said::ByLayers => {
            ("base", 1.0, "its lowest layers are exactly those of the base (chain ID)".to_owned())
        }
        Said::ByContent => ("base", 0.98, "94.0 % of the base's contents are in it".to_owned()),
        Said::Family => {
            ("family", 0.6, "what is left of it fits several of the family equally well".to_owned())
        }
        Said::Nothing => ("none", 0.0, "no stored image has enough in common with it".to_owned()),
    };
    json!({
        "source": own.name,
        "image": {
            "id": id, "names": [own.name], "platform": "linux/amd64", "created": own.created, "layers": 1 + contents % 9,
            "files": contents + contents / 20, "contents": contents, "content_bytes": bytes, "same_content_as": [],
        },
        "verdict": verdict,
        "base": on.map(|at| base(bases, at, said, kept)),
        "runner_up": on.and_then(|at| runner_up(bases, at)),
        "cover": [],
        "new": { "files": { "present": own.contents, "total": contents + contents / 20 }, "bytes": own.bytes },
        "confidence": confidence,
        "reason": reason,
        "family": on.map(|at| LINES[bases[at].line].0),
        "freshness": on.filter(|_| verdict == "base").map(|at| freshness(bases, at)),
        "made_of": made_of(bases, on, said, kept, own, names),
        "children": 0,
        "remarks": [],
    })
}

/// Says of each row what a report does.
fn remark(rows: &mut [Value]) {
    let based = rows.iter().filter(|row| row["verdict"] == "base");
    let bases: HashSet<Value> = based.map(|row| row["base"]["images"][0]["id"].clone()).collect();
    for row in rows {
        let newest = &row["freshness"]["newest"]["names"][0];
        let told = match row["verdict"].as_str().unwrap() {
            "none" => Some(("base-unknown", row["reason"].to_string())),
            "family" => Some(("base-uncertain", row["reason"].to_string())),
            _ if newest.is_null() => None,
            _ => Some(("base-outdated", format!("newer images are stored, the last is {newest}"))),
        };
        let told = told.filter(|(rule, _)| *rule == "base-outdated" || !bases.contains(&row["image"]["id"]));
        let told = told.map(
            |(rule, text)| json!({ "rule": rule, "level": "warning", "message": text.replace('"', "") }),
        );
        row["remarks"] = told.into_iter().collect();
    }
}

/// The rows of the same fleet half a year before: some images were not there, some stood on another base, some were not
/// behind, and some are gone since.
pub fn earlier(images: usize) -> Vec<Value> {
    let mut rows = rows(images);
    let mut based = rows.clone().into_iter().filter(|row| row["verdict"] == "base").step_by(7);
    let gone = GONE.map(|name| {
        let mut row = based.next().unwrap();
        (row["source"], row["image"]["names"], row["image"]["id"]) =
            (json!(name), json!([name]), json!(id(name)));
        row
    });
    let mut at = 0;
    rows.retain_mut(|row| {
        at += 1;
        if row["verdict"] == "base" && at % 9 == 0 {
            let name = format!("{}:2022", row["family"].as_str().unwrap());
            row["base"]["images"][0]["id"] = json!(id(&name));
            row["base"]["names"] = json!([name]);
            row["freshness"]["newer"] = json!(3);
        } else if at % 4 == 0 && row["freshness"]["newer"].as_u64() > Some(0) {
            row["freshness"]["newer"] = json!(0);
        }
        at % 19 != 0
    });
    rows.extend(gone);
    rows
}

/// Images that are gone.
const GONE: [&str; 13] = [
    "billing/api:0.9.1",
    "billing/api:0.9.2",
    "billing/worker:0.9.2",
    "legacy/admin:1.14.0",
    "legacy/cron:1.2.7",
    "legacy/gateway:1.0.3",
    "legacy/portal:4.4.1",
    "legacy/sync:2.0.0",
    "pilot/chat:0.1.0",
    "pilot/chat:0.2.0",
    "pilot/search:0.1.3",
    "pilot/search:0.1.4",
    "pilot/vision:0.3.0",
];

/// What a house might ask.
pub const POLICY: &str = r#"
[base]
allow_families = ["debian", "ubuntu", "alpine", "redhat/ubi9", "distroless/static"]
forbid = ["ubuntu:20.04", "debian:11.*"]
max_newer = 3
max_age_days = 900
unknown = "warning"
uncertain = "warning"

[[exempt]]
images = ["ledger/*"]
reason = "moves to another platform this year"
until = "2026-12-31"
"#;

fn base(bases: &[Base], at: usize, said: Said, kept: (u64, u64)) -> Value {
    let base = &bases[at];
    let by_layers = said == Said::ByLayers;
    let near = (said == Said::Family && at > 0).then(|| bases[at - 1].name.clone());
    let names: Vec<String> = near.into_iter().chain([base.name.clone()]).collect();
    let deleted = base.contents - kept.0;
    json!({
        "names": names,
        "images": [{ "id": id(&base.name), "platform": "linux/amd64", "created": created(base.month, 3) }],
        "evidence": if by_layers { "chain-id" } else { "content" },
        "containment": kept.0 as f64 / base.contents as f64,
        "contents": { "present": kept.0, "total": base.contents },
        "bytes": { "present": kept.1, "total": base.bytes },
        "agreement": 1.0, "agreement_bytes": 1.0,
        "files": {
            "total": base.contents, "same": kept.0, "moved": 0, "modified": 0, "deleted": deleted,
            "same_bytes": kept.1, "modified_bytes": 0, "moved_to": null,
        },
        "layers_shared": if by_layers { 1 + base.contents % 4 } else { 0 },
        "score": kept.0 as f64, "lambda": 2.0,
        "lineage": ancestors(bases, at).map(|at| json!({
            "names": [bases[at].name], "evidence": "chain-id", "containment": 1.0,
            "set_id": format!("blake3:{}", &id(&bases[at].name)[7..]),
        })).collect::<Vec<Value>>(),
    })
}

fn ancestors(bases: &[Base], at: usize) -> impl Iterator<Item = usize> {
    std::iter::successors(bases[at].parent, |at| bases[*at].parent)
}

fn runner_up(bases: &[Base], at: usize) -> Option<Value> {
    let other =
        bases.iter().enumerate().rfind(|(other, base)| *other != at && base.line == bases[at].line)?.1;
    Some(json!({
        "names": [other.name], "containment": 0.871, "score": 1034.5,
        "only_base": 214, "only_base_paths": ["usr/lib/x86_64-linux-gnu/libcrypto.so.3", "usr/lib/x86_64-linux-gnu/libssl.so.3"],
        "only_runner_up": 3, "only_runner_up_paths": ["etc/ssl/openssl.cnf"],
    }))
}

fn freshness(bases: &[Base], at: usize) -> Value {
    let newer = bases.iter().filter(|base| base.line == bases[at].line && base.month > bases[at].month);
    let newest = newer.clone().max_by_key(|base| base.month);
    json!({
        "newer": newer.count(),
        "newest": newest.map(|base| json!({ "names": [base.name], "created": created(base.month, 3) })),
    })
}

fn made_of(
    bases: &[Base],
    on: Option<usize>,
    said: Said,
    kept: (u64, u64),
    own: &Own,
    names: Vec<String>,
) -> Vec<Value> {
    let mut parts = Vec::new();
    let mut below = (0, 0);
    let mut line: Vec<usize> = on.iter().flat_map(|at| ancestors(bases, *at)).collect();
    line.reverse();
    for at in line {
        let base = &bases[at];
        let part = (base.contents - below.0, base.bytes - below.1);
        parts.push(json!({ "kind": "ancestor", "names": [base.name], "contents": part.0, "bytes": part.1 }));
        below = (base.contents, base.bytes);
    }
    if on.is_some() {
        let kind = if said == Said::Family { "relative" } else { "base" };
        let part = (kept.0.saturating_sub(below.0), kept.1.saturating_sub(below.1));
        parts.push(json!({ "kind": kind, "names": names, "contents": part.0, "bytes": part.1 }));
    }
    // Some have a tool from elsewhere, as `COPY --from` brings it.
    let tool = if own.contents.is_multiple_of(7) { (own.contents / 3, own.bytes / 3) } else { (0, 0) };
    if tool.0 > 0 {
        let names = ["golang:1.24.6"];
        parts.push(json!({ "kind": "part", "names": names, "contents": tool.0, "bytes": tool.1 }));
    }
    parts.push(
        json!({ "kind": "new", "names": [], "contents": own.contents - tool.0, "bytes": own.bytes - tool.1 }),
    );
    parts
}

fn created(month: u64, day: u64) -> String {
    format!("{}-{:02}-{day:02}T09:30:00Z", 2023 + month / 12, 1 + month % 12)
}

/// The ID of the image with a name.
pub fn id(name: &str) -> String {
    let digits: String = Sha256::digest(name).iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{digits}")
}

/// SplitMix64: the same numbers everywhere.
struct Random(u64);

impl Random {
    fn of<T: Copy>(&mut self, all: &[T]) -> T {
        all[usize::try_from(self.below(all.len() as u64)).unwrap()]
    }

    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % end
    }
}

/// Names that want to be more than names.
pub const HOSTILE: [&str; 12] = [
    "<script>window.harmed = 1</script>",
    "</script><script>window.harmed = 2</script>",
    "\" onmouseover=\"window.harmed = 3",
    "<img src=x onerror='window.harmed = 4'>",
    "<!-- <script>",
    "' onfocus='window.harmed = 5' autofocus='",
    "javascript:window.harmed=6",
    "&lt;b&gt;&amp;",
    "a\u{202e}gpj\u{200b}.exe",
    "\u{1b}[2J\u{0}\nb",
    "{{ 7 * 7 }}${7 * 7}",
    "]]>\u{2028}\u{2029}//",
];

/// A fleet in which every text from outside is hostile. The last image has a name of 10,000 characters.
pub fn hostile() -> Vec<Value> {
    let mut names: Vec<String> = HOSTILE.iter().map(|name| (*name).to_owned()).collect();
    names.push("x".repeat(10_000));
    let all = || names.iter().cloned();
    let bases = bases();
    let row = |(at, name): (usize, &String)| {
        let said = [Said::ByLayers, Said::ByContent, Said::Family][at % 3];
        let on = if at == 0 { 0 } else { bases.len() - 1 };
        let own = Own { name, created: name.clone(), contents: 10, bytes: 10 };
        let mut row = row(&bases, Some(on), said, &own);
        let next = [names[(at + 1) % names.len()].clone()];
        row["image"]["platform"] = json!(name);
        row["image"]["same_content_as"] = all().collect();
        row["reason"] = json!(name);
        row["family"] = json!(next[0]);
        row["base"]["names"] = json!(next);
        row["base"]["images"][0]["created"] = json!(name);
        row["base"]["files"]["moved_to"] = json!(name);
        let set_id = format!("blake3:{}", &id(name)[7..]);
        row["base"]["lineage"] = all()
            .map(|name| json!({ "names": [name], "evidence": "content", "containment": 0.5, "set_id": set_id }))
            .collect();
        row["runner_up"]["names"] = all().collect();
        row["runner_up"]["only_base_paths"] = all().collect();
        row["freshness"] = json!({ "newer": 1, "newest": { "names": next, "created": name } });
        row["cover"] = json!([{
            "names": next, "files": 1, "contents": 1, "bytes": 1, "share": 0.5, "from": name, "to": next[0],
        }]);
        for part in row["made_of"].as_array_mut().unwrap() {
            part["names"] = json!(next);
        }
        row
    };
    names.iter().enumerate().map(row).collect()
}
