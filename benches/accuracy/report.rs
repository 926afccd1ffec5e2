//! What came out: notes every answer, and at the end prints and writes the tables and the rows.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Mutex;
use std::time::Instant;

use anyhow::{Context, Result};
use serde_json::{Map, Value, json};

use crate::Options;
use crate::judge::{Judge, Mark};
use crate::methods::{self, Answer, METHODS};
use crate::table::{self, Outcome};
use crate::work::Question;

/// All outcomes, with the rows that tell of them.
#[derive(Default)]
pub struct Report(Mutex<Vec<(Outcome, Value)>>);

impl Report {
    /// Asks all methods, judges them and notes it.
    pub fn add(&self, corpus: &str, judge: &Judge, is_made: bool, question: &Question) -> Result<()> {
        let started = Instant::now();
        let finding = judge.bases.ask(&question.subject)?;
        let seconds = started.elapsed().as_secs_f64();
        let mut answers = vec![methods::own(&finding)];
        answers.extend(methods::others(judge.bases, question));
        let same = judge.same_as_truth(question);
        let marks: Vec<Mark> = answers.iter().map(|answer| judge.mark(question, &same, answer)).collect();
        let mut row = row(corpus, question, &same, &finding, &answers);
        row["mark"] = json!(marks[0]);
        row["telling"] = json!(judge.telling(question, &answers[0]));
        row["seconds"] = json!(seconds);
        let outcome = Outcome {
            is_made,
            label: question.label.clone(),
            has_base: !question.truth.right.is_empty(),
            has_relatives: question.truth.acceptable.iter().any(|name| judge.bases.named(name).is_some()),
            is_ambiguous: !same.is_empty(),
            marks,
        };
        self.0.lock().expect("no thread panics while it notes").push((outcome, row));
        Ok(())
    }

    /// Prints and writes what was asked for. Nothing, if every corpus was skipped.
    pub fn finish(self, options: &Options) -> Result<()> {
        let (outcomes, mut rows): (Vec<Outcome>, Vec<Value>) =
            self.0.into_inner().expect("no thread panics while it notes").into_iter().unzip();
        if outcomes.is_empty() {
            return Ok(());
        }
        let pages = table::pages(&outcomes);
        pages.iter().for_each(|page| println!("{}", page.text()));
        // The threads finish in any order.
        let text = |row: &Value, field: &str| row[field].as_str().unwrap_or_default().to_owned();
        rows.sort_by_cached_key(|row| ["corpus", "transform", "made", "id"].map(|field| text(row, field)));
        let rows: String = rows.iter().map(|row| format!("{row}\n")).collect();
        write(options.rows.as_deref(), &rows)?;
        let tables: String = pages.iter().map(table::Page::markdown).collect();
        let markdown = format!("{}\n\n{tables}", options.describe(outcomes.len()));
        write(options.markdown.as_deref(), &markdown)
    }
}

fn write(path: Option<&Path>, text: &str) -> Result<()> {
    path.map_or(Ok(()), |path| std::fs::write(path, text).with_context(|| path.display().to_string()))
}

/// What is asked and answered, for looking into what went wrong. `telling` counts the contents of the image by which the
/// true base and the named one differ: those of the true one alone, and those of the named one alone.
fn row(
    corpus: &str,
    question: &Question,
    same: &BTreeSet<String>,
    finding: &Value,
    answers: &[Answer],
) -> Value {
    let methods: Map<String, Value> = METHODS
        .iter()
        .zip(answers)
        .map(|(method, answer)| {
            ((*method).to_owned(), json!(answer.groups.iter().take(3).collect::<Vec<_>>()))
        })
        .collect();
    json!({
        "corpus": corpus, "id": question.subject.record.id, "transform": question.label, "made": question.made,
        "right": question.truth.right, "same": same, "donors": question.truth.donors,
        "lineage": question.truth.lineage, "verdict": finding["verdict"], "reason": finding["reason"],
        "containment": finding["base"]["containment"], "agreement_bytes": finding["base"]["agreement_bytes"],
        "cover": answers[0].cover, "named_lineage": answers[0].lineage,
        "methods": methods,
    })
}
