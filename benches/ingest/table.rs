//! The results as Markdown tables: ratios, and the seconds that they are ratios of.

use std::fmt::Write as _;
use std::fs;

use super::limit::Limit;
use super::measure::Measured;
use super::process::Usage;
use super::sets::Set;

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
        "limit CPU s",
        "one core / limit",
        "two cores / limit",
        "aim",
    ];
    let row = |measured: &Measured| {
        let limit = &median_limit(measured)?;
        let part = |part: fn(&Limit) -> f64| format!("{:.0} %", part(limit) / limit.sum_s() * 100.0);
        let ratio = |usages: &[Usage]| times(median(usages, Usage::cpu_s) / limit.sum_s());
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
            ratio(&measured.one_core),
            ratio(&measured.two_cores),
            aim(measured.set).map(times).unwrap_or_default(),
        ])
    };
    let rows: Vec<_> = measured.iter().filter_map(row).collect();
    format!("### CPU time beside the limit\n\n{}", table(&head.map(str::to_owned), &rows))
}

/// Returns what the runs took.
pub fn runs(measured: &[Measured]) -> String {
    let head = [
        "set",
        "wall s, one core",
        "wall s, two cores",
        "one / two",
        "user s",
        "system s",
        "second run / first, CPU",
        "wall",
        "peak MiB, one core",
        "two cores",
    ];
    let row = |measured: &Measured| {
        let Measured { one_core, two_cores, again, .. } = measured;
        let wall = |usages: &[Usage]| median(usages, |usage| usage.wall_s);
        [
            measured.set.name(),
            significant(wall(one_core)),
            significant(wall(two_cores)),
            times(wall(one_core) / wall(two_cores)),
            significant(median(two_cores, |usage| usage.user_s)),
            significant(median(two_cores, |usage| usage.system_s)),
            per_cent(median(again, Usage::cpu_s) / median(two_cores, Usage::cpu_s)),
            per_cent(wall(again) / wall(two_cores)),
            peak_mebibytes(one_core),
            peak_mebibytes(two_cores),
        ]
    };
    let rows: Vec<_> = measured.iter().map(row).collect();
    format!("### Cores, a second run, memory\n\n{}", table(&head.map(str::to_owned), &rows))
}

/// Returns the limit of the round whose sum is the median.
pub fn median_limit(measured: &Measured) -> Option<Limit> {
    let mut limits = measured.limits.clone();
    limits.sort_by(|one, other| one.sum_s().total_cmp(&other.sum_s()));
    limits.get((limits.len().max(1) - 1) / 2).copied()
}

pub fn median(usages: &[Usage], of: impl Fn(&Usage) -> f64) -> f64 {
    let mut figures: Vec<f64> = usages.iter().map(of).collect();
    figures.sort_by(f64::total_cmp);
    figures.get((figures.len().max(1) - 1) / 2).copied().unwrap_or(f64::NAN)
}

fn peak_mebibytes(usages: &[Usage]) -> String {
    let peak = usages.iter().map(|usage| usage.peak_bytes).max().unwrap_or(0);
    thousands(peak >> 20)
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

pub fn table<const N: usize>(head: &[String; N], rows: &[[String; N]]) -> String {
    let width = |column: usize| {
        rows.iter().chain([head]).map(|row| row[column].chars().count()).max().unwrap_or(0).max(2)
    };
    let widths: [usize; N] = std::array::from_fn(width);
    let line = |row: &[String; N]| {
        let cell = |(column, cell): (usize, &String)| match column {
            0 => format!(" {cell:<width$} |", width = widths[column]),
            _ => format!(" {cell:>width$} |", width = widths[column]),
        };
        format!("|{}\n", row.iter().enumerate().map(cell).collect::<String>())
    };
    let mut text = line(head);
    text.push('|');
    for (column, width) in widths.iter().enumerate() {
        let _ = write!(text, "{}{}|", "-".repeat(width + 1), if column == 0 { "-" } else { ":" });
    }
    text.push('\n');
    rows.iter().for_each(|row| text += &line(row));
    text
}

pub fn times(ratio: f64) -> String {
    format!("{ratio:.2}")
}

pub fn per_cent(share: f64) -> String {
    format!("{:.1} %", share * 100.0)
}

/// Three digits that mean something.
pub fn significant(number: f64) -> String {
    let decimals = match number {
        number if number >= 100.0 => 0,
        number if number >= 10.0 => 1,
        number if number >= 1.0 => 2,
        _ => 3,
    };
    format!("{number:.decimals$}")
}

pub fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let groups = digits.as_bytes().rchunks(3).rev().map(String::from_utf8_lossy);
    groups.collect::<Vec<_>>().join(",")
}
