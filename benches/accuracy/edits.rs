//! What people do to images after the base went in, with random parameters, at the level of fingerprints.
//!
//! Every edit returns false if there was nothing to do it to; then it is tried on another image. The edits know how a Linux
//! file system is laid out, and no file of the corpus by name.

use std::collections::BTreeMap;

use layerprint_store::{Content, Entry, EntryKind};

use crate::work::Work;

/// Folders that are removed to make images small.
const DISPENSABLE: [&[u8]; 13] = [
    b"usr/share/doc/",
    b"usr/share/man/",
    b"usr/share/info/",
    b"usr/share/locale/",
    b"usr/share/i18n/",
    b"usr/share/zoneinfo/",
    b"usr/share/lintian/",
    b"usr/share/bash-completion/",
    b"usr/share/help/",
    b"usr/include/",
    b"var/lib/apt/lists/",
    b"var/cache/",
    b"var/log/",
];

/// Files that are made on the machine that builds, and differ from build to build.
pub fn is_generated(path: &[u8]) -> bool {
    const FOLDERS: [&[u8]; 4] = [b"var/log/", b"var/cache/", b"var/lib/apt/lists/", b"tmp/"];
    const FILES: [&[u8]; 6] =
        [b"etc/ld.so.cache", b"etc/machine-id", b"etc/shadow", b"etc/shadow-", b"etc/group-", b"etc/passwd-"];
    FOLDERS.iter().any(|folder| path.starts_with(folder)) || FILES.contains(&path) || path.ends_with(b".pyc")
}

fn is_documentation(path: &[u8]) -> bool {
    DISPENSABLE[..3].iter().any(|folder| path.starts_with(folder))
}

fn file_name(path: &[u8]) -> &[u8] {
    path.rsplit(|byte| *byte == b'/').next().unwrap_or(path)
}

fn contains(path: &[u8], part: &[u8]) -> bool {
    path.windows(part.len()).any(|window| window == part)
}

/// Adds the files of an application, as many as it may have.
pub fn add_private(work: &mut Work, low: u32, high: u32) -> bool {
    let count = work.random.spread(low, high);
    let root = ["app", "srv/app", "opt/service", "usr/local/lib/app", "home/user/app"];
    let root = work.random.pick(&root).copied().unwrap_or("app");
    for number in 0..count {
        let path = format!("{root}/{}/file{number}", number % 97);
        let content = work.random.private();
        work.draft.put_file(path.as_bytes(), content);
    }
    work.note(format!("{count} private files"));
    true
}

/// Adds files that many have: small parts of other stored images, as a vendored library would bring them.
pub fn add_vendored(work: &mut Work) -> bool {
    let count = usize::try_from(work.random.spread(20, 400)).unwrap_or(20);
    let Some(other) = work.base_of_other_family() else { return false };
    let mut files = work.files_of(&other);
    work.random.sample(&mut files, count.min(work.base_content_count() / 10));
    for (path, content) in &files {
        work.draft.put_file(&[b"app/vendor/", &path[..]].concat(), *content);
    }
    work.note(format!("{} files of {other}", files.len()));
    !files.is_empty()
}

pub fn flatten(work: &mut Work) -> bool {
    let mut bytes = |size| work.random.content(size);
    let files = [("etc/hostname", bytes(13)), ("etc/hosts", bytes(174)), ("etc/resolv.conf", bytes(80))];
    files.iter().for_each(|(path, content)| work.draft.put_file(path.as_bytes(), *content));
    true
}

/// Loses files one by one, each with the same probability.
pub fn drop_share(work: &mut Work, low: f64, high: f64) -> bool {
    let share = work.random.between(low, high);
    work.note(format!("{:.0} % dropped", share * 100.0));
    work.draft.remove(|_| work.random.chance(share)) > 0
}

/// Loses whole folders that are dispensable, tests among them.
pub fn drop_dispensable(work: &mut Work) -> bool {
    let chosen: Vec<&[u8]> = DISPENSABLE.into_iter().filter(|_| work.random.chance(0.6)).collect();
    let tests = work.random.chance(0.5);
    let is_test = |path: &[u8]| contains(path, b"/tests/") || contains(path, b"/test/");
    let is_gone =
        |path: &[u8]| chosen.iter().any(|folder| path.starts_with(folder)) || (tests && is_test(path));
    let gone = work.draft.remove(is_gone);
    work.note(format!("{gone} dispensable files dropped"));
    gone > 0
}

/// Loses folders such as packages have.
pub fn drop_packages(work: &mut Work) -> bool {
    let mut folders: BTreeMap<Vec<u8>, usize> = BTreeMap::new();
    for (path, ..) in work.draft.files() {
        if let Some(folder) = package_folder(path) {
            *folders.entry(folder.to_vec()).or_default() += 1;
        }
    }
    let most = work.draft.files().count() * 3 / 10;
    let mut folders: Vec<Vec<u8>> = folders
        .into_iter()
        .filter(|(_, count)| (3..=most).contains(count))
        .map(|(folder, _)| folder)
        .collect();
    if folders.len() < 3 {
        return false;
    }
    let share = work.random.between(0.1, 0.6);
    folders.retain(|_| work.random.chance(share));
    let gone = work.draft.remove(|path| folders.iter().any(|folder| path.starts_with(folder)));
    work.note(format!("{} folders with {gone} files dropped", folders.len()));
    gone > 0
}

/// Returns the folder, slash included, that belongs to one package as a rule: three deep, or four below `usr/lib`.
fn package_folder(path: &[u8]) -> Option<&[u8]> {
    const ROOTS: [&[u8]; 5] = [b"usr/lib/", b"usr/share/", b"lib/", b"etc/", b"usr/local/lib/"];
    let root = ROOTS.iter().find(|root| path.starts_with(root))?;
    let end = root.len() + path[root.len()..].iter().position(|byte| *byte == b'/')? + 1;
    Some(&path[..end])
}

/// Compresses documents anew: another content at every path.
pub fn recompress_documents(work: &mut Work) -> bool {
    let random = &mut work.random;
    let packed = work.draft.files().any(|(path, ..)| path.ends_with(b".gz"));
    let is_changed = |path: &[u8]| if packed { path.ends_with(b".gz") } else { is_documentation(path) };
    let count = work.draft.rewrite(|path, _, content| {
        is_changed(path).then(|| random.content(content.size_bytes + content.size_bytes / 20))
    });
    work.note(format!("{count} documents compressed anew"));
    count >= 5
}

/// Strips what looks like a program or a library.
pub fn strip(work: &mut Work) -> bool {
    let share = if work.random.chance(0.5) { 1.0 } else { work.random.between(0.3, 0.9) };
    let random = &mut work.random;
    let count = work.draft.rewrite(|path, entry, content| {
        let is_program = entry.mode & 0o111 != 0 && contains(path, b"bin/");
        let is_library = contains(path, b"lib") && contains(file_name(path), b".so");
        let is_changed = (is_program || is_library) && content.size_bytes >= 8 << 10 && random.chance(share);
        is_changed.then(|| random.content(content.size_bytes * 7 / 10))
    });
    work.note(format!("{count} binaries stripped"));
    count > 0
}

/// Edits files below `etc`.
pub fn configure(work: &mut Work) -> bool {
    let share = work.random.between(0.2, 0.8);
    let random = &mut work.random;
    let count = work.draft.rewrite(|path, _, content| {
        let is_changed = path.starts_with(b"etc/") && content.size_bytes > 0 && random.chance(share);
        is_changed.then(|| random.content(content.size_bytes + 20))
    });
    work.note(format!("{count} files of etc edited"));
    count > 0
}

/// Brings some of the paths on which base and newer sibling differ to what the sibling has, folder by folder, as packages
/// are upgraded: part of them, or all. All makes the sibling the only truth, for nothing of the old base alone is left.
pub fn upgrade(work: &mut Work, whole: bool) -> bool {
    let Some(newer) = work.newer_sibling() else { return false };
    let share = if whole { 1.0 } else { work.random.between(0.2, 0.9) };
    let (old, new) = (work.entries_of(&work.base_name()), work.entries_of(&newer));
    let mut folders: BTreeMap<Vec<u8>, bool> = BTreeMap::new();
    let mut count = 0_usize;
    for path in old.keys().chain(new.keys().filter(|path| !old.contains_key(*path))) {
        let is_same = old.get(path).map(|entry| &entry.kind) == new.get(path).map(|entry| &entry.kind);
        let is_untouched = work.draft.get(path).map(|entry| &entry.kind) == old.get(path).map(|e| &e.kind);
        if is_same || !is_untouched {
            continue;
        }
        let folder = path.iter().rposition(|byte| *byte == b'/').map_or(&b""[..], |at| &path[..at]);
        let random = &mut work.random;
        if *folders.entry(folder.to_vec()).or_insert_with(|| random.chance(share)) {
            work.replace(path, new.get(path));
            count += 1;
        }
    }
    work.note(format!("{count} paths upgraded to {newer}"));
    work.truth.right.insert(newer);
    if whole {
        work.truth.right.remove(&work.base_name());
    }
    count > 0
}

/// Moves the whole tree below a folder.
pub fn reroot(work: &mut Work) -> bool {
    let depth = 1 + work.random.below(3);
    let words: Vec<String> = (0..depth).map(|_| work.random.word()).collect();
    work.draft.move_below(&words.join("/"));
    work.note(format!("moved below {}", words.join("/")));
    true
}

/// Keeps what a static or dynamic program needs to run, and a few programs.
pub fn distroless(work: &mut Work) -> bool {
    const LIBRARIES: [&[u8]; 12] = [
        b"ld-",
        b"ld.so",
        b"libc.",
        b"libc-",
        b"libm.",
        b"libdl",
        b"libpthread",
        b"librt",
        b"libgcc_s",
        b"libstdc++",
        b"libssl",
        b"libz.",
    ];
    const NEEDED: [&[u8]; 6] = [
        b"etc/ssl/",
        b"etc/passwd",
        b"etc/group",
        b"etc/nsswitch",
        b"os-release",
        b"usr/share/ca-certificates/",
    ];
    let share = work.random.between(0.0, 0.12);
    let zones = work.random.chance(0.5);
    let random = &mut work.random;
    let is_kept = |path: &[u8]| {
        (contains(path, b"lib") && LIBRARIES.iter().any(|name| file_name(path).starts_with(name)))
            || NEEDED.iter().any(|part| contains(path, part))
            || (zones && contains(path, b"/zoneinfo/Etc/"))
            || path.starts_with(b"app/")
    };
    work.draft.remove(|path| !is_kept(path) && !random.chance(share));
    let packages = 3 + work.random.below(12);
    for number in 0..packages {
        let content = work.random.content(900);
        work.draft.put_file(format!("var/lib/dpkg/status.d/package{number}").as_bytes(), content);
    }
    let kept = work.kept_share();
    work.note(format!("{:.1} % of the base's contents kept", kept * 100.0));
    kept > 0.0 && kept <= 0.25
}

/// Copies a folder of a base of another family, at its own path or below `opt`.
pub fn second_base(work: &mut Work, own_path: bool) -> bool {
    let Some(donor) = work.base_of_other_family() else { return false };
    let entries = work.entries_of(&donor);
    let mut folders: BTreeMap<&[u8], usize> = BTreeMap::new();
    for (path, _) in entries.iter().filter(|(_, entry)| entry.content().is_some()) {
        let cuts = path.iter().enumerate().filter(|(_, byte)| **byte == b'/').map(|(at, _)| at + 1);
        cuts.take(4).for_each(|at| *folders.entry(&path[..at]).or_default() += 1);
    }
    // Less than half of what the base itself has, or the donor would be as good a base.
    let most = work.base_content_count() / 2;
    let plain = |folder: &[u8]| !own_path || work.draft.is_plain(folder);
    let fits = |(folder, count): (&[u8], usize)| {
        ((50..=most).contains(&count) && plain(folder)).then(|| folder.to_vec())
    };
    let folders: Vec<Vec<u8>> = folders.into_iter().filter_map(fits).collect();
    let Some(folder) = work.random.pick(&folders).cloned() else { return false };
    let below = if own_path { String::new() } else { format!("opt/{}/", work.random.word()) };
    let mut donated: Vec<Content> = Vec::new();
    for (path, entry) in entries.iter().filter(|(path, _)| path.starts_with(&folder)) {
        let path: Box<[u8]> = [below.as_bytes(), &path[..]].concat().into();
        let there = work.draft.get(&path).map(|entry| matches!(entry.kind, EntryKind::Directory));
        if there == Some(true) || !work.draft.is_plain(&path) {
            continue;
        }
        donated.extend(entry.content());
        work.draft.put(Entry { path: path.into(), ..entry.clone() });
    }
    work.note(format!("{} files of {donor} below {below}", donated.len()));
    work.donate(donor, donated)
}

/// Adds names that are hard to print, and stores every hard link as a copy.
pub fn odd_names(work: &mut Work) -> bool {
    let names: [&[u8]; 8] = [
        "app/naïve café ☕".as_bytes(),
        "app/\u{202e}gpj.exe".as_bytes(),
        b"app/line\nbreak",
        b"app/\xff\xfe\x80",
        b"app/ -rf",
        b"app/.wh",
        b"app/a\\b",
        &[b'x'; 255],
    ];
    for name in names {
        let content = work.random.private();
        work.draft.put_file(name, content);
    }
    work.draft.rewrite(|_, _, content| Some(content)) > 0
}
