//! Names and paths that compress as real ones do.

use super::random::hash;

const STEMS: [&str; 96] = [
    "abstract",
    "access",
    "account",
    "adapter",
    "admin",
    "api",
    "archive",
    "async",
    "auth",
    "backend",
    "base",
    "batch",
    "buffer",
    "build",
    "cache",
    "channel",
    "charset",
    "check",
    "cipher",
    "client",
    "codec",
    "command",
    "common",
    "compat",
    "config",
    "connection",
    "context",
    "control",
    "convert",
    "cookie",
    "core",
    "crypto",
    "data",
    "debug",
    "decode",
    "default",
    "device",
    "dialog",
    "diff",
    "dispatch",
    "driver",
    "encode",
    "engine",
    "error",
    "event",
    "export",
    "factory",
    "field",
    "filter",
    "format",
    "frame",
    "graph",
    "group",
    "handler",
    "header",
    "helper",
    "history",
    "image",
    "import",
    "index",
    "input",
    "json",
    "kernel",
    "layout",
    "loader",
    "local",
    "log",
    "manager",
    "mapper",
    "message",
    "meta",
    "model",
    "module",
    "network",
    "object",
    "option",
    "output",
    "parser",
    "path",
    "plugin",
    "policy",
    "pool",
    "proxy",
    "query",
    "queue",
    "reader",
    "record",
    "render",
    "report",
    "request",
    "schema",
    "session",
    "socket",
    "stream",
    "table",
    "writer",
];
const SYLLABLES: [&str; 40] = [
    "al", "ar", "bo", "ca", "cer", "co", "da", "del", "do", "el", "fa", "fi", "gra", "in", "ja", "ka", "lo",
    "lu", "ma", "mi", "na", "net", "no", "or", "pa", "per", "po", "py", "ra", "ro", "sa", "ser", "sys", "ta",
    "ti", "tor", "un", "ver", "xi", "zo",
];
const LANGUAGES: [&str; 24] = [
    "ar", "bg", "ca", "cs", "da", "de", "el", "es", "fi", "fr", "hu", "id", "it", "ja", "ko", "nb", "nl",
    "pl", "pt_BR", "ru", "sv", "tr", "uk", "zh_CN",
];

/// Returns the item of a list that belongs to a number.
pub fn pick<T: Copy>(list: &[T], number: u64) -> T {
    let index = number % list.len() as u64;
    list[usize::try_from(index).expect("less than the length of the list")]
}

/// Returns the name of a package, like `libcoserta` or `pyrado`.
pub fn package(number: u64) -> String {
    let syllables = 2 + number % 3;
    (0..syllables).map(|place| pick(&SYLLABLES, hash(&[number, place]) >> 7)).collect()
}

/// Returns the stem of a file name, like `reader` or `cache_policy`.
pub fn stem(number: u64) -> String {
    match number % 3 {
        0 => pick(&STEMS, number >> 8).to_owned(),
        1 => format!("{}_{}", pick(&STEMS, number >> 8), pick(&STEMS, number >> 16)),
        _ => format!("{}{}", pick(&STEMS, number >> 8), (number >> 16) % 12),
    }
}

/// Returns a folder below a package's own: mostly none, sometimes one or two deep.
pub fn folder(number: u64) -> String {
    match number % 8 {
        0..3 => String::new(),
        3..7 => format!("{}/", pick(&STEMS, (number >> 8) % 12)),
        _ => format!("{}/{}/", pick(&STEMS, (number >> 8) % 12), pick(&STEMS, (number >> 16) % 12)),
    }
}

pub fn language(number: u64) -> &'static str {
    pick(&LANGUAGES, number)
}
