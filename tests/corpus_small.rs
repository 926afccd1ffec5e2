//! Every image of a corpus of real files whose bases are known.
//!
//! The same judgement as `eval.py` of the corpus: an answer is right if it claims a base (verdict `base`) and names the
//! true one, or, of an image that was upgraded afterwards, one that has the upgraded files.

use crate::support;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use layerprint_ingest::Options;
use layerprint_query::{Finding, Subject, Verdict};
use layerprint_store::{Index, Store};
use serde::Deserialize;

/// Share of the images with a known base whose base must be named.
const TOP_1_MIN: f64 = 0.90;

/// A row of `truth.jsonl`.
#[derive(Deserialize)]
struct Truth {
    name: String,
    file: String,
    #[serde(rename = "ref")]
    reference: String,
    format: String,
    kind: String,
    family: Option<String>,
    base: Option<String>,
    transform: Option<String>,
    acceptable: Option<Vec<String>>,
    true_base_not_in_set: Option<serde_json::Value>,
    #[serde(default)]
    lineage: Vec<String>,
}

/// What the answers to one kind of question come to.
#[derive(Default)]
struct Tally {
    asked: usize,
    top_1: usize,
    named: usize,
    family: usize,
    claimed: usize,
    failed: Vec<String>,
}

#[test]
fn known_bases_are_named_and_unknown_ones_not_claimed() {
    let Some(corpus) = support::shared("corpus/small") else { return };
    let truth = std::fs::read_to_string(corpus.join("truth.jsonl")).unwrap();
    let truth: Vec<Truth> = truth.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let bases: Vec<_> = truth.iter().filter(|row| row.kind == "base").collect();
    let families: BTreeMap<_, _> = bases.iter().map(|row| (&*row.name, row.family.as_deref())).collect();
    let folder = tempfile::tempdir().unwrap();
    let store = Store::create_or_open(&folder.path().join("store")).unwrap();
    ingest(&store, &corpus, &bases);
    let index = store.index().unwrap();

    let mut tallies: BTreeMap<String, Tally> = BTreeMap::new();
    let (mut lines, mut whole_lines) = (0, 0);
    for row in truth.iter().filter(|row| row.kind != "base") {
        let tally = tallies.entry(row.question().to_owned()).or_default();
        tally.asked += 1;
        match find(&index, &corpus, row) {
            Ok(finding) => {
                let top_1 = tally.judge(row, &finding, &families);
                if top_1 && row.lineage.len() > 1 {
                    lines += 1;
                    whole_lines += usize::from(has_lineage(row, &finding));
                }
            }
            Err(error) => tally.failed.push(format!("{}: {error}", row.name)),
        }
    }
    print(&tallies);
    eprintln!("lineage {whole_lines} of {lines}");

    let of = |negative: bool| tallies.iter().filter(move |(key, _)| key.starts_with("negative") == negative);
    let sum =
        |negative, field: fn(&Tally) -> usize| of(negative).map(|(_, tally)| field(tally)).sum::<usize>();
    let failed: Vec<_> = tallies.values().flat_map(|tally| &tally.failed).collect();
    assert!(failed.is_empty(), "{failed:#?}");
    assert_eq!(
        sum(true, |tally| tally.claimed),
        0,
        "a base was claimed for an image whose base is not stored"
    );
    let (asked, top_1) = (sum(false, |tally| tally.asked), sum(false, |tally| tally.top_1));
    assert!(asked > 0 && sum(true, |tally| tally.asked) > 0, "the corpus lacks images of one kind");
    #[expect(clippy::cast_precision_loss, reason = "there are dozens")]
    let share = top_1 as f64 / asked as f64;
    assert!(share >= TOP_1_MIN, "{top_1} of {asked} are right, {TOP_1_MIN} are expected");
}

impl Truth {
    /// What is asked of the image, as a row of the table.
    fn question(&self) -> &str {
        if self.true_base_not_in_set.as_ref().is_some_and(|value| value != false && !value.is_null()) {
            return "negative (sibling known)";
        }
        self.transform.as_deref().unwrap_or(&self.kind)
    }

    fn source(&self, corpus: &Path) -> String {
        let path = corpus.join(&self.file);
        let path = path.display();
        match self.format.as_str() {
            "oci-layout" => format!("oci:{path}:{}", self.reference),
            "oci-tar" => format!("oci-archive:{path}"),
            _ => format!("docker-archive:{path}"),
        }
    }

    /// The names of which one must be given.
    fn right(&self) -> BTreeSet<&str> {
        let upgraded =
            self.name.contains("apt-upgraded") || self.transform.as_deref() == Some("apt-upgraded");
        let also = self.acceptable.iter().flatten().filter(|_| upgraded);
        self.base.iter().chain(also).map(String::as_str).collect()
    }
}

fn ingest(store: &Store, corpus: &Path, bases: &[&Truth]) {
    let files: BTreeSet<_> = bases.iter().map(|row| corpus.join(&row.file).display().to_string()).collect();
    let sources: Vec<_> = files.iter().map(|file| file.parse().unwrap()).collect();
    let summary = layerprint_ingest::ingest(&sources, store, &Options::default(), &|_| {}).unwrap();
    let failed: Vec<_> = summary.failed.iter().map(|failure| failure.error.to_string()).collect();
    assert_eq!(failed, <[String; 0]>::default());
}

fn find(index: &Index, corpus: &Path, row: &Truth) -> Result<Finding, String> {
    let source = row.source(corpus);
    let sources = [source.parse().map_err(|error| format!("{error}"))?];
    let read = layerprint_ingest::read(&sources, Some(index), &Options::default(), &|_| {});
    let (images, summary) = read.map_err(|error| error.to_string())?;
    if let Some(failure) = summary.failed.first() {
        return Err(failure.error.to_string());
    }
    let mut images = images.collect::<Result<Vec<_>, _>>().map_err(|error| error.to_string())?;
    if images.len() != 1 {
        return Err(format!("{} images", images.len()));
    }
    let image = images.remove(0);
    let subject = Subject::new(image.record, image.names, image.layers);
    layerprint_query::find(index, &subject, &source).map_err(|error| error.to_string())
}

impl Tally {
    /// Counts an answer; returns true if it names the true base.
    fn judge(&mut self, row: &Truth, finding: &Finding, families: &BTreeMap<&str, Option<&str>>) -> bool {
        let claimed = finding.verdict == Verdict::Base;
        let names = finding.base.iter().flat_map(|base| &base.names);
        let names: BTreeSet<&str> = names.map(|name| bare(name)).collect();
        let right = row.right();
        let family = |name: &str| match families.get(name) {
            Some(family) => family.map(str::to_owned),
            None => name.split(':').next().map(str::to_owned),
        };
        let acceptable = row.acceptable.iter().flatten().map(String::as_str);
        let wanted: BTreeSet<_> = right.iter().copied().chain(acceptable).map(family).collect();
        let top_1 = names.iter().any(|name| right.contains(name));
        self.top_1 += usize::from(top_1 && claimed);
        self.named += usize::from(top_1);
        self.family += usize::from(names.iter().any(|name| wanted.contains(&family(name))));
        self.claimed += usize::from(claimed);
        top_1
    }
}

/// Returns a name as the corpus gives it.
fn bare(name: &str) -> &str {
    let name = name.strip_prefix("docker.io/library/").unwrap_or(name);
    name.strip_prefix("localhost/").unwrap_or(name)
}

fn has_lineage(row: &Truth, finding: &Finding) -> bool {
    let kin = finding.base.iter().flat_map(|base| &base.lineage);
    let found: BTreeSet<_> = kin.flat_map(|kin| &kin.names).collect();
    row.lineage.iter().filter(|name| row.base.as_ref() != Some(*name)).all(|name| found.contains(name))
}

fn print(tallies: &BTreeMap<String, Tally>) {
    eprintln!("{:26} asked  top-1  named  family  claimed  failed", "");
    for (key, tally) in tallies {
        let Tally { asked, top_1, named, family, claimed, failed } = tally;
        let failed = failed.len();
        eprintln!("{key:26} {asked:5}  {top_1:5}  {named:5}  {family:6}  {claimed:7}  {failed:6}");
    }
}
