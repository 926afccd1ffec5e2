//! Policies, requirements and changes: what a pipeline stops at.

use crate::support;

use std::fs;

use crate::support::{World, base, files, fleet, offences};
use layerprint_ingest::write::{Image, Layer};
use serde_json::{Value, json};

#[test]
fn a_policy_asks_what_it_says_and_nothing_else() {
    let world = fleet();
    let day = "2026-07-01";
    let cases: [(&str, &[&str]); 18] = [
        ("", &["base:2 base-unknown", "other:1 base-unknown"]),
        ("unknown = \"warning\"", &[]),
        ("unknown = \"ignore\"", &[]),
        // Allowed by what the base is built on.
        ("unknown = \"ignore\"\nallow = [\"base:1\"]", &[]),
        ("unknown = \"ignore\"\nallow_families = [\"base\"]", &[]),
        ("unknown = \"ignore\"\nallow = [\"base:1\"]\ndirect = true", &["svc:1 base-not-allowed"]),
        ("unknown = \"ignore\"\nallow = [\"mid\"]", &["app:1 base-not-allowed", "mid:1 base-not-allowed"]),
        (
            "unknown = \"ignore\"\nallow = []",
            &["app:1 base-not-allowed", "mid:1 base-not-allowed", "svc:1 base-not-allowed"],
        ),
        // What is forbidden cannot be allowed.
        (
            "unknown = \"ignore\"\nallow = [\"*\"]\nforbid = [\"mid:*\"]",
            &["mid:1 base-forbidden", "svc:1 base-forbidden"],
        ),
        (
            "unknown = \"ignore\"\nforbid = [\"base\"]",
            &[
                "app:1 base-forbidden",
                "base:1 base-forbidden",
                "base:2 base-forbidden",
                "mid:1 base-forbidden",
                "svc:1 base-forbidden",
            ],
        ),
        // base:1 is of 1 January: 181 days; mid:1 of 1 February.
        ("unknown = \"ignore\"\nmax_age_days = 181", &[]),
        ("unknown = \"ignore\"\nmax_age_days = 180", &["app:1 base-too-old", "mid:1 base-too-old"]),
        ("unknown = \"ignore\"\nmax_newer = 1", &[]),
        ("unknown = \"ignore\"\nmax_newer = 0", &["app:1 base-outdated", "mid:1 base-outdated"]),
        ("unknown = \"ignore\"\noutdated = \"error\"", &["app:1 base-outdated", "mid:1 base-outdated"]),
        (
            "unknown = \"ignore\"\noutdated = \"ignore\"\nmax_newer = 0",
            &["app:1 base-outdated", "mid:1 base-outdated"],
        ),
        ("unknown = \"ignore\"\nmin_confidence = 1.0", &[]),
        ("unknown = \"ignore\"\nmin_confidence = 1", &[]),
    ];
    for (policy, expected) in cases {
        let (told, status) = offences(&world, &format!("[base]\n{policy}\n"), day);
        assert_eq!(told, expected, "{policy}");
        assert_eq!(status, i32::from(!expected.is_empty()), "{policy}");
    }
}

#[test]
fn a_base_that_does_not_say_when_it_was_made_is_too_old_unless_that_is_ignored() {
    let world = World::new();
    let undated =
        || Image::new("undated:1").created("1970-01-01T00:00:00Z").layer(files("usr/lib/undated", 40));
    world.save("images.tar", &[undated(), undated().named("app:1").layer(files("srv/app", 2))]);
    assert_eq!(world.run(&["ingest", "images.tar"]).status, 0);
    let policy = "[base]\nmax_age_days = 10000\n";
    assert_eq!(offences(&world, policy, "2026-07-01").0, ["app:1 base-too-old"]);
    let policy = format!("{policy}undated = \"ignore\"\n");
    assert_eq!(offences(&world, &policy, "2026-07-01"), (vec![], 0));
}

#[test]
fn ages_are_counted_to_today_unless_another_day_is_told() {
    let world = fleet();
    fs::write(world.path("policy.toml"), "[base]\nunknown = \"ignore\"\nmax_age_days = 60\n").unwrap();
    let status = |epoch: &str, args: &[&str]| {
        let mut command = world.command(&[&["report", "--quiet", "--policy", "policy.toml"], args].concat());
        support::ran(command.env("SOURCE_DATE_EPOCH", epoch)).status
    };
    let (february, december) = ("1770700000", "1796000000");
    assert_eq!((status(february, &[]), status(december, &[])), (0, 1));
    assert_eq!(status(december, &["--as-of", "2026-02-10"]), 0);
    assert_eq!(status("soon", &[]), 2);
    // Today is later than these images are old.
    assert_eq!(status("", &[]), 1);
}

#[test]
fn an_exemption_holds_until_its_last_day_and_says_when_it_is_over() {
    let world = fleet();
    let policy =
        "[[exempt]]\nimages = [\"other\", \"base\"]\nreason = \"made from nothing\"\nuntil = 2026-12-31\n";
    assert_eq!(offences(&world, policy, "2026-12-31"), (vec![], 0));
    assert_eq!(
        offences(&world, policy, "2027-01-01"),
        (["base:2", "other:1"].map(|name| format!("{name} base-unknown")).to_vec(), 1)
    );
    let ran = world.run(&["report", "--policy", "policy.toml", "--as-of", "2027-01-01"]);
    assert_eq!(ran.stderr, "the exemption of other, base ended on 2026-12-31: made from nothing\n");
    let ran = world.run(&["report", "--policy", "policy.toml", "--as-of", "2026-12-31"]);
    assert!(
        ran.stdout.contains(
            "\npolicy policy.toml: all of 6 images meet it; 3 exempt; as of 2026-12-31 (--as-of)\n"
        ),
        "{}",
        ran.stdout
    );
}

#[test]
fn forbidden_files_are_found_seen_or_hidden() {
    let world = fleet();
    let evil = b"a library with a hole, long enough to be evidence\n".repeat(40);
    let holding =
        base().named("holds:1").layer(Layer::new().file("opt/a.jar", &evil[..]).file("opt/b.jar", &evil[..]));
    let hiding = base()
        .named("hides:1")
        .layer(Layer::new().file("opt/a.jar", &evil[..]))
        .layer(Layer::new().whiteout("opt/a.jar"));
    world.save("evil.tar", &[holding, hiding]);
    let content = format!("blake3:{}", blake3::hash(&evil));
    let policy =
        format!("[base]\nunknown = \"ignore\"\n[[file]]\ncontent = \"{content}\"\nreason = \"hole 1.0\"\n");
    fs::write(world.path("policy.toml"), &policy).unwrap();

    // Read, not stored: `find` sees the same.
    let found =
        world.run(&["find", "--json", "--policy", "policy.toml", "--as-of", "2026-07-01", "evil.tar"]);
    let as_of = "policy policy.toml: as of 2026-07-01 (--as-of)\n";
    let offence = "file-forbidden: holds hole 1.0 at opt/a.jar, opt/b.jar";
    let told: Vec<(Value, Value)> = support::lines(&found.stdout)
        .into_iter()
        .map(|one| (one["met"].clone(), one["offences"].clone()))
        .collect();
    assert_eq!(told, [(json!(true), Value::Null), (json!(false), json!([offence]))]);
    assert_eq!((found.status, found.stderr), (1, format!("not met: evil.tar holds:1: {offence}\n{as_of}")));

    assert_eq!(world.run(&["ingest", "evil.tar"]).status, 0);
    assert_eq!(offences(&world, &policy, "2026-07-01"), (vec!["holds:1 file-forbidden".to_owned()], 1));
    let rows = world.json(&["report", "--json", "--policy", "policy.toml", "holds", "hides"]);
    let remark = |row: usize| {
        let remarks = rows[row]["remarks"].as_array().unwrap();
        remarks.iter().find(|remark| remark["rule"] == "file-forbidden").unwrap().clone()
    };
    let expected = |level: &str, message: &str| json!({"rule": "file-forbidden", "level": level, "message": message, "content": content});
    assert_eq!(remark(0), expected("warning", "holds hole 1.0 at opt/a.jar, hidden by a higher layer"));
    assert_eq!(remark(1), expected("error", "holds hole 1.0 at opt/a.jar, opt/b.jar"));
}

#[test]
fn a_policy_that_cannot_be_read_says_where_and_nothing_is_done() {
    let world = fleet();
    fs::write(world.path("bad.toml"), "[base]\nforbidden = [\"x\"]\n").unwrap();
    for command in
        [&["report", "--policy", "bad.toml", "-o", "a.csv"][..], &["find", "--policy", "bad.toml", "app:1"]]
    {
        let ran = world.run(command);
        assert_eq!((ran.status, ran.stdout.as_str()), (2, ""));
        assert!(ran.stderr.starts_with("error: bad.toml:2:1: unknown field `forbidden`"), "{}", ran.stderr);
    }
    assert!(!world.path("a.csv").exists());
}

#[test]
fn what_is_empty_is_refused_and_named() {
    let world = World::new();
    let pattern = "a pattern is empty: it is a name, a repository or an ID, with * for anything";
    let label = "a label has no key: it is KEY, or KEY=VALUE where the value may be empty";
    let cases: [(&[&str], String); 9] = [
        (
            &["find", "--require", "", "a.tar"],
            format!("invalid value '' for '--require <PATTERN>': {pattern}"),
        ),
        (
            &["find", "--require", " ", "a.tar"],
            format!("invalid value ' ' for '--require <PATTERN>': {pattern}"),
        ),
        (&["report", ""], format!("invalid value '' for '[PATTERN]...': {pattern}")),
        (&["report", "--exclude", ""], format!("invalid value '' for '--exclude <PATTERN>': {pattern}")),
        (&["report", "--label", ""], format!("invalid value '' for '--label <KEY[=VALUE]>': {label}")),
        (&["report", "--label", "=x"], format!("invalid value '=x' for '--label <KEY[=VALUE]>': {label}")),
        (
            &["report", "--policy", ""],
            "a value is required for '--policy <FILE>' but none was supplied".into(),
        ),
        (&["list", ""], "a value is required for '[TEXT]' but none was supplied".into()),
        (&["children", ""], "a value is required for '<BASE>' but none was supplied".into()),
    ];
    for (args, expected) in cases {
        let ran = world.run(args);
        let expected = format!("error: {expected}\n\nFor more information, try '--help'.\n");
        assert_eq!((ran.status, ran.stdout, ran.stderr), (2, String::new(), expected), "{args:?}");
    }
}

#[test]
fn what_cannot_be_read_is_told_with_what_to_do() {
    let world = fleet();
    fs::create_dir(world.path("folder")).unwrap();
    fs::write(world.path("text"), "hello\n").unwrap();
    fs::write(world.path("latin.toml"), b"# caf\xe9\n").unwrap();
    let (missing, folder) = ("No such file or directory (os error 2)", "Is a directory (os error 21)");
    let policy =
        "a policy is TOML, as `[base]` and `max_age_days = 90` on two lines; docs/policy.md tells all of it";
    let rows = "what is read here is what `layerprint report -o FILE.jsonl` writes";
    let hash = "give a file, or all 64 digits of the BLAKE3 hash of its bytes";
    let inside = "name a file in it";
    let no_row = "text, line 1: not a row of a report: expected value at line 1 column 1";
    let day = ["--as-of", "2026-07-01"];
    let cases: [(&[&str], &str, &str); 15] = [
        (&["report", "--policy", "none"], &format!("none: {missing}"), policy),
        (&["report", "--policy", "folder"], &format!("folder: {folder}"), inside),
        (&["report", "--policy", "text"], "text:1:6: key with no value, expected `=`", policy),
        (&["report", "--policy", "latin.toml"], "latin.toml: stream did not contain valid UTF-8", policy),
        (&["find", "--policy", "none", "app:1"], &format!("none: {missing}"), policy),
        (&["report", "--diff", "none"], &format!("none: {missing}"), rows),
        (&["report", "--diff", "folder"], &format!("folder: {folder}"), inside),
        (&["report", "--diff", "text"], no_row, rows),
        (&["report", "--from", "none", day[0], day[1]], &format!("none: {missing}"), rows),
        (&["report", "--from", "folder", day[0], day[1]], &format!("folder: {folder}"), inside),
        (&["report", "--from", "text", day[0], day[1]], no_row, rows),
        (&["who-has", "none"], &format!("none: {missing}"), hash),
        (&["who-has", "folder"], &format!("folder: {folder}"), inside),
        (
            &["report", "--resume"],
            "--resume goes on with rows that wait beside a file, and none is named",
            "give the same -o FILE as to the report that was stopped",
        ),
        (
            &["children", "nosuch"],
            "\"nosuch\": no image or layer of that name or id",
            "layerprint list shows what is stored",
        ),
    ];
    for (args, error, hint) in cases {
        let ran = world.run(args);
        let expected = format!("error: {error}\nhint: {hint}\n");
        assert_eq!((ran.status, ran.stdout, ran.stderr), (2, String::new(), expected), "{args:?}");
    }
    assert_eq!(world.run(&["forget", "base:1", "base:2", "mid:1", "app:1", "svc:1", "other:1"]).status, 0);
    let hint =
        "no image is stored\nhint: read some first: layerprint ingest FOLDER; or name another --store\n";
    for args in [&["report"][..], &["savings"], &["duplicates"], &["who-has", "text"]] {
        let empty = world.run(args);
        assert_eq!((empty.status, empty.stderr.as_str()), (1, hint), "{args:?}");
    }
}

#[test]
fn find_requires_a_base_or_something_that_it_is_built_on() {
    let world = fleet();
    let find = |args: &[&str]| {
        let ran = world.run(&[&["find", "--json"], args, &["svc:1", "other:1"]].concat());
        let met: Vec<Value> = support::lines(&ran.stdout).into_iter().map(|one| one["met"].clone()).collect();
        (met, ran.status, ran.stderr)
    };
    let unknown = "not met: other:1: no base is known; required is base:1\n";
    assert_eq!(find(&["--require", "base:1"]), (vec![json!(true), json!(false)], 1, unknown.into()));
    let (met, status, told) = find(&["--require", "alpine", "--require", "debian:*"]);
    assert_eq!((met, status), (vec![json!(false), json!(false)], 1));
    let expected = "not met: other:1: no base is known; required is alpine or debian:*\n\
                    not met: svc:1: built on mid:1; required is alpine or debian:*\n";
    assert_eq!(told, expected);
    assert_eq!(find(&[]).0, [Value::Null, Value::Null]);

    let met = world.run(&["find", "--require", "mid", "svc:1"]);
    assert_eq!((met.status, met.stderr.as_str()), (0, ""));
    let batch = world.run(&["find", "--batch", "--quiet", "--require", "base:1", "svc:1", "app:1"]);
    assert_eq!((batch.status, batch.stderr.as_str()), (0, ""));
    assert!(support::lines(&batch.stdout).iter().all(|one| one["met"] == true));
    let bad = world.run(&["find", "--require", "base[", "svc:1"]);
    assert_eq!((bad.status, bad.stdout.as_str()), (2, ""));
}

#[test]
fn of_a_tie_it_is_said_that_any_may_be_meant() {
    let world = fleet();
    let again = base().named("base:1.0").label("built", "again").created("2026-01-01T00:00:00Z");
    world.save("again.tar", &[again]);
    assert_eq!(world.run(&["ingest", "again.tar"]).status, 0);
    fs::write(world.path("policy.toml"), "[base]\nforbid = [\"base:1\"]\nmax_age_days = 30\n").unwrap();
    let policy = ["--policy", "policy.toml", "--as-of", "2026-07-01"];
    let rows = world.json(&[&["report", "--json", "app"][..], &policy].concat());
    let told: Vec<&str> = rows[0]["remarks"]
        .as_array()
        .unwrap()
        .iter()
        .map(|remark| remark["message"].as_str().unwrap())
        .collect();
    let expected = [
        "base:1 or base:1.0: base:1 is forbidden",
        "base:1 or base:1.0 is 181 days old; 30 are allowed",
        "1 newer image than base:1 or base:1.0 is stored, the last is base:2 of 2026-06-01",
    ];
    assert_eq!(told, expected);
    let found = world.run(&["find", "--json", "--require", "mid", "app:1"]);
    let expected = "not met: app:1: built on base:1 or base:1.0; required is mid\n";
    assert_eq!((found.status, found.stderr.as_str()), (1, expected));
    let siblings = world.run(&["siblings", "app:1"]);
    assert_eq!(siblings.stderr, "app:1 is built on base:1 or base:1.0; so are:\n");
    assert_eq!(world.run(&["report", "-o", "old.jsonl"]).status, 0);
    let moved = support::second().named("app:1").layer(files("srv/app", 2));
    world.save("moved.tar", &[moved]);
    assert_eq!(world.run(&["ingest", "moved.tar"]).status, 0);
    let text = world.run(&["report", "--diff", "old.jsonl", "app", "--current"]).stdout;
    let expected = "  app:1  was on base:1 or base:1.0 (1 newer), is on base:2\n";
    assert!(text.contains(expected), "{text}");
}

/// What changed since `old.jsonl`, by name.
fn changes(world: &World, args: &[&str]) -> Vec<String> {
    let ran = world.run(&[&["report", "--json", "--diff", "old.jsonl"], args].concat());
    assert_eq!((ran.status, ran.stderr.as_str()), (0, ""));
    let rows = support::lines(&ran.stdout);
    let told = rows.iter().filter(|row| !row["change"].is_null()).map(|row| {
        let change = &row["change"];
        let was =
            change["was"]["base"].as_array().map(|names| format!(" {}", json!(names))).unwrap_or_default();
        format!("{} {}{was}", row["source"].as_str().unwrap(), change["kind"].as_str().unwrap())
    });
    let mut told: Vec<String> = told.collect();
    told.sort();
    told
}

#[test]
fn what_changed_since_an_earlier_report_is_told_in_every_format() {
    let world = fleet();
    assert_eq!(world.run(&["report", "-o", "old.jsonl"]).status, 0);
    assert_eq!(changes(&world, &[]), [""; 0]);
    let third = || Image::new("base:3").created("2026-09-01T00:00:00Z").layer(files("usr/lib/third", 40));
    let second = || support::second();
    let now = [
        // The newest of its family.
        third(),
        // From base:1, which was behind, to the newest of the same family.
        third().named("app:1").layer(files("srv/app", 2)),
        // From one base to another, which is behind.
        second().named("svc:1").layer(files("srv/svc", 2)),
        // From none to one.
        third().named("other:1").layer(files("opt/other", 10)),
        third().named("fresh:1").layer(files("srv/fresh", 2)),
    ];
    world.save("now.tar", &now);
    assert_eq!(world.run(&["ingest", "now.tar"]).status, 0);
    let expected = [
        // The image that had the name is stored as well.
        "app:1 came-back [\"base:1\"]",
        "app:1 fell-behind [\"base:1\"]",
        "base:3 new",
        "fresh:1 new",
        "mid:1 fell-behind [\"base:1\"]",
        "other:1 came-back []",
        "svc:1 moved [\"mid:1\"]",
    ];
    assert_eq!(changes(&world, &[]), expected);
    assert_eq!(changes(&world, &["mid"]), ["mid:1 fell-behind [\"base:1\"]"]);

    assert_eq!(world.run(&["forget", "mid:1"]).status, 0);
    let gone = "mid:1 gone [\"base:1\"]";
    assert!(changes(&world, &[]).iter().any(|change| change == gone));
    assert!(changes(&world, &["mid", "app"]).iter().any(|change| change == gone));
    assert!(!changes(&world, &["app"]).iter().any(|change| change == gone), "it is not meant");
    let text = world.run(&["report", "--diff", "old.jsonl", "--as-of", "2026-10-01"]).stdout;
    let (head, rest) = text.split_once("\n\n").unwrap();
    assert!(head.ends_with("as of 2026-10-01"), "{head}");
    let (told, _) = rest.split_once("\nANSWER").unwrap();
    let expected = "\
fell-behind  1 image
  app:1  was on base:1 (1 newer), is on base:1 (2 newer)

moved  2 images
  svc:1  was on mid:1, is on base:2 (1 newer)
  svc:1  was on mid:1, is on base:1 (2 newer)

came-back  2 images
  app:1  was on base:1 (1 newer), is on base:3
  other:1  was without a known base, is on base:3

new  2 images
  base:3  is without a known base
  fresh:1  is on base:3

gone  1 image
  mid:1  was on base:1 (1 newer)
";
    assert_eq!(told, expected);
    let page = world.run(&["report", "--diff", "old.jsonl", "--format", "markdown"]).stdout;
    assert!(page.contains("| gone | `mid:1` | `was on base:1 (1 newer)` |\n"), "{page}");
    let csv = world.run(&["report", "--diff", "old.jsonl", "--format", "csv"]).stdout;
    let mut reader = csv::Reader::from_reader(csv.as_bytes());
    let last = reader.records().last().unwrap().unwrap();
    assert_eq!(
        (&last[0], last.iter().rev().take(2).collect::<Vec<_>>()),
        ("mid:1", vec!["on base:1 (1 newer)", "gone"])
    );

    // What was gone then is no news, and a report with changes is one to compare with.
    assert_eq!(world.run(&["report", "--diff", "old.jsonl", "-o", "new.jsonl"]).status, 0);
    fs::rename(world.path("new.jsonl"), world.path("old.jsonl")).unwrap();
    assert_eq!(changes(&world, &[]), [""; 0]);
}

#[test]
fn an_earlier_report_that_is_none_says_which_line() {
    let world = fleet();
    assert_eq!(world.run(&["report", "-o", "old.jsonl"]).status, 0);
    let good = fs::read_to_string(world.path("old.jsonl")).unwrap();
    let lines: Vec<&str> = good.lines().collect();
    let cases = [
        (
            format!("{}\n{}", lines[0], &lines[1][..100]),
            "old.jsonl, line 2: not a row of a report: EOF while parsing ",
        ),
        (
            format!("{}\n{{}}\n", lines[0]),
            "old.jsonl, line 2: not a row of a report: it has no image or verdict",
        ),
        ("image,id\n".into(), "old.jsonl, line 1: not a row of a report: expected value at line 1 column 1"),
    ];
    for (text, expected) in cases {
        fs::write(world.path("old.jsonl"), text).unwrap();
        let ran = world.run(&["report", "--diff", "old.jsonl"]);
        assert_eq!((ran.status, ran.stdout.as_str()), (2, ""));
        assert!(ran.stderr.starts_with(&format!("error: {expected}")), "{}", ran.stderr);
    }
}
