//! The examples for pipelines and the pages on gates: they are what they say they are, and their commands run.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::support::{World, app, base, files, ran};
use serde_json::Value;
use yaml_rust2::{Yaml, YamlLoader};

fn text(path: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
}

/// What a pipeline finds: a folder of bases, the image that it built, and a policy.
fn pipeline() -> World {
    let world = World::new();
    fs::create_dir(world.path("bases")).unwrap();
    world.save("bases/base.tar", &[base()]);
    world.save("app.tar", &[app().named("app:ci").layer(files("srv/ci", 2))]);
    fs::write(world.path("policy.toml"), "[base]\nallow = [\"base\"]\nmax_age_days = 1\n").unwrap();
    world
}

/// Types the lines that are about layerprint, as a shell would, and returns the last status.
fn typed(world: &World, lines: &str) -> i32 {
    let mut status = None;
    for line in lines.lines().map(str::trim) {
        let words: Vec<String> =
            line.split_whitespace().map(|word| word.trim_matches('\'').to_owned()).collect();
        match words.first().map(String::as_str) {
            Some("cp") => {
                let copied = Command::new("cp").args(&words[1..]).current_dir(world.folder.path()).status();
                assert!(copied.unwrap().success(), "{line}");
            }
            Some("layerprint") => {
                let words: Vec<&str> = words[1..].iter().map(String::as_str).collect();
                let ran = ran(world.command(&words).env("LAYERPRINT_STORE", ".layerprint"));
                assert!(ran.status < 2, "{line}: {}", ran.stderr);
                status = Some(ran.status);
            }
            _ => {}
        }
    }
    status.expect("there is a command in it")
}

fn yaml(path: &str) -> Yaml {
    YamlLoader::load_from_str(&text(path)).unwrap().remove(0)
}

#[test]
fn the_github_workflow_finds_the_offence_and_leaves_what_it_uploads() {
    let workflow = yaml("examples/ci/github.yml");
    let steps = workflow["jobs"]["base-image"]["steps"].as_vec().unwrap();
    let scripts: Vec<&str> = steps.iter().filter_map(|step| step["run"].as_str()).collect();
    let world = pipeline();
    assert_eq!(typed(&world, &scripts.join("\n")), 1, "the base is older than a day");
    let upload =
        steps.iter().find(|step| step["uses"].as_str().is_some_and(|uses| uses.contains("upload-sarif")));
    let file = upload.unwrap()["with"]["sarif_file"].as_str().unwrap();
    let sarif: Value = serde_json::from_slice(&fs::read(world.path(file)).unwrap()).unwrap();
    assert_eq!(sarif["runs"][0]["results"][0]["ruleId"], "base-too-old");
    assert!(fs::read_to_string(world.path("summary.md")).unwrap().contains("| `app:ci` | base-too-old |"));
}

#[test]
fn the_gitlab_job_leaves_its_artifacts() {
    let job = &yaml("examples/ci/gitlab.yml")["base-image"];
    let lines: Vec<&str> = job["script"].as_vec().unwrap().iter().filter_map(Yaml::as_str).collect();
    let world = pipeline();
    assert_eq!(
        i64::from(typed(&world, &lines.join("\n"))),
        job["allow_failure"]["exit_codes"].as_i64().unwrap()
    );
    for path in job["artifacts"]["paths"].as_vec().unwrap() {
        assert!(world.path(path.as_str().unwrap()).is_file(), "{path:?}");
    }
    let convert = job["after_script"][0].as_str().unwrap();
    let shell = Command::new("sh").args(["-c", convert]).current_dir(world.folder.path()).output().unwrap();
    if shell.status.code() == Some(127) {
        eprintln!("skipped: jq is not on this machine");
        return;
    }
    let file = job["artifacts"]["reports"]["codequality"].as_str().unwrap();
    let quality: Value = serde_json::from_slice(&fs::read(world.path(file)).unwrap()).unwrap();
    let first = &quality[0];
    assert_eq!((&first["check_name"], &first["severity"]), (&"base-too-old".into(), &"major".into()));
    assert_eq!(first["location"]["path"], "app%3Aci");
    assert_eq!(first["fingerprint"].as_str().unwrap().len(), 32);
}

/// The blocks of a page that are in a language.
fn blocks(page: &str, language: &str) -> Vec<String> {
    let fence = format!("```{language}\n");
    let parts = page.split(&fence).skip(1);
    parts.map(|part| part.split("```").next().unwrap().to_owned()).collect()
}

#[test]
fn the_commands_of_the_pages_run_and_the_policy_is_one() {
    let (policies, pipelines) = (text("docs/policy.md"), text("docs/ci.md"));
    let world = pipeline();
    let policy = blocks(&policies, "toml").remove(0);
    fs::write(world.path("policy.toml"), &policy).unwrap();
    typed(&world, "layerprint ingest bases app.tar");
    for block in [blocks(&policies, "sh"), blocks(&pipelines, "sh")].concat() {
        typed(&world, &block);
    }
    assert!(world.path("changes.md").is_file());
}
