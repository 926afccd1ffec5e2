//! The results as Markdown tables: ratios, and the seconds that they are ratios of.

use std::fmt::Write as _;
use std::fs;

use super::limit::Limit;
use super::measure::Measured;
use super::process::Usage;
use super::profile::{PARTS, Profile, STORE};
use super::sets::Set;
use super::tools::Decompressor;

/// What is asked of each set: the CPU time beside the limit.
fn aim(set: Set) -> Option<f64> {
    match set {
        Set::Tiny => Some(1.5),
        Set::Scale | Set::Huge => None,
        _ => Some(1.15),
    }
}

/// Returns the CPU time of layerprint beside that of the parts alone.
pub fn limit(measured: &[Measured]) -> String {
    let head = [
        "set",
        "layers",
        "files",
        "blob MB",
        "tar MB",
        "decompress",
        "SHA-256 blob",
        "SHA-256 tar",
        "BLAKE3",
        "limit, CPU s",
        "one core / limit",
        "two cores / limit",
        "aim",
        "two cores / limit with the fastest decompressor",
    ];
    let row = |measured: &Measured| {
        let limit = &median_limit(&measured.limits)?;
        let part = |part: fn(&Limit) -> f64| format!("{:.0} %", part(limit) / limit.sum_s() * 100.0);
        let ratio = |usages: &[Usage], limit_s| times(median(usages, Usage::cpu_s) / limit_s);
        let faster = measured.decompressors.iter().filter(|program| program.median_s() < limit.decompress_s);
        let fastest = faster.min_by(|a, b| a.median_s().total_cmp(&b.median_s()));
        let with = |program: &Decompressor| {
            let limit_s = limit.sum_s() - limit.decompress_s + program.median_s();
            format!("{} ({})", ratio(&measured.two_cores, limit_s), program.name)
        };
        Some([
            measured.set.name(),
            thousands(limit.layers),
            thousands(limit.files),
            thousands(limit.blob_bytes / 1_000_000),
            thousands(limit.tar_bytes / 1_000_000),
            part(|limit| limit.decompress_s),
            part(|limit| limit.sha256_blob_s),
            part(|limit| limit.sha256_tar_s),
            part(|limit| limit.blake3_s),
            significant(limit.sum_s()),
            ratio(&measured.one_core, limit.sum_s()),
            ratio(&measured.two_cores, limit.sum_s()),
            aim(measured.set).map(times).unwrap_or_default(),
            fastest.map(with).unwrap_or_default(),
        ])
    };
    let rows: Vec<_> = measured.iter().filter_map(row).collect();
    section("CPU time beside the limit", &head, &rows)
}

/// Returns what other programs take to decompress the same layers.
pub fn decompressors(measured: &[Measured]) -> String {
    let head = ["set", "program", "user s", "tar MB/s", "time / that of the one in use"];
    let mut rows = Vec::new();
    for Measured { set, decompressors, limits, .. } in measured {
        let Some(limit) = median_limit(limits) else { continue };
        for program in decompressors {
            let seconds = program.median_s();
            rows.push([
                set.name(),
                program.name.clone(),
                significant(seconds),
                thousands(whole(limit.tar_megabytes() / seconds)),
                times(seconds / limit.decompress_s),
            ]);
        }
    }
    section("Decompressors", &head, &rows)
}

/// Returns what a second core is good for.
pub fn cores(measured: &[Measured]) -> String {
    let head = ["set", "one core, wall s", "two cores, wall s", "one / two", "aim", "two cores: tar MB/s"];
    let row = |measured: &Measured| {
        let (one, two) = (median(&measured.one_core, wall), median(&measured.two_cores, wall));
        let speed = median_limit(&measured.limits).map(|limit| limit.tar_megabytes() / two);
        [
            measured.set.name(),
            significant(one),
            significant(two),
            times(one / two),
            match measured.set {
                Set::Many => times(1.9),
                Set::Gzip => times(1.5),
                _ => String::new(),
            },
            speed.map(|speed| thousands(whole(speed))).unwrap_or_default(),
        ]
    };
    section("Two cores", &head, &measured.iter().map(row).collect::<Vec<_>>())
}

/// Returns what a run costs that finds nothing new.
pub fn again(measured: &[Measured]) -> String {
    let head = ["set", "CPU s", "of the first", "wall s", "of the first", "aim"];
    let row = |Measured { set, two_cores, again, .. }: &Measured| {
        let of =
            |part: fn(&Usage) -> f64| (median(again, part), median(again, part) / median(two_cores, part));
        let ((cpu, cpu_share), (wall, wall_share)) = (of(Usage::cpu_s), of(wall));
        [
            set.name(),
            significant(cpu),
            per_cent(cpu_share),
            significant(wall),
            per_cent(wall_share),
            "1 %".to_owned(),
        ]
    };
    section("A second run over the same", &head, &measured.iter().map(row).collect::<Vec<_>>())
}

/// Returns the most memory that any round took.
pub fn memory(measured: &[Measured]) -> String {
    let head = ["set", "one core, peak MiB", "two cores, peak MiB", "allowed with two"];
    let row = |Measured { set, one_core, two_cores, .. }: &Measured| {
        let peak = |usages: &[Usage]| usages.iter().map(|usage| usage.peak_bytes >> 20).max().unwrap_or(0);
        [set.name(), thousands(peak(one_core)), thousands(peak(two_cores)), thousands(256 + 2 * 32)]
    };
    section("Peak memory", &head, &measured.iter().map(row).collect::<Vec<_>>())
}

/// Returns what the same takes with other programs.
pub fn by_hand(measured: &[Measured]) -> String {
    let head =
        ["set", "", "CPU s", "wall s", "peak MiB", "CPU / layerprint's", "wall / layerprint's on two cores"];
    let mut rows = Vec::new();
    for Measured { set, two_cores, by_hand, .. } in measured {
        let own = [("layerprint".to_owned(), two_cores)];
        let others = by_hand.iter().map(|way| (way.name.clone(), &way.usages));
        for (name, usages) in own.into_iter().chain(others) {
            rows.push([
                set.name(),
                name,
                significant(median(usages, Usage::cpu_s)),
                significant(median(usages, wall)),
                thousands(usages.iter().map(|usage| usage.peak_bytes >> 20).max().unwrap_or(0)),
                times(median(usages, Usage::cpu_s) / median(two_cores, Usage::cpu_s)),
                times(median(usages, wall) / median(two_cores, wall)),
            ]);
        }
    }
    let aims = "Aims: 2.5 times less CPU than streaming Python, 8 times less wall time than `sha256sum`, `tar -x`, `b3sum`.\n";
    format!("{}\n{aims}", section("By hand", &head, &rows))
}

/// Returns where the CPU time goes.
pub fn profiles(measured: &[Measured]) -> String {
    let parts: [&str; PARTS.len()] = std::array::from_fn(|at| PARTS[at].0);
    let mut head = vec!["set", "samples", STORE];
    head.extend(parts);
    head.push("other, unknown");
    let head: [&str; PARTS.len() + 4] = head.try_into().expect("as long as it says");
    let row = |profile: &Profile| {
        let share = |at: usize| per_cent(profile.share(head[at]));
        std::array::from_fn(|at| match at {
            0 => profile.set.name(),
            1 => thousands(profile.samples),
            _ => share(at),
        })
    };
    let rows: Vec<_> = measured.iter().filter_map(|measured| measured.profile.as_ref()).map(row).collect();
    section("Where CPU time goes (aim on `scale`: less than 10 % in the store)", &head, &rows)
}

fn section<const N: usize>(title: &str, head: &[&str; N], rows: &[[String; N]]) -> String {
    match rows {
        [] => String::new(),
        rows => format!("### {title}\n\n{}", table(&head.map(str::to_owned), rows)),
    }
}

fn wall(usage: &Usage) -> f64 {
    usage.wall_s
}

/// Returns the limit of the round whose sum is the median.
fn median_limit(limits: &[Limit]) -> Option<Limit> {
    let mut limits = limits.to_vec();
    limits.sort_by(|one, other| one.sum_s().total_cmp(&other.sum_s()));
    limits.get((limits.len().max(1) - 1) / 2).copied()
}

fn median(usages: &[Usage], of: impl Fn(&Usage) -> f64) -> f64 {
    let mut figures: Vec<f64> = usages.iter().map(of).collect();
    figures.sort_by(f64::total_cmp);
    figures.get((figures.len().max(1) - 1) / 2).copied().unwrap_or(f64::NAN)
}

/// Returns what was measured on, and how to do it again.
pub fn machine(arguments: &str) -> String {
    let field = |path: &str, name: &str| {
        let text = fs::read_to_string(path).unwrap_or_default();
        let line = text.lines().find(|line| line.starts_with(name)).map(str::to_owned);
        line.and_then(|line| Some(line.split_once(':')?.1.trim().to_owned())).unwrap_or_default()
    };
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default().trim().to_owned();
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let (model, memory) = (field("/proc/cpuinfo", "model name"), field("/proc/meminfo", "MemTotal"));
    let kernel = read("/proc/sys/kernel/osrelease");
    let load = read("/proc/loadavg");
    let load = load.split(' ').next().unwrap_or_default();
    format!(
        "Machine: {cores} cores of {model}, {memory} memory, Linux {kernel}, load at the start {load}. Command: `cargo bench --bench ingest -- {arguments}`\n"
    )
}

fn table<const N: usize>(head: &[String; N], rows: &[[String; N]]) -> String {
    let width = |column: usize| {
        rows.iter().chain([head]).map(|row| row[column].chars().count()).max().unwrap_or(0).max(2)
    };
    let widths: [usize; N] = std::array::from_fn(width);
    let is_text = |column: usize| {
        rows.iter().any(|row| row[column].starts_with(|first: char| first.is_ascii_alphabetic()))
    };
    let line = |row: &[String; N]| {
        let cell = |(column, cell): (usize, &String)| match is_text(column) {
            true => format!(" {cell:<width$} |", width = widths[column]),
            false => format!(" {cell:>width$} |", width = widths[column]),
        };
        format!("|{}\n", row.iter().enumerate().map(cell).collect::<String>())
    };
    let mut text = line(head);
    text.push('|');
    for (column, width) in widths.iter().enumerate() {
        let _ = write!(text, "{}{}|", "-".repeat(width + 1), if is_text(column) { "-" } else { ":" });
    }
    text.push('\n');
    rows.iter().for_each(|row| text += &line(row));
    text
}

fn times(ratio: f64) -> String {
    format!("{ratio:.2}")
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a speed, shown without decimals"
)]
fn whole(number: f64) -> u64 {
    number as u64
}

fn per_cent(share: f64) -> String {
    format!("{:.1} %", share * 100.0)
}

/// Three digits that mean something.
fn significant(number: f64) -> String {
    let decimals = match number {
        number if number >= 100.0 => 0,
        number if number >= 10.0 => 1,
        number if number >= 1.0 => 2,
        _ => 3,
    };
    format!("{number:.decimals$}")
}

fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let groups = digits.as_bytes().rchunks(3).rev().map(String::from_utf8_lossy);
    groups.collect::<Vec<_>>().join(",")
}
