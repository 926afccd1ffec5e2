//! Whether the images of a report meet a policy.

use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};

use layerprint_query::{Asked, Fleet, Holding, Level, Partly, Remark, Row, Rule, who_has};
use layerprint_store::id::{ContentId, ImageId};

use super::Report;
use crate::args::Global;
use crate::day::{AsOf, Day};
use crate::error::Status;
use crate::left_out::LeftOut;
use crate::output::{count, counted, path as text, plain};
use crate::policy::{Held, Judge, Policy, tell_idle};
use crate::progress::{bar, complain};
use crate::store::Published;

/// What a policy came to.
#[derive(Debug, Clone)]
pub struct Gate {
    /// The file.
    pub policy: PathBuf,
    /// Images of the report.
    pub images: u64,
    /// Those that break the policy.
    pub offenders: u64,
    /// How often they do.
    pub offences: u64,
    /// Those that are not asked.
    pub exempt: u64,
    /// The first of those that break the policy.
    pub named: Vec<Offender>,
    /// Patterns that were typed and mean no stored image.
    pub idle: Vec<String>,
    /// How many images and layers could not be read, and asked.
    pub left_out: u64,
    /// What ages and exemptions are counted to.
    pub as_of: AsOf,
}

/// An image that breaks the policy.
#[derive(Debug, Clone)]
pub struct Offender {
    pub id: ImageId,
    pub name: String,
    /// What it breaks, each rule once.
    pub rules: BTreeSet<Rule>,
}

/// Offenders that are named.
const NAMED_MAX: usize = 10;

/// Offences that are listed beside files.
const OFFENCES_MAX: usize = 100;

/// Makes ready to judge: looks for forbidden files in all stored images.
pub fn judge(
    global: &Global,
    published: &Published,
    fleet: &Fleet,
    (path, policy): (&Path, Policy),
    as_of: Day,
    left_out: &mut LeftOut,
) -> anyhow::Result<Judge> {
    let mut held: HashMap<ImageId, Vec<Held>> = HashMap::new();
    for (file, forbidden) in policy.files.iter().enumerate() {
        for holding in left_out.take(holdings(global, published, &forbidden.content)?) {
            let is_visible = holding.is_visible();
            let hidden = holding.layers.iter().flat_map(|layer| &layer.paths);
            let paths: BTreeSet<String> = match is_visible {
                true => holding.paths.iter().map(|bytes| text(bytes)).collect(),
                false => hidden.map(|bytes| text(bytes)).collect(),
            };
            held.entry(holding.image.id).or_default().push(Held::at(file, &paths, is_visible));
        }
    }
    let files = held.values().flatten().map(|held| held.file).collect();
    let idle = policy.idle_bases(fleet).chain(policy.idle_exemptions(fleet)).chain(policy.idle_files(&files));
    tell_idle(path, idle);
    let judge = Judge::new(policy, as_of, held);
    judge.ended().for_each(|ended| complain(&plain(&ended)));
    Ok(judge)
}

fn holdings(
    global: &Global,
    published: &Published,
    content: &ContentId,
) -> anyhow::Result<Partly<Vec<Holding>>> {
    let bar = bar(global.quiet, "layers read");
    let on_read = |event| match event {
        Asked::Total(number) => bar.set_length(number),
        Asked::One => bar.inc(1),
    };
    let holdings = published.ask(|index| who_has(index, content, &on_read));
    bar.finish_and_clear();
    Ok(holdings?)
}

impl Gate {
    /// Counts who breaks the policy.
    pub fn of(report: &Report, policy: Option<&Path>) -> anyhow::Result<Option<Self>> {
        let (Some(judge), Some(policy)) = (&report.judge, policy) else { return Ok(None) };
        let mut gate = Self {
            policy: policy.to_owned(),
            images: 0,
            offenders: 0,
            offences: 0,
            exempt: 0,
            named: Vec::new(),
            idle: report.idle.clone(),
            left_out: report.left_out.len() as u64,
            as_of: report.as_of,
        };
        for row in report.rows() {
            let row = row?;
            let offences = || row.remarks.iter().filter(|remark| remark.level == Level::Error);
            gate.images += 1;
            gate.exempt += u64::from(judge.exemption(&row).is_some());
            let rules: BTreeSet<Rule> = offences().map(|remark| remark.rule).collect();
            if rules.is_empty() {
                continue;
            }
            gate.offences += offences().count() as u64;
            gate.offenders += 1;
            if gate.named.len() < NAMED_MAX {
                gate.named.push(Offender {
                    id: row.finding.image.id,
                    name: row.finding.source.clone(),
                    rules,
                });
            }
        }
        Ok(Some(gate))
    }

    /// Returns true if all that was meant was asked, and nobody breaks the policy. Where nobody was asked, nobody meets it.
    pub fn is_met(&self) -> bool {
        self.images > 0 && self.offenders == 0 && self.idle.is_empty() && self.left_out == 0
    }

    /// Says it in a sentence.
    pub fn told(&self) -> String {
        let all = counted(self.images, "image");
        let broken = match self.offenders {
            _ if self.images == 0 => "not met, for no image was asked".into(),
            0 if self.images == 1 => "the one image meets it".into(),
            0 => format!("all of {all} meet it"),
            offenders => {
                format!("{offenders} of {all} {} it", if offenders == 1 { "breaks" } else { "break" })
            }
        };
        let idle = match &self.idle[..] {
            [] => String::new(),
            idle => format!("; not met for {}: no stored image is meant", idle.join(", ")),
        };
        let left_out = match self.left_out {
            0 => String::new(),
            left_out => format!("; not met for {} that could not be read", count(left_out)),
        };
        let exempt = if self.exempt == 0 { String::new() } else { format!("; {} exempt", self.exempt) };
        format!("policy {}: {broken}{idle}{left_out}{exempt}; as of {}", self.policy.display(), self.as_of)
    }

    /// Says it with who breaks the policy, unless it was read on the page, and returns how it ends.
    pub fn tell(&self, report: &Report, is_told: bool) -> anyhow::Result<Status> {
        if self.is_met() {
            return Ok(Status::Done);
        }
        if !is_told {
            complain(&plain(&self.told()));
            let mut told = offences(report).take(OFFENCES_MAX);
            told.try_for_each(|offence| offence.map(|told| complain(&plain(&told))))?;
            if self.offences > OFFENCES_MAX as u64 {
                complain(&format!("  and {} more", counted(self.offences - OFFENCES_MAX as u64, "offence")));
            }
        }
        Ok(Status::Nothing)
    }
}

/// Returns a line for each offence.
fn offences(report: &Report) -> impl Iterator<Item = anyhow::Result<String>> {
    let lines = |row: Row| {
        let is_error = |remark: &Remark| remark.level == Level::Error;
        let remarks = row.remarks.into_iter().filter(is_error);
        let source = row.finding.source;
        remarks.map(move |remark| format!("  {source}  {}  {}", remark.rule.word(), remark.message))
    };
    report.rows().flat_map(move |row| match row {
        Ok(row) => lines(row).map(Ok).collect::<Vec<_>>(),
        Err(error) => vec![Err(error)],
    })
}
