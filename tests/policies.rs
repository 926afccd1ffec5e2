//! Which base counts where several images have its files, and what is forbidden under which name.

use std::fs;

use crate::support::{World, files, offences};
use layerprint_ingest::write::Image;
use serde_json::{Value, json};

const DAY: &str = "2026-07-01";

/// Forty files under a name, made on a day; nothing where it is empty.
fn debian(name: &str, day: &str) -> Image {
    let image = Image::new(name).layer(files("usr/lib/debian", 40));
    if day.is_empty() { image } else { image.created(&format!("{day}T00:00:00Z")) }
}

/// The same files with another command.
fn meta(name: &str, day: &str) -> Image {
    debian(name, day).runtime("Cmd", json!(["serve"]))
}

fn app() -> Image {
    debian("app:1", "2026-02-01").layer(files("srv/app", 2))
}

fn world(images: &[Image]) -> World {
    let world = World::new();
    world.save("images.tar", images);
    assert_eq!(world.run(&["ingest", "images.tar"]).status, 0);
    world
}

/// What the application breaks of what is asked of bases.
fn broken(world: &World, policy: &str) -> Vec<String> {
    let (told, _) = offences(world, &format!("[base]\nunknown = \"ignore\"\n{policy}\n"), DAY);
    told.into_iter().filter(|told| told.starts_with("app:1 ")).collect()
}

#[test]
fn what_is_made_of_a_base_and_has_its_files_lends_it_neither_age_nor_name() {
    let next = Image::new("debian:11").created("2025-06-01T00:00:00Z").layer(files("usr/lib/next", 40));
    let images = [debian("debian:10", "2024-01-01"), next, meta("corp/meta:1", "2026-01-01"), app()];
    let world = world(&images);
    let cases: [(&str, &[&str]); 9] = [
        ("max_age_days = 400", &["app:1 base-too-old"]),
        ("max_newer = 0", &["app:1 base-outdated"]),
        ("allow = [\"corp/*\"]", &["app:1 base-not-allowed"]),
        ("allow_families = [\"corp/meta\"]", &["app:1 base-not-allowed"]),
        ("allow = [\"debian\"]", &[]),
        ("allow_families = [\"docker.io/library/debian\"]", &[]),
        ("forbid = [\"corp/meta\"]", &["app:1 base-forbidden"]),
        ("forbid = [\"debian:10\"]", &["app:1 base-forbidden"]),
        ("forbid = [\"debian:11\"]", &[]),
    ];
    for (policy, expected) in cases {
        assert_eq!(broken(&world, policy), expected, "{policy}");
    }
    let rows = world.json(&["report", "--json", "app"]);
    assert_eq!((&rows[0]["family"], &rows[0]["freshness"]["newer"]), (&json!("debian"), &json!(1)));
    assert_eq!(
        rows[0]["proper"],
        json!([{"names": ["debian:10"], "created": "2024-01-01T00:00:00Z", "is_dated": true}])
    );
    let required = |name: &str| world.run(&["find", "--require", name, "app:1"]).status;
    assert_eq!([required("debian:10"), required("corp/meta")], [0, 1]);

    // Told again without the store it is the same.
    assert_eq!(world.run(&["report", "-o", "rows.jsonl"]).status, 0);
    fs::write(world.path("policy.toml"), "[base]\nallow = [\"corp/*\"]\n").unwrap();
    let again = ["report", "--from", "rows.jsonl", "--as-of", DAY, "--policy", "policy.toml"];
    let told = world.run(&again);
    let why = "debian:10 is no base that is allowed; corp/meta:1 has the same contents and was made later";
    assert!(told.stdout.contains(&format!("  app:1  base-not-allowed  {why}\n")), "{}", told.stdout);

    // Who builds the same again under the same name has it fresh.
    world.save("again.tar", &[meta("debian:10.1", "2026-06-20")]);
    assert_eq!(world.run(&["ingest", "again.tar"]).status, 0);
    assert_eq!(broken(&world, "max_age_days = 30\nmax_newer = 0"), [""; 0]);
}

#[test]
fn what_a_base_is_built_on_is_told_by_its_own_names_and_by_all_ids() {
    let runtime = || debian("runtime:1", "2025-01-01").layer(files("usr/lib/runtime", 40));
    let app = runtime().named("app:1").layer(files("srv/app", 2));
    let world =
        world(&[debian("debian:10", "2024-01-01"), meta("corp/meta:1", "2026-01-01"), runtime(), app]);
    let ids = world.json(&["list", "--json"]);
    let id = |name: &str| {
        let image = ids.iter().find(|image| image["names"][0] == name).unwrap();
        image["id"].as_str().unwrap().to_owned()
    };
    let cases: [(String, &[&str]); 7] = [
        ("allow = [\"debian\"]".into(), &[]),
        ("allow = [\"corp/*\"]".into(), &["app:1 base-not-allowed"]),
        (format!("allow = [\"{}\"]", id("debian:10")), &[]),
        (format!("allow = [\"{}\"]\ndirect = true", id("debian:10")), &["app:1 base-not-allowed"]),
        (format!("forbid = [\"{}\"]", id("debian:10")), &["app:1 base-forbidden"]),
        (format!("forbid = [\"{}\"]", &id("corp/meta:1")[7..19]), &["app:1 base-forbidden"]),
        ("forbid = [\"docker.io/library/debian:10\"]".into(), &["app:1 base-forbidden"]),
    ];
    for (policy, expected) in cases {
        assert_eq!(broken(&world, &policy), expected, "{policy}");
    }
    let required = |name: &str| world.run(&["find", "--require", name, "app:1"]).status;
    assert_eq!([required(&id("debian:10")), required("docker.io/library/debian")], [0, 0]);
    assert_eq!([required("corp/meta"), required("quay.io/library/debian")], [1, 1]);
}

#[test]
fn an_image_without_a_date_may_be_the_base_and_is_not_taken_for_a_young_one() {
    let undated = world(&[debian("debian:10", "1970-01-01"), meta("corp/meta:1", "2026-06-01"), app()]);
    assert_eq!(broken(&undated, "max_age_days = 100"), ["app:1 base-too-old"]);
    assert_eq!(broken(&undated, "max_age_days = 100\nundated = \"ignore\""), [""; 0]);
    assert_eq!(broken(&undated, "allow = [\"debian\"]"), [""; 0]);

    let child = world(&[debian("debian:10", "2024-01-01"), meta("corp/meta:1", "1970-01-01"), app()]);
    let old = "max_age_days = 100\nundated = \"ignore\"";
    assert_eq!(broken(&child, old), ["app:1 base-too-old"], "the oldest that is known is too old");

    let both = world(&[debian("debian:10", "1970-01-01"), meta("corp/meta:1", "1970-01-01"), app()]);
    for name in ["debian", "corp/meta"] {
        assert_eq!(broken(&both, &format!("allow = [\"{name}\"]")), [""; 0], "{name}");
    }
}

#[test]
fn mirrors_of_a_base_are_as_good_as_the_base() {
    let mirror = "quay.io/mirror/debian:12";
    let copied = debian("docker.io/library/debian:12", "2026-01-01").also_named(mirror);
    let rebuilt = meta(mirror, "2026-01-01");
    let without = debian("docker.io/library/debian:12", "2026-01-01");
    for images in [vec![copied, app()], vec![without, rebuilt, app()]] {
        let world = world(&images);
        for name in ["debian:12", "docker.io/library/debian", "quay.io/*"] {
            assert_eq!(broken(&world, &format!("allow = [\"{name}\"]")), [""; 0], "{name}");
        }
        assert_eq!(broken(&world, "max_age_days = 200"), [""; 0]);
        assert_eq!(broken(&world, "max_age_days = 100"), ["app:1 base-too-old"]);
    }
}

#[test]
fn an_image_that_is_itself_what_is_forbidden_breaks_the_policy() {
    let world = world(&[debian("debian:10", "2024-01-01"), meta("corp/meta:1", "2026-01-01"), app()]);
    fs::write(world.path("policy.toml"), "[base]\nunknown = \"ignore\"\nforbid = [\"debian:1?\"]\n").unwrap();
    let told = |args: &[&str]| {
        let rows = world.json(args);
        let told = rows.iter().flat_map(|row| row["remarks"].as_array().unwrap());
        told.map(|remark| remark["message"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let meta = "has the same contents as forbidden base debian:10: debian:1? is forbidden";
    let itself = "is itself forbidden base debian:10: debian:1? is forbidden";
    let app = "corp/meta:1 or debian:10: debian:1? is forbidden";
    assert_eq!(told(&["report", "--json", "--policy", "policy.toml"]), [app, meta, itself]);
    let asked = ["find", "--json", "--policy", "policy.toml", "app:1", "corp/meta:1", "debian:10"];
    assert_eq!(told(&asked), [app, meta, itself]);
}

#[test]
fn entries_that_mean_nothing_are_told_and_ids_that_are_none_are_errors() {
    let world = world(&[debian("debian:10", "2024-01-01"), app()]);
    let content = "blake3:6437b3ac38465133ffb63b75273a8db548c558465d79db03fd359c6cd5bd9d85";
    let policy = format!(
        "[base]\nunknown = \"ignore\"\nallow = [\"debian\", \"debain:*\"]\nallow_families = [\"alpine\"]\n\
         forbid = [\"sha256:0123456789ab\"]\n[[file]]\ncontent = \"{content}\"\nreason = \"hole\"\n\
         [[exempt]]\nimages = [\"app\", \"ap\"]\nreason = \"old\"\n"
    );
    fs::write(world.path("policy.toml"), policy).unwrap();
    let warned = |entry: &str| format!("warning: policy.toml: {entry}: nothing that is stored\n");
    let bases = ["allow: debain:*", "allow_families: alpine", "forbid: sha256:0123456789ab"].map(warned);
    let others = [warned("exempt: ap"), warned(&format!("file: {content}"))];
    let ran = world.run(&["report", "--policy", "policy.toml"]);
    assert_eq!((ran.status, ran.stderr), (0, [bases.concat(), others.concat()].concat()));
    let ran = world.run(&["find", "--policy", "policy.toml", "app:1"]);
    assert_eq!((ran.status, ran.stderr), (0, bases.concat()), "the rest is not asked");

    for wrong in ["sha256:0123", "sha256:0123456789AB", "sha256:debian:10"] {
        fs::write(world.path("policy.toml"), format!("[base]\nforbid = [\"{wrong}\"]\n")).unwrap();
        let ran = world.run(&["report", "--policy", "policy.toml"]);
        assert_eq!(ran.status, 2);
        let expected = format!("error: policy.toml:2:10: {wrong} is no image ID: ");
        assert!(ran.stderr.starts_with(&expected), "{}", ran.stderr);
    }
}

#[test]
fn a_child_without_a_name_makes_no_application_a_base() {
    let world = World::new();
    world.save("shop.tar", &[debian("shop:1", "2026-01-01")]);
    world.save(
        "child.tar",
        &[Image::unnamed().layer(files("usr/lib/debian", 40)).layer(files("srv/child", 2))],
    );
    assert_eq!(world.run(&["ingest", "shop.tar", "child.tar"]).status, 0);
    let shop = |world: &World| world.json(&["report", "--json", "shop"])[0].clone();
    let told = shop(&world);
    assert_eq!(
        (&told["children"], &told["is_base"]),
        (&json!(0), &json!(false)),
        "of the images that are asked"
    );
    let all = world.json(&["report", "--json"]);
    let told: &Value = all.iter().find(|row| row["source"] == "shop:1").unwrap();
    assert_eq!((&told["children"], &told["is_base"]), (&json!(1), &json!(false)));
    assert_eq!(told["remarks"][0]["rule"], "base-unknown");
    assert_eq!(offences(&world, "", DAY).0, ["shop:1 base-unknown"]);
}

#[test]
fn a_base_of_a_later_day_than_is_counted_to_does_not_say_its_age() {
    let world = world(&[debian("debian:10", "2026-06-01"), app()]);
    let policy = "[base]\nunknown = \"ignore\"\nmax_age_days = 30\n";
    assert_eq!(offences(&world, policy, "2026-06-01"), (vec![], 0));
    assert_eq!(offences(&world, policy, "2026-05-31"), (vec!["app:1 base-too-old".to_owned()], 1));
    let ran = world.run(&["report", "app", "--policy", "policy.toml", "--as-of", "2026-05-31"]);
    let expected = "policy policy.toml: 1 of 1 image breaks it; as of 2026-05-31 (--as-of)\n  \
                    app:1  base-too-old  debian:10 says to be of 2026-06-01, which is after 2026-05-31; 30 days are allowed\n";
    assert!(ran.stdout.contains(expected), "{}", ran.stdout);
    let policy = format!("{policy}undated = \"ignore\"\n");
    assert_eq!(offences(&world, &policy, "2026-05-31"), (vec![], 0));
}

#[test]
fn an_exempt_image_says_so_and_is_told_no_worse_than_others() {
    let world = world(&[debian("debian:10", "2024-01-01"), app()]);
    let remarks = |unknown: &str| {
        let exempt = "[[exempt]]\nimages = [\"*\"]\nreason = \"made from nothing\"\nuntil = 2026-12-31\n";
        fs::write(world.path("policy.toml"), format!("[base]\nunknown = \"{unknown}\"\n{exempt}")).unwrap();
        let rows = world.json(&["report", "debian", "--json", "--policy", "policy.toml", "--as-of", DAY]);
        let told = rows[0]["remarks"].as_array().unwrap().iter();
        told.map(|remark| {
            format!("{} {}", remark["level"].as_str().unwrap(), remark["message"].as_str().unwrap())
        })
        .collect::<Vec<_>>()
    };
    let exempt = "note is exempt until 2026-12-31: made from nothing";
    assert_eq!(remarks("ignore"), [exempt]);
    for unknown in ["error", "warning"] {
        let told = remarks(unknown);
        assert_eq!(told.len(), 2);
        assert!(told[0].starts_with("warning ") && told[1] == exempt, "{told:?}");
    }
}
