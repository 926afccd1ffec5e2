//! How often the base that is named is the true one, beside what other methods name for the same images.
//!
//! ```text
//! cargo bench --bench accuracy -- --corpus DIR [--corpus DIR ...] [--transforms N] [--seed S]
//!                                 [--rows FILE] [--markdown FILE] [--cache DIR]
//! ```
//!
//! # What is done
//!
//! A corpus is a folder of images with `truth.jsonl`, a row per image: what it is, what it was made from and how. All of
//! it is read into fingerprints once (kept in `--cache`). Its bases alone go into a store; every other image is asked
//! about. Then come N images that are made here from the corpus's bases and applications by one or several edits with
//! random parameters (`edits`; the rows that begin with `+`), in the same number from each transform: `generate` lists
//! them. A tenth as many each are
//!
//! - images whose true base, with all that has its contents or is built on it, is *held out* of the store while its
//!   siblings stay;
//! - images of private files, most with under a tenth of the files of several bases;
//! - images asked about in a store in which an enemy has *planted* 60 images of 1 to 30 files that many images have
//!   (licences, time zones, certificates, copyright notes), older than all others; half of them have a base.
//!
//! Everything is drawn from `--seed`; the same command gives the same images and the same table.
//!
//! # What is counted
//!
//! - **top-1**: the verdict is `base` and the truth is among the names. After an upgrade in place the old and the newer base
//!   both are the truth; after a whole one, in images made here, only the newer.
//! - **or same**: or a name is that of a stored image of which the very same contents are left in the image as of the true
//!   base, and hardly more (a tenth) is missing: without its documents, an image is built on the slim base as much as on
//!   the full one. **ambiguous** counts the images for which there is one: no method that goes by contents can be right on
//!   all of them.
//! - **by chance**: top-1 divided by the number of names, if not all of them are true.
//! - **named**: the truth is among the names, whatever the verdict. **tie**: names in the first group.
//! - **MRR**: mean of one over the place of the first true name, in mean over all orders of a tie. layerprint counts with
//!   the groups that its answer names (base, runner-up, and `ranked` if there); what is not named counts 0.
//! - **family**: some name is of the family of the truth or of an acceptable sibling, as `truth.jsonl` says. Of images
//!   whose base is held out, this is what should be named.
//! - **cover**: of images with files of a second base, those of which both are named, as base or in `cover`. Whatever holds
//!   all contents that the second base brought is as good. For overlap, the first two of a greedy gather.
//! - **lineage**: where top-1 is right, ancestors of the base that are in its lineage, of all. **extra**: named there
//!   without being true, and not wholly contained in the base.
//! - **false claims**: verdict `base` with only wrong names: of images with a base, claims of a wrong one; of those without,
//!   any claim but that of what the held out base is itself built on or wholly contains. **of siblings**: of these, claims
//!   of a sibling of the true base.
//! - **days off**: where the truth is not named, days between the dates of the true base and the named one of its family.
//! - **Confidence**, where the answer has it: how often the truth was named, beside what was stated.
//!
//! # The other methods
//!
//! They see the same stored bases. *chain ID*: the stored image with the longest chain of layers that begins the image
//! (deps.dev); *layer prefix*: all stored images that share the most lowest layers (StackRox); *Jaccard*, *overlap* (most
//! shared contents, as `sourmash gather`) and *containment* (equal ones by size) over the distinct contents of the merged
//! view. The last three have no verdict of their own: they claim whatever shares 50,000 bytes.

mod bases;
mod corpus;
mod draft;
mod edits;
mod generate;
mod judge;
mod methods;
mod random;
mod table;
mod work;

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::Instant;

use anyhow::{Context, Result};
use clap::Parser;
use rayon::prelude::*;
use serde_json::{Value, json};

use bases::Bases;
use corpus::{Corpus, Families};
use judge::{Judge, Mark};
use methods::{Answer, METHODS};
use table::Outcome;
use work::Question;

/// Measure how often the base that is named is the true one
#[derive(Parser)]
struct Options {
    /// Folder of images with truth.jsonl (can be repeated)
    #[arg(long)]
    corpus: Vec<PathBuf>,
    /// Images to make from each corpus, besides those without a base
    #[arg(long, default_value_t = 300)]
    transforms: usize,
    /// Seed of all that is random
    #[arg(long, default_value = "1")]
    seed: String,
    /// Write a JSON object for each image
    #[arg(long)]
    rows: Option<PathBuf>,
    /// Write the tables as Markdown
    #[arg(long)]
    markdown: Option<PathBuf>,
    /// Keep fingerprints of the corpora for the next run
    #[arg(long)]
    cache: Option<PathBuf>,
    /// Cargo says this to all benchmarks
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() -> Result<()> {
    let mut options = Options::parse();
    if options.corpus.is_empty() {
        options.corpus.push(Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/corpus/small"));
    }
    let temporary = tempfile::tempdir()?;
    let cache = options.cache.as_deref().unwrap_or(temporary.path());
    let rows =
        options.rows.as_ref().map(|path| File::create(path).with_context(|| path.display().to_string()));
    let report =
        Report { outcomes: Mutex::default(), rows: rows.transpose()?.map(BufWriter::new).map(Mutex::new) };
    for folder in &options.corpus {
        if !folder.join("truth.jsonl").exists() {
            eprintln!("{}: skipped, there is no truth.jsonl", folder.display());
            continue;
        }
        measure(folder, cache, &options, &report)?;
    }
    report.finish(options.markdown.as_deref())
}

fn measure(folder: &Path, cache: &Path, options: &Options, report: &Report) -> Result<()> {
    let started = Instant::now();
    let corpus = Corpus::read(folder, cache)?;
    let families = Families::of(&corpus);
    let all = Bases::of(&corpus, |_| true)?;
    let (images, stored) = (corpus.images.len(), all.stored.len());
    eprintln!("{}: {images} images read, {stored} of them stored, {:.0?}", corpus.name, started.elapsed());
    let judge = Judge { bases: &all, families: &families };
    let asked: Vec<_> = corpus.images.iter().filter(|image| !image.is_base()).collect();
    asked
        .par_iter()
        .try_for_each(|image| report.add(&judge, &corpus, false, &Question::of(&corpus, &all, image)?))?;
    eprintln!("{}: {} images of the corpus asked about, {:.0?}", corpus.name, asked.len(), started.elapsed());

    let seed = &options.seed;
    (0..options.transforms).into_par_iter().try_for_each(|number| {
        match generate::transformed(&corpus, &all, seed, number)? {
            Some(question) => report.add(&judge, &corpus, true, &question),
            None => Ok(()),
        }
    })?;
    let others = options.transforms.div_ceil(10);
    (0..others).into_par_iter().try_for_each(|number| {
        report.add(&judge, &corpus, true, &generate::stranger(&corpus, &all, seed, number)?)
    })?;
    eprintln!("{}: {} made images asked about, {:.0?}", corpus.name, options.transforms, started.elapsed());

    for held in corpus.bases() {
        let count = others.div_ceil(stored);
        let held_out = generate::held_out(&corpus, &all, held, seed, count)?;
        let judge = Judge { bases: &held_out.bases, families: &families };
        held_out.questions.par_iter().try_for_each(|question| report.add(&judge, &corpus, true, question))?;
    }
    let planted = Bases::with_planted(&corpus, seed, 60)?;
    let judge = Judge { bases: &planted, families: &families };
    (0..others).into_par_iter().try_for_each(|number| {
        let question = match number % 2 {
            0 => generate::transformed(&corpus, &planted, seed, options.transforms + number / 2)?,
            _ => Some(generate::stranger(&corpus, &all, seed, others + number)?),
        };
        let Some(mut question) = question else { return Ok(()) };
        question.label =
            format!("planted images stored: {}", if number % 2 == 0 { "base" } else { "no base" });
        report.add(&judge, &corpus, true, &question)
    })?;
    eprintln!("{}: done, {:.0?}", corpus.name, started.elapsed());
    Ok(())
}

/// All outcomes, and where the rows go.
struct Report {
    outcomes: Mutex<Vec<Outcome>>,
    rows: Option<Mutex<BufWriter<File>>>,
}

impl Report {
    /// Asks all methods, judges them and notes it.
    fn add(&self, judge: &Judge, corpus: &Corpus, is_made: bool, question: &Question) -> Result<()> {
        let started = Instant::now();
        let finding = judge.bases.ask(&question.subject)?;
        let seconds = started.elapsed().as_secs_f64();
        let mut answers = vec![methods::own(&finding)];
        answers.extend(methods::others(judge.bases, question));
        let same = judge.same_as_truth(question);
        let marks: Vec<Mark> = answers.iter().map(|answer| judge.mark(question, &same, answer)).collect();
        if let Some(rows) = &self.rows {
            let row = row(corpus, question, &same, &finding, seconds, &answers, &marks);
            let mut rows = rows.lock().expect("no thread panics while it writes");
            writeln!(rows, "{row}")?;
        }
        let outcome = Outcome {
            is_made,
            label: question.label.clone(),
            has_base: !question.truth.right.is_empty(),
            has_relatives: question.truth.acceptable.iter().any(|name| judge.bases.named(name).is_some()),
            is_ambiguous: !same.is_empty(),
            marks,
        };
        self.outcomes.lock().expect("no thread panics while it notes").push(outcome);
        Ok(())
    }

    fn finish(self, markdown: Option<&Path>) -> Result<()> {
        let outcomes = self.outcomes.into_inner().expect("no thread panics while it notes");
        if outcomes.is_empty() {
            return Ok(());
        }
        let pages = table::pages(&outcomes);
        pages.iter().for_each(|page| println!("{}", page.text()));
        if let Some(rows) = self.rows {
            rows.into_inner().expect("no thread panics while it writes").flush()?;
        }
        let text: String = pages.iter().map(table::Page::markdown).collect();
        markdown
            .map(|path| std::fs::write(path, text).with_context(|| path.display().to_string()))
            .transpose()?;
        Ok(())
    }
}

fn row(
    corpus: &Corpus,
    question: &Question,
    same: &BTreeSet<String>,
    finding: &Value,
    seconds: f64,
    answers: &[Answer],
    marks: &[Mark],
) -> Value {
    let methods: serde_json::Map<String, Value> = METHODS
        .iter()
        .zip(answers)
        .map(|(method, answer)| {
            ((*method).to_owned(), json!(answer.groups.iter().take(3).collect::<Vec<_>>()))
        })
        .collect();
    json!({
        "corpus": corpus.name, "transform": question.label, "made": question.made,
        "right": question.truth.right, "same": same, "donors": question.truth.donors,
        "lineage": question.truth.lineage, "verdict": finding["verdict"], "reason": finding["reason"],
        "containment": finding["base"]["containment"], "agreement_bytes": finding["base"]["agreement_bytes"],
        "cover": answers[0].cover, "named_lineage": answers[0].lineage,
        "mark": marks[0], "methods": methods, "seconds": seconds,
    })
}
